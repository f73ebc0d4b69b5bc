// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;

import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.storage.StorageLevel;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LayerPart;
import scala.Tuple2;

/**
 * One call of {@link TwoLevelClassifier#fit}, on the driver. Rows are counted, put into an order
 * and batches, and sent to the class level and to each class of their labels. Tasks then train one
 * part after the other, through all epochs; the parts are brought to the driver some at a time, and
 * written to a file.
 */
final class TrainingJob {
  private static final String DESCRIPTION = "spark.job.description";

  /**
   * The tasks per slot, so many that slots end at about the same time although tasks have one size.
   */
  static final int TASKS_PER_SLOT = 8;

  private final EstimatorKind kind;
  private final CheckedTrainingParams settings;
  private final JavaSparkContext context;
  private final Dataset<Row> columns;
  private final boolean named;
  private final List<Broadcast<?>> broadcasts = new ArrayList<>();
  private final List<JavaRDD<?>> persisted = new ArrayList<>();

  TrainingJob(EstimatorKind kind, CheckedTrainingParams settings, Dataset<?> rows) {
    this.kind = kind;
    this.settings = settings;
    this.context = JavaSparkContext.fromSparkContext(rows.sparkSession().sparkContext());
    DataType type = kind.labelType(rows.schema().apply(settings.labelCol()));
    this.named = type.equals(DataTypes.StringType);
    Column label = column(settings.labelCol());
    Column weight = settings.weightCol() == null ? lit(1) : column(settings.weightCol());
    this.columns =
        rows.select(
            column(settings.featuresCol()).as("features"),
            (named ? label : label.cast(kind.columnType(DataTypes.DoubleType))).as("label"),
            weight.cast(DataTypes.DoubleType).as("weight"));
  }

  /** Returns a column by its whole name, in which dots select no fields. */
  private static Column column(String name) {
    return col("`" + name.replace("`", "``") + "`");
  }

  /**
   * Trains.
   *
   * @return a file with the model, which is the caller's
   */
  Path train() throws IOException {
    String description = context.getLocalProperty(DESCRIPTION);
    Path file = ModelFiles.create();
    try {
      train(file);
      return file;
    } catch (Throwable e) {
      ModelFiles.delete(file);
      throw e;
    } finally {
      persisted.forEach(rdd -> rdd.unpersist(false));
      broadcasts.forEach(Broadcast::destroy);
      context.setLocalProperty(DESCRIPTION, description);
    }
  }

  private void train(Path file) throws IOException {
    InitialModel initial =
        settings.initialModel() == null
            ? null
            : InitialModel.read(kind, settings.initialModel(), context.hadoopConfiguration());
    int features = features();
    if (initial != null && initial.features() != features) {
      throw new IllegalArgumentException(
          "initialModel: has " + initial.features() + " features, rows have " + features);
    }
    LabelTable labels = labels(initial);
    Labels names = initial == null ? null : initial.labels();
    if (initial == null && labels.names() != null) {
      names = Labels.of(labels.names()); // may reject them
    }
    JavaRDD<byte[]> rows = encoded(features, labels, initial);
    RowOrder order = new RowOrder(settings.seed(), batches(labels.rows()), settings.reshuffle());
    describe("counts the rows of batches");
    int[][] rowsOfBatch = BatchCounts.of(rows, order, order.orders(settings.epochs()));
    TrainingPlan plan =
        new TrainingPlan(
            kind, features, settings.epochs(), order, rowsOfBatch, settings.optimizer());
    ClassAssignment classes = initial == null ? classes(rows, features, labels) : initial.classes();
    JavaRDD<byte[]> parts = parts(rows, plan, classes, labels, initial);
    describe("trains " + classes.classCount() + " classes and their level");
    List<int[]> sizes = parts.mapPartitions(TrainingJob::sizes).collect();
    describe("brings the parts of the model to the driver");
    try {
      kind.save(
          file,
          features,
          classes,
          names,
          plan.stepsAfter(initial == null ? 0 : initial.steps()),
          new PartFetcher(parts, sizes),
          saveOptions(initial));
    } finally {
      // Its file is deleted when it is garbage, and parts of executors that are lost in the
      // meantime need it.
      Reference.reachabilityFence(initial);
    }
  }

  private JavaRDD<byte[]> encoded(int features, LabelTable labels, InitialModel initial) {
    RowEncoder encoder =
        new RowEncoder(
            features,
            labels.outputs(),
            broadcast(labels.numbers()),
            broadcast(initial == null ? new BitSet() : retired(initial.classes())));
    return persist(columns.toJavaRDD().mapPartitionsWithIndex(encoder, false));
  }

  private SaveOptions saveOptions(InitialModel initial) {
    SaveOptions options =
        initial == null
            ? SaveOptions.defaults()
            : SaveOptions.defaults().withMetadata(initial.metadata());
    return settings.keepOptimizerState() ? options.withOptimizerState() : options;
  }

  /** Sets the description that Spark's pages show for the next jobs. */
  private void describe(String what) {
    context.setLocalProperty(DESCRIPTION, kind.estimator() + " " + what);
  }

  private <T> Broadcast<T> broadcast(T value) {
    Broadcast<T> broadcast = context.broadcast(value);
    broadcasts.add(broadcast);
    return broadcast;
  }

  private <T> JavaRDD<T> persist(JavaRDD<T> rdd) {
    persisted.add(rdd.persist(StorageLevel.MEMORY_AND_DISK()));
    return rdd;
  }

  private int features() {
    describe("looks for the size of the features");
    Dataset<Row> all = columns.select("features");
    // The encoder of rows reports null, since it knows the row.
    List<Row> first = all.filter(all.col("features").isNotNull()).takeAsList(1);
    if (first.isEmpty()) {
      throw new IllegalArgumentException(
          all.isEmpty()
              ? "rows: there are none"
              : "featuresCol: expected numbers but was null in all rows");
    }
    return FeatureRow.size(first.get(0).get(0));
  }

  private LabelTable labels(InitialModel initial) {
    describe("counts labels");
    Dataset<Row> labels = columns.select("label");
    if (named) {
      if (initial != null && initial.names() == null) {
        throw new IllegalArgumentException(
            "initialModel: its labels have no names, but column '"
                + settings.labelCol()
                + "' has strings");
      }
      return LabelTable.ofStrings(labels, initial == null ? null : initial.names());
    }
    if (initial != null && initial.names() != null) {
      throw new IllegalArgumentException(
          "initialModel: its labels have names, but column '"
              + settings.labelCol()
              + "' has numbers: give it the names, as strings");
    }
    return LabelTable.ofNumbers(
        labels, initial == null ? settings.numLabels() : initial.classes().outputs());
  }

  private static BitSet retired(ClassAssignment classes) {
    return IntStream.range(0, classes.outputs())
        .filter(classes::isRetired)
        .collect(BitSet::new, BitSet::set, BitSet::or);
  }

  private int batches(long rows) {
    return (int)
        Math.min(Integer.MAX_VALUE - 8, Math.max(1, (rows - 1) / settings.batchSize() + 1));
  }

  private ClassAssignment classes(JavaRDD<byte[]> rows, int features, LabelTable labels) {
    int count =
        settings.classes() == 0
            ? ClassAssignment.defaultCount(labels.outputs())
            : settings.classes();
    if (count > labels.outputs()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "classes: expected at most as many as labels, %d, but was %d",
              labels.outputs(),
              count));
    }
    return switch (settings.assignment()) {
      case "byFrequency" -> ClassAssignment.byFrequency(labels.counts(), count);
      case "contiguous" -> ClassAssignment.contiguous(labels.outputs(), count);
      case "clustered" -> {
        describe("sums the features of labels");
        try (FloatTensor vectors = LabelVectors.of(rows, features, labels.outputs())) {
          yield ClassAssignment.clustered(vectors, count, settings.seed(), Workers.common());
        }
      }
      default -> throw new AssertionError(settings.assignment()); // the settings are checked
    };
  }

  /** Returns the trained parts, which are not computed yet. */
  private JavaRDD<byte[]> parts(
      JavaRDD<byte[]> rows,
      TrainingPlan plan,
      ClassAssignment classes,
      LabelTable labels,
      InitialModel initial) {
    int[] table = new int[classes.outputs()];
    // The cost is an upper bound on the class's rows: each counts once for each of its labels in
    // the class.
    long[] labelsOfClass = new long[classes.classCount()];
    for (int label = 0; label < table.length; label++) {
      table[label] = classes.classOf(label);
      if (table[label] >= 0) {
        labelsOfClass[table[label]] += labels.counts()[label];
      }
    }
    Broadcast<int[]> classOf = broadcast(table);
    int partitions =
        settings.partitions() == 0
            ? TASKS_PER_SLOT * context.defaultParallelism()
            : settings.partitions();
    Packing packing = Packing.of(labelsOfClass, partitions);
    PartSource source =
        initial == null
            ? new PartSource.Initial(kind, plan.features(), classOf, settings.seed())
            : new PartSource.Trained(initial.bytes().to(context));
    Broadcast<TrainingPlan> planned = broadcast(plan);
    return persist(
        rows.flatMapToPair(row -> forParts(row, classOf.value()))
            .repartitionAndSortWithinPartitions(packing)
            .mapPartitionsWithIndex(
                (partition, sorted) -> train(planned.value(), source, packing, partition, sorted),
                false));
  }

  /** Returns a row for the class level, and for each class of its labels. */
  private static Iterator<Tuple2<RowKey, byte[]>> forParts(byte[] row, int[] classOf) {
    long hash = EncodedRow.hash(row);
    IntStream classes =
        IntStream.of(EncodedRow.labels(row)).map(label -> classOf[label]).distinct();
    return IntStream.concat(IntStream.of(LayerPart.CLASS_LEVEL), classes)
        .mapToObj(part -> new Tuple2<>(new RowKey(part, hash), row))
        .iterator();
  }

  private static Iterator<byte[]> train(
      TrainingPlan plan,
      PartSource source,
      Packing packing,
      int partition,
      Iterator<Tuple2<RowKey, byte[]>> sorted) {
    return new PartsOfPartition(plan, source.open(), packing.parts(partition).iterator(), sorted);
  }

  /** Returns the bytes of each part of a partition. */
  private static Iterator<int[]> sizes(Iterator<byte[]> parts) {
    List<Integer> sizes = new ArrayList<>();
    parts.forEachRemaining(part -> sizes.add(part.length));
    return List.of(sizes.stream().mapToInt(Integer::intValue).toArray()).iterator();
  }
}
