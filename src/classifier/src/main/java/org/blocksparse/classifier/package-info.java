// SPDX-License-Identifier: Apache-2.0
/**
 * Models that predict labels, and their predictions.
 *
 * <p>Public types that a package names after "Not API" are for the other packages of this project,
 * and change without notice. {@code features} and {@code command} have no API.
 *
 * <p>Not API: ClassifierFile, HeadRows, Heads, LabelCounts, ModelCard, NoneOdds, NumberedExamples,
 * TrainedClassifier.
 */
package org.blocksparse.classifier;
