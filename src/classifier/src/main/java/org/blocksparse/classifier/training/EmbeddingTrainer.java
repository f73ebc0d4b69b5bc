// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import java.util.concurrent.FutureTask;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.ClassifierFile;
import org.blocksparse.classifier.Heads;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.classifier.features.InputRows;
import org.blocksparse.classifier.features.Prefetch;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.Loss;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * Trains one model: a bag of features, and a layer over labels, which are put into classes by the
 * features that they occur with. Both are trained by Adagrad, with a rate that falls linearly to
 * zero. Each epoch has another order of examples.
 */
final class EmbeddingTrainer {
  /** The rate of the bag, as a fraction of that of the layer. */
  private static final float BAG_SHARE = 0.5f;

  private final TrainingSet set;
  private final TrainingOptions options;
  private final TrainingDefaults values;
  private final SplittableRandom random;

  /** The head beside this one; null if there is none. */
  private final Companion companion;

  /** Whether the embedding has rows of characters, if there are any. */
  private final boolean withCharacters;

  private final int[] order;
  private final int dimension;
  private final int epochs;
  private final int batch;
  private final Loss objective;
  private Head<?> head;
  private long learned;
  private boolean endedEarly;

  /** Makes a trainer of a model that has only an embedding head. */
  EmbeddingTrainer(TrainingSet set, TrainingOptions options) {
    this(set, options, IntStream.range(0, set.size()).toArray(), null);
  }

  /**
   * Makes a trainer.
   *
   * @param examples the examples of the set that are learned
   * @param companion a head that was trained before; null if there is none
   */
  EmbeddingTrainer(TrainingSet set, TrainingOptions options, int[] examples, Companion companion) {
    this.set = set;
    this.companion = companion;
    this.options = options;
    TrainedClassifier initial = options.initialModel();
    this.withCharacters = initial == null ? companion == null : hasCharacters(initial);
    this.values = new TrainingDefaults(options);
    this.random = new SplittableRandom(options.seed());
    this.order = examples.clone();
    // With a label tree, an epoch learns all labels of an example at once.
    this.epochs = values.epochs(set.size(), values.labelTree() ? set.size() : set.labelsInTurn());
    boolean haveOneLabel = TrainingDefaults.haveOneLabel(set.size(), set.withSeveralLabels());
    this.dimension = values.dimension(set.labelNames().size(), haveOneLabel);
    this.batch = values.batch(set.size());
    this.objective = Loss.mean().withSmoothing((float) values.smoothing());
  }

  /** Returns whether the embedding of a model has rows of characters, if there are any. */
  static boolean hasCharacters(TrainedClassifier model) {
    return model.bag().vocabulary() == model.input().vocabulary().rows();
  }

  /**
   * The layer over labels, and the targets of its steps.
   *
   * @param targets one label of each example, or all
   * @param close frees targets
   */
  private record Head<T>(TwoLevelLayer<T> layer, Targets<T> targets, Consumer<T> close) {}

  /** A head beside that of a model in training. */
  interface Companion {
    /** Returns whether the model may still gain from further epochs. */
    boolean goesOn(TrainedClassifier model, int epoch, int epochs);
  }

  /** Gathers the targets of the examples from begin to end, in the order of the epoch. */
  private interface Targets<T> {
    T of(int begin, int end, int epoch);
  }

  /** Returns the exception of a training that is stopped before it has a model. */
  static CancellationException stoppedTooEarly() {
    return new CancellationException("training was stopped before anything was learned");
  }

  TrainedClassifier train() {
    requireValidationOfTheSameKind();
    TrainedClassifier model = newModel();
    try (BestModel best = new BestModel(options, epochs, model)) {
      TrainedClassifier result = learn(model, best);
      result.card().put("epochs", epochsLearned());
      if (endedEarly) {
        options
            .listener()
            .endedEarly((int) (learned / order.length), TrainingCard.of(result).epoch());
      }
      if (companion == null && !options.validation().isEmpty()) {
        measure(result, options, new TrainingListener() {});
      }
      return result;
    } catch (Throwable e) {
      model.close();
      throw e;
    }
  }

  /**
   * Measures a result on the validation examples, for the model card of its file. If memory is
   * short, the model is kept nevertheless.
   *
   * @param listener receives the progress
   */
  static void measure(
      TrainedClassifier result, TrainingOptions options, TrainingListener listener) {
    try (ValidationSet validation = new ValidationSet(options.validation(), result)) {
      ValidationScores scores = validation.measure(result, true, listener);
      TrainingCard.of(result).putScores(scores);
      ClassifierFile.setThreshold(result.metadata(), scores.threshold());
    } catch (OutOfMemoryError | InvalidInputException e) {
      options.listener().warning("the result cannot be measured: " + e.getMessage());
    }
  }

  /**
   * Returns the model that is the best one at the end. Hours of training are not lost to an error.
   */
  private TrainedClassifier learn(TrainedClassifier model, BestModel best) {
    try {
      learnAll(model, best);
    } catch (ArithmeticException | OutOfMemoryError e) { // a loss not finite, or too little memory
      TrainedClassifier better = best.inPlaceOfOrNull(model, e);
      if (better == null) {
        throw e;
      }
      return better;
    } catch (Throwable e) {
      best.leave();
      throw e;
    }
    return best.orBetter(model);
  }

  private void requireValidationOfTheSameKind() {
    if (options.validation().stream().anyMatch(example -> example.isText() != set.isText())) {
      throw new IllegalArgumentException(
          set.isText()
              ? "validation: some have features, but the examples are texts"
              : "validation: some are texts, but the examples have features");
    }
  }

  private void learnAll(TrainedClassifier model, BestModel best) {
    for (int epoch = 1; epoch <= epochs && !best.isOver(); epoch++) {
      long before = learned;
      double loss = learnOnce(model, head, epoch);
      boolean isStopped = options.stop().getAsBoolean();
      if (learned > before) {
        model.card().put("epochs", epochsLearned());
        TrainingCard.of(model).putEpoch(epoch);
        best.measure(model, epoch, loss, isStopped || epoch == epochs);
      }
      boolean goesOn =
          companion == null || epoch == epochs || companion.goesOn(model, epoch, epochs);
      if (isStopped || !goesOn) {
        break;
      }
      endedEarly = epoch < epochs && best.isOver();
    }
    if (learned == 0) {
      throw stoppedTooEarly();
    }
  }

  /** Returns the number of epochs so far, including the part of a stopped one. */
  private String epochsLearned() {
    boolean isWhole = learned % order.length == 0;
    return isWhole
        ? Long.toString(learned / order.length)
        : String.format(Locale.ROOT, "%.2f", (double) learned / order.length);
  }

  private TrainedClassifier newModel() {
    Labels labels = Labels.of(set.labelNames()); // first, as it rejects invalid names
    options.listener().leftOut(set.featuresLeftOut(), !set.forgot(), set.withoutFeatures());
    int withSeveralLabels = set.withSeveralLabels();
    GrownModel grown = options.initialModel() == null ? null : new GrownModel(set, options);
    ClassAssignment classes =
        grown == null ? classes(withSeveralLabels) : options.initialModel().layer().assignment();
    int rows = set.vocabulary().rows();
    options.listener().begin(order.length, epochs, rows, labels.size(), classes.classCount());
    InputRows input = new InputRows(set.isText(), options.textFeatures(), set.vocabulary());
    Map<String, String> metadata =
        ClassifierFile.metadata(
            input,
            set.whole().labelCountsOrNull(options.initialModel()),
            set.whole().hasSeveralLabels(options.initialModel()),
            options.labelPrefix());
    TrainingCard card = new TrainingCard(metadata);
    card.putTraining(set.whole(), options);
    card.putEmbedding(options, epochs, batch);
    EmbeddingBag bag = grown == null ? newBag(input) : grown.bag();
    try {
      if (options.pretrained() != null) {
        card.putPretrained(PretrainedRows.fill(bag, input, options.pretrained()));
      }
      head = head(grown == null ? newLayer(classes, labels) : grown.layer(bag, labels));
      return new TrainedClassifier(input, new Heads().embedding(bag, head.layer()).sum(), metadata);
    } catch (Throwable e) {
      bag.close();
      throw e;
    }
  }

  private EmbeddingBag newBag(InputRows input) {
    FeatureVocabulary all = set.vocabulary();
    return EmbeddingBag.builder(withCharacters ? all.rows() : all.otherRows(), dimension)
        .mode(input.mode())
        .workers(options.workers())
        .seed(options.seed())
        .build();
  }

  private Head<?> head(TwoLevelLayer<?> layer) {
    if (layer instanceof LabelTree tree) {
      return new Head<>(
          tree, (begin, end, epoch) -> set.labels(order, begin, end), SparseRows::close);
    }
    return new Head<>(
        (HierarchicalSoftmax) layer,
        (begin, end, epoch) -> set.labelsInTurn(order, begin, end, epoch, options.seed()),
        IntTensor::close);
  }

  private TwoLevelLayer<?> newLayer(ClassAssignment classes, Labels labels) {
    LayerBuilder<?, ? extends TwoLevelLayer<?>> builder =
        values.labelTree()
            ? LabelTree.builder(dimension, classes.outputs())
            : HierarchicalSoftmax.builder(dimension, classes.outputs());
    TwoLevelLayer<?> layer =
        builder
            .classes(classes)
            .labels(labels)
            .workers(options.workers())
            .seed(options.seed())
            .build();
    if (layer instanceof LabelTree tree) {
      PriorBiases.begin(tree, set);
    }
    return layer;
  }

  /** Returns classes in which labels with similar features are together. */
  private ClassAssignment classes(int withSeveralLabels) {
    int labels = set.labelNames().size();
    int count = values.classes(labels, set.size(), withSeveralLabels, epochs);
    if (count == 1) {
      return ClassAssignment.contiguous(labels, 1);
    }
    options.listener().putIntoClasses(labels, count);
    try (TrainingSet.Sample sample = set.sample(random)) {
      return ClassAssignment.clustered(
          sample.features(), sample.labels(), labels, count, options.seed(), options.workers());
    }
  }

  /**
   * Goes through all examples once, or until it is stopped. Returns the mean loss; NaN if there was
   * no step.
   */
  private <T> double learnOnce(TrainedClassifier model, Head<T> head, int epoch) {
    shuffle(order, random);
    double sum = 0;
    int begin = 0;
    FutureTask<Batch<T>> next = gather(head, epoch, begin);
    try {
      while (begin < order.length && !options.stop().getAsBoolean()) {
        int end = Math.min(order.length, begin + batch);
        try (Batch<T> gathered = Prefetch.result(next)) {
          next = end < order.length ? gather(head, epoch, end) : null;
          double loss = step(model, head, gathered);
          options.listener().step(end - begin, loss);
          sum += loss * (end - begin);
        }
        begin = end;
      }
    } finally {
      leave(next);
    }
    return sum / begin;
  }

  /** Closes a batch that is no longer needed; one that does not exist yet is cancelled. */
  private static void leave(FutureTask<? extends Batch<?>> task) {
    if (task == null || task.cancel(false)) {
      return;
    }
    try {
      Prefetch.result(task).close();
    } catch (RuntimeException | Error e) {
      // The failure was already reported to the caller.
    }
  }

  /** The input of a step, and its targets. */
  private record Batch<T>(SparseRows rows, T targets, Consumer<T> closeTargets)
      implements AutoCloseable {
    @Override
    public void close() {
      rows.close();
      closeTargets.accept(targets);
    }
  }

  /**
   * Gathers the examples of a step during the previous one: they lie all over the memory, and the
   * step need not wait for it.
   */
  private <T> FutureTask<Batch<T>> gather(Head<T> head, int epoch, int begin) {
    int end = Math.min(order.length, begin + batch);
    return Prefetch.begin(() -> gathered(head, epoch, begin, end), options.workers());
  }

  private <T> Batch<T> gathered(Head<T> head, int epoch, int begin, int end) {
    SparseRows rows = set.features(order, begin, end, withCharacters);
    try {
      return new Batch<>(rows, head.targets().of(begin, end, epoch), head.close());
    } catch (Throwable e) {
      rows.close();
      throw e;
    }
  }

  private <T> double step(TrainedClassifier model, Head<T> head, Batch<T> gathered) {
    double done = learned / ((double) epochs * order.length);
    float rate = (float) (values.rate() * (1 - done));
    Optimizer optimizer = Optimizer.adagrad(rate);
    Optimizer ofBag = Optimizer.adagrad(BAG_SHARE * rate);
    int count = gathered.rows().rows();
    learned += count;
    try (FloatTensor x = model.bag().apply(gathered.rows());
        FloatTensor gradX = FloatTensor.zeros(count, dimension)) {
      double loss = head.layer().step(x, gathered.targets(), objective, optimizer, gradX);
      model.bag().step(gathered.rows(), gradX, ofBag);
      return loss;
    }
  }

  private static void shuffle(int[] values, SplittableRandom random) {
    for (int i = values.length - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int value = values[i];
      values[i] = values[j];
      values[j] = value;
    }
  }
}
