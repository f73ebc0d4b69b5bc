// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * The layers of a model, loaded from its file.
 *
 * @param layer gives x its likeliest labels
 * @param bag makes x of the features of rows; null: they are x
 */
record ModelLayers(TwoLevelLayer<?> layer, EmbeddingBag bag) implements AutoCloseable {
  /**
   * Loads them.
   *
   * @throws IOException if the file does not hold a model, or a bag for another one
   */
  static ModelLayers load(EstimatorKind kind, Path file, LoadOptions options) throws IOException {
    TwoLevelLayer<?> layer = kind.load(file, options);
    try {
      return new ModelLayers(layer, bagOrNull(file, layer.features(), options));
    } catch (Throwable e) {
      layer.close();
      throw e;
    }
  }

  private static EmbeddingBag bagOrNull(Path file, int features, LoadOptions options)
      throws IOException {
    if (!EmbeddingBag.isIn(file)) {
      return null;
    }
    EmbeddingBag bag = EmbeddingBag.load(file, options);
    if (bag.features() != features) {
      bag.close();
      throw new IOException(
          String.format(
              Locale.ROOT,
              "table: has rows of %d for a layer of %d features",
              bag.features(),
              features));
    }
    return bag;
  }

  /** Returns the number of features of a row. */
  int features() {
    return bag == null ? layer.features() : bag.vocabulary();
  }

  /** Returns a batch without rows, for at most that many. */
  FeatureBatch newBatch(int mostRows) {
    return bag == null ? new DenseBatch(layer.features(), mostRows) : new BagBatch(bag, mostRows);
  }

  @Override
  public void close() {
    layer.close();
    if (bag != null) {
      bag.close();
    }
  }
}
