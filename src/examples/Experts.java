///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import static org.blocksparse.Activation.SILU;

import java.util.stream.IntStream;
import org.blocksparse.*;

class Experts {
  public static void main(String[] args) {
    TopKGate gate = TopKGate.of(4, 2).withBalancing(0.01f); // of 4 experts, each row gets 2
    try (var x = waves(1, 128, 1, 6); // 128 rows of 6 numbers, to be separated
        var labels = IntTensor.of(IntStream.range(0, 128).toArray(), 128);
        var Wg = waves(0.3, 1, 1, 6, 4);
        var W1 = waves(0.4, 1, 4, 6, 24);
        var W2 = waves(0.2, 4, 1, 24, 6);
        var softmax = HierarchicalSoftmax.builder(6, 128).build();
        var state = OptimizerState.of(Wg, W1, W2);
        var dense = BlockPlan.dense(128);
        var z = FloatTensor.zeros(128, 2, 24);
        var y = FloatTensor.zeros(128, 1, 6);
        var gradY = FloatTensor.zeros(128, 1, 6);
        var gradZ = FloatTensor.zeros(128, 2, 24);
        var gradG = FloatTensor.zeros(128, 2)) {
      Epilogue silu = Epilogue.none().withActivation(SILU, z);
      GradientOptions by = GradientOptions.overwrite().withActivation(SILU, z);
      for (Optimizer adam = Optimizer.adam(0.01f); softmax.steps() < 500; ) {
        try (var logits = SparseBlockDot.apply(Wg, x, dense, Epilogue.none());
            var to = gate.route(logits.reshape(128, 4));
            var a = SparseBlockDot.apply(W1, x, to.toExperts(), silu.withGate(to.gates()))) {
          SparseBlockDot.apply(W2, a, to.fromExperts(), Epilogue.none(), y);
          softmax.step(y.reshape(128, 6), labels, Loss.mean(), adam, gradY.reshape(128, 6));
          SparseBlockDot.gradH(W2, gradY, to.fromExperts(), by.withGate(to.gates(), gradG), gradZ);
          gate.gradient(to, gradG, logits.reshape(128, 4)); // over the logits
          SparseBlockDot.stepW(x, logits, dense, adam, Wg, state);
          SparseBlockDot.stepW(x, gradZ, to.toExperts(), adam, W1, state);
          SparseBlockDot.stepW(a, gradY, to.fromExperts(), adam, W2, state);
        }
      }
      System.out.println(softmax.topK(y.reshape(128, 6), 1).output(42, 0)); // 42
    }
  }

  static FloatTensor waves(double height, long... dims) {
    float[] values = new float[(int) Shape.of(dims).size()];
    IntStream.range(0, values.length).forEach(i -> values[i] = (float) (height * Math.sin(i * i)));
    return FloatTensor.of(values, dims);
  }
}
