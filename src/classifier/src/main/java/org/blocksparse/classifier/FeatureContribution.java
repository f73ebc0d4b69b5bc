// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * The contribution of a feature to the log odds of a label; see {@link Classifier#explain}.
 *
 * @param feature a word, a piece, or words in a row, as the text has them, in lower case; or the
 *     index of a sparse feature
 * @param logOdds negative if the feature speaks against the label
 */
public record FeatureContribution(String feature, double logOdds) {}
