// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.util.Map;
import org.blocksparse.Progress;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.layers.LayerFace;
import org.blocksparse.internal.layers.SavedLayer;

/**
 * Options of {@link org.blocksparse.softmax.TwoLevelLayer#save}, {@link
 * org.blocksparse.bag.EmbeddingBag#save} and {@link org.blocksparse.experts.MixtureOfExperts#save}:
 * the parts to write besides the parameters. Weights are written in the type that they have: to
 * save in another type, save the copy that {@code withWeights} of the layer returns. Immutable.
 */
public sealed interface SaveOptions permits SaveSettings {
  /** Returns the parameters, the classes, and the metadata that the layer was loaded with. */
  static SaveOptions defaults() {
    return SaveSettings.DEFAULTS;
  }

  /**
   * Saves these strings instead of those that the layer was loaded with.
   *
   * <p>They are part of the file's header. A header has at most 8 MB and 65,536 strings. A key, or
   * a value with letters outside Latin-1, has at most 2,097,152 letters. {@link
   * org.blocksparse.softmax.TwoLevelLayer#save(Path, SaveOptions)} rejects more; store larger data
   * in another file.
   *
   * @throws IllegalArgumentException if a key begins with {@code blocksparse.}, or if a string
   *     contains an unpaired surrogate
   */
  SaveOptions withMetadata(Map<String, String> entries);

  /** Saves the optimizer state as well, to continue training exactly. */
  SaveOptions withOptimizerState();

  /**
   * Saves another layer in the same file: the {@link org.blocksparse.bag.EmbeddingBag} that
   * computes the layer's x, or a {@link org.blocksparse.linear.LinearLabelTree} over the same
   * labels, whose names are those of the layer. The {@code load} method of its class loads it, and
   * {@code isIn} returns whether a file has one. If the file may be replaced between loading the
   * layer and loading its part, compare its time and size before and after, since the two may be of
   * different models.
   *
   * @throws IllegalArgumentException if there is a part of the same class already
   */
  default SaveOptions with(ModelPart part) {
    requireNonNull(part, "part");
    SavedLayer layer = SavedLayer.of((LayerFace<?>) part);
    return SaveSettings.from(this).withPart(part.getClass(), () -> layer.part("", null));
  }

  /** Sets a listener, which receives the number of bytes written. */
  SaveOptions withProgress(Progress listener);
}
