// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Files of one NumPy array, as {@code numpy.save} writes and {@code numpy.load} reads them.
 * Versions 1.0 to 3.0, C and Fortran order, either byte order. For several arrays see {@link
 * NpzFile}.
 *
 * <p>A file may come from anybody: what is wrong with it is told by {@link FileFormatException}.
 */
public final class NpyFile {
  private NpyFile() {}

  private interface Reader<T> {
    T read(NpyFormat format, InputStream in, NpyFormat.Limit limit) throws IOException;
  }

  private static <T> T read(Path file, Reader<T> reader) throws IOException {
    try (InputStream in = Files.newInputStream(FileFormatException.requireRegularFile(file))) {
      long size = Files.size(file);
      return reader.read(
          new NpyFormat(file, "array"),
          in,
          bytes -> {
            if (bytes != size) {
              throw new FileFormatException(
                  file, "array", "claims " + bytes + " bytes, but the file has " + size);
            }
          });
    }
  }

  /**
   * Reads an array of float32, or of float64, which are rounded to the nearest float32.
   *
   * @throws FileFormatException if the file is no such array, or a float64 is too large
   * @throws IOException if the file cannot be read
   */
  public static FloatTensor readFloats(Path file) throws IOException {
    return read(file, NpyFormat::readFloats);
  }

  /**
   * Reads an array of int32, or of int64.
   *
   * @throws FileFormatException if the file is no such array, or an int64 does not fit into 32
   *     bits
   * @throws IOException if the file cannot be read
   */
  public static IntTensor readInts(Path file) throws IOException {
    return read(file, NpyFormat::readInts);
  }

  /**
   * Writes a tensor as an array of float32 or int32 in C order; the file is there as a whole or not
   * at all.
   *
   * @throws IllegalArgumentException if the tensor is a transposed view
   * @throws IOException if the file cannot be written
   */
  public static void write(Path file, Tensor tensor) throws IOException {
    requireNonNull(tensor, "tensor");
    AtomicFile.write(
        requireNonNull(file, "file"),
        channel -> {
          OutputStream out = new BufferedOutputStream(Channels.newOutputStream(channel));
          NpyFormat.write(out, "tensor", tensor);
          out.flush();
        });
  }
}
