// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.function.IntUnaryOperator;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.features.FeatureVocabulary;
import org.blocksparse.classifier.features.InputRows;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.mixture.Share;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * A classifier that this library has trained: the sum of its {@link Heads}. What it has beyond
 * {@link Classifier} is for the training, and may change in any version.
 */
public final class TrainedClassifier extends Classifier {
  private final InputRows input;
  private final Mixture heads;
  private final Map<String, String> metadata;

  /**
   * Makes a classifier.
   *
   * @param heads named as those of {@link Heads}; closed with this
   * @param metadata the metadata of its file; may be changed until others see this
   */
  public TrainedClassifier(InputRows input, Mixture heads, Map<String, String> metadata) {
    this.input = input;
    this.heads = heads;
    this.metadata = metadata;
  }

  /**
   * Returns a model that this library has trained.
   *
   * @throws InvalidInputException if it is of fastText
   */
  public static TrainedClassifier require(Classifier model) {
    if (model instanceof TrainedClassifier own) {
      return own;
    }
    throw FastTextClassifier.isOnlyRead();
  }

  /** Returns this model with other heads, which have the same input. */
  public TrainedClassifier with(Mixture others) {
    return new TrainedClassifier(input, others, metadata);
  }

  @Override
  public void save(Path file, ElementType weights) throws IOException {
    ElementType present = weightType();
    if (!head().hasEmbedding() && weights == ElementType.INT8) {
      throw new InvalidInputException(
          "weights: expected FLOAT16 or BFLOAT16 for a linear head, which has no INT8, but was INT8"
              + (present == ElementType.FLOAT32 ? "" : "; this model is " + present + " already"));
    }
    if (weights != present && present != ElementType.FLOAT32) {
      throw new InvalidInputException(
          "weights: those of this model are "
              + present
              + " already; make "
              + weights
              + " of the model that was trained");
    }
    if (weights == present) {
      save(file, heads);
      return;
    }
    try (Mixture narrow = Heads.withWeights(heads, weights)) {
      save(file, narrow);
    }
  }

  private void save(Path file, Mixture of) throws IOException {
    try {
      of.save(file, SaveOptions.defaults().withMetadata(metadata));
    } catch (IllegalStateException e) {
      boolean isOpen =
          Heads.part(of, Heads.EMBEDDING, TwoLevelLayer.class)
              .filter(layer -> !layer.b1().isClosed())
              .isPresent();
      throw isOpen ? Heads.notFinite() : e;
    }
  }

  @Override
  public Explanation explain(Example example, String label) {
    int output = names().output(label);
    if (output < 0) {
      throw new IllegalArgumentException("label: the model does not know '" + label + "'");
    }
    Map<Integer, String> names = input.names(example);
    Prediction prediction;
    List<Share> all;
    try (SparseRows row = input.of(List.of(example));
        HeadRows x = rowsOfHeads(row)) {
      prediction =
          predictions(Heads.requireDefined(topK(row, 1, Filter.only(output))), 0, 0).stream()
              .findFirst()
              .orElse(new Prediction(label, Float.NEGATIVE_INFINITY));
      all = heads.explain(x.rows(), output);
    }
    double score = all.stream().mapToDouble(Share::contribution).sum();
    List<Explanation.Share> shares =
        all.stream()
            .filter(share -> share.weight() > 0)
            .map(share -> named(share, names, rowOf(share.scorer())))
            .toList();
    double added = shares.stream().mapToDouble(Explanation.Share::score).sum();
    return new Explanation(prediction, score, score - added, shares);
  }

  /** Returns the row of a feature of a head. */
  private IntUnaryOperator rowOf(String head) {
    FeatureVocabulary all = input.vocabulary();
    return head.equals(Heads.EMBEDDING) && bag().vocabulary() < all.rows()
        ? all::rowOfOther
        : row -> row;
  }

  private static Explanation.Share named(
      Share share, Map<Integer, String> names, IntUnaryOperator rowOf) {
    List<Explanation.Feature> features =
        share.terms().stream()
            .filter(term -> term.contribution() != 0)
            .map(
                term ->
                    new Explanation.Feature(
                        names.get(rowOf.applyAsInt(term.feature())),
                        share.weight() * term.contribution()))
            .toList();
    return new Explanation.Share(
        share.scorer(), share.weight() * (share.score() - share.constant()), features);
  }

  @Override
  InputRows rows() {
    return input;
  }

  @Override
  Labels names() {
    return heads.labels();
  }

  private HeadRows rowsOfHeads(SparseRows features) {
    return HeadRows.of(heads, features, input.vocabulary());
  }

  /**
   * Returns the search, which for all labels above a threshold ends earlier than for all labels.
   */
  @Override
  Function<SparseRows, Ranking> search(PredictionOptions options) {
    Filter allowed = options.filter().outputs(names());
    return options.top() >= names().size() && options.threshold() > 0
        ? features -> atLeast(features, options.threshold(), allowed)
        : features -> topK(features, options.top(), allowed);
  }

  private Ranking topK(SparseRows features, int k, Filter allowed) {
    try (HeadRows x = rowsOfHeads(features)) {
      return heads.topK(x.rows(), k, allowed);
    }
  }

  @Override
  Ranking atLeast(SparseRows features, double probability) {
    return atLeast(features, probability, Filter.without());
  }

  private Ranking atLeast(SparseRows features, double probability, Filter allowed) {
    try (HeadRows x = rowsOfHeads(features)) {
      return heads.calibration().isPresent()
          ? heads.atLeast(x.rows(), probability, allowed)
          : heads.atLeastScore(x.rows(), Prediction.logThreshold(probability), allowed);
    }
  }

  /**
   * Returns the logarithm of the probability of the likeliest right label of each example that has
   * labels; negative infinity if the model knows none of these.
   */
  public float[] rightLogProbabilities(NumberedExamples examples) {
    List<int[]> known = new ArrayList<>();
    for (int row = 0; row < examples.size(); row++) {
      known.add(
          Arrays.stream(examples.labels().indices(row))
              .filter(label -> label < names().size())
              .toArray());
    }
    float[] right = new float[examples.size()];
    int count = 0;
    try (SparseRows allowed = SparseRows.of(known)) {
      Ranking ranking = Heads.requireDefined(topK(examples.features(), 1, Filter.only(allowed)));
      for (int row = 0; row < right.length; row++) {
        if (examples.labels().size(row) > 0) {
          right[count++] =
              ranking.size(row) == 0
                  ? Float.NEGATIVE_INFINITY
                  : Math.min(0, ranking.logProbability(row, 0));
        }
      }
    }
    return Arrays.copyOf(right, count);
  }

  @Override
  public SetCounts evaluateSets(Stream<Example> examples, double threshold) {
    SetCounts counts = new SetCounts(labelCounts().orElse(null));
    PredictionOptions options = PredictionOptions.top(names().size()).withThreshold(threshold);
    Function<SparseRows, Ranking> search = search(options);
    forBatches(
        examples,
        (batch, numbered) ->
            counts.add(Heads.requireDefined(search.apply(numbered.features())), numbered.labels()));
    return counts;
  }

  @Override
  public Optional<LabelCounts> labelCounts() {
    return ClassifierFile.labelCounts(metadata, names().size());
  }

  @Override
  public NumberedExamples numbered(List<Example> examples) {
    return super.numbered(examples);
  }

  @Override
  public void measure(NumberedExamples examples, int upTo, Metrics metrics) {
    super.measure(examples, upTo, metrics);
  }

  @Override
  public Decisions decisions(double threshold) {
    return super.decisions(threshold);
  }

  @Override
  public void decide(NumberedExamples examples, Decisions decisions) {
    super.decide(examples, decisions);
  }

  @Override
  public OptionalDouble threshold() {
    return ClassifierFile.threshold(metadata);
  }

  @Override
  public boolean hasSeveralLabels() {
    return ClassifierFile.hasSeveralLabels(metadata);
  }

  @Override
  Optional<PredictionSets> predictionSets() {
    return ClassifierFile.predictionSets(metadata);
  }

  @Override
  Optional<NoneOdds> noneOdds() {
    return ClassifierFile.none(metadata);
  }

  @Override
  public ElementType weightType() {
    return head().hasEmbedding() ? layer().weightType() : tree().weightType();
  }

  @Override
  public ModelHead head() {
    List<String> names = heads.scorers();
    if (!names.contains(Heads.LINEAR)) {
      return ModelHead.EMBEDDING;
    }
    return names.contains(Heads.EMBEDDING) ? ModelHead.BOTH : ModelHead.LINEAR;
  }

  @Override
  public boolean hasLabelTree() {
    return head().hasEmbedding() && layer() instanceof LabelTree;
  }

  @Override
  public String labelPrefix() {
    return ClassifierFile.labelPrefix(metadata);
  }

  @Override
  public List<List<String>> classes() {
    if (!head().hasEmbedding()) {
      throw new InvalidInputException(
          "model: has no classes, as its head is linear; train with ModelHead.EMBEDDING or"
              + " ModelHead.BOTH");
    }
    Labels labels = names();
    ClassAssignment assignment = layer().assignment();
    List<List<String>> classes = new ArrayList<>();
    for (int c = 0; c < assignment.classCount(); c++) {
      List<String> members = new ArrayList<>();
      for (int slot = 0; slot < assignment.size(c); slot++) {
        members.add(labels.name(assignment.output(c, slot)));
      }
      classes.add(members);
    }
    return classes;
  }

  @Override
  public MemoryUse memoryUse() {
    return heads.memoryUse();
  }

  @Override
  Map<String, String> facts() {
    Map<String, String> facts = card().facts();
    if (head().hasEmbedding()) {
      facts.put("rows of the table", Integer.toString(bag().vocabulary()));
      facts.put("dimension", Integer.toString(bag().features()));
      facts.put("layer", layer().getClass().getSimpleName());
      facts.put("classes", layer().assignment().toString());
    }
    if (head().hasLinear()) {
      LinearLabelTree tree = tree();
      facts.put("linear features", Integer.toString(tree.features()));
      facts.put("linear clusters", Integer.toString(tree.clusterCount()));
      long weights = trees().stream().mapToLong(LinearLabelTree::weightCount).sum();
      facts.put("linear weights", weights + " of " + tree.weightType());
      if (trees().size() > 1) {
        facts.put("linear trees", Integer.toString(trees().size()));
      }
    }
    neighbours()
        .ifPresent(near -> facts.put("neighbours", near.k() + " of " + near.examples().outputs()));
    if (hasLabelTexts()) {
      facts.put("weight of label texts", ModelCard.decimals(Heads.share(heads, Heads.TEXTS)));
    }
    return facts;
  }

  /** Returns the facts on the training; may be changed until others see this. */
  public ModelCard card() {
    return new ModelCard(metadata);
  }

  /** Returns the metadata of the file; may be changed until others see this. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** Returns the rows that examples become. */
  public InputRows input() {
    return input;
  }

  /** Returns the sum of the heads. */
  public Mixture heads() {
    return heads;
  }

  /**
   * Returns the table of the embedding head.
   *
   * @throws IllegalArgumentException if there is no such head
   */
  public EmbeddingBag bag() {
    return heads.scorer(Heads.EMBEDDING, EmbeddingBag.class);
  }

  /**
   * Returns the layer of the embedding head.
   *
   * @throws IllegalArgumentException if there is no such head
   */
  public TwoLevelLayer<?> layer() {
    return heads.scorer(Heads.EMBEDDING, TwoLevelLayer.class);
  }

  /**
   * Returns the tree of the linear head.
   *
   * @throws IllegalArgumentException if there is no such head
   */
  public LinearLabelTree tree() {
    return heads.scorer(Heads.LINEAR, LinearLabelTree.class);
  }

  /** The trees of the linear heads: none, one or two. */
  public List<LinearLabelTree> trees() {
    return Stream.of(Heads.LINEAR, Heads.SECOND_LINEAR)
        .flatMap(name -> Heads.part(heads, name, LinearLabelTree.class).stream())
        .toList();
  }

  /** The nearest examples beside the linear head. */
  public Optional<NearestExamples> neighbours() {
    return Heads.part(heads, Heads.NEIGHBOURS, NearestExamples.class);
  }

  /** Returns whether texts of labels are beside the linear head. */
  public boolean hasLabelTexts() {
    return heads.scorers().contains(Heads.TEXTS);
  }

  @Override
  public void close() {
    heads.close();
  }

  @Override
  public String toString() {
    List<String> parts = new ArrayList<>();
    if (head().hasEmbedding()) {
      parts.add(bag().toString());
      parts.add(layer().toString());
    }
    trees().forEach(tree -> parts.add(tree.toString()));
    return "Classifier(" + String.join(", ", parts) + ")";
  }
}
