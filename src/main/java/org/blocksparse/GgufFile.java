// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.format.GgufEntry;
import org.blocksparse.internal.format.GgufReader;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.layer.GgufTensors;

/**
 * Models of llama.cpp, in its format <a
 * href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">GGUF</a>, versions 2 and 3: the
 * tensors and the metadata of a file that is mapped and only read.
 *
 * <pre>{@code
 * try (GgufFile file = GgufFile.open(path);
 *     FloatTensor norm = file.floats("blk.0.ffn_norm.weight");
 *     Weights up = file.weights("blk.0.ffn_up_exps.weight")) { ... }
 * }</pre>
 *
 * <p>Shapes are outermost first, as everywhere here: what ggml names {@code [in, out, experts]} is
 * (experts, out, in). A row of a matrix is what one output is made of.
 *
 * <p>A file may hold tensors of any type: what this library has no use for is listed, and refused
 * when it is asked for. Files may come from anybody; a bad one ends in a {@link
 * FileFormatException}, which names the tensor or the key of the metadata. A header of more than
 * 256 MB, 65,536 tensors or 65,536 keys is refused, and so are big-endian files.
 *
 * <p>The file must be in the file system of the system, and must not be changed in place; if it is
 * cut short, what reads it throws {@link java.io.UncheckedIOException}, as {@link
 * LoadOptions#mapped} says.
 *
 * <p>Safe for use by any number of threads.
 */
public final class GgufFile implements AutoCloseable {
  /**
   * A tensor of a file.
   *
   * @param shape outermost first
   * @param type as ggml names it, {@code Q4_K} for instance; {@code type 77} of one that this
   *     library does not know
   * @param bytes what its elements take in the file; of an unknown type, what they take at most
   */
  public record TensorInfo(Shape shape, String type, long bytes) {}

  private final Path file;
  private final GgufReader reader;
  private final Map<String, TensorInfo> tensors;
  private boolean closed;

  private GgufFile(Path file, GgufReader reader) {
    this.file = file;
    this.reader = reader;
    Map<String, TensorInfo> infos = new LinkedHashMap<>();
    reader
        .entries()
        .forEach(
            (name, entry) ->
                infos.put(
                    name, new TensorInfo(Shape.of(entry.dims()), entry.typeName(), entry.bytes())));
    this.tensors = Collections.unmodifiableMap(infos);
  }

  /**
   * Opens a file. Its header is read and checked; its tensors are not read.
   *
   * @throws FileFormatException if the file is no GGUF file
   * @throws IOException if the file cannot be read
   * @throws UnsupportedOperationException if the file is in another file system than the system's
   */
  public static GgufFile open(Path file) throws IOException {
    requireNonNull(file, "file");
    FileEvent event = Recorder.file();
    GgufReader reader =
        FileFormatException.of(file, () -> GgufReader.open(file, FileFormatException::shrunk));
    if (event != null) {
      event.record("map", "tensors", file);
    }
    return new GgufFile(file, reader);
  }

  /** The tensors by name, in the order of the file. Names may be any text. */
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  /**
   * The metadata by key, in the order of the file. A value is a {@link String}, a {@link Boolean},
   * a {@link Long} for whole numbers of any size, a {@link Float}, a {@link Double}, or an
   * unmodifiable {@link java.util.List} of such values or lists. Of unsigned numbers, those from
   * 2<sup>63</sup> on are {@link java.math.BigInteger}.
   *
   * <p>It is read anew from the file by each call, and takes about as much of the heap as of the
   * file. Bytes of a string that are not UTF-8 become U+FFFD.
   *
   * @throws IllegalStateException if this file is closed
   */
  public Map<String, Object> metadata() throws IOException {
    return read(reader::readMetadata);
  }

  /**
   * A tensor of F32, F16, BF16, Q8_0, Q4_0, MXFP4, Q4_K or Q6_K, widened to floats in new memory,
   * which the caller closes. They have the bits that ggml gives them.
   *
   * @throws FileFormatException if there is none of this name, its type is another, or an element
   *     is not finite
   * @throws IllegalStateException if this file is closed
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public FloatTensor floats(String name) throws IOException {
    requireNonNull(name, "name");
    return read(
        () -> {
          GgufEntry entry = reader.entry(name);
          return FloatTensor.dense(
              GgufTensors.readFloats(reader, entry, Workers.common().engine()),
              Shape.of(entry.dims()));
        });
  }

  /**
   * The matrices of a tensor as weights (1, experts, in, out): experts that a row is given to. As
   * {@link #weights(String, int, int)}.
   */
  public Weights weights(String name) throws IOException {
    return weights(name, 1, (int) requireMatrices(name).count());
  }

  /**
   * The matrices of a tensor (experts, out, in), or (out, in) of a single one, as weights (iBlocks,
   * oBlocks, in, out), where they lie in the file; the caller closes them. They live on when this
   * file is closed. Matrix {@code j * iBlocks + i} is block (i, j).
   *
   * <p>F32, F16 and BF16 become {@link ElementType#FLOAT32}, {@code FLOAT16} and {@code BFLOAT16},
   * {@linkplain Weights#transposeBlocks transposed}. Untouched tensors are neither read nor
   * checked.
   *
   * @param iBlocks the number of experts where their outputs are added; else 1
   * @param oBlocks the number of experts where they have the input in common; else 1
   * @throws IllegalArgumentException if iBlocks times oBlocks is not the number of matrices
   * @throws FileFormatException if there is none of this name, its type is another, a dimension is
   *     no int, or it begins at no multiple of its elements' size
   * @throws IllegalStateException if this file is closed
   */
  public Weights weights(String name, int iBlocks, int oBlocks) throws IOException {
    Matrices matrices = requireMatrices(name);
    if (Math.min(iBlocks, oBlocks) < 0 || (long) iBlocks * oBlocks != matrices.count()) {
      throw new IllegalArgumentException(
          "iBlocks, oBlocks: expected "
              + matrices.count()
              + " blocks, the matrices of "
              + name
              + ", but was "
              + iBlocks
              + " x "
              + oBlocks);
    }
    Shape inFile = Shape.of(oBlocks, iBlocks, matrices.rows(), matrices.columns());
    return read(
        () -> Weights.transposed(GgufTensors.mapWeights(reader, reader.entry(name)), inFile));
  }

  /** The dimensions of a tensor as those of matrices. */
  private record Matrices(long count, int rows, int columns) {}

  private Matrices requireMatrices(String name) throws IOException {
    requireNonNull(name, "name");
    return read(
        () -> {
          GgufEntry entry = reader.entry(name);
          long count = 1;
          int rows = 1;
          int columns = 1;
          for (long dim : entry.dims()) {
            count *= rows;
            if (Math.max(count, dim) > Integer.MAX_VALUE) {
              throw new MalformedException(name, entry.text() + " has too large a dimension");
            }
            rows = columns;
            columns = (int) dim;
          }
          return new Matrices(count, rows, columns);
        });
  }

  private interface Content<T> {
    T read() throws IOException;
  }

  private synchronized <T> T read(Content<T> content) throws IOException {
    if (closed) {
      throw new IllegalStateException("file: the file is closed");
    }
    return FileFormatException.of(file, content::read);
  }

  /** Closes the file. Tensors read from it live on. Idempotent. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      reader.close();
    }
  }

  @Override
  public String toString() {
    return "GgufFile(" + file + ", " + tensors.keySet() + ")";
  }
}
