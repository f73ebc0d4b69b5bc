// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.binding.NativeMemory;
import org.blocksparse.internal.binding.NativePath;

/**
 * A file mapped into memory, read-only or copy on write. The mapping ends when its last owner
 * closes it, or when it is garbage.
 *
 * <p>With the native library the file has one address, however large it is: Java's own mapping ends
 * at 2 GB. {@link #read} reads from the file that is mapped, even if another file takes its name
 * meanwhile. Without the native library the parts are mapped by Java.
 */
public final class MappedFile implements AutoCloseable {
  /** The attempts to map a file that may be replaced between reading its size and mapping it. */
  private static final int ATTEMPTS = 3;

  private final Path file;

  /** Identifies the file, even if another one takes its name; null where the system cannot. */
  private final Object key;

  private final long bytes;
  private final boolean copyOnWrite;
  private final Function<Path, IOException> damage;

  /** The channel that maps the parts; null with the native library. */
  private final FileChannel channel;

  /**
   * A second handle of the file: an interrupted thread can read its length, while a channel would
   * close. Null with the native library.
   */
  private final RandomAccessFile lengths;

  private final long address;

  /**
   * The cleaner that ends the mapping once; null for a mapping by Java, which the JVM ends itself.
   */
  private final Cleaner.Cleanable mapping;

  private record Part(long position, int length) {}

  /** The parts mapped copy on write without the native library. */
  private final Map<Part, ByteBuffer> written = new HashMap<>();

  /** The number of owners that must still close the mapping. */
  private final AtomicInteger owners = new AtomicInteger(1);

  private MappedFile(
      Path file,
      Object key,
      long bytes,
      boolean copyOnWrite,
      Function<Path, IOException> damage,
      FileChannel channel,
      RandomAccessFile lengths,
      long address) {
    this.file = file;
    this.key = key;
    this.bytes = bytes;
    this.copyOnWrite = copyOnWrite;
    this.damage = damage;
    this.channel = channel;
    this.lengths = lengths;
    this.address = address;
    this.mapping = address == 0 ? null : Storage.CLEANER.register(this, new NativeMapping(address));
  }

  /** Unmaps memory that the native library mapped. */
  private record NativeMapping(long address) implements Runnable {
    @Override
    public void run() {
      NativeMemory.unmap(address);
    }
  }

  /**
   * Maps a file.
   *
   * @param damage makes the exception of a file that has shrunk
   * @throws IOException if it cannot be opened, or the system refuses to map it
   * @throws UnsupportedOperationException if it is not in the default file system
   */
  public static MappedFile open(Path file, boolean copyOnWrite, Function<Path, IOException> damage)
      throws IOException {
    // Native code would look for the name on the disk.
    if (file.getFileSystem() != FileSystems.getDefault()) {
      throw new UnsupportedOperationException(
          file
              + ": is in "
              + file.getFileSystem()
              + ", from which no file can be mapped; load it with copied()");
    }
    if (!NativeLibrary.isLoaded()) {
      return mappedByJava(file, copyOnWrite, damage);
    }
    long bytes = 0;
    try (NativePath path = NativePath.ofOrNull(file)) {
      if (path == null) {
        throw new UnsupportedOperationException(
            file
                + ": cannot be mapped, since its name cannot be written in the encoding of the"
                + " system, "
                + NativePath.encoding()
                + "; choose a locale that can, or load it with copied()");
      }
      for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        // Java opens the file first: its exceptions say what is wrong.
        try (FileChannel channel = FileChannel.open(file)) {
          bytes = channel.size();
          Object key = key(file);
          long address = path.map(bytes, copyOnWrite);
          if (address != 0) {
            return new MappedFile(file, key, bytes, copyOnWrite, damage, null, null, address);
          }
        }
      }
    }
    throw new IOException(
        file
            + ": cannot be mapped: it is not a regular file, it is being replaced, or the system"
            + " gives no address space for its "
            + bytes
            + " bytes");
  }

  /** Opens the file twice by name, and tries again if the name moved to another file in between. */
  static MappedFile mappedByJava(Path file, boolean copyOnWrite, Function<Path, IOException> damage)
      throws IOException {
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      MappedFile mapped = mappedByJavaOrNull(file, copyOnWrite, damage);
      if (mapped != null) {
        return mapped;
      }
    }
    throw new IOException(file + ": cannot be mapped: it is being replaced");
  }

  /** Returns null if the name moved to another file meanwhile. */
  private static MappedFile mappedByJavaOrNull(
      Path file, boolean copyOnWrite, Function<Path, IOException> damage) throws IOException {
    Object key = key(file);
    // Java requires a writable channel for a private mapping, although nothing is written to the
    // file.
    FileChannel channel =
        copyOnWrite
            ? FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)
            : FileChannel.open(file);
    RandomAccessFile lengths = null;
    try {
      lengths = new RandomAccessFile(file.toFile(), "r");
      long bytes = channel.size();
      if (lengths.length() == bytes && Objects.equals(key, key(file))) {
        return new MappedFile(file, key, bytes, copyOnWrite, damage, channel, lengths, 0);
      }
    } catch (Throwable e) { // for example after an interrupt
      close(channel, lengths);
      throw e;
    }
    close(channel, lengths);
    return null;
  }

  private static Object key(Path file) throws IOException {
    return Files.readAttributes(file, BasicFileAttributes.class).fileKey();
  }

  private static void close(FileChannel channel, RandomAccessFile lengths) throws IOException {
    try (channel) {
      if (lengths != null) {
        lengths.close();
      }
    }
  }

  /** Adds an owner, who must close the mapping as well, and returns this mapping. */
  public MappedFile share() {
    owners.incrementAndGet();
    return this;
  }

  /** Returns the path of the file. */
  public Path file() {
    return file;
  }

  /** Returns whether the path still names the file that was mapped. */
  boolean hasItsName() throws IOException {
    return Objects.equals(key, key(file));
  }

  /** Returns the size that the file had when it was mapped. */
  public long bytes() {
    return bytes;
  }

  /** Returns whether the memory may be written. Writes never reach the file. */
  public boolean isCopyOnWrite() {
    return copyOnWrite;
  }

  /**
   * Returns whether the file has shrunk or cannot be read any more: reads may then have returned
   * zeros.
   */
  public boolean isDamaged() {
    if (address != 0) {
      return NativeMemory.isDamaged(address);
    }
    try {
      return lengths.length() < bytes;
    } catch (IOException e) {
      return true;
    }
  }

  /**
   * Checks, after reading, that the bytes read were in the file.
   *
   * @throws UncheckedIOException if the file has shrunk or cannot be read any more
   */
  void requireIntact() {
    if (isDamaged()) {
      throw new UncheckedIOException(damage.apply(file));
    }
  }

  /** Fills a buffer with the bytes of the file from {@code position} on. */
  public void read(long position, ByteBuffer into) throws IOException {
    if (address != 0) {
      if (position > bytes - into.remaining()) {
        throw new EOFException(file + ": ends at " + bytes);
      }
      into.put(NativeMemory.buffer(address + position, into.remaining()));
      Reference.reachabilityFence(this); // not garbage before all is read
      return;
    }
    readFully(channel, position, into);
  }

  /** Fills a buffer with the bytes of a channel from {@code position} on. */
  public static void readFully(SeekableByteChannel channel, long position, ByteBuffer into)
      throws IOException {
    channel.position(position);
    while (into.hasRemaining()) {
      if (channel.read(into) < 0) {
        throw new EOFException("the file ends at " + channel.position());
      }
    }
  }

  /**
   * Returns the memory of a part of the file, which the caller has checked to be within it. Each
   * call for one part returns the same memory.
   */
  ByteBuffer buffer(long position, int length) throws IOException {
    ByteBuffer buffer =
        address != 0 ? NativeMemory.buffer(address + position, length) : part(position, length);
    return (copyOnWrite ? buffer : buffer.asReadOnlyBuffer()).order(ByteOrder.nativeOrder());
  }

  /** Returns one mapping for each part: a new copy-on-write mapping would lack earlier writes. */
  private ByteBuffer part(long position, int length) throws IOException {
    if (!copyOnWrite) {
      return channel.map(FileChannel.MapMode.READ_ONLY, position, length);
    }
    Part part = new Part(position, length);
    synchronized (written) {
      ByteBuffer mapped = written.get(part);
      if (mapped == null) {
        mapped = channel.map(FileChannel.MapMode.PRIVATE, position, length);
        written.put(part, mapped);
      }
      return mapped.duplicate();
    }
  }

  /** Returns the address of a position of the file, or 0 if native code cannot reach it. */
  long address(long position) {
    return address == 0 ? 0 : address + position;
  }

  /** Removes an owner; the last one ends the mapping, whose memory must not be used any more. */
  @Override
  public void close() {
    if (owners.decrementAndGet() > 0) {
      return;
    }
    if (mapping != null) {
      mapping.clean();
      return;
    }
    try {
      close(channel, lengths);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
