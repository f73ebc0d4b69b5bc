// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.io.IOException;
import java.util.Arrays;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.tensors.CsrRows;

/**
 * Weights of features that are counted. A feature that a row has n times gets (1 + log n) times its
 * inverse document frequency, and the part of the row in each group is scaled to a length.
 *
 * @param inverse the inverse document frequency of each feature; shared and not to be changed
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record TfIdf(float[] inverse, FeatureGroups groups) {
  /** A bound on the inverse document frequency for 2^31 rows; its square stays finite. */
  private static final float LARGEST = 64;

  private static final String TF_IDF = "tfidf";

  /**
   * Returns the weights for some rows of counts: 1 + log((1 + rows) / (1 + rows that have the
   * feature)), which is finite for features that no row has.
   */
  static TfIdf of(SparseMatrix counts, int features, FeatureGroups groups) {
    int[] rowsWith = new int[features];
    for (int feature : counts.columns()) {
      rowsWith[feature]++;
    }
    float[] inverse = new float[features];
    for (int feature = 0; feature < features; feature++) {
      inverse[feature] = (float) (1 + Math.log((1.0 + counts.rows()) / (1.0 + rowsWith[feature])));
    }
    return new TfIdf(inverse, groups);
  }

  /** Returns these weights for the features of some rows alone, and 0 for others. */
  TfIdf only(SparseMatrix counts) {
    float[] those = new float[inverse.length];
    for (int feature : counts.columns()) {
      those[feature] = inverse[feature];
    }
    return new TfIdf(those, groups);
  }

  /** Adds these to a file. */
  void add(String prefix, WeightsFile file) {
    file.tensors()
        .add(
            new TensorSource(
                prefix + TF_IDF,
                Dtype.F32,
                new long[] {inverse.length},
                (begin, count, into) -> into.asFloatBuffer().put(inverse, (int) begin, count)));
    groups.add(prefix, file);
  }

  /**
   * Reads the weights of a file; null if it has none.
   *
   * @throws MalformedException if a number is out of bounds
   */
  static TfIdf readOrNull(SafeTensorsReader reader, String prefix, int features)
      throws IOException {
    String name = prefix + TF_IDF;
    if (!reader.has(name)) {
      return null;
    }
    float[] inverse = new float[features];
    Storage storage = reader.readFloats(reader.entry(name, Dtype.F32, features));
    storage.getFloats(0, inverse, 0, features);
    storage.close();
    for (int feature = 0; feature < features; feature++) {
      if (!(inverse[feature] >= 0 && inverse[feature] <= LARGEST)) {
        throw new MalformedException(
            name,
            "element " + feature + " = " + inverse[feature] + " is outside [0, " + LARGEST + "]");
      }
    }
    return new TfIdf(inverse, FeatureGroups.read(reader, prefix, features));
  }

  /**
   * Returns the weights for more features, which count as much as the rarest so far.
   *
   * @param all has the groups of the further ones; null: they are in the first group
   */
  TfIdf withFeatures(int features, FeatureGroups all) {
    float rarest = 1;
    for (float each : inverse) {
      rarest = Math.max(rarest, each);
    }
    float[] more = Arrays.copyOf(inverse, features);
    Arrays.fill(more, inverse.length, features, rarest);
    return new TfIdf(more, groups.withFeatures(features, all));
  }

  /** Returns checked and leased rows that count features, weighted; the caller closes them. */
  SparseRows weightedRows(SparseRows counts) {
    SparseMatrix rows = weighted(CsrRows.from(counts).bags());
    return SparseRows.of(rows.offsets(), rows.columns(), rows.values());
  }

  /**
   * Returns the weighted form of rows without values, which list a feature once for each time they
   * have it.
   */
  public SparseMatrix weighted(Bags counts) {
    return weighted(SparseMatrix.of(counts, "x: the values of feature"));
  }

  /** Returns the weighted form of rows of counts. */
  SparseMatrix weighted(SparseMatrix counts) {
    float[] values = new float[counts.values().length];
    float[] lengths = groups.lengths();
    double[] squares = new double[lengths.length];
    float[] scales = new float[lengths.length];
    for (int row = 0; row < counts.rows(); row++) {
      Arrays.fill(squares, 0);
      for (int entry = counts.offsets()[row]; entry < counts.offsets()[row + 1]; entry++) {
        double count = counts.values()[entry];
        int feature = counts.columns()[entry];
        double value = (1 + Math.log(count)) * inverse[feature];
        values[entry] = (float) value;
        squares[groups.group(feature)] += value * value;
      }
      for (int group = 0; group < scales.length; group++) {
        scales[group] =
            squares[group] > 0 ? (float) (lengths[group] / Math.sqrt(squares[group])) : 0;
      }
      for (int entry = counts.offsets()[row]; entry < counts.offsets()[row + 1]; entry++) {
        values[entry] *= scales[groups.group(counts.columns()[entry])];
      }
    }
    return new SparseMatrix(counts.offsets(), counts.columns(), values);
  }
}
