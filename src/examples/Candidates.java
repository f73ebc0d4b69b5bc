///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.util.*;
import java.util.stream.*;
import org.blocksparse.*;
import org.blocksparse.ranking.*;
import org.blocksparse.softmax.*;

class Candidates {
  static final int ITEMS = 1000;

  public static void main(String[] args) {
    // Where each item lies, on a line. Customers of kind k buy items 10 k to 10 k + 9, wherever.
    double[] places = new SplittableRandom(1).doubles(ITEMS).toArray();
    try (var layer = HierarchicalSoftmax.builder(32, ITEMS).seed(1).build();
        var x = FloatTensor.zeros(100, 32);
        var bought = IntTensor.zeros(100)) {
      float[] kinds = new float[3200];
      SplittableRandom random = new SplittableRandom(2);
      for (int i = 0; i < kinds.length; i++) {
        kinds[i] = (float) random.nextGaussian();
      }
      x.copyFrom(kinds);
      for (int step = 0; step < 500; step++) {
        bought.copyFrom(IntStream.range(0, 100).map(k -> 10 * k + random.nextInt(10)).toArray());
        layer.step(x, bought, Optimizer.adagrad(0.1f));
      }
      // A customer of kind 42 at 0.5: what is near, then what is likeliest of that.
      int[] near = nearest(places, 0.5, 200);
      try (var customer = FloatTensor.of(Arrays.copyOfRange(kinds, 42 * 32, 43 * 32), 1, 32)) {
        Ranking best = layer.topK(customer, 1, Filter.only(near).withRenormalization());
        System.out.println(best.output(0, 0) / 10); // 42
        System.out.println(best.probability(0, 0) > 0.9); // true
      }
    }
  }

  /** Here by looking at all; HNSW does it in a graph, for vectors and for millions. */
  static int[] nearest(double[] places, double place, int count) {
    return IntStream.range(0, places.length)
        .boxed()
        .sorted(Comparator.comparingDouble(item -> Math.abs(places[item] - place)))
        .mapToInt(item -> item)
        .limit(count)
        .toArray();
  }
}
