// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.file.Path;
import org.apache.spark.ml.util.Identifiable$;
import org.apache.spark.ml.util.MLReader;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Predicts the most probable labels of rows, exactly, by a layer that {@link
 * HierarchicalSoftmaxClassifier} has fitted, or any {@link HierarchicalSoftmax} that was trained
 * without Spark. {@link TwoLevelClassificationModel} has the columns that it adds, and its errors.
 */
public final class HierarchicalSoftmaxClassificationModel
    extends TwoLevelClassificationModel<HierarchicalSoftmaxClassificationModel> {
  private static final long serialVersionUID = 1;

  HierarchicalSoftmaxClassificationModel(String uid, ModelBytes bytes) throws IOException {
    super(uid, bytes);
  }

  private HierarchicalSoftmaxClassificationModel(HierarchicalSoftmaxClassificationModel from) {
    super(from);
  }

  /**
   * Returns a model of a copy of a file that {@link HierarchicalSoftmax#save} has written; if it
   * was saved with a bag, the model scores with both.
   *
   * @throws IOException if the file cannot be read, does not hold one, or has a bag whose rows are
   *     of another width than the features of the layer; the message names the file
   * @throws IllegalArgumentException if only some of its labels have names
   */
  public static HierarchicalSoftmaxClassificationModel of(Path file) throws IOException {
    String uid = Identifiable$.MODULE$.randomUID("hierarchicalSoftmax");
    return new HierarchicalSoftmaxClassificationModel(
        uid, ModelBytes.copyOf(EstimatorKind.SOFTMAX, file));
  }

  /** Returns a reader of what {@link #write} has written. */
  public static MLReader<HierarchicalSoftmaxClassificationModel> read() {
    return new ParamsReader<>(
        HierarchicalSoftmaxClassificationModel.class,
        (uid, folder, hadoop) ->
            new HierarchicalSoftmaxClassificationModel(
                uid, ModelBytes.copyOf(EstimatorKind.SOFTMAX, folder, hadoop)));
  }

  /**
   * Reads what {@link #write} has written, or {@link #save}.
   *
   * @throws java.io.UncheckedIOException if the folder cannot be read, or does not hold one; the
   *     message names the folder and what is wrong with it
   */
  public static HierarchicalSoftmaxClassificationModel load(String folder) {
    return read().load(folder);
  }

  @Override
  public HierarchicalSoftmax layer() throws IOException {
    return (HierarchicalSoftmax) super.layer();
  }

  @Override
  HierarchicalSoftmaxClassificationModel self() {
    return this;
  }

  @Override
  HierarchicalSoftmaxClassificationModel copied() {
    return new HierarchicalSoftmaxClassificationModel(this);
  }
}
