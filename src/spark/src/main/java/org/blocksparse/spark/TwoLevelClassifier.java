// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.spark.ml.Estimator;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.util.DefaultParamsWritable;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.NumericType;
import org.apache.spark.sql.types.StructType;
import org.blocksparse.FileFormatException;

/**
 * Trains a {@link org.blocksparse.softmax.TwoLevelLayer} on the rows of a Dataset, and finds the
 * same model, bit by bit, however the rows are partitioned and ordered, however many executors
 * there are, and also if some are lost: that of one process that goes through the same
 * mini-batches. (Executors of one instruction set, that is: the sums of AVX2 and of AVX-512 are
 * rounded differently.) This is what a {@link HierarchicalSoftmaxClassifier} and a {@link
 * LabelTreeClassifier} have in common: all but what the column of labels has.
 *
 * <p>The classes of the layer are trained in parallel, each by one task at a time, and so is the
 * level above them, which needs all rows. Tasks are ordinary ones: they can be retried and
 * speculated, and executors may come and go.
 *
 * <p>Batches are drawn by a hash of the rows, so that they have {@link #batchSize} rows on average.
 * Each row should be there once: equal rows are always in the same batch.
 *
 * <p>{@code fit} throws {@link IllegalArgumentException} if a param is wrong, {@link #initialModel}
 * is not there or no model, or a row has a label, a weight or a feature that cannot be, naming the
 * row, its partition and its label; {@link ArithmeticException} if a loss is not finite, naming the
 * class, the epoch and the batch; and {@link UncheckedIOException} if the file of {@link
 * #initialModel} is there but cannot be read, or that of the model cannot be written on the driver.
 *
 * @param <M> the model that is fitted
 * @param <E> the estimator itself
 */
public abstract sealed class TwoLevelClassifier<
        M extends TwoLevelClassificationModel<M>, E extends TwoLevelClassifier<M, E>>
    extends Estimator<M> implements TrainingParams, DefaultParamsWritable
    permits HierarchicalSoftmaxClassifier, LabelTreeClassifier {
  private static final long serialVersionUID = 1;

  private final String uid;

  TwoLevelClassifier(String uid) {
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

  abstract E self();

  abstract EstimatorKind kind();

  abstract M model(ModelBytes bytes) throws IOException;

  @Override
  public String uid() {
    return uid;
  }

  /** Sets {@link #featuresCol}. */
  public E setFeaturesCol(String value) {
    set(featuresCol(), value);
    return self();
  }

  /** Sets {@link #labelCol}. */
  public E setLabelCol(String value) {
    set(labelCol(), value);
    return self();
  }

  /** Sets {@link #weightCol}. */
  public E setWeightCol(String value) {
    set(weightCol(), value);
    return self();
  }

  /** Sets {@link #predictionCol}. */
  public E setPredictionCol(String value) {
    set(predictionCol(), value);
    return self();
  }

  /** Sets {@link #topKCol}. */
  public E setTopKCol(String value) {
    set(topKCol(), value);
    return self();
  }

  /** Sets {@link #k}. */
  public E setK(int value) {
    set(k(), value);
    return self();
  }

  /** Sets {@link #maxIter}. */
  public E setMaxIter(int value) {
    set(maxIter(), value);
    return self();
  }

  /** Sets {@link #stepSize}. */
  public E setStepSize(double value) {
    set(stepSize(), value);
    return self();
  }

  /** Sets {@link #optimizer}. */
  public E setOptimizer(String value) {
    set(optimizer(), value);
    return self();
  }

  /** Sets {@link #decay}. */
  public E setDecay(double value) {
    set(decay(), value);
    return self();
  }

  /** Sets {@link #maxNorm}. */
  public E setMaxNorm(double value) {
    set(maxNorm(), value);
    return self();
  }

  /** Sets {@link #batchSize}. */
  public E setBatchSize(int value) {
    set(batchSize(), value);
    return self();
  }

  /** Sets {@link #seed}. */
  public E setSeed(long value) {
    set(seed(), value);
    return self();
  }

  /** Sets {@link #reshuffle}. */
  public E setReshuffle(boolean value) {
    set(reshuffle(), value);
    return self();
  }

  /** Sets {@link #numLabels}. */
  public E setNumLabels(int value) {
    set(numLabels(), value);
    return self();
  }

  /** Sets {@link #classes}. */
  public E setClasses(int value) {
    set(classes(), value);
    return self();
  }

  /** Sets {@link #assignment}. */
  public E setAssignment(String value) {
    set(assignment(), value);
    return self();
  }

  /** Sets {@link #initialModel}. */
  public E setInitialModel(String value) {
    set(initialModel(), value);
    return self();
  }

  /** Sets {@link #keepOptimizerState}. */
  public E setKeepOptimizerState(boolean value) {
    set(keepOptimizerState(), value);
    return self();
  }

  /** Sets {@link #numPartitions}. */
  public E setNumPartitions(int value) {
    set(numPartitions(), value);
    return self();
  }

  CheckedTrainingParams settings() {
    return new CheckedTrainingParams(
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
        orNull(initialModel()),
        (boolean) $(keepOptimizerState()),
        (int) $(numPartitions()));
  }

  private String orNull(Param<String> param) {
    return isDefined(param) && !$(param).isEmpty() ? $(param) : null;
  }

  @Override
  public M fit(Dataset<?> rows) {
    transformSchema(rows.schema());
    try {
      M model = model(ModelBytes.of(kind(), new TrainingJob(kind(), settings(), rows).train()));
      model.setParent(this);
      return copyValues(model, new ParamMap());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (Exception e) {
      throw refused(e, settings().initialModel());
    }
  }

  /** Finds the exception of a task below Spark's wrappers, which repeat its stack. */
  static RuntimeException refused(Exception failure, String initialModel) {
    if (failure instanceof InterruptedException) { // Spark does not declare it
      Thread.currentThread().interrupt();
    }
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause instanceof ArithmeticException || cause instanceof IllegalArgumentException) {
        return (RuntimeException) cause;
      }
      // The optimizer state, which only tasks read; without an initial model, the file is not the
      // user's.
      if (cause instanceof FileFormatException e && initialModel != null) {
        return new IllegalArgumentException(
            "initialModel: %s: %s: %s".formatted(initialModel, e.part(), e.reason()), failure);
      }
    }
    return failure instanceof RuntimeException e ? e : new IllegalStateException(failure);
  }

  @Override
  public StructType transformSchema(StructType schema) {
    CheckedTrainingParams settings = settings();
    DataType label = kind().labelType(schema.apply(settings.labelCol()));
    if (settings.weightCol() != null
        && !(schema.apply(settings.weightCol()).dataType() instanceof NumericType)) {
      throw new IllegalArgumentException("weightCol: expected numbers");
    }
    return AddedColumns.to(schema, this, label.equals(DataTypes.StringType));
  }

  @Override
  public E copy(ParamMap extra) {
    return defaultCopy(extra);
  }
}
