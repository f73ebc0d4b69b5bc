// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CancellationException;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.ClassifierFile;
import org.blocksparse.classifier.Heads;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.features.FeatureGroup;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.classifier.features.InputRows;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.LinearLabelTreeBuilder;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.ranking.Labels;

/**
 * Trains the heads of a model: the linear one first, then an embedding beside it, which is kept if
 * it gains more than a standard error on held-out examples. The texts of labels are tried in the
 * same way before it, and so are nearest neighbours where labels outnumber examples. The scores of
 * all heads are calibrated on held-out examples: the validation examples, which the user chose to
 * be like future ones. If there are too few, training examples are held out, from several models in
 * turn if these are few. With few examples, each may be the only one of a rare label: then the
 * linear head is trained again, on all of them.
 */
final class HeadTraining {
  /** One of this many examples is held out, up to the maximum below. */
  private static final int HELD_OUT = 10;

  private static final int MOST_HELD_OUT = 1000;

  /** The least validation examples to calibrate; with fewer, training examples are held out. */
  private static final int FEWEST_TO_CALIBRATE = 100;

  /** An embedding without a gain is stopped after this fraction of its epochs. */
  private static final int TRIAL = 3;

  private static final String GAINED_BY_TEXTS = "nDCG@5 gained by label texts";
  private static final String GAINED_BY_SECOND_TREE = "nDCG@5 gained by a second tree";

  /** The number of nearest examples that score labels. */
  private static final int NEIGHBOURS = 200;

  private final TrainingSet set;
  private final TrainingOptions options;

  /** The requested head; null if the held-out examples choose. */
  private final ModelHead head;

  /** Whether the validation examples choose and calibrate. */
  private final boolean isValidated;

  /** The folds: heads are compared on the first, and calibrated on all. */
  private final List<Fold> folds;

  /** The number of folds that calibrate the model. */
  private int foldsUsed = 1;

  /** The rows of the words of each label's text; empty if it has none. */
  private final List<int[]> texts;

  HeadTraining(TrainingSet set, TrainingOptions options) {
    this.set = set;
    this.options = options;
    this.head = headOrNull(options);
    this.isValidated = options.validation().size() >= FEWEST_TO_CALIBRATE;
    SplittableRandom random = new SplittableRandom(options.seed());
    boolean isAlone = head == ModelHead.EMBEDDING && TrainingDefaults.areFew(set.size());
    boolean isHeldOut = !isValidated && !isAlone && options.initialModel() == null;
    int count = isHeldOut ? Math.min(MOST_HELD_OUT, set.size() / HELD_OUT) : 0;
    boolean isInTurn = count > 0 && options.labelTexts().isEmpty();
    int most = isInTurn ? Math.min(HELD_OUT, MOST_HELD_OUT / count) : 1;
    this.folds = Fold.draw(set, count, most, random);
    this.texts = options.labelTexts().isEmpty() ? List.of() : texts();
  }

  /** Returns the heads that options ask for; null if they leave the choice to the training. */
  static ModelHead headOrNull(TrainingOptions options) {
    if (options.initialModel() != null) {
      return options.initialModel().head();
    }
    boolean isOfAnEmbedding = options.labelTree() || options.pretrained() != null;
    return options.head() == null && isOfAnEmbedding ? ModelHead.EMBEDDING : options.head();
  }

  /**
   * Requires a head that does what other options ask for.
   *
   * @throws IllegalArgumentException if not
   */
  static void requireHead(TrainingOptions options) {
    TrainedClassifier initial = options.initialModel();
    ModelHead chosen = headOrNull(options);
    boolean hasTexts = !options.labelTexts().isEmpty();
    if (chosen == ModelHead.EMBEDDING && (hasTexts || options.trees() > 1)) {
      throw new IllegalArgumentException(
          "head: expected LINEAR or BOTH with "
              + (hasTexts ? "label texts" : "two trees")
              + " but was EMBEDDING, as with a label tree or pretrained vectors");
    }
    if (initial != null && options.head() != null && options.head() != initial.head()) {
      throw new IllegalArgumentException(
          "head: expected " + initial.head() + ", as initialModel has, but was " + options.head());
    }
    List<String> inVain = chosen == ModelHead.LINEAR ? options.ofEmbedding() : List.of();
    if (!inVain.isEmpty()) {
      String other = initial != null ? "initialModel with a linear head" : "head LINEAR";
      throw new IllegalArgumentException(
          inVain.get(0) + ": expected no " + other + " as well, which has no embedding");
    }
  }

  TrainedClassifier train() {
    requireTextToBePretrained();
    requireLabelTextsToBeWeighed();
    if (options.initialModel() != null) {
      return continued(options.initialModel());
    }
    return head == ModelHead.EMBEDDING ? trainAlone() : trainLinear(begin());
  }

  private void requireTextToBePretrained() {
    if (options.pretrained() != null && !set.isText()) {
      throw new IllegalArgumentException("pretrained: expected texts, but examples have features");
    }
  }

  private void requireLabelTextsToBeWeighed() {
    if (texts.isEmpty()) {
      return;
    }
    if (!set.isText()) {
      throw new IllegalArgumentException("labelTexts: expected texts, but examples have features");
    }
    if (heldOut().length == 0 && options.validation().isEmpty()) {
      throw new IllegalArgumentException(
          "labelTexts: expected "
              + HELD_OUT
              + " examples to weigh them by, or validation examples, but there are "
              + set.size());
    }
    long[] counts = set.labelCounts();
    if (heldOut().length > 0
        && IntStream.range(0, texts.size())
            .noneMatch(label -> counts[label] > 0 && texts.get(label).length > 0)) {
      throw new IllegalArgumentException(
          "labelTexts: expected one of a label that examples have but there is none");
    }
  }

  /** Returns whether the training chooses the heads, and has the examples to try more than one. */
  private boolean mayTryMore() {
    return head == null && !TrainingDefaults.areFew(set.size());
  }

  private int[] all() {
    return IntStream.range(0, set.sizeWithNames()).toArray();
  }

  // ------------------------------------------------------------------------------------ held out

  private int[] heldOut() {
    return folds.get(0).heldOut();
  }

  private int[] others() {
    return folds.get(0).others();
  }

  /** Returns the examples that choose and calibrate, for a model; none if there are too few. */
  private HeldOut heldOut(TrainedClassifier model) {
    if (!isValidated && (heldOut().length > 0 || head == ModelHead.EMBEDDING)) {
      return heldOut(folds.get(0));
    }
    List<Example> validation =
        options.validation().stream()
            .filter(e -> options.labelTree() || !e.labels().isEmpty())
            .toList();
    return HeldOut.of(
        IntStream.range(0, validation.size()).toArray(),
        set.vocabulary(),
        (begin, end) -> model.numbered(validation.subList(begin, end)));
  }

  private HeldOut heldOut(Fold fold) {
    BitSet known = fold.features();
    texts.forEach(words -> IntStream.of(words).forEach(known::set));
    return fold.examples(known);
  }

  // ----------------------------------------------------------------------------------- embedding

  private TrainedClassifier trainAlone() {
    TrainedClassifier model = new EmbeddingTrainer(set, options, others(), null).train();
    try (HeldOut examples = heldOut(model)) {
      Mixture fitted = examples.fit(model.heads());
      return finished(withAnswers(model.with(fitted), examples));
    } catch (Throwable e) {
      model.close();
      throw e;
    }
  }

  /**
   * Returns a model with an embedding beside its heads; null if the training has none.
   *
   * @param learned the results of the other heads
   */
  private TrainedClassifier besideOrNull(
      TrainedClassifier linear, HeldOut examples, TrainingSet learned) {
    if (head != ModelHead.BOTH && !mayTryMore()) {
      return null;
    }
    TrainedClassifier embedding;
    try {
      EmbeddingTrainer.Companion companion =
          (model, epoch, epochs) ->
              head != null || isWorthwhile(model, epoch, epochs, linear, examples);
      embedding = beside(learned, labelled(others(), learned), options, companion).train();
    } catch (CancellationException e) {
      return null; // the linear head exists
    }
    try {
      Mixture both = examples.fit(both(embedding, linear));
      HeldOut.Gain gain = examples.gain(both, linear.heads());
      if (head == null) {
        options.listener().chosen(gain.isLarge(), gain.mean(), gain.standardError());
        if (!gain.isLarge()) {
          embedding.close();
          return null;
        }
      }
      if (gain.isMeasured()) {
        embedding.card().put("nDCG@5 gained by the embedding", gain.toString());
        tellTimes("the embedding", examples, both, linear.heads());
      }
      for (String gained : List.of(GAINED_BY_TEXTS, GAINED_BY_SECOND_TREE)) {
        String before = linear.card().facts().get(gained);
        if (before != null) {
          embedding.card().put(gained, before);
        }
      }
      return embedding.with(both);
    } catch (Throwable e) {
      embedding.close();
      throw e;
    }
  }

  private void tellTimes(String part, HeldOut examples, Mixture with, Mixture without) {
    double all = examples.microsecondsOfAnswer(with);
    options.listener().answerTimes(part, all, examples.microsecondsOfAnswer(without));
  }

  private static EmbeddingTrainer beside(
      TrainingSet learned,
      int[] examples,
      TrainingOptions options,
      EmbeddingTrainer.Companion companion) {
    TrainingOptions beside = new TrainingDefaults(options).besideLinearHead();
    return new EmbeddingTrainer(learned, beside, examples, companion);
  }

  private static Mixture both(TrainedClassifier embedding, TrainedClassifier linear) {
    return Heads.of(linear.heads()).embedding(embedding.bag(), embedding.layer()).sum();
  }

  /** Returns a model with an embedding of all labels in place of one that lacks some. */
  private TrainedClassifier withEmbeddingOfAll(TrainedClassifier model) {
    TrainedClassifier ofAll =
        beside(set, all(), options, (embedding, epoch, epochs) -> true).train();
    model.bag().close();
    model.layer().close();
    Heads heads = Heads.of(model.heads()).embedding(ofAll.bag(), ofAll.layer());
    return model.with(heads.sumLike(model.heads()));
  }

  /** Returns whether an embedding in training may still gain: once, after a part of its epochs. */
  private static boolean isWorthwhile(
      TrainedClassifier embedding,
      int epoch,
      int epochs,
      TrainedClassifier linear,
      HeldOut examples) {
    boolean isTime = epoch * TRIAL >= epochs && (epoch - 1) * TRIAL < epochs;
    return !isTime
        || examples.gain(examples.fit(both(embedding, linear)), linear.heads()).mean() > 0;
  }

  // -------------------------------------------------------------------------------------- linear

  private TrainedClassifier trainLinear(Labels labels) {
    TrainingSet learned = set.without(withheld());
    boolean lacksLabels = learned != set;
    boolean isTwice =
        lacksLabels || (heldOut().length > 0 && !TrainingDefaults.areMany(set.size()));
    int last = isTwice ? 1 : 0;
    int models = folds.size() + last;
    Heads trees = withTrees(new Heads(), others(), learned, labels, 0, models);
    TrainedClassifier model = linear(trees);
    try {
      try (HeldOut examples = heldOut(model)) {
        putGainOfSecondTree(model, examples);
        if (!texts.isEmpty()) {
          Mixture withTexts = withTextsOrNull(model, examples);
          if (withTexts == null) {
            return withoutTexts(model, labels);
          }
          model = model.with(withTexts);
        }
        Mixture near = withNeighboursOrNull(model, examples, learned);
        TrainedClassifier more =
            near == null ? besideOrNull(model, examples, learned) : model.with(near);
        boolean isFitted = more != null || !texts.isEmpty();
        model = more == null ? model : more;
        model =
            isFitted && folds.size() == 1
                ? withAnswers(model, examples)
                : calibrated(model, examples, labels, models);
      }
      if (lacksLabels && model.head().hasEmbedding()) {
        model = withEmbeddingOfAll(model);
      }
      if (isTwice) {
        model = again(model, labels, lacksLabels);
      }
      return finished(model);
    } catch (Throwable e) {
      model.close();
      throw e;
    }
  }

  /** Returns a model without the texts of labels, which gain nothing: as if there were none. */
  private TrainedClassifier withoutTexts(TrainedClassifier model, Labels labels) {
    String gain = model.card().facts().get(GAINED_BY_TEXTS);
    model.close();
    TrainedClassifier plain =
        new HeadTraining(set, options.withoutLabelTexts()).trainLinear(labels);
    plain.card().put(GAINED_BY_TEXTS, gain);
    return plain;
  }

  /**
   * Returns a model with weights and calibration for the examples of all folds, or of those before
   * it is stopped.
   *
   * @param examples those of the first fold, from which the model has not learned
   */
  private TrainedClassifier calibrated(
      TrainedClassifier model, HeldOut examples, Labels labels, int models) {
    List<HeldOut.Scored> all = new ArrayList<>();
    all.add(examples.scoredBy(model.heads()));
    try {
      for (Fold fold : folds.subList(1, folds.size())) {
        Mixture heads = headsOrNull(model, fold, labels, models);
        if (heads == null) {
          break; // the model is kept
        }
        all.add(heldOut(fold).scoredBy(heads));
        foldsUsed++;
      }
      return withAnswers(model.with(HeldOut.fit(model.heads(), all)), all);
    } finally {
      all.subList(1, all.size()).forEach(HeldOut.Scored::close);
    }
  }

  /**
   * Returns heads like those of a model, which learn the others of a fold; null if the training is
   * to be stopped.
   */
  private Mixture headsOrNull(TrainedClassifier model, Fold fold, Labels labels, int models) {
    Heads heads;
    try {
      heads = withTrees(new Heads(), fold.others(), set, labels, foldsUsed, models);
    } catch (CancellationException e) {
      return null;
    }
    if (model.neighbours().isPresent()) {
      heads.neighbours(neighbours(fold.others(), set));
    }
    return model.head().hasEmbedding() ? withEmbeddingOrNull(heads, fold) : heads.sum();
  }

  private Mixture withEmbeddingOrNull(Heads heads, Fold fold) {
    try {
      TrainingOptions silent = options.withListener(new TrainingListener() {});
      TrainedClassifier embedding =
          beside(set, fold.others(), silent, (model, epoch, epochs) -> true).train();
      Mixture sum = heads.embedding(embedding.bag(), embedding.layer()).sum();
      if (!options.stop().getAsBoolean()) {
        return sum;
      }
      sum.close();
    } catch (CancellationException e) {
      heads.sum().close();
    }
    return null;
  }

  private static TrainedClassifier withAnswers(TrainedClassifier model, HeldOut examples) {
    return withAnswers(model, List.of(examples.scoredBy(model.heads())));
  }

  /**
   * Returns a model with the thresholds of its answers.
   *
   * @param scored examples, and heads that answer on them with the weights and the calibration of
   *     the model
   */
  private static TrainedClassifier withAnswers(
      TrainedClassifier model, List<HeldOut.Scored> scored) {
    Answers answers = new Answers(model);
    for (HeldOut.Scored each : scored) {
      Mixture likeIt = Heads.of(each.heads()).sumLike(model.heads());
      each.examples().addTo(answers, model.with(likeIt));
    }
    answers.keep(model);
    return model;
  }

  /**
   * A model with trees of all examples in place of those without the held-out ones, unless it is to
   * be stopped.
   *
   * @param lacksLabels whether the model is not worth keeping then
   */
  private TrainedClassifier again(TrainedClassifier model, Labels labels, boolean lacksLabels) {
    try {
      int before = foldsUsed;
      Heads heads = withTrees(Heads.of(model.heads()), all(), set, labels, before, before + 1);
      model.trees().forEach(LinearLabelTree::close);
      if (model.neighbours().isPresent()) {
        close(model.neighbours().get());
        heads.neighbours(neighbours(all(), set));
      }
      return model.with(heads.sumLike(model.heads()));
    } catch (CancellationException e) {
      if (lacksLabels) {
        throw e;
      }
      return model;
    }
  }

  // ---------------------------------------------------------------------------------- neighbours

  /**
   * Returns the heads of a model with the labels of the nearest examples, where these are worth a
   * trial and gain; or null.
   */
  private Mixture withNeighboursOrNull(
      TrainedClassifier linear, HeldOut examples, TrainingSet learned) {
    if (!mayTryMore() || set.labelNames().size() <= set.size()) {
      return null;
    }
    NearestExamples near = neighbours(labelled(others(), learned), learned);
    boolean isKept = false;
    try {
      Mixture both = examples.fit(Heads.of(linear.heads()).neighbours(near).sum());
      HeldOut.Gain gain = examples.gain(both, linear.heads());
      isKept = gain.isLarge();
      options.listener().neighbours(isKept, gain.mean(), gain.standardError());
      if (isKept) {
        linear.card().put("nDCG@5 gained by neighbours", gain.toString());
        tellTimes("nearest examples", examples, both, linear.heads());
      }
      return isKept ? both : null;
    } finally {
      if (!isKept) {
        close(near);
      }
    }
  }

  private static void close(NearestExamples near) {
    near.examples().close();
    near.outputs().close();
  }

  /** Returns the nearest examples by their words: words in a row are too rare. */
  private NearestExamples neighbours(int[] examples, TrainingSet learned) {
    try (SparseRows x = set.features(examples, 0, examples.length, set.words());
        SparseRows targets = learned.labels(examples, 0, examples.length)) {
      SparseWeights similar = SparseWeights.ofRows(x, set.vocabulary().rows(), options.workers());
      SparseWeights labels = SparseWeights.of(targets, set.labelNames().size(), options.workers());
      return new NearestExamples(similar, labels, NEIGHBOURS);
    }
  }

  // -------------------------------------------------------------------------------- label texts

  private List<int[]> texts() {
    FeatureVocabulary vocabulary = set.vocabulary();
    return set.labelNames().stream()
        .map(label -> options.labelTexts().getOrDefault(label, ""))
        .map(
            text -> {
              LongStream.Builder words = LongStream.builder();
              options.textFeatures().words(text, words);
              return words.build().mapToInt(vocabulary::row).toArray();
            })
        .toList();
  }

  /**
   * Returns the labels whose texts are withheld from the linear head while the texts are weighed,
   * so that some held-out examples have labels that only their texts find: as large a share as that
   * of labels without examples, rounded up, but at most half.
   */
  BitSet withheld() {
    BitSet withheld = new BitSet();
    if (texts.isEmpty() || heldOut().length == 0) {
      return withheld;
    }
    long[] counts = set.labelCounts();
    int[] known = IntStream.range(0, counts.length).filter(l -> counts[l] > 0).toArray();
    int[] able = IntStream.of(known).filter(l -> texts.get(l).length > 0).toArray();
    long unknown = (long) able.length * (counts.length - known.length);
    long most = Math.min(able.length / 2, (unknown + counts.length - 1) / counts.length);
    SplittableRandom random = new SplittableRandom(options.seed());
    for (int i = 0; i < most; i++) {
      int at = i + random.nextInt(able.length - i);
      withheld.set(able[at]);
      able[at] = able[i];
    }
    boolean isAnyLeft =
        IntStream.of(others()).anyMatch(e -> set.hasLabel(e, l -> !withheld.get(l)));
    return isAnyLeft ? withheld : new BitSet();
  }

  /** Returns the linear head with the texts of labels, if these gain; or null. */
  private Mixture withTextsOrNull(TrainedClassifier linear, HeldOut examples) {
    SparseWeights similar;
    try (SparseRows words = SparseRows.of(texts)) {
      similar = SparseWeights.ofRows(words, set.vocabulary().rows(), options.workers());
    }
    boolean isKept = false;
    try {
      Mixture all = examples.fit(Heads.of(linear.heads()).texts(similar).sum());
      HeldOut.Gain gain = examples.gain(all, linear.heads());
      isKept = gain.isLarge();
      options.listener().labelTexts(isKept, gain.mean(), gain.standardError());
      linear.card().put(GAINED_BY_TEXTS, gain.toString());
      return isKept ? all : null;
    } finally {
      if (!isKept) {
        similar.close();
      }
    }
  }

  /** A model with linear heads alone, which are not calibrated. */
  private TrainedClassifier linear(Heads trees) {
    InputRows input = new InputRows(set.isText(), options.textFeatures(), set.vocabulary());
    TrainedClassifier initial = options.initialModel();
    Map<String, String> metadata =
        ClassifierFile.metadata(
            input,
            set.labelCountsOrNull(initial),
            set.hasSeveralLabels(initial),
            options.labelPrefix());
    TrainingCard card = new TrainingCard(metadata);
    card.putTraining(set, options);
    card.putLinear(options);
    return new TrainedClassifier(input, trees.sum(), metadata);
  }

  private Labels begin() {
    Labels labels = Labels.of(set.labelNames()); // first, as it rejects invalid names
    options.listener().leftOut(set.featuresLeftOut(), !set.forgot(), set.withoutFeatures());
    options.listener().begin(set.size(), 0, set.vocabulary().rows(), labels.size(), 0);
    return labels;
  }

  /**
   * Returns a builder of a tree.
   *
   * @param number of the tree in its model
   * @param before the number of trees that were trained before
   * @param trees the number of all trees
   */
  private LinearLabelTreeBuilder builder(Labels labels, int number, int before, int trees) {
    return builder(set, options, number)
        .labels(labels)
        .progress(
            (done, total) -> {
              if (options.stop().getAsBoolean()) {
                throw EmbeddingTrainer.stoppedTooEarly();
              }
              options.listener().linear((before + (double) done / total) / trees);
            });
  }

  /**
   * Returns a builder of a tree of examples, without names.
   *
   * @param number of the tree in its model: each has a seed of its own
   */
  static LinearLabelTreeBuilder builder(TrainingSet set, TrainingOptions options, int number) {
    LinearLabelTreeBuilder builder =
        LinearLabelTree.builder(set.vocabulary().rows(), set.labelNames().size())
            .cost(options.cost())
            .seed(options.seed() + number)
            .workers(options.workers());
    return set.isText() ? builder.tfIdf(set.groups(), FeatureGroup.lengths()) : builder;
  }

  /**
   * Heads with the trees of those examples that have a label which is not withheld. Trees of one
   * model differ in their clusters, by their seeds.
   *
   * @param before the number of models whose trees were trained before
   * @param models the number of all models
   */
  private Heads withTrees(
      Heads heads, int[] among, TrainingSet learned, Labels labels, int before, int models) {
    int[] examples = labelled(among, learned);
    int each = options.trees();
    LinearLabelTree first = null;
    try (SparseRows x = set.features(examples, 0, examples.length);
        SparseRows targets = learned.labels(examples, 0, examples.length)) {
      first = builder(labels, 0, each * before, each * models).train(x, targets);
      if (each > 1) {
        heads.secondLinear(builder(labels, 1, each * before + 1, each * models).train(x, targets));
      }
      return heads.linear(first);
    } catch (Throwable e) {
      if (first != null) {
        first.close();
      }
      throw e;
    }
  }

  /** Puts what a second tree gains over the first one alone on the card of a model. */
  private void putGainOfSecondTree(TrainedClassifier model, HeldOut examples) {
    if (model.trees().size() > 1) {
      Mixture first = new Heads().linear(model.tree()).sum();
      HeldOut.Gain gain = examples.gain(model.heads(), first);
      if (gain.isMeasured()) {
        model.card().put(GAINED_BY_SECOND_TREE, gain.toString());
        tellTimes("the second tree", examples, model.heads(), first);
      }
    }
  }

  /** Returns the examples that have a label which is not withheld; all, if none is. */
  private int[] labelled(int[] among, TrainingSet learned) {
    return learned == set
        ? among
        : IntStream.of(among).filter(e -> learned.hasLabel(e, label -> true)).toArray();
  }

  // --------------------------------------------------------------------------- an initial model

  /** Trains a model further; the weights of its heads and the calibration stay. */
  private TrainedClassifier continued(TrainedClassifier initial) {
    requireKind(initial);
    TrainedClassifier embedding =
        head.hasEmbedding() ? new EmbeddingTrainer(set, options).train() : null;
    List<LinearLabelTree> trees = new ArrayList<>();
    try {
      Heads heads = embedding == null ? new Heads() : Heads.of(embedding.heads());
      if (head.hasLinear()) {
        Labels labels = embedding == null ? begin() : embedding.layer().labels();
        for (LinearLabelTree tree : initial.trees()) {
          trees.add(extended(tree, labels, trees.size(), initial.trees().size()));
        }
        heads.linear(trees.get(0));
        if (trees.size() > 1) {
          heads.secondLinear(trees.get(1));
        }
      }
      TrainedClassifier model = embedding == null ? linear(heads) : embedding;
      return finished(model.with(heads.sumLike(initial.heads())));
    } catch (CancellationException e) {
      trees.forEach(LinearLabelTree::close);
      if (embedding == null || !EmbeddingTrainer.hasCharacters(embedding)) {
        if (embedding != null) {
          embedding.close(); // it lacks rows of some features
        }
        throw e;
      }
      options.listener().warning("ended before the linear head: the model has the embedding alone");
      return embedding;
    } catch (Throwable e) {
      trees.forEach(LinearLabelTree::close);
      if (embedding != null) {
        embedding.close();
      }
      throw e;
    }
  }

  private void requireKind(TrainedClassifier initial) {
    if (initial.takesText() != set.isText()) {
      throw new IllegalArgumentException(
          set.isText()
              ? "examples: are texts, but the initial model was trained on features"
              : "examples: have features, but the initial model was trained on texts");
    }
  }

  /** Adds new labels and features to a tree. */
  private LinearLabelTree extended(LinearLabelTree tree, Labels labels, int number, int trees) {
    try (SparseRows x = set.features(all(), 0, set.size());
        SparseRows targets = set.labels(all(), 0, set.size())) {
      return builder(labels, number, number, trees).extend(tree, x, targets);
    }
  }

  // -------------------------------------------------------------------------------------- result

  /**
   * Returns a model whose heads are final, measured on the validation examples for the card of its
   * file.
   */
  private TrainedClassifier finished(TrainedClassifier model) {
    if (model.head() == ModelHead.EMBEDDING && model.heads().calibration().isEmpty()) {
      return model; // its last epoch was measured
    }
    int count = folds.stream().limit(foldsUsed).mapToInt(fold -> fold.heldOut().length).sum();
    model.card().put("examples held out to calibrate", Integer.toString(count));
    if (!options.validation().isEmpty()) {
      boolean isAlone = model.head() == ModelHead.LINEAR; // otherwise the epochs were measured
      TrainingListener listener = isAlone ? options.listener() : new TrainingListener() {};
      EmbeddingTrainer.measure(model, options, listener);
    }
    return model;
  }
}
