// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.internal.format.SafeTensorsWriter;

/** What {@link HierarchicalSoftmax#save} writes besides the parameters. Immutable. */
public final class SaveOptions {
  private final Map<String, String> metadata;
  private final boolean optimizerState;
  private final Progress progress;

  private SaveOptions(Map<String, String> metadata, boolean optimizerState, Progress progress) {
    this.metadata = metadata;
    this.optimizerState = optimizerState;
    this.progress = requireNonNull(progress, "progress");
  }

  /** The parameters, the classes, and the metadata that the layer was loaded with. */
  public static SaveOptions defaults() {
    return new SaveOptions(null, false, (done, total) -> {});
  }

  /**
   * Strings of the caller's own in place of those that the layer was loaded with.
   *
   * <p>They are part of the file's header, which may have 8 MB and 65,536 strings; more belongs
   * into a file of its own. {@link HierarchicalSoftmax#save(Path, SaveOptions)} refuses it.
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
    return new SaveOptions(new TreeMap<>(entries), optimizerState, progress);
  }

  /** What the optimizer remembers as well, so that training can go on as if it had not ended. */
  public SaveOptions withOptimizerState() {
    return new SaveOptions(metadata, true, progress);
  }

  /** Who is told how many bytes have been written. */
  public SaveOptions withProgress(Progress listener) {
    return new SaveOptions(metadata, optimizerState, listener);
  }

  /** Null: those that the layer has. */
  Map<String, String> metadata() {
    return metadata;
  }

  boolean optimizerState() {
    return optimizerState;
  }

  Progress progress() {
    return progress;
  }
}
