// SPDX-License-Identifier: Apache-2.0
/**
 * Trains and applies a {@link org.blocksparse.HierarchicalSoftmax} on Apache Spark: {@link
 * org.blocksparse.spark.HierarchicalSoftmaxClassifier} is the estimator, {@link
 * org.blocksparse.spark.HierarchicalSoftmaxClassificationModel} what it fits.
 */
package org.blocksparse.spark;
