// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import org.apache.spark.ml.util.Identifiable$;
import org.apache.spark.ml.util.MLReader;

/**
 * Trains a {@link org.blocksparse.softmax.LabelTree} on rows that have any number of labels each:
 * {@link #labelCol} is a column of arrays, of whole numbers from 0 or of strings. {@link
 * TwoLevelClassifier} has what is promised of training, and its errors.
 *
 * <p>Labels are in any order, and repeats count once. A row without labels, whose array is empty,
 * says that none of the classes is there. A null, in place of an array or in one, is refused.
 *
 * <p>A row is sent to the class level and to each class of its labels, so that labels that occur
 * together should be in one class: {@link #assignment} {@code clustered} puts them there.
 */
public final class LabelTreeClassifier
    extends TwoLevelClassifier<LabelTreeClassificationModel, LabelTreeClassifier> {
  private static final long serialVersionUID = 1;

  /** Makes an estimator with a generated name. */
  public LabelTreeClassifier() {
    this(Identifiable$.MODULE$.randomUID("labelTree"));
  }

  /** Makes an estimator with the given name. */
  public LabelTreeClassifier(String uid) {
    super(uid);
  }

  /**
   * Returns an estimator that {@link #save} has written.
   *
   * @throws java.io.UncheckedIOException if the folder cannot be read, or does not hold one; the
   *     message names the folder and what is wrong with it
   */
  public static LabelTreeClassifier load(String path) {
    return read().load(path);
  }

  /** Reads what {@link #write} writes. */
  public static MLReader<LabelTreeClassifier> read() {
    return new ParamsReader<>(
        LabelTreeClassifier.class, (uid, folder, hadoop) -> new LabelTreeClassifier(uid));
  }

  @Override
  LabelTreeClassifier self() {
    return this;
  }

  @Override
  EstimatorKind kind() {
    return EstimatorKind.LABEL_TREE;
  }

  @Override
  LabelTreeClassificationModel model(ModelBytes bytes) throws IOException {
    return new LabelTreeClassificationModel(uid(), bytes);
  }
}
