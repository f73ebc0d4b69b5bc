// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.file.Path;
import org.apache.spark.ml.util.Identifiable$;
import org.apache.spark.ml.util.MLReader;
import org.blocksparse.softmax.LabelTree;

/**
 * Predicts the most probable labels of rows, exactly, by a layer that {@link LabelTreeClassifier}
 * has fitted, or any {@link LabelTree} that was trained without Spark. {@link
 * TwoLevelClassificationModel} has the columns that it adds, and its errors.
 *
 * <p>Each label has a probability of its own, that it is there, whatever the others have: those of
 * a row do not sum to one. {@link #predictionCol} is the likeliest label, also where it is rather
 * not there; filter {@link #topKCol} by the probability to get the labels that are.
 */
public final class LabelTreeClassificationModel
    extends TwoLevelClassificationModel<LabelTreeClassificationModel> {
  private static final long serialVersionUID = 1;

  LabelTreeClassificationModel(String uid, ModelBytes bytes) throws IOException {
    super(uid, bytes);
  }

  private LabelTreeClassificationModel(LabelTreeClassificationModel from) {
    super(from);
  }

  /**
   * Returns a model of a copy of a file that {@link LabelTree#save} has written; if it was saved
   * with a bag, the model scores with both.
   *
   * @throws IOException if the file cannot be read, does not hold one, or has a bag whose rows are
   *     of another width than the features of the layer; the message names the file
   * @throws IllegalArgumentException if only some of its labels have names
   */
  public static LabelTreeClassificationModel of(Path file) throws IOException {
    String uid = Identifiable$.MODULE$.randomUID("labelTree");
    return new LabelTreeClassificationModel(uid, ModelBytes.copyOf(EstimatorKind.LABEL_TREE, file));
  }

  /** Returns a reader of what {@link #write} has written. */
  public static MLReader<LabelTreeClassificationModel> read() {
    return new ParamsReader<>(
        LabelTreeClassificationModel.class,
        (uid, folder, hadoop) ->
            new LabelTreeClassificationModel(
                uid, ModelBytes.copyOf(EstimatorKind.LABEL_TREE, folder, hadoop)));
  }

  /**
   * Reads what {@link #write} has written, or {@link #save}.
   *
   * @throws java.io.UncheckedIOException if the folder cannot be read, or does not hold one; the
   *     message names the folder and what is wrong with it
   */
  public static LabelTreeClassificationModel load(String folder) {
    return read().load(folder);
  }

  @Override
  public LabelTree layer() throws IOException {
    return (LabelTree) super.layer();
  }

  @Override
  LabelTreeClassificationModel self() {
    return this;
  }

  @Override
  LabelTreeClassificationModel copied() {
    return new LabelTreeClassificationModel(this);
  }
}
