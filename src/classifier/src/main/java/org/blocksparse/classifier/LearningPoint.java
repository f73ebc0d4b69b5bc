// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * A point of the learning curve, after an epoch. Metrics of the validation examples are NaN if
 * there are none.
 *
 * @param epoch from 1 on
 * @param loss the mean over the epoch, of each example before it was learned from
 * @param precision at 1, on the validation examples
 * @param ndcg at 5, on the validation examples
 * @param f1 micro F1 at its best threshold, on the validation examples; NaN as well unless it is
 *     the {@linkplain TrainingOptions#withValidationMetric metric}
 * @param best whether no epoch before was as good, by the metric; without validation examples,
 *     always
 */
public record LearningPoint(
    int epoch, double loss, double precision, double ndcg, double f1, boolean best) {}
