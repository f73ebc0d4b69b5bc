// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import org.apache.spark.ml.Model;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.StructType;

/** What {@link HierarchicalSoftmaxClassifier} fits. */
public final class HierarchicalSoftmaxClassificationModel
    extends Model<HierarchicalSoftmaxClassificationModel> implements HierarchicalSoftmaxParams {
  private static final long serialVersionUID = 1;

  private final String uid;
  private final transient ModelBytes bytes;
  private final String[] labels;

  /**
   * A model.
   *
   * @param labels the names of the labels by their numbers, or null if labels are numbers
   */
  HierarchicalSoftmaxClassificationModel(String uid, ModelBytes bytes, String[] labels) {
    this.uid = uid;
    this.bytes = bytes;
    this.labels = labels;
  }

  @Override
  public String uid() {
    return uid;
  }

  @Override
  public Dataset<Row> transform(Dataset<?> rows) {
    throw new UnsupportedOperationException(bytes.file() + " " + labels.length);
  }

  @Override
  public StructType transformSchema(StructType schema) {
    return schema;
  }

  @Override
  public HierarchicalSoftmaxClassificationModel copy(ParamMap extra) {
    return copyValues(new HierarchicalSoftmaxClassificationModel(uid, bytes, labels), extra);
  }
}
