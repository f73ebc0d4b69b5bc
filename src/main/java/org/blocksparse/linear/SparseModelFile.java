// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LabelsFile;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.ModelMetadata;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.TensorEntry;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.search.SparseSearch;
import org.blocksparse.internal.sparse.SparseChunks;

/** Sparse weights as a safetensors file; {@link ModelNames} lists what is in it. */
final class SparseModelFile {
  static final SparseChunksFile.Format FORMAT =
      new SparseChunksFile.Format("sparse weights", ModelNames.SPARSE_WEIGHTS, "sparse.");

  private static final String BIASES = "biases";

  private SparseModelFile() {}

  /** Adds all tensors to a file, and their memory to a lease. */
  static void add(String prefix, SparseModel model, WeightsFile file, StorageLease lease) {
    model.lease(lease);
    SparseChunks weights = model.weights();
    SparseChunksFile.add(prefix, weights, SparseSearch.chunks(model.outputs()), file);
    long[] outputs = {model.outputs()};
    file.tensors().add(TensorSource.floats(prefix + BIASES, outputs, weights.biases()));
    if (model.tfIdf() != null) {
      model.tfIdf().add(prefix, file);
    }
  }

  /**
   * Loads sparse weights.
   *
   * @throws MalformedException if the file does not hold them
   */
  static SparseChunksFile.Content<SparseModel> load(Path file, LoadSettings settings)
      throws IOException {
    String prefix = FORMAT.prefixOr(settings.prefix());
    return SparseChunksFile.load(
        file, settings, FORMAT, (reader, made) -> load(reader, settings, prefix, made));
  }

  private static SparseChunksFile.Content<SparseModel> load(
      SafeTensorsReader reader, LoadSettings settings, String prefix, List<Storage> made)
      throws IOException {
    ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
    boolean alone = prefix.equals(FORMAT.prefix());
    if (alone && !reader.has(FORMAT.weights())) {
      metadata.requireLayer(FORMAT.layer());
    }
    SparseChunksFile sparse = new SparseChunksFile(reader, settings, made, prefix);
    TensorEntry biases = reader.entryOfRank(1, prefix + BIASES, Dtype.F32);
    int outputs = (int) SparseChunksFile.requireSize(biases, 1, GrowingArrays.MAX_LENGTH);
    LabelsFile names = LabelsFile.orNull(reader, alone ? "" : prefix, outputs);
    if (!alone && names != null && names.order().size() != outputs) {
      throw new MalformedException(
          names.offsets().name(),
          "has " + names.order().size() + " names for " + outputs + " outputs");
    }
    TfIdf tfIdf = TfIdf.readOrNull(reader, prefix, sparse.features());
    long bytes = biases.bytes() + sparse.bytesToRead() + (names == null ? 0 : names.bytes());
    reader.reportTo(settings.progress(), bytes);
    SparseChunks weights =
        sparse.read(
            SparseSearch.chunks(outputs),
            chunk ->
                Math.min(SparseChunks.MOST_OUTPUTS, outputs - SparseChunks.MOST_OUTPUTS * chunk),
            requireZeros(reader, biases));
    return new SparseChunksFile.Content<>(
        SparseModel.of(weights, outputs, tfIdf),
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
