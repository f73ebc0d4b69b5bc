// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.util.Objects.requireNonNull;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.file.Path;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.Tensor;
import org.blocksparse.internal.files.AtomicFile;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.DenseInts;
import org.blocksparse.internal.tensors.OperandLease;

/**
 * Files of one NumPy array, as {@code numpy.save} writes and {@code numpy.load} reads them.
 * Versions 1.0 to 3.0, C and Fortran order, either byte order. For several arrays see {@link
 * TensorFile}.
 *
 * <p>A bad file is a {@link FileFormatException} that names its flaw. It may be in any file system.
 */
public final class NpyFile {
  private NpyFile() {}

  /**
   * Reads an array of float32, or of float64, which are rounded to the nearest float32.
   *
   * @throws FileFormatException if the file is no such array, or a float64 is too large
   * @throws IOException if the file cannot be read
   */
  public static FloatTensor readFloats(Path file) throws IOException {
    return Reading.of(file, () -> floats(NpyArray.read(file, NpyArray.Kind.FLOATS)));
  }

  /**
   * Reads an array of int32, or of int64.
   *
   * @throws FileFormatException if the file is no such array, or an int64 does not fit into 32 bits
   * @throws IOException if the file cannot be read
   */
  public static IntTensor readInts(Path file) throws IOException {
    return Reading.of(file, () -> ints(NpyArray.read(file, NpyArray.Kind.INTS)));
  }

  private static FloatTensor floats(NpyArray array) {
    return DenseFloats.dense(array.storage(), Shape.of(array.dims()));
  }

  private static IntTensor ints(NpyArray array) {
    return DenseInts.dense(array.storage(), Shape.of(array.dims()));
  }

  /**
   * Writes a tensor as an array of float32 or int32 in C order; the file is there as a whole or not
   * at all, and keeps its mode, as {@link org.blocksparse.softmax.TwoLevelLayer#save(Path,
   * SaveOptions)} does.
   *
   * @throws IllegalArgumentException if the tensor is a transposed view, or has more than 32
   *     dimensions
   * @throws IllegalStateException if the tensor is closed
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public static void write(Path file, Tensor tensor) throws IOException {
    Dense.from(requireNonNull(tensor, "tensor")).requireContiguous("tensor");
    NpyArray.requireWritable("tensor", tensor.shape().toArray());
    AtomicFile.write(
        requireNonNull(file, "file"),
        channel -> {
          OutputStream out = new BufferedOutputStream(Channels.newOutputStream(channel));
          write(out, tensor);
          out.flush();
        });
  }

  private static void write(OutputStream out, Tensor tensor) throws IOException {
    try (OperandLease lease = new OperandLease().of("tensor", tensor)) {
      NpyArray.Kind kind =
          tensor instanceof FloatTensor ? NpyArray.Kind.FLOATS : NpyArray.Kind.INTS;
      new NpyArray(tensor.shape().toArray(), Dense.from(tensor).storage()).write(out, kind);
    }
  }
}
