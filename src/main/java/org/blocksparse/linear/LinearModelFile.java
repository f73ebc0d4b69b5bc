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
import org.blocksparse.internal.kernels.StoredWeights;
import org.blocksparse.internal.kernels.WeightType;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;

/** A linear label tree as a safetensors file; {@link ModelNames} lists what is in it. */
final class LinearModelFile {
  /** The layer in events. */
  public static final String KIND = "linear label tree";

  private static final String BEGINS = "tree.begins";
  private static final String CHUNKS = "tree.chunks";
  private static final String STARTS = "tree.starts";
  private static final String COLUMNS = "tree.columns";
  private static final String WEIGHTS = "tree.weights";
  private static final String BIASES = "tree.biases";
  private static final String LEVELS = "tree.levels";
  private static final String OUTPUTS = "tree.outputs";
  private static final String LABELS = "tree.labels";
  private static final String CALIBRATION = "tree.calibration";
  private static final String TF_IDF = "tree.tfidf";

  /** No inverse document frequency of 2^31 rows is larger; squares of these stay finite. */
  private static final float MOST_INVERSE = 64;

  private LinearModelFile() {}

  /**
   * The content of a file.
   *
   * @param metadata the caller's own strings
   * @param labels the names of the outputs, or null
   */
  public record Content(LinearModel model, Map<String, String> metadata, NameTable labels) {}

  // ------------------------------------------------------------------------------------ writing

  /**
   * Writes a file.
   *
   * @throws IllegalArgumentException if the file cannot hold what is asked for
   * @throws IllegalStateException if the layer is closed
   */
  public static void save(Content content, Path file, SaveSettings settings) throws IOException {
    settings.requireNoPart();
    if (settings.optimizerState()) {
      throw new IllegalArgumentException(
          "options: a linear label tree has no state of an optimizer");
    }
    LinearModel model = content.model();
    try (StorageLease lease = new StorageLease();
        WeightsFile written = new WeightsFile(KIND, settings)) {
      add(model, written, lease);
      if (content.labels() != null) {
        LabelsFile.add(content.labels(), written.tensors());
      }
      Map<String, String> metadata =
          new TreeMap<>(settings.metadata() != null ? settings.metadata() : content.metadata());
      metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
      metadata.put(ModelNames.LAYER, ModelNames.LINEAR_LABEL_TREE);
      written.write(file, WEIGHTS, metadata, lease);
    }
  }

  /** A tree as a part of the file of another layer, with its outputs and their names. */
  public static SaveSettings.Part part(LinearModel model) {
    return (file, settings, metadata, lease) -> add(model, file, lease);
  }

  /**
   * The weights can be of a type.
   *
   * @throws IllegalArgumentException if not
   */
  public static WeightType requireType(WeightType type) {
    if (type.hasScales() || type.isPacked()) {
      throw new IllegalArgumentException(
          "type: expected FLOAT32, FLOAT16 or BFLOAT16 for a linear label tree but was " + type);
    }
    return type;
  }

  /** Adds all tensors of a tree to a file, and its memory to a lease. */
  private static void add(LinearModel model, WeightsFile file, StorageLease lease) {
    model.lease(lease);
    SparseChunks weights = model.weights();
    StoredWeights stored = new StoredWeights(weights.type(), weights.w(), null);
    file.add(WEIGHTS, weights.entries(), stored);
    file.tensors().add(TensorSource.ints(CHUNKS, new long[] {weights.rows()}, weights.chunks()));
    file.tensors()
        .add(TensorSource.ints(STARTS, new long[] {weights.rows() + 1L}, weights.starts()));
    file.tensors()
        .add(TensorSource.ints(BEGINS, new long[] {weights.features() + 1L}, weights.begins()));
    file.tensors()
        .add(TensorSource.floats(BIASES, new long[] {model.tree().outputs()}, weights.biases()));
    file.tensors().add(TensorSource.ints(LEVELS, model.tree().levelBegins()));
    file.tensors().add(TensorSource.ints(OUTPUTS, model.tree().outputBegins()));
    file.tensors().add(TensorSource.ints(LABELS, model.tree().labels()));
    List<Calibration> calibrations = model.calibrations();
    file.tensors()
        .add(
            floats(
                CALIBRATION,
                i ->
                    i % 2 == 0
                        ? calibrations.get(i / 2).slope()
                        : calibrations.get(i / 2).intercept(),
                calibrations.size(),
                2));
    if (model.tfIdf() != null) {
      file.tensors().add(floats(TF_IDF, i -> model.tfIdf().inverse()[i], weights.features()));
    }
    long[] entries = {weights.entries()};
    file.tensors().add(TensorSource.narrow(COLUMNS, Dtype.U8, entries, weights.columns()));
  }

  /** A number of a list. */
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
  public static Content load(Path file, LoadSettings settings) throws IOException {
    List<Storage> made = new ArrayList<>();
    try {
      return settings.read(
          file,
          read -> KIND,
          reader -> {
            Content content = new Loading(reader, settings, made).load();
            reader.requireIntact();
            return content;
          });
    } catch (Throwable e) {
      made.forEach(Storage::close);
      throw e;
    }
  }

  /** Whether a file holds a tree; only its header is read. */
  public static boolean isIn(Path file) throws IOException {
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      return reader.has(WEIGHTS);
    }
  }

  /** One file on its way to a layer. */
  private record Loading(SafeTensorsReader reader, LoadSettings settings, List<Storage> made) {
    Content load() throws IOException {
      ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
      if (!reader.has(WEIGHTS)) { // else it may be a part of the file of another layer
        metadata.requireLayer(ModelNames.LINEAR_LABEL_TREE);
      }
      WeightType type = type();
      TensorEntry weights = reader.entryOfRank(1, WEIGHTS, WeightsFile.dtype(type));
      long entries = requireSize(weights, 0, GrowingArrays.MAX_LENGTH);
      TensorEntry columns = reader.entry(COLUMNS, Dtype.U8, entries);
      TensorEntry chunkOf = reader.entryOfRank(1, CHUNKS, Dtype.I32);
      long rows = requireSize(chunkOf, 0, Math.min(entries, GrowingArrays.MAX_LENGTH - 1));
      TensorEntry starts = reader.entry(STARTS, Dtype.I32, rows + 1);
      TensorEntry begins = reader.entryOfRank(1, BEGINS, Dtype.I32);
      long features = requireSize(begins, 2, GrowingArrays.MAX_LENGTH) - 1;
      TensorEntry labels = reader.entryOfRank(1, LABELS, Dtype.I32);
      long outputs = requireSize(labels, 1, GrowingArrays.MAX_LENGTH);
      TensorEntry outputBegins = reader.entryOfRank(1, OUTPUTS, Dtype.I32);
      long chunks = requireSize(outputBegins, 2, GrowingArrays.MAX_LENGTH - outputs) - 1;
      TensorEntry levelBegins = reader.entryOfRank(1, LEVELS, Dtype.I32);
      long levels = requireSize(levelBegins, 2, chunks + 1) - 1;
      TensorEntry calibration = reader.entry(CALIBRATION, Dtype.F32, levels, 2);
      TensorEntry biases = reader.entry(BIASES, Dtype.F32, chunks - 1 + outputs);
      LabelsFile names = LabelsFile.orNull(reader, (int) outputs);
      reportProgress(weights, columns, chunkOf, biases);

      ChunkTree tree =
          tree(
              reader.readInts(levelBegins), reader.readInts(outputBegins), reader.readInts(labels));
      int[] ofFeatures = requireAscending(begins, rows);
      int[] ofRows = requireAscending(starts, entries);
      Storage chunksOfRows = chunksOfRows(chunkOf, ofFeatures, tree.chunks());
      SparseChunks stored =
          new SparseChunks(
              (int) features,
              ints(ofFeatures),
              chunksOfRows,
              ints(ofRows),
              (int) rows,
              columns(columns, tree, chunksOfRows, ofRows),
              type,
              elements(weights, type),
              (int) entries,
              settings.isMapped() ? reader.mapElements(biases) : reader.readFloats(biases));
      return new Content(
          LinearModel.of(tree, stored, calibrations(calibration), tfIdfOrNull((int) features)),
          metadata.ofUser(),
          names == null ? null : names.read(reader, !settings.isMapped()));
    }

    /** Reports the progress of reading from now on, of all but the mapped tensors. */
    private void reportProgress(TensorEntry... mappable) {
      long bytes = 0;
      for (TensorEntry entry : reader.entries()) {
        if (entry.name().startsWith("tree.") || entry.name().startsWith("labels.")) {
          bytes += entry.bytes();
        }
      }
      for (TensorEntry entry : mappable) {
        bytes -= settings.isMapped() ? entry.bytes() : 0;
      }
      reader.reportTo(settings.progress(), bytes);
    }

    private WeightType type() {
      Dtype found = reader.typeOrNull(WEIGHTS);
      return found == Dtype.F16
          ? WeightType.FLOAT16
          : found == Dtype.BF16 ? WeightType.BFLOAT16 : WeightType.FLOAT32;
    }

    /** The size of a list, which has limits. */
    private static long requireSize(TensorEntry entry, long least, long most)
        throws MalformedException {
      long size = entry.dims()[0];
      if (size < least || size > most) {
        throw new MalformedException(
            entry.name(), "has " + size + " elements, expected " + least + " to " + most);
      }
      return size;
    }

    private static ChunkTree tree(int[] levels, int[] outputs, int[] labels)
        throws MalformedException {
      try {
        return new ChunkTree(levels, outputs, labels).check();
      } catch (IllegalArgumentException e) {
        String part = e.getMessage().substring(0, e.getMessage().indexOf(':'));
        throw new MalformedException(
            "tree." + part, e.getMessage().substring(part.length() + 2), e);
      }
    }

    /** Numbers that ascend from 0 to an end. */
    private int[] requireAscending(TensorEntry entry, long end) throws IOException {
      int[] numbers = reader.readInts(entry);
      int before = 0;
      for (int i = 0; i < numbers.length; i++) {
        if (numbers[i] < before || numbers[i] > end) {
          throw new MalformedException(
              entry.name(), "element " + i + " = " + numbers[i] + " is outside of its order");
        }
        before = numbers[i];
      }
      if (numbers[0] != 0 || before != end) {
        throw new MalformedException(
            entry.name(), "is from " + numbers[0] + " to " + before + ", not from 0 to " + end);
      }
      return numbers;
    }

    private Storage ints(int[] numbers) {
      Storage storage = keep(Storage.allocate(numbers.length));
      storage.putInts(0, numbers, 0, numbers.length);
      return storage;
    }

    private Storage keep(Storage storage) {
      made.add(storage);
      return storage;
    }

    private Storage chunksOfRows(TensorEntry entry, int[] begins, int chunks) throws IOException {
      if (settings.isMapped()) {
        return reader.mapElements(entry);
      }
      int[] chunkOf = reader.readInts(entry);
      for (int feature = 0; feature + 1 < begins.length; feature++) {
        int before = -1;
        for (int row = begins[feature]; row < begins[feature + 1]; row++) {
          if (chunkOf[row] <= before || chunkOf[row] >= chunks) {
            throw new MalformedException(
                entry.name(), "element " + row + " = " + chunkOf[row] + " is outside of its order");
          }
          before = chunkOf[row];
        }
      }
      return ints(chunkOf);
    }

    private Storage columns(TensorEntry entry, ChunkTree tree, Storage chunkOf, int[] starts)
        throws IOException {
      if (settings.isMapped()) {
        return reader.mapElements(entry);
      }
      byte[] columns = reader.readBytes(entry);
      for (int row = 0; row + 1 < starts.length; row++) {
        int outputs = tree.size(chunkOf.getInt(row));
        for (int i = starts[row]; i < starts[row + 1]; i++) {
          int column = columns[i] & 0xff;
          if (column >= outputs) {
            throw new MalformedException(
                entry.name(), "element " + i + " = " + column + " is outside [0, " + outputs + ")");
          }
        }
      }
      Storage storage = keep(Storage.allocate((columns.length + 3L) / 4));
      storage.putBytes(0, columns, columns.length);
      return storage;
    }

    private Storage elements(TensorEntry entry, WeightType type) throws IOException {
      if (settings.isMapped()) {
        return reader.mapElements(entry);
      }
      return type == WeightType.FLOAT32 ? reader.readFloats(entry) : reader.readNarrow(entry);
    }

    private TfIdf tfIdfOrNull(int features) throws IOException {
      if (!reader.has(TF_IDF)) {
        return null;
      }
      float[] inverse = new float[features];
      Storage storage = reader.readFloats(reader.entry(TF_IDF, Dtype.F32, features));
      storage.getFloats(0, inverse, 0, features);
      storage.close();
      for (int feature = 0; feature < features; feature++) {
        if (!(inverse[feature] >= 0 && inverse[feature] <= MOST_INVERSE)) {
          throw new MalformedException(
              TF_IDF,
              "element "
                  + feature
                  + " = "
                  + inverse[feature]
                  + " is outside [0, "
                  + MOST_INVERSE
                  + "]");
        }
      }
      return new TfIdf(inverse);
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
