// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import org.apache.spark.ml.param.IntParam;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamValidators;
import org.apache.spark.ml.param.Params;

/**
 * The params of {@link TwoLevelClassifier} and {@link TwoLevelClassificationModel}. A param is
 * equal to every other of its owner and name, so that they are made when they are asked for, and
 * never too early.
 */
public interface TwoLevelParams extends Params {
  /** The column of features: a vector, dense or sparse, or an array of floats or doubles. */
  default Param<String> featuresCol() {
    return new Param<>(this, "featuresCol", "column of features: vectors or arrays of numbers");
  }

  /**
   * The column of labels: whole numbers from 0, or strings; for a {@link LabelTreeClassifier},
   * arrays of them.
   */
  default Param<String> labelCol() {
    return new Param<>(
        this, "labelCol", "column of labels: whole numbers from 0, or strings; or arrays of them");
  }

  /** The column of the weights of rows; not set: all have weight 1. */
  default Param<String> weightCol() {
    return new Param<>(this, "weightCol", "column of the weights of rows; all 1 if not set");
  }

  /**
   * The column of the likeliest label: its number, a double, or its name, a string, where labels
   * have names; empty: none.
   */
  default Param<String> predictionCol() {
    return new Param<>(
        this,
        "predictionCol",
        "column of the likeliest label: its number, or its name where labels have names");
  }

  /** The column of the k likeliest labels; empty: none. */
  default Param<String> topKCol() {
    return new Param<>(this, "topKCol", "column of the k likeliest labels with probabilities");
  }

  /** The column of the labels that a row's answer must leave out, an array; not set: none. */
  default Param<String> withoutCol() {
    return new Param<>(
        this, "withoutCol", "column of labels to leave out: arrays; none if not set");
  }

  /** The number of labels in {@link #topKCol}. */
  default Param<Object> k() {
    return new IntParam(this, "k", "number of labels in topKCol, >= 1", ParamValidators.gtEq(1));
  }
}
