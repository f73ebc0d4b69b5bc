// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * How long it takes until a model of a million outputs is mapped and answers, with names for all of
 * them and without; the file is in the system's cache.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class OpenBenchmark {
  private static final int OUTPUTS = 1_000_000;
  private static final int FEATURES = 64;

  @Param({"0", "1000000"})
  public int names;

  private Path file;

  private static String name(int output) {
    return "the name of item " + output;
  }

  @Setup
  public void setUp() throws IOException {
    file = Files.createTempFile("open", ".safetensors");
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(FEATURES, OUTPUTS).build()) {
      if (names > 0) {
        layer.setLabels(
            Labels.of(IntStream.range(0, names).mapToObj(OpenBenchmark::name).toList()));
      }
      layer.save(file);
    }
    if (open() != names - 1) {
      throw new IllegalStateException("the last name is not found");
    }
  }

  @TearDown
  public void tearDown() throws IOException {
    Files.delete(file);
  }

  /** Also looks up the last name, there and back; -1 without names. */
  @Benchmark
  public int open() throws IOException {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      return layer.hasLabels() ? layer.labels().output(layer.labels().name(names - 1)) : -1;
    }
  }
}
