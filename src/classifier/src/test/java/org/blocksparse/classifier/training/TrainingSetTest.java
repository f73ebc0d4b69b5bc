// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.examples.ChunkedIntList;
import org.blocksparse.classifier.examples.Example;
import org.junit.jupiter.api.Test;

final class TrainingSetTest {
  private static final int EXAMPLES = 500;
  private static final int LABELS_OF_AN_EXAMPLE = 7;

  /** Returns examples with different labels each. */
  private static TrainingSet severalLabels() {
    Stream<Example> examples =
        IntStream.range(0, EXAMPLES)
            .mapToObj(
                e ->
                    Example.ofText(
                        "word" + e,
                        IntStream.range(0, LABELS_OF_AN_EXAMPLE)
                            .mapToObj(i -> e + "-" + i)
                            .toList()));
    return TrainingSet.of(examples, TrainingOptions.defaults());
  }

  @Test
  void eachLabelHasItsTurn_inAsManyEpochsAsThereAreLabels() {
    TrainingSet set = severalLabels();
    for (int begin : new int[] {1, 4, Integer.MAX_VALUE - LABELS_OF_AN_EXAMPLE}) {
      for (int e = 0; e < EXAMPLES; e++) {
        Set<Integer> seen = new HashSet<>();
        for (int epoch = begin; epoch < begin + LABELS_OF_AN_EXAMPLE; epoch++) {
          seen.add(set.label(e, epoch, 3));
        }
        assertEquals(LABELS_OF_AN_EXAMPLE, seen.size());
      }
    }
  }

  @Test
  void theFirstLabel_isByChance_andTheSameForTheSameSeed() {
    TrainingSet set = severalLabels();
    int[] firsts = new int[LABELS_OF_AN_EXAMPLE];
    int others = 0;
    for (int e = 0; e < EXAMPLES; e++) {
      firsts[set.label(e, 1, 3) % LABELS_OF_AN_EXAMPLE]++; // labels are numbered by occurrence
      assertEquals(set.label(e, 1, 3), set.label(e, 1, 3));
      others += set.label(e, 1, 3) == set.label(e, 1, 4) ? 0 : 1;
    }
    // Each occurs 71 times on average, with a standard deviation of 8.
    assertTrue(Arrays.stream(firsts).allMatch(n -> n > 30 && n < 120), Arrays.toString(firsts));
    assertTrue(others > EXAMPLES / 2, "others: " + others);
  }

  @Test
  void labelsOfManyExamples_allHaveTheirTurn_byDefault() {
    TrainingSet set = severalLabels();
    TrainingOptions options = TrainingOptions.defaults();
    // The epochs for a million such examples, which are few.
    int epochs = new TrainingDefaults(options).epochs(1_000_000, LABELS_OF_AN_EXAMPLE * 1_000_000);
    Set<Integer> seen = new HashSet<>();
    for (int e = 0; e < EXAMPLES; e++) {
      for (int epoch = 1; epoch <= epochs; epoch++) {
        seen.add(set.label(e, epoch, options.seed()));
      }
    }
    assertEquals(EXAMPLES * LABELS_OF_AN_EXAMPLE, seen.size());
  }

  @Test
  void aFewExamplesWithVeryManyLabels_doNotSpeakForAll() {
    Stream<Example> one = Stream.generate(() -> Example.ofText("a", "x")).limit(9900);
    List<String> all = IntStream.range(0, 2000).mapToObj(label -> "l" + label).toList();
    Stream<Example> many = Stream.generate(() -> Example.ofText("a", all)).limit(100);
    TrainingSet set = TrainingSet.of(Stream.concat(one, many), TrainingOptions.defaults());
    assertEquals(9900 + 100 * 40, set.labelsInTurn());
    assertEquals(100, set.withSeveralLabels());
    // The epochs for ten times as many, which is not few.
    assertEquals(
        7,
        new TrainingDefaults(TrainingOptions.defaults()).epochs(100_000, 10 * set.labelsInTurn()));
  }

  @Test
  void aLabelThatIsThereTwice_countsOnce() {
    TrainingSet set =
        TrainingSet.of(
            Stream.of(Example.ofText("a", "x", "x"), Example.ofText("b", "x", "y", "x")),
            TrainingOptions.defaults());
    assertEquals(1, set.withSeveralLabels());
    assertEquals(3, set.labelsInTurn());
    assertEquals(List.of("x", "y"), set.labelNames());
  }

  @Test
  void namesOfLabels_areTheLastExamples_andNeverHeldOut() {
    List<Example> examples =
        IntStream.range(0, 20)
            .mapToObj(e -> Example.ofText("text" + e / 2, "aLabel_" + (e < 10 ? 0 : e)))
            .toList();
    TrainingSet set =
        TrainingSet.of(examples.stream(), TrainingOptions.defaults().withLabelNames());
    assertEquals(20, set.size());
    assertEquals(20 + set.labelNames().size(), set.sizeWithNames());
    assertArrayEquals(new long[] {10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, set.labelCounts());
    int[] all = IntStream.range(0, set.sizeWithNames()).toArray();
    try (SparseRows features = set.features(all, 20, all.length);
        SparseRows labels = set.labels(all, 20, all.length)) {
      assertEquals(List.of("aLabel_0", "aLabel_10"), set.labelNames().subList(0, 2));
      int[] first = features.indices(0);
      assertEquals(3, Arrays.stream(first).filter(set.words()::get).count()); // a, label, 0
      assertArrayEquals(Arrays.copyOf(first, 2), Arrays.copyOf(features.indices(1), 2));
      assertArrayEquals(new int[] {1}, labels.indices(1));
    }
    List<Fold> folds = Fold.draw(set, 4, 3, new SplittableRandom(1));
    assertEquals(3, folds.size());
    for (Fold fold : folds) {
      assertTrue(Arrays.stream(fold.heldOut()).allMatch(e -> e < set.size()));
      BitSet known = set.labelsOf(Arrays.stream(fold.others()).filter(e -> e < 20).toArray());
      assertEquals(known, set.labelsOf(Arrays.stream(fold.others()).skip(16).toArray()));
    }
  }

  @Test
  void aNameThatEqualsAText_isNotMergedIntoIt() {
    List<Example> examples = List.of(Example.ofText("b", "a"), Example.ofText("a", "b"));
    TrainingSet set =
        TrainingSet.of(examples.stream(), TrainingOptions.defaults().withLabelNames());
    assertEquals(2, set.size());
    assertEquals(4, set.sizeWithNames());
  }

  @Test
  void targets_areAllLabelsOfEachExample_orTheOneWhoseTurnItIs() {
    TrainingSet set =
        TrainingSet.of(
            Stream.of(
                Example.ofText("a", "x", "y"), Example.ofText("b"), Example.ofText("c", "z", "x")),
            TrainingOptions.defaults().withLabelTree());
    assertEquals(3, set.size());
    try (SparseRows all = set.labels(new int[] {1, 2, 0, 1}, 1, 4);
        IntTensor inTurn = set.labelsInTurn(new int[] {1, 2, 0}, 1, 3, 4, 7)) {
      assertEquals(3, all.rows());
      assertArrayEquals(new int[] {2, 0}, all.indices(0));
      assertArrayEquals(new int[] {0, 1}, all.indices(1));
      assertArrayEquals(new int[] {}, all.indices(2));
      assertEquals(Shape.of(2), inTurn.shape());
      assertArrayEquals(new int[] {set.label(2, 4, 7), set.label(0, 4, 7)}, inTurn.toArray());
    }
  }

  @Test
  void moreThanThereIsRoomFor_isToldByTheExample_withWhatHelps() {
    Example text = Example.ofText("a b", "x", "y", "z");
    assertTooMany(
        "examples: up to example 3 there are more than 7 words, words in a row and characters in a"
            + " row, which is the most; withWordNgrams(1) and withCharNgrams(0, 0) make fewer, and"
            + " so do fewer examples",
        Stream.of(Example.ofText("a"), Example.ofText("a b c", "x"), Example.ofText("a b", "x")),
        7);
    assertTooMany(
        "examples: up to example 3 there are more than 8 labels of examples, which is the most;"
            + " take fewer examples",
        Stream.of(text, text, Example.ofText("a", "x", "y", "z")),
        8);
    Example features = Example.ofFeatures(new int[] {1, 2, 3}, new float[3], List.of("x"));
    assertTooMany(
        "examples: up to example 2 there are more than 4 features, which is the most; take fewer"
            + " examples",
        Stream.of(features, features),
        4);
    assertEquals(2, TrainingSet.of(Stream.of(text, text), TrainingOptions.defaults(), 6, 6).size());
  }

  private static void assertTooMany(String message, Stream<Example> examples, int most) {
    assertEquals(
        message,
        assertThrows(
                IllegalArgumentException.class,
                () -> TrainingSet.of(examples, TrainingOptions.defaults(), most, most))
            .getMessage());
  }

  @Test
  void manyFeatures_areAllKept_upToTheMost() {
    int most = TrainingOptions.defaults().maxFeatures();
    for (int features : new int[] {500_001, most, most + 1}) {
      Example example =
          Example.ofFeatures(
              IntStream.range(0, features).toArray(), new float[features], List.of("x"));
      TrainingSet set = TrainingSet.of(Stream.of(example), TrainingOptions.defaults());
      assertEquals(Math.min(features, most), set.vocabulary().rows());
      assertEquals(features - Math.min(features, most), set.featuresLeftOut());
    }
  }

  @Test
  void rareWordsOfTexts_areKept_beforeFrequentPairs() {
    // Twelve pairs of four words, which occur more often than three other words.
    Stream<Example> frequent =
        Stream.generate(() -> Example.ofText("a b a c a d b c b d c d a", "x")).limit(9);
    Stream<Example> rare = Stream.of("e", "f", "g").map(word -> Example.ofText(word, "y"));
    TrainingSet set =
        TrainingSet.of(
            Stream.concat(frequent, rare), TrainingOptions.defaults().withMaxFeatures(14));
    assertEquals(5, set.featuresLeftOut());
    assertEquals(0, set.withoutFeatures());
  }

  @Test
  void rarePairsAreForgotten_whileExamplesAreRead_frequentOnesStay() {
    int count = 1000;
    TrainingOptions options = TrainingOptions.defaults().withMinCount(2);
    // Words a, b, w.., c.., x, y; pairs "a b", "b w.."; and "x y", "y a" only if they are counted
    // from the first example to the last.
    for (int most : new int[] {2000, 250}) {
      Stream<Example> examples =
          IntStream.range(0, count)
              .mapToObj(e -> (e % 999 == 0 ? "x y " : "") + "a b w" + e % 50 + " c" + e % 37)
              .map(text -> Example.ofText(text, "label"));
      TrainingSet set = TrainingSet.of(examples, options, ChunkedIntList.MOST, most);
      assertEquals(count, set.size());
      int rare = most == 250 ? 0 : 2;
      assertEquals(2 + 50 + 37 + 2 + 1 + 50 + rare, set.vocabulary().rows());
      int[] all = IntStream.range(0, count).toArray();
      try (SparseRows features = set.features(all, 0, count)) {
        for (int e = 0; e < count; e++) {
          assertEquals(6 + (e % 999 == 0 ? 2 + rare : 0), features.size(e));
          for (int row : new int[] {0, 1, 2}) { // the most frequent features: a, b and "a b"
            assertTrue(IntStream.of(features.indices(e)).anyMatch(index -> index == row));
          }
        }
      }
    }
  }

  /** The first lines lose their pairs, and the last ones keep theirs. */
  @Test
  void linesOfOneTextAreEqual_thoughTheirPairsWereForgottenInBetween() {
    for (int most : new int[] {5000, 250}) {
      TrainingSet merged = amongOthers("y", most);
      assertEquals(most == 250, merged.forgot());
      assertEquals(2, merged.examplesMerged());
      assertEquals(1002, merged.size());
      TrainingSet repeated = amongOthers("x", most);
      assertEquals(1004, repeated.size());
      int[] first = repeated.firstOfEquals();
      assertEquals(0, first[1002]);
      assertEquals(1, first[1003]);
      assertEquals(1002, IntStream.of(first).distinct().count());
    }
  }

  /** Returns two texts with the label x, many others, and the same two with another label. */
  private static TrainingSet amongOthers(String label, int most) {
    Stream<Example> others =
        IntStream.range(0, 1000)
            .mapToObj(e -> Example.ofText("w" + e % 50 + " c" + e % 37 + " d" + e % 23, "other"));
    Stream<Example> first = Stream.of("tea leaves green", "green leaves tea").map(of("x"));
    Stream<Example> last = Stream.of("tea leaves green", "green leaves tea").map(of(label));
    return TrainingSet.of(
        Stream.of(first, others, last).flatMap(examples -> examples),
        TrainingOptions.defaults(),
        ChunkedIntList.MOST,
        most);
  }

  private static Function<String, Example> of(String label) {
    return text -> Example.ofText(text, label);
  }

  @Test
  void examplesOfNoFeatureThatIsKept_areCounted() {
    TrainingSet set =
        TrainingSet.of(
            Stream.of(
                Example.ofText("a", "x"),
                Example.ofText("", "x"),
                Example.ofText("b", "x"),
                Example.ofText("a", "x")),
            TrainingOptions.defaults().withMinCount(2));
    assertEquals(2, set.withoutFeatures());
    assertEquals(1, set.featuresLeftOut());
  }

  @Test
  void anExampleWithOneLabel_hasIt_always() {
    TrainingSet set =
        TrainingSet.of(
            Stream.of(Example.ofText("a", "x"), Example.ofText("b", List.of("y"))),
            TrainingOptions.defaults());
    assertEquals(0, set.label(0, 5, 1));
    assertEquals(1, set.label(1, 9, 1));
  }

  @Test
  void linesOfOneText_areOneExampleWithAllLabels() {
    Example[] lines = {
      Example.ofText("a b", "x"),
      Example.ofText("c", "x"),
      Example.ofText("a b", "y", "z"),
      Example.ofText("b a", "y"),
      Example.ofText("a b", "v")
    };
    TrainingSet set = TrainingSet.of(Stream.of(lines), TrainingOptions.defaults().withMinCount(1));
    assertEquals(3, set.size());
    assertEquals(2, set.examplesMerged());
    try (SparseRows features = set.features(new int[] {0, 1, 2}, 0, 3);
        SparseRows labels = set.labels(new int[] {0, 1, 2}, 0, 3)) {
      assertArrayEquals(new int[] {0, 1, 2, 3}, labels.indices(0));
      assertArrayEquals(new int[] {0}, labels.indices(1));
      assertArrayEquals(new int[] {1}, labels.indices(2));
      assertEquals(3, features.size(0));
      assertEquals(1, features.size(1));
      assertEquals(3, features.size(2));
    }
  }

  @Test
  void equalTextsThatRepeatLabels_stay() {
    Example[] lines = {
      Example.ofText("ok", "good"), Example.ofText("ok", "good"), Example.ofText("ok", "bad")
    };
    assertEquals(3, TrainingSet.of(Stream.of(lines), TrainingOptions.defaults()).size());
    Example[] values = {
      Example.ofFeatures(new int[] {1, 2}, new float[] {1, 2}, List.of("x")),
      Example.ofFeatures(new int[] {1, 2}, new float[] {2, 1}, List.of("y"))
    };
    assertEquals(2, TrainingSet.of(Stream.of(values), TrainingOptions.defaults()).size());
  }

  /** They are equal without the words that only one of them has, but not the same example. */
  @Test
  void textsThatDifferInRareWordsStay() {
    Example[] lines = {
      Example.ofText("tea leaves green", "x"),
      Example.ofText("tea leaves black", "y"),
      Example.ofText("tea leaves", "z")
    };
    TrainingOptions options = TrainingOptions.defaults().withMinCount(2);
    assertEquals(3, TrainingSet.of(Stream.of(lines), options).size());
  }

  /** The features are equal, and the time is linear in their number. */
  @Test
  void manyDenseExamples() {
    int count = 200_000;
    Stream<Example> examples =
        IntStream.range(0, count)
            .mapToObj(
                e -> Example.ofFeatures(new int[] {0, 1}, new float[] {e + 1, 1}, List.of("x")));
    assertEquals(count, TrainingSet.of(examples, TrainingOptions.defaults()).size());
  }

  @Test
  void examplesHeldOut_haveTheFeaturesThatFutureOnesWouldHave() {
    Example[] lines = {Example.ofText("a b", "x"), Example.ofText("a c d", "y")};
    TrainingSet set = TrainingSet.of(Stream.of(lines), TrainingOptions.defaults().withMinCount(1));
    BitSet known = set.featuresOf(new int[] {0});
    try (SparseRows row = set.features(new int[] {1}, 0, 1, known);
        SparseRows all = set.features(new int[] {1}, 0, 1)) {
      assertEquals(5, all.size(0)); // a, c, d, a c, c d
      assertEquals(1, row.size(0));
      assertTrue(known.get(row.indices(0)[0]));
    }
  }
}
