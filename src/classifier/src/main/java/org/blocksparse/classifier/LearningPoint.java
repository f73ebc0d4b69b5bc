// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * How far a training is after an epoch.
 *
 * @param epoch from 1 on
 * @param loss the mean over the epoch, of each example before it was learned from
 * @param precision at 1, on the validation examples; NaN if there are none
 * @param best whether no epoch before was as good: by precision, and where that is the same by nDCG
 *     of the first answers; without validation examples, always
 */
public record LearningPoint(int epoch, double loss, double precision, boolean best) {}
