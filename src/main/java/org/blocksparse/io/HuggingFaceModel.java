// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.files.Checkpoint;
import org.blocksparse.internal.files.CheckpointMatrix;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.internal.weights.StoredWeights;

/**
 * A model as Hugging Face publishes it: safetensors files, and a {@code config.json} beside them.
 * The files are mapped and read-only.
 *
 * <pre>{@code
 * try (HuggingFaceModel model = HuggingFaceModel.open(folder);
 *     MixtureOfExperts experts = MixtureOfExperts.of(model, 5, ElementType.MXFP4)) { ... }
 * }</pre>
 *
 * <p>A quantized matrix is several tensors. This class recognizes them, and gives the matrix the
 * name that the tensors have in common:
 *
 * <table>
 *   <caption>Matrices (out, in), or (count, out, in)</caption>
 *   <tr><th>in the file</th><th>{@link #weights}</th><th>published by</th></tr>
 *   <tr><td>NAME of F32, F16, BF16</td><td>FLOAT32, FLOAT16, BFLOAT16, {@linkplain
 *       Weights#transposeBlocks transposed}; mapped and not checked, if one tensor</td>
 *       <td></td></tr>
 *   <tr><td>NAME of F8_E4M3, NAME_scale_inv or NAME_scale (a scale for each 128 x 128; of
 *       NAME_scale also one for each output, or for all)</td>
 *       <td>FLOAT32 in new memory: code times scale, rounded once</td>
 *       <td>DeepSeek V3, Qwen 3 FP8, GLM 4.5 FP8</td></tr>
 *   <tr><td>NAME_blocks and NAME_scales of U8</td><td>MXFP4, the same values</td>
 *       <td>gpt-oss</td></tr>
 *   <tr><td>NAME_packed of I32, NAME_scale, NAME_shape: symmetric weights of 4 bits in groups of
 *       32, 64, ... inputs</td>
 *       <td>Q4_0, the same values</td><td>Kimi K2, compressed-tensors</td></tr>
 * </table>
 *
 * <p>It is safe to open untrusted files. The limits of each are those of {@link TensorFile}. The
 * files must be in the default file system, and must not be changed in place. If one is truncated,
 * operations that read it throw {@link java.io.UncheckedIOException}; see {@link
 * LoadOptions#mapped}.
 *
 * <p>Safe for use by any number of threads.
 */
public final class HuggingFaceModel implements AutoCloseable {
  /**
   * A matrix or another tensor.
   *
   * @param shape the shape of the matrices, outermost first
   * @param type {@code FP8}, or the {@link org.blocksparse.ElementType} that holds the same values
   * @param bytes the size in the file, scales included
   */
  public record TensorInfo(Shape shape, String type, long bytes) {}

  private final Path path;
  private final Checkpoint files;
  private boolean closed;

  private HuggingFaceModel(Path path, Checkpoint files) {
    this.path = path;
    this.files = files;
  }

  /**
   * Opens a model. The headers of its files are read and checked; tensors are not read.
   *
   * @param path a folder, or one safetensors file. The folder may lack some files that its {@code
   *     model.safetensors.index.json} lists: then their tensors are missing.
   * @throws FileFormatException if there are no files, one is not a safetensors file, or two have a
   *     tensor of one name
   * @throws IOException if a file cannot be read
   * @throws UnsupportedOperationException if the files are not in the default file system
   */
  public static HuggingFaceModel open(Path path) throws IOException {
    requireNonNull(path, "path");
    FileEvent event = Recorder.file();
    Checkpoint files = Reading.of(path, () -> Checkpoint.open(path));
    if (event != null) {
      event.record("map", "tensors", path);
    }
    return new HuggingFaceModel(path, files);
  }

  /**
   * Returns the names of all matrices and other tensors, of any type, without the tensors that
   * quantized matrices consist of. In untrusted files, a name can be any string.
   */
  public Set<String> names() {
    return Collections.unmodifiableSet(new LinkedHashSet<>(CheckpointMatrix.names(files)));
  }

  /**
   * Returns the values of {@code config.json}, read again. A value is a {@link String}, {@link
   * Boolean}, {@link Long} or {@link Double}, or an unmodifiable {@link List} or {@link Map} of
   * values. Keys with null are left out.
   *
   * @throws FileFormatException if there is no such file, it is not an object of JSON, or it is
   *     larger than 1 MB
   * @throws IllegalStateException if this model is closed
   */
  public Map<String, Object> config() throws IOException {
    return read(files::config);
  }

  /**
   * Returns a matrix, or another tensor of floats.
   *
   * @throws FileFormatException if there is none of this name, its type is not in the table of this
   *     class, or a tensor beside it is missing or does not fit
   * @throws IllegalStateException if this model is closed
   */
  public TensorInfo info(String name) throws IOException {
    requireNonNull(name, "name");
    return read(
        () -> {
          CheckpointMatrix found = CheckpointMatrix.of(files, name);
          return new TensorInfo(Shape.of(found.dims()), found.typeName(), found.bytes());
        });
  }

  /**
   * Returns a matrix, or another tensor of floats, dequantized to float32 in new memory. The caller
   * closes it.
   *
   * @throws FileFormatException as {@link #info}, or if an element is not finite
   * @throws IllegalStateException if this model is closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public FloatTensor floats(String name) throws IOException {
    requireNonNull(name, "name");
    return read(
        () -> {
          CheckpointMatrix found = CheckpointMatrix.of(files, name);
          return DenseFloats.dense(found.widen(-1, engine()), Shape.of(found.dims()));
        });
  }

  /**
   * Returns one of the matrices (count, out, in) of a tensor, like {@link #floats(String)}.
   *
   * @param matrix its number; 0 of a tensor (out, in)
   * @return (out, in)
   * @throws IllegalArgumentException if there is no matrix of that number
   */
  public FloatTensor floats(String name, int matrix) throws IOException {
    requireNonNull(name, "name");
    return read(
        () -> {
          CheckpointMatrix found = CheckpointMatrix.of(files, name);
          found.requireMatrices();
          if (matrix < 0 || matrix >= found.count()) {
            throw new IllegalArgumentException(
                "matrix: expected 0 to " + (found.count() - 1) + " but was " + matrix);
          }
          Shape shape = Shape.of(found.rows(), found.columns());
          return DenseFloats.dense(found.widen(matrix, engine()), shape);
        });
  }

  /**
   * Returns weights (1, count, in, out) of a tensor, for experts that share their input; see {@link
   * #weights(List, int, int)}.
   */
  public Weights weights(String name) throws IOException {
    requireNonNull(name, "name");
    return read(
        () -> {
          List<CheckpointMatrix> one = matrices(List.of(name));
          return weights(one, 1, one.get(0).count(), false);
        });
  }

  /**
   * Returns weights (iBlocks, oBlocks, in, out) of tensors (count, out, in), or (out, in) of one
   * matrix, with the types in the table of this class. Several tensors, such as gate and up, are
   * put side by side: their outputs follow each other, and out is the sum of their sizes. The
   * caller closes the weights, which stay valid after this model is closed.
   *
   * @param names the names of one or more tensors; all have the same type and shape
   * @param iBlocks 1 if matrices share their input; else their number
   * @param oBlocks the number of matrices if they share their input; else 1
   * @throws IllegalArgumentException if there are no names, if neither iBlocks nor oBlocks is 1, or
   *     if the other is not the number of matrices
   * @throws FileFormatException as {@link #info}, or if tensors differ; if they are no matrices; if
   *     F32, F16 or BF16 elements are not aligned to their size; if a weight of FP8 is not finite,
   *     or a packed one could be infinite; or if a scale of 4 bits is no float16
   * @throws IllegalStateException if this model is closed
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public Weights weights(List<String> names, int iBlocks, int oBlocks) throws IOException {
    requireNonNull(names, "names").forEach(name -> requireNonNull(name, "names"));
    List<String> all = List.copyOf(names);
    if (all.isEmpty()) {
      throw new IllegalArgumentException("names: expected at least one");
    }
    return read(() -> weights(matrices(all), iBlocks, oBlocks, false));
  }

  /**
   * Returns weights (1, count, in, out) of a packed tensor whose outputs alternate between gate and
   * up, as in gpt-oss: first all of gate, then all of up.
   *
   * @throws FileFormatException as {@link #weights(List, int, int)}, or if the tensor is not packed
   *     or has an odd number of outputs
   */
  public Weights gateAndUp(String name) throws IOException {
    requireNonNull(name, "name");
    return read(
        () -> {
          List<CheckpointMatrix> one = matrices(List.of(name));
          CheckpointMatrix both = one.get(0);
          if (!both.form().type().isPacked() || both.rows() % 2 != 0) {
            throw new MalformedException(
                name,
                "expected packed weights with an even number of outputs but was "
                    + both.typeName()
                    + " "
                    + Dimensions.text(both.dims()));
          }
          return weights(one, 1, both.count(), true);
        });
  }

  private List<CheckpointMatrix> matrices(List<String> names) throws IOException {
    List<CheckpointMatrix> all = new ArrayList<>();
    for (String name : names) {
      CheckpointMatrix found = CheckpointMatrix.of(files, name);
      found.requireMatrices();
      CheckpointMatrix first = all.isEmpty() ? found : all.get(0);
      if (found.form() != first.form() || !Shape.of(found.dims()).equals(Shape.of(first.dims()))) {
        throw new MalformedException(
            name,
            "expected "
                + first.typeName()
                + " "
                + Dimensions.text(first.dims())
                + ", as "
                + first.name()
                + " is, but was "
                + found.typeName()
                + " "
                + Dimensions.text(found.dims()));
      }
      all.add(found);
    }
    return all;
  }

  private static Weights weights(
      List<CheckpointMatrix> all, long iBlocks, long oBlocks, boolean alternating)
      throws IOException {
    CheckpointMatrix first = all.get(0);
    long fewer = Math.min(iBlocks, oBlocks);
    if (fewer != 1 || iBlocks * oBlocks != first.count()) {
      throw new IllegalArgumentException(
          "iBlocks, oBlocks: expected 1 and "
              + first.count()
              + " or the reverse, as "
              + first.name()
              + " has so many matrices, but was "
              + iBlocks
              + " and "
              + oBlocks);
    }
    long out = (long) all.size() * first.rows();
    long in = first.columns();
    if (out > Integer.MAX_VALUE) {
      throw new MalformedException(first.name(), "has too many outputs side by side: " + out);
    }
    if (first.form().type().isPacked()) {
      StoredWeights packed = CheckpointMatrix.pack(all, alternating, engine());
      return new StoredBlocks(packed, Shape.of(iBlocks, oBlocks, in, out), false);
    }
    StoredWeights rows = CheckpointMatrix.sideBySide(all, engine());
    return StoredBlocks.transposed(rows, Shape.of(oBlocks, iBlocks, out, in));
  }

  private static Engine engine() {
    return Engine.from(Workers.common());
  }

  /** Returns the path that was opened. */
  public Path path() {
    return path;
  }

  private synchronized <T> T read(Reading<T> content) throws IOException {
    if (closed) {
      throw new IllegalStateException("model: the model is closed");
    }
    return Reading.of(
        path,
        () -> {
          T read = content.read();
          try {
            files.requireIntact();
            return read;
          } catch (MalformedException e) {
            if (read instanceof AutoCloseable memory) {
              closeQuietly(memory, e);
            }
            throw e;
          }
        });
  }

  private static void closeQuietly(AutoCloseable memory, Exception because) {
    try {
      memory.close();
    } catch (Exception e) {
      because.addSuppressed(e);
    }
  }

  /** Closes the files. Tensors that were read from them stay valid. Idempotent. */
  @Override
  public synchronized void close() throws IOException {
    if (!closed) {
      closed = true;
      files.close();
    }
  }

  @Override
  public String toString() {
    return "HuggingFaceModel(" + path + ")";
  }
}
