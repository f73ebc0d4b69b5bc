// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.Arrays;
import org.apache.spark.ml.param.Param;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.Metadata;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/** The columns that a model adds to a schema. */
record AddedColumns(TwoLevelParams params) {
  /**
   * Returns a schema with the columns that a model adds.
   *
   * @param named whether labels are strings
   * @throws IllegalArgumentException if a column that is read is not there or of another type, or
   *     one that is added is there already
   */
  static StructType to(StructType schema, TwoLevelParams params, boolean named) {
    return new AddedColumns(params).to(schema, named);
  }

  private StructType to(StructType schema, boolean named) {
    DataType found = type(schema, params.featuresCol());
    if (!FeatureRow.isReadable(found)) {
      throw wrong(params.featuresCol(), "a vector or an array of floats or doubles", found);
    }
    DataType label = named ? DataTypes.StringType : DataTypes.IntegerType;
    if (has(params.withoutCol())) {
      DataType without = type(schema, params.withoutCol());
      if (!(without instanceof ArrayType array)
          || !(array.elementType().equals(label)
              || (!named && array.elementType().equals(DataTypes.LongType)))) {
        throw wrong(params.withoutCol(), "an array of " + label.simpleString() + "s", without);
      }
    }
    StructType result = schema;
    if (has(params.predictionCol())) {
      result = with(result, params.predictionCol(), named ? label : DataTypes.DoubleType, true);
    }
    if (has(params.topKCol())) {
      StructType entry =
          new StructType()
              .add("label", label, false)
              .add("probability", DataTypes.FloatType, false);
      result = with(result, params.topKCol(), DataTypes.createArrayType(entry, false), false);
    }
    return result;
  }

  private StructType with(StructType schema, Param<String> param, DataType type, boolean nullable) {
    if (Arrays.asList(schema.fieldNames()).contains(name(param))) {
      throw new IllegalArgumentException(
          param.name() + ": there is a column '" + name(param) + "' already");
    }
    return schema.add(new StructField(name(param), type, nullable, Metadata.empty()));
  }

  private DataType type(StructType schema, Param<String> param) {
    if (!Arrays.asList(schema.fieldNames()).contains(name(param))) {
      throw new IllegalArgumentException(
          param.name()
              + ": there is no column '"
              + name(param)
              + "' among "
              + String.join(", ", schema.fieldNames()));
    }
    return schema.apply(name(param)).dataType();
  }

  private IllegalArgumentException wrong(Param<String> param, String expected, DataType found) {
    return new IllegalArgumentException(
        "%s: column '%s': expected %s but was %s"
            .formatted(param.name(), name(param), expected, found.simpleString()));
  }

  private String name(Param<String> param) {
    return params.getOrDefault(param);
  }

  private boolean has(Param<String> param) {
    return params.isDefined(param) && !name(param).isEmpty();
  }
}
