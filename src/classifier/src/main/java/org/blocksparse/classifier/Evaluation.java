// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import org.blocksparse.ranking.Metrics;

/**
 * How good a model is on examples.
 *
 * @param ranking of the first labels: precision, recall and nDCG; with propensities if {@link
 *     Classifier#hasPropensities}
 * @param decisions which labels are there, by a threshold of their probability
 */
public record Evaluation(Metrics ranking, Decisions decisions) {}
