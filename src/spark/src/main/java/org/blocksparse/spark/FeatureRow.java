// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.Arrays;
import org.apache.spark.ml.linalg.SQLDataTypes;
import org.apache.spark.ml.linalg.SparseVector;
import org.apache.spark.ml.linalg.Vector;
import org.apache.spark.ml.linalg.Vectors;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import scala.collection.Seq;

/** The features of a row in one of a column's forms: a vector, dense or sparse, or an array. */
final class FeatureRow {
  private FeatureRow() {}

  /** Returns whether a column of that type can be read. */
  static boolean isReadable(DataType type) {
    return type.equals(SQLDataTypes.VectorType())
        || (type instanceof ArrayType array
            && (array.elementType().equals(DataTypes.FloatType)
                || array.elementType().equals(DataTypes.DoubleType)));
  }

  /**
   * Writes the features of a row.
   *
   * @param value the value of the column
   * @param to receives {@code features} values from {@code begin} on; what is there is overwritten
   * @throws IllegalArgumentException if they are null, not as many or not finite as floats
   */
  static void read(Object value, float[] to, int begin, int features) {
    requireSize(value, features);
    if (value instanceof SparseVector sparse) {
      Arrays.fill(to, begin, begin + features, 0);
      int[] indices = sparse.indices();
      double[] values = sparse.values();
      for (int i = 0; i < indices.length; i++) {
        to[begin + indices[i]] = finite(values[i], indices[i]);
      }
    } else if (value instanceof Vector dense) {
      double[] values = dense.toArray();
      for (int i = 0; i < features; i++) {
        to[begin + i] = finite(values[i], i);
      }
    } else {
      Seq<?> values = (Seq<?>) value;
      for (int i = 0; i < features; i++) {
        to[begin + i] = finite(number(values, i), i);
      }
    }
  }

  /**
   * Returns the features of a row that are not 0; some may not be finite.
   *
   * @param value the value of the column
   * @throws IllegalArgumentException if they are null or not as many
   */
  static SparseVector nonZero(Object value, int features) {
    requireSize(value, features);
    if (value instanceof Vector vector) {
      return vector.toSparse();
    }
    Seq<?> values = (Seq<?>) value;
    double[] all = new double[features];
    for (int i = 0; i < features; i++) {
      all[i] = number(values, i);
    }
    return Vectors.dense(all).toSparse();
  }

  /**
   * Returns the values that a vector lists.
   *
   * @throws IllegalArgumentException if one is not finite as a float
   */
  static float[] floats(SparseVector vector) {
    int[] indices = vector.indices();
    double[] values = vector.values();
    float[] floats = new float[values.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = finite(values[i], indices[i]);
    }
    return floats;
  }

  /**
   * Returns the number of features of a row.
   *
   * @throws IllegalArgumentException if they are null
   */
  static int size(Object value) {
    if (value instanceof Vector vector) {
      return vector.size();
    }
    if (value instanceof Seq<?> values) {
      return values.length();
    }
    throw new IllegalArgumentException("featuresCol: expected numbers but was " + value);
  }

  private static void requireSize(Object value, int expected) {
    if (value == null) {
      throw new IllegalArgumentException("expected " + expected + " numbers but was null");
    }
    if (size(value) != expected) {
      throw new IllegalArgumentException(
          "expected " + expected + " numbers but was " + size(value));
    }
  }

  private static double number(Seq<?> values, int index) {
    if (!(values.apply(index) instanceof Number number)) {
      throw new IllegalArgumentException("expected finite numbers but [" + index + "] is null");
    }
    return number.doubleValue();
  }

  private static float finite(double value, int index) {
    if (!Float.isFinite((float) value)) {
      throw new IllegalArgumentException("expected finite floats but [" + index + "] is " + value);
    }
    return (float) value;
  }
}
