// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.LabelCounts;
import org.blocksparse.classifier.LabelFilter;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.examples.EventColumns;
import org.blocksparse.classifier.examples.ItemList;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.examples.SequenceFormat;
import org.blocksparse.classifier.training.InternalOptions;
import org.blocksparse.classifier.training.LearningPoint;
import org.blocksparse.classifier.training.TrainingListener;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.MixtureBuilder;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class NextItemTest {
  private static final int ITEMS = 24;

  private static final NextItemOptions OPTIONS =
      NextItemOptions.defaults()
          .withLearning(
              InternalOptions.withBatch(TrainingOptions.defaults(), 16)
                  .withDimension(16)
                  .withEpochs(4));

  /** Nothing is held out, so nothing is chosen: there is one training with two decays. */
  private static final NextItemOptions NO_CHOICE = OPTIONS.withValidation(List.of());

  @TempDir Path folder;

  /** Returns walks on a circle of items, of three to six steps. */
  private static List<Sequence> walks(int count, IntFunction<String> name) {
    SplittableRandom random = new SplittableRandom(3);
    List<Sequence> walks = new ArrayList<>();
    for (int user = 0; user < count; user++) {
      int first = random.nextInt(ITEMS);
      int length = 4 + random.nextInt(4);
      walks.add(
          new Sequence(
              "u" + user,
              IntStream.range(first, first + length)
                  .mapToObj(item -> name.apply(item % ITEMS))
                  .toList()));
    }
    return walks;
  }

  private static List<Sequence> walks() {
    return walks(200, item -> "i" + item);
  }

  private static List<String> labels(List<Prediction> predictions) {
    return predictions.stream().map(Prediction::label).toList();
  }

  @Test
  void findsWhatFollows() {
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      assertEquals("i5", model.recommend(List.of("i2", "i3", "i4"), 1).get(0).label());
      assertTrue(model.evaluate(walks(), 1).recall(1) > 0.9);
    }
  }

  /**
   * Items are sorted by name, numbered by first occurrence, or unchanged: names carry no
   * information.
   */
  @Test
  void namesDoNotMatter() {
    List<Integer> others = new ArrayList<>(IntStream.range(0, ITEMS).boxed().toList());
    Collections.shuffle(others, new Random(5));
    IntFunction<String> renamed = item -> Integer.toString(others.get(item));
    try (NextItem model = NextItem.train(walks(), OPTIONS);
        NextItem other = NextItem.train(walks(200, renamed), OPTIONS)) {
      for (int item = 0; item < ITEMS; item++) {
        List<Prediction> found = model.recommend(List.of("i" + item), 5);
        List<Prediction> same = other.recommend(List.of(renamed.apply(item)), 5);
        for (int rank = 0; rank < found.size(); rank++) {
          int number = Integer.parseInt(found.get(rank).label().substring(1));
          assertEquals(renamed.apply(number), same.get(rank).label());
          assertEquals(found.get(rank).logProbability(), same.get(rank).logProbability());
        }
      }
    }
  }

  @Test
  void fileHoldsAll() throws IOException {
    Path file = folder.resolve("model");
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      model.save(file);
      assertTrue(NextItem.isIn(file));
      try (NextItem loaded = NextItem.load(file)) {
        List<String> history = List.of("i7", "i8");
        assertEquals(model.recommend(history, 9), loaded.recommend(history, 9));
        assertEquals(model.info(), loaded.info());
      }
    }
    try (Mixture loaded = Mixture.load(file)) {
      assertEquals(ElementType.INT8, loaded.scorer("history", EmbeddingBag.class).weightType());
      HierarchicalSoftmax layer = loaded.scorer("history", HierarchicalSoftmax.class);
      assertEquals(ElementType.INT8, layer.weightType());
      SparseWeights transitions = loaded.scorer("transitions", SparseWeights.class);
      assertEquals(ElementType.FLOAT16, transitions.weightType());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "nextItem.decays",
        "nextItem.transitionDecay",
        "nextItem.counts",
        "nextItem.dataFormat"
      })
  void fileWithoutASettingIsRefused(String setting) throws IOException {
    Path file = folder.resolve("model");
    Path without = folder.resolve("without");
    try (NextItem model = NextItem.train(walks(), NO_CHOICE)) {
      model.save(file);
    }
    try (Mixture loaded = Mixture.load(file)) {
      Map<String, String> metadata = new TreeMap<>(loaded.metadata());
      assertTrue(metadata.remove(setting) != null);
      loaded.save(without, SaveOptions.defaults().withMetadata(metadata));
    }
    FileFormatException e = assertThrows(FileFormatException.class, () -> NextItem.load(without));
    assertEquals(setting, e.part());
  }

  /**
   * Returns sequences whose last item depends on the first, with noise between; or each item on the
   * one before.
   */
  private static List<Sequence> keyed(boolean byFirst, int seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Sequence> all = new ArrayList<>();
    for (int user = 0; user < 300; user++) {
      int[] keys = random.ints(7, 0, ITEMS).toArray();
      List<String> items = new ArrayList<>();
      for (int place = 0; place < keys.length; place++) {
        boolean isNoise = byFirst && place > 0;
        items.add(isNoise ? "noise" + random.nextInt(200) : "key" + keys[place]);
      }
      items.add("value" + keys[byFirst ? 0 : keys.length - 1]);
      all.add(new Sequence("", items));
    }
    return all;
  }

  @Test
  void decayOfTransitionsIsThatOfTheData() {
    for (boolean byFirst : new boolean[] {true, false}) {
      NextItemOptions options = OPTIONS.withValidation(keyed(byFirst, 2));
      try (NextItem model = NextItem.train(keyed(byFirst, 1), options)) {
        assertEquals(byFirst ? 0.95 : 0.6, model.rows().transitionDecay());
      }
    }
  }

  /** The settings of each training, and the number of its epochs. */
  private static final class Trainings implements TrainingListener {
    private final List<String> settings = new ArrayList<>();
    private final List<Integer> epochs = new ArrayList<>();
    private long examples;

    @Override
    public void training(int number, int count, String text, long most) {
      settings.add(text);
      epochs.add(0);
      assertEquals((settings.size() - 1) % count + 1, number);
      examples = most;
    }

    @Override
    public void step(int count, double loss) {
      examples -= count;
      assertTrue(examples >= 0, () -> settings + ": " + examples);
    }

    @Override
    public void epoch(LearningPoint point) {
      int last = epochs.size() - 1;
      epochs.set(last, epochs.get(last) + 1);
      assertEquals(epochs.get(last), point.epoch());
    }
  }

  /**
   * Returns sequences in which a few items and the last belong to the user's group, in any order;
   * others are noise.
   */
  private static List<Sequence> tastes(int users, int seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Sequence> all = new ArrayList<>();
    for (int user = 0; user < users; user++) {
      int group = random.nextInt(10);
      List<String> items = new ArrayList<>();
      for (int place = 1; place <= 12; place++) {
        boolean isNoise = place < 12 && random.nextDouble() < 0.7;
        items.add("i" + (isNoise ? random.nextInt(10) : group) + "_" + random.nextInt(5));
      }
      all.add(new Sequence("", items));
    }
    return all;
  }

  /** Held out are the last item of a sequence, and one item of a basket. */
  @Test
  void heldOutItemsAreLearned() {
    List<Sequence> given = new ArrayList<>(walks());
    for (int i = 0; i < 20; i++) {
      given.add(new Sequence("", List.of("i1", "i4", "late")));
    }
    try (NextItem model = NextItem.train(given, OPTIONS)) {
      assertEquals("late", model.recommend(List.of("i1", "i4"), 1).get(0).label());
      assertEquals(20, model.rows().counts().ofLabels()[ITEMS]);
      assertEquals("learned in the last training", model.info().get("held-out items"));
    }
    NextItemOptions own = OPTIONS.withValidation(given);
    try (NextItem model = NextItem.train(walks(), own)) {
      assertFalse(model.knows("late"));
      assertFalse(model.info().containsKey("held-out items"));
    }
    List<Sequence> baskets = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      baskets.add(new Sequence("", List.of("a", "b", "c" + i)));
    }
    try (NextItem model = NextItem.train(baskets, OPTIONS.withFormat(SequenceFormat.BASKETS))) {
      assertTrue(baskets.stream().allMatch(basket -> model.knows(basket.last())));
    }
  }

  @Test
  void stopInTheLastTrainingKeepsTheModelBefore() {
    List<Sequence> given = new ArrayList<>(walks());
    given.add(new Sequence("", List.of("i1", "i4", "late")));
    AtomicBoolean isLast = new AtomicBoolean();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void training(int number, int count, String settings, long examples) {
            assertFalse(isLast.get());
            isLast.set(settings.contains("held out"));
          }

          @Override
          public void epoch(LearningPoint point) {
            assertTrue(point.loss() > 0, point::toString);
          }
        };
    TrainingOptions learning = OPTIONS.learning().withListener(listener).withStop(isLast::get);
    long bytes = FloatTensor.allocatedBytes();
    try (NextItem model = NextItem.train(given, OPTIONS.withLearning(learning))) {
      assertTrue(isLast.get());
      assertFalse(model.knows("late"));
      assertFalse(model.info().containsKey("held-out items"));
      assertEquals("i5", model.recommend(List.of("i2", "i3", "i4"), 1).get(0).label());
    }
    assertTrue(FloatTensor.allocatedBytes() <= bytes, "layers are closed");
  }

  @Test
  void errorInTheLastTrainingKeepsTheModelBefore() {
    AtomicBoolean isLast = new AtomicBoolean();
    List<String> warnings = new ArrayList<>();
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void training(int number, int count, String settings, long examples) {
            isLast.set(settings.contains("held out"));
          }

          @Override
          public void step(int count, double loss) {
            if (isLast.get()) {
              throw new ArithmeticException("loss: infinite");
            }
          }

          @Override
          public void warning(String message) {
            warnings.add(message);
          }
        };
    TrainingOptions learning = OPTIONS.learning().withListener(listener);
    long bytes = FloatTensor.allocatedBytes();
    try (NextItem model = NextItem.train(walks(), OPTIONS.withLearning(learning))) {
      assertEquals(
          List.of(
              "the last training has failed, so held-out items are not learned: loss: infinite"),
          warnings);
      assertFalse(model.info().containsKey("held-out items"));
      assertEquals("i5", model.recommend(List.of("i2", "i3", "i4"), 1).get(0).label());
    }
    assertTrue(FloatTensor.allocatedBytes() <= bytes, "layers are closed");
  }

  /** Transitions are counted in any case. */
  @Test
  void stopBeforeTheFirstStepLeavesTransitions() {
    TrainingListener listener =
        new TrainingListener() {
          @Override
          public void epoch(LearningPoint point) {
            throw new AssertionError(point);
          }
        };
    TrainingOptions learning = OPTIONS.learning().withListener(listener).withStop(() -> true);
    for (NextItemOptions options :
        List.of(OPTIONS, NO_CHOICE, OPTIONS.withFormat(SequenceFormat.BASKETS))) {
      try (NextItem model = NextItem.train(walks(), options.withLearning(learning))) {
        assertEquals("0", model.info().get("epoch of this model"));
        String next = model.recommend(List.of("i3", "i4"), 1).get(0).label();
        assertTrue(next.equals("i5") || model.format() == SequenceFormat.BASKETS, next);
      }
    }
  }

  /** The validation has unknown items only: no epoch is better than the first. */
  @Test
  void plateauEndsTheTraining_withItsLastEpoch() {
    Trainings trainings = new Trainings();
    TrainingOptions learning =
        InternalOptions.withPatience(OPTIONS.learning(), 3).withEpochs(9).withListener(trainings);
    NextItemOptions options =
        OPTIONS
            .withLearning(learning)
            .withValidation(List.of(new Sequence("", List.of("i1", "nix"))));
    try (NextItem model = NextItem.train(walks(), options)) {
      assertEquals(List.of(4, 4), trainings.epochs);
      assertEquals("4", model.info().get("epoch of this model"));
    }
  }

  /** Compares with the definition, level by level. */
  @Test
  void logitsOfLayersAreAddedUp() {
    int[] classOf = {0, 1, 0, 2, 2, 2};
    ClassAssignment classes = ClassAssignment.of(classOf);
    Labels labels = Labels.of(List.of("a", "b", "c", "d", "e", "f"));
    HistoryRows rows = HistoryRows.of(true, new LabelCounts(1, new long[classOf.length]));
    TrainingOptions learning = TrainingOptions.defaults();
    List<int[]> history = List.of(new int[] {3, 0, 0, 5}, new int[] {2, 4}, new int[0]);
    try (HistoryLayers a = HistoryLayers.of(rows, 5, classes, labels, learning);
        HistoryLayers b =
            HistoryLayers.of(rows.withDecays(List.of(0.7)), 3, classes, labels, learning)) {
      SplittableRandom random = new SplittableRandom(1);
      for (HistoryLayers part : List.of(a, b)) {
        for (FloatTensor weights :
            List.of(
                part.bag().table(),
                part.softmax().W1(),
                part.softmax().b1(),
                part.softmax().W2(),
                part.softmax().b2())) {
          float[] values = new float[(int) weights.shape().size()];
          for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat() - 0.5f;
          }
          weights.copyFrom(values);
        }
      }
      try (HistoryLayers mean = HistoryLayers.mean(List.of(a, b), learning)) {
        assertEquals(List.of(0.4, 0.9, 0.7), mean.rows().decays());
        double[][] ofA = logProbabilities(a, history);
        double[][] ofB = logProbabilities(b, history);
        double[][] of = logProbabilities(mean, history);
        for (int row = 0; row < of.length; row++) {
          double[] ofClassA = ofClasses(ofA[row], classOf);
          double[] ofClassB = ofClasses(ofB[row], classOf);
          double[] ofClass = new double[3];
          Arrays.setAll(ofClass, c -> (ofClassA[c] + ofClassB[c]) / 2);
          double[] within = new double[classOf.length];
          for (int i = 0; i < within.length; i++) {
            int c = classOf[i];
            within[i] = (ofA[row][i] - ofClassA[c] + ofB[row][i] - ofClassB[c]) / 2;
          }
          double[] sums = ofClasses(within, classOf);
          double all = logSum(ofClass);
          for (int i = 0; i < within.length; i++) {
            int c = classOf[i];
            assertEquals(ofClass[c] - all + within[i] - sums[c], of[row][i], 1e-5);
          }
        }
      }
    }
  }

  private static double[][] logProbabilities(HistoryLayers layers, List<int[]> histories) {
    try (SparseRows rows = layers.rows().ofBag(histories);
        FloatTensor x = layers.bag().apply(rows);
        FloatTensor all = layers.softmax().logProbabilities(x)) {
      double[][] found = new double[histories.size()][layers.softmax().outputs()];
      for (int row = 0; row < found.length; row++) {
        for (int output = 0; output < found[row].length; output++) {
          found[row][output] = all.get(row, output);
        }
      }
      return found;
    }
  }

  private static double[] ofClasses(double[] logs, int... classOf) {
    double[] sums = new double[3];
    for (int c = 0; c < sums.length; c++) {
      int wanted = c;
      sums[c] =
          logSum(
              IntStream.range(0, logs.length)
                  .filter(i -> classOf[i] == wanted)
                  .mapToDouble(i -> logs[i])
                  .toArray());
    }
    return sums;
  }

  private static double logSum(double... logs) {
    return Math.log(Arrays.stream(logs).map(Math::exp).sum());
  }

  /** Trains vectors large enough to overfit on few users. */
  private static NextItem trainOnTastes(TrainingListener listener) {
    TrainingOptions learning = OPTIONS.learning().withDimension(256).withListener(listener);
    return NextItem.train(
        tastes(100, 1), OPTIONS.withLearning(learning).withValidation(tastes(1000, 2)));
  }

  /** One of the two settings is chosen, or both. */
  @Test
  void settingsWithTheHighestScoreAreChosen() {
    String first = "decays [0.4, 0.9], dropout 0.5";
    String second = "any order, dropout 0.7";
    Map<String, List<Double>> decays =
        Map.of(
            first,
            List.of(0.4, 0.9),
            second,
            List.of(1.0),
            first + "; " + second,
            List.of(0.4, 0.9, 1.0));
    Set<List<Double>> chosen = new HashSet<>();
    for (int run = 0; run < 2; run++) {
      Trainings trainings = new Trainings();
      TrainingOptions learning = OPTIONS.learning().withListener(trainings);
      NextItemOptions options = OPTIONS.withLearning(learning).withValidation(keyed(false, 2));
      try (NextItem model =
          run == 0 ? trainOnTastes(trainings) : NextItem.train(keyed(false, 1), options)) {
        assertEquals(List.of(first, second), trainings.settings);
        Map<String, Double> scores = new TreeMap<>();
        for (String settings : decays.keySet()) {
          String score = model.info().get("validation nDCG@10, " + settings);
          scores.put(settings, Double.valueOf(score));
        }
        double best = Collections.max(scores.values());
        chosen.add(model.rows().decays());
        decays.forEach(
            (settings, of) ->
                assertTrue(
                    !of.equals(model.rows().decays()) || scores.get(settings) == best,
                    scores::toString));
      }
    }
    assertEquals(2, chosen.size());
  }

  @Test
  void fileHoldsAModelWithOneDecay() throws IOException {
    Path file = folder.resolve("model");
    Path larger = folder.resolve("larger");
    List<String> history = List.of("i0_3", "i0_4", "i1_2");
    try (NextItem model = trainOnTastes(new TrainingListener() {})) {
      assertEquals(List.of(1.0), model.rows().decays());
      model.save(file);
      try (NextItem loaded = NextItem.load(file);
          NextItem grown = loaded.with(List.of(new Sequence("", List.of("i0_3", "new"))))) {
        assertEquals(List.of(1.0), loaded.rows().decays());
        assertEquals(model.recommend(history, 9), loaded.recommend(history, 9));
        grown.save(larger);
        try (NextItem again = NextItem.load(larger)) {
          assertEquals(List.of(1.0), again.rows().decays());
          for (List<String> known : List.of(history, List.of("new"), List.of("i0_3", "new"))) {
            assertEquals(grown.recommend(known, 9), again.recommend(known, 9));
          }
        }
      }
    }
  }

  @Test
  void fileOfAnotherKindIsRefused() throws IOException {
    Path file = folder.resolve("model");
    try (SparseRows rows = SparseRows.of(List.of(new int[] {0}));
        SparseWeights weights = SparseWeights.of(rows, 1)) {
      weights.save(file);
    }
    assertThrows(FileFormatException.class, () -> NextItem.load(file));
    assertFalse(NextItem.isIn(file));
    Files.writeString(file, "no model");
    assertFalse(NextItem.isIn(file));
    assertThrows(FileFormatException.class, () -> NextItem.load(file));
  }

  /** Above 780,000 items, a classifier's counts are left out. */
  @Test
  void countsOfAMillionItemsAreSaved() throws IOException {
    Path file = folder.resolve("model");
    long[] counts = new long[1_000_000];
    Arrays.setAll(counts, item -> item % 1000);
    HistoryRows rows = HistoryRows.of(true, new LabelCounts(7, counts));
    try (SparseRows row = SparseRows.of(List.of(new int[] {0}));
        SparseWeights weights = SparseWeights.of(row, 1)) {
      weights.save(
          file,
          SaveOptions.defaults().withMetadata(NextItemFile.metadata(rows, Map.of("card", "x"))));
    }
    try (SparseWeights weights = SparseWeights.load(file)) {
      LabelCounts loaded = NextItemFile.counts(file, weights.metadata(), counts.length);
      assertArrayEquals(counts, loaded.ofLabels());
      assertEquals("x", weights.metadata().get("card"));
    }
    HistoryRows tooMany = HistoryRows.of(true, new LabelCounts(7, new long[5_000_000]));
    assertEquals(
        "sequences: 5,000,000 items are too many for a file, whose counts take 6,666,668 letters of"
            + " 6,291,456",
        assertThrows(IllegalArgumentException.class, () -> NextItemFile.metadata(tooMany, Map.of()))
            .getMessage());
  }

  @Test
  void fileHoldsSightingsOfNewItems() throws IOException {
    Path file = folder.resolve("model");
    try (NextItem model = NextItem.train(walks(), OPTIONS);
        NextItem grown = model.with(List.of(new Sequence("", List.of("i3", "new"))))) {
      grown.save(file);
      List<Sequence> more = List.of(new Sequence("", List.of("i3", "new", "i5")));
      try (NextItem loaded = NextItem.load(file);
          NextItem seenAgain = grown.with(more);
          NextItem loadedAgain = loaded.with(more)) {
        assertEquals(2, loadedAgain.rows().count(ITEMS));
        for (List<String> history : List.of(List.of("new"), List.of("i4", "new"))) {
          assertEquals(grown.recommend(history, 9), loaded.recommend(history, 9));
          assertEquals(seenAgain.recommend(history, 9), loadedAgain.recommend(history, 9));
        }
      }
    }
  }

  private void refuseFile(String part, Mixture mixture, Map<String, String> metadata)
      throws IOException {
    Path bad = folder.resolve("bad");
    mixture.save(bad, SaveOptions.defaults().withMetadata(metadata));
    FileFormatException e = assertThrows(FileFormatException.class, () -> NextItem.load(bad), part);
    assertEquals(part, e.part(), e::getMessage);
    assertTrue(e.getMessage().length() < 1000, e::getMessage);
  }

  /** A sequence of events with times before a limit. */
  @Test
  void formatAndLimitAreKept() throws IOException {
    Path file = folder.resolve("model");
    EventColumns columns = EventColumns.defaults().withItem("sku");
    NextItemOptions options =
        NO_CHOICE
            .withFormat(SequenceFormat.EVENTS)
            .withColumns(columns)
            .withUntil(1.796044889e9)
            .withSessionGap(Duration.ofMinutes(90));
    try (NextItem model = NextItem.train(walks(), options)) {
      model.save(file);
    }
    try (NextItem model = NextItem.load(file);
        NextItem grown = model.with(List.of(new Sequence("", List.of("i3", "new"))))) {
      for (NextItem one : List.of(model, grown)) {
        assertEquals(SequenceFormat.EVENTS, one.format());
        assertEquals(columns, one.columns());
        assertEquals(1.796044889e9, one.until().orElseThrow());
        assertEquals("1796044889", one.info().get("until"));
        assertEquals(Duration.ofMinutes(90), one.sessionGap().orElseThrow());
        assertEquals("1h30m", one.info().get("session gap"));
      }
    }
  }

  @Test
  void noNewItems() {
    try (NextItem model = NextItem.train(walks(), NO_CHOICE);
        NextItem same = model.with(List.of())) {
      List<String> history = List.of("i7", "i8");
      assertEquals(labels(model.recommend(history, 5)), labels(same.recommend(history, 5)));
    }
  }

  @Test
  void nullIsNoItem() {
    try (NextItem model = NextItem.train(walks(), NO_CHOICE)) {
      List<String> history = Arrays.asList("i7", null);
      assertEquals(
          "item",
          assertThrows(NullPointerException.class, () -> model.recommend(history, 5)).getMessage());
    }
  }

  /** Users who return to their first item have scores of repeats; walking users have none. */
  @Test
  void repeatsAreScoredWhereTheyAreHeldOut() throws IOException {
    Path file = folder.resolve("model");
    List<Sequence> comers = new ArrayList<>();
    for (int user = 0; user < 200; user++) {
      String own = "own" + user % 20;
      comers.add(new Sequence("u" + user, List.of(own, "x" + user % 7, own, "x" + user % 5, own)));
    }
    List<String> history = List.of("own3", "x1", "own3", "x4");
    try (NextItem walking = NextItem.train(walks(), OPTIONS);
        NextItem model = NextItem.train(comers, OPTIONS)) {
      assertEquals(Repeats.EXCLUDE, walking.repeats());
      assertFalse(walking.info().get("scorers").contains("repeats"));
      assertEquals(Repeats.INCLUDE, model.repeats());
      assertEquals("own3", model.recommend(history, 1).get(0).label());
      assertTrue(model.evaluate(comers, 1).recall(1) > 0.9);
      assertEquals(0, model.evaluate(comers, 1, Repeats.EXCLUDE).recall(1));
      model.save(file);
      try (NextItem loaded = NextItem.load(file);
          NextItem grown = model.with(List.of(new Sequence("", List.of("x1", "new"))))) {
        assertEquals(model.recommend(history, 5), loaded.recommend(history, 5));
        assertEquals("own3", grown.recommend(history, 1).get(0).label());
        PredictionOptions ten = PredictionOptions.top(10);
        assertEquals(
            Set.of("own3", "x1", "new"),
            Set.copyOf(
                labels(
                    grown
                        .recommend(List.of(List.of("new", "own3", "x1")), ten, Repeats.ONLY)
                        .get(0))));
        assertTrue(
            labels(model.recommend(List.of(history), ten, Repeats.EXCLUDE).get(0)).stream()
                .noneMatch(history::contains));
      }
    }
  }

  @Test
  void repeatsAreChosenByTheMeasureOfATest() {
    List<Sequence> heldOut = new ArrayList<>();
    for (int user = 0; user < 60; user++) {
      String own = "i" + user % ITEMS;
      String other = "i" + (user * 7 + 3) % ITEMS;
      List<String> items = List.of(own, "i1", own, other, user % 3 == 0 ? "i1" : own, other);
      heldOut.add(new Sequence("u" + user, items, 1 + user % 2));
    }
    try (NextItem model = NextItem.train(walks(), NO_CHOICE)) {
      RepeatSearch.Choice choice = RepeatSearch.choose(model, heldOut, count -> {});
      NextItem chosen = RepeatSearch.with(model, choice); // shares the layers of the model
      double ndcg = chosen.evaluate(heldOut, NextItem.CUTOFF, Repeats.INCLUDE).ndcg(10);
      assertTrue(ndcg > 0.2 && ndcg < 0.95, () -> "nDCG " + ndcg);
      assertEquals(ndcg, choice.ndcg(), 1e-9);
    }
  }

  /**
   * Returns pairs of items that predict the third only together: after one alone, all are equally
   * frequent.
   */
  private static List<Sequence> triples(int copies) {
    int size = 8;
    List<Sequence> triples = new ArrayList<>();
    for (int copy = 0; copy < copies; copy++) {
      for (int pair = 0; pair < size * size; pair++) {
        int a = pair / size;
        int b = pair % size;
        List<String> items = List.of("a" + a, "b" + b, "c" + (a + b) % size);
        triples.add(new Sequence("u" + copy + "_" + pair, items));
      }
    }
    return triples;
  }

  @Test
  void nearestSequencesVoteWhereTheyGain() throws IOException {
    Path file = folder.resolve("model");
    List<String> history = List.of("a5", "b6");
    Sequence sighting = new Sequence("", List.of("a5", "b6", "new"));
    try (NextItem walking = NextItem.train(walks(), OPTIONS);
        NextItem model = NextItem.train(triples(3), OPTIONS.withValidation(triples(1)))) {
      assertFalse(walking.info().get("scorers").contains("nearest"));
      assertTrue(model.info().get("scorers").contains("nearest"), () -> model.info().toString());
      assertEquals("c3", model.recommend(history, 1).get(0).label());
      assertTrue(model.evaluate(triples(1), 1).recall(1) > 0.9);
      model.save(file);
      try (NextItem loaded = NextItem.load(file);
          NextItem grown = loaded.with(List.of(sighting))) {
        assertEquals(model.recommend(history, 9), loaded.recommend(history, 9));
        assertEquals("c3", grown.recommend(history, 1).get(0).label());
        assertEquals("c3", grown.recommend(List.of("a5", "b6", "new"), 1).get(0).label());
        grown.save(file);
        try (NextItem again = NextItem.load(file)) {
          assertEquals(grown.recommend(history, 9), again.recommend(history, 9));
        }
      }
      Mixture sum = model.mixture();
      NearestExamples nearest = sum.scorer("nearest", NearestExamples.class);
      try (SparseRows rows = SparseRows.of(List.of(new int[] {0}), List.of(new float[] {1}));
          SparseWeights one = SparseWeights.ofRows(rows, 1);
          SparseWeights votes = SparseWeights.of(rows, 1)) {
        assertEquals(ITEMS, nearest.examples().features());
        refuseFile(
            "nearest",
            NextItemFile.sum(sum, new NearestExamples(one, votes, 1), null, null)
                .withWeights(sum.weights()),
            NextItemFile.metadata(model.rows(), Map.of("nextItem.dataFormat", "sequences")));
      }
    }
  }

  /** Sequences of one item do not vote; frequent items get smaller votes. */
  @Test
  void votesOfNearestSequences() {
    long[] counts = {4, 1, 1, 9};
    List<int[]> sequences = List.of(new int[] {0, 1, 0}, new int[] {3}, new int[] {0, 2, 3});
    double first = Math.pow(0.5 / Math.sqrt(3), 2);
    double second = Math.pow(1 / Math.sqrt(4), 2);
    double mean = (1 / 2.0 + 1 + 1 / 2.0 + 1 + 1 / 3.0) / 2;
    double[] ofSequences = {
      (first + second) / 2 / mean, first / mean, second / mean, second / 3 / mean
    };
    double[] ofBaskets = {first / 2 + second / 3, first / 2, second / 3, second / 3};
    for (boolean ordered : new boolean[] {true, false}) {
      NearestExamples nearest = NearestSequences.ofOrNull(sequences, ordered, counts);
      try (Mixture sum = Mixture.builder().nearest("nearest", nearest).build();
          SparseRows row =
              SparseRows.of(List.of(new int[] {0, 3}), List.of(new float[] {0.5f, 0.5f}))) {
        Ranking ranking = sum.topK(List.of(row), 4);
        assertEquals(4, ranking.size(0));
        for (int rank = 0; rank < 4; rank++) {
          double expected = (ordered ? ofSequences : ofBaskets)[ranking.output(0, rank)];
          assertEquals(expected, ranking.score(0, rank), 1e-6);
        }
      }
    }
    List<int[]> single = List.of(new int[] {0, 0}, new int[] {1});
    assertNull(NearestSequences.ofOrNull(single, true, 2, 1));
  }

  /** Each choice measures held-out sequences, including that of the weight of repeats. */
  @Test
  void progressOfWeightsEndsAtItsTotal() {
    List<Sequence> comers = new ArrayList<>();
    for (int user = 0; user < 40; user++) {
      comers.add(new Sequence("u" + user, List.of("own" + user % 20, "x", "y", "own" + user % 20)));
    }
    for (List<Sequence> given : List.of(walks(), comers)) {
      List<int[]> weighed = new ArrayList<>();
      TrainingListener listener =
          new TrainingListener() {
            @Override
            public void epoch(LearningPoint point) {
              assertTrue(weighed.isEmpty());
            }

            @Override
            public void weighed(int examples, int all) {
              weighed.add(new int[] {examples, all});
            }
          };
      TrainingOptions learning = OPTIONS.learning().withListener(listener);
      NextItem.train(given, OPTIONS.withLearning(learning).withValidation(given)).close();
      int before = 0;
      for (int[] point : weighed) {
        assertTrue(point[0] > before && point[0] <= point[1], () -> Arrays.toString(point));
        before = point[0];
      }
      assertEquals(weighed.get(0)[1], before);
    }
  }

  /** They could not choose anything. */
  @Test
  void validationOfSingleItemsIsRefused() {
    List<Sequence> single = List.of(new Sequence("u", List.of("i1")));
    assertThrows(IllegalArgumentException.class, () -> OPTIONS.withValidation(single));
  }

  private static SparseWeights weights(int items, Labels labels) {
    List<int[]> followers = new ArrayList<>();
    for (int item = 0; item < items; item++) {
      followers.add(new int[] {(item + 1) % ITEMS});
    }
    try (SparseRows rows = SparseRows.of(followers)) {
      SparseWeights weights = SparseWeights.of(rows, ITEMS);
      weights.setLabels(labels);
      return weights;
    }
  }

  private static MixtureBuilder mixture(
      EmbeddingBag bag, TwoLevelLayer<?> layer, SparseWeights weights) {
    return Mixture.builder().layer("history", bag, layer).weights("transitions", weights);
  }

  @Test
  void changedFileIsRefused() throws IOException {
    Path good = folder.resolve("good");
    try (NextItem model = NextItem.train(walks(), NO_CHOICE)) {
      model.save(good);
    }
    try (Mixture loaded = Mixture.load(good);
        EmbeddingBag small = EmbeddingBag.builder(2 * ITEMS - 1, 16).build();
        HierarchicalSoftmax unnamed = HierarchicalSoftmax.builder(16, ITEMS).build();
        LabelTree tree = LabelTree.builder(16, ITEMS).build();
        SparseWeights few = weights(ITEMS - 1, loaded.labels());
        SparseWeights all = weights(ITEMS, loaded.labels());
        SparseWeights bare = SparseWeights.of(SparseRows.of(List.of(new int[ITEMS])), ITEMS);
        SparseRows ofBag = SparseRows.of(List.of(new int[] {0, 1}));
        SparseRows ofAll = SparseRows.of(List.of(new int[] {0}))) {
      Map<String, String> metadata = loaded.metadata();
      EmbeddingBag bag = loaded.scorer("history", EmbeddingBag.class);
      HierarchicalSoftmax layer = loaded.scorer("history", HierarchicalSoftmax.class);
      refuseFile("table", mixture(small, layer, all).addProbabilities().build(), metadata);
      refuseFile("labels", mixture(bag, unnamed, bare).addProbabilities().build(), metadata);
      refuseFile("scorers", mixture(bag, tree, all).addProbabilities().build(), metadata);
      refuseFile("transitions", mixture(bag, layer, few).addProbabilities().build(), metadata);
      Mixture calibrated = loaded.fit(List.of(ofBag, ofAll), ofAll);
      refuseFile("mixture.knots", calibrated, metadata);
      for (Map.Entry<String, String> change :
          List.of(
              Map.entry("nextItem.format", "2"),
              Map.entry("nextItem.dataFormat", "maybe"),
              Map.entry("nextItem.counts", "AAAA"),
              Map.entry("nextItem.counts", ""),
              Map.entry("nextItem.counts", "="),
              Map.entry("nextItem.decays", "0.4;0.9"),
              Map.entry("nextItem.decays", "2.0"),
              Map.entry("nextItem.until", "soon"),
              Map.entry("nextItem.sessionGap", "0"),
              Map.entry("nextItem.sessionGap", "99999999999999999999"),
              Map.entry("nextItem.counts", "/".repeat(3_000_000)),
              Map.entry("nextItem.transitionDecay", "1.5"),
              Map.entry("nextItem.transitionDecay", "NaN"))) {
        Map<String, String> changed = new TreeMap<>(metadata);
        changed.put(change.getKey(), change.getValue());
        refuseFile(change.getKey(), loaded, changed);
      }
    }
  }

  @Test
  void sumOfLogarithmsBecomesOneOfProbabilities() throws IOException {
    Path good = folder.resolve("good");
    Path odd = folder.resolve("odd");
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      model.save(good);
      try (Mixture loaded = Mixture.load(good)) {
        mixture(
                loaded.scorer("history", EmbeddingBag.class),
                loaded.scorer("history", HierarchicalSoftmax.class),
                loaded.scorer("transitions", SparseWeights.class))
            .build()
            .withWeights(loaded.weights())
            .save(odd, SaveOptions.defaults().withMetadata(loaded.metadata()));
      }
      try (NextItem loaded = NextItem.load(odd)) {
        List<String> history = List.of("i7", "i8");
        assertEquals(model.recommend(history, 9), loaded.recommend(history, 9));
      }
    }
  }

  @Test
  void weightsOfAFileMayBeNegative() throws IOException {
    Path good = folder.resolve("good");
    Path odd = folder.resolve("odd");
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      model.save(good);
    }
    try (Mixture loaded = Mixture.load(good);
        SparseRows rows =
            SparseRows.of(
                Collections.nCopies(ITEMS, new int[] {0, 1}),
                Collections.nCopies(ITEMS, new float[] {-9, 9}));
        SparseWeights weights = SparseWeights.of(rows, ITEMS)) {
      EmbeddingBag bag = loaded.scorer("history", EmbeddingBag.class);
      HierarchicalSoftmax layer = loaded.scorer("history", HierarchicalSoftmax.class);
      mixture(bag, layer, weights)
          .addProbabilities()
          .build()
          .save(odd, SaveOptions.defaults().withMetadata(loaded.metadata()));
    }
    try (NextItem model = NextItem.load(odd)) {
      List<Prediction> found = model.recommend(List.of("i3"), ITEMS);
      assertEquals(ITEMS - 1, found.size());
      assertEquals(1, found.get(0).probability());
      assertEquals(0, found.get(ITEMS - 2).probability());
    }
  }

  @Test
  void historyAndFilterLeaveItemsOut() {
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      List<String> history = List.of("i2", "i4", "i3", "i4");
      List<String> all = labels(model.recommend(history, 2 * ITEMS));
      assertEquals(ITEMS - 3, all.size());
      assertFalse(all.contains("i4"));
      PredictionOptions some =
          PredictionOptions.top(ITEMS).withFilter(LabelFilter.only(List.of("i9", "i4", "nix")));
      assertEquals(List.of("i9"), labels(model.recommend(List.of(history), some).get(0)));
    }
  }

  @Test
  void unknownItemsAreIgnored() {
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      assertFalse(model.knows("nix"));
      assertEquals(model.recommend(List.of("i2"), 3), model.recommend(List.of("i2", "nix"), 3));
      assertEquals(model.recommend(List.of(), 3), model.recommend(List.of("nix"), 3));
      assertEquals(3, model.recommend(List.of(), 3).size());
    }
  }

  @Test
  void newItemsAreKnownAtOnce() throws IOException {
    Path file = folder.resolve("model");
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      List<Prediction> before = model.recommend(List.of("i3"), 3);
      try (NextItem grown = model.with(List.of(new Sequence("", List.of("i3", "nix", "new"))))) {
        grown.save(file);
      }
      assertEquals(before, model.recommend(List.of("i3"), 3));
      assertFalse(model.knows("new"));
      for (List<String> none :
          List.of(List.of("i3", "i4"), List.of("nix", "new"), List.of("new"), List.<String>of())) {
        try (NextItem same = model.with(List.of(new Sequence("", none)))) {
          assertFalse(same.knows("new"));
          assertEquals(labels(before), labels(same.recommend(List.of("i3"), 3)), none::toString);
        }
      }
    }
    try (NextItem grown = NextItem.load(file)) {
      assertTrue(grown.knows("new"));
      assertTrue(labels(grown.recommend(List.of("i3"), ITEMS)).contains("new"));
      assertEquals("i4", grown.recommend(List.of("i3"), 1).get(0).label());
      assertTrue(labels(grown.recommend(List.of("new"), 2)).contains("i4"));
    }
  }

  /** Returns users who take four of the ten items of one topic, which item texts reveal. */
  private static List<Sequence> topics(int seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Sequence> users = new ArrayList<>();
    for (int user = 0; user < 600; user++) {
      String topic = "t%03d".formatted(user % 150);
      List<String> items =
          random.ints(0, 10).distinct().limit(4).mapToObj(i -> topic + "i" + i).toList();
      users.add(new Sequence("u" + user, items));
    }
    return users;
  }

  private static Map<String, String> texts(Function<String, String> text, String... more) {
    Map<String, String> texts = new TreeMap<>();
    for (Sequence user : topics(1)) {
      user.items().forEach(item -> texts.put(item, text.apply(item)));
    }
    Stream.of(more).forEach(item -> texts.put(item, text.apply(item)));
    return texts;
  }

  private static String topic(String item) {
    return "The topic " + item.substring(0, 4);
  }

  @Test
  void itemsAreFoundByTheirTexts() throws IOException {
    Path file = folder.resolve("model");
    List<String> history = topics(1).get(3).items().subList(0, 2);
    NextItemOptions options = OPTIONS.withItemTexts(texts(NextItemTest::topic, "t003unseen"));
    try (NextItem without = NextItem.train(topics(1), OPTIONS);
        NextItem model = NextItem.train(topics(1), options)) {
      assertTrue(model.info().get("scorers").contains("texts"));
      double gain =
          model.evaluate(topics(2), 10).recall(10) - without.evaluate(topics(2), 10).recall(10);
      assertTrue(gain > 0.05, () -> "gains " + gain);
      assertFalse(model.knows("t003unseen"));
      model.save(file);
      List<Sequence> sighting = List.of(new Sequence("", List.of("t005i1", "new")));
      Map<String, String> all = texts(NextItemTest::topic, "t003unseen", "t009unseen");
      all.put("alone", "like no other");
      try (NextItem loaded = NextItem.load(file);
          NextItem grown = loaded.with(List.of(), all);
          NextItem later = grown.with(sighting)) {
        assertEquals(model.recommend(history, 5), loaded.recommend(history, 5));
        assertFalse(grown.knows("alone"));
        String[] of = history.toArray(String[]::new);
        double similar = probability(grown, "t003unseen", of);
        assertTrue(similar > 10 * probability(grown, "t009unseen", of), () -> "is " + similar);
        assertEquals(
            "t003", grown.recommend(List.of("t003unseen"), 1).get(0).label().substring(0, 4));
        assertEquals(similar, probability(later, "t003unseen", of), 1e-3 * similar);
        assertTrue(probability(later, "new", "t005i1") > 0);
        assertEquals(3, later.recommend(List.of("new"), 3).size());
      }
      Mixture sum = model.mixture();
      SparseWeights kept = sum.scorer("texts", SparseWeights.class);
      try (SparseRows rows = SparseRows.of(List.of(new int[] {0}));
          SparseWeights ofWords = SparseWeights.ofRows(rows, kept.features())) {
        refuseFile(
            "texts",
            NextItemFile.sum(sum, NextItemFile.nearestOrNull(sum), ofWords, null)
                .withWeights(sum.weights()),
            NextItemFile.metadata(model.rows(), Map.of("nextItem.dataFormat", "sequences")));
      }
    }
  }

  @Test
  void textsThatTellNothingChangeNothing() {
    Map<String, String> useless = texts(item -> "word " + item.hashCode() % 7);
    Map<String, String> own = texts(item -> item);
    Map<String, String> none = texts(item -> "...");
    List<List<String>> users = topics(1).stream().map(Sequence::items).toList();
    try (NextItem without = NextItem.train(topics(1), OPTIONS)) {
      for (Map<String, String> texts : List.of(useless, own, none, Map.of("unknown", "text"))) {
        try (NextItem model = NextItem.train(topics(1), OPTIONS.withItemTexts(texts));
            NextItem same = model.with(List.of(), Map.of("new", "word 1"))) {
          assertEquals(without.info().get("scorers"), model.info().get("scorers"));
          assertFalse(same.knows("new"));
          PredictionOptions ten = PredictionOptions.top(10);
          assertEquals(without.recommend(users, ten), model.recommend(users, ten));
        }
      }
    }
  }

  @Test
  void textsOfBasketsAreCompared() {
    List<Sequence> baskets = topics(1);
    NextItemOptions options = OPTIONS.withFormat(SequenceFormat.BASKETS);
    try (NextItem model =
        NextItem.train(baskets, options.withItemTexts(texts(NextItemTest::topic)))) {
      assertTrue(model.info().get("scorers").contains("texts"));
      assertEquals("t003", model.recommend(List.of("t003i1"), 1).get(0).label().substring(0, 4));
    }
  }

  @Test
  void newItemsAreAllOrNone() {
    List<Sequence> wrongName = List.of(new Sequence("", List.of("i3", "\ud800")));
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      List<Prediction> before = model.recommend(List.of("i3"), ITEMS);
      long bytes = FloatTensor.allocatedBytes();
      assertThrows(IllegalArgumentException.class, () -> model.with(wrongName));
      assertTrue(FloatTensor.allocatedBytes() <= bytes, "copies are closed");
      assertEquals(before, model.recommend(List.of("i3"), ITEMS));
    }
  }

  private static double probability(NextItem model, String next, String... history) {
    return model.recommend(List.of(history), 2 * ITEMS).stream()
        .filter(found -> found.label().equals(next))
        .mapToDouble(Prediction::probability)
        .findFirst()
        .orElse(0);
  }

  @Test
  void sightingsAddUp() {
    List<Sequence> once = List.of(new Sequence("", List.of("i2", "i3", "new", "i9")));
    List<Sequence> twice = List.of(once.get(0), once.get(0));
    try (NextItem model = NextItem.train(walks(), OPTIONS);
        NextItem seen = model.with(once);
        NextItem seenAgain = seen.with(once);
        NextItem seenTwice = model.with(twice)) {
      double first = probability(seen, "new", "i2", "i3");
      assertTrue(first > probability(seen, "new", "i11", "i12"), "after what was before it");
      assertTrue(probability(seenTwice, "new", "i2", "i3") > 1.2 * first);
      assertTrue(probability(seen, "i9", "new") > 2 * probability(model, "i9", "i3"));
      assertEquals(2, seenTwice.rows().count(ITEMS));
      for (String[] history : new String[][] {{"i2", "i3"}, {"i12"}, {"i4", "new"}, {"new"}}) {
        for (String next : List.of("new", "i4", "i9")) {
          double expected = probability(seenTwice, next, history);
          assertEquals(expected, probability(seenAgain, next, history), 1e-3 * expected);
        }
      }
    }
  }

  /** All sequences have two items, so that the estimate from pairs is exact. */
  @Test
  void sightingsCountAsTransitionsOfTheTraining() {
    List<Sequence> pairs = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      pairs.add(new Sequence("", List.of("a" + i % 3, "b")));
    }
    SparseWeights[] weights = new SparseWeights[2];
    try (NextItem model = NextItem.train(pairs, NO_CHOICE);
        NextItem seen = model.with(List.of(new Sequence("", List.of("a0", "new"))))) {
      weights[0] = model.mixture().scorer("transitions", SparseWeights.class);
      weights[1] = seen.mixture().scorer("transitions", SparseWeights.class);
      try (SparseRows a0 = SparseRows.of(List.of(new int[] {0}))) {
        assertEquals(1, weights[0].topK(a0, 9).size(0));
        Ranking ranking = weights[1].topK(a0, 9);
        assertEquals("new", ranking.label(0, 1));
        // One pair beside 20 with b, which occurs 60 times; a0 is a mean over popularities.
        double ofPair = 1 / Math.pow(2, 0.2);
        double mean = 0.65 * (Math.pow(61, -0.2) + Math.pow(21, -0.2)) / 2;
        assertEquals(ofPair / (20 * mean), ranking.score(0, 1), 1e-3);
      }
    }
  }

  @Test
  void missesCount() {
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      Metrics metrics =
          model.evaluate(
              List.of(
                  new Sequence("right", List.of("i2", "i3")),
                  new Sequence("unknown", List.of("i2", "nix")),
                  new Sequence("repeated", List.of("i3", "i2", "i3")),
                  new Sequence("short", List.of("i3"))),
              ITEMS);
      assertEquals(3, metrics.rows());
      assertEquals(1.0 / 3, metrics.recall(ITEMS), 1e-12);
    }
  }

  /** Prefixes of one list, and copies of each. */
  @Test
  void sequencesThatBeginAlikeAreMeasuredAlike() {
    SplittableRandom random = new SplittableRandom(4);
    List<Sequence> beginnings = new ArrayList<>();
    List<Sequence> copies = new ArrayList<>();
    for (int size : new int[] {900, 7, 1}) {
      ItemList items = // with unknown items and repeats; the last items are new
          ItemList.of(
              IntStream.range(0, size)
                  .mapToObj(place -> "i" + random.nextInt(1 + (ITEMS + 3) * place / size))
                  .toList());
      for (int end = 1; end <= size; end++) {
        beginnings.add(new Sequence("u", items.first(end)));
        copies.add(new Sequence("u", List.of(items.first(end).toArray(String[]::new))));
      }
    }
    try (NextItem model = NextItem.train(walks(), OPTIONS)) {
      for (int i = 0; i < 2; i++) {
        Metrics metrics = model.evaluate(beginnings, 3);
        Metrics same = model.evaluate(copies, 3);
        assertEquals(905, metrics.rows());
        assertTrue(metrics.recall(3) > 0);
        assertEquals(same.recall(3), metrics.recall(3));
        assertEquals(same.ndcg(3), metrics.ndcg(3), 1e-12);
        Collections.shuffle(beginnings, new Random(1));
      }
    }
  }

  @Test
  void basketsHaveNoOrder() {
    List<Sequence> baskets = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      int first = i % 8 * 3;
      baskets.add(
          new Sequence("b" + i, List.of("i" + first, "i" + (first + 1), "i" + (first + 2))));
    }
    try (NextItem model = NextItem.train(baskets, OPTIONS.withFormat(SequenceFormat.BASKETS))) {
      assertEquals("i5", model.recommend(List.of("i3", "i4"), 1).get(0).label());
      assertEquals(
          labels(model.recommend(List.of("i3", "i9"), 4)),
          labels(model.recommend(List.of("i9", "i3"), 4)));
    }
  }

  @Test
  void itemsOfABasketCountOnce() {
    List<Sequence> once = new ArrayList<>();
    List<Sequence> often = new ArrayList<>();
    for (int i = 0; i < 60; i++) {
      String other = "i" + i % 3;
      once.add(new Sequence("b" + i, List.of("a", other)));
      often.add(new Sequence("b" + i, List.of("a", other, "a", "a")));
    }
    NextItemOptions options = OPTIONS.withFormat(SequenceFormat.BASKETS).withValidation(once);
    try (NextItem model = NextItem.train(once, options);
        NextItem same = NextItem.train(often, options)) {
      assertEquals(model.recommend(List.of("a"), 3), same.recommend(List.of("a"), 3));
    }
  }

  @Test
  void equalBasketsAreHeldOutTogether() {
    int heldOut = 0;
    for (int i = 0; i < 1000; i++) {
      String a = "a" + i;
      String b = "b" + i % 7;
      boolean isHeldOut = NextItemTrainer.isHeldOut(new Sequence("1", List.of(a, b, "c")));
      assertEquals(isHeldOut, NextItemTrainer.isHeldOut(new Sequence("2", List.of("c", b, a, b))));
      heldOut += isHeldOut ? 1 : 0;
    }
    assertEquals(100, heldOut, 40);
  }

  @Test
  void somethingToLearnIsNotHeldOut() {
    Sequence equal =
        IntStream.range(0, 1000)
            .mapToObj(i -> new Sequence("", List.of("a" + i, "b")))
            .filter(NextItemTrainer::isHeldOut)
            .findFirst()
            .orElseThrow();
    List<Sequence> baskets = new ArrayList<>(Collections.nCopies(100, equal));
    for (int i = 0; i < 100; i++) {
      String single = "s" + i;
      assertFalse(NextItemTrainer.isHeldOut(new Sequence("", List.of(single))));
      baskets.add(new Sequence("", List.of(single, single)));
    }
    try (NextItem model = NextItem.train(baskets, OPTIONS.withFormat(SequenceFormat.BASKETS))) {
      assertEquals("b", model.recommend(List.of(equal.items().get(0)), 1).get(0).label());
      assertTrue(model.knows("s99"));
      assertEquals("0", model.info().get("validation sequences"));
    }
  }

  /** A file may have more occurrences than baskets, whose logarithm would be negative. */
  @Test
  void weightsOfHistoriesAreNumbers() {
    HistoryRows rows = HistoryRows.of(false, new LabelCounts(1, new long[] {9, 1, Long.MAX_VALUE}));
    List<int[]> history = List.of(new int[] {0, 1, 2});
    try (SparseRows ofBag = rows.ofBag(history);
        SparseRows ofTransitions = rows.ofTransitions(history)) {
      for (SparseRows of : List.of(ofBag, ofTransitions)) {
        assertArrayEquals(new int[] {1}, of.indices(0));
        assertArrayEquals(new float[] {1}, of.values(0));
      }
    }
  }

  /** There are more items than weights of a sequence. */
  @Test
  void testsUseAllItemsOfALargeBasket() {
    List<Sequence> baskets = new ArrayList<>();
    for (int i = 0; i < 100; i++) {
      baskets.add(
          new Sequence("b" + i, List.of("i" + i, "i" + (i + 1) % 100, "i" + (i + 2) % 100)));
    }
    List<String> items = IntStream.range(0, 61).mapToObj(item -> "i" + item * 3 % 100).toList();
    try (NextItem model = NextItem.train(baskets, NO_CHOICE.withFormat(SequenceFormat.BASKETS))) {
      List<Prediction> expected = model.recommend(items.subList(0, 60), 5);
      model.evaluate(
          List.of(new Sequence("large", items)),
          5,
          model.repeats(),
          (ranking, targets) -> {
            for (int rank = 0; rank < 5; rank++) {
              assertEquals(expected.get(rank).label(), ranking.label(0, rank));
              assertEquals(expected.get(rank).probability(), ranking.score(0, rank), 1e-6);
            }
          });
    }
  }

  /** All pairs of the basket would take gigabytes. */
  @Test
  void largeBasketIsLearned() {
    List<String> items = IntStream.range(0, 20_000).mapToObj(item -> "i" + item).toList();
    List<Sequence> validation = List.of(new Sequence("v", items.subList(0, 3)));
    NextItemOptions options =
        NextItemOptions.defaults()
            .withLearning(TrainingOptions.defaults().withDimension(2).withEpochs(1))
            .withFormat(SequenceFormat.BASKETS)
            .withValidation(validation);
    try (NextItem model = NextItem.train(List.of(new Sequence("b", items)), options)) {
      assertEquals(3, model.recommend(List.of("i7"), 3).size());
    }
  }

  /**
   * A part has at least one item, and on average four fifths of the other 9, with a standard
   * deviation of .04.
   */
  @Test
  void largePartsOfABasketAreSeenMoreOften() {
    List<String> items = IntStream.range(0, 11).mapToObj(item -> "i" + item).toList();
    ItemExamples examples = new ItemExamples(List.of(new Sequence("b", items)), false, 0);
    int[] first = new int[4000];
    List<int[]> seen = examples.seen(false, first);
    assertTrue(seen.stream().noneMatch(part -> IntStream.of(part).anyMatch(item -> item == 0)));
    assertEquals(8.2, seen.stream().mapToInt(part -> part.length).average().orElseThrow(), 0.2);
  }

  @Test
  void transitionsOfLargeBasketsAreSome() {
    int items = 1000;
    List<int[]> baskets = List.of(IntStream.range(0, items).toArray(), new int[] {0, 1});
    long[] counts = new long[items];
    Arrays.fill(counts, 1);
    counts[0] = 2;
    counts[1] = 2;
    try (SparseWeights weights = Transitions.of(baskets, counts, false);
        SparseRows x = SparseRows.of(List.of(new int[] {1}, new int[] {2}))) {
      assertEquals(items * 200 + 1, weights.weightCount(), 1);
      var ranking = weights.topK(x, items);
      assertEquals(0, ranking.output(0, 0));
      assertTrue(ranking.score(0, 0) >= 0.5);
      assertEquals(1, ranking.score(1, 199));
    }
  }

  @Test
  void nothingToLearnIsRefused() {
    List<Sequence> single = List.of(new Sequence("u", List.of("a")), new Sequence("v", List.of()));
    String message =
        assertThrows(IllegalArgumentException.class, () -> NextItem.train(single, OPTIONS))
            .getMessage();
    assertEquals("sequences: expected one with two items to learn or more", message);
    for (double share : new double[] {1, 0.999_999_99, -0.1, Double.NaN}) {
      assertThrows(IllegalArgumentException.class, () -> OPTIONS.withDropout(share));
    }
  }

  /** Two sequences, a b c and b a, counted by hand. */
  @Test
  void transitionsAreCounts() {
    List<int[]> sequences = List.of(new int[] {0, 1, 2}, new int[] {1, 0});
    try (SparseWeights weights = Transitions.of(sequences, new long[] {2, 2, 1}, true);
        SparseRows x = SparseRows.of(List.of(new int[] {0}))) {
      double b = 1.3 / Math.pow(3, 0.2); // a b, and b a backward
      double c = 0.9 / Math.pow(2, 0.2);
      var ranking = weights.topK(x, 3);
      assertEquals(1, ranking.output(0, 0));
      assertEquals(b / (b + c), ranking.score(0, 0), 1e-6);
      assertEquals(c / (b + c), ranking.score(0, 1), 1e-6);
    }
    try (SparseWeights weights = Transitions.of(sequences, new long[] {2, 2, 1}, false);
        SparseRows x = SparseRows.of(List.of(new int[] {0}))) {
      var ranking = weights.topK(x, 3);
      assertEquals(1, ranking.score(0, 0), 1e-6); // in both baskets
      assertEquals(0.5, ranking.score(0, 1), 1e-6);
    }
  }
}
