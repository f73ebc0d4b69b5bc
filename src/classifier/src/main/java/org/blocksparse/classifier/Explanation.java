// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.List;

/**
 * Why a label has its score, which calibration turns into the probability; see {@link
 * Classifier#explain}.
 *
 * <pre>{@code
 * score = prior + sum over the shares of their scores
 * }</pre>
 *
 * <p>The score is the weighted sum of the log probabilities of the heads, or of their probabilities
 * with neighbours or label texts, before calibration. Of two labels of an example, the one with the
 * higher score has the higher probability, or an equal one.
 *
 * @param prediction the explained prediction, with its calibrated probability
 * @param score the score of the example
 * @param prior the score of an example without features
 * @param shares one for each head that has a weight
 */
public record Explanation(Prediction prediction, double score, double prior, List<Share> shares) {
  /**
   * The part of the score that a head adds for the features of the example.
   *
   * @param head linear, linear2, embedding, neighbours, or texts: the texts of labels
   * @param score negative if they speak against the label
   * @param features the largest scores first, of either sign. They add up to the score of the
   *     share, except for an embedding: there, each is the score's loss without the feature
   */
  public record Share(String head, double score, List<Feature> features) {}

  /**
   * A feature of the example.
   *
   * @param name a word or words in a row, in lower case; or the index of a sparse feature
   * @param score negative if it speaks against the label
   */
  public record Feature(String name, double score) {}
}
