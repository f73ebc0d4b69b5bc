///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.util.stream.IntStream;
import org.blocksparse.*;
import org.blocksparse.experts.*;
import org.blocksparse.softmax.*;

class Experts {
  public static void main(String[] args) {
    TopKGate gate = TopKGate.of(4, 2).withBalancing(0.01f); // of 4 experts, each row gets 2
    Optimizer adam = Optimizer.adam(0.01f);
    try (var experts = MixtureOfExperts.builder(6, 24, gate).biases().build();
        var softmax = HierarchicalSoftmax.builder(6, 128).build();
        var x = waves(128, 6); // 128 rows of 6 numbers, to be separated
        var labels = IntTensor.of(IntStream.range(0, 128).toArray(), 128);
        var out = FloatTensor.zeros(128, 6);
        var gradOut = FloatTensor.zeros(128, 6)) {
      while (softmax.steps() < 500) {
        try (var pass = experts.forward(x, out)) {
          softmax.step(out, labels, Loss.mean(), adam, gradOut);
          pass.step(gradOut, adam);
        }
      }
      experts.apply(x, out);
      System.out.println(softmax.topK(out, 1).output(42, 0)); // 42
    }
  }

  static FloatTensor waves(int rows, int columns) {
    float[] values = new float[rows * columns];
    IntStream.range(0, values.length).forEach(i -> values[i] = (float) Math.sin(i * i));
    return FloatTensor.of(values, rows, columns);
  }
}
