// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import org.apache.spark.ml.util.Identifiable$;
import org.apache.spark.ml.util.MLReader;

/**
 * Trains a {@link org.blocksparse.softmax.HierarchicalSoftmax} on rows that have one label each:
 * {@link #labelCol} is a column of whole numbers from 0, or of strings. {@link TwoLevelClassifier}
 * has what is promised of training, and its errors.
 */
public final class HierarchicalSoftmaxClassifier
    extends TwoLevelClassifier<
        HierarchicalSoftmaxClassificationModel, HierarchicalSoftmaxClassifier> {
  private static final long serialVersionUID = 1;

  /** Makes an estimator with a generated name. */
  public HierarchicalSoftmaxClassifier() {
    this(Identifiable$.MODULE$.randomUID("hierarchicalSoftmax"));
  }

  /** Makes an estimator with the given name. */
  public HierarchicalSoftmaxClassifier(String uid) {
    super(uid);
  }

  /**
   * Returns an estimator that {@link #save} has written.
   *
   * @throws java.io.UncheckedIOException if the folder cannot be read, or does not hold one; the
   *     message names the folder and what is wrong with it
   */
  public static HierarchicalSoftmaxClassifier load(String path) {
    return read().load(path);
  }

  /** Reads what {@link #write} writes. */
  public static MLReader<HierarchicalSoftmaxClassifier> read() {
    return new ParamsReader<>(
        HierarchicalSoftmaxClassifier.class,
        (uid, folder, hadoop) -> new HierarchicalSoftmaxClassifier(uid));
  }

  @Override
  HierarchicalSoftmaxClassifier self() {
    return this;
  }

  @Override
  EstimatorKind kind() {
    return EstimatorKind.SOFTMAX;
  }

  @Override
  HierarchicalSoftmaxClassificationModel model(ModelBytes bytes) throws IOException {
    return new HierarchicalSoftmaxClassificationModel(uid(), bytes);
  }
}
