// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.blocksparse.bench.jobs.SoftmaxOperation;
import org.blocksparse.bench.jobs.SoftmaxWorkload;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Training with the program fasttext and its hierarchical softmax: as many labels, features of the
 * same size, rows counted in our batches. Its tree is binary, so it does less arithmetic for each
 * row, and its model is another one. The time is that of the whole program, with reading its input
 * and writing its model. Debian's package is {@code fasttext}.
 */
@State(Scope.Benchmark)
public class FastText {
  private static final int EXAMPLES = 204_800;
  private static final int EPOCHS = 5;
  private static final int WORDS = 1000;

  /** The number of steps of 1024 rows, the batch size of the workloads. */
  static final int STEPS = EXAMPLES * EPOCHS / 1024;

  @Param({"OUTPUTS_20000", "OUTPUTS_100000"})
  public SoftmaxWorkload workload;

  @Param("STEP")
  public SoftmaxOperation operation;

  private Path input;
  private Path output;

  @Setup
  public void setUp() throws IOException {
    input = Files.createTempFile("fasttext", ".txt");
    output = Files.createTempFile("fasttext", ".bin");
    SplittableRandom random = new SplittableRandom(1);
    try (BufferedWriter writer = Files.newBufferedWriter(input)) {
      for (int example = 0; example < EXAMPLES; example++) {
        // Every label occurs, so that the tree has as many leaves as our layer has outputs.
        int label = example < workload.outputs() ? example : random.nextInt(workload.outputs());
        writer.write("__label__" + label + " w" + random.nextInt(WORDS) + "\n");
      }
    }
    Facts.putCost(workload.bytes(operation), workload.flops(operation));
  }

  void train() throws IOException, InterruptedException {
    String options =
        "fasttext supervised -input %s -output %s -loss hs -dim %d -epoch %d -minCount 1 -thread %d"
            .formatted(
                input,
                output.toString().replaceFirst("\\.bin$", ""),
                workload.features,
                EPOCHS,
                Runtime.getRuntime().availableProcessors());
    int status =
        new ProcessBuilder(List.of(options.split(" ")))
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start()
            .waitFor();
    if (status != 0) {
      throw new IllegalStateException("status " + status + " of " + options);
    }
  }

  @TearDown
  public void tearDown() throws IOException {
    Files.delete(input);
    Files.delete(output);
    Files.deleteIfExists(Path.of(output.toString().replaceFirst("\\.bin$", ".vec")));
  }
}
