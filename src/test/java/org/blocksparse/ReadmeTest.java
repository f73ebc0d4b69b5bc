// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The examples of README.md, compiled and run. What stands between two markers here, or in the
 * bridge to DJL, stands in README.md too, line by line.
 */
final class ReadmeTest {
  private static final Path THIS = Path.of("src/test/java/org/blocksparse/ReadmeTest.java");
  private static final Path DJL = Path.of("src/jmh/java/org/blocksparse/bench/DjlBridge.java");

  // README begin: blocks
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

  // README end

  @Test
  void blocks_printsWhatTheCommentsSay() {
    List<String> comments =
        example("blocks").stream().filter(line -> line.contains("println")).toList();
    List<String> printed = printed(ReadmeTest::blocks);
    assertEquals(
        comments.stream().map(line -> line.substring(line.indexOf("// ") + 3)).toList(), printed);
    assertEquals(List.of("(2, 2, 2) 277.0", "(2, 1, 2) 46.0", "(2, 3, 2, 2) 10.0"), printed);
  }

  // README begin: labels
  /** Learns which label each vector has. The vectors lie one after the other, in any order. */
  static void learn(float[] vectors, int[] labels, int numberOfLabels) {
    int features = vectors.length / labels.length;
    float[] sums = new float[numberOfLabels * features];
    for (int k = 0; k < vectors.length; k++) {
      sums[labels[k / features] * features + k % features] += vectors[k];
    }
    int batch = 128;
    int steps = labels.length / batch;
    Optimizer adagrad = Optimizer.adagrad(0.3f);
    try (FloatTensor ofLabels = FloatTensor.of(sums, numberOfLabels, features);
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(features, numberOfLabels)
                .classes(ClassAssignment.clustered(ofLabels, (int) Math.sqrt(numberOfLabels), 1))
                .build();
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

  // README end

  @Test
  void labels_areLearned() throws IOException {
    int numberOfLabels = 1000;
    int features = 32;
    RandomGenerator random = new SplittableRandom(2);
    float[] centres = new float[numberOfLabels * features];
    for (int k = 0; k < centres.length; k++) {
      centres[k] = (float) random.nextGaussian(0, 2);
    }
    int[] labels = random.ints(78 * 128, 0, numberOfLabels).toArray();
    float[] vectors = new float[labels.length * features];
    for (int k = 0; k < vectors.length; k++) {
      float centre = centres[labels[k / features] * features + k % features];
      vectors[k] = (float) random.nextGaussian(centre, 0.5);
    }

    List<String> printed = printed(() -> learn(vectors, labels, numberOfLabels));

    assertEquals(5, printed.size(), printed.toString());
    double loss = Double.parseDouble(printed.get(3).replace("epoch 4: loss ", ""));
    String readme = Files.readString(Path.of("README.md"));
    assertTrue(readme.contains("near 3") && readme.contains("below 0.2"), "README.md says else");
    assertTrue(loss < 0.2, printed.toString());
    assertEquals(3, lossWithoutClusters(vectors, labels, numberOfLabels), 0.5);
    int firstOfLastBatch = labels[labels.length - 128];
    assertTrue(printed.get(4).startsWith("[" + firstOfLastBatch + ","), printed.toString());
  }

  /** The last loss of {@link #learn} without its line {@code .classes(...)}. */
  private static double lossWithoutClusters(float[] vectors, int[] labels, int numberOfLabels) {
    int features = vectors.length / labels.length;
    int batch = 128;
    int steps = labels.length / batch;
    double sum = 0;
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(features, numberOfLabels).build();
        FloatTensor x = FloatTensor.zeros(batch, features);
        IntTensor targets = IntTensor.zeros(batch)) {
      for (int step = 0; step < 4 * steps; step++) {
        int at = step % steps * batch;
        sum = at == 0 ? 0 : sum;
        x.put(0, vectors, at * features, batch * features);
        targets.copyFrom(Arrays.copyOfRange(labels, at, at + batch));
        sum += layer.step(x, targets, Optimizer.adagrad(0.3f));
      }
    }
    return sum / steps;
  }

  // README begin: files
  static void saveAndMap(HierarchicalSoftmax layer, Path file, FloatTensor x) throws IOException {
    layer.save(file, SaveOptions.defaults().withMetadata(Map.of("trained on", "reviews")));
    try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      System.out.println(mapped.metadata() + " " + mapped.topK(x, 1).output(0, 0));
    }
  }

  // README end

  @Test
  void files_areMapped(@TempDir Path folder) {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(3, 10).seed(4).build();
        FloatTensor x = FloatTensor.of(new float[] {1, -2, 3}, 1, 3)) {
      List<String> printed =
          printed(
              () ->
                  assertDoesNotThrow(
                      () -> saveAndMap(layer, folder.resolve("layer.safetensors"), x)));
      assertEquals(List.of("{trained on=reviews} " + layer.topK(x, 1).output(0, 0)), printed);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"blocks", "labels", "files", "djl"})
  void readme_holdsTheExample(String name) throws IOException {
    String example = String.join("\n", example(name));
    assertTrue(
        Files.readString(Path.of("README.md")).contains("```java\n" + example + "\n```\n"),
        () -> "README.md lacks this example:\n" + example);
  }

  /** The lines between the markers, moved to the left margin. */
  private static List<String> example(String name) {
    List<String> lines;
    try {
      lines = Files.readAllLines(name.equals("djl") ? DJL : THIS);
    } catch (IOException e) {
      throw new AssertionError("tests run in the folder of pom.xml", e);
    }
    int begin = lines.indexOf("  // README begin: " + name) + 1;
    int end = begin + lines.subList(begin, lines.size()).indexOf("  // README end");
    assertTrue(0 < begin && begin < end, () -> "no markers around " + name);
    String example = String.join("\n", lines.subList(begin, end));
    return example.stripTrailing().lines().map(line -> line.replaceFirst("^ {2}", "")).toList();
  }

  private static List<String> printed(Runnable code) {
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
