// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.Tensor;
import org.blocksparse.Weights;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.ModelMetadata;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.files.TensorEntry;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.StoredBlocks;

/**
 * Files of named tensors in the <a
 * href="https://github.com/huggingface/safetensors">safetensors</a> format: the weights and biases
 * of a model, for instance, read or mapped.
 *
 * <pre>{@code
 * TensorFile.save(path, Map.of("W1", W1, "W2", W2));
 * try (TensorFile file = TensorFile.open(path, LoadOptions.mapped());
 *     FloatTensor W1 = file.floats("W1");
 *     FloatTensor W2 = file.floats("W2")) { ... }
 * }</pre>
 *
 * <p>A file holds tensors of float32 and int32, and weights of any {@link
 * org.blocksparse.ElementType}:
 *
 * <table>
 *   <caption>How a file stores weights</caption>
 *   <tr><th>weights</th><th>tensor NAME</th><th>beside it</th></tr>
 *   <tr><td>FLOAT32, FLOAT16, BFLOAT16</td><td>F32, F16, BF16</td><td></td></tr>
 *   <tr><td>INT8 and other packed types</td>
 *       <td>U8 (iBlocks, oBlocks, bytes of a block), as in memory</td>
 *       <td>metadata {@code blocksparse.packed.NAME}: type, iSize and oSize; of INT8 also tensor
 *           {@code NAME.scales}, F32 (iBlocks, oBlocks, oSize)</td></tr>
 * </table>
 *
 * <p>Files may also hold INT8 that is not packed, as layers and earlier versions write it: a tensor
 * I8 (iBlocks, oBlocks, iSize, oSize) and its scales. It is packed when it is read.
 *
 * <p>Reading a malformed file throws {@link FileFormatException} with the reason. Layers have their
 * own files ({@link org.blocksparse.softmax.TwoLevelLayer#save}, {@link
 * org.blocksparse.bag.EmbeddingBag#save}), whose tensors can also be read here.
 *
 * <p>Safe for use by any number of threads. If a reading thread is interrupted, its call throws
 * {@link IOException}. Other threads can still read, with two exceptions: files outside the default
 * file system, and mapped files without the native library.
 */
public final class TensorFile implements AutoCloseable {
  private final Path file;
  private final SafeTensorsReader reader;
  private final boolean mapped;
  private boolean closed;

  private TensorFile(Path file, SafeTensorsReader reader, boolean mapped) {
    this.file = file;
    this.reader = reader;
    this.mapped = mapped;
  }

  /** Writes tensors, in the order of the map; see {@link #save(Path, NamedTensors)}. */
  public static void save(Path file, Map<String, ? extends Tensor> tensors) throws IOException {
    save(file, NamedTensors.of(tensors));
  }

  /**
   * Writes tensors and weights by their names. Larger element types come first, then the given
   * order counts. The write is atomic: even after a crash, the file is the old one or the new one.
   *
   * @throws IllegalArgumentException if a tensor is a transposed view or has more than 32
   *     dimensions; if a name could be a path, has a space, or is that of the scales of INT8
   *     weights; if there are more than 65,536 names, 8 MB of names, or 2,097,152 letters in one
   *     name; if a tensor to be stored in a narrower type is not of rank 4, is not finite, or is
   *     too large for it
   * @throws IllegalStateException if a tensor is closed, or a float32 is not finite
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public static void save(Path file, NamedTensors tensors) throws IOException {
    requireNonNull(file, "file");
    requireNonNull(tensors, "tensors");
    SaveSettings settings = SaveSettings.from(tensors.options());
    try (OperandLease lease = new OperandLease();
        WeightsFile weights = new WeightsFile("tensors", settings)) {
      tensors.addTo(weights, lease);
      weights.write(file, null, settings.metadata(), lease);
    }
  }

  /** Opens a file, to read tensors into memory; see {@link #open(Path, LoadOptions)}. */
  public static TensorFile open(Path file) throws IOException {
    return open(file, LoadOptions.copied());
  }

  /**
   * Opens a file.
   *
   * @param options copied or mapped. Copied tensors are read and checked. Mapped float32 tensors
   *     and weights share memory between processes; untouched parts are neither read nor checked,
   *     as {@link LoadOptions#mapped} describes for W2. The workers and the progress are not used.
   * @throws FileFormatException if the file is no safetensors file
   * @throws IOException if the file cannot be read
   */
  public static TensorFile open(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    requireNonNull(options, "options");
    FileEvent event = Recorder.file();
    LoadSettings settings = LoadSettings.from(options);
    SafeTensorsReader reader =
        Reading.of(
            file,
            () -> settings.isMapped() ? settings.open(file) : SafeTensorsReader.openShared(file));
    if (event != null) {
      event.record(settings.verb(), "tensors", file);
    }
    return new TensorFile(file, reader, settings.isMapped());
  }

  /**
   * Returns the names of all readable tensors, including scales. A file may also hold tensors of
   * other types. In untrusted files, a name can be any string, even a path or empty.
   */
  public Set<String> names() {
    Set<String> names = new LinkedHashSet<>();
    for (TensorEntry entry : reader.entries()) {
      boolean readable =
          switch (entry.type()) {
            case F32, I32 -> true;
            case F16, BF16, I8 -> WeightsFile.areBlocks(entry);
            case U8 -> WeightsFile.isPacked(reader, entry.name());
            default -> false;
          };
      if (readable) {
        names.add(entry.name());
      }
    }
    return Collections.unmodifiableSet(names);
  }

  /**
   * Returns the strings of the file by key, without the entries that layers of this library add.
   */
  public Map<String, String> metadata() {
    return new ModelMetadata(reader.metadata()).ofUser();
  }

  /**
   * Returns a tensor of float32, which the caller closes. It stays valid after this file is closed.
   *
   * <p>With {@link LoadOptions#copyOnWrite}, each call returns the same memory. You see earlier
   * writes, even if you closed the earlier tensor. Open the file again to see its original content.
   *
   * @throws FileFormatException if no tensor has this name and type; if a mapped tensor is not
   *     aligned to 4 bytes; or if a tensor that is not mapped has an element that is not finite
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if this file is closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public FloatTensor floats(String name) throws IOException {
    return read(
        name,
        () -> {
          TensorEntry entry = reader.entryOfType(name, Dtype.F32);
          Storage storage = mapped ? reader.mapElements(entry) : reader.readFloats(entry);
          return DenseFloats.dense(storage, Shape.of(entry.dims()));
        });
  }

  /**
   * Returns a tensor of int32, which the caller closes; it is always read into memory. Errors as
   * {@link #floats}.
   */
  public IntTensor ints(String name) throws IOException {
    return read(
        name,
        () -> {
          TensorEntry entry = reader.entryOfType(name, Dtype.I32);
          if (entry.size() > Integer.MAX_VALUE - 8) {
            throw new MalformedException(name, "has more elements than an array can hold");
          }
          return IntTensor.of(reader.readInts(entry), entry.dims());
        });
  }

  /**
   * Returns weights, (iBlocks, oBlocks, iSize, oSize), of any {@link org.blocksparse.ElementType};
   * the caller closes them. They stay valid after this file is closed. Scales are always read into
   * memory and checked.
   *
   * <p>Files of other libraries have matrices of F32, F16 and BF16. A matrix (rows, columns) is
   * returned as (1, 1, rows, columns), and (n, rows, columns) as (n, 1, rows, columns). For (out,
   * in) matrices, call {@link Weights#transposeBlocks} to get (1, n, in, out).
   *
   * @throws FileFormatException if there is no tensor of this name; if its type or rank is wrong;
   *     if scales are missing, have the wrong shape, or could make weights infinite; if packed
   *     blocks do not have the size that their metadata gives; if mapped elements are not aligned
   *     to their size; or if weights that are not mapped have an element that is not finite
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if this file is closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public Weights weights(String name) throws IOException {
    return read(
        name,
        () -> {
          WeightsFile.FoundBlocks found = WeightsFile.readBlocks(reader, name, mapped);
          return new StoredBlocks(found.weights(), Shape.of(found.dims()), false);
        });
  }

  private interface Content<T> {
    T read() throws IOException;
  }

  private synchronized <T> T read(String name, Content<T> content) throws IOException {
    requireNonNull(name, "name");
    if (closed) {
      throw new IllegalStateException("file: the file is closed");
    }
    return Reading.of(
        file,
        () -> {
          try {
            T tensor = content.read();
            reader.requireIntact();
            reader.keep();
            return tensor;
          } finally {
            reader.free(); // the memory of a rejected tensor, since the file stays open
          }
        });
  }

  /** Closes the file. Tensors that were read from it stay valid. Idempotent. */
  @Override
  public synchronized void close() throws IOException {
    if (!closed) {
      closed = true;
      reader.close();
    }
  }

  @Override
  public String toString() {
    return "TensorFile(" + file + ", " + names() + ")";
  }
}
