// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.apache.spark.sql.functions.col;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.ml.Model;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.util.DefaultParamsWriter$;
import org.apache.spark.ml.util.MLWritable;
import org.apache.spark.ml.util.MLWriter;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.Metadata;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.softmax.TwoLevelLayer;
import scala.Option;

/**
 * A {@link TwoLevelLayer} that gives rows their likeliest labels, exactly. This is what a {@link
 * HierarchicalSoftmaxClassificationModel} and a {@link LabelTreeClassificationModel} have in
 * common: all but what probabilities are.
 *
 * <table>
 *   <caption>Columns that {@link #transform} adds</caption>
 *   <tr><th>param</th><th>type</th><th>content</th></tr>
 *   <tr><td>{@link #predictionCol}</td><td>double, or string if labels have names</td>
 *       <td>the likeliest label; null if all are left out</td></tr>
 *   <tr><td>{@link #topKCol}</td><td>array&lt;struct&lt;label, probability: float&gt;&gt;</td>
 *       <td>the {@link #k} likeliest labels, best first; label is an int or a string</td></tr>
 * </table>
 *
 * <p>Labels that {@link #withoutCol} lists for a row, as ints or strings, are left out of both;
 * probabilities stay those of the model, and strings that are no label leave out nothing.
 *
 * <p>Where the file has an {@link EmbeddingBag} as well ( {@link
 * org.blocksparse.io.SaveOptions#with}), a row has as many features as the table of the bag has
 * rows. Those that are not 0, in a vector of either kind or in an array, are the entries of the
 * row, and their sum is what the layer takes.
 *
 * <p>The model is a file. Executors get it once for each application, and each JVM maps it once, so
 * that all of its tasks share the memory, which is outside of the heap. Rows are scored by up to
 * 1024 at a time.
 *
 * <p>A row whose features are null, of another size or not finite as floats, or which leaves out a
 * number that is no label, fails its task. The message names the row, by its place in the partition
 * and by its numbers and strings.
 *
 * @param <M> the model itself
 */
public abstract sealed class TwoLevelClassificationModel<M extends TwoLevelClassificationModel<M>>
    extends Model<M> implements TwoLevelParams, MLWritable
    permits HierarchicalSoftmaxClassificationModel, LabelTreeClassificationModel {
  private static final long serialVersionUID = 1;

  private final String uid;
  private final transient ModelBytes bytes;
  private final int features;
  private final boolean hasBag;
  private final int outputs;
  private final boolean named;

  /**
   * Makes a model.
   *
   * @throws IOException if the file does not hold one
   * @throws IllegalArgumentException if only some of its labels have names
   */
  TwoLevelClassificationModel(String uid, ModelBytes bytes) throws IOException {
    this.uid = uid;
    this.bytes = bytes;
    ModelFacts facts = bytes.facts();
    features = facts.features();
    hasBag = facts.bag();
    outputs = facts.outputs();
    named = facts.named();
    setDefault(featuresCol(), "features");
    setDefault(predictionCol(), "prediction");
    setDefault(topKCol(), "topK");
    setDefault(k(), 10);
  }

  TwoLevelClassificationModel(TwoLevelClassificationModel<M> from) {
    uid = from.uid;
    bytes = from.bytes;
    features = from.features;
    hasBag = from.hasBag;
    outputs = from.outputs;
    named = from.named;
  }

  abstract M self();

  /** Returns a copy without params. */
  abstract M copied();

  /** Returns the number of features of a row; with a bag, the number of rows of its table. */
  public int numFeatures() {
    return features;
  }

  /** Returns the number of labels. */
  public int numClasses() {
    return outputs;
  }

  /**
   * Returns the layer itself, mapped, on the driver. The caller closes it.
   *
   * @throws IOException if it cannot be mapped
   */
  public TwoLevelLayer<?> layer() throws IOException {
    return bytes.layer();
  }

  /**
   * Returns whether an {@link EmbeddingBag} in the file makes the x of the layer from the features.
   */
  public boolean hasBag() {
    return hasBag;
  }

  /**
   * Returns the bag, mapped, on the driver. The caller closes it.
   *
   * @throws IllegalStateException if there is none; see {@link #hasBag}
   * @throws IOException if it cannot be mapped
   */
  public EmbeddingBag bag() throws IOException {
    if (!hasBag) {
      throw new IllegalStateException("bag: the model has none");
    }
    return bytes.bag();
  }

  /** Returns the file of the model, which lives as long as this object. */
  Path file() {
    return bytes.file();
  }

  /** Sets {@link #featuresCol}. */
  public M setFeaturesCol(String name) {
    set(featuresCol(), name);
    return self();
  }

  /** Sets {@link #predictionCol}. */
  public M setPredictionCol(String name) {
    set(predictionCol(), name);
    return self();
  }

  /** Sets {@link #topKCol}. */
  public M setTopKCol(String name) {
    set(topKCol(), name);
    return self();
  }

  /** Sets {@link #withoutCol}. */
  public M setWithoutCol(String name) {
    set(withoutCol(), name);
    return self();
  }

  /** Sets {@link #k}. */
  public M setK(int k) {
    set(k(), k);
    return self();
  }

  @Override
  public String uid() {
    return uid;
  }

  @Override
  public Dataset<Row> transform(Dataset<?> rows) {
    StructType schema = rows.schema();
    StructType result = transformSchema(schema);
    ScoringColumns columns =
        new ScoringColumns(
            schema.fieldIndex(name(featuresCol())),
            has(withoutCol()) ? schema.fieldIndex(name(withoutCol())) : -1,
            has(predictionCol()),
            has(topKCol()),
            has(topKCol()) ? (Integer) getOrDefault(k()) : 1,
            named);
    ModelBytes.Sent sent =
        bytes.to(JavaSparkContext.fromSparkContext(rows.sparkSession().sparkContext()));
    Dataset<Row> scored =
        rows.toDF().mapPartitions(new PartitionScorer(sent, schema, columns), Encoders.row(result));
    return hasMetadata(schema) ? withMetadata(scored, result) : scored;
  }

  /**
   * Restores the metadata of columns, which an encoder drops and later stages may need. Columns are
   * identified by position: several may have the same name.
   */
  private static Dataset<Row> withMetadata(Dataset<Row> rows, StructType schema) {
    String[] places = new String[schema.size()];
    Column[] columns = new Column[places.length];
    for (int i = 0; i < places.length; i++) {
      StructField field = schema.fields()[i];
      places[i] = "c" + i;
      columns[i] = col(places[i]).as(field.name(), field.metadata());
    }
    return rows.toDF(places).select(columns);
  }

  private static boolean hasMetadata(StructType schema) {
    return Arrays.stream(schema.fields()).anyMatch(f -> !f.metadata().equals(Metadata.empty()));
  }

  @Override
  public StructType transformSchema(StructType schema) {
    return AddedColumns.to(schema, this, named);
  }

  private String name(Param<String> param) {
    return getOrDefault(param);
  }

  private boolean has(Param<String> param) {
    return isDefined(param) && !name(param).isEmpty();
  }

  @Override
  public M copy(ParamMap extra) {
    M copy = copied();
    copyValues(copy, extra);
    copy.setParent(parent());
    return copy;
  }

  /** Returns the bytes of the file; Spark 4.1 and later call it. */
  @SuppressWarnings("MissingOverride") // Spark 4.0 has no such method
  public long estimatedSize() {
    return bytes.size();
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%s(%s, %d features, %d labels)",
        getClass().getSimpleName(),
        uid,
        features,
        outputs);
  }

  /**
   * Returns a writer into a folder of any Hadoop file system: of the params, and of the model as
   * {@code model.safetensors}, which the layer's own {@code load} opens.
   */
  @Override
  public MLWriter write() {
    return new Writer(this);
  }

  private static final class Writer extends MLWriter {
    private final TwoLevelClassificationModel<?> model;

    Writer(TwoLevelClassificationModel<?> model) {
      this.model = model;
    }

    @Override
    public void saveImpl(String folder) {
      DefaultParamsWriter$.MODULE$.saveMetadata(
          model, folder, sparkSession(), Option.empty(), Option.empty());
      try {
        model.bytes.saveTo(new org.apache.hadoop.fs.Path(folder), sc().hadoopConfiguration());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
