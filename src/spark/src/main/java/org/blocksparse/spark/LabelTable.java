// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.apache.spark.sql.functions.array_distinct;
import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.posexplode_outer;
import static org.apache.spark.sql.functions.when;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.ArrayType;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * The labels that occur. Strings are numbered by their frequency, equal ones by their text, so that
 * numbers do not depend on the order of rows.
 *
 * @param counts how many rows have each label, by its number
 * @param rows how many there are, those without labels too
 * @param names the names of the labels by their numbers; null if labels are numbers
 */
@SuppressWarnings("ArrayRecordComponent")
record LabelTable(long[] counts, long rows, List<String> names) {
  /** The maximum number of labels of a layer. */
  static final int MOST = Integer.MAX_VALUE - 8;

  /**
   * Above this number, labels that are mostly gaps are assumed to be keys of something by mistake.
   */
  private static final int MOST_UNLESS_ASKED = 1 << 24;

  private static final int MOST_GAPS = 100;

  /**
   * Counts numbers. {@link RowEncoder}, which knows the row, rejects values that are no labels.
   *
   * @param labels one column, of doubles or arrays of them
   * @param numLabels how many there are; 0: as many as occur
   * @throws IllegalArgumentException if numLabels is 0 and none occur, or hardly any of very many
   */
  static LabelTable ofNumbers(Dataset<Row> labels, int numLabels) {
    Map<Integer, Long> counts = new HashMap<>();
    int outputs = Math.max(1, numLabels);
    boolean none = true;
    long rows = 0;
    Iterator<Row> groups = counted(labels);
    while (groups.hasNext()) {
      Row group = groups.next();
      rows += group.getLong(2);
      none &= group.isNullAt(0);
      double label = group.isNullAt(0) ? Double.NaN : group.getDouble(0);
      if (isNumber(label, numLabels == 0 ? MOST : numLabels)) {
        counts.put((int) label, group.getLong(1));
        outputs = Math.max(outputs, (int) label + 1);
      }
    }
    if (numLabels == 0 && none) {
      throw noLabel();
    }
    if (numLabels == 0 && outputs > MOST_UNLESS_ASKED && outputs / counts.size() > MOST_GAPS) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "labelCol: the largest of %d labels is %d: number them from 0, take them as strings,"
                  + " or set numLabels",
              counts.size(),
              outputs - 1));
    }
    long[] all = new long[outputs];
    counts.forEach((label, count) -> all[label] = count);
    return new LabelTable(all, rows, null);
  }

  /** Returns whether a number is that of a label. */
  static boolean isNumber(double label, int outputs) {
    return label >= 0 && label < outputs && label == Math.rint(label);
  }

  /**
   * Counts strings. {@link RowEncoder} rejects those that are no labels.
   *
   * @param labels one column, of strings or arrays of them
   * @param names the labels by their numbers; null: those that occur
   * @throws IllegalArgumentException if there are none
   */
  static LabelTable ofStrings(Dataset<Row> labels, List<String> names) {
    Map<String, Long> counts = new HashMap<>();
    long rows = 0;
    Iterator<Row> groups = counted(labels);
    while (groups.hasNext()) {
      Row group = groups.next();
      rows += group.getLong(2);
      if (!group.isNullAt(0)) {
        counts.put(group.getString(0), group.getLong(1));
      }
    }
    List<String> all = names;
    if (names == null) {
      if (counts.isEmpty()) {
        throw noLabel();
      }
      all = new ArrayList<>(counts.keySet());
      all.sort(
          Comparator.comparingLong((String name) -> -counts.get(name))
              .thenComparing(Comparator.naturalOrder()));
    }
    return new LabelTable(
        all.stream().mapToLong(name -> counts.getOrDefault(name, 0L)).toArray(), rows, all);
  }

  private static IllegalArgumentException noLabel() {
    return new IllegalArgumentException("labelCol: no row has a label");
  }

  /**
   * Rejects a layer with names for some labels only.
   *
   * @param argument the argument of the message
   */
  static void requireNamesOfAll(String argument, TwoLevelLayer<?> layer) {
    if (layer.hasLabels() && layer.labels().size() < layer.outputs()) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s: of %d labels, %d have names",
              argument,
              layer.outputs(),
              layer.labels().size()));
    }
  }

  /**
   * Returns each label, the number of its rows, and the number of rows in which it is the first, or
   * stands for no label.
   */
  private static Iterator<Row> counted(Dataset<Row> labels) {
    Column column = col(labels.columns()[0]);
    boolean several = labels.schema().fields()[0].dataType() instanceof ArrayType;
    Dataset<Row> single =
        several
            ? labels.select(
                posexplode_outer(array_distinct(column)).as(new String[] {"place", "label"}))
            : labels.select(lit(0).as("place"), column.as("label"));
    Column first = coalesce(col("place"), lit(0)).equalTo(0);
    return single.groupBy("label").agg(count(lit(1)), count(when(first, 1))).toLocalIterator();
  }

  int outputs() {
    return counts.length;
  }

  /** Returns the number of each name; null if labels are numbers. */
  HashMap<String, Integer> numbers() {
    if (names == null) {
      return null;
    }
    HashMap<String, Integer> numbers = new HashMap<>(2 * names.size());
    for (int i = 0; i < names.size(); i++) {
      numbers.put(names.get(i), i);
    }
    return numbers;
  }
}
