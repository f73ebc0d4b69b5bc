// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.blocksparse.ElementType;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.MixtureBuilder;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * Builds the sum of a model's heads, which are the scorers of a {@link Mixture}, by name. A head
 * that is added again replaces the first one.
 *
 * <p>The score of a label is the mean of its log probabilities in the heads. With nearest examples
 * or with texts of labels, probabilities are added instead: a label that either the linear head or
 * the others know is likely.
 */
public final class Heads {
  static final String EMBEDDING = "embedding";
  static final String LINEAR = "linear";
  static final String SECOND_LINEAR = "linear2";
  static final String NEIGHBOURS = "neighbours";
  static final String TEXTS = "texts";

  /** The heads in the order of their names, which files expect. */
  private final Map<String, Consumer<MixtureBuilder>> parts = new TreeMap<>();

  /** Starts with no heads. */
  public Heads() {}

  /**
   * Returns the heads of a sum, without its weights and calibration.
   *
   * @throws IllegalArgumentException if it has others, or one of another kind
   */
  public static Heads of(Mixture sum) {
    Heads heads = new Heads();
    for (String name : sum.scorers()) {
      switch (name) {
        case EMBEDDING ->
            heads.embedding(
                sum.scorer(name, EmbeddingBag.class), sum.scorer(name, TwoLevelLayer.class));
        case LINEAR -> heads.linear(sum.scorer(name, LinearLabelTree.class));
        case SECOND_LINEAR -> heads.secondLinear(sum.scorer(name, LinearLabelTree.class));
        case NEIGHBOURS -> heads.neighbours(sum.scorer(name, NearestExamples.class));
        case TEXTS -> heads.texts(sum.scorer(name, SparseWeights.class));
        default -> throw noHead(name);
      }
    }
    return heads;
  }

  private static IllegalArgumentException noHead(String name) {
    return new IllegalArgumentException(name + " is no head");
  }

  /** Adds an embedding. */
  public Heads embedding(EmbeddingBag bag, TwoLevelLayer<?> layer) {
    return with(EMBEDDING, builder -> builder.layer(EMBEDDING, bag, layer));
  }

  /** Adds a linear head. */
  public Heads linear(LinearLabelTree tree) {
    return with(LINEAR, builder -> builder.tree(LINEAR, tree));
  }

  /** Adds a second linear head, whose clusters of labels are others. */
  public Heads secondLinear(LinearLabelTree tree) {
    return with(SECOND_LINEAR, builder -> builder.tree(SECOND_LINEAR, tree));
  }

  /** Adds nearest examples. */
  public Heads neighbours(NearestExamples neighbours) {
    return with(NEIGHBOURS, builder -> builder.nearest(NEIGHBOURS, neighbours).addProbabilities());
  }

  /** Adds texts of labels. */
  public Heads texts(SparseWeights texts) {
    return with(TEXTS, builder -> builder.weights(TEXTS, texts).addProbabilities());
  }

  private Heads with(String name, Consumer<MixtureBuilder> head) {
    parts.put(name, head);
    return this;
  }

  /** Returns the sum with equal weights, not calibrated. */
  public Mixture sum() {
    MixtureBuilder builder = Mixture.builder();
    parts.values().forEach(part -> part.accept(builder));
    float[] weights = new float[parts.size()];
    Arrays.fill(weights, 1f / weights.length);
    return builder.build().withWeights(weights);
  }

  /**
   * Returns the sum with the weights and the calibration of another one, which has as many heads.
   */
  public Mixture sumLike(Mixture other) {
    Mixture sum = sum();
    float[] weights = other.weights();
    return other
        .calibration()
        .map(calibration -> sum.withWeights(weights, calibration))
        .orElseGet(() -> sum.withWeights(weights));
  }

  /**
   * Returns a sum of copies, whose weights have another type. Only those of an embedding can have 8
   * bits; others have 16 then.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   */
  static Mixture withWeights(Mixture sum, ElementType type) {
    ElementType ofOthers = type == ElementType.INT8 ? ElementType.FLOAT16 : type;
    Heads heads = new Heads();
    List<Runnable> copies = new ArrayList<>();
    try {
      for (String name : sum.scorers()) {
        switch (name) {
          case EMBEDDING -> {
            EmbeddingBag bag = sum.scorer(name, EmbeddingBag.class).withWeights(type);
            copies.add(bag::close);
            TwoLevelLayer<?> layer = sum.scorer(name, TwoLevelLayer.class).withWeights(type);
            copies.add(layer::close);
            heads.embedding(bag, layer);
          }
          case LINEAR -> heads.linear(tree(sum, name, ofOthers, copies));
          case SECOND_LINEAR -> heads.secondLinear(tree(sum, name, ofOthers, copies));
          case NEIGHBOURS -> {
            NearestExamples near = sum.scorer(name, NearestExamples.class);
            SparseWeights examples = near.examples().withWeights(ofOthers);
            copies.add(examples::close);
            SparseWeights outputs = near.outputs().withWeights(ofOthers);
            copies.add(outputs::close);
            heads.neighbours(new NearestExamples(examples, outputs, near.k()));
          }
          case TEXTS -> {
            SparseWeights texts = sum.scorer(name, SparseWeights.class).withWeights(ofOthers);
            copies.add(texts::close);
            heads.texts(texts);
          }
          default -> throw noHead(name);
        }
      }
      return heads.sumLike(sum);
    } catch (Throwable e) {
      copies.forEach(Runnable::run);
      throw e;
    }
  }

  private static LinearLabelTree tree(
      Mixture sum, String name, ElementType type, List<Runnable> copies) {
    LinearLabelTree tree = sum.scorer(name, LinearLabelTree.class).withWeights(type);
    copies.add(tree::close);
    return tree;
  }

  /**
   * Returns a part of a head; empty if there is no such head.
   *
   * @throws IllegalArgumentException if the head is of another type
   */
  static <T> Optional<T> part(Mixture sum, String name, Class<T> type) {
    return sum.scorers().contains(name) ? Optional.of(sum.scorer(name, type)) : Optional.empty();
  }

  /** Returns the share of a head in the weights of all. */
  static double share(Mixture sum, String name) {
    float[] weights = sum.weights();
    double all = 0;
    for (float weight : weights) {
      all += weight;
    }
    return weights[sum.scorers().indexOf(name)] / all;
  }

  /**
   * Requires that all rows have a ranking.
   *
   * @throws InvalidInputException if not, since weights of the model are not finite
   */
  public static Ranking requireDefined(Ranking ranking) {
    for (int row = 0; row < ranking.batch(); row++) {
      if (!ranking.isDefined(row)) {
        throw notFinite();
      }
    }
    return ranking;
  }

  public static InvalidInputException notFinite() {
    return new InvalidInputException("model: its weights are not finite");
  }
}
