// SPDX-License-Identifier: Apache-2.0

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.blocksparse.classifier.examples.*;
import org.blocksparse.classifier.nextitem.*;
import org.blocksparse.ranking.Metrics;

/**
 * Measures items that come after the training: {@code java NewItems.java MODELS FORMAT FILE}.
 *
 * <p>One of ten items, by the hash of its name, is left out of all sequences, and so is the last
 * item of each. The model is trained on the rest, knows the new items by {@code NextItem.with} and
 * one, three or ten occurrences of each, and predicts the next five occurrences, at most. Two
 * rivals get the same occurrences: item-kNN by distance and age, and a model that is trained anew.
 * The folder of models keeps those that are trained, for another run.
 */
class NewItems {
  static final int TOP = 100;
  static final int MOST_TESTS = 5;

  /** The most occurrences that are used. */
  static final int MOST = 10;

  final List<Sequence> learned = new ArrayList<>();

  /** Sequences without new items, whose last items are not learned. */
  final List<Sequence> old = new ArrayList<>();

  /** Sequences that end with each new item, in random order. */
  final Map<String, List<Sequence>> occurrences = new HashMap<>();

  /** The texts of items; empty if there are none. */
  final Map<String, String> texts;

  NewItems(List<Sequence> all, Map<String, String> texts) {
    this.texts = texts;
    for (Sequence s : all) {
      List<String> known = s.items().stream().filter(item -> !isNew(item)).toList();
      if (known.size() > 1) {
        old.add(new Sequence(s.user(), known));
        known = known.subList(0, known.size() - 1);
      }
      learned.add(new Sequence(s.user(), known));
    }
    Set<String> items = new HashSet<>();
    learned.forEach(s -> items.addAll(s.items()));
    for (Sequence s : all) {
      Set<String> seen = new HashSet<>();
      List<String> before = new ArrayList<>();
      for (String item : s.items()) {
        if (isNew(item) && !before.isEmpty() && seen.add(item)) {
          List<String> sighting = new ArrayList<>(before);
          sighting.add(item);
          occurrences
              .computeIfAbsent(item, i -> new ArrayList<>())
              .add(new Sequence(s.user(), sighting));
        } else if (items.contains(item)) {
          before.add(item);
        }
      }
    }
    occurrences.values().removeIf(sightings -> sightings.size() < 2);
    occurrences.values().forEach(list -> Collections.shuffle(list, new Random(1)));
  }

  static boolean isNew(String item) {
    return Math.floorMod(item.hashCode() * 0x9E3779B9, 1 << 16) % 10 == 0;
  }

  /** Returns the first occurrences of each new item that has more. */
  List<Sequence> sightings(int count) {
    return occurrences.values().stream()
        .filter(list -> list.size() > count)
        .flatMap(list -> list.stream().limit(count))
        .toList();
  }

  List<Sequence> next(int count) {
    return occurrences.values().stream()
        .flatMap(list -> list.stream().skip(count).limit(MOST_TESTS))
        .toList();
  }

  /**
   * Returns the hits of item-kNN: the share of the history's pairs, by cosine, decreasing with
   * distance and age.
   */
  double hitsOfKnn(List<Sequence> more, List<Sequence> tests) {
    Map<String, Map<String, Double>> pairs = new HashMap<>();
    Map<String, Double> counts = new HashMap<>();
    for (List<Sequence> part : List.of(learned, more)) {
      for (Sequence s : part) {
        int last = s.items().size() - 1;
        for (int next = part == more ? last : 0; next <= last; next++) {
          counts.merge(s.items().get(next), 1.0, Double::sum);
          for (int before = Math.max(0, next - 50); before < next; before++) {
            String a = s.items().get(before);
            String b = s.items().get(next);
            double weight = Math.pow(0.85, next - before - 1);
            pairs.computeIfAbsent(a, i -> new HashMap<>()).merge(b, weight, Double::sum);
            pairs.computeIfAbsent(b, i -> new HashMap<>()).merge(a, 0.3 * weight, Double::sum);
          }
        }
      }
    }
    int hits = 0;
    for (Sequence test : tests) {
      Map<String, Double> scores = new HashMap<>();
      for (int age = 0; age < test.known(); age++) {
        String seen = test.items().get(test.known() - 1 - age);
        double weight = Math.pow(0.8, age) / Math.sqrt(counts.getOrDefault(seen, 1.0));
        pairs
            .getOrDefault(seen, Map.of())
            .forEach(
                (item, value) ->
                    scores.merge(item, weight * value / Math.sqrt(counts.get(item)), Double::sum));
      }
      test.items().subList(0, test.known()).forEach(scores::remove);
      double score = scores.getOrDefault(test.last(), 0.0);
      long above = scores.values().stream().filter(other -> other > score).count();
      hits += score > 0 && above < TOP ? 1 : 0;
    }
    return (double) hits / tests.size();
  }

  static NextItem trained(Path file, List<Sequence> sequences, Map<String, String> texts)
      throws Exception {
    if (!Files.exists(file)) {
      NextItemOptions options = NextItemOptions.defaults().withItemTexts(texts);
      try (NextItem model = NextItem.train(sequences, options)) {
        System.out.println(model.info());
        model.save(file);
      }
    }
    return NextItem.load(file);
  }

  void print(int sightings, String row, NextItem model) {
    Metrics ofNew = model.evaluate(next(sightings), TOP, Repeats.EXCLUDE);
    Metrics ofOld = model.evaluate(old, TOP, Repeats.EXCLUDE);
    print(sightings, row, ofNew.recall(10), ofNew.recall(TOP), ofOld.ndcg(10));
  }

  static void print(int sightings, String row, double... values) {
    StringBuilder line = new StringBuilder("| " + sightings + " | " + row + " |");
    for (double value : values) {
      line.append(String.format(Locale.ROOT, " %.4f |", value));
    }
    System.out.println(line);
  }

  void compare(Path models) throws Exception {
    System.out.printf(
        "%,d sequences, %,d new items%n%n| sightings | | HR@10 | HR@100 | old, nDCG@10 |%n"
            + "|---|---|---|---|---|%n",
        learned.size(), occurrences.size());
    List<Sequence> all = new ArrayList<>(learned);
    all.addAll(sightings(MOST));
    try (NextItem model = trained(models.resolve("without.model"), learned, texts);
        NextItem anew = trained(models.resolve("anew.model"), all, texts)) {
      print(0, "trained without", model);
      for (int count : new int[] {1, 3, MOST}) {
        List<Sequence> more = sightings(count);
        print(count, "item-kNN", Double.NaN, hitsOfKnn(more, next(count)), Double.NaN);
        try (NextItem with = model.with(more)) {
          print(count, "`with`", with);
        }
        if (!texts.isEmpty()) {
          try (NextItem with = model.with(more, texts)) {
            print(count, "`with`, texts", with);
          }
        }
      }
      print(MOST, "trained anew", anew);
    }
  }

  public static void main(String[] args) throws Exception {
    SequenceFormat format = SequenceFormat.valueOf(args[1].toUpperCase(Locale.ROOT));
    Map<String, String> texts = args.length > 3 ? ItemTexts.read(Path.of(args[3])) : Map.of();
    new NewItems(SequenceReader.of(format).read(Path.of(args[2])), texts).compare(Path.of(args[0]));
  }
}
