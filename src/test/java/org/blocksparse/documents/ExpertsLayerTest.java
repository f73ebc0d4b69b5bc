// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.blocksparse.Activation.SILU;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import java.util.random.RandomGenerator;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.documents.ExpertsLayer.Experts;
import org.blocksparse.experts.Routing;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.NamedTensors;
import org.blocksparse.io.TensorFile;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.Data;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The layer of src/doc/experts.md, trained until it knows a function of which each expert has a
 * part.
 */
final class ExpertsLayerTest {
  @TempDir private Path folder;

  private static final int M = 6;
  private static final int N = 24;
  private static final int EXPERTS = 4;
  private static final int BATCH = 128;

  private final RandomGenerator random = new SplittableRandom(5);

  private FloatTensor gaussian(double deviation, long... dims) {
    return FloatTensor.of(Data.gaussian(random, deviation, Shape.of(dims).size()), dims);
  }

  private Experts experts() {
    return new Experts(
        gaussian(0.3, 1, 1, M, EXPERTS),
        gaussian(0.4, 1, EXPERTS, M, N),
        FloatTensor.zeros(EXPERTS, N),
        gaussian(0.2, EXPERTS, 1, N, M),
        FloatTensor.zeros(EXPERTS, M));
  }

  private static Map<String, FloatTensor> parameters(Experts e) {
    return Map.of("Wg", e.Wg(), "W1", e.W1(), "b1", e.b1(), "W2", e.W2(), "b2", e.b2());
  }

  /** Returns the target: each quadrant of the first two numbers turns the others in its own way. */
  private static float[] wanted(float[] x) {
    float[] y = new float[x.length];
    for (int row = 0; row < x.length; row += M) {
      int quadrant = (x[row] > 0 ? 1 : 0) + (x[row + 1] > 0 ? 2 : 0);
      for (int q = 0; q < M; q++) {
        y[row + q] = (quadrant % 2 == 0 ? 1 : -1) * x[row + (q + quadrant) % M];
      }
    }
    return y;
  }

  /** Returns the mean squared error; the output becomes its gradient. */
  private static double error(FloatTensor out, float[] wanted) {
    float[] y = out.toArray();
    double sum = 0;
    for (int i = 0; i < y.length; i++) {
      double off = y[i] - wanted[i];
      sum += off * off / y.length;
      y[i] = (float) (2 * off / y.length);
    }
    out.copyFrom(y);
    return sum;
  }

  private static FloatTensor served(Experts experts, FloatTensor x) {
    try (BlockPlan dense = BlockPlan.dense((int) x.shape().dim(0));
        Routing to = experts.route(x, dense);
        FloatTensor z = FloatTensor.zeros(dense.batch(), 2, N);
        FloatTensor a = FloatTensor.zeros(dense.batch(), 2, N)) {
      return experts.apply(x, to, z, a);
    }
  }

  @Test
  void whatEachExpertKnowsIsLearnedSavedAndServed() throws IOException {
    Path file = folder.resolve("experts.safetensors");
    Experts experts = experts();
    FloatTensor[] all = parameters(experts).values().toArray(FloatTensor[]::new);
    double first = 0;
    double last = 0;
    try (OptimizerState state = OptimizerState.of(all);
        FloatTensor test = gaussian(1, BATCH, 1, M)) {
      double[] loss = new double[1];
      for (int step = 0; step < 1500; step++) {
        Optimizer adam = Optimizer.adam(step < 1000 ? 0.01f : 0.002f);
        try (FloatTensor x = gaussian(1, BATCH, 1, M)) {
          float[] wanted = wanted(x.toArray());
          UnaryOperator<FloatTensor> squares =
              out -> {
                loss[0] = error(out, wanted);
                return out;
              };
          experts.step(x, squares, adam, state).close();
        }
        first = step == 0 ? loss[0] : first;
      }
      TensorFile.save(file, parameters(experts));
      try (FloatTensor out = served(experts, test);
          TensorFile tensors = TensorFile.open(file, LoadOptions.mapped());
          FloatTensor Wg = tensors.floats("Wg");
          FloatTensor W1 = tensors.floats("W1");
          FloatTensor b1 = tensors.floats("b1");
          FloatTensor W2 = tensors.floats("W2");
          FloatTensor b2 = tensors.floats("b2");
          FloatTensor fromFile = served(new Experts(Wg, W1, b1, W2, b2), test)) {
        assertArrayEquals(out.toArray(), fromFile.toArray());
        last = error(fromFile, wanted(test.toArray()));
      }
    }
    for (FloatTensor parameter : all) {
      parameter.close();
    }
    assertTrue(last < 0.15 * first, "the error fell from " + first + " to " + last);
  }

  /**
   * With W1 and W2 in fewer bits, the layer computes the mixture of the rounded values, as the page
   * says.
   */
  @ParameterizedTest
  @EnumSource
  void isServedInFewerBits(ElementType type) throws IOException {
    Path file = folder.resolve("narrow.safetensors");
    Experts e = experts();
    e.b1().fill(0.3f);
    e.b2().fill(-0.2f);
    try (FloatTensor x = gaussian(1, BATCH, 1, M);
        Weights narrow1 = Weights.of(e.W1(), type);
        Weights narrow2 = Weights.of(e.W2(), type);
        FloatTensor wide1 = narrow1.widened();
        FloatTensor wide2 = narrow2.widened();
        FloatTensor expected = served(new Experts(e.Wg(), wide1, e.b1(), wide2, e.b2()), x)) {
      NamedTensors tensors = NamedTensors.of(parameters(e));
      TensorFile.save(file, tensors.with("W1", e.W1(), type).with("W2", e.W2(), type));
      try (TensorFile opened = TensorFile.open(file, LoadOptions.mapped());
          Weights W1 = opened.weights("W1");
          Weights W2 = opened.weights("W2");
          BlockPlan dense = BlockPlan.dense(BATCH);
          Routing to = e.route(x, dense)) {
        Epilogue silu = Epilogue.none().withBias(e.b1()).withActivation(SILU);
        Epilogue bias = Epilogue.none().withInputBias(e.b2(), to.gates());
        try (FloatTensor a =
                SparseBlockDot.apply(W1, x, to.toExperts(), silu.withGate(to.gates()));
            FloatTensor out = SparseBlockDot.apply(W2, a, to.fromExperts(), bias)) {
          boolean rounds = type.isPacked() || type == ElementType.BFLOAT16;
          assertArrayEquals(expected.toArray(), out.toArray(), rounds ? 0.05f : 1e-5f);
        }
      }
    }
    parameters(e).values().forEach(FloatTensor::close);
  }
}
