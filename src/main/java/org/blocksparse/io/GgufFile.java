// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.io.GgufTensors.Matrices;

/**
 * A model file of llama.cpp in the <a
 * href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">GGUF</a> format, version 2 or 3.
 * The file is mapped and read-only.
 *
 * <pre>{@code
 * try (GgufFile file = GgufFile.open(path);
 *     FloatTensor norm = file.floats("blk.0.ffn_norm.weight");
 *     Weights up = file.weights("blk.0.ffn_up_exps.weight")) { ... }
 * }</pre>
 *
 * <p>Shapes are outermost first: ggml's {@code [in, out, experts]} is (experts, out, in) here. A
 * row of a matrix makes one output.
 *
 * <p>It is safe to open untrusted files. A malformed file throws {@link FileFormatException}, which
 * names the tensor or the metadata key. Big-endian files are rejected, and so are headers with more
 * than 256 MB, 65,536 tensors, 65,536 keys, or 8 MB of names and keys. Tensors of unsupported types
 * are listed; only reading them throws.
 *
 * <p>The file must be in the default file system, and must not be changed in place. If it is
 * truncated, operations that read it throw {@link java.io.UncheckedIOException}; see {@link
 * LoadOptions#mapped}.
 *
 * <p>Safe for use by any number of threads.
 */
public final class GgufFile implements AutoCloseable {
  /**
   * A tensor of a file.
   *
   * @param shape outermost first
   * @param type ggml's name of the type, {@code Q4_K} for instance, or {@code type 77} if this
   *     library does not know the type
   * @param bytes the size in the file; of an unknown type, the size at most
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
   * @throws FileFormatException if the file is not a GGUF file
   * @throws IOException if the file cannot be read
   * @throws UnsupportedOperationException if the file is not in the default file system
   */
  public static GgufFile open(Path file) throws IOException {
    requireNonNull(file, "file");
    FileEvent event = Recorder.file();
    GgufReader reader = Reading.of(file, () -> GgufReader.open(file, Reading::shrunk));
    if (event != null) {
      event.record("map", "tensors", file);
    }
    return new GgufFile(file, reader);
  }

  /** Returns the tensors by name, in the order of the file. A name can be any string. */
  public Map<String, TensorInfo> tensors() {
    return tensors;
  }

  /**
   * Returns the metadata by key, in the order of the file. A value is a {@link String}, {@link
   * Boolean}, {@link Long}, {@link Float} or {@link Double}, or an unmodifiable {@link List} of
   * values. Unsigned numbers from 2<sup>63</sup> on are {@link java.math.BigInteger}.
   *
   * <p>Each call reads the file. An array needs at most 1.5 times its size in the file of heap, and
   * its elements are made when they are asked for. Bytes of a string that are not UTF-8 become
   * U+FFFD.
   *
   * @throws IllegalStateException if this file is closed
   */
  public Map<String, Object> metadata() throws IOException {
    return read(reader::readMetadata);
  }

  /**
   * Returns a tensor of a type in the table of {@link #weights(List, int, int)}, dequantized to
   * float32 in new memory. The caller closes the tensor. Values are bitwise equal to ggml's.
   *
   * @throws FileFormatException if there is no tensor of this name, its type is not one of these,
   *     or an element is not finite
   * @throws IllegalStateException if this file is closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public FloatTensor floats(String name) throws IOException {
    requireNonNull(name, "name");
    return read(
        () -> {
          GgufEntry entry = reader.entry(name);
          return DenseFloats.dense(
              GgufTensors.readFloats(reader, entry, Engine.from(Workers.common())),
              Shape.of(entry.dims()));
        });
  }

  /**
   * Returns weights (1, experts, in, out) of a tensor, for experts that share their input; see
   * {@link #weights(List, int, int)}.
   */
  public Weights weights(String name) throws IOException {
    requireNonNull(name, "name");
    return read(
        () -> {
          List<GgufEntry> entries = List.of(reader.entry(name));
          Matrices matrices = GgufTensors.matrices(entries);
          return weights(entries, matrices, 1, matrices.count());
        });
  }

  /**
   * Returns weights (iBlocks, oBlocks, in, out) of tensors (experts, out, in), or (out, in) of one
   * matrix. Several tensors, such as gate and up, are put side by side: their outputs follow each
   * other, and out is the sum of their sizes. The caller closes the weights, which stay valid after
   * this file is closed.
   *
   * <table>
   *   <caption>Types</caption>
   *   <tr><th>in the file</th><th>weights</th><th>memory</th></tr>
   *   <tr><td>F32, F16, BF16</td>
   *       <td>FLOAT32, FLOAT16, BFLOAT16, {@linkplain Weights#transposeBlocks transposed}, not
   *           checked</td>
   *       <td>none for one tensor, which is mapped; a copy for several</td></tr>
   *   <tr><td>Q8_0, Q4_0, MXFP4, Q6_K, Q5_1, IQ4_NL</td>
   *       <td>the same values, packed</td>
   *       <td>the bytes in the file</td></tr>
   *   <tr><td>Q4_K, Q5_K, IQ4_XS, Q2_K</td>
   *       <td>the same values, packed</td>
   *       <td>1.03, 1.02, 1.02, 1.19 times the bytes in the file</td></tr>
   *   <tr><td>Q5_0, Q4_1, Q3_K and IQ3_S</td>
   *       <td>the same values, packed as Q8_0, Q5_1, Q6_K</td>
   *       <td>1.55, 1.2, 1.91 times the bytes in the file</td></tr>
   * </table>
   *
   * @param names the names of one or more tensors; all have the same type and shape
   * @param iBlocks 1 if experts share their input; else the number of experts
   * @param oBlocks the number of experts if they share their input; else 1
   * @throws IllegalArgumentException if there are no names, if neither iBlocks nor oBlocks is 1, or
   *     if the other is not the number of matrices
   * @throws FileFormatException if a tensor is missing, its type is not in the table, or tensors
   *     differ; if a dimension is not an int; if F32, F16 or BF16 elements are not aligned to their
   *     size; or if a packed weight could be infinite
   * @throws IllegalStateException if this file is closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public Weights weights(List<String> names, int iBlocks, int oBlocks) throws IOException {
    requireNonNull(names, "names").forEach(name -> requireNonNull(name, "names"));
    List<String> all = List.copyOf(names);
    if (all.isEmpty()) {
      throw new IllegalArgumentException("names: expected at least one");
    }
    return read(
        () -> {
          List<GgufEntry> entries = new ArrayList<>();
          for (String name : all) {
            entries.add(reader.entry(name));
          }
          return weights(entries, GgufTensors.matrices(entries), iBlocks, oBlocks);
        });
  }

  private Weights weights(List<GgufEntry> entries, Matrices matrices, long iBlocks, long oBlocks)
      throws IOException {
    long fewer = Math.min(iBlocks, oBlocks);
    if (fewer < 0 || fewer > 1 || iBlocks * oBlocks != matrices.count()) {
      throw new IllegalArgumentException(
          "iBlocks, oBlocks: expected 1 and "
              + matrices.count()
              + " or the reverse, as "
              + entries.get(0).name()
              + " has so many matrices, but was "
              + iBlocks
              + " and "
              + oBlocks);
    }
    StoredWeights weights =
        GgufTensors.readWeights(reader, entries, matrices, Engine.from(Workers.common()));
    long out = (long) entries.size() * matrices.rows();
    long in = matrices.columns();
    return weights.type().isPacked()
        ? new StoredBlocks(weights, Shape.of(iBlocks, oBlocks, in, out), false)
        : StoredBlocks.transposed(weights, Shape.of(oBlocks, iBlocks, out, in));
  }

  /** Returns the path that was opened. */
  public Path path() {
    return file;
  }

  private interface Content<T> {
    T read() throws IOException;
  }

  private synchronized <T> T read(Content<T> content) throws IOException {
    if (closed) {
      throw new IllegalStateException("file: the file is closed");
    }
    return Reading.of(file, content::read);
  }

  /** Closes the file. Tensors that were read from it stay valid. Idempotent. */
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
