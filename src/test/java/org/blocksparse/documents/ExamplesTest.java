// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.Semaphore;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.blocksparse.Activation;
import org.blocksparse.BlockPlan;
import org.blocksparse.ClassAssignment;
import org.blocksparse.ElementType;
import org.blocksparse.Epilogue;
import org.blocksparse.Filter;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.IntTensor;
import org.blocksparse.Labels;
import org.blocksparse.LoadOptions;
import org.blocksparse.Metrics;
import org.blocksparse.NamedTensors;
import org.blocksparse.NpzFile;
import org.blocksparse.Optimizer;
import org.blocksparse.Ranking;
import org.blocksparse.SaveOptions;
import org.blocksparse.SparseBlockDot;
import org.blocksparse.SparseRows;
import org.blocksparse.TensorFile;
import org.blocksparse.TheanoSoftmax;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.ResourceLock;
import org.junit.jupiter.api.parallel.Resources;

/**
 * The examples of README.md and src/doc, compiled and run: what stands between two markers here, in
 * the bridge to DJL or in that to {@code MemorySegment}. {@link DocumentsTest} compares them with
 * the pages; whole programs are run by {@link ProgramsTest}.
 */
@ResourceLock(Resources.SYSTEM_OUT)
final class ExamplesTest {
  @TempDir private Path folder;

  // example: recommend
  /** The ten items that suit each user best, but for those that the user has seen. */
  static int[][] recommend(HierarchicalSoftmax layer, FloatTensor users, List<int[]> seen) {
    try (SparseRows rows = SparseRows.of(seen)) {
      Ranking best = layer.topK(users, 10, Filter.without(rows));
      return IntStream.range(0, best.batch()).mapToObj(best::outputs).toArray(int[][]::new);
    }
  }

  // end of example

  @Test
  void recommend_leavesOutWhatWasSeen() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(4, 100).seed(1).build();
        FloatTensor users = FloatTensor.of(new float[] {1, 2, 3, 4, 4, 3, 2, 1}, 2, 4)) {
      int[] all = layer.topK(users, 100).outputs(0);
      int[] seen = Arrays.copyOf(all, 5);
      int[][] found = recommend(layer, users, List.of(seen, new int[0]));
      assertArrayEquals(Arrays.copyOfRange(all, 5, 15), found[0]);
      assertArrayEquals(layer.topK(users, 10).outputs(1), found[1]);
    }
  }

  // example: weights
  /** Saves a layer with W in 8 bits, a quarter of the bytes, rounded while it is written. */
  static void saveInFewerBits(FloatTensor W, FloatTensor b, Path file) throws IOException {
    TensorFile.save(file, NamedTensors.none().with("W", W, ElementType.INT8).with("b", b));
  }

  /** The output of the layer for a batch; W is read where it lies in the file. */
  static FloatTensor serve(Path file, FloatTensor h, BlockPlan plan) throws IOException {
    try (TensorFile tensors = TensorFile.open(file, LoadOptions.mapped());
        Weights W = tensors.weights("W");
        FloatTensor b = tensors.floats("b")) {
      Epilogue relu = Epilogue.none().withBias(b).withActivation(Activation.RELU);
      return SparseBlockDot.apply(W, h, plan, relu);
    }
  }

  // end of example

  @Test
  void weights_areThoseOfTheLayerButForTheirRounding() throws IOException {
    Path file = folder.resolve("weights");
    float[] values = new float[2 * 3 * 4 * 5];
    IntStream.range(0, values.length).forEach(i -> values[i] = (float) Math.sin(i * i));
    try (FloatTensor W = FloatTensor.of(values, 2, 3, 4, 5);
        FloatTensor b = FloatTensor.of(Arrays.copyOf(values, 3 * 5), 3, 5);
        FloatTensor h = FloatTensor.of(Arrays.copyOf(values, 6 * 4), 6, 1, 4);
        IntTensor inputIdx = IntTensor.of(new int[] {0, 1, 0, 1, 0, 1}, 6, 1);
        IntTensor outputIdx = IntTensor.of(new int[] {0, 1, 2, 2, 1, 0}, 6, 1);
        BlockPlan plan = BlockPlan.of(inputIdx, outputIdx, 2, 3)) {
      saveInFewerBits(W, b, file);
      Epilogue relu = Epilogue.none().withBias(b).withActivation(Activation.RELU);
      try (FloatTensor expected = SparseBlockDot.apply(W, h, plan, relu);
          FloatTensor served = serve(file, h, plan)) {
        // Each of 4 weights is off by at most half of 1/127, and h is at most 1.
        assertArrayEquals(expected.toArray(), served.toArray(), 4 / 254f + 1e-6f);
      }
    }
  }

  // example: names
  /** Gives names to outputs, and keeps them in the model's file. */
  static void saveWithNames(HierarchicalSoftmax layer, List<String> names, Path file)
      throws IOException {
    layer.setLabels(Labels.of(names));
    layer.save(file);
  }

  /** The name of the likeliest of some outputs, which are given by their names. */
  static String likeliest(Path file, FloatTensor x, String... candidates) throws IOException {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      int[] outputs = Arrays.stream(candidates).mapToInt(layer.labels()::output).toArray();
      return layer.topK(x, 1, Filter.only(outputs)).label(0, 0);
    }
  }

  // end of example

  @Test
  void names_areInTheFile() throws IOException {
    Path file = folder.resolve("named");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 4).seed(1).build();
        FloatTensor x = FloatTensor.of(new float[] {1, 2}, 1, 2)) {
      List<String> names = List.of("ant", "bee", "cow", "dog");
      saveWithNames(layer, names, file);
      int best = layer.topK(x, 1, Filter.only(1, 3)).output(0, 0);
      assertEquals(names.get(best), likeliest(file, x, "dog", "bee"));
    }
  }

  // example: metrics
  /** How good a layer is on held-out rows, which have several right labels each. */
  static String quality(HierarchicalSoftmax layer, FloatTensor heldOut, SparseRows labels) {
    Metrics metrics = Metrics.upTo(5);
    metrics.add(layer.topK(heldOut, 5), labels); // batch by batch, if there are many
    return "P@1 %.3f, R@5 %.3f, nDCG@5 %.3f"
        .formatted(metrics.precision(1), metrics.recall(5), metrics.ndcg(5));
  }

  // end of example

  @Test
  void metrics_areThoseOfARanking() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 9).seed(1).build();
        FloatTensor x = FloatTensor.of(new float[] {1, 2}, 1, 2)) {
      int[] best = layer.topK(x, 2).outputs(0);
      try (SparseRows labels = SparseRows.of(List.of(best))) {
        assertEquals(
            "P@1 %.3f, R@5 %.3f, nDCG@5 %.3f".formatted(1., 1., 1.), quality(layer, x, labels));
      }
    }
  }

  // example: growth
  /** Adds an item for each vector, takes old ones out, and gives the new layer to the server. */
  static HierarchicalSoftmax update(HierarchicalSoftmax trained, FloatTensor items, int... sold) {
    trained.addOutputs(items);
    trained.retire(sold);
    return trained.copy(); // serves while the other is trained and grows
  }

  // end of example

  @Test
  void growth_keepsTheNumbers() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 9).seed(1).build();
        FloatTensor items = FloatTensor.of(new float[] {1, 2, 3, 4}, 2, 2);
        HierarchicalSoftmax served = update(layer, items, 0, 3)) {
      assertEquals(11, served.outputs());
      assertEquals(9, served.topK(items, 100).size(0));
      assertTrue(served.assignment().isRetired(3));
    }
  }

  // example: blocks
  static void blocks() {
    // 2 input and 3 output blocks of 2 elements each: W has 2 x 3 blocks of 2 x 2.
    // Block W[i, j] is filled with 10 i + j.
    float[] weights = {
      0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 10, 10, 10, 10, 11, 11, 11, 11, 12, 12, 12, 12
    };
    try (FloatTensor W = FloatTensor.of(weights, 2, 3, 2, 2);
        FloatTensor b = FloatTensor.of(new float[] {100, 100, 200, 200, 300, 300}, 3, 2);
        // 2 samples. Each brings 1 input block and wants 2 output blocks.
        FloatTensor h = FloatTensor.of(new float[] {1, 2, 3, 4}, 2, 1, 2);
        IntTensor inputIdx = IntTensor.of(new int[] {0, 1}, 2, 1);
        IntTensor outputIdx = IntTensor.of(new int[] {2, 0, 1, 2}, 2, 2);
        BlockPlan plan = BlockPlan.of(inputIdx, outputIdx, 2, 3);
        FloatTensor out = SparseBlockDot.apply(W, h, b, plan);
        FloatTensor gradOut = FloatTensor.of(new float[] {1, 1, 1, 1, 1, 1, 1, 1}, 2, 2, 2);
        FloatTensor gradH = SparseBlockDot.gradH(W, gradOut, plan)) {
      System.out.println(out.shape() + " " + out.get(1, 0, 0)); // (2, 2, 2) 277.0
      System.out.println(gradH.shape() + " " + gradH.get(1, 0, 0)); // (2, 1, 2) 46.0
      // Gradient descent on W, which touches only the 4 blocks that took part.
      SparseBlockDot.addGradW(h, gradOut, plan, -0.5f, W);
      System.out.println(W.shape() + " " + W.get(1, 2, 1, 0)); // (2, 3, 2, 2) 10.0
    }
  }

  // end of example

  @Test
  void blocks_printsWhatTheCommentsSay() throws Exception {
    List<String> printed = printed(ExamplesTest::blocks);
    assertEquals(List.of("(2, 2, 2) 277.0", "(2, 1, 2) 46.0", "(2, 3, 2, 2) 10.0"), printed);
    assertEquals(Example.named("blocks").commentsOnPrinting(), printed);
  }

  // example: labels
  /** Labels with similar vectors share a class: the sums of their vectors are clustered. */
  static ClassAssignment similar(float[] vectors, int[] labels, int numberOfLabels) {
    int features = vectors.length / labels.length;
    float[] sums = new float[numberOfLabels * features];
    for (int k = 0; k < vectors.length; k++) {
      sums[labels[k / features] * features + k % features] += vectors[k];
    }
    try (FloatTensor ofLabels = FloatTensor.of(sums, numberOfLabels, features)) {
      return ClassAssignment.clustered(ofLabels, (int) Math.sqrt(numberOfLabels), 1);
    }
  }

  /** Learns which label each vector has. The vectors lie one after the other, in any order. */
  static void learn(float[] vectors, int[] labels, ClassAssignment classes) {
    int features = vectors.length / labels.length;
    int batch = 128;
    int steps = labels.length / batch;
    Optimizer adagrad = Optimizer.adagrad(0.3f);
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(features, classes.outputs()).classes(classes).build();
        FloatTensor x = FloatTensor.zeros(batch, features);
        IntTensor targets = IntTensor.zeros(batch)) {
      for (int epoch = 1; epoch <= 4; epoch++) {
        double sum = 0;
        for (int step = 0; step < steps; step++) {
          x.put(0, vectors, step * batch * features, batch * features);
          targets.copyFrom(Arrays.copyOfRange(labels, step * batch, (step + 1) * batch));
          sum += layer.step(x, targets, adagrad);
        }
        System.out.printf("epoch %d: loss %.2f%n", epoch, sum / steps);
      }
      Ranking best = layer.topK(x, 3); // of each vector of the last batch
      System.out.println(Arrays.toString(best.outputs(0)) + " " + best.probability(0, 0));
    }
  }

  // end of example

  /** Vectors around 1000 centres, which are numbered at random. */
  private static final class Labelled {
    static final int LABELS = 1000;
    static final int FEATURES = 32;

    final int[] labels;
    final float[] vectors;

    Labelled() {
      RandomGenerator random = new SplittableRandom(2);
      float[] centres = new float[LABELS * FEATURES];
      for (int k = 0; k < centres.length; k++) {
        centres[k] = (float) random.nextGaussian(0, 2);
      }
      labels = random.ints(78 * 128, 0, LABELS).toArray();
      vectors = new float[labels.length * FEATURES];
      for (int k = 0; k < vectors.length; k++) {
        float centre = centres[labels[k / FEATURES] * FEATURES + k % FEATURES];
        vectors[k] = (float) random.nextGaussian(centre, 0.5);
      }
    }

    List<String> learned(ClassAssignment classes) throws Exception {
      List<String> printed = printed(() -> learn(vectors, labels, classes));
      assertEquals(5, printed.size(), printed.toString());
      return printed;
    }

    static double lastLoss(List<String> printed) {
      return Double.parseDouble(printed.get(3).replace("epoch 4: loss ", ""));
    }
  }

  /** "With similar the loss falls below 0.2." */
  @Test
  void labels_areLearned() throws Exception {
    Labelled data = new Labelled();
    List<String> printed = data.learned(similar(data.vectors, data.labels, Labelled.LABELS));
    assertTrue(Labelled.lastLoss(printed) < 0.2, printed.toString());
    int firstOfLastBatch = data.labels[data.labels.length - 128];
    assertTrue(printed.get(4).startsWith("[" + firstOfLastBatch + ","), printed.toString());
  }

  /** "With ClassAssignment.contiguous ... it stays near 3", and so it does by default. */
  @Test
  void labels_areHardToLearnInClassesThatMeanNothing() throws Exception {
    Labelled data = new Labelled();
    ClassAssignment neighbours =
        ClassAssignment.contiguous(Labelled.LABELS, (int) Math.sqrt(Labelled.LABELS));
    try (HierarchicalSoftmax byDefault =
        HierarchicalSoftmax.builder(Labelled.FEATURES, Labelled.LABELS).build()) {
      for (ClassAssignment classes : List.of(neighbours, byDefault.assignment())) {
        List<String> printed = data.learned(classes);
        assertEquals(3, Labelled.lastLoss(printed), 0.5, printed.toString());
      }
    }
  }

  // example: ranked
  /** The k likeliest of the candidates of each row, which an index has proposed. */
  static int[][] ranked(HierarchicalSoftmax layer, FloatTensor x, List<int[]> candidates, int k) {
    try (SparseRows rows = SparseRows.of(candidates)) {
      Ranking best = layer.topK(x, k, Filter.only(rows));
      return IntStream.range(0, best.batch()).mapToObj(best::outputs).toArray(int[][]::new);
    }
  }

  // end of example

  /** "Fewer than half of the ten likeliest", by an index over W2 and b2 that misses nothing. */
  @Test
  void ranked_isWhatAnIndexOverTheWeightsIsNot() {
    Labelled data = new Labelled();
    int batch = 128;
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(Labelled.FEATURES, Labelled.LABELS)
                .classes(similar(data.vectors, data.labels, Labelled.LABELS))
                .build();
        FloatTensor x = FloatTensor.zeros(batch, Labelled.FEATURES);
        IntTensor targets = IntTensor.zeros(batch)) {
      for (int step = 0; step < 4 * 78; step++) {
        int begin = step % 78 * batch;
        x.put(0, data.vectors, begin * Labelled.FEATURES, batch * Labelled.FEATURES);
        targets.put(0, data.labels, begin, batch);
        layer.step(x, targets, Optimizer.adagrad(0.3f));
      }
      List<int[]> near =
          IntStream.range(0, batch).mapToObj(row -> largestLogits(layer, x, row, 10)).toList();
      Ranking best = layer.topK(x, 10);
      int[][] ranked = ranked(layer, x, near, 10);
      int found = 0;
      for (int row = 0; row < batch; row++) {
        Set<Integer> likeliest = Set.copyOf(boxed(best.outputs(row)));
        found += (int) IntStream.of(near.get(row)).filter(likeliest::contains).count();
        assertEquals(Set.copyOf(boxed(near.get(row))), Set.copyOf(boxed(ranked[row])));
      }
      assertTrue(found < batch * 10 / 2, found + " of " + batch * 10);
      try (IntTensor candidates = IntTensor.of(flat(ranked), batch, 10);
          FloatTensor p = layer.logProbabilitiesOf(x, candidates)) {
        for (int k = 1; k < batch * 10; k++) {
          assertTrue(k % 10 == 0 || p.get(k / 10, k % 10) <= p.get(k / 10, k % 10 - 1));
        }
      }
    }
  }

  private static List<Integer> boxed(int[] values) {
    return IntStream.of(values).boxed().toList();
  }

  private static int[] flat(int[][] rows) {
    return Arrays.stream(rows).flatMapToInt(IntStream::of).toArray();
  }

  /** The outputs whose rows of W2, with their biases, have the largest products with a row of x. */
  private static int[] largestLogits(HierarchicalSoftmax layer, FloatTensor x, int row, int k) {
    ClassAssignment classes = layer.assignment();
    double[] logits = new double[layer.outputs()];
    for (int output = 0; output < logits.length; output++) {
      int c = classes.classOf(output);
      int slot = classes.slotOf(output);
      logits[output] = layer.b2().get(c, slot);
      for (int f = 0; f < layer.features(); f++) {
        logits[output] += x.get(row, f) * layer.W2().get(c, f, slot);
      }
    }
    return IntStream.range(0, logits.length)
        .boxed()
        .sorted(Comparator.comparingDouble((Integer output) -> -logits[output]))
        .limit(k)
        .mapToInt(Integer::intValue)
        .toArray();
  }

  @Test
  void labels_thePageSaysWhatIsTestedHere() throws IOException {
    String page = Files.readString(Path.of("src/doc/softmax.md"));
    assertTrue(page.contains("below 0.2") && page.contains("near 3"), "softmax.md says else");
  }

  // example: files
  static void saveAndMap(HierarchicalSoftmax layer, Path file, FloatTensor x) throws IOException {
    layer.save(file, SaveOptions.defaults().withMetadata(Map.of("trained on", "reviews")));
    try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      System.out.println(mapped.metadata() + " " + mapped.topK(x, 1).output(0, 0));
    }
  }

  // end of example

  @Test
  void files_areMapped() throws Exception {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(3, 10).seed(4).build();
        FloatTensor x = FloatTensor.of(new float[] {1, -2, 3}, 1, 3)) {
      assertEquals(
          List.of("{trained on=reviews} " + layer.topK(x, 1).output(0, 0)),
          printed(() -> saveAndMap(layer, folder.resolve("layer.safetensors"), x)));
    }
  }

  // example: theano
  /** What Python wrote with np.savez("layer.npz", W1=W1.get_value(), b1=..., W2=..., b2=...). */
  static FloatTensor probabilities(Path npz, FloatTensor x, int outputs) throws IOException {
    try (NpzFile file = NpzFile.open(npz);
        FloatTensor W1 = file.floats("W1");
        FloatTensor b1 = file.floats("b1");
        FloatTensor W2 = file.floats("W2");
        FloatTensor b2 = file.floats("b2")) {
      int batch = (int) x.shape().dim(0);
      int classes = (int) W2.shape().dim(0);
      int outputsPerClass = (int) W2.shape().dim(2);
      return TheanoSoftmax.apply(x, batch, outputs, classes, outputsPerClass, W1, b1, W2, b2, null);
    }
  }

  // end of example

  @Test
  void theano_givesWhatTheanoGives() throws IOException {
    Path golden = Path.of("src/test/resources/conformance/h_softmax-trimmed.npz");
    try (NpzFile file = NpzFile.open(golden);
        FloatTensor x = file.floats("x");
        FloatTensor expected = file.floats("probabilities");
        FloatTensor found = probabilities(golden, x, (int) expected.shape().dim(1))) {
      assertEquals(expected.shape(), found.shape());
      assertArrayEquals(expected.toArray(), found.toArray(), 1e-6f);
    }
  }

  // example: serving
  /** For a server: used where it lies in the file, each call on the thread that makes it. */
  static HierarchicalSoftmax open(Path file) throws IOException {
    return HierarchicalSoftmax.load(
        file, LoadOptions.mapped().withWorkers(Workers.callingThread()));
  }

  /** What one request asks; to be called from any thread. */
  static int[] likeliest(HierarchicalSoftmax layer, float[] features, int k) {
    try (FloatTensor x = FloatTensor.of(features, 1, features.length)) {
      return layer.topK(x, k).outputs(0);
    }
  }

  // end of example

  // example: turns
  /** As many calls at a time as there are processors; the first to come is the first served. */
  static final Semaphore TURNS = new Semaphore(Runtime.getRuntime().availableProcessors(), true);

  static int[] likeliestInTurn(HierarchicalSoftmax layer, float[] features, int k)
      throws InterruptedException {
    TURNS.acquire();
    try {
      return likeliest(layer, features, k);
    } finally {
      TURNS.release();
    }
  }

  // end of example

  @Test
  void serving_answersManyThreadsAsOne() throws Exception {
    Path file = folder.resolve("served.safetensors");
    int requests = 64;
    ExecutorService callers = Executors.newFixedThreadPool(8);
    try (HierarchicalSoftmax trained = HierarchicalSoftmax.builder(2, 1000).seed(3).build()) {
      trained.save(file);
      try (HierarchicalSoftmax served = open(file)) {
        List<Future<int[]>> answers = new ArrayList<>();
        for (int r = 0; r < requests; r++) {
          float[] features = {r - 32, 5};
          answers.add(callers.submit(() -> likeliestInTurn(served, features, 20)));
        }
        for (int r = 0; r < requests; r++) {
          assertArrayEquals(
              likeliest(trained, new float[] {r - 32, 5}, 20), answers.get(r).get(), "row " + r);
        }
        assertNotEquals(answers.get(0).get()[0], answers.get(63).get()[0]);
      }
    } catch (ExecutionException e) {
      throw new AssertionError(e.getCause());
    } finally {
      callers.shutdown();
    }
  }

  private interface Code {
    void run() throws Exception;
  }

  private static List<String> printed(Code code) throws Exception {
    PrintStream before = System.out;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    System.setOut(new PrintStream(bytes, true, UTF_8));
    try {
      code.run();
    } finally {
      System.setOut(before);
    }
    return bytes.toString(UTF_8).lines().toList();
  }
}
