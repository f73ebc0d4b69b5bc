// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
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
import org.blocksparse.internal.sparse.SparseChunks;

/** A linear label tree as a safetensors file; {@link ModelNames} lists what is in it. */
final class LinearModelFile {
  static final SparseChunksFile.Format FORMAT =
      new SparseChunksFile.Format("linear label tree", ModelNames.LINEAR_LABEL_TREE, "tree.");

  private static final String BIASES = "biases";
  private static final String LEVELS = "levels";
  private static final String OUTPUTS = "outputs";
  private static final String LABELS = "labels";
  private static final String CALIBRATION = "calibration";

  private LinearModelFile() {}

  // ------------------------------------------------------------------------------------ writing

  /**
   * Adds all tensors of a tree to a file, and its memory to a lease.
   *
   * @param prefix the prefix of the names of the tensors
   */
  static void add(String prefix, LinearModel model, WeightsFile file, StorageLease lease) {
    model.lease(lease);
    SparseChunks weights = model.weights();
    SparseChunksFile.add(prefix, weights, model.tree().chunks(), file);
    file.tensors()
        .add(
            TensorSource.floats(
                prefix + BIASES, new long[] {model.tree().outputs()}, weights.biases()));
    file.tensors().add(TensorSource.ints(prefix + LEVELS, model.tree().levelBegins()));
    file.tensors().add(TensorSource.ints(prefix + OUTPUTS, model.tree().outputBegins()));
    file.tensors().add(TensorSource.ints(prefix + LABELS, model.tree().labels()));
    List<Calibration> calibrations = model.calibrations();
    file.tensors()
        .add(
            floats(
                prefix + CALIBRATION,
                i ->
                    i % 2 == 0
                        ? calibrations.get(i / 2).slope()
                        : calibrations.get(i / 2).intercept(),
                calibrations.size(),
                2));
    if (model.tfIdf() != null) {
      model.tfIdf().add(prefix, file);
    }
  }

  /** Returns a number of a list. */
  private interface Numbers {
    float of(int i);
  }

  private static TensorSource floats(String name, Numbers numbers, long... dims) {
    return new TensorSource(
        name,
        Dtype.F32,
        dims,
        (begin, count, into) -> {
          for (int i = (int) begin; i < begin + count; i++) {
            into.putFloat(numbers.of(i));
          }
        });
  }

  // ------------------------------------------------------------------------------------ reading

  /**
   * Loads a linear label tree.
   *
   * @throws MalformedException if the file does not hold one
   */
  static SparseChunksFile.Content<LinearModel> load(Path file, LoadSettings settings)
      throws IOException {
    String prefix = FORMAT.prefixOr(settings.prefix());
    return SparseChunksFile.load(
        file,
        settings,
        FORMAT,
        (reader, made) -> new Loading(reader, settings, made, prefix).load());
  }

  /** Returns whether a file holds a tree; only its header is read. */
  static boolean isIn(Path file) throws IOException {
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      return reader.has(FORMAT.weights());
    }
  }

  /** The state of loading one file. */
  private record Loading(
      SafeTensorsReader reader, LoadSettings settings, List<Storage> made, String prefix) {
    SparseChunksFile.Content<LinearModel> load() throws IOException {
      ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
      if (prefix.equals(FORMAT.prefix())
          && !reader.has(FORMAT.weights())) { // or it may be a part of the file of another layer
        metadata.requireLayer(FORMAT.layer());
      }
      SparseChunksFile sparse = new SparseChunksFile(reader, settings, made, prefix);
      TensorEntry labels = reader.entryOfRank(1, prefix + LABELS, Dtype.I32);
      long outputs = SparseChunksFile.requireSize(labels, 1, GrowingArrays.MAX_LENGTH);
      TensorEntry outputBegins = reader.entryOfRank(1, prefix + OUTPUTS, Dtype.I32);
      long chunks =
          SparseChunksFile.requireSize(outputBegins, 2, GrowingArrays.MAX_LENGTH - outputs) - 1;
      TensorEntry levelBegins = reader.entryOfRank(1, prefix + LEVELS, Dtype.I32);
      long levels = SparseChunksFile.requireSize(levelBegins, 2, chunks + 1) - 1;
      TensorEntry calibration = reader.entry(prefix + CALIBRATION, Dtype.F32, levels, 2);
      TensorEntry biases = reader.entry(prefix + BIASES, Dtype.F32, chunks - 1 + outputs);
      LabelsFile names = LabelsFile.orNull(reader, (int) outputs);
      reportProgress(sparse.mapped(), biases);

      ChunkTree tree =
          tree(
              reader.readInts(levelBegins), reader.readInts(outputBegins), reader.readInts(labels));
      Storage ofOutputs =
          settings.isMapped() ? reader.mapElements(biases) : reader.readFloats(biases);
      SparseChunks stored = sparse.read(tree.chunks(), tree::size, ofOutputs);
      return new SparseChunksFile.Content<>(
          LinearModel.of(
              tree,
              stored,
              calibrations(calibration),
              TfIdf.readOrNull(reader, prefix, stored.features())),
          metadata.ofUser(),
          names == null ? null : names.read(reader, !settings.isMapped()));
    }

    /** Reports the progress of reading from now on, of all tensors except the mapped ones. */
    private void reportProgress(List<TensorEntry> mappable, TensorEntry biases) {
      long bytes = 0;
      for (TensorEntry entry : reader.entries()) {
        boolean isOfTree = // and not to another one, which has a longer prefix
            entry.name().startsWith(prefix) && entry.name().indexOf('.', prefix.length()) < 0;
        if (isOfTree || entry.name().startsWith("labels.")) {
          bytes += entry.bytes();
        }
      }
      if (settings.isMapped()) {
        bytes -= biases.bytes() + mappable.stream().mapToLong(TensorEntry::bytes).sum();
      }
      reader.reportTo(settings.progress(), bytes);
    }

    private ChunkTree tree(int[] levels, int[] outputs, int[] labels) throws MalformedException {
      try {
        return new ChunkTree(levels, outputs, labels).check();
      } catch (IllegalArgumentException e) {
        String part = e.getMessage().substring(0, e.getMessage().indexOf(':'));
        throw new MalformedException(prefix + part, e.getMessage().substring(part.length() + 2), e);
      }
    }

    private List<Calibration> calibrations(TensorEntry entry) throws IOException {
      Storage storage = reader.readFloats(entry);
      List<Calibration> calibrations = new ArrayList<>();
      for (long level = 0; level < entry.size() / 2; level++) {
        float slope = storage.getFloat(2 * level);
        if (!(slope > 0)) {
          throw new MalformedException(
              entry.name(), "slope " + level + " = " + slope + " is not > 0");
        }
        calibrations.add(new Calibration(slope, storage.getFloat(2 * level + 1)));
      }
      storage.close();
      return calibrations;
    }
  }
}
