// SPDX-License-Identifier: Apache-2.0
/**
 * Training of classifiers: options, heads, folds, held-out examples and tuning.
 *
 * <p>Not API: HeadTraining, TrainingDefaults, TrainingSet, Tuner, ValidationScores.
 */
package org.blocksparse.classifier.training;
