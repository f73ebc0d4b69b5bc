// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.LinearLabelTreeBuilder;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;

/**
 * Chooses the heads of a model, and trains them. The scores of a linear head, alone or beside an
 * embedding head, are calibrated on the validation examples, which the user chose to be like future
 * ones. Without enough of these, training examples are held out. With few examples, each may be the
 * only one of a rare label: then the linear head is trained again, on all of them.
 */
final class Training {
  /** One of this many examples is held out, up to the maximum below. */
  private static final int HELD_OUT = 10;

  private static final int MOST_HELD_OUT = 1000;

  /** With fewer validation examples, training examples are held out to calibrate. */
  private static final int FEWEST_TO_CALIBRATE = 100;

  /** Predictions of each head, for a held-out example, to which the blend is fitted. */
  private static final int FIRST_ANSWERS = 20;

  private final TrainingSet set;
  private final TrainingOptions options;
  private final ModelHead head;
  private final int[] heldOut;
  private final int[] others;

  Training(TrainingSet set, TrainingOptions options) {
    this.set = set;
    this.options = options;
    this.head = head(set, options);
    SplittableRandom random = new SplittableRandom(options.seed());
    boolean isValidated = options.validation().size() >= FEWEST_TO_CALIBRATE;
    int count = isValidated ? 0 : Math.min(MOST_HELD_OUT, set.size() / HELD_OUT);
    BitSet held = new BitSet();
    while (held.cardinality() < count) {
      held.set(random.nextInt(set.size()));
    }
    this.heldOut = held.stream().toArray();
    this.others = IntStream.range(0, set.size()).filter(e -> !held.get(e)).toArray();
  }

  /** The heads for examples. */
  static ModelHead head(TrainingSet set, TrainingOptions options) {
    if (options.initialModel() != null) {
      return options.initialModel().head();
    }
    if (options.head() != null) {
      return options.head();
    }
    boolean isOfAnEmbedding =
        options.labelTree() || options.hasSharedRows() || !options.tuning().isZero();
    if (isOfAnEmbedding
        || !TrainingDefaults.areMany(set.size())
        || TrainingDefaults.haveOneLabel(set.size(), set.withSeveralLabels())) {
      return ModelHead.EMBEDDING;
    }
    boolean areRare = set.labelNames().size() > set.size();
    return areRare && !options.hasOptionOfAnEmbedding() ? ModelHead.LINEAR : ModelHead.BOTH;
  }

  /**
   * Requires a head that does what other options ask for.
   *
   * @throws IllegalArgumentException if not
   */
  static void requireHead(TrainingOptions options) {
    Classifier initial = options.initialModel();
    if (initial != null && options.head() != null && options.head() != initial.head()) {
      throw new IllegalArgumentException(
          "head: expected " + initial.head() + ", as initialModel has, but was " + options.head());
    }
    ModelHead head = initial != null ? initial.head() : options.head();
    if (head == ModelHead.LINEAR && (options.labelTree() || !options.tuning().isZero())) {
      throw new IllegalArgumentException(
          "head: expected embedding or both with "
              + (options.labelTree() ? "a label tree" : "tuning")
              + " but was linear");
    }
  }

  Classifier train() {
    requireKindOfTheInitialModel();
    if (!head.hasLinear()) {
      return new Trainer(set, options).train();
    }
    Classifier embedding = head.hasEmbedding() ? trainEmbedding() : null;
    try {
      return train(embedding);
    } catch (CancellationException e) {
      if (embedding == null) {
        throw e;
      }
      options.listener().warning("ended before the linear head: the model has the embedding alone");
      return embedding;
    } catch (Throwable e) {
      if (embedding != null) {
        embedding.close();
      }
      throw e;
    }
  }

  private void requireKindOfTheInitialModel() {
    Classifier initial = options.initialModel();
    if (initial != null && initial.takesText() != set.isText()) {
      throw new IllegalArgumentException(
          set.isText()
              ? "examples: are texts, but the initial model was trained on features"
              : "examples: have features, but the initial model was trained on texts");
    }
  }

  private Classifier trainEmbedding() {
    TrainingOptions beside = new TrainingDefaults(options).besideLinearHead();
    return new Trainer(set, beside, options.initialModel() == null ? others : all(), false).train();
  }

  private int[] all() {
    return IntStream.range(0, set.size()).toArray();
  }

  /** The model; an embedding head becomes its own if it has one. */
  private Classifier train(Classifier embedding) {
    Labels labels = embedding == null ? begin() : embedding.layer().labels();
    if (options.initialModel() != null) {
      return extended(embedding, labels, options.initialModel().linear());
    }
    boolean isTwice = heldOut.length > 0 && !TrainingDefaults.areMany(set.size());
    LinearLabelTree tree = tree(others, labels, 0, isTwice ? 2 : 1);
    try {
      Blend blend = blend(withTree(embedding, tree, null));
      if (isTwice) {
        tree.close();
        tree = tree(all(), labels, 1, 2);
      }
      Classifier model = withTree(embedding, tree, blend);
      ClassifierFile.setHead(model.metadata(), head, blend);
      model.card().put("examples held out to calibrate", Integer.toString(heldOut.length));
      measure(model);
      return model;
    } catch (Throwable e) {
      tree.close();
      throw e;
    }
  }

  /** Adds new labels and features to a linear head, whose blend stays. */
  private Classifier extended(Classifier embedding, Labels labels, Classifier.LinearHead initial) {
    LinearLabelTree tree;
    try (SparseRows x = set.features(all(), 0, set.size());
        SparseRows targets = set.labels(all(), 0, set.size())) {
      tree = builder(labels, 0, 1).extend(initial.tree(), x, targets);
    }
    try {
      Classifier model = withTree(embedding, tree, initial.blend());
      ClassifierFile.setHead(model.metadata(), head, initial.blend());
      measure(model);
      return model;
    } catch (Throwable e) {
      tree.close();
      throw e;
    }
  }

  private Labels begin() {
    Labels labels = Labels.of(set.labelNames()); // first, as it refuses what is no text
    options.listener().leftOut(set.featuresLeftOut(), set.withoutFeatures());
    options.listener().begin(set.size(), 0, set.vocabulary().rows(), labels.size(), 0);
    return labels;
  }

  private Classifier withTree(Classifier embedding, LinearLabelTree tree, Blend blend) {
    Classifier.LinearHead linear = new Classifier.LinearHead(tree, blend);
    if (embedding != null) {
      return new Classifier(
          embedding.input(), embedding.bag(), embedding.layer(), linear, embedding.metadata());
    }
    InputRows input = new InputRows(set.isText(), options.textFeatures(), set.vocabulary());
    LabelCounts counts = LabelCounts.ofOrNull(set, options.initialModel());
    Map<String, String> metadata = ClassifierFile.metadata(input, counts, options);
    new ModelCard(metadata).putTraining(set, options);
    return new Classifier(input, null, null, linear, metadata);
  }

  /**
   * A builder of a tree.
   *
   * @param before the number of trees that were trained before
   * @param trees the number of all trees
   */
  private LinearLabelTreeBuilder builder(Labels labels, int before, int trees) {
    return LinearLabelTree.builder(set.vocabulary().rows(), labels.size())
        .labels(labels)
        .seed(options.seed())
        .workers(options.workers())
        .progress(
            (done, total) -> {
              if (options.stop().getAsBoolean()) {
                throw Trainer.stoppedTooEarly();
              }
              options.listener().linear((before + (double) done / total) / trees);
            });
  }

  private LinearLabelTree tree(int[] examples, Labels labels, int before, int trees) {
    LinearLabelTreeBuilder builder = builder(labels, before, trees);
    if (set.isText()) {
      builder.tfIdf();
    }
    try (SparseRows x = set.features(examples, 0, examples.length);
        SparseRows targets = set.labels(examples, 0, examples.length)) {
      return builder.train(x, targets);
    }
  }

  /** The blend of a model that has not learned the examples to calibrate. */
  private Blend blend(Classifier model) {
    Blend.Samples samples = new Blend.Samples(head == ModelHead.BOTH ? 2 : 1);
    if (heldOut.length == 0 && !options.validation().isEmpty()) {
      try (ValidationSet validation = new ValidationSet(options.validation(), model)) {
        validation.forEach(batch -> addSamples(model, batch, samples));
      }
    }
    for (int begin = 0; begin < heldOut.length; begin += Classifier.BATCH) {
      int end = Math.min(heldOut.length, begin + Classifier.BATCH);
      SparseRows x = set.features(heldOut, begin, end);
      try (NumberedExamples batch = new NumberedExamples(x, set.labels(heldOut, begin, end))) {
        addSamples(model, batch, samples);
      }
    }
    return Blend.fit(samples);
  }

  private static void addSamples(
      Classifier model, NumberedExamples examples, Blend.Samples samples) {
    try (BlendedScores scores = model.blendedScores(examples.features(), null)) {
      List<BlendedScores.Row> rows = scores.first(FIRST_ANSWERS, Filter.without());
      for (int row = 0; row < rows.size(); row++) {
        BlendedScores.Row answers = rows.get(row);
        int[] right = IntStream.of(examples.labels().indices(row)).sorted().toArray();
        for (int i = 0; i < answers.outputs().length; i++) {
          boolean isRight = Arrays.binarySearch(right, answers.outputs()[i]) >= 0;
          samples.add(answers.ofHeads()[i], isRight);
        }
      }
    }
  }

  /** Measures the result on the validation examples, for the model card of its file. */
  private void measure(Classifier result) {
    if (!options.validation().isEmpty()) {
      try (ValidationSet validation = new ValidationSet(options.validation(), result)) {
        result.setScores(validation.measure(result, true, options.listener()));
      }
    }
  }
}
