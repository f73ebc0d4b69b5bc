// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.internal.memory.StorageLease;

/**
 * The file of a layer: what the layer adds to any file, the parts of other layers, and names.
 *
 * @param kind the kind of the file, for events
 * @param aligned the tensor that begins at a multiple of 64 bytes
 * @param layer the tensors and keys of the layer, without names
 * @param ofUser the strings that the layer was loaded with
 * @param names the names of the outputs; null if there are none
 */
public record LayerFile(
    String kind,
    String aligned,
    SaveSettings.Part layer,
    Map<String, String> ofUser,
    NameTable names) {
  /**
   * Writes the file.
   *
   * @throws IllegalArgumentException if the file cannot hold what is asked for
   * @throws IllegalStateException if the layer is closed, or a parameter is not finite
   */
  public void write(Path file, SaveSettings settings) throws IOException {
    try (StorageLease lease = new StorageLease();
        WeightsFile written = new WeightsFile(kind, settings)) {
      Map<String, String> metadata = new TreeMap<>(settings.metadataOr(ofUser));
      metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
      layer.addTo(written, settings, metadata, lease);
      for (SaveSettings.PartOf part : settings.parts()) {
        part.now().get().addTo(written, settings, metadata, lease);
      }
      if (names != null) {
        LabelsFile.add(names, written.tensors());
      }
      written.write(file, aligned, metadata, lease);
    }
  }
}
