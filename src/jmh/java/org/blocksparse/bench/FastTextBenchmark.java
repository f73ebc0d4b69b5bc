// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * Training with fastText's hierarchical softmax: as many labels, features of the same size, rows
 * counted in our batches. Its tree is binary, so it does less arithmetic for each row, and its
 * model is another one: compare what the perplexities are worth as well. The time is that of the
 * whole program, with reading its input and writing its model.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class FastTextBenchmark {
  static final int EXAMPLES = 204_800;
  private static final int EPOCHS = 5;
  static final int ROWS_PER_STEP = 1024;
  private static final int STEPS = EXAMPLES * EPOCHS / ROWS_PER_STEP;
  private static final int WORDS = 1000;

  @Param public SoftmaxWorkload workload;

  @Param("STEP")
  public SoftmaxOperation operation;

  @Param("FASTTEXT")
  public Peer peer;

  private Path folder;
  private List<String> command;

  @Setup
  public void setUp() throws IOException {
    if (workload.batch != ROWS_PER_STEP) {
      throw new IllegalArgumentException("steps are counted in batches of " + ROWS_PER_STEP);
    }
    folder = Files.createTempDirectory("fasttext");
    Path input = folder.resolve("input.txt");
    SplittableRandom random = new SplittableRandom(1);
    try (BufferedWriter writer = Files.newBufferedWriter(input)) {
      for (int example = 0; example < EXAMPLES; example++) {
        // Every label occurs, so that the tree has as many leaves as we have outputs.
        int label = example < workload.outputs() ? example : random.nextInt(workload.outputs());
        writer.write("__label__" + label + " w" + random.nextInt(WORDS) + "\n");
      }
    }
    command =
        List.of(
            "fasttext",
            "supervised",
            "-input",
            input.toString(),
            "-output",
            folder.resolve("model").toString(),
            "-loss",
            "hs",
            "-dim",
            Integer.toString(workload.features),
            "-epoch",
            Integer.toString(EPOCHS),
            "-minCount",
            "1",
            "-thread",
            Integer.toString(Runtime.getRuntime().availableProcessors()),
            "-verbose",
            "0");
  }

  @TearDown
  public void tearDown() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      files.sorted(Comparator.reverseOrder()).forEach(FastTextBenchmark::delete);
    }
  }

  private static void delete(Path file) {
    try {
      Files.delete(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Benchmark
  @OperationsPerInvocation(STEPS)
  public void run() throws IOException, InterruptedException {
    int status =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start()
            .waitFor();
    if (status != 0) {
      throw new IllegalStateException(command + " failed with status " + status);
    }
  }
}
