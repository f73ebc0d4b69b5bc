// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.layer;

import java.util.Map;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.format.ByteProgress;
import org.blocksparse.internal.memory.StorageLease;

/**
 * The content of a file besides the parameters.
 *
 * @param metadata the caller's own strings; null: those that the layer has
 * @param bag in the same file; null: none
 * @param part of another layer in the same file; null: none
 * @param weights the type of the weights; null: as the layer has them
 */
public record SaveSettings(
    Map<String, String> metadata,
    boolean optimizerState,
    BagMemory bag,
    Part part,
    WeightType weights,
    ByteProgress progress) {
  /** Another layer in the file of a layer. */
  public interface Part {
    /**
     * Adds all tensors to a file, and the memory that they are in to a lease.
     *
     * @param weights the type that is wanted; null: as they are
     */
    void addTo(WeightsFile file, WeightType weights, StorageLease lease);
  }

  /**
   * There is no other layer.
   *
   * @throws IllegalArgumentException if there is one
   */
  public void requireNoPart() {
    if (part != null) {
      throw new IllegalArgumentException(
          "options: expected withLinearTree for HierarchicalSoftmax.save or LabelTree.save alone");
    }
  }

  /** The metadata to be written, given those that the layer has. */
  Map<String, String> metadataOr(Map<String, String> ofLayer) {
    return metadata != null ? metadata : ofLayer;
  }
}
