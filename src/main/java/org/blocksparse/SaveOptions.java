// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.internal.format.SafeTensorsWriter;
import org.blocksparse.internal.layer.ModelNames;
import org.blocksparse.internal.layer.SaveSettings;

/**
 * Options of {@link TwoLevelLayer#save}, {@link EmbeddingBag#save} and {@link
 * MixtureOfExperts#save}: the parts to write besides the parameters, and the type of weights.
 * Immutable.
 */
public final class SaveOptions {
  /** Without the bag. */
  private final SaveSettings settings;

  /** Null: none. Read its memory when it is saved, because it may grow until then. */
  private final EmbeddingBag bag;

  /** Null: none. */
  private final LinearLabelTree linearTree;

  private SaveOptions(SaveSettings settings, EmbeddingBag bag, LinearLabelTree linearTree) {
    this.settings = settings;
    this.bag = bag;
    this.linearTree = linearTree;
  }

  /** The parameters, the classes, and the metadata that the layer was loaded with. */
  public static SaveOptions defaults() {
    return new SaveOptions(
        new SaveSettings(null, false, null, null, null, (done, total) -> {}), null, null);
  }

  /**
   * Saves these strings instead of those that the layer was loaded with.
   *
   * <p>They are part of the file's header. A header has at most 8 MB and 65,536 strings. A key, or
   * a value with letters outside Latin-1, has at most 2,097,152 letters. {@link
   * TwoLevelLayer#save(Path, SaveOptions)} rejects more; store larger data in another file.
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
    return new SaveOptions(
        new SaveSettings(
            new TreeMap<>(entries),
            settings.optimizerState(),
            null,
            null,
            settings.weights(),
            settings.progress()),
        bag,
        linearTree);
  }

  /** Also saves the optimizer state, to continue training exactly. */
  public SaveOptions withOptimizerState() {
    return new SaveOptions(
        new SaveSettings(
            settings.metadata(), true, null, null, settings.weights(), settings.progress()),
        bag,
        linearTree);
  }

  /**
   * Saves the bag that computes the layer's x in the same file. {@link EmbeddingBag#load} loads the
   * bag, and {@link HierarchicalSoftmax#load} or {@link LabelTree#load} loads the layer. {@link
   * EmbeddingBag#isIn} returns whether there is a bag. If the file may be replaced between the two
   * calls, compare its time and size before and after, since the two parts may be of different
   * models.
   */
  public SaveOptions withBag(EmbeddingBag value) {
    return new SaveOptions(settings, requireNonNull(value, "bag"), linearTree);
  }

  /**
   * Saves a linear tree over the same labels in the same file. {@link LinearLabelTree#load} loads
   * it, and {@link LinearLabelTree#isIn} returns whether there is one. Label names are those of the
   * layer. With {@link #withWeights} of INT8, the weights of the tree are saved with 16 bits;
   * 16-bit weights do not change.
   */
  public SaveOptions withLinearTree(LinearLabelTree value) {
    return new SaveOptions(settings, bag, requireNonNull(value, "linearTree"));
  }

  /**
   * Saves W1, W2 and the table of a bag in another type, with the values of {@link
   * TwoLevelLayer#withWeights}, {@link EmbeddingBag#withWeights} and {@link
   * MixtureOfExperts#withWeights}. They are rounded during the write, so W2 and the table of a
   * mapped layer need no memory. Models loaded from the new file are read-only. By default, the
   * type of weights does not change.
   *
   * <p>Saving throws {@link IllegalArgumentException} if the type is packed, except for experts; if
   * a weight is not finite or too large for the type; or with {@link #withOptimizerState}. It
   * throws {@link IllegalStateException} if the layer already has weights of another narrow type.
   * The old file then remains.
   */
  public SaveOptions withWeights(ElementType type) {
    return new SaveOptions(
        new SaveSettings(
            settings.metadata(),
            settings.optimizerState(),
            null,
            null,
            requireNonNull(type, "type").stored(),
            settings.progress()),
        bag,
        linearTree);
  }

  /** The listener receives the number of bytes written. */
  public SaveOptions withProgress(Progress listener) {
    return new SaveOptions(
        new SaveSettings(
            settings.metadata(),
            settings.optimizerState(),
            null,
            null,
            settings.weights(),
            requireNonNull(listener, "progress")::update),
        bag,
        linearTree);
  }

  SaveSettings settings() {
    return new SaveSettings(
        settings.metadata(),
        settings.optimizerState(),
        bag == null ? null : bag.memory(),
        linearTree == null ? null : linearTree.part(),
        settings.weights(),
        settings.progress());
  }
}
