// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.blocksparse.ConformanceTest.check;
import static org.blocksparse.ConformanceTest.floats;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.SoftmaxGradients;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.LabelTreeOracle;
import org.blocksparse.testing.Npz;
import org.blocksparse.testing.SoftmaxOracle;
import org.blocksparse.testing.SoftmaxProblem;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The definition of a label tree in NumPy's float64, recorded in files by {@code label_tree.py}
 * beside them, against every kind of kernels; see {@link ConformanceTest}.
 */
@Tag("xcheck")
final class LabelTreeConformanceTest {
  static Stream<Arguments> files() throws IOException, URISyntaxException {
    Path folder = Path.of(LabelTreeConformanceTest.class.getResource("/conformance").toURI());
    return ConformanceTest.cases(folder, "label_tree-");
  }

  @ParameterizedTest(name = "{0} {2}")
  @MethodSource("files")
  void isAsDefined(KernelsUnderTest kernels, Npz npz, Path file) {
    SoftmaxProblem problem = problem(npz);
    int[] offsets = npz.get("targetOffsets").ints();
    int[] targets = npz.get("targets").ints();
    LabelTreeOracle oracle =
        new LabelTreeOracle(
            problem,
            IntStream.range(0, problem.batch())
                .mapToObj(row -> Arrays.copyOfRange(targets, offsets[row], offsets[row + 1]))
                .toArray(int[][]::new));
    try (FloatTensor x = floats(npz, "x");
        SparseRows rows = SparseRows.of(offsets, targets);
        LabelTree layer =
            LabelTree.builder(problem.features(), problem.outputs())
                .classes(ClassAssignment.of(problem.classOf()))
                .workers(kernels.workers())
                .build(floats(npz, "W1"), floats(npz, "b1"), floats(npz, "W2"), floats(npz, "b2"));
        SoftmaxGradients gradients = layer.gradients(x, rows)) {
      check(npz, "probabilities", oracle.probabilities(), layer.probabilities(x));
      check(npz, "logProbabilities", oracle.logProbabilities(), layer.logProbabilities(x));
      SoftmaxOracle.Gradients expected = oracle.gradients(new LabelTreeOracle.Loss(true, null));
      check(npz, "gradX", expected.x(), gradients.x());
      check(npz, "gradW1", expected.W1(), gradients.W1());
      check(npz, "gradB1", expected.b1(), gradients.b1());
      check(npz, "gradW2", expected.W2(), gradients.W2());
      check(npz, "gradB2", expected.b2(), gradients.b2());
      checkLosses(npz, layer, x, rows, expected.lossBound());
    }
  }

  /** Checks each loss against the bound of their sum. */
  private static void checkLosses(
      Npz npz, LabelTree layer, FloatTensor x, SparseRows targets, double boundOfMean) {
    double[] losses = npz.get("losses").values();
    double mean = Arrays.stream(losses).average().getAsDouble();
    assertEquals(mean, layer.loss(x, targets), boundOfMean + 1e-12 * mean, "loss");
    try (FloatTensor found = layer.losses(x, targets)) {
      assertArrayEquals(new long[] {losses.length}, found.shape().toArray());
      for (int row = 0; row < losses.length; row++) {
        double rounded = Math.ulp((float) losses[row]);
        double bound = losses.length * boundOfMean + rounded;
        assertEquals(losses[row], found.get(row), bound, "loss of row " + row);
      }
    }
  }

  private static SoftmaxProblem problem(Npz npz) {
    long[] W2 = npz.get("W2").shape();
    return new SoftmaxProblem(
        (int) npz.get("x").shape()[0],
        (int) W2[1],
        (int) W2[0],
        (int) W2[2],
        npz.get("classOf").ints(),
        npz.get("x").floats(),
        npz.get("W1").floats(),
        npz.get("b1").floats(),
        npz.get("W2").floats(),
        npz.get("b2").floats(),
        null);
  }
}
