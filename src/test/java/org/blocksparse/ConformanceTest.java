// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Npz;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Theano's algorithm in float64, recorded in files, against every kind of kernels.
 *
 * <p>{@code -Dblocksparse.conformance=DIR} takes the files of another folder.
 */
@Tag("xcheck")
final class ConformanceTest {
  /** Rounding of one float operation. */
  private static final double EPSILON = 0x1p-24;

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
    kernels.run(
        () -> {
          try (FloatTensor W = floats(npz, "W");
              FloatTensor h = floats(npz, "h");
              FloatTensor b = floats(npz, "b");
              FloatTensor gradOut = floats(npz, "gradOut");
              IntTensor inputIdx = ints(npz, "inputIdx");
              IntTensor outputIdx = ints(npz, "outputIdx");
              BlockPlan plan =
                  BlockPlan.of(
                      inputIdx, outputIdx, (int) W.shape().dim(0), (int) W.shape().dim(1))) {
            // Each bound is that of design: terms * 2^-24 * the largest sum of absolute values.
            int batch = plan.batch();
            long iSize = W.shape().dim(2);
            long oSize = W.shape().dim(3);
            assertClose(
                npz, "out", SparseBlockDot.apply(W, h, b, plan), plan.iWin() * iSize + 1, W, h, b);
            assertClose(
                npz,
                "gradH",
                SparseBlockDot.gradH(W, gradOut, plan),
                plan.oWin() * oSize,
                W,
                gradOut);
            assertClose(
                npz,
                "gradW",
                SparseBlockDot.gradW(h, gradOut, plan),
                (long) batch * plan.iWin() * plan.oWin(),
                h,
                gradOut);
            assertClose(
                npz,
                "gradB",
                SparseBlockDot.gradB(gradOut, plan),
                (long) batch * plan.oWin(),
                gradOut);
          }
        });
  }

  @ParameterizedTest(name = "{0} {2}")
  @MethodSource
  void hSoftmax(KernelsUnderTest kernels, Npz npz, Path file) {
    kernels.run(
        () -> {
          try (FloatTensor x = floats(npz, "x");
              FloatTensor W1 = floats(npz, "W1");
              FloatTensor b1 = floats(npz, "b1");
              FloatTensor W2 = floats(npz, "W2");
              FloatTensor b2 = floats(npz, "b2");
              IntTensor target = ints(npz, "target")) {
            int batch = (int) x.shape().dim(0);
            int nOutputs = npz.get("nOutputs").ints()[0];
            int nClasses = (int) W2.shape().dim(0);
            int perClass = (int) W2.shape().dim(2);
            // A logit is a sum of features + 1 terms, and there are two on the way to a
            // probability.
            double logitError =
                2
                    * (x.shape().dim(1) + 1)
                    * EPSILON
                    * largest(x)
                    * largest(W1, W2, b1, b2)
                    * x.shape().dim(1);
            FloatTensor all =
                HierarchicalSoftmax.hSoftmax(
                    x, batch, nOutputs, nClasses, perClass, W1, b1, W2, b2, null);
            assertRelativelyClose(npz, "probabilities", all, 2 * logitError + 8 * EPSILON);
            FloatTensor targets =
                HierarchicalSoftmax.hSoftmax(
                    x, batch, nOutputs, nClasses, perClass, W1, b1, W2, b2, target);
            assertRelativelyClose(
                npz, "targetProbabilities", targets, 2 * logitError + 8 * EPSILON);
          }
        });
  }

  private static FloatTensor floats(Npz npz, String key) {
    return FloatTensor.of(npz.get(key).floats(), npz.get(key).shape());
  }

  private static IntTensor ints(Npz npz, String key) {
    return IntTensor.of(npz.get(key).ints(), npz.get(key).shape());
  }

  private static double largest(FloatTensor... tensors) {
    double largest = 1;
    for (FloatTensor tensor : tensors) {
      for (float value : tensor.toArray()) {
        largest = Math.max(largest, Math.abs(value));
      }
    }
    return largest;
  }

  /** Within terms * 2^-24 * (terms * the product of the largest factors), the bound of a sum. */
  private static void assertClose(
      Npz npz, String key, FloatTensor actual, long terms, FloatTensor... factors) {
    double magnitude = terms;
    for (FloatTensor factor : factors) {
      magnitude *= largest(factor);
    }
    assertWithin(npz, key, actual, 0, (terms + 1) * EPSILON * magnitude);
  }

  private static void assertRelativelyClose(Npz npz, String key, FloatTensor actual, double bound) {
    assertWithin(npz, key, actual, bound, Float.MIN_VALUE);
  }

  private static void assertWithin(
      Npz npz, String key, FloatTensor actual, double relative, double absolute) {
    Npz.Array expected = npz.get(key);
    assertArrayEquals(expected.shape(), actual.shape().toArray(), key);
    float[] values = actual.toArray();
    for (int i = 0; i < values.length; i++) {
      double wanted = expected.values()[i];
      // The negation makes a NaN fail.
      if (!(Math.abs(values[i] - wanted) <= absolute + relative * Math.abs(wanted))) {
        throw new AssertionError(
            key
                + " "
                + actual.shape()
                + " at "
                + i
                + ": expected "
                + wanted
                + " but was "
                + values[i]
                + ", allowed "
                + absolute
                + " + "
                + relative
                + " * |expected|");
      }
    }
    actual.close();
  }
}
