// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

/**
 * A point of the learning curve, after an epoch. Validation metrics are NaN without validation
 * examples.
 *
 * @param epoch from 1 on, in each training
 * @param loss the mean loss of the epoch, of each example before its step
 * @param precision at 1, on the validation examples
 * @param ndcg at 5, or at 10 for a {@link org.blocksparse.classifier.nextitem.NextItem}, on the
 *     validation examples
 * @param best whether it is better than all epochs of its training before; for a {@link
 *     org.blocksparse.classifier.nextitem.NextItem} also if it equals the best of these; true
 *     without validation examples
 */
public record LearningPoint(int epoch, double loss, double precision, double ndcg, boolean best) {}
