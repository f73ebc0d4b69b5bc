// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntToDoubleFunction;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.tensors.CsrRows;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every output is in exactly one slot, and the ways to choose classes work as documented. */
final class ClassAssignmentTest {
  private static void assertBijective(ClassAssignment classes) {
    int members = 0;
    for (int c = 0; c < classes.classCount(); c++) {
      assertTrue(classes.size(c) >= 1 && classes.size(c) <= classes.slots());
      for (int slot = 0; slot < classes.size(c); slot++) {
        int output = classes.output(c, slot);
        assertEquals(c, classes.classOf(output));
        assertEquals(slot, classes.slotOf(output));
        members++;
      }
    }
    assertEquals(classes.outputs(), members);
  }

  private static long[] zipf(int outputs, long seed) {
    long[] counts = new long[outputs];
    Random random = new Random(seed);
    for (int o = 0; o < outputs; o++) {
      counts[o] = 1_000_000L / (1 + random.nextInt(outputs));
    }
    return counts;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 10, 31, 100, 101})
  void allWays_placeEveryOutputOnce(int nClasses) {
    int outputs = 101;
    Random random = new Random(nClasses);
    float[] vectors = new float[outputs * 5];
    for (int i = 0; i < vectors.length; i++) {
      vectors[i] = random.nextFloat() - 0.5f;
    }
    long[] counts = zipf(outputs, nClasses);
    assertBijective(ClassAssignment.contiguous(outputs, nClasses));
    assertBijective(ClassAssignment.byFrequency(counts, nClasses));
    assertBijective(ClassAssignment.bySquareRootOfFrequency(counts, nClasses));
    try (FloatTensor tensor = FloatTensor.of(vectors, outputs, 5)) {
      assertBijective(ClassAssignment.clustered(tensor, nClasses, 1, Workers.common()));
    }
  }

  @Test
  void contiguous_isTheanos() {
    ClassAssignment classes = ClassAssignment.contiguous(13, 5);
    assertEquals(3, classes.slots());
    assertEquals(5, classes.classCount());
    for (int o = 0; o < 13; o++) {
      assertEquals(o / 3, classes.classOf(o));
      assertEquals(o % 3, classes.slotOf(o));
    }
    assertEquals(1, classes.size(4));
  }

  @Test
  void byFrequency_putsTheMostFrequentIntoTheFirstClasses() {
    ClassAssignment classes = ClassAssignment.byFrequency(new long[] {1, 9, 5, 7, 0, 5}, 3);
    assertArrayEquals(
        new int[] {2, 0, 1, 0, 2, 1}, IntStream.range(0, 6).map(classes::classOf).toArray());
  }

  @Test
  void bySquareRootOfFrequency_makesSmallClassesOfFrequentOutputs() {
    long[] counts = new long[1000];
    for (int o = 0; o < counts.length; o++) {
      counts[o] = 1_000_000 / (o + 1);
    }
    ClassAssignment classes = ClassAssignment.bySquareRootOfFrequency(counts, 32);
    assertTrue(classes.size(0) < 5, "size of the first class: " + classes.size(0));
    assertTrue(classes.slots() <= 4 * 32, "slots: " + classes.slots());
    assertTrue(classes.size(classes.classCount() / 2) > classes.size(0));
  }

  /** The roots are 10, 5, 5, 5, 3 and 2: three classes with 10 each. */
  @Test
  void bySquareRootOfFrequency_sharesTheRootsOfCountsAndOne() {
    assertEquals(
        ClassAssignment.of(0, 1, 1, 2, 2, 2),
        ClassAssignment.bySquareRootOfFrequency(new long[] {99, 24, 24, 24, 8, 3}, 3));
  }

  @Test
  void bySquareRootOfFrequency_makesNoClassLargerThanFourTimesTheAverage() {
    long[] counts = new long[100];
    counts[0] = 1L << 60;
    assertEquals(40, ClassAssignment.bySquareRootOfFrequency(counts, 10).slots());
  }

  /** Points around four directions form four groups. */
  @Test
  void clustered_findsWhatBelongsTogether() {
    int perGroup = 50;
    Random random = new Random(4);
    float[] vectors = new float[4 * perGroup * 4];
    for (int o = 0; o < 4 * perGroup; o++) {
      for (int d = 0; d < 4; d++) {
        vectors[o * 4 + d] = (o % 4 == d ? 1 : 0) + 0.2f * (random.nextFloat() - 0.5f);
      }
    }
    try (FloatTensor tensor = FloatTensor.of(vectors, vectors.length / 4, 4)) {
      // If two groups begin at the same place, the result can differ; most starts do not.
      int right = 0;
      for (int seed = 0; seed < 10; seed++) {
        ClassAssignment classes = ClassAssignment.clustered(tensor, 4, seed, Workers.common());
        assertEquals(
            classes, ClassAssignment.clustered(tensor, 4, seed, Workers.common()), "equal seeds");
        int together = 0;
        for (int o = 4; o < 4 * perGroup; o++) {
          together += classes.classOf(o) == classes.classOf(o % 4) ? 1 : 0;
        }
        right += together == 4 * perGroup - 4 ? 1 : 0;
      }
      assertTrue(right >= 5, right + " of 10 starts found the groups");
    }
  }

  @Test
  void clustered_ofVectorsWithoutDirection_stillPlacesAll() {
    try (FloatTensor zeros = FloatTensor.zeros(10, 3)) {
      assertBijective(ClassAssignment.clustered(zeros, 3, 0, Workers.common()));
    }
  }

  /** If most vectors are equal, the groups nearest to them are soon full. */
  @Test
  void clustered_ofEqualVectors_fillsGroupsOneAfterTheOther() {
    int dims = 16;
    try (FloatTensor vectors = FloatTensor.zeros(3_000, dims)) {
      vectors.fill(0.3f);
      float[] other = new float[dims];
      other[0] = 1;
      for (int d = 0; d < dims; d++) {
        vectors.set(other[d], 77, d);
      }
      ClassAssignment classes = ClassAssignment.clustered(vectors, 300, 2, Workers.common());
      assertBijective(classes);
      assertEquals(10, classes.slots());
    }
  }

  /**
   * Returns vectors around fewer points than there are classes, without spare room: most groups
   * near a vector are full by its turn.
   */
  private static FloatTensor crowded(int outputs, int dims) {
    Random random = new Random(6);
    float[][] points = new float[20][dims];
    for (float[] point : points) {
      for (int d = 0; d < dims; d++) {
        point[d] = (float) random.nextGaussian();
      }
    }
    float[] vectors = new float[outputs * dims];
    for (int i = 0; i < vectors.length; i++) {
      int point = Math.min(i / dims % 31, 19);
      vectors[i] = points[point][i % dims] + 0.3f * (float) random.nextGaussian();
    }
    return FloatTensor.of(vectors, outputs, dims);
  }

  @Test
  void clustered_doesNotDependOnTheWorkers() {
    ExecutorService executor = Executors.newFixedThreadPool(3);
    AtomicInteger helpers = new AtomicInteger();
    Workers counted =
        Workers.of(
            task -> {
              helpers.incrementAndGet();
              executor.execute(task);
            },
            4);
    try (FloatTensor vectors = crowded(9_000, 24);
        SparseRows rows =
            SparseRows.of(
                IntStream.range(0, 9_000).mapToObj(i -> new int[] {i % 301, i % 37}).toList())) {
      ClassAssignment alone = ClassAssignment.clustered(vectors, 300, 3, Workers.callingThread());
      assertBijective(alone);
      assertEquals(30, alone.slots());
      assertEquals(alone, ClassAssignment.clustered(vectors, 300, 3, counted));
      assertEquals(alone, ClassAssignment.clustered(vectors, 300, 3, Workers.common()));
      int ofVectors = helpers.getAndSet(0);
      assertTrue(ofVectors > 0, "nobody has helped");
      ClassAssignment sparse =
          ClassAssignment.clustered(rows, rows, 301, 40, 3, Workers.callingThread());
      assertEquals(sparse, ClassAssignment.clustered(rows, rows, 301, 40, 3, counted));
      assertEquals(sparse, ClassAssignment.clustered(rows, rows, 301, 40, 3, Workers.common()));
      assertTrue(helpers.get() > 0, "nobody has helped with sparse rows");
    } finally {
      executor.shutdown();
    }
  }

  /** Labels of four topics: each occurs with words of its topic, and with words that all have. */
  @Test
  void clustered_ofSparseFeatures_findsTopics() {
    Random random = new Random(7);
    int labelsOfAll = 120;
    List<int[]> features = new ArrayList<>();
    List<int[]> labels = new ArrayList<>();
    for (int example = 0; example < 3000; example++) {
      int first = random.nextInt(labelsOfAll);
      int topic = first % 4;
      int second = topic + 4 * random.nextInt(labelsOfAll / 4);
      features.add(
          IntStream.range(0, 8)
              .map(i -> i < 6 ? 1_000_000 * topic + random.nextInt(40) : random.nextInt(1 << 30))
              .toArray());
      labels.add(example % 2 == 0 ? new int[] {first} : new int[] {first, second});
    }
    try (SparseRows x = SparseRows.of(features);
        SparseRows y = SparseRows.of(labels)) {
      int right = 0;
      for (int seed = 0; seed < 10; seed++) {
        ClassAssignment classes =
            ClassAssignment.clustered(x, y, labelsOfAll, 4, seed, Workers.common());
        assertBijective(classes);
        assertEquals(
            classes, ClassAssignment.clustered(x, y, labelsOfAll, 4, seed, Workers.common()));
        boolean all = true;
        for (int label = 4; label < labelsOfAll; label++) {
          all &= classes.classOf(label) == classes.classOf(label % 4);
        }
        right += all ? 1 : 0;
      }
      assertTrue(right >= 5, right + " of 10 starts found the topics");
      ClassAssignment byDefault = ClassAssignment.clustered(x, y, labelsOfAll, 1);
      int count = ClassAssignment.defaultCount(labelsOfAll);
      assertEquals(
          ClassAssignment.clustered(x, y, labelsOfAll, count, 1, Workers.common()), byDefault);
    }
  }

  /** The clustered sums, compared with sums over all features by their definition. */
  @Test
  void clustered_comparesSumsWhoseCosinesAreNearlyThoseOfTheFeatures() {
    Random random = new Random(3);
    int count = 30;
    int vocabulary = 5000;
    double[][] sums = new double[count][vocabulary];
    List<int[]> features = new ArrayList<>();
    List<float[]> values = new ArrayList<>();
    List<int[]> labels = new ArrayList<>();
    for (int example = 0; example < 200; example++) {
      int[] indices = random.ints(20, 0, vocabulary).distinct().toArray();
      float[] ofIndices = new float[indices.length];
      double squares = 0;
      for (int i = 0; i < indices.length; i++) {
        ofIndices[i] = 1 + random.nextFloat();
        squares += ofIndices[i] * ofIndices[i];
      }
      int label = random.nextInt(count - 1); // the last never occurs
      for (int i = 0; i < indices.length; i++) {
        sums[label][indices[i]] += ofIndices[i] / Math.sqrt(squares);
      }
      features.add(indices);
      values.add(ofIndices);
      labels.add(new int[] {label});
    }
    try (SparseRows x = SparseRows.of(features, values);
        SparseRows y = SparseRows.of(labels)) {
      Storage storage =
          LabelCentroids.of(
              Engine.from(Workers.common()),
              CsrRows.from(x).bags(),
              CsrRows.from(y).bags(),
              count,
              5);
      float[][] hashed = new float[count][LabelCentroids.DIMENSIONS];
      for (int label = 0; label < count; label++) {
        storage.getFloats(
            (long) label * LabelCentroids.DIMENSIONS, hashed[label], 0, hashed[label].length);
      }
      storage.close();
      double worst = 0;
      for (int a = 0; a < count - 1; a++) {
        for (int b = 0; b < a; b++) {
          double[] ofA =
              IntStream.range(0, hashed[a].length).mapToDouble(toDouble(hashed[a])).toArray();
          double[] ofB =
              IntStream.range(0, hashed[b].length).mapToDouble(toDouble(hashed[b])).toArray();
          worst = Math.max(worst, Math.abs(cosine(ofA, ofB) - cosine(sums[a], sums[b])));
        }
      }
      // 1 / sqrt(256) = .0625 is one standard deviation; there are 406 pairs.
      assertTrue(worst > 0 && worst < 4.5 * .0625, "cosines are off by " + worst);
      assertArrayEquals(new float[LabelCentroids.DIMENSIONS], hashed[count - 1]);
    }
  }

  private static IntToDoubleFunction toDouble(float[] values) {
    return i -> values[i];
  }

  private static double cosine(double[] a, double[] b) {
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < a.length; i++) {
      ab += a[i] * b[i];
      aa += a[i] * a[i];
      bb += b[i] * b[i];
    }
    return ab / Math.sqrt(aa * bb);
  }

  @Test
  void of_refusesTablesThatAreNone() {
    assertRejects(
        "slotOf[1] = 1 is taken already or outside [0, 1), the outputs of class 1:"
            + " slots of a class are not a permutation",
        () -> ClassTable.of(new int[] {0, 1}, new int[] {0, 1}, 2, 2));
  }

  @Test
  void fastestClasses_growWithTheRootOfOutputs_andFollowTheCosts() {
    for (int outputs : new int[] {1, 2, 10, 1000, 1_000_000}) {
      int classes = ClassCount.REFERENCE.fastest(outputs, ClassCount.BATCH);
      double root = Math.sqrt(outputs);
      assertTrue(classes >= 1 && classes <= outputs, outputs + " outputs: " + classes);
      assertTrue(classes <= 8 * root + 1, outputs + " outputs: " + classes);
    }
    // If memory costs nothing, the root is best; the more it costs, the more classes.
    int outputs = 1_000_000;
    int free = new ClassCount(1, 0).fastest(outputs, ClassCount.BATCH);
    int dear = new ClassCount(1, 100).fastest(outputs, ClassCount.BATCH);
    assertEquals(1000, free);
    assertTrue(dear > free, "free " + free + ", dear " + dear);
  }

  /** Returns two outputs in class 0, and one in class 1. */
  private static ClassAssignment inSlots(int room, int... slotOf) {
    return new ClassAssignment(ClassTable.of(new int[] {0, 0, 1}, slotOf, 2, room));
  }

  @Test
  void equals_asksForClassesSlotsAndRoom() {
    ClassAssignment classes = inSlots(2, 0, 1, 0);
    assertEquals(ClassAssignment.of(0, 0, 1), classes);
    assertEquals(ClassAssignment.of(0, 0, 1).hashCode(), classes.hashCode());
    for (ClassAssignment other :
        List.of(ClassAssignment.of(0, 1, 0), inSlots(2, 1, 0, 0), inSlots(3, 0, 1, 0))) {
      assertNotEquals(classes, other);
    }
    assertNotEquals(classes.hashCode(), ClassAssignment.of(0, 1, 0).hashCode());
    assertNotEquals(classes, null);
  }

  @Test
  void clustered_withoutANumberMakesTheDefaultOne() {
    try (FloatTensor vectors = crowded(50, 4)) {
      assertEquals(
          ClassAssignment.clustered(vectors, ClassAssignment.defaultCount(50), 5, Workers.common()),
          ClassAssignment.clustered(vectors, 5));
    }
  }

  @Test
  void sizes_addUp() {
    ClassAssignment classes = ClassAssignment.contiguous(1001, 32);
    assertEquals(1001, IntStream.range(0, classes.classCount()).map(classes::size).sum());
  }
}
