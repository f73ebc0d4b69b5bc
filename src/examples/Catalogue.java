///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.util.*;
import org.blocksparse.*;

class Catalogue {
  public static void main(String[] args) {
    List<String> items = List.of("tea", "milk", "bread", "butter", "rice", "beans");
    // Two kinds of users, and what they have bought: 0, 1 and 2, or 3, 4 and 5.
    try (var layer = HierarchicalSoftmax.builder(2, items.size()).classes(2).build();
        var users = FloatTensor.of(new float[] {1, 0, 0, 1}, 2, 2);
        var bought = IntTensor.zeros(2);
        var right = SparseRows.of(List.of(new int[] {0, 1, 2}, new int[] {3, 4, 5}));
        var seen = SparseRows.of(List.of(new int[] {0}, new int[] {5}))) {
      for (int step = 0; step < 300; step++) {
        bought.copyFrom(new int[] {step % 3, 3 + step % 3});
        layer.step(users, bought, Optimizer.adagrad(0.1f));
      }
      layer.setLabels(Labels.of(items));
      // The best for each user, of what is in stock but for what the user has seen.
      Filter inStock = Filter.without(2, 4); // no bread, no rice; the same filter for all calls
      Ranking best = layer.topK(users, 1, inStock.and(Filter.without(seen)));
      System.out.println(best.label(0, 0) + ", " + best.label(1, 0)); // milk, butter
      System.out.println(likeliest(layer, users, "bread", "beans")); // bread
      System.out.println(quality(layer, users, right)); // P@1 1.0, R@3 1.0, nDCG@3 1.0
      try (var served = update(layer, users, 0, 1)) { // an item for each user; no tea, no milk
        System.out.println(served.outputs() + ", " + served.topK(users, 9).size(0)); // 8, 6
      }
    }
  }

  /** The name of the likeliest of some outputs, which are given by their names. */
  static String likeliest(HierarchicalSoftmax layer, FloatTensor x, String... candidates) {
    int[] outputs = Arrays.stream(candidates).mapToInt(layer.labels()::output).toArray();
    return layer.topK(x, 1, Filter.only(outputs)).label(0, 0);
  }

  /** How good a layer is on held-out rows, which have several right labels each. */
  static String quality(HierarchicalSoftmax layer, FloatTensor heldOut, SparseRows labels) {
    Metrics metrics = Metrics.upTo(3);
    metrics.add(layer.topK(heldOut, 3), labels); // batch by batch, if there are many
    return "P@1 %s, R@3 %s, nDCG@3 %s"
        .formatted(metrics.precision(1), metrics.recall(3), metrics.ndcg(3));
  }

  /** Adds an item for each vector, takes old ones out, and gives the new layer to the server. */
  static HierarchicalSoftmax update(HierarchicalSoftmax trained, FloatTensor items, int... sold) {
    trained.addOutputs(items);
    trained.retire(sold);
    return trained.copy(); // serves while the other is trained and grows
  }
}
