// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import org.apache.spark.ml.param.BooleanParam;
import org.apache.spark.ml.param.DoubleParam;
import org.apache.spark.ml.param.IntParam;
import org.apache.spark.ml.param.LongParam;
import org.apache.spark.ml.param.Param;

/** The params of {@link TwoLevelClassifier} that only training has. */
public interface TrainingParams extends TwoLevelParams {
  /** How often training goes through all rows, at least 0; 5 by default. */
  default Param<Object> maxIter() {
    return new IntParam(this, "maxIter", "number of epochs, >= 0");
  }

  /** The learning rate; 0.1 by default. */
  default Param<Object> stepSize() {
    return new DoubleParam(this, "stepSize", "learning rate, > 0");
  }

  /** The rule: {@code sgd}, {@code adagrad} (the default) or {@code adam}. */
  default Param<String> optimizer() {
    return new Param<>(this, "optimizer", "sgd, adagrad or adam");
  }

  /** Weight decay: its product with a weight is added to the gradient; 0 by default. */
  default Param<Object> decay() {
    return new DoubleParam(this, "decay", "weight decay, >= 0");
  }

  /** The length that the gradient of a block is clipped to; infinite by default. */
  default Param<Object> maxNorm() {
    return new DoubleParam(this, "maxNorm", "norm that gradients of blocks are clipped to, > 0");
  }

  /** The average number of rows of a step; 1024 by default. */
  default Param<Object> batchSize() {
    return new IntParam(this, "batchSize", "mean number of rows of a step, >= 1");
  }

  /** Seed of the initial weights and of the order of rows; 0 by default. */
  default Param<Object> seed() {
    return new LongParam(this, "seed", "of initial weights and the order of rows");
  }

  /** Whether each epoch has an order and batches of its own; true by default. */
  default Param<Object> reshuffle() {
    return new BooleanParam(this, "reshuffle", "whether each epoch has an order of its own");
  }

  /** The number of labels, if labels are numbers; by default the largest label plus 1. */
  default Param<Object> numLabels() {
    return new IntParam(this, "numLabels", "number of labels, if these are numbers; 0: found out");
  }

  /** The number of classes of labels; 0, the default: the number that trains fastest. */
  default Param<Object> classes() {
    return new IntParam(this, "classes", "number of classes of labels; 0: chosen");
  }

  /**
   * How labels are put into classes: {@code byFrequency} (the default), {@code contiguous}, or
   * {@code clustered}, labels of similar rows together, for which the driver needs memory for
   * features x labels x 4 bytes.
   */
  default Param<String> assignment() {
    return new Param<>(this, "assignment", "byFrequency, contiguous or clustered");
  }

  /**
   * A model whose training goes on, of as many labels: the folder of a saved one or the file of
   * one, in any file system of Hadoop's; not set. If its labels have names, {@link #labelCol} has
   * to have strings.
   */
  default Param<String> initialModel() {
    return new Param<>(this, "initialModel", "folder or file of a model to continue training");
  }

  /** Whether the model's file has what the optimizer remembers, twice or thrice as large. */
  default Param<Object> keepOptimizerState() {
    return new BooleanParam(this, "keepOptimizerState", "whether the file has optimizer state");
  }

  /** Tasks of training; 0 by default: eight for each task slot. */
  default Param<Object> numPartitions() {
    return new IntParam(this, "numPartitions", "tasks of training; 0: eight for each task slot");
  }
}
