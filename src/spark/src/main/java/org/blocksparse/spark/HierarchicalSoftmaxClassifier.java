// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.spark.ml.Estimator;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.util.DefaultParamsReader;
import org.apache.spark.ml.util.DefaultParamsWritable;
import org.apache.spark.ml.util.Identifiable$;
import org.apache.spark.ml.util.MLReader;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.NumericType;
import org.apache.spark.sql.types.StructType;

/**
 * Trains a {@link org.blocksparse.HierarchicalSoftmax} on the rows of a Dataset, and finds the same
 * model, bit by bit, however the rows are partitioned and ordered, however many executors there
 * are, and also if some are lost: that of one process that goes through the same mini-batches.
 * (Executors of one instruction set, that is: the sums of AVX2 and of AVX-512 are rounded
 * differently.)
 *
 * <p>The classes of the softmax are trained in parallel, each by one task at a time, and so is the
 * level that chooses among them, which needs all rows. Tasks are ordinary ones: they can be retried
 * and speculated, and executors may come and go.
 *
 * <p>Batches are drawn by a hash of the rows, so that they have {@link #batchSize} rows on average.
 * Each row should be there once: equal rows are always in the same batch.
 *
 * <p>{@code fit} throws {@link IllegalArgumentException} if a param is wrong, or if a row has a
 * label, a weight or a feature that cannot be, naming the row, its partition and its label; and
 * {@link ArithmeticException} if a loss is not finite, naming the class, the epoch and the batch.
 */
public final class HierarchicalSoftmaxClassifier
    extends Estimator<HierarchicalSoftmaxClassificationModel>
    implements TrainingParams, DefaultParamsWritable {
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
    setDefault(topKCol(), "topK");
    setDefault(k(), 10);
    setDefault(maxIter(), 5);
    setDefault(stepSize(), 0.1);
    setDefault(optimizer(), "adagrad");
    setDefault(decay(), 0.0);
    setDefault(maxNorm(), Double.POSITIVE_INFINITY);
    setDefault(batchSize(), 1024);
    setDefault(seed(), 0L);
    setDefault(reshuffle(), true);
    setDefault(numLabels(), 0);
    setDefault(classes(), 0);
    setDefault(assignment(), "byFrequency");
    setDefault(keepOptimizerState(), false);
    setDefault(numPartitions(), 0);
  }

  /** An estimator that {@link #save} has written. */
  public static HierarchicalSoftmaxClassifier load(String path) {
    return read().load(path);
  }

  /** Reads what {@link #write} writes. */
  public static MLReader<HierarchicalSoftmaxClassifier> read() {
    return new DefaultParamsReader<>();
  }

  @Override
  public String uid() {
    return uid;
  }

  /** Sets {@link #featuresCol}. */
  public HierarchicalSoftmaxClassifier setFeaturesCol(String value) {
    set(featuresCol(), value);
    return this;
  }

  /** Sets {@link #labelCol}. */
  public HierarchicalSoftmaxClassifier setLabelCol(String value) {
    set(labelCol(), value);
    return this;
  }

  /** Sets {@link #weightCol}. */
  public HierarchicalSoftmaxClassifier setWeightCol(String value) {
    set(weightCol(), value);
    return this;
  }

  /** Sets {@link #predictionCol}. */
  public HierarchicalSoftmaxClassifier setPredictionCol(String value) {
    set(predictionCol(), value);
    return this;
  }

  /** Sets {@link #topKCol}. */
  public HierarchicalSoftmaxClassifier setTopKCol(String value) {
    set(topKCol(), value);
    return this;
  }

  /** Sets {@link #k}. */
  public HierarchicalSoftmaxClassifier setK(int value) {
    set(k(), value);
    return this;
  }

  /** Sets {@link #maxIter}. */
  public HierarchicalSoftmaxClassifier setMaxIter(int value) {
    set(maxIter(), value);
    return this;
  }

  /** Sets {@link #stepSize}. */
  public HierarchicalSoftmaxClassifier setStepSize(double value) {
    set(stepSize(), value);
    return this;
  }

  /** Sets {@link #optimizer}. */
  public HierarchicalSoftmaxClassifier setOptimizer(String value) {
    set(optimizer(), value);
    return this;
  }

  /** Sets {@link #decay}. */
  public HierarchicalSoftmaxClassifier setDecay(double value) {
    set(decay(), value);
    return this;
  }

  /** Sets {@link #maxNorm}. */
  public HierarchicalSoftmaxClassifier setMaxNorm(double value) {
    set(maxNorm(), value);
    return this;
  }

  /** Sets {@link #batchSize}. */
  public HierarchicalSoftmaxClassifier setBatchSize(int value) {
    set(batchSize(), value);
    return this;
  }

  /** Sets {@link #seed}. */
  public HierarchicalSoftmaxClassifier setSeed(long value) {
    set(seed(), value);
    return this;
  }

  /** Sets {@link #reshuffle}. */
  public HierarchicalSoftmaxClassifier setReshuffle(boolean value) {
    set(reshuffle(), value);
    return this;
  }

  /** Sets {@link #numLabels}. */
  public HierarchicalSoftmaxClassifier setNumLabels(int value) {
    set(numLabels(), value);
    return this;
  }

  /** Sets {@link #classes}. */
  public HierarchicalSoftmaxClassifier setClasses(int value) {
    set(classes(), value);
    return this;
  }

  /** Sets {@link #assignment}. */
  public HierarchicalSoftmaxClassifier setAssignment(String value) {
    set(assignment(), value);
    return this;
  }

  /** Sets {@link #assignmentFile}. */
  public HierarchicalSoftmaxClassifier setAssignmentFile(String value) {
    set(assignmentFile(), value);
    return this;
  }

  /** Sets {@link #initialModel}. */
  public HierarchicalSoftmaxClassifier setInitialModel(String value) {
    set(initialModel(), value);
    return this;
  }

  /** Sets {@link #keepOptimizerState}. */
  public HierarchicalSoftmaxClassifier setKeepOptimizerState(boolean value) {
    set(keepOptimizerState(), value);
    return this;
  }

  /** Sets {@link #numPartitions}. */
  public HierarchicalSoftmaxClassifier setNumPartitions(int value) {
    set(numPartitions(), value);
    return this;
  }

  TrainingSettings settings() {
    return new TrainingSettings(
        $(featuresCol()),
        $(labelCol()),
        orNull(weightCol()),
        (int) $(maxIter()),
        new OptimizerSettings(
            $(optimizer()),
            (float) (double) $(stepSize()),
            (float) (double) $(decay()),
            (float) (double) $(maxNorm())),
        (int) $(batchSize()),
        (long) $(seed()),
        (boolean) $(reshuffle()),
        (int) $(numLabels()),
        (int) $(classes()),
        $(assignment()),
        orNull(assignmentFile()),
        orNull(initialModel()),
        (boolean) $(keepOptimizerState()),
        (int) $(numPartitions()));
  }

  private String orNull(Param<String> param) {
    return isDefined(param) && !$(param).isEmpty() ? $(param) : null;
  }

  @Override
  public HierarchicalSoftmaxClassificationModel fit(Dataset<?> rows) {
    transformSchema(rows.schema());
    try {
      ModelBytes bytes = ModelBytes.of(new TrainingJob(settings(), rows).train());
      HierarchicalSoftmaxClassificationModel model =
          new HierarchicalSoftmaxClassificationModel(uid, bytes);
      model.setParent(this);
      return copyValues(model, new ParamMap());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (Exception e) {
      throw refused(e);
    }
  }

  /** What a task has refused, which Spark wraps in words of its own, with the stack of the task. */
  private static RuntimeException refused(Exception failure) {
    if (failure instanceof InterruptedException) { // which Spark does not declare
      Thread.currentThread().interrupt();
    }
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof ArithmeticException || cause instanceof IllegalArgumentException) {
        return (RuntimeException) cause;
      }
    }
    return failure instanceof RuntimeException e ? e : new IllegalStateException(failure);
  }

  @Override
  public StructType transformSchema(StructType schema) {
    TrainingSettings settings = settings();
    DataType label = schema.apply(settings.labelCol()).dataType();
    if (!(label instanceof NumericType) && !label.equals(DataTypes.StringType)) {
      throw new IllegalArgumentException(
          "labelCol: expected numbers or strings but was " + label.simpleString());
    }
    if (settings.weightCol() != null
        && !(schema.apply(settings.weightCol()).dataType() instanceof NumericType)) {
      throw new IllegalArgumentException("weightCol: expected numbers");
    }
    return AddedColumns.to(schema, this, label.equals(DataTypes.StringType));
  }

  @Override
  public HierarchicalSoftmaxClassifier copy(ParamMap extra) {
    return defaultCopy(extra);
  }
}
