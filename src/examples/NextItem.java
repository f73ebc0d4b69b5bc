///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.util.*;
import org.blocksparse.*;
import org.blocksparse.bag.*;
import org.blocksparse.ranking.*;
import org.blocksparse.softmax.*;

class NextItem {
  static final String[] ITEMS = {"tea", "milk", "bread", "butter", "rice", "beans", "salsa"};
  static final int[][] BASKETS = { // numbers of items, in the order of buying
    {0, 1, 2, 3}, {0, 1, 2}, {1, 2, 3}, {4, 5, 6}, {5, 4, 6}, {0, 1, 3}, {4, 6, 5}, {2, 3, 0}
  };

  public static void main(String[] args) {
    List<int[]> before = new ArrayList<>(); // each beginning of a basket, as a bag of items
    List<Integer> next = new ArrayList<>(); // and what was bought then
    for (int[] basket : BASKETS) {
      for (int i = 1; i < basket.length; i++) {
        before.add(Arrays.copyOf(basket, i));
        next.add(basket[i]);
      }
    }
    Optimizer adagrad = Optimizer.adagrad(0.2f);
    try (var bag = EmbeddingBag.builder(ITEMS.length, 16).build();
        var softmax = HierarchicalSoftmax.builder(16, ITEMS.length).build();
        var rows = SparseRows.of(before);
        var targets = IntTensor.of(next.stream().mapToInt(i -> i).toArray(), next.size());
        var gradX = FloatTensor.zeros(next.size(), 16)) {
      for (int epoch = 0; epoch < 200; epoch++) {
        try (var x = bag.apply(rows)) {
          softmax.step(x, targets, Loss.mean(), adagrad, gradX);
          bag.step(rows, gradX, adagrad);
        }
      }
      softmax.setLabels(Labels.of(List.of(ITEMS)));
      // A customer has tea and milk: what next, without what is there or sold out (butter, 3)?
      try (var has = SparseRows.of(List.of(new int[] {0, 1}));
          var x = bag.apply(has)) {
        System.out.println(softmax.topK(x, 1, Filter.without(0, 1, 3)).label(0, 0)); // bread
        // Bread is gone; honey is new, and one such customer has bought it.
        softmax.retire(2);
        try (var honey = IntTensor.of(new int[] {softmax.addOutputs(1, bag)}, 1)) {
          softmax.setLabels(softmax.labels().with("honey"));
          softmax.step(x, honey, adagrad);
        }
        System.out.println(softmax.topK(x, 1, Filter.without(0, 1, 3)).label(0, 0)); // honey
      }
    }
  }
}
