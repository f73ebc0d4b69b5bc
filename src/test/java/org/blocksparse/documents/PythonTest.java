// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Weights;
import org.blocksparse.io.NamedTensors;
import org.blocksparse.io.NpyFile;
import org.blocksparse.io.TensorFile;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The Python of the pages, run by the system's interpreter. Needs its NumPy and safetensors:
 * Debian's packages python3-numpy and python3-safetensors.
 */
@Tag("packaged")
final class PythonTest {
  private static final Path PYTHON = Path.of("/usr/bin/python3");

  @TempDir private Path folder;

  @BeforeAll
  static void needsLibraries(@TempDir Path empty) throws Exception {
    assumeTrue(Files.isExecutable(PYTHON), "no " + PYTHON);
    assumeTrue(run(empty, "import numpy, safetensors") == 0, "NumPy or safetensors is missing");
  }

  private static int run(Path folder, String script, String... arguments)
      throws IOException, InterruptedException {
    Path file = Files.writeString(folder.resolve("script.py"), script);
    List<String> command = new ArrayList<>(List.of(PYTHON.toString(), file.toString()));
    command.addAll(List.of(arguments));
    Process process =
        new ProcessBuilder(command)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("output.txt").toFile())
            .start();
    assertTrue(process.waitFor(10, TimeUnit.MINUTES), "did not end");
    return process.exitValue();
  }

  private void runs(String script, String... arguments) throws IOException, InterruptedException {
    int exit = run(folder, script, arguments);
    assertEquals(0, exit, () -> Page.read(folder.resolve("output.txt")));
  }

  private static List<String> blocks(String page) {
    return Page.of(page).blocks("python").map(Page.Block::text).toList();
  }

  /** The classes have unequal sizes, and some outputs are retired. */
  @Test
  void scoresWithAModel_asTheLibraryDoes() throws Exception {
    int[] classOf = IntStream.range(0, 50).map(output -> (int) Math.sqrt(output)).toArray();
    SplittableRandom random = new SplittableRandom(1);
    float[] features = new float[7 * 5];
    for (int k = 0; k < features.length; k++) {
      features[k] = (float) random.nextGaussian();
    }
    try (HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(5, 50).classes(ClassAssignment.of(classOf)).build();
        FloatTensor x = FloatTensor.of(features, 7, 5)) {
      layer.W1().copyFrom(gaussians(random, 5 * layer.classCount()));
      layer.W2().copyFrom(gaussians(random, (int) layer.W2().shape().size()));
      layer.b1().copyFrom(gaussians(random, layer.classCount()));
      layer.retire(8, 30);
      layer.save(folder.resolve("model.safetensors"));
      NpyFile.write(folder.resolve("x.npy"), x);
      Program score = Program.of(Path.of("src/examples/score.py"));
      assertTrue(Page.of("src/doc/files.md").linksTo(score.source()));
      List<String> blocks = blocks("src/doc/files.md");
      assertEquals(2, blocks.size());
      assertTrue(score.hasExcerpt(blocks.get(1)));
      assertEquals(20, score.text().lines().filter(line -> !line.isBlank()).count());
      runs(blocks.get(0));
      String listed = Page.read(folder.resolve("output.txt"));
      assertTrue(listed.contains("W1 float32 (5, " + layer.classCount() + ")"), listed);
      runs(score.text(), "model.safetensors", "x.npy", "p.npy");
      try (FloatTensor expected = layer.logProbabilities(x);
          FloatTensor found = NpyFile.readFloats(folder.resolve("p.npy"))) {
        assertArrayEquals(expected.toArray(), found.toArray(), 1e-6f);
      }
    }
  }

  private static float[] gaussians(SplittableRandom random, int n) {
    float[] values = new float[n];
    for (int k = 0; k < n; k++) {
      values[k] = (float) random.nextGaussian(0, 0.5);
    }
    return values;
  }

  /**
   * The page's Python writes the input that the page's Java learns from: each target has its own
   * direction.
   */
  @Test
  void handsOverWhatANetworkComputed() throws Exception {
    runs(blocks("src/doc/pytorch.md").get(0));
    Path model = folder.resolve("model.safetensors");
    ChildJvm.Result result =
        new ChildJvm(folder.resolve("cache"))
            .runSource(
                Path.of("src/examples/FromPyTorch.java"),
                folder.resolve("hidden.safetensors").toString(),
                model.toString());
    assertEquals(0, result.exit(), result.output());
    List<String> lines = result.output().lines().toList();
    assertTrue(Double.parseDouble(lines.get(4).replaceAll(".*loss ", "")) < 0.5, result.output());
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(model)) {
      assertEquals(20, layer.outputs());
      assertEquals(Map.of(), layer.metadata());
    }
    String[] last = lines.get(5).split(" for ", -1);
    assertTrue(last[0].startsWith("[" + last[1] + ","), lines.get(5));
  }

  /** The weights of a product in 16 bits, as safetensors' own reader sees them. */
  @Test
  void readsWeightsOfFewerBits() throws Exception {
    SplittableRandom random = new SplittableRandom(2);
    try (FloatTensor W = FloatTensor.of(gaussians(random, 2 * 3 * 5 * 7), 2, 3, 5, 7)) {
      TensorFile.save(
          folder.resolve("weights"),
          NamedTensors.none()
              .with("FLOAT16", W, ElementType.FLOAT16)
              .with("BFLOAT16", W, ElementType.BFLOAT16));
      runs(
          """
          import numpy as np
          from safetensors import deserialize
          tensors = dict(deserialize(open('weights', 'rb').read()))
          def numbers(name, dtype, as_numpy):
              assert tensors[name]['dtype'] == dtype
              return np.frombuffer(tensors[name]['data'], as_numpy).reshape(tensors[name]['shape'])
          brain = numbers('BFLOAT16', 'BF16', '<u2').astype('<u4') << 16
          np.save('FLOAT16.npy', numbers('FLOAT16', 'F16', '<f2').astype('f4'))
          np.save('BFLOAT16.npy', brain.view('<f4'))
          """);
      for (ElementType type : List.of(ElementType.FLOAT16, ElementType.BFLOAT16)) {
        try (Weights narrow = Weights.of(W, type);
            FloatTensor expected = narrow.widened();
            FloatTensor found = NpyFile.readFloats(folder.resolve(type + ".npy"))) {
          assertEquals(expected.shape(), found.shape());
          assertArrayEquals(expected.toArray(), found.toArray(), type.toString());
        }
      }
    }
  }
}
