// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.DecimalType;
import org.apache.spark.sql.types.NumericType;
import org.apache.spark.sql.types.StructField;
import org.blocksparse.Workers;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.TwoLevelLayer;

/** The differences between the two kinds of layers, in training and scoring. */
enum EstimatorKind {
  /** A {@link HierarchicalSoftmax}: each row has one label. */
  SOFTMAX("HierarchicalSoftmaxClassifier") {
    @Override
    HierarchicalSoftmax load(Path file, LoadOptions options) throws IOException {
      return HierarchicalSoftmax.load(file, options);
    }

    @Override
    LayerBuilder<?, ?> builder(int features, int outputs) {
      return HierarchicalSoftmax.builder(features, outputs);
    }

    @Override
    TrainedPart<?> newPart(
        int features, ClassAssignment classes, long seed, int number, Workers workers) {
      var builder = HierarchicalSoftmax.builder(features, classes.outputs());
      return TrainedPart.ofSoftmax(builder.classes(classes).seed(seed).workers(workers), number);
    }

    @Override
    float weight(float ofRow, int rows) {
      return ofRow * (1f / rows);
    }
  },

  /** A {@link LabelTree}: each row has any number of labels, in an array. */
  LABEL_TREE("LabelTreeClassifier") {
    @Override
    LabelTree load(Path file, LoadOptions options) throws IOException {
      return LabelTree.load(file, options);
    }

    @Override
    LayerBuilder<?, ?> builder(int features, int outputs) {
      return LabelTree.builder(features, outputs);
    }

    @Override
    TrainedPart<?> newPart(
        int features, ClassAssignment classes, long seed, int number, Workers workers) {
      var builder = LabelTree.builder(features, classes.outputs());
      return TrainedPart.ofTree(builder.classes(classes).seed(seed).workers(workers), number);
    }

    @Override
    float weight(float ofRow, int rows) {
      return ofRow / rows;
    }
  };

  private final String estimator;

  EstimatorKind(String estimator) {
    this.estimator = estimator;
  }

  /** Returns the name of the estimator. */
  String estimator() {
    return estimator;
  }

  /** Returns the layer of a file. */
  abstract TwoLevelLayer<?> load(Path file, LoadOptions options) throws IOException;

  /** Returns a builder of a new layer, or of one from parts. */
  abstract LayerBuilder<?, ?> builder(int features, int outputs);

  /** Returns an untrained part of a layer. */
  abstract TrainedPart<?> newPart(
      int features, ClassAssignment classes, long seed, int number, Workers workers);

  /**
   * Returns the factor of a row's loss in the mean over a batch, for the operations of the layer.
   *
   * @param rows the rows of the batch
   */
  abstract float weight(float ofRow, int rows);

  /**
   * Puts parts together into a file.
   *
   * @param names the names of the labels, or null
   * @param parts the class level first
   */
  void save(
      Path file,
      int features,
      ClassAssignment classes,
      Labels names,
      long steps,
      Iterator<byte[]> parts,
      SaveOptions options)
      throws IOException {
    LayerBuilder<?, ?> builder = builder(features, classes.outputs()).classes(classes);
    if (names != null) {
      builder.labels(names);
    }
    builder.saveParts(file, steps, parts, options);
  }

  /**
   * Returns the type of a label.
   *
   * @param field the column of labels
   * @throws IllegalArgumentException if it is neither of numbers nor of strings, or of decimals
   *     with fractions
   */
  DataType labelType(StructField field) {
    DataType column = field.dataType();
    DataType label = column;
    if (this == LABEL_TREE) {
      label = column instanceof ArrayType array ? array.elementType() : DataTypes.NullType;
    }
    if (label instanceof DecimalType decimal && decimal.scale() > 0) {
      throw new IllegalArgumentException(
          "labelCol: expected %swhole numbers or strings but column '%s' is %s: cast it"
              .formatted(
                  this == LABEL_TREE ? "arrays of " : "", field.name(), column.simpleString()));
    }
    if (!(label instanceof NumericType) && !label.equals(DataTypes.StringType)) {
      throw new IllegalArgumentException(
          "labelCol: expected "
              + (this == LABEL_TREE ? "arrays of " : "")
              + "numbers or strings but was "
              + column.simpleString());
    }
    return label;
  }

  /** Returns the type of a column for a type of labels. */
  DataType columnType(DataType label) {
    return this == LABEL_TREE ? DataTypes.createArrayType(label) : label;
  }
}
