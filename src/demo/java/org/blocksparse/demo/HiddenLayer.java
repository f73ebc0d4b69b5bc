// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.random.RandomGenerator;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockOuter;

/**
 * A dense layer, {@code softsign(x W + b)}: to the library, a grid of one block.
 *
 * <p>softsign, {@code z / (1 + |z|)}, bends like tanh and costs one division.
 */
final class HiddenLayer implements AutoCloseable {
  private final FloatTensor weights; // (1, 1, inputs, outputs)
  private final FloatTensor bias; // (1, outputs)

  HiddenLayer(int inputs, int outputs, RandomGenerator random) {
    weights = FloatTensor.zeros(1, 1, inputs, outputs);
    bias = FloatTensor.zeros(1, outputs);
    float bound = (float) Math.sqrt(6.0 / (inputs + outputs)); // Glorot and Bengio, 2010
    float[] row = new float[outputs];
    for (int i = 0; i < inputs; i++) {
      for (int o = 0; o < outputs; o++) {
        row[o] = random.nextFloat(-bound, bound);
      }
      weights.put((long) i * outputs, row, 0, outputs);
    }
  }

  /** Of tensors that belong to the layer from now on. */
  HiddenLayer(FloatTensor weights, FloatTensor bias) {
    this.weights = weights;
    this.bias = bias;
  }

  FloatTensor weights() {
    return weights;
  }

  FloatTensor bias() {
    return bias;
  }

  void forward(Batch batch) {
    SparseBlockDot.apply(
        weights, batch.input, batch.dense, Epilogue.none().withBias(bias), batch.hidden);
    float[] values = batch.hiddenValues;
    batch.hidden.get(0, values, 0, values.length);
    for (int i = 0; i < values.length; i++) {
      values[i] /= 1 + Math.abs(values[i]);
    }
    batch.hidden.copyFrom(values);
  }

  /** From the gradient of the output to that of the input, and then a step of gradient descent. */
  void backward(Batch batch, float rate) {
    float[] values = batch.hiddenValues;
    float[] gradients = batch.gradHiddenValues;
    batch.gradHidden.get(0, gradients, 0, gradients.length);
    for (int i = 0; i < gradients.length; i++) {
      float slope = 1 - Math.abs(values[i]); // of softsign, the root of its derivative
      gradients[i] *= slope * slope;
    }
    batch.gradHidden.copyFrom(gradients);
    SparseBlockDot.gradH(
        weights, batch.gradHidden, batch.dense, GradientOptions.overwrite(), batch.gradInput);
    SparseBlockOuter.applyInPlace(batch.input, batch.gradHidden, batch.dense, -rate, weights);
    SparseBlockDot.gradB(batch.gradHidden, batch.dense, GradientOptions.add(-rate), bias);
  }

  @Override
  public void close() {
    weights.close();
    bias.close();
  }
}
