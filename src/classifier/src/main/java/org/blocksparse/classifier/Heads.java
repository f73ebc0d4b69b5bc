// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Arrays;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.MixtureBuilder;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.softmax.TwoLevelLayer;

/** The heads of a model as the scorers of a {@link Mixture}, by name. */
public final class Heads {
  static final String EMBEDDING = "embedding";
  static final String LINEAR = "linear";
  static final String NEIGHBOURS = "neighbours";
  static final String TEXTS = "texts";

  private Heads() {}

  /**
   * Heads that are not calibrated: the score of a label is the mean of its log probabilities.
   *
   * @param bag null, as the layer: there is no embedding head
   * @param tree null: there is no linear head
   */
  public static Mixture of(EmbeddingBag bag, TwoLevelLayer<?> layer, LinearLabelTree tree) {
    return of(bag, layer, tree, null, null);
  }

  /**
   * The same with nearest examples, or with texts of labels. Probabilities are added then: a label
   * that either the linear head or the others know is likely.
   *
   * @param neighbours null: there are none
   * @param texts null: there are none
   */
  public static Mixture of(
      EmbeddingBag bag,
      TwoLevelLayer<?> layer,
      LinearLabelTree tree,
      NearestExamples neighbours,
      SparseWeights texts) {
    MixtureBuilder builder = Mixture.builder();
    if (layer != null) {
      builder.layer(EMBEDDING, bag, layer);
    }
    if (tree != null) {
      builder.tree(LINEAR, tree);
    }
    if (neighbours != null) {
      builder.nearest(NEIGHBOURS, neighbours).addProbabilities();
    }
    if (texts != null) {
      builder.weights(TEXTS, texts).addProbabilities();
    }
    Mixture heads = builder.build();
    float[] weights = new float[heads.scorers().size()];
    Arrays.fill(weights, 1f / weights.length);
    return heads.withWeights(weights);
  }

  /** Heads with the weights and the calibration of others, as many as these. */
  public static Mixture of(
      EmbeddingBag bag,
      TwoLevelLayer<?> layer,
      LinearLabelTree tree,
      NearestExamples neighbours,
      SparseWeights texts,
      Mixture others) {
    Mixture heads = of(bag, layer, tree, neighbours, texts);
    float[] weights = others.weights();
    return others
        .calibration()
        .map(calibration -> heads.withWeights(weights, calibration))
        .orElseGet(() -> heads.withWeights(weights));
  }

  /** A part of a head; null if there is no such head. */
  static <T> T partOrNull(Mixture heads, String name, Class<T> type) {
    return heads.scorers().contains(name) ? heads.scorer(name, type) : null;
  }
}
