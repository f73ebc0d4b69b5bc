// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LabelsFile;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.ModelMetadata;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.files.TensorEntry;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.kernels.SparseChunks;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.search.SparseSearch;

/** Sparse weights as a safetensors file; {@link ModelNames} lists what is in it. */
final class SparseModelFile {
  /** The layer in events. */
  static final String KIND = "sparse weights";

  static final String PREFIX = "sparse.";
  private static final String BIASES = "biases";

  private SparseModelFile() {}

  /**
   * The content of a file.
   *
   * @param metadata the caller's own strings
   * @param labels the names of the outputs, or null
   */
  record Content(SparseModel model, Map<String, String> metadata, NameTable labels) {}

  /**
   * Writes a file.
   *
   * @throws IllegalArgumentException if the file cannot hold what is asked for
   * @throws IllegalStateException if the weights are closed
   */
  static void save(Content content, Path file, SaveSettings settings) throws IOException {
    settings.requireNoPart();
    if (settings.optimizerState()) {
      throw new IllegalArgumentException("options: sparse weights have no state of an optimizer");
    }
    try (StorageLease lease = new StorageLease();
        WeightsFile written = new WeightsFile(KIND, settings)) {
      add(PREFIX, content.model(), written, lease);
      if (content.labels() != null) {
        LabelsFile.add(content.labels(), written.tensors());
      }
      Map<String, String> metadata = new TreeMap<>(settings.metadataOr(content.metadata()));
      metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
      metadata.put(ModelNames.LAYER, ModelNames.SPARSE_WEIGHTS);
      written.write(file, PREFIX + SparseChunksFile.WEIGHTS, metadata, lease);
    }
  }

  /** Adds all tensors to a file, and their memory to a lease. */
  static void add(String prefix, SparseModel model, WeightsFile file, StorageLease lease) {
    model.lease(lease);
    SparseChunks weights = model.weights();
    SparseChunksFile.add(prefix, weights, file);
    long[] outputs = {model.outputs()};
    file.tensors().add(TensorSource.floats(prefix + BIASES, outputs, weights.biases()));
  }

  /**
   * Loads sparse weights.
   *
   * @param prefix of the names of their tensors, in the file of another layer
   * @throws MalformedException if the file does not hold them
   */
  static Content load(Path file, LoadSettings settings, String prefix) throws IOException {
    List<Storage> made = new ArrayList<>();
    try {
      return settings.read(
          file,
          read -> KIND,
          reader -> {
            ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
            if (prefix.equals(PREFIX) && !reader.has(prefix + SparseChunksFile.WEIGHTS)) {
              metadata.requireLayer(ModelNames.SPARSE_WEIGHTS);
            }
            Content content = load(reader, settings, prefix, metadata, made);
            reader.requireIntact();
            return content;
          });
    } catch (Throwable e) {
      made.forEach(Storage::close);
      throw e;
    }
  }

  private static Content load(
      SafeTensorsReader reader,
      LoadSettings settings,
      String prefix,
      ModelMetadata metadata,
      List<Storage> made)
      throws IOException {
    SparseChunksFile sparse = new SparseChunksFile(reader, settings, made, prefix);
    TensorEntry biases = reader.entryOfRank(1, prefix + BIASES, Dtype.F32);
    int outputs = (int) SparseChunksFile.requireSize(biases, 1, GrowingArrays.MAX_LENGTH);
    // Those of another layer's file are not of these weights alone, which may have fewer outputs.
    LabelsFile names = prefix.equals(PREFIX) ? LabelsFile.orNull(reader, outputs) : null;
    long bytes = biases.bytes() + sparse.bytesToRead() + (names == null ? 0 : names.bytes());
    reader.reportTo(settings.progress(), bytes);
    SparseChunks weights =
        sparse.read(
            SparseSearch.chunks(outputs),
            chunk ->
                Math.min(SparseChunks.MOST_OUTPUTS, outputs - SparseChunks.MOST_OUTPUTS * chunk),
            requireZeros(reader, biases));
    return new Content(
        SparseModel.of(weights, outputs),
        metadata.ofUser(),
        names == null ? null : names.read(reader, !settings.isMapped()));
  }

  private static Storage requireZeros(SafeTensorsReader reader, TensorEntry entry)
      throws IOException {
    Storage biases = reader.readFloats(entry);
    for (long output = 0; output < entry.size(); output++) {
      if (biases.getFloat(output) != 0) {
        throw new MalformedException(
            entry.name(), "element " + output + " = " + biases.getFloat(output) + " is not 0");
      }
    }
    return biases;
  }
}
