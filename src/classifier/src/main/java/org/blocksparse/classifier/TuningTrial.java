// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

/**
 * A training that the search for options has tried.
 *
 * @param number from 1 on
 * @param metric by which the search compares
 * @param score on the validation examples; NaN if the training failed, since its loss was not
 *     finite or memory was too little
 * @param seconds that it took
 * @param best whether none before was as good
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
