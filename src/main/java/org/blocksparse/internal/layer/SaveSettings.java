// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.layer;

import java.util.Map;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.format.ByteProgress;

/**
 * The content of a file besides the parameters.
 *
 * @param metadata the caller's own strings; null: those that the layer has
 * @param bag in the same file; null: none
 * @param weights the type of the weights; null: as the layer has them
 */
public record SaveSettings(
    Map<String, String> metadata,
    boolean optimizerState,
    BagMemory bag,
    WeightType weights,
    ByteProgress progress) {
  /** The metadata to be written, given those that the layer has. */
  Map<String, String> metadataOr(Map<String, String> ofLayer) {
    return metadata != null ? metadata : ofLayer;
  }
}
