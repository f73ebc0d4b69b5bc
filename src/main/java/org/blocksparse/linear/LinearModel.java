// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import java.util.List;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.weights.ReadOnlyWeights;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * A linear label tree: a tree of chunks, their sparse weights, and for each level the calibration
 * that turns margins into probabilities.
 *
 * @param table the clusters as classes of labels
 * @param parents the node above each, with nodes numbered by {@link ChunkTree#node}
 * @param calibrations one for each level
 * @param tfIdf weighs the rows of training and of searches; null: they are taken as they are
 */
@SuppressWarnings("ArrayRecordComponent")
record LinearModel(
    ChunkTree tree,
    ClassTable table,
    int[] parents,
    SparseChunks weights,
    List<Calibration> calibrations,
    TfIdf tfIdf) {

  /** Returns a model of parts that fit together. */
  static LinearModel of(
      ChunkTree tree, SparseChunks weights, List<Calibration> calibrations, TfIdf tfIdf) {
    return new LinearModel(
        tree, tree.clusterTable(), tree.parentNodes(), weights, calibrations, tfIdf);
  }

  /**
   * Adds the memory to a lease.
   *
   * @throws IllegalStateException if it is closed; what was added before is released then
   */
  public <L extends StorageLease> L lease(L lease) {
    return lease(weights, lease, "layer: the layer is closed");
  }

  static <L extends StorageLease> L lease(SparseChunks weights, L lease, String refusal) {
    for (Storage storage : weights.storages()) {
      if (!lease.tryHold(storage)) {
        lease.close();
        throw new IllegalStateException(refusal);
      }
    }
    return lease;
  }

  /**
   * Returns a copy with weights of a type; this one is leased by the caller.
   *
   * @throws IllegalArgumentException if the type is none of sparse weights, or if a weight is too
   *     large for it
   * @throws IllegalStateException if weights would be rounded that have been rounded before
   */
  public LinearModel copy(WeightType type, Engine engine) {
    return new LinearModel(tree, table, parents, copy(weights, type, engine), calibrations, tfIdf);
  }

  /**
   * Returns a copy of weights, which are leased by the caller; see {@link #copy(WeightType,
   * Engine)}.
   */
  static SparseChunks copy(SparseChunks weights, WeightType type, Engine engine) {
    if (type.hasScales() || type.isPacked()) {
      throw new IllegalArgumentException(
          "type: expected FLOAT32, FLOAT16 or BFLOAT16 but was " + type);
    }
    if (type != weights.type()
        && type != WeightType.FLOAT32
        && weights.type() != WeightType.FLOAT32) {
      throw ReadOnlyWeights.roundedAlready(weights.type(), type);
    }
    Storage[] made =
        Storage.allocateAll(
            weights.begins().elements(),
            weights.chunks().elements(),
            weights.starts().elements(),
            (weights.entries() + 3L) / 4,
            weights.biases().elements());
    try {
      made[0].copyFrom(weights.begins());
      made[1].copyFrom(weights.chunks());
      made[2].copyFrom(weights.starts());
      made[3].copyFrom(weights.columns());
      made[4].copyFrom(weights.biases());
      StoredWeights copy =
          new StoredWeights(weights.type(), weights.w(), null)
              .as("weights", type, 1, 1, weights.entries(), engine.scheduler());
      return new SparseChunks(
          weights.features(),
          made[0],
          made[1],
          made[2],
          weights.rows(),
          made[3],
          type,
          copy.elements(),
          weights.entries(),
          made[4]);
    } catch (Throwable e) {
      Storage.closeAll(made);
      throw e;
    }
  }

  /**
   * Returns a copy of FLOAT32 with more features or as many, which have no weights; this one is
   * leased by the caller.
   *
   * @param all see {@link TfIdf#withFeatures}
   */
  LinearModel withFeatures(int features, FeatureGroups all, Engine engine) {
    SparseChunks same = copy(weights, WeightType.FLOAT32, engine);
    Storage begins;
    try {
      begins = Storage.allocateAll(features + 1L)[0];
    } catch (Throwable e) {
      same.close();
      throw e;
    }
    begins.copyFrom(same.begins());
    for (int feature = same.features(); feature < features; feature++) {
      begins.putInt(feature + 1L, same.rows());
    }
    same.begins().close();
    return new LinearModel(
        tree,
        table,
        parents,
        new SparseChunks(
            features,
            begins,
            same.chunks(),
            same.starts(),
            same.rows(),
            same.columns(),
            same.type(),
            same.w(),
            same.entries(),
            same.biases()),
        calibrations,
        tfIdf == null ? null : tfIdf.withFeatures(features, all));
  }

  // -------------------------------------------------------------------------------------- parts

  /**
   * The weights of a chunk while a model is made: a row for each feature, ascending.
   *
   * @param starts the first entry of each row, with the number of its entries
   */
  @SuppressWarnings("ArrayRecordComponent")
  record ChunkWeights(int[] features, int[] starts, byte[] columns, float[] weights) {}

  /**
   * Returns the weights of each chunk, of float32; the model is leased by the caller.
   *
   * @throws IllegalStateException if a mapped file is damaged
   */
  ChunkWeights[] chunkWeights() {
    int[] rows = new int[tree.chunks()];
    int[] entries = new int[tree.chunks()];
    for (int row = 0; row < weights.rows(); row++) {
      int chunk = chunkOf(row);
      rows[chunk]++;
      entries[chunk] += weights.starts().getInt(row + 1L) - weights.starts().getInt(row);
    }
    ChunkWeights[] all = new ChunkWeights[tree.chunks()];
    for (int chunk = 0; chunk < all.length; chunk++) {
      all[chunk] =
          new ChunkWeights(
              new int[rows[chunk]],
              new int[rows[chunk] + 1],
              new byte[entries[chunk]],
              new float[entries[chunk]]);
    }
    Arrays.fill(rows, 0);
    byte[] some = new byte[SparseChunks.MOST_OUTPUTS];
    for (int feature = 0; feature < weights.features(); feature++) {
      int end = weights.begins().getInt(feature + 1L);
      for (int row = weights.begins().getInt(feature); row < end; row++) {
        int chunk = chunkOf(row);
        ChunkWeights part = all[chunk];
        int i = rows[chunk]++;
        int first = weights.starts().getInt(row);
        int size = weights.starts().getInt(row + 1L) - first;
        requireIntact(size <= some.length, "starts");
        part.features[i] = feature;
        part.starts[i + 1] = part.starts[i] + size;
        weights.columns().getBytes(first, some, size);
        System.arraycopy(some, 0, part.columns, part.starts[i], size);
        for (int e = 0; e < size; e++) {
          requireIntact((some[e] & 0xff) < tree.size(chunk), "columns");
        }
        weights.w().getFloats(first, part.weights, part.starts[i], size);
      }
    }
    return all;
  }

  private int chunkOf(int row) {
    int chunk = weights.chunks().getInt(row);
    requireIntact(chunk >= 0 && chunk < tree.chunks(), "chunks");
    return chunk;
  }

  private static void requireIntact(boolean condition, String tensor) {
    if (!condition) {
      throw new IllegalStateException("layer: tree." + tensor + " of the mapped file is damaged");
    }
  }

  /** A model under construction; chunks may come in any order, on any thread. */
  static final class Parts {
    private final ChunkTree tree;
    private final int features;
    private final TfIdf tfIdf;
    private final ChunkWeights[] chunks;
    private final float[] biases;
    private final Calibration[] calibrations;

    Parts(ChunkTree tree, int features, TfIdf tfIdf) {
      this.tree = tree;
      this.features = features;
      this.tfIdf = tfIdf;
      this.chunks = new ChunkWeights[tree.chunks()];
      this.biases = new float[tree.outputs()];
      this.calibrations = new Calibration[tree.levels()];
    }

    void put(int chunk, ChunkWeights weights, float[] ofChunk) {
      chunks[chunk] = weights;
      System.arraycopy(ofChunk, 0, biases, tree.outputBegins()[chunk], ofChunk.length);
    }

    void calibrate(int level, Calibration calibration) {
      calibrations[level] = calibration;
    }

    /**
     * Returns the model, once all chunks are complete.
     *
     * @throws IllegalStateException if there are too many weights
     */
    LinearModel build() {
      long entries = 0;
      int[] rowsOf = new int[features];
      for (ChunkWeights chunk : chunks) {
        entries += chunk.columns.length;
        for (int feature : chunk.features) {
          rowsOf[feature]++;
        }
      }
      if (entries > GrowingArrays.MAX_LENGTH) {
        throw new IllegalStateException(
            "layer: more than 2^31 - 9 weights; a higher threshold leaves fewer");
      }
      int[] begins = SparseMatrix.offsets(rowsOf); // there are no more rows than entries
      int rows = begins[features];
      SparseChunks made = SparseChunks.allocate(features, rows, (int) entries, biases.length);
      try {
        made.begins().putInts(0, begins, 0, begins.length);
        made.biases().putFloats(0, biases, 0, biases.length);
        fill(begins, made);
      } catch (Throwable e) {
        made.close();
        throw e;
      }
      return of(tree, made, List.of(calibrations), tfIdf);
    }

    private void fill(int[] begins, SparseChunks made) {
      int rows = begins[features];
      int[] sizes = new int[rows];
      int[] next = begins.clone();
      for (int chunk = 0; chunk < chunks.length; chunk++) {
        ChunkWeights part = chunks[chunk];
        for (int i = 0; i < part.features.length; i++) {
          int row = next[part.features[i]]++;
          made.chunks().putInt(row, chunk);
          sizes[row] = part.starts[i + 1] - part.starts[i];
        }
      }
      int[] first = SparseMatrix.offsets(sizes);
      made.starts().putInts(0, first, 0, first.length);
      System.arraycopy(begins, 0, next, 0, features);
      byte[] some = new byte[SparseChunks.MOST_OUTPUTS];
      for (ChunkWeights part : chunks) {
        for (int i = 0; i < part.features.length; i++) {
          int row = next[part.features[i]]++;
          System.arraycopy(part.columns, part.starts[i], some, 0, sizes[row]);
          made.columns().putBytes(first[row], some, sizes[row]);
          made.w().putFloats(first[row], part.weights, part.starts[i], sizes[row]);
        }
      }
    }
  }
}
