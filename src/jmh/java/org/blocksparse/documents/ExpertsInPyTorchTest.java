// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.training.GradientCollector;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.documents.ExpertsLayer.Experts;
import org.blocksparse.products.OptimizerState;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * The layer of src/doc/experts.md, compared with the same in PyTorch, whose gradients are
 * autograd's.
 */
final class ExpertsInPyTorchTest {
  private static final int BATCH = 64;
  private static final int M = 12;
  private static final int N = 20;
  private static final int EXPERTS = 4;
  private static final float TOLERANCE = 1e-5f;

  private final NDManager manager = NDManager.newBaseManager("PyTorch");
  private final RandomGenerator random = new SplittableRandom(7);
  private final float[] x = gaussian(1, BATCH * M);
  private final float[] wanted = gaussian(1, BATCH * M);

  /** The values of Wg, W1, b1, W2, b2, with their shapes here and in PyTorch. */
  private final List<float[]> initial =
      List.of(
          gaussian(0.4, M * EXPERTS),
          gaussian(0.3, EXPERTS * M * N),
          gaussian(0.1, EXPERTS * N),
          gaussian(0.3, EXPERTS * N * M),
          gaussian(0.1, EXPERTS * M));

  private static final long[][] SHAPES = {
    {1, 1, M, EXPERTS}, {1, EXPERTS, M, N}, {EXPERTS, N}, {EXPERTS, 1, N, M}, {EXPERTS, M}
  };
  private static final Shape[] TORCH_SHAPES = {
    new Shape(M, EXPERTS),
    new Shape(EXPERTS, M, N),
    new Shape(EXPERTS, N),
    new Shape(EXPERTS, N, M),
    new Shape(EXPERTS, M)
  };

  @AfterEach
  void close() {
    manager.close();
  }

  private float[] gaussian(double deviation, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian(0, deviation);
    }
    return values;
  }

  /** One pass: the output, and the gradients with respect to x and the parameters. */
  @SuppressWarnings("ArrayRecordComponent")
  private record Pass(float[] out, float[] gradX, List<NDArray> gradients) {}

  /** Runs every expert for every row, with gates of 0 where it was not chosen. */
  private Pass pass(List<NDArray> values) {
    // Arrays are new each time: PyTorch adds gradients to those of the previous pass.
    List<NDArray> parameters = values.stream().map(NDArray::duplicate).toList();
    NDArray input = manager.create(x, new Shape(BATCH, M));
    NDArray target = manager.create(wanted, new Shape(BATCH, M));
    input.setRequiresGradient(true);
    parameters.forEach(parameter -> parameter.setRequiresGradient(true));
    try (GradientCollector collector = manager.getEngine().newGradientCollector()) {
      NDArray logits = input.matMul(parameters.get(0));
      NDArray probabilities = logits.softmax(1);
      NDArray chosen =
          logits
              .topK(2, 1)
              .get(1)
              .oneHot(EXPERTS)
              .sum(new int[] {1})
              .toType(DataType.FLOAT32, true);
      NDArray masked = probabilities.mul(chosen);
      NDArray gates = masked.div(masked.sum(new int[] {1}, true));
      NDArray out = manager.zeros(new Shape(BATCH, M));
      for (int e = 0; e < EXPERTS; e++) {
        NDArray z = input.matMul(parameters.get(1).get(e)).add(parameters.get(2).get(e));
        NDArray a = z.mul(Activation.sigmoid(z));
        NDArray y = a.matMul(parameters.get(3).get(e)).add(parameters.get(4).get(e));
        out = out.add(y.mul(gates.get(":, {}:{}", e, e + 1)));
      }
      NDArray part = chosen.mean(new int[] {0}).div(2);
      NDArray balancing = part.mul(probabilities.mean(new int[] {0})).sum().mul(0.01f * EXPERTS);
      collector.backward(out.sub(target).square().mean().add(balancing));
      return new Pass(
          out.toFloatArray(),
          input.getGradient().toFloatArray(),
          parameters.stream().map(parameter -> parameter.getGradient().duplicate()).toList());
    }
  }

  private List<NDArray> torchParameters() {
    return List.of(
        manager.create(initial.get(0), TORCH_SHAPES[0]),
        manager.create(initial.get(1), TORCH_SHAPES[1]),
        manager.create(initial.get(2), TORCH_SHAPES[2]),
        manager.create(initial.get(3), TORCH_SHAPES[3]),
        manager.create(initial.get(4), TORCH_SHAPES[4]));
  }

  /** The layer of the example, and the result of its last step. */
  private final class Layer implements AutoCloseable {
    final FloatTensor[] parameters = new FloatTensor[SHAPES.length];
    final FloatTensor input = FloatTensor.of(x, BATCH, 1, M);
    final OptimizerState state;
    float[] out;
    float[] gradX;

    Layer() {
      for (int p = 0; p < SHAPES.length; p++) {
        parameters[p] = FloatTensor.of(initial.get(p), SHAPES[p]);
      }
      state = OptimizerState.of(parameters);
    }

    void step(Optimizer optimizer) {
      Experts experts =
          new Experts(parameters[0], parameters[1], parameters[2], parameters[3], parameters[4]);
      try (FloatTensor gradient = experts.step(input, this::meanSquares, optimizer, state)) {
        gradX = gradient.toArray();
      }
    }

    private FloatTensor meanSquares(FloatTensor output) {
      out = output.toArray();
      float[] gradient = new float[out.length];
      for (int i = 0; i < out.length; i++) {
        gradient[i] = 2 * (out[i] - wanted[i]) / out.length;
      }
      output.copyFrom(gradient);
      return output;
    }

    @Override
    public void close() {
      for (FloatTensor parameter : parameters) {
        parameter.close();
      }
      input.close();
      state.close();
    }
  }

  @Test
  void outputAndGradientsAreThoseOfAutograd() {
    try (Layer layer = new Layer()) {
      layer.step(Optimizer.sgd(1));
      Pass pass = pass(torchParameters());
      assertClose(pass.out(), layer.out, "out");
      assertClose(pass.gradX(), layer.gradX, "gradX");
      for (int p = 0; p < SHAPES.length; p++) {
        float[] gradient = layer.parameters[p].toArray();
        for (int i = 0; i < gradient.length; i++) {
          gradient[i] = initial.get(p)[i] - gradient[i];
        }
        assertClose(pass.gradients().get(p).toFloatArray(), gradient, "gradient " + p);
      }
    }
  }

  /** Asserts that numbers are equal up to a tolerance, relative to the largest. */
  private static void assertClose(float[] expected, float[] actual, String what) {
    float largest = 0;
    for (float value : expected) {
      largest = Math.max(largest, Math.abs(value));
    }
    assertArrayEquals(expected, actual, TOLERANCE * largest, what);
  }

  /** Every expert is chosen by some row in every step, so that lazy Adam equals Adam. */
  @Test
  void stepsOfAdamAreThoseOfPyTorch() {
    float rate = 1e-3f;
    List<NDArray> parameters = torchParameters();
    List<NDArray> first = parameters.stream().map(NDArray::zerosLike).toList();
    List<NDArray> second = parameters.stream().map(NDArray::zerosLike).toList();
    try (Layer layer = new Layer()) {
      for (int step = 1; step <= 5; step++) {
        layer.step(Optimizer.adam(rate));
        Pass pass = pass(parameters);
        assertArrayEquals(pass.out(), layer.out, TOLERANCE, "out of step " + step);
        for (int p = 0; p < parameters.size(); p++) {
          NDArray gradient = pass.gradients().get(p);
          first.get(p).muli(0.9f).addi(gradient.mul(0.1f));
          second.get(p).muli(0.999f).addi(gradient.square().mul(0.001f));
          NDArray mean = first.get(p).div((float) (1 - Math.pow(0.9, step)));
          NDArray square = second.get(p).div((float) (1 - Math.pow(0.999, step)));
          parameters.get(p).subi(mean.div(square.sqrt().add(1e-8f)).mul(rate));
          assertArrayEquals(
              parameters.get(p).toFloatArray(),
              layer.parameters[p].toArray(),
              TOLERANCE,
              "parameter " + p + " after step " + step);
        }
      }
    }
  }
}
