///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.util.*;
import java.util.stream.*;
import org.blocksparse.*;
import org.blocksparse.bag.*;
import org.blocksparse.linear.*;
import org.blocksparse.mixture.*;
import org.blocksparse.ranking.*;
import org.blocksparse.softmax.*;

class AddScores {
  static final int ITEMS = 300;

  public static void main(String[] args) {
    // Items have ten kinds. Users stay with a kind, and after item i they often take item i + 10.
    List<int[]> users = IntStream.range(0, 3000).mapToObj(AddScores::user).toList();
    List<int[]> before = users.stream().map(items -> Arrays.copyOf(items, 3)).toList();
    int[] next = users.stream().mapToInt(items -> items[3]).toArray();
    List<int[]> others = IntStream.range(3000, 3500).mapToObj(AddScores::user).toList();
    try (var bag = EmbeddingBag.builder(ITEMS, 16).mode(EmbeddingBag.Mode.MEAN).seed(1).build();
        var softmax = HierarchicalSoftmax.builder(16, ITEMS).seed(1).build();
        var counts = SparseRows.of(counts(users));
        var transitions = SparseWeights.of(counts, ITEMS);
        var x = SparseRows.of(before);
        var targets = IntTensor.of(next, next.length);
        var heldOut = recent(others);
        var right = SparseRows.of(others.stream().map(items -> new int[] {items[3]}).toList());
        var user = recent(List.of(new int[] {47, 27, 7, 0}))) {
      for (int step = 0; step < 150; step++) {
        try (var vectors = bag.apply(x);
            var gradient = FloatTensor.zeros(next.length, 16)) {
          softmax.step(vectors, targets, Loss.mean(), Optimizer.adagrad(0.2f), gradient);
          bag.step(x, gradient, Optimizer.adagrad(0.2f));
        }
      }
      Mixture mixture =
          Mixture.builder()
              .layer("embedding", bag, softmax)
              .weights("transitions", transitions)
              .build()
              .fit(List.of(heldOut), right);
      double alone = hits(mixture.withWeights(1, 0), heldOut, others);
      System.out.println(hits(mixture, heldOut, others) > alone + 0.05); // true
      Ranking best = mixture.topK(List.of(user), 5, Filter.without(47, 27, 7));
      System.out.println(best.output(0, 0)); // 17
      var shares = mixture.explain(List.of(user), 17);
      System.out.println(shares.get(1).scorer()); // transitions
      System.out.println(shares.get(1).terms().get(0).feature()); // 7
    }
  }

  /** Four items, the last of which comes next. */
  static int[] user(int number) {
    SplittableRandom random = new SplittableRandom(number);
    int kind = random.nextInt(10);
    int[] items = random.ints(4, 0, ITEMS / 10).map(i -> 10 * i + kind).toArray();
    if (random.nextInt(10) < 7) {
      items[3] = (items[2] + 10) % ITEMS;
    }
    return items;
  }

  /** For each item, those that followed it, each as often as it did. */
  static List<int[]> counts(List<int[]> users) {
    return IntStream.range(0, ITEMS)
        .mapToObj(i -> users.stream().filter(u -> u[2] == i).mapToInt(u -> u[3]).toArray())
        .toList();
  }

  /** The items before the last, of which the most recent count most. */
  static SparseRows recent(List<int[]> users) {
    return SparseRows.of(
        users.stream().map(items -> Arrays.copyOf(items, 3)).toList(),
        users.stream().map(items -> new float[] {0.25f, 0.5f, 1}).toList());
  }

  static double hits(Mixture mixture, SparseRows x, List<int[]> users) {
    Ranking ranking = mixture.topK(List.of(x), 5);
    long found =
        IntStream.range(0, users.size())
            .filter(row -> contains(ranking.outputs(row), users.get(row)[3]))
            .count();
    return (double) found / users.size();
  }

  static boolean contains(int[] outputs, int item) {
    return IntStream.of(outputs).anyMatch(output -> output == item);
  }
}
