// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.format.Dtype;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.format.SafeTensorsReader;
import org.blocksparse.internal.format.TensorEntry;
import org.blocksparse.internal.layer.LoadSettings;
import org.blocksparse.internal.layer.ModelMetadata;
import org.blocksparse.internal.layer.SaveSettings;
import org.blocksparse.internal.layer.WeightsFile;
import org.blocksparse.internal.memory.Storage;

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
 * <p>Tensors are of float32 and int32, and weights of products of any {@link ElementType}: F16,
 * BF16, or I8 with {@code NAME.scales}, F32 (iBlocks, oBlocks, oSize), beside them; packed ones are
 * U8 (iBlocks, oBlocks, bytes of a block), as they are in memory, with their type, iSize and oSize
 * in the metadata as {@code blocksparse.packed.NAME}. A bad file is a {@link FileFormatException}
 * that names its flaw. Layers have files of their own ({@link TwoLevelLayer#save}, {@link
 * EmbeddingBag#save}), whose tensors can be read here as well.
 *
 * <p>Safe for use by any number of threads. An interrupt of one that reads ends its call with an
 * {@link IOException}; the file stays open for the others, unless it is in another file system than
 * the system's, or is mapped where there is no native library.
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
   * Writes tensors and weights by their names: in their order, those with more bytes for an element
   * first. Whenever the machine stops, the file is the old one or the new one, never a part of one.
   *
   * @throws IllegalArgumentException if a tensor is a transposed view or has more than 32
   *     dimensions; if a name could be a path or has a space, or is that of the scales of INT8
   *     weights; if there are more than 65,536 names, 8 MB of them or 2,097,152 letters in one; if
   *     what is to be weights of fewer bits has another rank than 4, or is not finite or too large
   * @throws IllegalStateException if a tensor is closed, or a float32 is not finite
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public static void save(Path file, NamedTensors tensors) throws IOException {
    requireNonNull(file, "file");
    requireNonNull(tensors, "tensors");
    FileEvent event = Recorder.file();
    SaveSettings settings = tensors.options().settings();
    try (Lease lease = new Lease();
        WeightsFile weights = new WeightsFile(settings, new ArrayList<>())) {
      tensors.addTo(weights, lease);
      weights.write(file, null, settings.metadata(), lease);
    }
    if (event != null) {
      event.record("save", "tensors", file);
    }
  }

  /** Opens a file, to read tensors into memory; see {@link #open(Path, LoadOptions)}. */
  public static TensorFile open(Path file) throws IOException {
    return open(file, LoadOptions.copied());
  }

  /**
   * Opens a file.
   *
   * @param options whether tensors of float32 and weights are read into memory and checked, or used
   *     where they lie, as {@link LoadOptions#mapped} says of W2: all processes that map the file
   *     share their memory, and what is not touched is neither read nor checked. The workers and
   *     the progress are not used.
   * @throws FileFormatException if the file is no safetensors file
   * @throws IOException if the file cannot be read
   */
  public static TensorFile open(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    requireNonNull(options, "options");
    FileEvent event = Recorder.file();
    LoadSettings settings = options.settings();
    SafeTensorsReader reader =
        FileFormatException.of(
            file,
            () -> settings.isMapped() ? settings.open(file) : SafeTensorsReader.openShared(file));
    if (event != null) {
      event.record(settings.verb(), "tensors", file);
    }
    return new TensorFile(file, reader, settings.isMapped());
  }

  /**
   * The names of what can be read, scales among them. A file may hold tensors of other types as
   * well. Names of a file from elsewhere may be any text, paths and the empty one included.
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

  /** The strings of the file, by key, without those that belong to the layers of this library. */
  public Map<String, String> metadata() {
    return new ModelMetadata(reader.metadata()).ofUser();
  }

  /**
   * A tensor of float32, which the caller closes. It lives on when this file is closed.
   *
   * <p>Of a file that was opened by {@link LoadOptions#copyOnWrite}, a tensor is the same memory
   * each time: it shows what was written to it before, even if the tensor of then was closed. A
   * file that is opened anew shows what the file holds.
   *
   * @throws FileFormatException if there is none of this name and type; if the file is mapped and
   *     the tensor begins at no multiple of 4 bytes; or, unless it is mapped, if an element is not
   *     finite
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if this file is closed
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public FloatTensor floats(String name) throws IOException {
    return read(
        name,
        () -> {
          TensorEntry entry = reader.entryOfType(name, Dtype.F32);
          Storage storage = mapped ? reader.mapElements(entry) : reader.readFloats(entry);
          return FloatTensor.dense(storage, Shape.of(entry.dims()));
        });
  }

  /**
   * A tensor of int32, which the caller closes; it is always read into memory. Errors as {@link
   * #floats}.
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
   * Weights of a product, (iBlocks, oBlocks, iSize, oSize), of any {@link ElementType}; the caller
   * closes them. They live on when this file is closed. Scales are always read into memory and
   * checked.
   *
   * <p>Matrices of F32, F16 and BF16, as models of others have them, are (1, 1, rows, columns), and
   * (n, 1, rows, columns) of (n, rows, columns). Where these are (out, in), {@link
   * Weights#transposeBlocks} makes them (1, n, in, out).
   *
   * @throws FileFormatException if there are none of this name; if their type or rank is another,
   *     their scales are missing, do not fit, or could make weights infinite; if packed blocks have
   *     another size than their metadata says; if the file is mapped and the elements begin at no
   *     multiple of their size; or, unless it is mapped, if one is not finite
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if this file is closed
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public Weights weights(String name) throws IOException {
    return read(
        name,
        () -> {
          WeightsFile.FoundBlocks found = WeightsFile.readBlocks(reader, name, mapped);
          return new Weights(found.weights(), Shape.of(found.dims()));
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
    return FileFormatException.of(
        file,
        () -> {
          try {
            T tensor = content.read();
            reader.requireIntact();
            reader.keep();
            return tensor;
          } finally {
            reader.free(); // of a tensor that was refused, since the file stays open
          }
        });
  }

  /** Closes the file. Tensors that were read from it live on. Idempotent. */
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
