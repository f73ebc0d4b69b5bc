// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.blocksparse.HierarchicalSoftmax;

/**
 * The labels that occur. Strings are numbered by their frequency, equal ones by their text, so that
 * numbers do not depend on the order of rows.
 *
 * @param counts how often each label occurs, by its number
 * @param names of the labels by their numbers; null if labels are numbers
 */
@SuppressWarnings("ArrayRecordComponent")
record LabelTable(long[] counts, List<String> names) {
  /** Above this, labels that are mostly gaps are taken to be keys of something, by mistake. */
  private static final int MOST_UNLESS_ASKED = 1 << 24;

  private static final int MOST_GAPS = 100;

  /**
   * Counts numbers. What is no label is for {@link RowEncoder} to refuse, which knows the row.
   *
   * @param labels one column of doubles
   * @param numLabels how many there are; 0: as many as occur
   * @throws IllegalArgumentException if hardly any of very many occur and numLabels is 0
   */
  static LabelTable ofNumbers(Dataset<Row> labels, int numLabels) {
    Map<Integer, Long> counts = new HashMap<>();
    int outputs = Math.max(1, numLabels);
    Iterator<Row> groups = count(labels);
    while (groups.hasNext()) {
      Row group = groups.next();
      double label = group.isNullAt(0) ? Double.NaN : group.getDouble(0);
      if (isNumber(label, numLabels == 0 ? Integer.MAX_VALUE - 8 : numLabels)) {
        counts.put((int) label, group.getLong(1));
        outputs = Math.max(outputs, (int) label + 1);
      }
    }
    if (numLabels == 0 && outputs > MOST_UNLESS_ASKED && outputs / counts.size() > MOST_GAPS) {
      throw new IllegalArgumentException(
          ("labelCol: the largest of %d labels is %d: number them from 0, take them as strings, or"
                  + " set numLabels")
              .formatted(counts.size(), outputs - 1));
    }
    long[] all = new long[outputs];
    counts.forEach((label, count) -> all[label] = count);
    return new LabelTable(all, null);
  }

  /** Whether a number is that of a label. */
  static boolean isNumber(double label, int outputs) {
    return label >= 0 && label < outputs && label == Math.rint(label);
  }

  /**
   * Counts strings. Those that are no label are for {@link RowEncoder} to refuse.
   *
   * @param labels one column of strings
   * @param names the labels by their numbers; null: those that occur
   */
  static LabelTable ofStrings(Dataset<Row> labels, List<String> names) {
    Map<String, Long> counts = new HashMap<>();
    Iterator<Row> groups = count(labels);
    while (groups.hasNext()) {
      Row group = groups.next();
      if (!group.isNullAt(0)) {
        counts.put(group.getString(0), group.getLong(1));
      }
    }
    List<String> all = names;
    if (names == null) {
      all = new ArrayList<>(counts.keySet());
      all.sort(
          Comparator.comparingLong((String name) -> -counts.get(name))
              .thenComparing(Comparator.naturalOrder()));
    }
    return new LabelTable(
        all.stream().mapToLong(name -> counts.getOrDefault(name, 0L)).toArray(), all);
  }

  /**
   * Refuses a layer of which some labels have names and others have none.
   *
   * @param argument what the message names
   */
  static void requireNamesOfAll(String argument, HierarchicalSoftmax layer) {
    if (layer.hasLabels() && layer.labels().size() < layer.outputs()) {
      throw new IllegalArgumentException(
          "%s: of %d labels, %d have names"
              .formatted(argument, layer.outputs(), layer.labels().size()));
    }
  }

  private static Iterator<Row> count(Dataset<Row> labels) {
    return labels.groupBy(labels.columns()[0]).count().toLocalIterator();
  }

  /** The number of rows whose label is one. */
  long rows() {
    return Arrays.stream(counts).sum();
  }

  int outputs() {
    return counts.length;
  }

  /** The number of each name; null if labels are numbers. */
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
