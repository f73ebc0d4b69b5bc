// SPDX-License-Identifier: Apache-2.0
/**
 * Trains and applies a {@link org.blocksparse.softmax.TwoLevelLayer} on Apache Spark. For rows with
 * one label each, {@link org.blocksparse.spark.HierarchicalSoftmaxClassifier} is the estimator, and
 * {@link org.blocksparse.spark.HierarchicalSoftmaxClassificationModel} what it fits; for rows with
 * any number of labels, {@link org.blocksparse.spark.LabelTreeClassifier} and {@link
 * org.blocksparse.spark.LabelTreeClassificationModel}.
 */
package org.blocksparse.spark;
