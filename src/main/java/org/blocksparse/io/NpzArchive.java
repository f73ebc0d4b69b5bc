// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;
import java.util.zip.Deflater;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.RegularFile;
import org.blocksparse.internal.files.SafeTensorsHeader;

/** An archive of NumPy arrays. Sizes in its directory count only as far as the file proves them. */
final class NpzArchive implements AutoCloseable {
  private static final String SUFFIX = ".npy";

  /**
   * The most bytes of a name. With the other fields of an entry in the directory, a name has
   * 65,535: 46 are of fixed length, 9 are the time, and 28 are of an entry of more than 4 GB.
   */
  public static final int LONGEST_NAME = 0xffff - 46 - 9 - 28 - SUFFIX.length();

  private static final long BOMB_BYTES = 64L << 20;
  private static final long BOMB_RATIO = 100;

  /** The most that Deflate can expand: two bits stand for 258 bytes. */
  private static final long MOST_GROWTH = 1032;

  private static final int MOST_ENTRIES = 1 << 16;

  /** The most bytes of a directory, enough for the most entries, or for fewer with long names. */
  private static final int MOST_DIRECTORY_BYTES = 8 << 20;

  private final ZipFile zip;
  private final long bytes;
  private final Map<String, ZipEntry> entries = new LinkedHashMap<>();

  private NpzArchive(ZipFile zip, long bytes) {
    this.zip = zip;
    this.bytes = bytes;
  }

  /**
   * Opens an archive.
   *
   * @throws MalformedException if it is none, or if a name is there twice or could be a path
   */
  public static NpzArchive open(Path file) throws IOException {
    NpzArchive archive;
    try {
      archive = new NpzArchive(openZip(RegularFile.require(file)), Files.size(file));
    } catch (ZipException | EOFException e) {
      throw new MalformedException("archive", "is no zip file: " + e.getMessage(), e);
    }
    try {
      archive.list();
    } catch (Throwable e) {
      archive.close();
      throw e;
    }
    return archive;
  }

  /**
   * Opens an archive. Java reads archives on the disk only: others are copied there while they are
   * open.
   */
  private static ZipFile openZip(Path file) throws IOException {
    if (file.getFileSystem() == FileSystems.getDefault()) {
      return openOnDisk(file, ZipFile.OPEN_READ);
    }
    Path copy = Files.createTempFile("blocksparse-", ".npz");
    try {
      Files.copy(file, copy, StandardCopyOption.REPLACE_EXISTING);
      return openOnDisk(copy, ZipFile.OPEN_READ | ZipFile.OPEN_DELETE);
    } catch (Throwable e) {
      Files.deleteIfExists(copy);
      throw e;
    }
  }

  private static ZipFile openOnDisk(Path file, int mode) throws IOException {
    long directoryBytes = ZipDirectory.bytes(file);
    if (directoryBytes > MOST_DIRECTORY_BYTES) {
      throw new MalformedException(
          "archive",
          "its directory of "
              + directoryBytes
              + " bytes is above the limit, "
              + MOST_DIRECTORY_BYTES);
    }
    return new ZipFile(file.toFile(), mode);
  }

  private void list() throws MalformedException {
    if (zip.size() > MOST_ENTRIES) {
      throw new MalformedException(
          "archive", zip.size() + " arrays are more than the limit of " + MOST_ENTRIES);
    }
    for (ZipEntry entry : Collections.list(zip.entries())) {
      String full = entry.getName();
      String name =
          full.endsWith(SUFFIX) ? full.substring(0, full.length() - SUFFIX.length()) : full;
      if (!isName(name)) {
        throw new MalformedException(
            full, "is not a name of an array: it is empty, or it could be a path");
      }
      if (entries.put(name, entry) != null) {
        throw new MalformedException(name, "is there twice");
      }
    }
  }

  /** Returns whether an array can have such a name: it is not empty, and could not be a path. */
  public static boolean isName(String name) {
    return !name.isEmpty()
        && !name.startsWith(".")
        && name.chars().allMatch(c -> c >= ' ' && c != 0x7f && "/\\:".indexOf(c) < 0);
  }

  /** Returns whether a name can be written: it is text, and not too long. */
  public static boolean hasRoom(String name) {
    return SafeTensorsHeader.isText(name) && name.getBytes(UTF_8).length <= LONGEST_NAME;
  }

  /** Returns the names of the arrays, in the order of the file. */
  public Set<String> names() {
    return Collections.unmodifiableSet(entries.keySet());
  }

  /**
   * Reads an array.
   *
   * @throws MalformedException if there is no such array, or it is damaged or of another type
   */
  public NpyArray read(String name, NpyArray.Kind kind) throws IOException {
    ZipEntry entry = entries.get(name);
    if (entry == null) {
      throw new MalformedException(
          name, "is missing; there are " + MalformedException.excerpt(names().toString()));
    }
    requireProved(name, entry);
    CRC32 checksum = new CRC32();
    try (InputStream in = new CheckedInputStream(zip.getInputStream(entry), checksum)) {
      NpyArray array =
          NpyArray.read(
              in,
              name,
              kind,
              claimed -> {
                if (claimed != entry.getSize()) {
                  throw new MalformedException(
                      name, "claims " + claimed + " bytes, but its entry has " + entry.getSize());
                }
              });
      if (checksum.getValue() != entry.getCrc()) {
        array.storage().close();
        throw new MalformedException(name, "is damaged: its checksum is another one");
      }
      return array;
    } catch (ZipException | EOFException e) {
      throw new MalformedException(name, "cannot be decompressed: " + e.getMessage(), e);
    }
  }

  /** Requires, before anything is read, that the size in the directory can be true. */
  private void requireProved(String name, ZipEntry entry) throws MalformedException {
    long size = entry.getSize();
    long compressed = entry.getCompressedSize();
    if (compressed > bytes) {
      throw new MalformedException(
          name,
          "claims " + compressed + " bytes of the archive, but the archive has only " + bytes);
    }
    if (entry.getMethod() == ZipEntry.STORED && size != compressed) {
      throw new MalformedException(
          name, "is not compressed, but claims " + compressed + " bytes to be " + size);
    }
    if (size / MOST_GROWTH > compressed) {
      throw new MalformedException(
          name, "claims to be " + size + " bytes, to which no " + compressed + " can grow");
    }
    if (size > BOMB_BYTES && size / BOMB_RATIO > compressed) {
      throw new MalformedException(
          name, "would grow from " + compressed + " to " + size + " bytes: taken for a zip bomb");
    }
  }

  @Override
  public void close() throws IOException {
    zip.close();
  }

  /** Writes one array of several. */
  public interface Member {
    void write(OutputStream out) throws IOException;
  }

  /**
   * Writes an archive of arrays by name, not compressed.
   *
   * @param members the members by name, with a limited length of names
   * @throws IllegalArgumentException if it could not be read again
   */
  public static void write(SeekableByteChannel channel, Map<String, Member> members)
      throws IOException {
    if (members.size() > MOST_ENTRIES) {
      throw new IllegalArgumentException(
          "tensors: " + members.size() + " are more than the limit of " + MOST_ENTRIES);
    }
    ZipOutputStream out =
        new ZipOutputStream(new BufferedOutputStream(Channels.newOutputStream(channel)));
    // Weights do not shrink, and uncompressed data are read and written many times faster.
    out.setLevel(Deflater.NO_COMPRESSION);
    for (Map.Entry<String, Member> member : members.entrySet()) {
      ZipEntry entry = new ZipEntry(member.getKey() + SUFFIX);
      // Equal tensors give equal files.
      entry.setTime(0);
      out.putNextEntry(entry);
      member.getValue().write(out);
      out.closeEntry();
    }
    out.flush();
    long directory = channel.position();
    out.finish();
    out.flush();
    if (channel.position() - directory > MOST_DIRECTORY_BYTES) {
      throw new IllegalArgumentException(
          "tensors: their names take "
              + (channel.position() - directory)
              + " bytes, more than the limit of "
              + MOST_DIRECTORY_BYTES);
    }
  }
}
