// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.Map;
import java.util.TreeMap;

/** What {@link HierarchicalSoftmax#save} writes besides the parameters. Immutable. */
public final class SaveOptions {
  /** Keys of metadata that begin so are the format's own. */
  static final String RESERVED = "blocksparse.";

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
   * @throws IllegalArgumentException if a key begins with {@code blocksparse.}
   */
  public SaveOptions withMetadata(Map<String, String> entries) {
    for (Map.Entry<String, String> entry : requireNonNull(entries, "metadata").entrySet()) {
      requireNonNull(entry.getKey(), "metadata");
      requireNonNull(entry.getValue(), "metadata");
      if (entry.getKey().startsWith(RESERVED)) {
        throw new IllegalArgumentException(
            "metadata: the key "
                + entry.getKey()
                + " begins with "
                + RESERVED
                + ", as only the format's own do");
      }
    }
    return new SaveOptions(new TreeMap<>(entries), optimizerState, progress);
  }

  /** What the optimiser remembers as well, so that training can go on as if it had not ended. */
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
