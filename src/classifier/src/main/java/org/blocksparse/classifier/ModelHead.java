// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/** The scores of labels that a {@link Classifier} is made of. */
public enum ModelHead {
  /**
   * The sum of vectors of features, and a layer over labels: small for many features, and best
   * where examples have one label each.
   */
  EMBEDDING,

  /**
   * A {@link org.blocksparse.linear.LinearLabelTree}: each label has sparse weights of its own over
   * all features, which suits labels with few examples.
   */
  LINEAR,

  /** Both: their scores are added, with weights that are fitted to examples held out. */
  BOTH;

  boolean hasLinear() {
    return this != EMBEDDING;
  }

  boolean hasEmbedding() {
    return this != LINEAR;
  }
}
