// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.blocksparse.Progress;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.io.SaveOptions;

/**
 * The content of a file besides the parameters.
 *
 * @param metadata the caller's own strings; null: those that the layer has
 * @param parts the other layers in the same file
 */
public record SaveSettings(
    Map<String, String> metadata, boolean optimizerState, List<PartOf> parts, Progress progress)
    implements SaveOptions {
  /** Parameters, classes and the metadata of the layer. */
  public static final SaveSettings DEFAULTS =
      new SaveSettings(null, false, List.of(), (done, total) -> {});

  /**
   * A part and its class.
   *
   * @param now returns the part when the file is written, since its memory may grow until then
   */
  public record PartOf(Class<?> type, Supplier<Part> now) {}

  /** Another layer in the file of a layer. */
  public interface Part {
    /** Adds its tensors and metadata to a file, and the memory that they are in to a lease. */
    void addTo(
        WeightsFile file, SaveSettings settings, Map<String, String> metadata, StorageLease lease);

    /** Returns the part with a prefix before the names of its tensors, and in its keys. */
    default Part under(String prefix) {
      if (prefix.isEmpty()) {
        return this;
      }
      return (file, settings, metadata, lease) -> {
        int before = file.tensors().size();
        Map<String, String> keys = new TreeMap<>();
        addTo(file, settings, keys, lease);
        file.tensors()
            .subList(before, file.tensors().size())
            .replaceAll(tensor -> tensor.under(prefix));
        keys.forEach((key, value) -> metadata.put(ModelNames.under(prefix, key), value));
      };
    }
  }

  /** Returns the only implementation of the options. */
  public static SaveSettings from(SaveOptions options) {
    return (SaveSettings) options;
  }

  /** Returns settings with these parts instead. */
  public SaveSettings withParts(List<Part> all) {
    List<PartOf> made = all.stream().map(part -> new PartOf(part.getClass(), () -> part)).toList();
    return new SaveSettings(metadata, optimizerState, made, progress);
  }

  /** Returns settings with one more part; see {@link SaveOptions#with}. */
  public SaveSettings withPart(Class<?> type, Supplier<Part> part) {
    List<PartOf> all = new ArrayList<>(parts);
    for (PartOf other : parts) {
      if (other.type() == type) {
        throw new IllegalArgumentException(
            "part: expected one " + type.getSimpleName() + " but was a second one");
      }
    }
    all.add(new PartOf(type, part));
    return new SaveSettings(metadata, optimizerState, List.copyOf(all), progress);
  }

  @Override
  public SaveSettings withMetadata(Map<String, String> entries) {
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
    return new SaveSettings(new TreeMap<>(entries), optimizerState, parts, progress);
  }

  @Override
  public SaveSettings withOptimizerState() {
    return new SaveSettings(metadata, true, parts, progress);
  }

  @Override
  public SaveSettings withProgress(Progress listener) {
    return new SaveSettings(metadata, optimizerState, parts, requireNonNull(listener, "progress"));
  }

  /**
   * Requires that there is no other layer.
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

  /** Returns the metadata to be written, given those that the layer has. */
  public Map<String, String> metadataOr(Map<String, String> ofLayer) {
    return metadata != null ? metadata : ofLayer;
  }
}
