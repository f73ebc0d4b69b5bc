// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.List;

/**
 * Explains the probability that a {@link LinearLabelTree} gives a label, as a sum over the features
 * of the row.
 *
 * <pre>{@code
 * log probability = constant + sum over terms of value * weight
 * }</pre>
 *
 * <p>The log probability adds up those of the label and of the clusters above it. Each of these
 * changes from the row without features to the row, and the features share the change in proportion
 * to what they add to the log odds there: these are the integrated gradients (Sundararajan, Taly
 * and Yan, 2017).
 *
 * @param output the label, by number
 * @param label its name; null if it has none
 * @param probability P(label | x). If x or the weights are not finite, it may be NaN, and terms may
 *     be, too
 * @param constant the log probability for a row without features
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
   * @param weight the weight of a value of 1, for the label and the clusters above it
   */
  public record Term(int feature, double value, double weight) {
    /**
     * Returns the part of the log probability that the feature adds; negative if it speaks against
     * the label.
     */
    public double contribution() {
      return value * weight;
    }
  }
}
