// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.files.LayerFile;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.layers.LayerFace;
import org.blocksparse.internal.layers.SavedLayer;
import org.blocksparse.internal.layers.ScoringLayer;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/**
 * Sparse weights by feature, with names of the outputs and the metadata of a file.
 *
 * @param <S> their scores in a sum
 */
abstract sealed class SparseLayer<S> extends LayerFace<ScoringLayer<SparseRows, S>>
    implements AutoCloseable permits LinearLabelTree, SparseWeights {
  private final SparseChunks weights;
  private final Engine engine;
  private final Map<String, String> metadata;
  private volatile Labels labels;

  SparseLayer(
      ScoringLayer<SparseRows, S> inner,
      SparseChunks weights,
      Engine engine,
      Map<String, String> metadata,
      Labels labels) {
    super(inner);
    this.weights = weights;
    this.engine = engine;
    this.metadata = Collections.unmodifiableMap(metadata);
    this.labels = labels;
  }

  /** Returns how many features there are. */
  public int features() {
    return weights.features();
  }

  /** Returns how many outputs, or labels, there are. */
  public abstract int outputs();

  /** Returns the number of weights that are stored. */
  public int weightCount() {
    return weights.entries();
  }

  /** Returns the type of the stored weights. */
  public ElementType weightType() {
    return weights.type().elementType();
  }

  /** Returns whether the outputs have names. */
  public boolean hasLabels() {
    return labels != null;
  }

  /**
   * Returns the names of the outputs.
   *
   * @throws IllegalStateException if the outputs have no names
   */
  public Labels labels() {
    return NameTable.orThrow(labels);
  }

  /**
   * Sets the names of the outputs. Existing rankings keep the old names.
   *
   * @throws IllegalArgumentException unless there is one name per output
   */
  public void setLabels(Labels names) {
    labels = NameTable.from(requireNonNull(names, "labels")).forAll(outputs());
  }

  /** Returns the strings of the file that this was loaded from, by key. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** Returns the off-heap memory of the weights: mapped bytes and private bytes. */
  public MemoryUse memoryUse() {
    return KernelOperands.memoryUse(Stream.of(weights.storages()));
  }

  /** Frees the weights as soon as no call uses them. */
  @Override
  public void close() {
    weights.close();
  }

  @Override
  public String toString() {
    ElementType type = weightType();
    return getClass().getSimpleName()
        + "("
        + features()
        + " features, "
        + outputs()
        + " outputs"
        + groups()
        + ", "
        + weightCount()
        + " weights"
        + (type == ElementType.FLOAT32 ? "" : " of " + type)
        + ", "
        + bytes()
        + " bytes, "
        + engine
        + ")";
  }

  private long bytes() {
    return 4L * (features() + 2L + 2L * weights.rows() + weights.biases().elements())
        + (1L + weights.type().bytes()) * weights.entries();
  }

  /** Returns what the outputs are in, for {@link #toString}. */
  abstract String groups();

  Engine engine() {
    return engine;
  }

  /** Returns the names of the outputs; null if they have none. */
  Labels labelsOrNull() {
    return labels;
  }

  /** Returns the format in which it is saved. */
  abstract SparseChunksFile.Format format();

  /** Saves everything; see {@link #save(Path, SaveOptions)}. */
  public void save(Path file) throws IOException {
    save(file, SaveOptions.defaults());
  }

  /**
   * Saves everything as one safetensors file, with the names of the outputs. The write is atomic:
   * even after a crash, the file is the old one or the new one.
   *
   * @throws IllegalArgumentException if the options have a part or optimizer state, or if the
   *     metadata is too large for a file
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    requireNonNull(file, "file");
    SaveSettings settings = SaveSettings.from(requireNonNull(options, "options"));
    settings.requireNoPart();
    if (settings.optimizerState()) {
      throw new IllegalArgumentException(
          "options: expected no state of an optimizer, which is none of " + format().kind());
    }
    SaveSettings.Part layer = SavedLayer.of(this).part("", null);
    new LayerFile(
            format().kind(),
            format().weights(),
            (written, all, ofFile, lease) -> {
              ofFile.put(ModelNames.LAYER, format().layer());
              layer.addTo(written, all, ofFile, lease);
            },
            metadata,
            NameTable.from(labels))
        .write(file, settings);
  }

  /** Returns the k outputs with the highest scores; see {@link #topK(SparseRows, int, Filter)}. */
  public Ranking topK(SparseRows x, int k) {
    return topK(x, k, FilterLists.NONE);
  }

  /** Returns the k outputs of each row with the highest scores among those that a filter allows. */
  public abstract Ranking topK(SparseRows x, int k, Filter filter);
}
