// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.GgmlBlocks;
import org.blocksparse.internal.weights.GgmlPanels;
import org.blocksparse.internal.weights.GgmlType;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/** Tensors and weights of a GGUF file. */
final class GgufTensors {
  private GgufTensors() {}

  /** The remedy for quantized types. */
  private static final String REMEDY =
      "; llama-quantize --allow-requantize IN.gguf OUT.gguf Q8_0 writes one of them, and so does"
          + " Q4_K_M from a file of F16 or BF16";

  /**
   * Returns the floats of a tensor in new memory.
   *
   * @throws MalformedException if its type cannot be widened, or an element is not finite
   */
  public static Storage readFloats(GgufReader reader, GgufEntry entry, Engine engine)
      throws IOException {
    requireKnown(entry);
    long size = Dimensions.size(entry.dims(), Float.BYTES);
    Storage blocks = reader.map(entry, 1);
    try {
      Storage floats = Storage.allocate(size);
      try {
        long notFinite = GgmlBlocks.widen(entry.type(), blocks, size, floats, engine.scheduler());
        reader.requireIntact();
        if (notFinite >= 0) {
          throw new MalformedException(
              entry.name(), "element " + notFinite + " is " + floats.getFloat(notFinite));
        }
        return floats;
      } catch (Throwable e) {
        floats.close();
        throw e;
      }
    } finally {
      blocks.close();
    }
  }

  private static void requireKnown(GgufEntry entry) throws MalformedException {
    if (!GgmlType.widened().contains(entry.type())) {
      throw new MalformedException(
          entry.name(),
          "expected one of "
              + GgmlType.widened()
              + " but was "
              + entry.text()
              + (entry.type().blockSize() > 1 ? REMEDY : ""));
    }
  }

  /**
   * The matrices of tensors: their number in each tensor, with the same rows and columns in all.
   */
  public record Matrices(long count, int rows, int columns) {}

  /**
   * Returns the matrices of tensors of one type and shape.
   *
   * @throws MalformedException if their type cannot be widened, they differ, or a dimension is no
   *     int
   */
  public static Matrices matrices(List<GgufEntry> tensors) throws MalformedException {
    GgufEntry first = tensors.get(0);
    requireKnown(first);
    for (GgufEntry other : tensors) {
      if (other.type() != first.type() || !Arrays.equals(other.dims(), first.dims())) {
        throw new MalformedException(
            other.name(),
            "expected " + first.text() + ", as " + first.name() + " is, but was " + other.text());
      }
    }
    long count = 1;
    int rows = 1;
    int columns = 1;
    for (long dim : first.dims()) {
      count *= rows;
      if (Math.max(count, dim) > Integer.MAX_VALUE) {
        throw new MalformedException(first.name(), first.text() + " has too large a dimension");
      }
      rows = columns;
      columns = (int) dim;
    }
    if ((long) rows * tensors.size() > Integer.MAX_VALUE) {
      throw new MalformedException(first.name(), first.text() + " has too large a dimension");
    }
    return new Matrices(count, rows, columns);
  }

  /**
   * Reads matrices of tensors, those with the same number side by side: rows of the first tensor,
   * then those of the second. They are packed with their rows as columns, or stored row by row:
   * those of one tensor in place in the file.
   *
   * @param tensors the tensors that have {@link #matrices}
   * @throws MalformedException if they cannot be used where they lie, or a weight that is packed is
   *     not finite
   * @throws UnsupportedOperationException if they are not packed, and the machine has another byte
   *     order than the file
   */
  public static StoredWeights readWeights(
      GgufReader reader, List<GgufEntry> tensors, Matrices matrices, Engine engine)
      throws IOException {
    WeightType type =
        switch (tensors.get(0).type()) {
          case F32 -> WeightType.FLOAT32;
          case F16 -> WeightType.FLOAT16;
          case BF16 -> WeightType.BFLOAT16;
          default -> null;
        };
    if (type != null && tensors.size() == 1) {
      return new StoredWeights(type, reader.map(tensors.get(0), type.bytes()), null);
    }
    Storage[] inFile = new Storage[tensors.size()];
    try {
      for (int t = 0; t < inFile.length; t++) {
        inFile[t] = reader.map(tensors.get(t), type == null ? 1 : type.bytes());
      }
      StoredWeights weights =
          type == null
              ? pack(tensors.get(0), inFile, matrices, engine)
              : sideBySide(type, inFile, matrices, engine);
      try {
        reader.requireIntact();
        return weights;
      } catch (Throwable e) {
        weights.close();
        throw e;
      }
    } finally {
      Arrays.stream(inFile).filter(Objects::nonNull).forEach(Storage::close);
    }
  }

  private static StoredWeights pack(
      GgufEntry entry, Storage[] inFile, Matrices matrices, Engine engine)
      throws MalformedException {
    try {
      return GgmlPanels.pack(
          entry.typeName(),
          entry.type(),
          inFile,
          matrices.count(),
          matrices.columns(),
          matrices.rows(),
          engine.scheduler());
    } catch (IllegalArgumentException e) {
      throw new MalformedException(entry.name(), e.getMessage(), e);
    }
  }

  private static StoredWeights sideBySide(
      WeightType type, Storage[] inFile, Matrices matrices, Engine engine) {
    long bytes = (long) matrices.rows() * matrices.columns() * type.bytes();
    return new StoredWeights(
        type, StoredWeights.interleaved(inFile, matrices.count(), bytes, engine.scheduler()), null);
  }
}
