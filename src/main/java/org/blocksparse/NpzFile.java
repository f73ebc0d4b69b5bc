// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.BufferedOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.zip.Deflater;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Archives of NumPy arrays by name, as {@code numpy.savez} and {@code numpy.savez_compressed} write
 * and {@code numpy.load} reads them: parameters that come from NumPy or Theano, or go there.
 *
 * <pre>{@code
 * try (NpzFile npz = NpzFile.open(path)) {
 *   HierarchicalSoftmax layer = HierarchicalSoftmax.builder(features, outputs).classes(nClasses)
 *       .build(npz.floats("W1"), npz.floats("b1"), npz.floats("W2"), npz.floats("b2"));
 * }
 * }</pre>
 *
 * <p>An array is read when it is asked for. A file may come from anybody: what is wrong with it is
 * told by {@link FileFormatException}. An array of more than 64 MB that is more than a hundred
 * times as large as its compressed form is taken for an attack and refused.
 */
public final class NpzFile implements AutoCloseable {
  private static final String SUFFIX = ".npy";
  private static final long BOMB_BYTES = 64L << 20;
  private static final long BOMB_RATIO = 100;

  private final Path file;
  private final ZipFile zip;
  private final Map<String, ZipEntry> entries = new LinkedHashMap<>();

  private NpzFile(Path file, ZipFile zip) {
    this.file = file;
    this.zip = zip;
  }

  /**
   * Opens an archive.
   *
   * @throws FileFormatException if it is none, or if a name is there twice or could be a path
   * @throws IOException if the file cannot be read
   */
  public static NpzFile open(Path file) throws IOException {
    NpzFile npz;
    try {
      npz = new NpzFile(file, new ZipFile(FileFormatException.requireRegularFile(file).toFile()));
    } catch (ZipException | EOFException e) {
      throw new FileFormatException(file, "archive", "is no zip file: " + e.getMessage(), e);
    }
    try {
      npz.list();
    } catch (Throwable e) {
      npz.close();
      throw e;
    }
    return npz;
  }

  private void list() throws FileFormatException {
    for (ZipEntry entry : Collections.list(zip.entries())) {
      String full = entry.getName();
      String name = name(full);
      if (!isPlain(name)) {
        throw new FileFormatException(
            file, full, "is not a name of an array: it is empty, or it could be a path");
      }
      if (entries.put(name, entry) != null) {
        throw new FileFormatException(file, name, "is there twice");
      }
    }
  }

  private static String name(String full) {
    return full.endsWith(SUFFIX) ? full.substring(0, full.length() - SUFFIX.length()) : full;
  }

  private static boolean isPlain(String name) {
    return !name.isEmpty()
        && !name.startsWith(".")
        && name.chars().allMatch(c -> c >= ' ' && c != 0x7f && "/\\:".indexOf(c) < 0);
  }

  /** The names of the arrays, in the order of the file. */
  public Set<String> names() {
    return Collections.unmodifiableSet(entries.keySet());
  }

  private interface Reader<T> {
    T read(NpyFormat format, InputStream in, NpyFormat.Limit limit) throws IOException;
  }

  private <T> T read(String name, Reader<T> reader) throws IOException {
    ZipEntry entry = entries.get(requireNonNull(name, "name"));
    if (entry == null) {
      throw new FileFormatException(file, name, "is missing; there are " + names());
    }
    try (InputStream in = zip.getInputStream(entry)) {
      return reader.read(new NpyFormat(file, name), in, bytes -> check(name, entry, bytes));
    } catch (ZipException | EOFException e) {
      throw new FileFormatException(file, name, "cannot be decompressed: " + e.getMessage(), e);
    }
  }

  /** Before memory is taken for an array, its size must be that of the entry, and credible. */
  private void check(String name, ZipEntry entry, long bytes) throws FileFormatException {
    if (bytes != entry.getSize()) {
      throw new FileFormatException(
          file, name, "claims " + bytes + " bytes, but its entry has " + entry.getSize());
    }
    if (bytes > BOMB_BYTES && bytes / BOMB_RATIO > entry.getCompressedSize()) {
      throw new FileFormatException(
          file,
          name,
          "would grow from "
              + entry.getCompressedSize()
              + " to "
              + bytes
              + " bytes: taken for a zip bomb");
    }
  }

  /**
   * Reads an array of float32, or of float64, which are rounded to the nearest float32.
   *
   * @throws FileFormatException if there is no such array, or a float64 is too large
   * @throws IOException if the file cannot be read
   */
  public FloatTensor floats(String name) throws IOException {
    return read(name, NpyFormat::readFloats);
  }

  /**
   * Reads an array of int32, or of int64.
   *
   * @throws FileFormatException if there is no such array, or an int64 does not fit into 32 bits
   * @throws IOException if the file cannot be read
   */
  public IntTensor ints(String name) throws IOException {
    return read(name, NpyFormat::readInts);
  }

  @Override
  public void close() throws IOException {
    zip.close();
  }

  /**
   * Writes tensors as arrays of float32 or int32 in C order, not compressed; the file is there as a
   * whole or not at all.
   *
   * @param tensors by the names that the arrays get
   * @throws IllegalArgumentException if a name could be a path, or a tensor is a transposed view
   * @throws IOException if the file cannot be written
   */
  public static void write(Path file, Map<String, ? extends Tensor> tensors) throws IOException {
    requireNonNull(file, "file");
    for (String name : requireNonNull(tensors, "tensors").keySet()) {
      if (!isPlain(requireNonNull(name, "tensors"))) {
        throw new IllegalArgumentException(
            "tensors: \""
                + name
                + "\" is not a name of an array: it is empty, or it could be a path");
      }
      requireNonNull(tensors.get(name), name).requireContiguous(name);
    }
    AtomicFile.write(
        file,
        channel -> {
          ZipOutputStream out =
              new ZipOutputStream(new BufferedOutputStream(Channels.newOutputStream(channel)));
          // Weights do not shrink; what is not compressed is read and written many times faster.
          out.setLevel(Deflater.NO_COMPRESSION);
          for (Map.Entry<String, ? extends Tensor> entry : tensors.entrySet()) {
            ZipEntry member = new ZipEntry(entry.getKey() + SUFFIX);
            // Equal tensors give equal files.
            member.setTime(0);
            out.putNextEntry(member);
            NpyFormat.write(out, entry.getKey(), entry.getValue());
            out.closeEntry();
          }
          out.finish();
          out.flush();
        });
  }
}
