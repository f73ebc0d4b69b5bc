// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.List;
import org.blocksparse.linear.Term;

/**
 * Explains what a scorer of a {@link Mixture} adds to the score of an output, before calibration.
 * Its own score is a sum of sparse weights, the score of a dense head, or a log probability, or a
 * probability if the mixture {@linkplain MixtureBuilder#addProbabilities adds these}.
 *
 * @param scorer its name
 * @param weight the weight of its score
 * @param score its score of the output
 * @param constant the score for a row without features
 * @param terms the features behind the score, the largest contribution first. Those of sparse
 *     weights and of a {@linkplain org.blocksparse.linear.LinearLabelTree#explain tree} add up to
 *     the score less the constant, up to rounding. Those over a bag do not: each is the change of
 *     the score if the row had only the other features, as a weight for a value of 1
 */
public record Share(String scorer, double weight, double score, double constant, List<Term> terms) {
  /** Returns the part of the mixture's score that the scorer adds. */
  public double contribution() {
    return weight == 0 ? 0 : weight * score;
  }
}
