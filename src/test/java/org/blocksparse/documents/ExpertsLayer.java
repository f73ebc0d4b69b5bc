///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

package org.blocksparse.documents;

import static org.blocksparse.Activation.SILU;

import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.experts.Routing;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;

class ExpertsLayer {
  public static void main(String[] args) {
    Optimizer adam = Optimizer.adam(0.01f);
    try (var x = waves(1, 128, 1, 6); // 128 rows of 6 numbers, to be separated
        var labels = IntTensor.of(IntStream.range(0, 128).toArray(), 128);
        var softmax = HierarchicalSoftmax.builder(6, 128).build();
        var Wg = waves(0.3, 1, 1, 6, 4);
        var W1 = waves(0.4, 1, 4, 6, 24);
        var b1 = FloatTensor.zeros(4, 24);
        var W2 = waves(0.2, 4, 1, 24, 6);
        var b2 = FloatTensor.zeros(4, 6);
        var state = OptimizerState.of(Wg, W1, b1, W2, b2);
        var dense = BlockPlan.dense(128);
        var z = FloatTensor.zeros(128, 2, 24);
        var a = FloatTensor.zeros(128, 2, 24)) {
      Experts experts = new Experts(Wg, W1, b1, W2, b2);
      UnaryOperator<FloatTensor> loss =
          out -> {
            try (out) {
              FloatTensor gradOut = FloatTensor.zeros(128, 1, 6);
              softmax.step(out.reshape(128, 6), labels, Loss.mean(), adam, gradOut.reshape(128, 6));
              return gradOut;
            }
          };
      for (int step = 0; step < 500; step++) {
        experts.step(x, loss, adam, state).close();
      }
      try (var to = experts.route(x, dense);
          var out = experts.apply(x, to, z, a)) {
        System.out.println(softmax.topK(out.reshape(128, 6), 1).output(42, 0)); // 42
      }
    }
  }

  static FloatTensor waves(double height, long... dims) {
    float[] values = new float[(int) Shape.of(dims).size()];
    IntStream.range(0, values.length).forEach(i -> values[i] = (float) (height * Math.sin(i * i)));
    return FloatTensor.of(values, dims);
  }

  /** Shapes: (1, 1, m, E), (1, E, m, n), (E, n), (E, 1, n, m), (E, m); of x (batch, 1, m). */
  record Experts(FloatTensor Wg, FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2) {
    static final TopKGate GATE = TopKGate.of(4, 2).withBalancing(0.01f);

    Routing route(FloatTensor x, BlockPlan dense) {
      try (FloatTensor logits = SparseBlockDot.apply(Wg, x, dense, Epilogue.none())) {
        return GATE.route(logits.reshape(dense.batch(), GATE.experts()));
      }
    }

    /** The mixture for each row of x; z and a, (batch, k, n), are kept for the backward pass. */
    FloatTensor apply(FloatTensor x, Routing to, FloatTensor z, FloatTensor a) {
      Epilogue silu = Epilogue.none().withBias(b1).withActivation(SILU, z);
      SparseBlockDot.apply(W1, x, to.toExperts(), silu.withGate(to.gates()), a);
      Epilogue bias = Epilogue.none().withInputBias(b2, to.gates());
      return SparseBlockDot.apply(W2, a, to.fromExperts(), bias);
    }

    /** A step of all parameters. The loss turns the output into its gradient. Returns that of x. */
    FloatTensor step(
        FloatTensor x, UnaryOperator<FloatTensor> loss, Optimizer adam, OptimizerState state) {
      try (BlockPlan dense = BlockPlan.dense((int) x.shape().dim(0));
          Routing to = route(x, dense);
          FloatTensor z = FloatTensor.zeros(dense.batch(), GATE.k(), b1.shape().dim(1));
          FloatTensor a = FloatTensor.zeros(z.shape());
          FloatTensor gradOut = loss.apply(apply(x, to, z, a));
          FloatTensor gradZ = FloatTensor.zeros(z.shape());
          FloatTensor gradGates = FloatTensor.zeros(to.gates().shape());
          FloatTensor gradLogits = FloatTensor.zeros(dense.batch(), 1, GATE.experts())) {
        BlockPlan up = to.toExperts();
        BlockPlan down = to.fromExperts();
        SparseBlockDot.gradH(
            W2,
            gradOut,
            down,
            GradientOptions.overwrite().withActivation(SILU, z).withGate(to.gates(), gradGates),
            gradZ);
        InputBias.gradGate(b2, gradOut, down, GradientOptions.add(1), gradGates);
        GATE.gradient(to, gradGates, gradLogits.reshape(dense.batch(), GATE.experts()));
        FloatTensor gradX = SparseBlockDot.gradH(W1, gradZ, up);
        SparseBlockDot.gradH(Wg, gradLogits, dense, GradientOptions.add(1), gradX);
        SparseBlockDot.stepW(x, gradLogits, dense, adam, Wg, state);
        SparseBlockDot.stepW(x, gradZ, up, adam, W1, state);
        SparseBlockDot.stepB(gradZ, up, adam, b1, state);
        SparseBlockDot.stepW(a, gradOut, down, adam, W2, state);
        InputBias.step(gradOut, to.gates(), down, adam, b2, state);
        return gradX;
      }
    }
  }
}
