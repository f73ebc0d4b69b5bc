// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.SoftmaxGradients;
import org.blocksparse.testing.BlockProblem;
import org.blocksparse.testing.BlockProblem.Sizes;
import org.blocksparse.testing.Bounded;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Npz;
import org.blocksparse.testing.Oracle;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Theano's algorithm in float64, recorded in files, against every kind of kernels. The oracles
 * derive the error bound of each element, and must agree with the files as well.
 *
 * <p>{@code -Dblocksparse.conformance=DIR} reads the files of another folder.
 */
@Tag("xcheck")
final class ConformanceTest {
  /** The error of a difference in the files, relative to the magnitudes of both sides. */
  private static final double GOLDEN_ROUNDING = 0x1p-52;

  static Stream<Arguments> sparseBlockDot() throws IOException, URISyntaxException {
    return cases("sparse_block_dot-");
  }

  static Stream<Arguments> hSoftmax() throws IOException, URISyntaxException {
    return cases("h_softmax-");
  }

  private static Stream<Arguments> cases(String prefix) throws IOException, URISyntaxException {
    String given = System.getProperty("blocksparse.conformance");
    Path folder =
        given != null
            ? Path.of(given)
            : Path.of(ConformanceTest.class.getResource("/conformance").toURI());
    return cases(folder, prefix);
  }

  static Stream<Arguments> cases(Path folder, String prefix) throws IOException {
    List<Path> files;
    try (Stream<Path> list = Files.list(folder)) {
      files =
          list.filter(file -> file.getFileName().toString().startsWith(prefix))
              .filter(file -> file.getFileName().toString().endsWith(".npz"))
              .sorted()
              .toList();
    }
    assertFalse(files.isEmpty(), "no " + prefix + "*.npz in " + folder);
    return KernelsUnderTest.all().stream()
        .flatMap(
            kernels -> files.stream().map(file -> Arguments.of(kernels, Npz.read(file), file)));
  }

  @ParameterizedTest(name = "{0} {2}")
  @MethodSource
  void sparseBlockDot(KernelsUnderTest kernels, Npz npz, Path file) {
    BlockProblem problem = blockProblem(npz);
    try (FloatTensor W = floats(npz, "W");
        FloatTensor h = floats(npz, "h");
        FloatTensor b = floats(npz, "b");
        FloatTensor gradOut = floats(npz, "gradOut");
        IntTensor inputIdx = ints(npz, "inputIdx");
        IntTensor outputIdx = ints(npz, "outputIdx");
        BlockPlan plan =
            BlockPlan.of(inputIdx, outputIdx, (int) W.shape().dim(0), (int) W.shape().dim(1))
                .withWorkers(kernels.workers())) {
      check(
          npz,
          "out",
          Oracle.dot(problem),
          SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b)));
      check(npz, "gradH", Oracle.gradH(problem), SparseBlockDot.gradH(W, gradOut, plan));
      check(npz, "gradW", Oracle.gradW(problem), SparseBlockDot.gradW(h, gradOut, plan));
      check(npz, "gradB", Oracle.gradB(problem), SparseBlockDot.gradB(gradOut, plan));
    }
  }

  /**
   * Theano's padding takes probability. The layer treats such slots as outputs that are never
   * targets.
   */
  @ParameterizedTest(name = "{0} {2}")
  @MethodSource
  void hSoftmax(KernelsUnderTest kernels, Npz npz, Path file) {
    SoftmaxProblem trimmed = softmaxProblem(npz, npz.get("nOutputs").ints()[0]);
    SoftmaxProblem whole = softmaxProblem(npz, trimmed.classes() * trimmed.slots());
    SoftmaxOracle ofTheano = new SoftmaxOracle(trimmed, true);
    SoftmaxOracle oracle = new SoftmaxOracle(whole, false);
    try (FloatTensor x = floats(npz, "x");
        IntTensor target = ints(npz, "target");
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder(whole.features(), whole.outputs())
                .classes(whole.classes())
                .workers(kernels.workers())
                .build(floats(npz, "W1"), floats(npz, "b1"), floats(npz, "W2"), floats(npz, "b2"));
        FloatTensor all = layer.probabilities(x)) {
      check(
          npz,
          "probabilities",
          ofTheano.probabilities(),
          trimmed.theano(x, layer, null, kernels.workers()));
      check(
          npz,
          "targetProbabilities",
          ofTheano.targetProbabilities(),
          trimmed.theano(x, layer, target, kernels.workers()));
      oracle.probabilities().assertHolds("probabilities of the layer", all);
      check(
          npz,
          "targetLogProbabilities",
          oracle.targetLogProbabilities(),
          layer.logProbabilitiesOf(x, target));
      // The files' gradients are p - 1 in float64: 0 where a target is almost certain.
      SoftmaxOracle.Gradients expected =
          oracle.gradients(SoftmaxOracle.Loss.ofMean(), GOLDEN_ROUNDING);
      try (SoftmaxGradients gradients = layer.gradients(x, target)) {
        double loss = npz.get("loss").values()[0];
        assertEquals(loss, expected.loss(), 1e-12 * (1 + Math.abs(loss)), "oracle's loss");
        assertEquals(loss, gradients.loss(), expected.lossBound() + 1e-12, "loss");
        check(npz, "gradX", expected.x(), gradients.x());
        check(npz, "gradW1", expected.W1(), gradients.W1());
        check(npz, "gradB1", expected.b1(), gradients.b1());
        check(npz, "gradW2", expected.W2(), gradients.W2());
        check(npz, "gradB2", expected.b2(), gradients.b2());
      }
    }
  }

  private static BlockProblem blockProblem(Npz npz) {
    long[] W = npz.get("W").shape();
    long[] h = npz.get("h").shape();
    Sizes sizes =
        new Sizes(
            (int) h[0],
            (int) W[0],
            (int) W[1],
            (int) W[2],
            (int) W[3],
            (int) h[1],
            (int) npz.get("outputIdx").shape()[1]);
    float[] gradOut = npz.get("gradOut").floats();
    return new BlockProblem(
        sizes,
        npz.get("W").floats(),
        npz.get("h").floats(),
        npz.get("b").floats(),
        gradOut,
        gradOut,
        npz.get("inputIdx").ints(),
        npz.get("outputIdx").ints());
  }

  private static SoftmaxProblem softmaxProblem(Npz npz, int outputs) {
    long[] W2 = npz.get("W2").shape();
    int slots = (int) W2[2];
    return new SoftmaxProblem(
        (int) npz.get("x").shape()[0],
        (int) W2[1],
        (int) W2[0],
        slots,
        IntStream.range(0, outputs).map(output -> output / slots).toArray(),
        npz.get("x").floats(),
        npz.get("W1").floats(),
        npz.get("b1").floats(),
        npz.get("W2").floats(),
        npz.get("b2").floats(),
        npz.get("target").ints());
  }

  static FloatTensor floats(Npz npz, String key) {
    return FloatTensor.of(npz.get(key).floats(), npz.get(key).shape());
  }

  private static IntTensor ints(Npz npz, String key) {
    return IntTensor.of(npz.get(key).ints(), npz.get(key).shape());
  }

  /** Checks that the values of the file are within the oracle's bounds for the same values. */
  static void check(Npz npz, String key, Bounded oracle, FloatTensor actual) {
    Npz.Array recorded = npz.get(key);
    assertArrayEquals(recorded.shape(), oracle.shape(), key);
    for (int i = 0; i < recorded.values().length; i++) {
      double value = recorded.values()[i];
      assertEquals(
          value, oracle.values()[i], 1e-11 * (1 + Math.abs(value)), "oracle's " + key + " at " + i);
    }
    try (actual) {
      new Bounded(recorded.shape(), recorded.values(), oracle.bounds()).assertHolds(key, actual);
    }
  }
}
