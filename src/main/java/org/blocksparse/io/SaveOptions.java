// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.util.Objects.requireNonNull;
import static org.blocksparse.internal.Access.BAGS;
import static org.blocksparse.internal.Access.LINEAR;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.Progress;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.internal.files.SafeTensorsWriter;
import org.blocksparse.internal.files.SaveSettings;

/**
 * Options of {@link org.blocksparse.softmax.TwoLevelLayer#save}, {@link
 * org.blocksparse.bag.EmbeddingBag#save} and {@link org.blocksparse.experts.MixtureOfExperts#save}:
 * the parts to write besides the parameters. Weights are written in the type that they have: to
 * save in another type, save the copy that {@code withWeights} of the layer returns. Immutable.
 */
public final class SaveOptions {
  /** Null: those that the layer was loaded with. */
  private final Map<String, String> metadata;

  private final boolean optimizerState;

  /** Read their memory when they are saved, because they may grow until then. */
  private final List<ModelPart> parts;

  private final Progress progress;

  private SaveOptions(
      Map<String, String> metadata,
      boolean optimizerState,
      List<ModelPart> parts,
      Progress progress) {
    this.metadata = metadata;
    this.optimizerState = optimizerState;
    this.parts = parts;
    this.progress = progress;
  }

  /** The parameters, the classes, and the metadata that the layer was loaded with. */
  public static SaveOptions defaults() {
    return new SaveOptions(null, false, List.of(), (done, total) -> {});
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
  public SaveOptions withMetadata(Map<String, String> entries) {
    for (Map.Entry<String, String> entry : requireNonNull(entries, "metadata").entrySet()) {
      requireNonNull(entry.getKey(), "metadata");
      requireNonNull(entry.getValue(), "metadata");
      if (!SafeTensorsWriter.isText(entry.getKey())
          || !SafeTensorsWriter.isText(entry.getValue())) {
        throw new IllegalArgumentException(
            "metadata: the key or value of an entry holds half of a pair of surrogates");
      }
      if (entry.getKey().startsWith(ModelNames.RESERVED)) {
        throw new IllegalArgumentException(
            "metadata: the key "
                + entry.getKey()
                + " begins with "
                + ModelNames.RESERVED
                + ", as only the format's own do");
      }
    }
    return new SaveOptions(new TreeMap<>(entries), optimizerState, parts, progress);
  }

  /** Also saves the optimizer state, to continue training exactly. */
  public SaveOptions withOptimizerState() {
    return new SaveOptions(metadata, true, parts, progress);
  }

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
  public SaveOptions with(ModelPart part) {
    requireNonNull(part, "part");
    for (ModelPart other : parts) {
      if (other.getClass() == part.getClass()) {
        throw new IllegalArgumentException(
            "part: expected one " + part.getClass().getSimpleName() + " but was a second one");
      }
    }
    List<ModelPart> all = new ArrayList<>(parts);
    all.add(part);
    return new SaveOptions(metadata, optimizerState, List.copyOf(all), progress);
  }

  /** The listener receives the number of bytes written. */
  public SaveOptions withProgress(Progress listener) {
    return new SaveOptions(metadata, optimizerState, parts, requireNonNull(listener, "progress"));
  }

  SaveSettings settings() {
    List<SaveSettings.Part> inFile = new ArrayList<>();
    for (ModelPart part : parts) {
      SaveSettings.Part bag = BAGS.partOrNull(part);
      inFile.add(requireNonNull(bag != null ? bag : LINEAR.partOrNull(part), "part"));
    }
    return new SaveSettings(metadata, optimizerState, inFile, progress);
  }
}
