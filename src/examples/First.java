///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import org.blocksparse.*;
import org.blocksparse.softmax.*;

public class First {
  public static void main(String[] args) {
    // Two rows of two features; each has one of a million labels.
    try (var layer = HierarchicalSoftmax.builder(2, 1_000_000).build();
        var x = FloatTensor.of(new float[] {1, 0, 0, 1}, 2, 2);
        var labels = IntTensor.of(new int[] {7, 700_000}, 2)) {
      for (int step = 0; step < 20; step++) {
        layer.step(x, labels, Optimizer.adagrad(0.5f));
      }
      System.out.println(layer.topK(x, 1).output(1, 0)); // 700000
    }
  }
}
