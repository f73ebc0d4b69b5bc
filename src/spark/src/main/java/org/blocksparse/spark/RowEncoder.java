// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.BitSet;
import java.util.HashMap;
import java.util.Iterator;
import java.util.stream.IntStream;
import org.apache.spark.api.java.function.Function2;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Row;
import scala.collection.Seq;

/**
 * Makes {@link EncodedRow}s of rows of three columns: features, label or labels, weight.
 *
 * @param features how many
 * @param outputs how many labels
 * @param numbers the numbers of the labels by their names; its value is null if labels are numbers
 * @param retired labels, which no row may have
 */
record RowEncoder(
    int features,
    int outputs,
    Broadcast<HashMap<String, Integer>> numbers,
    Broadcast<BitSet> retired)
    implements Function2<Integer, Iterator<Row>, Iterator<byte[]>> {
  private static final long serialVersionUID = 1;

  /** The maximum number of characters of a row's labels in a message. */
  private static final int SHOWN = 100;

  @Override
  public Iterator<byte[]> call(Integer partition, Iterator<Row> rows) {
    return new Iterator<>() {
      private final float[] values = new float[features];
      private long number;

      @Override
      public boolean hasNext() {
        return rows.hasNext();
      }

      @Override
      public byte[] next() {
        Row row = rows.next();
        try {
          FeatureRow.read(row.get(0), values, 0, features);
          byte[] encoded = EncodedRow.of(labels(row.get(1)), weight(row.get(2)), values);
          number++;
          return encoded;
        } catch (IllegalArgumentException e) {
          throw new IllegalArgumentException(
              "row "
                  + number
                  + " of partition "
                  + partition
                  + ", with label "
                  + shown(row.get(1))
                  + ": "
                  + e.getMessage(),
              e);
        }
      }
    };
  }

  private static String shown(Object labels) {
    String all =
        labels instanceof Seq<?> several
            ? several.mkString("[", ", ", "]")
            : String.valueOf(labels);
    return all.length() <= SHOWN ? all : all.substring(0, SHOWN) + "...";
  }

  /** Returns the labels in ascending order, each once. */
  private int[] labels(Object labels) {
    if (labels instanceof Seq<?> several) {
      return IntStream.range(0, several.length())
          .map(i -> label(several.apply(i)))
          .sorted()
          .distinct()
          .toArray();
    }
    return new int[] {label(labels)};
  }

  private int label(Object label) {
    Integer number = null;
    if (label instanceof String name) {
      number = numbers.value().get(name);
    } else if (label instanceof Double value && LabelTable.isNumber(value, outputs)) {
      number = value.intValue();
    }
    if (number == null && label instanceof String) {
      throw new IllegalArgumentException("labelCol: '" + label + "' is no label of initialModel");
    }
    if (number == null) {
      throw new IllegalArgumentException(
          "labelCol: expected a whole number in [0, " + outputs + ") or a string, never null");
    }
    if (retired.value().get(number)) {
      throw new IllegalArgumentException(
          "labelCol: label " + number + " is retired in initialModel");
    }
    return number;
  }

  private static float weight(Object weight) {
    if (!(weight instanceof Double value) || !(value >= 0 && value <= Float.MAX_VALUE)) {
      throw new IllegalArgumentException(
          "weightCol: expected a finite number >= 0 but was " + weight);
    }
    return value.floatValue();
  }
}
