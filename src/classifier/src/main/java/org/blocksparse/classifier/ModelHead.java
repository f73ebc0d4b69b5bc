// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/** The heads of a {@link Classifier}, which score labels. */
public enum ModelHead {
  /** The sum of the vectors of features, and a layer over labels. */
  EMBEDDING,

  /**
   * A {@link org.blocksparse.linear.LinearLabelTree}: each label has its own sparse weights over
   * all features, which suits labels with few examples.
   */
  LINEAR,

  /** The weighted sum of both, with weights that are fitted to held-out examples. */
  BOTH;

  public boolean hasLinear() {
    return this != EMBEDDING;
  }

  public boolean hasEmbedding() {
    return this != LINEAR;
  }
}
