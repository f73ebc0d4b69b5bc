///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.*;
import java.util.*;
import org.blocksparse.*;
import org.blocksparse.bag.*;
import org.blocksparse.io.*;
import org.blocksparse.ranking.*;
import org.blocksparse.softmax.*;

class HeldOutBaskets {
  static final List<String> ITEMS =
      List.of("tea", "milk", "bread", "butter", "rice", "beans", "salsa");
  static final int[][] BASKETS = { // numbers of items
    {0, 1, 2, 3}, {0, 1, 2}, {1, 2, 3}, {4, 5, 6}, {0, 1, 3}, {2, 3, 0}, {5, 6, 4}
  };
  static final int[][] HELD_OUT = {{0, 3, 2}, {1, 3, 2}, {4, 6, 5}}; // the last is to be found
  static final Optimizer ADAGRAD = Optimizer.adagrad(0.2f);
  static final SplittableRandom RANDOM = new SplittableRandom(1);

  public static void main(String[] args) throws IOException {
    Path bagFile = Files.createTempFile("bag", "");
    Path layerFile = Files.createTempFile("layer", "");
    try (var bag = EmbeddingBag.builder(ITEMS.size(), 16).build();
        var layer = HierarchicalSoftmax.builder(16, ITEMS.size()).build()) {
      layer.setLabels(Labels.of(ITEMS));
      double best = -1; // of the epochs so far; training ends after 10 that were no better
      for (int epoch = 1, bestEpoch = 1; epoch <= bestEpoch + 10; epoch++) {
        learn(bag, layer, BASKETS);
        double quality = quality(bag, layer, HELD_OUT);
        if (quality > best) {
          best = quality;
          bestEpoch = epoch;
          bag.save(bagFile, SaveOptions.defaults().withOptimizerState());
          layer.save(layerFile, SaveOptions.defaults().withOptimizerState());
        }
      }
      System.out.println(best); // 1.0
    }
    try (var bag = EmbeddingBag.load(bagFile);
        var layer = HierarchicalSoftmax.load(layerFile)) {
      // A customer has tea, milk and item 7, which is newer than the model; butter is sold out.
      UnknownIds unknown = UnknownIds.ignore();
      int[] has = {0, 1, 7};
      Filter inStock = Filter.without(3);
      System.out.println(next(bag, layer, has, inStock, unknown)); // bread
      // Item 7 counts twice: in the bag and in the filter.
      System.out.println(unknown.count()); // 2
    }
  }

  /** One epoch: each item of a basket comes next after a random part of the others. */
  static void learn(EmbeddingBag bag, HierarchicalSoftmax layer, int[][] baskets) {
    List<int[]> parts = new ArrayList<>();
    List<Integer> next = new ArrayList<>();
    for (int[] basket : baskets) {
      for (int item : basket) {
        double share = RANDOM.nextDouble();
        parts.add(
            Arrays.stream(basket)
                .filter(other -> other != item && RANDOM.nextDouble() < share)
                .toArray());
        next.add(item);
      }
    }
    try (var rows = SparseRows.of(parts);
        var targets = IntTensor.of(next.stream().mapToInt(item -> item).toArray(), next.size());
        var x = bag.apply(rows);
        var gradX = FloatTensor.zeros(x.shape())) {
      layer.step(x, targets, Loss.mean().withSmoothing(0.1f), ADAGRAD, gradX);
      bag.step(rows, gradX, ADAGRAD);
    }
  }

  /** The share of baskets whose last item is the likeliest after the others. */
  static double quality(EmbeddingBag bag, HierarchicalSoftmax layer, int[][] baskets) {
    Metrics metrics = Metrics.upTo(1);
    int[] last = Arrays.stream(baskets).mapToInt(basket -> basket[basket.length - 1]).toArray();
    try (var rows =
            SparseRows.of(
                Arrays.stream(baskets).map(b -> Arrays.copyOf(b, b.length - 1)).toList());
        var x = bag.apply(rows);
        var targets = IntTensor.of(last, last.length)) {
      metrics.add(layer.topK(x, 1, Filter.without(rows)), targets);
    }
    return metrics.recall(1);
  }

  /** The likeliest item for a customer who has some, of those in stock. */
  static String next(
      EmbeddingBag bag, HierarchicalSoftmax layer, int[] has, Filter inStock, UnknownIds unknown) {
    Filter isNew = Filter.without(has).withUnknownIds(unknown);
    try (var rows = SparseRows.of(List.of(has), bag.vocabulary(), unknown);
        var x = bag.apply(rows)) {
      return layer.topK(x, 1, inStock.and(isNew)).label(0, 0);
    }
  }
}
