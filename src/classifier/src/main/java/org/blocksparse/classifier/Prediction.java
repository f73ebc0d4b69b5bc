// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * A label, and how likely it is.
 *
 * @param probability that it is the label, were there exactly one; of a {@linkplain
 *     TrainingOptions#withLabelTree label tree}, that it is there, whatever others are
 */
public record Prediction(String label, double probability) {}
