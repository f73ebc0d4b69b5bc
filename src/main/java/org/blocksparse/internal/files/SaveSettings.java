// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.util.List;
import java.util.Map;
import org.blocksparse.Progress;
import org.blocksparse.internal.memory.StorageLease;

/**
 * The content of a file besides the parameters.
 *
 * @param metadata the caller's own strings; null: those that the layer has
 * @param parts the other layers in the same file
 */
public record SaveSettings(
    Map<String, String> metadata, boolean optimizerState, List<Part> parts, Progress progress) {
  /** Another layer in the file of a layer. */
  public interface Part {
    /** Adds its tensors and metadata to a file, and the memory that they are in to a lease. */
    void addTo(
        WeightsFile file, SaveSettings settings, Map<String, String> metadata, StorageLease lease);
  }

  /**
   * There is no other layer.
   *
   * @throws IllegalArgumentException if there is one
   */
  public void requireNoPart() {
    if (!parts.isEmpty()) {
      throw new IllegalArgumentException(
          "options: expected no part, as only the files of HierarchicalSoftmax and LabelTree have"
              + " parts");
    }
  }

  /** The metadata to be written, given those that the layer has. */
  public Map<String, String> metadataOr(Map<String, String> ofLayer) {
    return metadata != null ? metadata : ofLayer;
  }
}
