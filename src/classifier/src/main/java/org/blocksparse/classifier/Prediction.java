// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * A label, and how likely it is.
 *
 * @param probability that it is the label, were there exactly one
 */
public record Prediction(String label, double probability) {}
