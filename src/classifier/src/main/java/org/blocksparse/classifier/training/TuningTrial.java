// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

/**
 * A trial of the search for options.
 *
 * @param number from 1 on
 * @param metric the metric of the search
 * @param score on the validation examples; NaN if the training failed, because its loss was not
 *     finite or memory was not enough
 * @param seconds the time of the trial
 * @param best whether it is better than all trials before
 */
public record TuningTrial(
    int number,
    double rate,
    int epochs,
    int dimension,
    ValidationMetric metric,
    double score,
    double seconds,
    boolean best) {}
