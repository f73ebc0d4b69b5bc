// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import org.apache.spark.ml.Estimator;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.util.Identifiable$;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.types.StructType;

/** Trains a softmax over very many labels, class by class, with the bits of one process. */
public final class HierarchicalSoftmaxClassifier
    extends Estimator<HierarchicalSoftmaxClassificationModel> implements HierarchicalSoftmaxParams {
  private static final long serialVersionUID = 1;

  private final String uid;

  /** An estimator with a name of its own. */
  public HierarchicalSoftmaxClassifier() {
    this(Identifiable$.MODULE$.randomUID("hierarchicalSoftmax"));
  }

  /** An estimator of the given name. */
  public HierarchicalSoftmaxClassifier(String uid) {
    this.uid = uid;
    setDefault(featuresCol(), "features");
    setDefault(labelCol(), "label");
    setDefault(predictionCol(), "prediction");
    setDefault(topKCol(), "");
    setDefault(k(), 10);
  }

  @Override
  public String uid() {
    return uid;
  }

  @Override
  public HierarchicalSoftmaxClassificationModel fit(Dataset<?> rows) {
    throw new UnsupportedOperationException();
  }

  @Override
  public StructType transformSchema(StructType schema) {
    return schema;
  }

  @Override
  public HierarchicalSoftmaxClassifier copy(ParamMap extra) {
    return defaultCopy(extra);
  }
}
