// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.layers;

import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;

/** A layer that the files of others can hold. */
public interface SavedLayer {
  /**
   * Returns the layer as it is now, as a part of a file.
   *
   * @param prefix the prefix of the names of its tensors; empty: they have the names of its own
   *     file
   * @param names the names of the outputs; null: the part has none
   */
  SaveSettings.Part part(String prefix, NameTable names);

  /** Returns what inner code receives of a layer. */
  static <L extends SavedLayer> L of(LayerFace<L> layer) {
    return layer.inner;
  }
}
