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
 * What {@link TwoLevelLayer#save}, {@link EmbeddingBag#save} and {@link MixtureOfExperts#save}
 * write besides the parameters. Immutable.
 */
public final class SaveOptions {
  /** Without the bag. */
  private final SaveSettings settings;

  /** Null: none. Its memory is asked for when it is saved, as it may grow until then. */
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
   * Strings of the caller's own in place of those that the layer was loaded with.
   *
   * <p>They are part of the file's header, which may have 8 MB, 65,536 strings, and 2,097,152
   * letters of a key, or of a value with letters beyond Latin-1; more belongs into a file of its
   * own. {@link TwoLevelLayer#save(Path, SaveOptions)} refuses it.
   *
   * @throws IllegalArgumentException if a key begins with {@code blocksparse.}, or if a string is
   *     no text: it holds half of a pair of surrogates
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

  /** Saves the optimizer state, too, to continue training exactly. */
  public SaveOptions withOptimizerState() {
    return new SaveOptions(
        new SaveSettings(
            settings.metadata(), true, null, null, settings.weights(), settings.progress()),
        bag,
        linearTree);
  }

  /**
   * A bag in the same file, which makes the x of the layer: {@link EmbeddingBag#load}, and {@link
   * HierarchicalSoftmax#load} or {@link LabelTree#load}, load from it what is theirs; {@link
   * EmbeddingBag#isIn} returns whether there is a bag. These are several calls: if the file may be
   * replaced meanwhile, compare its time and size before and after, or they may be of different
   * models.
   */
  public SaveOptions withBag(EmbeddingBag value) {
    return new SaveOptions(settings, requireNonNull(value, "bag"), linearTree);
  }

  /**
   * A linear tree over the same labels in the same file: {@link LinearLabelTree#load} loads it, and
   * {@link LinearLabelTree#isIn} returns whether there is one. Names of labels are those of the
   * layer. With {@link #withWeights} of INT8, the weights of the tree get 16 bits; weights of 16
   * bits stay as they are.
   */
  public SaveOptions withLinearTree(LinearLabelTree value) {
    return new SaveOptions(settings, bag, requireNonNull(value, "linearTree"));
  }

  /**
   * W1, W2 and the table of a bag in another type, as {@link TwoLevelLayer#withWeights}, {@link
   * EmbeddingBag#withWeights} and {@link MixtureOfExperts#withWeights} make them, rounded while
   * they are written: of a layer that is mapped from its file, W2 and the table are not held in
   * memory. Models loaded from the new file are read-only. Without this, each layer's weights are
   * written as they are.
   *
   * <p>Saving throws {@link IllegalArgumentException} if the type is packed, except for experts; if
   * a weight is not finite or too large for the type; or beside the state of an optimizer. It
   * throws {@link IllegalStateException} if the layer has weights of another narrow type already.
   * The file is then the old one.
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

  /** The listener receives the bytes written. */
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
