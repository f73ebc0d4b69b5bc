// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.HashMap;
import java.util.Iterator;
import org.apache.spark.api.java.function.Function2;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Row;

/**
 * Makes {@link EncodedRow}s of rows of three columns: features, label, weight.
 *
 * @param features how many
 * @param outputs how many labels
 * @param numbers of the labels by their names; its value is null if labels are numbers
 */
record RowEncoder(int features, int outputs, Broadcast<HashMap<String, Integer>> numbers)
    implements Function2<Integer, Iterator<Row>, Iterator<byte[]>> {
  private static final long serialVersionUID = 1;

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
          byte[] encoded = EncodedRow.of(label(row.get(1)), weight(row.get(2)), values);
          number++;
          return encoded;
        } catch (IllegalArgumentException e) {
          throw new IllegalArgumentException(
              "row "
                  + number
                  + " of partition "
                  + partition
                  + ", with label "
                  + row.get(1)
                  + ": "
                  + e.getMessage(),
              e);
        }
      }
    };
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
