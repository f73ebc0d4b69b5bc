// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.TensorEntry;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/** Sparse weights in a safetensors file, in tensors whose names begin with a prefix. */
final class SparseChunksFile {
  /**
   * The kind of a file.
   *
   * @param kind the layer in events
   * @param layer its name in the metadata
   * @param prefix the prefix of the names of its tensors
   */
  record Format(String kind, String layer, String prefix) {
    /** Returns a prefix; that of the layer's own file if it is empty. */
    String prefixOr(String other) {
      return other.isEmpty() ? prefix : other;
    }

    /** Returns the name of the weights. */
    String weights() {
      return prefix + WEIGHTS;
    }
  }

  /**
   * The content of a file.
   *
   * @param metadata the caller's own strings
   * @param labels the names of the outputs, or null
   */
  record Content<M>(M model, Map<String, String> metadata, NameTable labels) {}

  /** Reads the content from an open file. */
  interface Loading<M> {
    /**
     * Reads the content.
     *
     * @param made receives the memory that is allocated
     */
    Content<M> read(SafeTensorsReader reader, List<Storage> made) throws IOException;
  }

  private static final String WEIGHTS = "weights";
  private static final String BEGINS = "begins";
  private static final String CHUNKS = "chunks";
  private static final String SIZES = "sizes";

  private static final String COLUMNS = "columns";

  private final SafeTensorsReader reader;
  private final LoadSettings settings;

  /** Receives the memory that this class allocates. */
  private final List<Storage> made;

  private final WeightType type;
  private final TensorEntry weights;
  private final TensorEntry columns;
  private final TensorEntry chunkOf;
  private final TensorEntry sizes;
  private final TensorEntry begins;

  /**
   * Finds the tensors of a file.
   *
   * @param made receives the memory that {@link #read} allocates
   * @throws MalformedException if one is missing or has a wrong size
   */
  SparseChunksFile(
      SafeTensorsReader reader, LoadSettings settings, List<Storage> made, String prefix)
      throws MalformedException {
    this.reader = reader;
    this.settings = settings;
    this.made = made;
    Dtype found = reader.typeOrNull(prefix + WEIGHTS);
    this.type =
        found == Dtype.F16
            ? WeightType.FLOAT16
            : found == Dtype.BF16 ? WeightType.BFLOAT16 : WeightType.FLOAT32;
    this.weights = reader.entryOfRank(1, prefix + WEIGHTS, WeightsFile.dtype(type));
    long entries = requireSize(weights, 0, GrowingArrays.MAX_LENGTH);
    this.columns = reader.entry(prefix + COLUMNS, Dtype.U8, entries);
    Dtype numbers = reader.typeOrNull(prefix + CHUNKS);
    boolean isNarrow = numbers == Dtype.U8 || numbers == Dtype.U16;
    this.chunkOf = reader.entryOfRank(1, prefix + CHUNKS, isNarrow ? numbers : Dtype.I32);
    long rows = requireSize(chunkOf, 0, Math.min(entries, GrowingArrays.MAX_LENGTH - 1));
    this.sizes = reader.entry(prefix + SIZES, Dtype.U8, rows);
    this.begins = reader.entryOfRank(1, prefix + BEGINS, Dtype.I32);
    requireSize(begins, 2, GrowingArrays.MAX_LENGTH);
  }

  /**
   * Loads a file; if that fails, the memory that it allocated is freed.
   *
   * @throws MalformedException if the file does not hold what is asked for
   */
  static <M> Content<M> load(Path file, LoadSettings settings, Format format, Loading<M> loading)
      throws IOException {
    List<Storage> made = new ArrayList<>();
    try {
      return settings.read(
          file,
          read -> format.kind(),
          reader -> {
            Content<M> content = loading.read(reader, made);
            reader.requireIntact();
            return content;
          });
    } catch (Throwable e) {
      made.forEach(Storage::close);
      throw e;
    }
  }

  /**
   * Adds all tensors but the biases to a file; the weights are leased until it is written.
   *
   * @param chunks how many there are
   */
  static void add(String prefix, SparseChunks weights, int chunks, WeightsFile file) {
    StoredWeights stored = new StoredWeights(weights.type(), weights.w(), null);
    file.add(prefix + WEIGHTS, weights.entries(), stored);
    List<TensorSource> tensors = file.tensors();
    int rows = weights.rows();
    tensors.add(TensorSource.unsigned(prefix + CHUNKS, rows, chunks - 1, weights.chunks()::getInt));
    tensors.add(
        TensorSource.unsigned(
            prefix + SIZES,
            rows,
            SparseChunks.MOST_OUTPUTS - 1,
            row -> weights.starts().getInt(row + 1) - weights.starts().getInt(row) - 1));
    long[] features = {weights.features() + 1L};
    tensors.add(TensorSource.ints(prefix + BEGINS, features, weights.begins()));
    long[] entries = {weights.entries()};
    tensors.add(TensorSource.narrow(prefix + COLUMNS, Dtype.U8, entries, weights.columns()));
  }

  /** Returns the tensors that are used where they lie if the file is mapped. */
  List<TensorEntry> mapped() {
    return isMappable() ? List.of(weights, columns, chunkOf) : List.of(weights, columns);
  }

  /** Returns whether the chunks of rows are as they are in memory. */
  private boolean isMappable() {
    return chunkOf.type() == Dtype.I32;
  }

  int features() {
    return (int) begins.size() - 1;
  }

  /** Returns the bytes of all tensors that are copied. */
  long bytesToRead() {
    long copied = sizes.bytes() + begins.bytes() + (isMappable() ? 0 : chunkOf.bytes());
    return settings.isMapped()
        ? copied
        : copied + mapped().stream().mapToLong(TensorEntry::bytes).sum();
  }

  /**
   * Reads the weights.
   *
   * @param chunks how many there are
   * @param size the number of outputs of a chunk
   * @param biases the biases of the outputs
   */
  SparseChunks read(int chunks, IntUnaryOperator size, Storage biases) throws IOException {
    int rows = (int) chunkOf.size();
    int entries = (int) weights.size();
    int[] ofFeatures = requireAscending(begins, rows);
    int[] ofRows = starts(entries);
    Storage chunksOfRows = chunksOfRows(ofFeatures, chunks);
    return new SparseChunks(
        ofFeatures.length - 1,
        ints(ofFeatures),
        chunksOfRows,
        ints(ofRows),
        rows,
        columns(size, chunksOfRows, ofRows),
        type,
        elements(),
        entries,
        biases);
  }

  /** Returns the size of a list, which has limits. */
  static long requireSize(TensorEntry entry, long least, long most) throws MalformedException {
    long size = entry.dims()[0];
    if (size < least || size > most) {
      throw new MalformedException(
          entry.name(), "has " + size + " elements, expected " + least + " to " + most);
    }
    return size;
  }

  /** Reads numbers that ascend from 0 to an end. */
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

  /** Returns the begins of rows, and the end of the last, by the sizes of rows. */
  private int[] starts(int entries) throws IOException {
    byte[] less = reader.readBytes(sizes);
    int[] begins = new int[less.length + 1];
    for (int row = 0; row < less.length; row++) {
      long end = 1L + begins[row] + (less[row] & 0xff);
      if (end > entries) {
        throw new MalformedException(
            sizes.name(), "up to element " + row + ", it adds up to more than " + entries);
      }
      begins[row + 1] = (int) end;
    }
    if (begins[less.length] != entries) {
      throw new MalformedException(
          sizes.name(), "adds up to " + begins[less.length] + ", not to " + entries);
    }
    return begins;
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

  private Storage chunksOfRows(int[] ofFeatures, int chunks) throws IOException {
    if (settings.isMapped() && isMappable()) {
      return reader.mapElements(chunkOf);
    }
    int[] numbers = reader.readInts(chunkOf);
    for (int feature = 0; feature + 1 < ofFeatures.length; feature++) {
      int before = -1;
      for (int row = ofFeatures[feature]; row < ofFeatures[feature + 1]; row++) {
        if (numbers[row] <= before || numbers[row] >= chunks) {
          throw new MalformedException(
              chunkOf.name(), "element " + row + " = " + numbers[row] + " is outside of its order");
        }
        before = numbers[row];
      }
    }
    return ints(numbers);
  }

  private Storage columns(IntUnaryOperator size, Storage chunks, int[] ofRows) throws IOException {
    if (settings.isMapped()) {
      return reader.mapElements(columns);
    }
    byte[] bytes = reader.readBytes(columns);
    for (int row = 0; row + 1 < ofRows.length; row++) {
      int outputs = size.applyAsInt(chunks.getInt(row));
      for (int i = ofRows[row]; i < ofRows[row + 1]; i++) {
        int column = bytes[i] & 0xff;
        if (column >= outputs) {
          throw new MalformedException(
              columns.name(), "element " + i + " = " + column + " is outside [0, " + outputs + ")");
        }
      }
    }
    Storage storage = keep(Storage.allocate((bytes.length + 3L) / 4));
    storage.putBytes(0, bytes, bytes.length);
    return storage;
  }

  private Storage elements() throws IOException {
    if (settings.isMapped()) {
      return reader.mapElements(weights);
    }
    return type == WeightType.FLOAT32 ? reader.readFloats(weights) : reader.readNarrow(weights);
  }
}
