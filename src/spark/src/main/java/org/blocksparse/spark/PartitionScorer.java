// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.NoSuchElementException;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.StructType;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.TwoLevelLayer;
import scala.collection.Seq;

/** Scores the rows of a partition, in batches that are ranked together. */
final class PartitionScorer implements MapPartitionsFunction<Row, Row> {
  private static final long serialVersionUID = 1;

  /**
   * The maximum number of rows of a batch: rows that open the same class share the reading of its
   * weights.
   */
  static final int MOST_ROWS = 1024;

  /**
   * The maximum number of labels of the answers to a batch, 64 MiB of them, unless one row has
   * more.
   */
  private static final int MOST_ANSWERS = 1 << 23;

  /** The maximum number of characters of a row in a message. */
  private static final int SHOWN = 100;

  private final ModelBytes.Sent model;
  private final StructType schema;
  private final ScoringColumns columns;

  /**
   * Scores rows.
   *
   * @param schema the schema of the rows
   */
  PartitionScorer(ModelBytes.Sent model, StructType schema, ScoringColumns columns) {
    this.model = model;
    this.schema = schema;
    this.columns = columns;
  }

  /** Returns the maximum number of rows of a batch, given that each gets k outputs. */
  static int mostRows(int k, int outputs) {
    return Math.max(1, Math.min(MOST_ROWS, MOST_ANSWERS / Math.min(k, outputs)));
  }

  @Override
  public Iterator<Row> call(Iterator<Row> rows) {
    return new Batches(rows, model.model());
  }

  /** Scores the next batch when the previous one is used up. */
  private final class Batches implements Iterator<Row> {
    private final Iterator<Row> rows;
    private final TwoLevelLayer<?> layer;
    private final FeatureBatch features;
    private final List<Row> batch = new ArrayList<>();
    private Iterator<Row> scored = List.<Row>of().iterator();
    private long done;

    Batches(Iterator<Row> rows, ModelLayers model) {
      this.rows = rows;
      this.layer = model.layer();
      this.features = model.newBatch(mostRows(columns.k(), layer.outputs()));
    }

    @Override
    public boolean hasNext() {
      if (!scored.hasNext() && rows.hasNext()) {
        scored = nextBatch();
      }
      return scored.hasNext();
    }

    @Override
    public Row next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      return scored.next();
    }

    private Iterator<Row> nextBatch() {
      done += batch.size();
      batch.clear();
      List<int[]> without = new ArrayList<>();
      while (rows.hasNext() && !features.isFull()) {
        Row row = rows.next();
        try {
          features.add(row.get(columns.features()));
        } catch (IllegalArgumentException e) {
          throw wrong(row, columns.features(), e);
        }
        if (columns.without() >= 0) {
          without.add(outputs(row));
        }
        batch.add(row);
      }
      Ranking ranking = rank(without);
      // Converts one answer at a time: as rows, answers take many times their size in the ranking.
      return IntStream.range(0, batch.size()).mapToObj(i -> answer(ranking, i)).iterator();
    }

    private Ranking rank(List<int[]> without) {
      try (FloatTensor x = features.take();
          SparseRows left = columns.without() >= 0 ? SparseRows.of(without) : null) {
        return layer.topK(x, columns.k(), left == null ? Filter.without() : Filter.without(left));
      }
    }

    private Row answer(Ranking ranking, int i) {
      Row row = batch.get(i);
      if (!ranking.isDefined(i)) {
        throw new ArithmeticException(
            place(row, i)
                + ": a probability is NaN, since the model or what it makes of the features is not"
                + " finite");
      }
      Object[] values = new Object[schema.size() + columns.added()];
      int size = schema.size();
      for (int c = 0; c < size; c++) {
        values[c] = row.get(c);
      }
      if (columns.prediction()) {
        Object best = ranking.size(i) == 0 ? null : label(ranking, i, 0);
        values[size++] = best instanceof Integer number ? (Object) number.doubleValue() : best;
      }
      if (columns.topK()) {
        Row[] likeliest = new Row[ranking.size(i)];
        for (int rank = 0; rank < likeliest.length; rank++) {
          likeliest[rank] =
              RowFactory.create(label(ranking, i, rank), (float) ranking.probability(i, rank));
        }
        values[size] = likeliest;
      }
      return RowFactory.create(values);
    }

    private Object label(Ranking ranking, int row, int rank) {
      return columns.named() ? ranking.label(row, rank) : (Object) ranking.output(row, rank);
    }

    /** Returns the outputs that a row leaves out; an unknown name leaves out nothing. */
    private int[] outputs(Row row) {
      Seq<?> all = (Seq<?>) row.get(columns.without());
      int[] outputs = new int[all == null ? 0 : all.length()];
      int count = 0;
      for (int i = 0; i < outputs.length; i++) {
        Object label = all.apply(i);
        int output = columns.named() ? named(row, label) : number(row, label);
        if (output >= 0) {
          outputs[count++] = output;
        }
      }
      return Arrays.copyOf(outputs, count);
    }

    private int named(Row row, Object label) {
      if (label == null) {
        throw wrong(
            row,
            columns.without(),
            new IllegalArgumentException("expected names of labels but was null"));
      }
      return layer.labels().output((String) label);
    }

    private int number(Row row, Object label) {
      if (!(label instanceof Number number)
          || number.intValue() < 0
          || number.intValue() >= layer.outputs()
          || number.intValue() != number.doubleValue()) {
        throw wrong(
            row,
            columns.without(),
            new IllegalArgumentException(
                "expected labels in [0, " + layer.outputs() + ") but was " + label));
      }
      return number.intValue();
    }

    private IllegalArgumentException wrong(Row row, int column, IllegalArgumentException e) {
      return new IllegalArgumentException(
          place(row, batch.size()) + ": " + schema.fields()[column].name() + ": " + e.getMessage(),
          e);
    }

    /** Returns the place of a row, and its content except for the features. */
    private String place(Row row, int inBatch) {
      StringBuilder content = new StringBuilder();
      for (int c = 0; c < row.size(); c++) {
        if (row.get(c) instanceof Number || row.get(c) instanceof String) {
          content.append(content.isEmpty() ? "" : ", ").append(schema.fields()[c].name());
          content.append(" = ").append(row.get(c));
        }
      }
      content.setLength(Math.min(content.length(), SHOWN));
      return String.format(
          Locale.ROOT,
          "row %d of partition %d (%s)",
          done + inBatch,
          TaskContext.getPartitionId(),
          content);
    }
  }
}
