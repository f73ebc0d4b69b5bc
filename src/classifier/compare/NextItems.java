// SPDX-License-Identifier: Apache-2.0

import static org.bytedeco.openblas.global.openblas.LAPACKE_spotrf;
import static org.bytedeco.openblas.global.openblas.LAPACKE_spotri;
import static org.bytedeco.openblas.global.openblas.LAPACK_ROW_MAJOR;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.blocksparse.classifier.*;
import org.blocksparse.classifier.examples.*;
import org.blocksparse.classifier.nextitem.*;
import org.blocksparse.classifier.training.*;
import org.blocksparse.ranking.Metrics;
import org.bytedeco.javacpp.FloatPointer;

/**
 * Compares recommenders of next items: {@code java NextItems.java (sequences|events|baskets)
 * FILE...}, or {@code clicks TRAIN TEST}.
 *
 * <p>Sequences, and events with times: the last item of each user is the test, the one before is
 * for choosing settings, and the others are learned. Baskets, of which equal ones count once: a
 * tenth is the test and another for choosing settings, by the hash of the line, which also chooses
 * the hidden item. All items are ranked but those of the history. Settings of every row, ours
 * included, are those with the highest nDCG@10 on validation. The last row also learns the items or
 * baskets for choosing settings, as {@code next-item train} does; others, and published ones, do
 * not. Items get new numbers: those of the files can leak the order of time.
 *
 * <p>Clicks are events of sessions, which come back to items: all items are ranked. Each click of
 * the test sessions is predicted from those before it. The last click of each session of the
 * training chooses settings, by MRR@20; then every row learns it.
 */
class NextItems {
  static final int MOST_TO_CHOOSE = 3000;

  /** Dense matrices of more items take too long. */
  static final int MOST_ITEMS_OF_EASE = 15_000;

  /** A model that scores all items, given a history. */
  interface Model {
    float[] scores(int... history);
  }

  /** A history and the next item; -1 if no model knows it. */
  record Case(int[] history, int target) {}

  /**
   * The means over cases.
   *
   * @param gain nDCG; of clicks, MRR
   */
  record Score(double hits, double gain) {}

  /**
   * Sequences by their use.
   *
   * @param given the learned sequences and those that choose settings, for a training that does
   *     both
   */
  record Split(
      List<Sequence> learned,
      List<Sequence> validation,
      List<Sequence> given,
      List<Sequence> test) {
    Split() {
      this(new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    }

    static Split ofSequences(List<Sequence> all) {
      Split split = new Split();
      all.forEach(split::addSequence);
      return split;
    }

    static Split ofBaskets(List<Sequence> all) {
      Split split = new Split();
      Set<List<String>> seen = new HashSet<>();
      all.stream().filter(basket -> seen.add(basket.items())).forEach(split::addBasket);
      return split;
    }

    static Split ofClicks(List<Sequence> sessions, List<Sequence> test) {
      List<Sequence> validation = sessions.stream().filter(s -> s.items().size() > 1).toList();
      List<Sequence> learned =
          sessions.stream().map(s -> s.items().size() > 1 ? s.withoutLast() : s).toList();
      List<Sequence> next = test.stream().filter(s -> s.items().size() > 1).toList();
      return new Split(learned, validation, sessions, next);
    }

    private void addSequence(Sequence s) {
      int size = s.items().size();
      if (size > 2) {
        learned.add(new Sequence(s.user(), s.items().subList(0, size - 2)));
        validation.add(new Sequence(s.user(), s.items().subList(0, size - 1)));
        given.add(validation.get(validation.size() - 1));
        test.add(s);
      } else {
        learned.add(s);
        given.add(s);
      }
    }

    private void addBasket(Sequence basket) {
      int hash = String.join(" ", basket.items()).hashCode();
      int part = Math.floorMod(hash, 10);
      if (part > 0) {
        given.add(basket);
      }
      if (part > 1) {
        learned.add(basket);
        return;
      }
      List<String> names = new ArrayList<>(basket.items());
      names.add(names.remove(Math.floorMod(Integer.rotateRight(hash, 16), names.size())));
      (part == 0 ? test : validation).add(new Sequence(basket.user(), names));
    }
  }

  final boolean ordered;

  /** Whether items of the history are ranked, too. */
  final boolean comeBack;

  final int top;
  final Map<String, Integer> numbers = new HashMap<>();
  final Split split;
  final List<int[]> sequences;
  final int items;
  final int[] counts;
  final List<Case> toChoose;
  final List<Case> toTest;
  final List<String> details = new ArrayList<>();

  /** The data learned by the rows of the test: with comebacks, also what chooses settings. */
  final NextItems tested;

  NextItems(Split split, boolean ordered, boolean comeBack) {
    this.split = split;
    this.ordered = ordered;
    this.comeBack = comeBack;
    this.top = comeBack ? 20 : 10;
    split.learned.forEach(
        s -> s.items().forEach(item -> numbers.computeIfAbsent(item, i -> numbers.size())));
    items = numbers.size();
    sequences = split.learned.stream().map(s -> known(s.items())).toList();
    counts = new int[items];
    sequences.forEach(s -> Arrays.stream(s).forEach(item -> counts[item]++));
    toTest = split.test.stream().map(this::heldOut).toList();
    List<Case> some = new ArrayList<>(split.validation.stream().map(this::heldOut).toList());
    Collections.shuffle(some, new Random(1));
    toChoose = some.subList(0, Math.min(MOST_TO_CHOOSE, some.size()));
    boolean learnsMore = comeBack && split.learned != split.given;
    tested =
        learnsMore
            ? new NextItems(
                new Split(split.given, List.of(), split.given, split.test), ordered, true)
            : this;
  }

  int[] known(List<String> names) {
    return names.stream().filter(numbers::containsKey).mapToInt(numbers::get).toArray();
  }

  Case heldOut(Sequence s) {
    int last = s.items().size() - 1;
    return new Case(
        known(s.items().subList(0, last)), numbers.getOrDefault(s.items().get(last), -1));
  }

  Score measure(Model model, List<Case> cases) {
    double[][] each = cases.parallelStream().map(c -> gains(model, c)).toArray(double[][]::new);
    return new Score(
        Arrays.stream(each).mapToDouble(g -> g[0]).sum() / each.length,
        Arrays.stream(each).mapToDouble(g -> g[1]).sum() / each.length);
  }

  /** Returns hit and gain; among items with equal scores, the target is in the middle. */
  double[] gains(Model model, Case c) {
    if (c.target < 0 || !comeBack && Arrays.stream(c.history).anyMatch(item -> item == c.target)) {
      return new double[2];
    }
    float[] scores = model.scores(c.history);
    float score = scores[c.target];
    if (!comeBack) {
      Arrays.stream(c.history).forEach(item -> scores[item] = Float.NEGATIVE_INFINITY);
    }
    int above = 0;
    int equal = -1;
    for (float other : scores) {
      above += other > score ? 1 : 0;
      equal += other == score ? 1 : 0;
    }
    int rank = above + equal / 2;
    double gain = comeBack ? 1.0 / (rank + 1) : Math.log(2) / Math.log(rank + 2);
    return rank < top ? new double[] {1, gain} : new double[2];
  }

  /** Prints a row for the best of several settings. */
  void row(String name, Function<NextItems, List<Model>> models) {
    List<Model> settings = models.apply(this);
    int best = 0;
    double bestGain = -1;
    for (int i = 0; i < settings.size(); i++) {
      double gain = settings.size() == 1 ? 0 : measure(settings.get(i), toChoose).gain;
      if (gain > bestGain) {
        bestGain = gain;
        best = i;
      }
    }
    Model model = tested == this ? settings.get(best) : models.apply(tested).get(best);
    Score score = tested.measure(model, tested.toTest);
    print(name, String.format(Locale.ROOT, "%.4f | %.4f", score.hits, score.gain));
  }

  static void print(String name, String scores) {
    System.out.printf("| %s | %s |%n", name, scores);
  }

  // ------------------------------------------------------------------------------------- models

  List<Model> popularity() {
    return List.of(
        history -> {
          float[] scores = new float[items];
          for (int item = 0; item < items; item++) {
            scores[item] = counts[item];
          }
          return scores;
        });
  }

  /**
   * Returns a model that ranks the items of the history, the last first, then others by popularity.
   */
  List<Model> lastItems() {
    float most = Arrays.stream(counts).max().orElse(0);
    return List.of(
        history -> {
          float[] scores = new float[items];
          for (int item = 0; item < items; item++) {
            scores[item] = counts[item] / (most + 1);
          }
          for (int place = 0; place < history.length; place++) {
            scores[history[place]] = place + 1;
          }
          return scores;
        });
  }

  /** Returns a model of sums of pair weights over the items of a history, which decay by age. */
  Model sums(IntFunction<Map<Integer, Float>> rows, double decay) {
    return history -> {
      float[] scores = new float[items];
      double weight = 1;
      for (int at = history.length - 1; at >= 0; at--) {
        double factor = weight;
        rows.apply(history[at]).forEach((item, value) -> scores[item] += (float) (factor * value));
        weight *= decay;
      }
      return scores;
    };
  }

  /** Returns the pairs of items of a sequence that are at most `window` apart. */
  List<Map<Integer, Float>> pairs(int window, double perDistance, double backward) {
    List<Map<Integer, Float>> pairs = new ArrayList<>();
    IntStream.range(0, items).forEach(item -> pairs.add(new HashMap<>()));
    for (int[] s : sequences) {
      for (int first = 0; first < s.length; first++) {
        int end = (int) Math.min(s.length, (long) first + window + 1);
        for (int next = first + 1; next < end; next++) {
          if (comeBack || s[first] != s[next]) {
            float weight = (float) Math.pow(perDistance, next - first - 1);
            pairs.get(s[first]).merge(s[next], weight, Float::sum);
            if (backward > 0) {
              pairs.get(s[next]).merge(s[first], (float) (backward * weight), Float::sum);
            }
          }
        }
      }
    }
    return pairs;
  }

  /** Divides by powers of the counts of both items. */
  List<Map<Integer, Float>> scaled(List<Map<Integer, Float>> pairs, double of, double by) {
    for (int item = 0; item < items; item++) {
      double row = Math.pow(counts[item], of);
      pairs
          .get(item)
          .replaceAll((other, value) -> (float) (value / row / Math.pow(counts[other], by)));
    }
    return pairs;
  }

  List<Model> transitions() {
    return List.of(
        sums(scaled(pairs(1, 1, 0), 1, 0)::get, 0.5),
        sums(scaled(pairs(5, 0.7, 0), 1, 0)::get, 0.5));
  }

  /**
   * Returns models for baskets: P(j given i), weighted by the rarity of i, the best of the tried
   * weightings.
   */
  List<Model> itemKnn() {
    List<Map<Integer, Float>> cosine = scaled(pairs(Integer.MAX_VALUE, 1, 1), 0.5, 0.5);
    List<Map<Integer, Float>> given = scaled(pairs(Integer.MAX_VALUE, 1, 1), 1, 0);
    for (int item = 0; item < items; item++) {
      float idf = (float) Math.log((1.0 + sequences.size()) / counts[item]);
      given.get(item).replaceAll((other, value) -> idf * value);
    }
    return List.of(sums(cosine::get, 1), sums(given::get, 1));
  }

  List<Model> itemKnnWithDistance() {
    List<Model> models = new ArrayList<>();
    for (double by : new double[] {0, 0.2, 0.5}) {
      List<Map<Integer, Float>> rows = scaled(pairs(50, 0.85, 0.3), 0.5, by);
      models.add(sums(rows::get, 0.6));
      models.add(sums(rows::get, 0.8));
    }
    return models;
  }

  /**
   * Returns models in which the sequences that share most items vote for theirs, weighted by age.
   */
  List<Model> sessionKnn() {
    List<List<Integer>> with = new ArrayList<>();
    IntStream.range(0, items).forEach(item -> with.add(new ArrayList<>()));
    for (int s = 0; s < sequences.size(); s++) {
      for (int item : new HashSet<>(IntStream.of(sequences.get(s)).boxed().toList())) {
        with.get(item).add(s);
      }
    }
    double[] decays = ordered ? new double[] {0.5, 0.8} : new double[] {1};
    return Arrays.stream(decays).mapToObj(decay -> sessionKnn(with, decay)).toList();
  }

  Model sessionKnn(List<List<Integer>> with, double decay) {
    return history -> {
      Map<Integer, Double> near = new LinkedHashMap<>();
      double weight = 1;
      for (int at = history.length - 1; at >= 0; at--) {
        for (int s : with.get(history[at])) {
          near.merge(s, weight / Math.sqrt(sequences.get(s).length), Double::sum);
        }
        weight *= decay;
      }
      float[] scores = new float[items];
      near.entrySet().stream()
          .sorted(Map.Entry.<Integer, Double>comparingByValue().reversed())
          .limit(500)
          .forEach(
              e -> {
                for (int item : sequences.get(e.getKey())) {
                  scores[item] += (float) (e.getValue() / Math.sqrt(counts[item]));
                }
              });
      return scores;
    };
  }

  /** B = I - P diag(1 / diag P), with P the inverse of X'X and a ridge (Steck, 2019). */
  List<Model> ease() {
    return List.of(ease(100), ease(500));
  }

  Model ease(float ridge) {
    long size = (long) items * items;
    FloatPointer gram = new FloatPointer(size).zero();
    for (int[] s : sequences) {
      int[] set = IntStream.of(s).distinct().toArray();
      for (int a : set) {
        for (int b : set) {
          long at = (long) a * items + b;
          gram.put(at, gram.get(at) + 1);
        }
      }
    }
    for (int item = 0; item < items; item++) {
      long at = (long) item * items + item;
      gram.put(at, gram.get(at) + ridge);
    }
    int code = LAPACKE_spotrf(LAPACK_ROW_MAJOR, (byte) 'U', items, gram, items);
    code |= LAPACKE_spotri(LAPACK_ROW_MAJOR, (byte) 'U', items, gram, items);
    if (code != 0) {
      throw new IllegalStateException("the inverse fails with code " + code);
    }
    return history -> {
      float[] scores = new float[items];
      for (int i : history) {
        for (int j = 0; j < items; j++) {
          long upper = (long) Math.min(i, j) * items + Math.max(i, j);
          scores[j] -= i == j ? 0 : gram.get(upper) / gram.get((long) j * items + j);
        }
      }
      return scores;
    };
  }

  /**
   * Implicit alternating least squares (Hu, Koren and Volinsky, 2008); the vector of a user is
   * solved for its history.
   */
  List<Model> ials() {
    List<Model> models = new ArrayList<>();
    for (double weight : new double[] {10, 40}) {
      Factors fit = new Factors(64, weight, 10);
      double[][] vectors = fit.items(sequences, items);
      double[][] gram = fit.gram(vectors);
      models.add(
          history -> {
            double[] user = fit.solve(gram, vectors, history);
            float[] scores = new float[items];
            for (int item = 0; item < items; item++) {
              scores[item] = (float) dot(user, vectors[item]);
            }
            return scores;
          });
    }
    return models;
  }

  static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  record Factors(int size, double weight, double ridge) {
    double[][] items(List<int[]> sequences, int items) {
      Random random = new Random(1);
      double[][] vectors = new double[items][size];
      for (double[] vector : vectors) {
        Arrays.setAll(vector, i -> 0.1 * random.nextGaussian());
      }
      List<List<Integer>> users = new ArrayList<>();
      IntStream.range(0, items).forEach(item -> users.add(new ArrayList<>()));
      for (int s = 0; s < sequences.size(); s++) {
        for (int item : sequences.get(s)) {
          users.get(item).add(s);
        }
      }
      int[][] of =
          users.stream().map(u -> u.stream().mapToInt(i -> i).toArray()).toArray(int[][]::new);
      for (int round = 0; round < 10; round++) {
        double[][] now = vectors;
        double[][] gram = gram(now);
        double[][] tastes =
            sequences.parallelStream().map(s -> solve(gram, now, s)).toArray(double[][]::new);
        double[][] others = gram(tastes);
        vectors =
            Arrays.stream(of)
                .parallel()
                .map(u -> solve(others, tastes, u))
                .toArray(double[][]::new);
      }
      return vectors;
    }

    double[][] gram(double[][] vectors) {
      double[][] gram = new double[size][size];
      for (double[] vector : vectors) {
        for (int i = 0; i < size; i++) {
          for (int j = 0; j < size; j++) {
            gram[i][j] += vector[i] * vector[j];
          }
        }
      }
      return gram;
    }

    /** Returns the vector that best fits the given ones, by Cholesky factors. */
    double[] solve(double[][] gram, double[][] vectors, int... ones) {
      double[][] a = new double[size][];
      double[] b = new double[size];
      for (int i = 0; i < size; i++) {
        a[i] = gram[i].clone();
        a[i][i] += ridge;
      }
      for (int one : ones) {
        double[] v = vectors[one];
        for (int i = 0; i < size; i++) {
          b[i] += (1 + weight) * v[i];
          for (int j = 0; j <= i; j++) {
            a[i][j] += weight * v[i] * v[j];
          }
        }
      }
      for (int i = 0; i < size; i++) {
        for (int j = 0; j <= i; j++) {
          double sum = a[i][j];
          for (int k = 0; k < j; k++) {
            sum -= a[i][k] * a[j][k];
          }
          a[i][j] = i == j ? Math.sqrt(sum) : sum / a[j][j];
        }
        for (int k = 0; k < i; k++) {
          b[i] -= a[i][k] * b[k];
        }
        b[i] /= a[i][i];
      }
      for (int i = size - 1; i >= 0; i--) {
        for (int k = i + 1; k < size; k++) {
          b[i] -= a[k][i] * b[k];
        }
        b[i] /= a[i][i];
      }
      return b;
    }
  }

  // --------------------------------------------------------------------------------------- ours

  void ours() throws Exception {
    NextItemOptions options = NextItemOptions.defaults();
    options = options.withFormat(ordered ? SequenceFormat.SEQUENCES : SequenceFormat.BASKETS);
    options = options.withLearning(TrainingOptions.defaults().withListener(new Progress()));
    if (!comeBack) {
      String name = "`next-item train --validation`";
      ours(name, split.learned, options.withValidation(split.validation));
    }
    ours("**`next-item train`**", split.given, options);
  }

  void ours(String name, List<Sequence> sequences, NextItemOptions options) throws Exception {
    long began = System.nanoTime();
    try (NextItem model = NextItem.train(sequences, options)) {
      double seconds = (System.nanoTime() - began) * 1e-9;
      Repeats repeats = comeBack ? model.repeats() : Repeats.EXCLUDE;
      Metrics metrics = model.evaluate(split.test, 20, repeats);
      print(name, metrics);
      if (repeats != Repeats.EXCLUDE) {
        print(name + ", new items alone", model.evaluate(split.test, 20, Repeats.EXCLUDE));
      }
      details.add(
          String.format(
              Locale.ROOT,
              "%s: %.0f s; HR@5 %.4f, nDCG@5 %.4f, HR@20 %.4f, nDCG@20 %.4f;"
                  + " the median of a top 10 takes %.2f ms%n%s%n",
              name.replaceAll("[*`]", ""),
              seconds,
              metrics.recall(5),
              metrics.ndcg(5),
              metrics.recall(20),
              metrics.ndcg(20),
              medianMillis(model),
              model.info()));
    }
  }

  /** Prints the phases of a training, and their shares every ten seconds, beside the tables. */
  static final class Progress implements TrainingListener {
    private long examples;
    private long all;
    private long printed = System.nanoTime();

    @Override
    public void training(int number, int count, String settings, long ofAll) {
      System.err.printf("training %d of %d: %s%n", number, count, settings);
      examples = 0;
      all = ofAll;
    }

    @Override
    public void begin(int count, int epochs, int features, int labels, int classes) {
      all = (long) count * epochs;
    }

    @Override
    public void step(int count, double loss) {
      examples += count;
      print("training", examples, all);
    }

    @Override
    public void measured(int count, int ofAll) {
      print("measuring", count, ofAll);
    }

    @Override
    public void weighed(int count, int ofAll) {
      print("choosing weights", count, ofAll);
    }

    private void print(String phase, long done, long of) {
      if (System.nanoTime() - printed > 10_000_000_000L) {
        printed = System.nanoTime();
        System.err.printf("%s: %d %%%n", phase, 100 * done / of);
      }
    }
  }

  void print(String name, Metrics metrics) {
    double gain = comeBack ? metrics.reciprocalRank(top) : metrics.ndcg(top);
    print(name, String.format(Locale.ROOT, "%.4f | %.4f", metrics.recall(top), gain));
  }

  double medianMillis(NextItem model) {
    double[] millis = new double[1000];
    for (int i = -millis.length; i < millis.length; i++) { // the first half warms up
      List<String> history = split.test.get(Math.floorMod(i * 37, split.test.size())).items();
      long began = System.nanoTime();
      model.recommend(history, 10);
      millis[Math.max(i, 0)] = (System.nanoTime() - began) * 1e-6;
    }
    Arrays.sort(millis);
    return millis[millis.length / 2];
  }

  // ---------------------------------------------------------------------------------- published

  /** HR@10 and nDCG@10 as published, on the same files; they are quoted, not measured here. */
  static final Map<String, Map<String, String>> PUBLISHED =
      Map.of(
          "Beauty",
          published(
              "SASRec (table of S3-Rec, as quoted by others)", "0.0605 | 0.0318",
              "TIGER (its table, as quoted by others)", "0.0648 | 0.0384",
              "ICLRec (salesforce/ICLRec)", "0.0744 | 0.0403",
              "DuoRec (table of FEARec, as quoted by others)", "0.0845 | 0.0443",
              "SASRec, sampled softmax (blondered/transformer_benchmark)", "0.0921 | 0.0531",
              "HSTU (blondered/transformer_benchmark)", "0.0788 | 0.0439",
              "eSASRec (blondered/transformer_benchmark)", "0.0928 | 0.0523",
              "ICSRec (QinHsiu/ICSRec)", "0.0959 | 0.0578",
              "BSARec (yehjin-shin/BSARec)", "0.1008 | 0.0611"),
          "Toys_and_Games",
          published(
              "SASRec (table of S3-Rec, as quoted by others)", "0.0675 | 0.0374",
              "TIGER (its table, as quoted by others)", "0.0712 | 0.0432",
              "ICLRec (salesforce/ICLRec)", "0.0834 | 0.0480",
              "SASRec, sampled softmax (blondered/transformer_benchmark)", "0.0970 | 0.0580",
              "HSTU (blondered/transformer_benchmark)", "0.0778 | 0.0450",
              "eSASRec (blondered/transformer_benchmark)", "0.0939 | 0.0538",
              "ICSRec (QinHsiu/ICSRec)", "0.1055 | 0.0657"),
          "Sports_and_Outdoors",
          published(
              "SASRec (table of S3-Rec, as quoted by others)", "0.0350 | 0.0192",
              "TIGER (its table, as quoted by others)", "0.0400 | 0.0225",
              "ICLRec (salesforce/ICLRec)", "0.0437 | 0.0238",
              "DuoRec (table of FEARec, as quoted by others)", "0.0498 | 0.0262",
              "SASRec, sampled softmax (blondered/transformer_benchmark)", "0.0569 | 0.0314",
              "HSTU (blondered/transformer_benchmark)", "0.0437 | 0.0243",
              "eSASRec (blondered/transformer_benchmark)", "0.0560 | 0.0323",
              "ICSRec (QinHsiu/ICSRec)", "0.0565 | 0.0335"),
          "Yelp",
          published(
              "SASRec (table of S3-Rec, as quoted by others)", "0.0284 | 0.0147",
              "ICLRec (salesforce/ICLRec)", "0.0409 | 0.0207"),
          "LastFM",
          published("BSARec (yehjin-shin/BSARec)", "0.0807 | 0.0435"));

  static Map<String, String> published(String... pairs) {
    Map<String, String> rows = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      rows.put(pairs[i], pairs[i + 1]);
    }
    return rows;
  }

  /**
   * Prints the share of test items whose number is within 3 of one of the history, if items are
   * numbers.
   */
  void printLeak() {
    long near = 0;
    for (Sequence s : split.test) {
      int last = s.items().size() - 1;
      if (!s.items().stream().allMatch(item -> item.matches("\\d{1,9}"))) {
        return;
      }
      int target = Integer.parseInt(s.items().get(last));
      near +=
          s.items().subList(0, last).stream()
                  .mapToInt(Integer::parseInt)
                  .anyMatch(item -> item != target && Math.abs(item - target) <= 3)
              ? 1
              : 0;
    }
    System.out.printf(
        Locale.ROOT,
        "%.1f %% of the test items have a number within 3 of one of the history: numbers, by first"
            + " occurrence, leak%n%n",
        100.0 * near / split.test.size());
  }

  void compare(String name) throws Exception {
    System.out.printf(
        "## %s%n%,d %s, %,d items; %,d to choose settings by, %,d to test%n%n",
        name,
        sequences.size(),
        ordered ? "sequences" : "baskets",
        items,
        split.validation.size(),
        split.test.size());
    if (ordered && !comeBack) {
      printLeak();
    }
    System.out.printf("| | HR@%d | %s@%d |%n|---|---|---|%n", top, comeBack ? "MRR" : "nDCG", top);
    row("popularity", NextItems::popularity);
    if (comeBack) {
      row("the last items first", NextItems::lastItems);
    }
    if (ordered) {
      row("transitions", NextItems::transitions);
    }
    if (!comeBack) {
      row("item-kNN", NextItems::itemKnn);
    }
    if (ordered) {
      row("item-kNN by distance and age", NextItems::itemKnnWithDistance);
    }
    row("session-kNN", NextItems::sessionKnn);
    if (!comeBack && items <= MOST_ITEMS_OF_EASE) { // both need an item to be known by others
      row("EASE", NextItems::ease);
    }
    if (!comeBack) {
      row("iALS", NextItems::ials);
    }
    PUBLISHED
        .getOrDefault(name, Map.of())
        .forEach((model, scores) -> print("*" + model + "*", scores));
    ours();
    System.out.println();
    details.forEach(System.out::println);
  }

  static List<Sequence> read(SequenceFormat format, String file) throws Exception {
    return SequenceReader.of(format).read(Path.of(file));
  }

  public static void main(String[] args) throws Exception {
    String kind = args[0];
    if (kind.equals("clicks")) {
      List<Sequence> clicks = new ArrayList<>();
      for (Sequence session : read(SequenceFormat.EVENTS, args[2])) {
        ItemList items = ItemList.of(session.items());
        IntStream.rangeClosed(2, items.size())
            .forEach(end -> clicks.add(new Sequence(session.user(), items.first(end))));
      }
      Split split = Split.ofClicks(read(SequenceFormat.EVENTS, args[1]), clicks);
      new NextItems(split, true, true).compare("clicks");
      return;
    }
    for (String file : Arrays.copyOfRange(args, 1, args.length)) {
      List<Sequence> all = read(SequenceFormat.valueOf(kind.toUpperCase(Locale.ROOT)), file);
      boolean ordered = !kind.equals("baskets");
      Split split = ordered ? Split.ofSequences(all) : Split.ofBaskets(all);
      String name = Path.of(file).getFileName().toString().replaceFirst("\\.(txt|inter)$", "");
      new NextItems(split, ordered, false).compare(name);
    }
  }
}
