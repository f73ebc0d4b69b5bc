// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.List;

/**
 * Why a {@link LinearLabelTree} gives a label its probability: the log odds of the label and of the
 * clusters above it, added up, as a sum over the features of the row.
 *
 * <pre>{@code
 * log odds = constant + sum over terms of value * weight
 * }</pre>
 *
 * <p>In a tree of one cluster, the probability is 1 / (1 + exp(-log odds)).
 *
 * @param output the label, by number
 * @param label its name; null if it has none
 * @param probability P(label | x); NaN if x or the weights are not finite
 * @param constant the log odds of a row without features
 * @param terms the features of the row that have a weight, the largest contribution first
 */
public record LinearExplanation(
    int output, String label, double probability, double constant, List<Term> terms) {
  /**
   * A feature of the row.
   *
   * @param feature its number
   * @param value its value in the row, weighted by TF-IDF if the tree {@linkplain
   *     LinearLabelTree#countsFeatures counts features}
   * @param weight of the feature, for the label and the clusters above it
   */
  public record Term(int feature, double value, double weight) {
    /** The part of the log odds that the feature adds; negative if it speaks against the label. */
    public double contribution() {
      return value * weight;
    }
  }
}
