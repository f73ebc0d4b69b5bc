// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;

/**
 * Trains a {@link NextItem}: a bag with a softmax on each beginning of a sequence, or on random
 * parts of baskets; counts of transitions; and the weights of their sum.
 *
 * <p>Items get numbers in the order of their first occurrence in what is learned, whatever their
 * names are: names may tell when an item appeared, held-out occurrences included.
 */
final class NextItemTrainer {
  private static final int DIMENSION = 256;
  private static final int EPOCHS = 10;

  /** Each epoch sees other parts of a basket. */
  private static final int EPOCHS_OF_BASKETS = 12;

  private static final int BATCH = 256;
  private static final double RATE = 0.1;
  private static final double SMOOTHING = 0.1;
  private static final int PATIENCE = 2;

  /** One of so many baskets is held out. */
  private static final int HELD_OUT = 10;

  /** Enough examples to tell which items are alike. */
  private static final int MOST_TO_CLUSTER = 500_000;

  /** Enough held-out sequences to choose the weights of two scorers. */
  private static final int MOST_TO_MIX = 2000;

  /** Of the transitions. The layer always has a part: it alone knows all items. */
  private static final double[] SHARES = {0.3, 0, 0.1, 0.2, 0.45, 0.6, 0.75, 0.9, 0.97};

  /** {@link HistoryRows#transitionDecay}: the best with the first share. */
  private static final double[] TRANSITION_DECAYS = {HistoryRows.TRANSITION_DECAY, 0.8, 0.95};

  private final NextItemOptions options;
  private final TrainingOptions learning;
  private final Map<String, Integer> numbers = new LinkedHashMap<>();
  private final List<int[]> sequences = new ArrayList<>();
  private final List<Sequence> validation;
  private final HistoryRows rows;
  private final Map<String, String> metadata = new TreeMap<>();
  private final SplittableRandom random;
  private long steps;

  NextItemTrainer(List<Sequence> given, NextItemOptions options) {
    this.options = options;
    this.learning = options.learning();
    this.random = new SplittableRandom(learning.seed());
    List<Sequence> learned = given;
    List<Sequence> heldOut = options.validationOrNull();
    if (heldOut == null) {
      boolean ordered = options.ordered();
      heldOut = given.stream().filter(s -> ordered || isHeldOut(s)).toList();
      learned =
          given.stream()
              .filter(s -> ordered || !isHeldOut(s))
              .map(s -> ordered && s.items().size() > 2 ? s.withoutLast() : s)
              .toList();
      heldOut = heldOut.stream().filter(s -> !ordered || s.items().size() > 2).toList();
    }
    this.validation = heldOut.stream().filter(s -> s.items().size() > 1).toList();
    for (Sequence sequence : learned) {
      IntStream items =
          sequence.items().stream()
              .mapToInt(item -> numbers.computeIfAbsent(item, i -> numbers.size()));
      // Shares of baskets and rarities count an item once for each basket.
      sequences.add((options.ordered() ? items : items.distinct()).toArray());
    }
    if (sequences.stream().noneMatch(sequence -> sequence.length > 1)) {
      throw new IllegalArgumentException("sequences: expected one with two items to learn or more");
    }
    long[] counts = new long[numbers.size()];
    sequences.forEach(sequence -> IntStream.of(sequence).forEach(item -> counts[item]++));
    LabelCounts known = new LabelCounts(sequences.size(), counts);
    this.rows = HistoryRows.of(options.ordered(), known);
    NextItemFile.requireFits(rows);
  }

  /** By the hash of the items in any order, so that equal baskets are held out together. */
  static boolean isHeldOut(Sequence basket) {
    List<String> items = basket.items().stream().distinct().sorted().toList();
    return Math.floorMod(items.hashCode(), HELD_OUT) == 0;
  }

  NextItem train() {
    Labels labels = Labels.of(List.copyOf(numbers.keySet()));
    SparseWeights transitions =
        Transitions.of(sequences, rows.counts().ofLabels(), options.ordered());
    transitions.setLabels(labels);
    Layers layers = null;
    try {
      layers = trainLayers(labels);
      Mixture mixture = NextItemFile.sum(layers.bag, layers.softmax, transitions);
      learning.card().forEach(card()::put);
      return mixed(mixture, layers.rows, labels);
    } catch (Throwable e) {
      transitions.close();
      if (layers != null) {
        layers.close();
      }
      throw e;
    }
  }

  private ModelCard card() {
    return new ModelCard(metadata);
  }

  /** The model with the decay and the shares that are best on the validation sequences. */
  private NextItem mixed(Mixture mixture, HistoryRows trained, Labels labels) {
    List<Sequence> some = new ArrayList<>(validation);
    Collections.shuffle(some, new Random(learning.seed()));
    some = some.subList(0, Math.min(MOST_TO_MIX, some.size()));
    card().put("validation sequences", Integer.toString(validation.size()));
    if (some.isEmpty()) {
      return mixed(mixture, 0.5, trained, labels);
    }
    Choice best = new Choice(null, -1);
    double[] none = {trained.transitionDecay()};
    for (double decay : options.ordered() ? TRANSITION_DECAYS : none) {
      best = best.or(mixed(mixture, SHARES[0], trained.withTransitionDecay(decay), labels), some);
    }
    HistoryRows chosen = best.model.rows();
    for (double share : SHARES) {
      best = best.or(mixed(mixture, share, chosen, labels), some);
    }
    card().put("validation nDCG@10", ModelCard.decimals(best.ndcg));
    if (options.ordered()) {
      card().put("decays of the bag", chosen.decays().toString());
      card().put("decay of transitions", Double.toString(chosen.transitionDecay()));
    }
    return best.model;
  }

  private NextItem mixed(Mixture mixture, double share, HistoryRows by, Labels labels) {
    Mixture sum = mixture.withWeights((float) (1 - share), (float) share);
    return new NextItem(sum, by, metadata, labels);
  }

  private record Choice(NextItem model, double ndcg) {
    Choice or(NextItem other, List<Sequence> sequences) {
      double score = other.evaluate(sequences, NextItem.CUTOFF).ndcg(NextItem.CUTOFF);
      return score > ndcg ? new Choice(other, score) : this;
    }
  }

  /** The layers that learn. */
  private record Layers(
      EmbeddingBag bag, HierarchicalSoftmax softmax, HistoryRows rows, double dropout)
      implements AutoCloseable {
    Layers copy() {
      return new Layers(bag.copy(), softmax.copy(), rows, dropout);
    }

    String settings() {
      return "decays " + rows.decays() + ", dropout " + dropout;
    }

    @Override
    public void close() {
      bag.close();
      softmax.close();
    }
  }

  /** Decays of the bag with the dropout that suits them. */
  private record Setting(List<Double> decays, double dropout) {}

  /** The best layers so far. */
  private static final class Best {
    private Layers layers;
    private double score = -1;
    private int epoch;

    void keep(Layers better, LearningPoint point) {
      if (layers != null) {
        layers.close();
      }
      layers = better;
      score = point.ndcg();
      epoch = point.epoch();
    }
  }

  /**
   * Places of items in sequences; each item is predicted from others of its sequence.
   *
   * @param sequences the number of the sequence of each
   */
  @SuppressWarnings("ArrayRecordComponent") // nobody compares them
  private record Examples(int[] sequences, int[] places) {
    int size() {
      return places.length;
    }
  }

  private Examples examples() {
    int first = options.ordered() ? 1 : 0;
    int size = 0;
    for (int[] sequence : sequences) {
      size = Math.addExact(size, sequence.length > 1 ? sequence.length - first : 0);
    }
    Examples examples = new Examples(new int[size], new int[size]);
    int end = 0;
    for (int s = 0; s < sequences.size(); s++) {
      int length = sequences.get(s).length;
      for (int place = first; length > 1 && place < length; place++) {
        examples.sequences[end] = s;
        examples.places[end++] = place;
      }
    }
    return examples;
  }

  /** What is seen of some examples. */
  private List<int[]> seen(Examples examples, int... which) {
    List<int[]> seen = new ArrayList<>(which.length);
    for (int example : which) {
      int[] sequence = sequences.get(examples.sequences[example]);
      int place = examples.places[example];
      seen.add(options.ordered() ? beginning(sequence, place) : part(sequence, place));
    }
    return seen;
  }

  private int[] next(Examples examples, int... which) {
    return IntStream.of(which)
        .map(example -> sequences.get(examples.sequences[example])[examples.places[example]])
        .toArray();
  }

  private static int[] beginning(int[] sequence, int end) {
    return Arrays.copyOfRange(sequence, Math.max(0, end - HistoryRows.MOST_ITEMS), end);
  }

  /** A random part of the others, one at least, which every call draws again. */
  private int[] part(int[] sequence, int place) {
    double share = random.nextDouble();
    if (sequence.length - 1 > HistoryRows.MOST_OF_BASKET) {
      return random
          .ints(1 + (int) (share * HistoryRows.MOST_OF_BASKET), 1, sequence.length)
          .map(step -> sequence[(place + step) % sequence.length])
          .toArray();
    }
    int kept = (place + 1 + random.nextInt(sequence.length - 1)) % sequence.length;
    return IntStream.range(0, sequence.length)
        .filter(other -> other != place && (other == kept || random.nextDouble() < share))
        .map(other -> sequence[other])
        .toArray();
  }

  /** The layers of the setting and the epoch that were best on the validation sequences. */
  private Layers trainLayers(Labels labels) {
    Examples examples = examples();
    ClassAssignment classes = classes(examples);
    List<Setting> settings = List.of(new Setting(rows.decays(), 0.5));
    if (options.ordered() && !validation.isEmpty()) {
      settings = List.of(settings.get(0), new Setting(List.of(0.7), 0.7));
    }
    int epochs = learning.epochs(options.ordered() ? EPOCHS : EPOCHS_OF_BASKETS);
    learning
        .listener()
        .begin(examples.size(), epochs, labels.size(), labels.size(), classes.classCount());
    Best best = new Best();
    try {
      for (int i = 0; i < settings.size() && (i == 0 || !learning.stop().getAsBoolean()); i++) {
        try (Layers layers = layers(settings.get(i), classes, labels)) {
          if (settings.size() > 1) {
            learning.listener().training(i + 1, settings.size(), layers.settings());
          }
          train(layers, examples, epochs, best);
        }
      }
      card().put("epoch of this model", Integer.toString(best.epoch));
      return best.layers;
    } catch (Throwable e) {
      if (best.layers != null) {
        best.layers.close();
      }
      throw e;
    }
  }

  private Layers layers(Setting setting, ClassAssignment classes, Labels labels) {
    int dimension = learning.dimension(DIMENSION);
    HistoryRows decayed = rows.withDecays(setting.decays);
    return new Layers(
        EmbeddingBag.builder(decayed.rowsPerItem() * labels.size(), dimension)
            .mode(EmbeddingBag.Mode.SUM)
            .seed(learning.seed())
            .workers(learning.workers())
            .build(),
        HierarchicalSoftmax.builder(dimension, labels.size())
            .classes(classes)
            .labels(labels)
            .seed(learning.seed())
            .workers(learning.workers())
            .build(),
        decayed,
        options.dropout(setting.dropout));
  }

  private ClassAssignment classes(Examples examples) {
    int items = numbers.size();
    int count = Math.min(items, learning.classes(ClassAssignment.defaultCount(items)));
    learning.listener().putIntoClasses(items, count);
    int[] order = shuffled(examples.size());
    int[] some = Arrays.copyOf(order, Math.min(MOST_TO_CLUSTER, order.length));
    int[] offsets = IntStream.rangeClosed(0, some.length).toArray();
    try (SparseRows seen = rows.ofBag(seen(examples, some));
        SparseRows next = SparseRows.of(offsets, next(examples, some))) {
      return ClassAssignment.clustered(
          seen, next, items, count, learning.seed(), learning.workers());
    }
  }

  /** Trains, and keeps the layers of the best epoch. */
  private void train(Layers layers, Examples examples, int epochs, Best best) {
    double bestScore = -1;
    int bestEpoch = 0;
    for (int epoch = 1; epoch <= epochs && epoch - bestEpoch <= patience(); epoch++) {
      double loss = learn(layers, examples, epoch, epochs);
      LearningPoint point = measured(layers, epoch, loss, best.score);
      learning.listener().epoch(point);
      if (point.best()) {
        best.keep(layers.copy(), point);
      }
      if (Double.isNaN(point.ndcg()) || point.ndcg() > bestScore) {
        bestScore = point.ndcg();
        bestEpoch = epoch;
      }
      if (learning.stop().getAsBoolean()) {
        break;
      }
    }
  }

  private int patience() {
    return learning.patience(PATIENCE);
  }

  private LearningPoint measured(Layers layers, int epoch, double loss, double bestScore) {
    if (validation.isEmpty()) {
      return new LearningPoint(epoch, loss, Double.NaN, Double.NaN, Double.NaN, true);
    }
    Mixture alone = Mixture.builder().layer(NextItemFile.LAYER, layers.bag, layers.softmax).build();
    NextItem model = new NextItem(alone, layers.rows, metadata, layers.softmax.labels());
    Metrics metrics = model.evaluate(validation, NextItem.CUTOFF);
    double ndcg = metrics.ndcg(NextItem.CUTOFF);
    return new LearningPoint(epoch, loss, metrics.precision(1), ndcg, Double.NaN, ndcg > bestScore);
  }

  /** An epoch. The rate falls from step to step, to zero at the end of the last epoch. */
  private double learn(Layers layers, Examples examples, int epoch, int epochs) {
    int[] order = shuffled(examples.size());
    int batch = Math.min(examples.size(), learning.batch(BATCH));
    int ofEpoch = examples.size() / batch;
    double losses = 0;
    int step = 0;
    for (; step < ofEpoch && !learning.stop().getAsBoolean(); step++) {
      double left = 1 - (epoch - 1 + (double) step / ofEpoch) / epochs;
      Optimizer optimizer = Optimizer.adagrad((float) (learning.rate(RATE) * left));
      int[] which = Arrays.copyOfRange(order, step * batch, (step + 1) * batch);
      double loss = step(layers, examples, which, optimizer);
      losses += loss;
      learning.listener().step(batch, loss);
    }
    return losses / step;
  }

  private int[] shuffled(int size) {
    int[] order = IntStream.range(0, size).toArray();
    for (int i = size - 1; i > 0; i--) {
      int other = random.nextInt(i + 1);
      int kept = order[i];
      order[i] = order[other];
      order[other] = kept;
    }
    return order;
  }

  private double step(Layers layers, Examples examples, int[] which, Optimizer optimizer) {
    int dimension = layers.bag.features();
    Loss loss =
        Loss.mean()
            .withSmoothing((float) learning.smoothing(SMOOTHING))
            .withDropout((float) layers.dropout, learning.seed() + ++steps);
    int[] next = next(examples, which);
    try (SparseRows seen = layers.rows.ofBag(seen(examples, which));
        FloatTensor x = layers.bag.apply(seen);
        IntTensor targets = IntTensor.of(next, next.length);
        FloatTensor gradX = FloatTensor.zeros(next.length, dimension)) {
      double value = layers.softmax.step(x, targets, loss, optimizer, gradX);
      layers.bag.step(seen, gradX, optimizer);
      return value;
    }
  }
}
