// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Tensor;
import org.blocksparse.internal.files.AtomicFile;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.Reading;

/**
 * Archives of NumPy arrays by name, as {@code numpy.savez} and {@code numpy.savez_compressed} write
 * and {@code numpy.load} reads them: parameters from or for NumPy or Theano.
 *
 * <pre>{@code
 * try (NpzFile npz = NpzFile.open(path)) {
 *   HierarchicalSoftmax layer = HierarchicalSoftmax.builder(features, outputs).classes(nClasses)
 *       .build(npz.floats("W1"), npz.floats("b1"), npz.floats("W2"), npz.floats("b2"));
 * }
 * }</pre>
 *
 * <p>An array is read when it is asked for. A bad file is a {@link FileFormatException} that names
 * its flaw. No more memory is allocated than the archive can hold; an array of more than 64 MB that
 * is more than a hundred times as large as its compressed form is rejected as an attack. A file of
 * another file system is copied to the disk while it is open.
 *
 * <p>Safe for use by any number of threads.
 */
public final class NpzFile implements AutoCloseable {
  private final Path file;
  private final NpzArchive archive;
  private boolean closed;

  private NpzFile(Path file, NpzArchive archive) {
    this.file = file;
    this.archive = archive;
  }

  /**
   * Opens an archive.
   *
   * @throws FileFormatException if it is none, or if a name is there twice or could be a path
   * @throws IOException if the file cannot be read
   */
  public static NpzFile open(Path file) throws IOException {
    return new NpzFile(file, Reading.of(file, () -> NpzArchive.open(file)));
  }

  /** Returns the names of the arrays, in the order of the file. */
  public Set<String> names() {
    return archive.names();
  }

  /**
   * Reads an array of float32, or of float64, which are rounded to the nearest float32.
   *
   * @throws FileFormatException if there is no such array, or a float64 is too large
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if this file is closed
   */
  public FloatTensor floats(String name) throws IOException {
    return NpyFile.floats(read(name, NpyArray.Kind.FLOATS));
  }

  /**
   * Reads an array of int32, or of int64.
   *
   * @throws FileFormatException if there is no such array, or an int64 does not fit into 32 bits
   * @throws IOException if the file cannot be read
   * @throws IllegalStateException if this file is closed
   */
  public IntTensor ints(String name) throws IOException {
    return NpyFile.ints(read(name, NpyArray.Kind.INTS));
  }

  private synchronized NpyArray read(String name, NpyArray.Kind kind) throws IOException {
    requireNonNull(name, "name");
    if (closed) {
      throw new IllegalStateException("file: the file is closed");
    }
    return Reading.of(file, () -> archive.read(name, kind));
  }

  /** Closes the file, after running reads. Arrays that were read stay valid. Idempotent. */
  @Override
  public synchronized void close() throws IOException {
    closed = true;
    archive.close();
  }

  /**
   * Writes tensors as arrays of float32 or int32 in C order, not compressed; the file is there as a
   * whole or not at all, and keeps its mode, as {@link
   * org.blocksparse.softmax.TwoLevelLayer#save(Path, SaveOptions)} does.
   *
   * @param tensors the tensors by the names of the arrays
   * @throws IllegalArgumentException if a name could be a path, takes more than 65,448 bytes in
   *     UTF-8 or holds half of a pair of surrogates, if a tensor is a transposed view or has more
   *     than 32 dimensions, or if there are more than 65,536 names or 8 MB of them
   * @throws IllegalStateException if a tensor is closed
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public static void write(Path file, Map<String, ? extends Tensor> tensors) throws IOException {
    requireNonNull(file, "file");
    Map<String, NpzArchive.Member> members = new LinkedHashMap<>();
    for (Map.Entry<String, ? extends Tensor> entry :
        requireNonNull(tensors, "tensors").entrySet()) {
      String name = requireNonNull(entry.getKey(), "tensors");
      if (!NpzArchive.isName(name)) {
        throw new IllegalArgumentException(
            "tensors: \""
                + name
                + "\" is not a name of an array: it is empty, or it could be a path");
      }
      if (!NpzArchive.hasRoom(name)) {
        throw new IllegalArgumentException(
            "tensors: no archive can have the name "
                + MalformedException.excerpt(name)
                + ": it takes more than "
                + NpzArchive.LONGEST_NAME
                + " bytes in UTF-8, or holds half of a pair of surrogates");
      }
      Tensor tensor = requireNonNull(entry.getValue(), name);
      NpyFile.requireWritable(name, tensor);
      members.put(name, out -> NpyFile.write(out, name, tensor));
    }
    AtomicFile.write(file, channel -> NpzArchive.write(channel, members));
  }
}
