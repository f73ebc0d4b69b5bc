// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.classifier.examples.*;
import org.blocksparse.classifier.nextitem.*;
import org.blocksparse.ranking.Metrics;

/**
 * Predicts the last basket of each user: {@code java NextBaskets.java FILE}, with lines of {@code
 * user item,item item ...}, the oldest basket first.
 *
 * <p>GP-Top ranks the items of a user by how many baskets have them, then all others by popularity
 * (Li et al., 2021, A next basket recommendation reality check). TIFU-kNN (Hu et al., SIGIR 2020,
 * Modeling personalized item frequency information for next-basket recommendation) divides the n
 * baskets of a user into groups of m, of which the oldest may have fewer; b_ij is basket j of the
 * m_i baskets of group i of k, as a vector of zeros and ones:
 *
 * <pre>
 * g_i = sum_j r_b^(m_i - j) b_ij / m_i      u = sum_i r_g^(k - i) g_i / k
 * scores = a u + (1 - a) mean of u over the nearest other users, by Euclidean distance
 * </pre>
 *
 * <p>The basket before the last chooses the settings of TIFU-kNN by nDCG@10. All then learn it, as
 * {@code next-item train} does. Items that no earlier basket has count as missed.
 */
class NextBaskets {
  static final int[] CUTOFFS = {10, 20};
  static final double WITHIN_GROUP = 0.9;
  static final double BETWEEN_GROUPS = 0.7;
  static final int[] GROUP_SIZES = {3, 7};
  static final int[] NEIGHBORS = {100, 300, 900};
  static final double[] SHARES = {0.2, 0.5, 0.7, 0.9};

  /** A sparse vector: item numbers in ascending order, and their values. */
  record Vector(int[] items, float[] values) {
    double squares() {
      return IntStream.range(0, items.length).mapToDouble(i -> values[i] * values[i]).sum();
    }

    void addTo(float[] sums, double factor) {
      for (int i = 0; i < items.length; i++) {
        sums[items[i]] += (float) (factor * values[i]);
      }
    }
  }

  /** The parameters of TIFU-kNN. */
  record Setting(int groupSize, int neighbors, double share) {
    @Override
    public String toString() {
      return "TIFU-kNN, groups of " + groupSize + ", " + neighbors + " neighbors, a = " + share;
    }
  }

  /** Baskets of each user without the last, which is the target; items are numbers. */
  final List<int[][]> known = new ArrayList<>();

  /** Distinct items; -1 is one that no known basket has. */
  final List<int[]> targets = new ArrayList<>();

  final int items;

  NextBaskets(List<List<List<String>>> histories) {
    Map<String, Integer> numbers = new HashMap<>();
    for (List<List<String>> history : histories) {
      known.add(
          history.subList(0, history.size() - 1).stream()
              .map(
                  basket ->
                      basket.stream()
                          .mapToInt(item -> numbers.computeIfAbsent(item, i -> numbers.size()))
                          .toArray())
              .toArray(int[][]::new));
    }
    items = numbers.size();
    for (List<List<String>> history : histories) {
      List<String> last = history.get(history.size() - 1);
      targets.add(last.stream().mapToInt(item -> numbers.getOrDefault(item, -1)).toArray());
    }
  }

  /** Returns the baskets of the users with at least two, each with distinct items. */
  static List<List<List<String>>> read(Path file) throws IOException {
    List<List<List<String>>> users = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      List<List<String>> baskets =
          Arrays.stream(line.strip().split("[ \t]+"))
              .skip(1)
              .map(word -> Stream.of(word.split(",")).filter(i -> !i.isEmpty()).distinct().toList())
              .toList();
      if (baskets.size() > 1) {
        users.add(baskets);
      }
    }
    return users;
  }

  // ------------------------------------------------------------------------------------- rivals

  /**
   * Returns the measures of ranking the items of a user by the number of baskets, then others by
   * popularity.
   */
  double[] personalThenPopular() {
    float[] popularity = new float[items];
    known.forEach(history -> count(history, popularity));
    float most = 1;
    for (float count : popularity) {
      most = Math.max(most, count);
    }
    double[] sums = new double[2 * CUTOFFS.length];
    for (int user = 0; user < known.size(); user++) {
      float[] scores = popularity.clone();
      for (int item = 0; item < items; item++) {
        scores[item] /= most + 1;
      }
      count(known.get(user), scores);
      add(measures(scores, targets.get(user)), sums);
    }
    return mean(sums);
  }

  static void count(int[][] history, float[] counts) {
    Stream.of(history).flatMapToInt(IntStream::of).forEach(item -> counts[item]++);
  }

  /** Returns the vectors u of the users. */
  List<Vector> vectors(int groupSize) {
    List<Vector> vectors = new ArrayList<>();
    for (int[][] history : known) {
      int groups = (history.length + groupSize - 1) / groupSize;
      Map<Integer, Float> sums = new TreeMap<>();
      for (int age = 0; age < history.length; age++) {
        int group = age / groupSize;
        int size = Math.min(groupSize, history.length - group * groupSize);
        double weight = Math.pow(WITHIN_GROUP, age % groupSize) / size;
        weight *= Math.pow(BETWEEN_GROUPS, group) / groups;
        for (int item : history[history.length - 1 - age]) {
          sums.merge(item, (float) weight, Float::sum);
        }
      }
      float[] values = new float[sums.size()];
      int[] of = sums.keySet().stream().mapToInt(i -> i).toArray();
      for (int i = 0; i < of.length; i++) {
        values[i] = sums.get(of[i]);
      }
      vectors.add(new Vector(of, values));
    }
    return vectors;
  }

  /** Returns the measures of TIFU-kNN for each setting, all with groups of one size. */
  List<double[]> tifu(List<Setting> settings) {
    List<Vector> vectors = vectors(settings.get(0).groupSize);
    int[] sizes = new int[items];
    vectors.forEach(vector -> IntStream.of(vector.items).forEach(item -> sizes[item]++));
    int[][] usersOf = new int[items][];
    float[][] valuesOf = new float[items][];
    for (int item = 0; item < items; item++) {
      usersOf[item] = new int[sizes[item]];
      valuesOf[item] = new float[sizes[item]];
    }
    for (int user = 0; user < vectors.size(); user++) {
      Vector vector = vectors.get(user);
      for (int i = 0; i < vector.items.length; i++) {
        int at = --sizes[vector.items[i]];
        usersOf[vector.items[i]][at] = user;
        valuesOf[vector.items[i]][at] = vector.values[i];
      }
    }
    double[] squares = vectors.stream().mapToDouble(Vector::squares).toArray();
    int most = settings.stream().mapToInt(Setting::neighbors).max().orElseThrow();
    List<double[][]> each =
        IntStream.range(0, vectors.size())
            .parallel()
            .mapToObj(
                user -> {
                  double[] distances = squares.clone();
                  Vector own = vectors.get(user);
                  for (int i = 0; i < own.items.length; i++) {
                    int[] users = usersOf[own.items[i]];
                    float[] values = valuesOf[own.items[i]];
                    for (int at = 0; at < users.length; at++) {
                      distances[users[at]] -= 2.0 * own.values[i] * values[at];
                    }
                  }
                  distances[user] = Double.POSITIVE_INFINITY;
                  return measures(user, settings, vectors, nearest(distances, most));
                })
            .toList();
    List<double[]> means = new ArrayList<>();
    for (int s = 0; s < settings.size(); s++) {
      double[] sums = new double[2 * CUTOFFS.length];
      int setting = s;
      each.forEach(of -> add(of[setting], sums));
      means.add(mean(sums));
    }
    return means;
  }

  /**
   * Returns the numbers of the smallest distances, in ascending order, except the last, the user's
   * own.
   */
  static int[] nearest(double[] distances, int most) {
    long[] order = new long[distances.length];
    for (int user = 0; user < order.length; user++) {
      int bits = Float.floatToIntBits((float) distances[user]);
      bits ^= bits >> 31 & Integer.MAX_VALUE; // makes integers have the order of floats
      order[user] = (long) bits << 32 | user;
    }
    Arrays.sort(order);
    return IntStream.range(0, Math.min(most, order.length - 1)).map(i -> (int) order[i]).toArray();
  }

  double[][] measures(int user, List<Setting> settings, List<Vector> vectors, int... nearest) {
    double[][] measures = new double[settings.size()][];
    for (int s = 0; s < measures.length; s++) {
      Setting setting = settings.get(s);
      int count = Math.min(setting.neighbors, nearest.length);
      float[] scores = new float[items];
      for (int i = 0; i < count; i++) {
        vectors.get(nearest[i]).addTo(scores, (1 - setting.share) / count);
      }
      vectors.get(user).addTo(scores, setting.share);
      measures[s] = measures(scores, targets.get(user));
    }
    return measures;
  }

  // ----------------------------------------------------------------------------------- measures

  /** Returns recall and nDCG at each cutoff. */
  static double[] measures(float[] scores, int... sought) {
    int most = CUTOFFS[CUTOFFS.length - 1];
    int[] best = new int[Math.min(most, scores.length)];
    int size = 0;
    for (int item = 0; item < scores.length; item++) {
      if (size == best.length && !(scores[item] > scores[best[size - 1]])) {
        continue;
      }
      int at = size < best.length ? size++ : size - 1;
      for (; at > 0 && scores[item] > scores[best[at - 1]]; at--) {
        best[at] = best[at - 1];
      }
      best[at] = item;
    }
    double[] measures = new double[2 * CUTOFFS.length];
    for (int c = 0; c < CUTOFFS.length; c++) {
      double ideal = 0;
      for (int rank = 0; rank < CUTOFFS[c]; rank++) {
        double discount = 1 / Math.log(rank + 2);
        int item = rank < size ? best[rank] : -2;
        if (IntStream.of(sought).anyMatch(target -> target == item)) {
          measures[2 * c] += 1.0 / sought.length;
          measures[2 * c + 1] += discount;
        }
        ideal += rank < sought.length ? discount : 0;
      }
      measures[2 * c + 1] /= ideal;
    }
    return measures;
  }

  static void add(double[] values, double[] sums) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += values[i];
    }
  }

  double[] mean(double... sums) {
    return Arrays.stream(sums).map(sum -> sum / known.size()).toArray();
  }

  static void print(String name, double... measures) {
    System.out.printf(Locale.ROOT, "| %s |", name);
    for (int i = 0; i < measures.length; i += 2) {
      System.out.printf(Locale.ROOT, " %.4f / %.4f |", measures[i], measures[i + 1]);
    }
    System.out.println();
  }

  // --------------------------------------------------------------------------------------- ours

  /** Returns the items of all baskets of each user without the given number of last ones. */
  static List<Sequence> sequences(List<List<List<String>>> histories, int without) {
    List<Sequence> sequences = new ArrayList<>();
    for (List<List<String>> history : histories) {
      List<List<String>> baskets = history.subList(0, history.size() - without);
      List<String> all = baskets.stream().flatMap(List::stream).toList();
      sequences.add(new Sequence("", all, baskets.get(baskets.size() - 1).size()));
    }
    return sequences;
  }

  static void ours(List<List<List<String>>> histories) {
    long began = System.nanoTime();
    NextItemOptions options = NextItemOptions.defaults().withFormat(SequenceFormat.HISTORIES);
    try (NextItem model = NextItem.train(sequences(histories, 1), options)) {
      double seconds = (System.nanoTime() - began) * 1e-9;
      for (Repeats repeats : List.of(model.repeats(), Repeats.EXCLUDE)) {
        String which = repeats == Repeats.EXCLUDE ? ", new items alone" : "";
        double[] measures = new double[2 * CUTOFFS.length];
        Metrics metrics =
            model.evaluate(sequences(histories, 0), CUTOFFS[CUTOFFS.length - 1], repeats);
        for (int c = 0; c < CUTOFFS.length; c++) {
          measures[2 * c] = metrics.recall(CUTOFFS[c]);
          measures[2 * c + 1] = metrics.ndcg(CUTOFFS[c]);
        }
        print("**`next-item train`**" + which, measures);
        if (repeats == model.repeats() && repeats == Repeats.EXCLUDE) {
          break;
        }
      }
      System.out.printf(Locale.ROOT, "%nnext-item train: %.0f s%n%s%n", seconds, model.info());
    }
  }

  public static void main(String[] args) throws Exception {
    Path file = Path.of(args[0]);
    List<List<List<String>>> histories = read(file);
    NextBaskets test = new NextBaskets(histories);
    NextBaskets before =
        new NextBaskets(
            histories.stream()
                .filter(history -> history.size() > 2)
                .map(history -> history.subList(0, history.size() - 1))
                .toList());
    System.out.printf(
        "## %s%n%,d users, %,d items%n%n", file.getFileName(), histories.size(), test.items);
    System.out.printf("| | recall / nDCG@10 | recall / nDCG@20 |%n|---|---|---|%n");
    print("GP-Top", test.personalThenPopular());
    Setting best = null;
    double bestNdcg = -1;
    for (int groupSize : GROUP_SIZES) {
      List<Setting> settings = new ArrayList<>();
      for (int neighbors : NEIGHBORS) {
        for (double share : SHARES) {
          settings.add(new Setting(groupSize, neighbors, share));
        }
      }
      List<double[]> measures = before.tifu(settings);
      for (int s = 0; s < settings.size(); s++) {
        if (measures.get(s)[1] > bestNdcg) {
          bestNdcg = measures.get(s)[1];
          best = settings.get(s);
        }
      }
    }
    print(best.toString(), test.tifu(List.of(best)).get(0));
    ours(histories);
  }
}
