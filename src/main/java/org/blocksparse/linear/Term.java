// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

/**
 * Explains a part of a score: what a feature of the row adds to it.
 *
 * @param feature its number
 * @param value its value in the row, weighted by TF-IDF if the scorer {@linkplain
 *     LinearLabelTree#countsFeatures counts features}
 * @param weight the weight of a value of 1
 */
public record Term(int feature, double value, double weight) {
  /** Returns what the feature adds to the score; negative if it speaks against the output. */
  public double contribution() {
    return value * weight;
  }
}
