// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random lists of scorers of any number and kind, with weights, filters, thresholds, retired
 * outputs and rows with NaN, compared with the sums of all scores in the same float arithmetic.
 */
@Tag("xcheck")
final class SumsOfManyScorersTest {
  private static final int FEATURES = 19;
  private static final int ROWS = 5;
  private static final int PROBLEMS = 60;

  /**
   * A mixture, the rows for each scorer, and the scores of all outputs by each; NaN marks retired
   * outputs.
   */
  private static final class Problem implements AutoCloseable {
    final SplittableRandom random;
    final Workers workers;
    final int outputs;
    final boolean addsProbabilities;
    final boolean isCoarse;
    final int nanRow;
    final List<AutoCloseable> open = new ArrayList<>();
    final List<SparseRows> x = new ArrayList<>();
    final List<float[][]> scores = new ArrayList<>();
    final List<Boolean> areLogarithms = new ArrayList<>();
    final MixtureBuilder builder = Mixture.builder();
    final float[] weights;
    final Mixture mixture;

    /** The numbers of the scorers that are layers. */
    final List<Integer> layers = new ArrayList<>();

    Problem(Workers workers, SplittableRandom random) {
      this.random = random;
      this.workers = workers;
      this.outputs = new int[] {1, 2, 3, 17, 90, 400}[random.nextInt(6)];
      this.addsProbabilities = random.nextInt(3) == 0;
      this.isCoarse = random.nextBoolean(); // makes many ties
      this.nanRow = random.nextInt(4) == 0 ? random.nextInt(ROWS) : -1;
      int count = random.nextInt(1, 6);
      for (int i = 0; i < count; i++) {
        int kind = random.nextInt(4);
        if (kind == 0) {
          layers.add(i);
          addLayer("s" + i);
        } else if (kind == 1) {
          addTree("s" + i);
        } else if (kind == 2) {
          addWeights("s" + i);
        } else {
          addNearest("s" + i);
        }
      }
      weights = new float[count];
      for (int i = 0; i < count; i++) {
        weights[i] = random.nextInt(4) == 0 ? 0 : random.nextInt(1, 9) / 4f;
      }
      weights[random.nextInt(count)] += 1;
      Mixture built = (addsProbabilities ? builder.addProbabilities() : builder).build();
      mixture = built.withWeights(weights);
    }

    private <T extends AutoCloseable> T keep(T each) {
      open.add(each);
      return each;
    }

    private SparseRows rows(int count, boolean mayHaveNaN) {
      List<int[]> lists = new ArrayList<>();
      List<float[]> values = new ArrayList<>();
      for (int row = 0; row < count; row++) {
        int[] list = random.ints(random.nextInt(5), 0, FEATURES).toArray();
        float[] of = new float[list.length];
        for (int i = 0; i < of.length; i++) {
          of[i] = random.nextInt(-2, 4);
        }
        if (mayHaveNaN && row == nanRow && random.nextBoolean()) {
          list = new int[] {3};
          of = new float[] {Float.NaN};
        }
        lists.add(list);
        values.add(of);
      }
      return keep(SparseRows.of(lists, values));
    }

    private static SparseRows targets(int rows, int bound, SplittableRandom random) {
      List<int[]> lists = new ArrayList<>();
      for (int row = 0; row < rows; row++) {
        lists.add(random.ints(random.nextInt(4), 0, bound).toArray());
      }
      return SparseRows.of(lists);
    }

    private void addLayer(String name) {
      int[] classOf = new int[outputs];
      int classes = Math.max(1, outputs / random.nextInt(1, 12));
      for (int output = 0; output < outputs; output++) {
        classOf[output] = output < classes ? output : random.nextInt(classes);
      }
      ClassAssignment assignment = ClassAssignment.of(classOf);
      EmbeddingBag bag = keep(EmbeddingBag.builder(FEATURES, 4).workers(workers).build());
      TwoLevelLayer<?> layer =
          keep(
              random.nextBoolean()
                  ? LabelTree.builder(4, outputs).classes(assignment).workers(workers).build()
                  : HierarchicalSoftmax.builder(4, outputs)
                      .classes(assignment)
                      .workers(workers)
                      .seed(random.nextLong())
                      .build());
      for (FloatTensor tensor : List.of(bag.table(), layer.W1(), layer.b2())) {
        float[] values = new float[Math.toIntExact(tensor.shape().size())];
        for (int i = 0; i < values.length; i++) {
          values[i] = isCoarse ? random.nextInt(-1, 2) : (float) (3 * random.nextDouble() - 1.5);
        }
        tensor.put(0, values, 0, values.length);
      }
      int[] retired = random.ints(random.nextInt(3), 0, outputs).toArray();
      if (outputs > 20) {
        layer.retire(retired);
      }
      builder.layer(name, bag, layer);
      SparseRows rows = rows(ROWS, true);
      float[][] all = new float[ROWS][outputs];
      try (FloatTensor vectors = bag.apply(rows);
          FloatTensor found = layer.logProbabilities(vectors)) {
        float[] flat = found.toArray();
        for (int row = 0; row < ROWS; row++) {
          all[row] = Arrays.copyOfRange(flat, row * outputs, (row + 1) * outputs);
          if (outputs > 20) {
            for (int output : retired) {
              all[row][output] = Float.NEGATIVE_INFINITY;
            }
          }
        }
      }
      add(rows, all, true);
    }

    private void addTree(String name) {
      try (SparseRows train = rows(50, false);
          SparseRows targets = targets(50, outputs, random)) {
        LinearLabelTree tree =
            keep(
                LinearLabelTree.builder(FEATURES, outputs)
                    .clusterSize(random.nextInt(2, 9))
                    .seed(random.nextLong())
                    .workers(workers)
                    .train(train, targets));
        builder.tree(name, tree);
        SparseRows rows = rows(ROWS, true);
        add(rows, all(tree.topK(rows, outputs)), true);
      }
    }

    private SparseWeights sparse(int features, int outputs) {
      List<int[]> indices = new ArrayList<>();
      List<float[]> values = new ArrayList<>();
      for (int feature = 0; feature < features; feature++) {
        int[] list = random.ints(random.nextInt(6), 0, outputs).toArray();
        float[] of = new float[list.length];
        for (int i = 0; i < of.length; i++) {
          of[i] = isCoarse ? random.nextInt(-1, 2) : (float) (2 * random.nextDouble() - 1);
        }
        indices.add(list);
        values.add(of);
      }
      try (SparseRows rows = SparseRows.of(indices, values)) {
        return keep(SparseWeights.of(rows, outputs, workers));
      }
    }

    private void addWeights(String name) {
      boolean isSmaller = !x.isEmpty() && random.nextInt(3) == 0; // the first one has all outputs
      SparseWeights one = sparse(FEATURES, isSmaller ? (outputs + 1) / 2 : outputs);
      builder.weights(name, one);
      SparseRows rows = rows(ROWS, true);
      add(rows, all(one.topK(rows, outputs)), false);
    }

    private void addNearest(String name) {
      int examples = random.nextInt(1, 30);
      NearestExamples nearest =
          new NearestExamples(sparse(FEATURES, examples), sparse(examples, outputs), 4);
      builder.nearest(name, nearest);
      SparseRows rows = rows(ROWS, true);
      Mixture alone = Mixture.builder().nearest(name, nearest).build();
      add(rows, all(alone.topK(List.of(rows), outputs)), false);
    }

    /**
     * Returns the scores of all outputs: 0 for outputs that a ranking leaves out, and NaN where a
     * row is undefined.
     */
    private float[][] all(Ranking ranking) {
      float[][] byRow = new float[ROWS][outputs];
      for (int row = 0; row < ROWS; row++) {
        if (!ranking.isDefined(row)) {
          Arrays.fill(byRow[row], Float.NaN);
        }
        for (int rank = 0; rank < ranking.size(row); rank++) {
          byRow[row][ranking.output(row, rank)] = ranking.score(row, rank);
        }
      }
      return byRow;
    }

    private void add(SparseRows rows, float[][] all, boolean isLogarithm) {
      x.add(rows);
      scores.add(all);
      areLogarithms.add(isLogarithm);
    }

    boolean isTree(String name) {
      try {
        mixture.scorer(name, LinearLabelTree.class);
        return true;
      } catch (IllegalArgumentException e) {
        return false;
      }
    }

    boolean isUndefined(int row) {
      return IntStream.range(0, weights.length)
          .anyMatch(i -> weights[i] > 0 && Float.isNaN(scores.get(i)[row][0]));
    }

    boolean isComplete() {
      return IntStream.range(0, weights.length)
          .anyMatch(i -> weights[i] > 0 && areLogarithms.get(i));
    }

    boolean isRetired(int row, int output) {
      return IntStream.range(0, weights.length)
          .anyMatch(i -> weights[i] > 0 && scores.get(i)[row][output] == Float.NEGATIVE_INFINITY);
    }

    /**
     * Returns the scorer whose classes are searched: the first layer, otherwise the first tree; -1
     * if there is neither.
     */
    private int main() {
      return IntStream.range(0, weights.length)
          .filter(i -> weights[i] > 0 && areLogarithms.get(i))
          .boxed()
          .min(Comparator.comparing(i -> layers.contains(i) ? i - weights.length : i))
          .orElse(-1);
    }

    /**
     * Returns the sum in the order of a search: sparse weights, the others from the last on, and
     * the main one.
     */
    float sum(int row, int output) {
      double sum = 0;
      for (int i = 0; i < weights.length; i++) {
        if (weights[i] > 0 && !areLogarithms.get(i)) {
          sum += (double) weights[i] * scores.get(i)[row][output];
        }
      }
      int main = main();
      for (int i = weights.length - 1; i >= 0; i--) {
        if (weights[i] > 0 && areLogarithms.get(i) && i != main) {
          sum += scaled(i, row, output);
        }
      }
      return (float) (main < 0 ? sum : sum + scaled(main, row, output));
    }

    private double scaled(int scorer, int row, int output) {
      float score = scores.get(scorer)[row][output];
      return weights[scorer] * (addsProbabilities ? Math.exp(score) : score);
    }

    @Override
    public void close() {
      for (AutoCloseable each : open) {
        try {
          each.close();
        } catch (Exception e) {
          throw new AssertionError(e);
        }
      }
    }
  }

  static Collection<KernelsUnderTest> kernels() {
    return KernelsUnderTest.instructionSets();
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void rankingsAreThoseOfAllSums(KernelsUnderTest kernels) {
    for (int number = 0; number < PROBLEMS; number++) {
      SplittableRandom random = new SplittableRandom(Seed.value() + number);
      try (Problem problem = new Problem(kernels.workers(), random);
          SparseRows lists = Problem.targets(ROWS, problem.outputs, random)) {
        int outputs = problem.outputs;
        int[] shared =
            IntStream.range(0, outputs).filter(output -> random.nextInt(3) > 0).toArray();
        int k = random.nextInt(1, 2 * outputs + 1);
        for (int kind = 0; kind < 6; kind++) {
          Filter filter =
              switch (kind) {
                case 0 -> Filter.without();
                case 1 -> Filter.only(lists);
                case 2 -> Filter.without(lists);
                case 3 -> Filter.only(shared);
                case 4 -> Filter.without(shared);
                default -> Filter.only(shared).and(Filter.without(lists));
              };
          String what = "problem " + number + ", filter " + kind + ", " + problem.mixture;
          Ranking best = problem.mixture.topK(problem.x, k, filter);
          float threshold = problem.sum(0, random.nextInt(outputs));
          Ranking above =
              problem.mixture.atLeastScore(
                  problem.x, Float.isFinite(threshold) ? threshold : -1, filter);
          float least = Float.isFinite(threshold) ? threshold : -1;
          for (int row = 0; row < ROWS; row++) {
            int[] list = lists.indices(row);
            boolean[] isShared = new boolean[outputs];
            IntStream.of(shared).forEach(output -> isShared[output] = true);
            IntPredicate isListed = o -> IntStream.of(list).anyMatch(other -> other == o);
            int of = kind;
            IntPredicate allowed =
                o ->
                    switch (of) {
                      case 0 -> true;
                      case 1 -> isListed.test(o);
                      case 2 -> !isListed.test(o);
                      case 3 -> isShared[o];
                      case 4 -> !isShared[o];
                      default -> isShared[o] && !isListed.test(o);
                    };
            assertRow(problem, best, row, allowed, k, Float.NEGATIVE_INFINITY, what);
            assertRow(problem, above, row, allowed, outputs, least, what);
          }
        }
      }
    }
  }

  /** The first tree can be loaded alone, and the first layer. */
  @Test
  void filesHoldAllScorers(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("mixture");
    for (int number = 0; number < PROBLEMS; number++) {
      SplittableRandom random = new SplittableRandom(Seed.value() + number);
      try (Problem problem = new Problem(Workers.common(), random)) {
        problem.mixture.save(file);
        LoadOptions options = number % 2 == 0 ? LoadOptions.copied() : LoadOptions.mapped();
        try (Mixture loaded = Mixture.load(file, options)) {
          assertEquals(problem.mixture.toString(), loaded.toString());
          Ranking wanted = problem.mixture.topK(problem.x, 5);
          Ranking actual = loaded.topK(problem.x, 5);
          for (int row = 0; row < ROWS; row++) {
            assertArrayEquals(wanted.outputs(row), actual.outputs(row));
            assertArrayEquals(wanted.logProbabilities(row), actual.logProbabilities(row));
          }
        }
        for (String name : problem.mixture.scorers()) {
          if (problem.isTree(name)) {
            int features = problem.mixture.scorer(name, LinearLabelTree.class).weightCount();
            try (LinearLabelTree first = LinearLabelTree.load(file)) {
              assertEquals(features, first.weightCount());
            }
            break;
          }
        }
      }
    }
  }

  private static void assertRow(
      Problem problem,
      Ranking ranking,
      int row,
      IntPredicate allowed,
      int k,
      float least,
      String what) {
    IntPredicate isThere = o -> allowed.test(o) && !problem.isRetired(row, o);
    if (problem.isUndefined(row)) { // a search may end before it meets the NaN
      assertTrue(ranking.isDefined(row) || ranking.size(row) == 0, what);
      return;
    }
    int[] wanted =
        IntStream.range(0, problem.outputs)
            .filter(isThere)
            .filter(o -> problem.isComplete() || problem.sum(row, o) != 0)
            .filter(o -> problem.sum(row, o) >= least)
            .boxed()
            .sorted(Comparator.comparing((Integer o) -> -problem.sum(row, o) + 0f))
            .mapToInt(Integer::intValue)
            .limit(k)
            .toArray();
    assertArrayEquals(wanted, ranking.outputs(row), what);
    for (int rank = 0; rank < wanted.length; rank++) {
      assertEquals(problem.sum(row, wanted[rank]), ranking.score(row, rank), what);
    }
  }
}
