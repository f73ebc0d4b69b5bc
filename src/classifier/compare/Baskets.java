// SPDX-License-Identifier: Apache-2.0

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.*;
import org.blocksparse.bag.*;
import org.blocksparse.linear.*;
import org.blocksparse.ranking.*;
import org.blocksparse.softmax.*;

/**
 * Looks for the item that is hidden in each basket, and prints how often it is among the first ten:
 * {@code java Baskets.java FILE}, with a line of names for each basket.
 *
 * <p>Of equal lines one stays. A tenth of the baskets chooses settings, another is the test, both
 * by the hash of the line.
 */
class Baskets {
  static final int PARTS = 10;
  static final int TOP = 10;

  /** Items that are kept for a basket: enough to add the scores of two models. */
  static final int KEPT = 200;

  static final int FEATURES = 256;
  static final int EPOCHS = 12;
  static final int BATCH = 512;
  static final float RATE = 0.1f;
  static final float SMOOTHING = 0.1f;

  /** What is seen of each basket, and the hidden item; -1 if it is in no other basket. */
  record HeldOut(List<int[]> seen, int[] hidden) {}

  /** The scores of items for the baskets to choose by and for the test. */
  record Answers(List<Map<Integer, Double>> validation, List<Map<Integer, Double>> test) {}

  final Map<String, Integer> items = new HashMap<>();
  final List<int[]> training;
  final HeldOut validation;
  final HeldOut test;
  final int[] counts;
  final Map<Integer, Double> popular = new HashMap<>();
  final Random random = new Random(1);

  Baskets(Collection<String> lines) {
    Map<String, Integer> found = new HashMap<>();
    part(lines, 2, PARTS)
        .flatMap(line -> Stream.of(line.split(" ")))
        .forEach(name -> found.merge(name, 1, Integer::sum));
    found.values().removeIf(count -> count < 2);
    found.keySet().stream().sorted().forEach(name -> items.put(name, items.size()));
    training =
        part(lines, 2, PARTS)
            .map(line -> known(line.split(" ")))
            .filter(basket -> basket.length > 1)
            .toList();
    validation = heldOut(part(lines, 1, 2).toList());
    test = heldOut(part(lines, 0, 1).toList());
    counts = new int[items.size()];
    training.forEach(basket -> Arrays.stream(basket).forEach(item -> counts[item]++));
    IntStream.range(0, counts.length)
        .boxed()
        .sorted((a, b) -> counts[b] - counts[a])
        .limit(KEPT)
        .forEach(item -> popular.put(item, 1e-9 * counts[item])); // decides only between equals
  }

  static Stream<String> part(Collection<String> lines, int begin, int end) {
    return lines.stream()
        .filter(line -> Math.floorMod(line.hashCode(), PARTS) >= begin)
        .filter(line -> Math.floorMod(line.hashCode(), PARTS) < end);
  }

  int[] known(String... names) {
    return Stream.of(names).filter(items::containsKey).mapToInt(items::get).toArray();
  }

  HeldOut heldOut(List<String> lines) {
    List<int[]> seen = new ArrayList<>();
    int[] hidden = new int[lines.size()];
    for (int i = 0; i < hidden.length; i++) {
      List<String> names = new ArrayList<>(List.of(lines.get(i).split(" ")));
      int which = Math.floorMod(Integer.rotateRight(lines.get(i).hashCode(), 16), names.size());
      hidden[i] = items.getOrDefault(names.remove(which), -1);
      seen.add(known(names.toArray(String[]::new)));
    }
    return new HeldOut(seen, hidden);
  }

  /** Items count by a power of their inverse document frequency; each bag has a norm of 1. */
  SparseRows rows(List<int[]> bags, double power, int norm) {
    return SparseRows.of(bags, bags.stream().map(bag -> weights(bag, power, norm)).toList());
  }

  float[] weights(int[] bag, double power, int norm) {
    double[] weights =
        Arrays.stream(bag)
            .mapToDouble(item -> Math.pow(Math.log((1.0 + training.size()) / counts[item]), power))
            .toArray();
    double sum = Arrays.stream(weights).map(weight -> Math.pow(weight, norm)).sum();
    float[] values = new float[bag.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (weights[i] / Math.pow(sum, 1.0 / norm));
    }
    return values;
  }

  // ------------------------------------------------------------------------------------ item-kNN

  Map<Integer, Double> popular(int... seen) {
    Map<Integer, Double> scores = new HashMap<>(popular);
    Arrays.stream(seen).forEach(scores::remove);
    return scores;
  }

  /** P(j given i), summed over the items i that were seen, each by its idf. */
  Answers neighbours() {
    List<Map<Integer, Integer>> together = new ArrayList<>();
    IntStream.range(0, counts.length).forEach(item -> together.add(new HashMap<>()));
    for (int[] basket : training) {
      for (int item : basket) {
        for (int other : basket) {
          together.get(item).merge(other, 1, Integer::sum);
        }
      }
    }
    return answers(
        seen -> {
          Map<Integer, Double> scores = popular(seen);
          for (int item : seen) {
            double weight = Math.log((1.0 + training.size()) / counts[item]) / counts[item];
            together
                .get(item)
                .forEach((other, count) -> scores.merge(other, weight * count, Double::sum));
          }
          Arrays.stream(seen).forEach(scores::remove);
          return scores;
        });
  }

  Answers answers(Function<int[], Map<Integer, Double>> model) {
    return new Answers(
        validation.seen.stream().map(model).map(Baskets::best).toList(),
        test.seen.stream().map(model).map(Baskets::best).toList());
  }

  /** The best items; their scores are made to sum to 1. */
  static Map<Integer, Double> best(Map<Integer, Double> scores) {
    Map<Integer, Double> best = new HashMap<>();
    first(scores, KEPT).forEach(item -> best.put(item, scores.get(item)));
    double sum = best.values().stream().mapToDouble(score -> score).sum();
    best.replaceAll((item, score) -> score / sum);
    return best;
  }

  static Stream<Integer> first(Map<Integer, Double> scores, int count) {
    return scores.keySet().stream()
        .sorted((a, b) -> Double.compare(scores.get(b), scores.get(a)))
        .limit(count);
  }

  // -------------------------------------------------------------------------------------- layers

  static List<Map<Integer, Double>> scores(Ranking ranking) {
    List<Map<Integer, Double>> all = new ArrayList<>();
    for (int row = 0; row < ranking.batch(); row++) {
      Map<Integer, Double> scores = new HashMap<>();
      for (int rank = 0; rank < ranking.size(row); rank++) {
        scores.put(ranking.output(row, rank), ranking.probability(row, rank));
      }
      all.add(best(scores));
    }
    return all;
  }

  /** Each item of a basket with a random part of the others: the last of the list is the item. */
  List<int[]> parts() {
    List<int[]> parts = new ArrayList<>();
    for (int[] basket : training) {
      for (int item : basket) {
        double share = random.nextDouble();
        int[] part =
            Arrays.stream(basket)
                .filter(other -> other != item && random.nextDouble() < share)
                .toArray();
        if (part.length > 0) {
          parts.add(IntStream.concat(Arrays.stream(part), IntStream.of(item)).toArray());
        }
      }
    }
    Collections.shuffle(parts, random);
    return parts;
  }

  static List<int[]> others(List<int[]> parts) {
    return parts.stream().map(part -> Arrays.copyOf(part, part.length - 1)).toList();
  }

  static int[] last(List<int[]> parts) {
    return parts.stream().mapToInt(part -> part[part.length - 1]).toArray();
  }

  static SparseRows single(int... items) {
    return SparseRows.of(Arrays.stream(items).mapToObj(item -> new int[] {item}).toList());
  }

  /** A bag and a softmax; of all epochs the best on the validation baskets. */
  Answers softmax() {
    List<int[]> parts = parts();
    ClassAssignment classes;
    try (var seen = rows(others(parts), 0.5, 1);
        var next = single(last(parts))) {
      classes = ClassAssignment.clustered(seen, next, items.size(), 1);
    }
    Answers best = null;
    try (var bag =
            EmbeddingBag.builder(items.size(), FEATURES).mode(EmbeddingBag.Mode.SUM).build();
        var layer = HierarchicalSoftmax.builder(FEATURES, items.size()).classes(classes).build()) {
      for (int epoch = 0; epoch < EPOCHS; epoch++) {
        learn(bag, layer, parts(), epoch);
        Answers answers = new Answers(scores(bag, layer, validation), scores(bag, layer, test));
        if (best == null
            || hits(answers.validation, validation) > hits(best.validation, validation)) {
          best = answers;
        }
      }
    }
    return best;
  }

  void learn(EmbeddingBag bag, HierarchicalSoftmax layer, List<int[]> parts, int epoch) {
    int steps = parts.size() / BATCH;
    try (var gradX = FloatTensor.zeros(BATCH, FEATURES)) {
      for (int step = 0; step < steps; step++) {
        double left = 1 - (epoch + (double) step / steps) / EPOCHS;
        Optimizer adagrad = Optimizer.adagrad((float) (RATE * left));
        List<int[]> batch = parts.subList(step * BATCH, (step + 1) * BATCH);
        try (var seen = rows(others(batch), 0.5, 1);
            var x = bag.apply(seen);
            var targets = IntTensor.of(last(batch), BATCH)) {
          layer.step(x, targets, Loss.mean().withSmoothing(SMOOTHING), adagrad, gradX);
          bag.step(seen, gradX, adagrad);
        }
      }
    }
  }

  List<Map<Integer, Double>> scores(EmbeddingBag bag, HierarchicalSoftmax layer, HeldOut baskets) {
    try (var rows = rows(baskets.seen, 0.5, 1);
        var x = bag.apply(rows)) {
      return scores(layer.topK(x, KEPT, Filter.without(rows)));
    }
  }

  Answers tree() {
    List<int[]> others = new ArrayList<>();
    List<Integer> next = new ArrayList<>();
    for (int[] basket : training) {
      for (int item : basket) {
        others.add(Arrays.stream(basket).filter(other -> other != item).toArray());
        next.add(item);
      }
    }
    try (var x = rows(others, 1, 2);
        var targets = single(next.stream().mapToInt(item -> item).toArray());
        var tree = LinearLabelTree.builder(items.size(), items.size()).train(x, targets);
        var first = rows(validation.seen, 1, 2);
        var second = rows(test.seen, 1, 2)) {
      return new Answers(
          scores(tree.topK(first, KEPT, Filter.without(first))),
          scores(tree.topK(second, KEPT, Filter.without(second))));
    }
  }

  // --------------------------------------------------------------------------------------- table

  static double hits(List<Map<Integer, Double>> scores, HeldOut baskets) {
    return IntStream.range(0, baskets.hidden.length)
        .mapToLong(i -> first(scores.get(i), TOP).filter(n -> n == baskets.hidden[i]).count())
        .average()
        .orElseThrow();
  }

  /**
   * The scores of two models, added by the share of the second that is best on the validation
   * baskets.
   */
  Answers sum(String name, Answers first, Answers second) {
    double bestShare = 0;
    double bestHits = -1;
    for (int tenths = 0; tenths <= 10; tenths++) {
      double share = tenths / 10.0;
      double hits = hits(sum(first.validation, second.validation, share), validation);
      if (hits > bestHits) {
        bestHits = hits;
        bestShare = share;
      }
    }
    Answers sum =
        new Answers(
            sum(first.validation, second.validation, bestShare),
            sum(first.test, second.test, bestShare));
    return row(String.format(Locale.ROOT, name, bestShare), sum);
  }

  static List<Map<Integer, Double>> sum(
      List<Map<Integer, Double>> first, List<Map<Integer, Double>> second, double share) {
    List<Map<Integer, Double>> sums = new ArrayList<>();
    for (int i = 0; i < first.size(); i++) {
      Map<Integer, Double> sum = new HashMap<>();
      first.get(i).forEach((item, score) -> sum.put(item, (1 - share) * score));
      second.get(i).forEach((item, score) -> sum.merge(item, share * score, Double::sum));
      sums.add(best(sum));
    }
    return sums;
  }

  Answers row(String name, Answers answers) {
    System.out.printf(
        Locale.ROOT,
        "| %s | %.3f | %.3f |%n",
        name,
        hits(answers.validation, validation),
        hits(answers.test, test));
    return answers;
  }

  public static void main(String[] args) throws Exception {
    Baskets all = new Baskets(new LinkedHashSet<>(Files.readAllLines(Path.of(args[0]))));
    System.out.printf(
        "%,d items; %,d baskets to learn, %,d to validate, %,d to test with%n%n",
        all.items.size(),
        all.training.size(),
        all.validation.hidden.length,
        all.test.hidden.length);
    System.out.println("| | hit@10, validation | hit@10, test |");
    System.out.println("|---|---|---|");
    all.row("the 10 most popular", all.answers(all::popular));
    Answers counts = all.row("item-kNN, P(j given i) by idf", all.neighbours());
    Answers softmax = all.row("`EmbeddingBag` and `HierarchicalSoftmax`", all.softmax());
    Answers tree = all.row("`LinearLabelTree`", all.tree());
    Answers both = all.sum("both, %.1f of the tree", softmax, tree);
    all.sum("both and item-kNN, %.1f of it", both, counts);
  }
}
