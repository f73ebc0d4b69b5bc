// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import org.blocksparse.ranking.Metrics;

/**
 * The metrics of a model on examples.
 *
 * @param ranking precision, recall and nDCG of the first labels; propensity-scored precision if
 *     {@link Classifier#hasPropensities}
 * @param decisions metrics of the labels that reach a threshold
 */
public record Evaluation(Metrics ranking, Decisions decisions) {}
