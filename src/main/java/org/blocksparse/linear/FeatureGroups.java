// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.io.IOException;
import java.util.Arrays;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.TensorEntry;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.memory.Storage;

/**
 * Groups of features, each of which {@link TfIdf} scales by itself.
 *
 * @param of the group of each feature; null: all are in the first. Shared and not to be changed
 * @param lengths the length of the part of a row in each group; shared and not to be changed
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record FeatureGroups(byte[] of, float[] lengths) {
  /** The grouping with one group, of length 1. */
  static final FeatureGroups ONE = new FeatureGroups(null, new float[] {1});

  private static final int MOST = 127;
  private static final String GROUPS = "groups";
  private static final String LENGTHS = "lengths";

  /**
   * Returns groups of all features of a model, copied.
   *
   * @throws IllegalArgumentException if there is not a group for each feature, or a length for each
   *     group, or a length that is not positive and finite
   */
  static FeatureGroups of(byte[] groups, int features, float[] lengths) {
    if (groups.length != features) {
      throw new IllegalArgumentException(
          "groups: expected one for each of " + features + " features but was " + groups.length);
    }
    if (lengths.length < 1 || lengths.length > MOST) {
      throw new IllegalArgumentException(
          "lengths: expected 1 to " + MOST + " groups but was " + lengths.length);
    }
    for (int group = 0; group < lengths.length; group++) {
      if (!(lengths[group] > 0 && lengths[group] <= Float.MAX_VALUE)) {
        throw new IllegalArgumentException(
            "lengths[" + group + "]: expected a finite number > 0 but was " + lengths[group]);
      }
    }
    for (int feature = 0; feature < features; feature++) {
      if (groups[feature] < 0 || groups[feature] >= lengths.length) {
        throw new IllegalArgumentException(
            String.format(
                "groups[%d]: expected one of %d groups but was %d",
                feature, lengths.length, groups[feature]));
      }
    }
    return new FeatureGroups(groups.clone(), lengths.clone());
  }

  int group(int feature) {
    return of == null ? 0 : of[feature];
  }

  /**
   * Returns these groups for more features.
   *
   * @param all has the groups of the further ones; null: they are in the first group
   */
  FeatureGroups withFeatures(int features, FeatureGroups all) {
    if (of == null) {
      return this;
    }
    byte[] more = Arrays.copyOf(of, features);
    for (int feature = of.length; feature < features && all != null; feature++) {
      more[feature] = (byte) Math.min(lengths.length - 1, all.group(feature));
    }
    return new FeatureGroups(more, lengths);
  }

  /** Adds these to a file; nothing if there is one group. */
  void add(String prefix, WeightsFile file) {
    if (of != null) {
      file.tensors()
          .add(
              new TensorSource(
                  prefix + GROUPS,
                  Dtype.U8,
                  new long[] {of.length},
                  (begin, count, into) -> into.put(of, (int) begin, count)));
      file.tensors()
          .add(
              new TensorSource(
                  prefix + LENGTHS,
                  Dtype.F32,
                  new long[] {lengths.length},
                  (begin, count, into) -> into.asFloatBuffer().put(lengths, (int) begin, count)));
    }
  }

  /**
   * Reads the groups of a file; one group if it has none.
   *
   * @throws MalformedException if a number is out of bounds
   */
  static FeatureGroups read(SafeTensorsReader reader, String prefix, int features)
      throws IOException {
    if (!reader.has(prefix + GROUPS)) {
      return ONE;
    }
    byte[] groups = reader.readBytes(reader.entry(prefix + GROUPS, Dtype.U8, features));
    TensorEntry entry = reader.entryOfRank(1, prefix + LENGTHS, Dtype.F32);
    float[] lengths = new float[(int) SparseChunksFile.requireSize(entry, 1, MOST)];
    Storage storage = reader.readFloats(entry);
    storage.getFloats(0, lengths, 0, lengths.length);
    storage.close();
    try {
      return of(groups, features, lengths);
    } catch (IllegalArgumentException e) {
      throw new MalformedException(prefix + GROUPS, e.getMessage());
    }
  }
}
