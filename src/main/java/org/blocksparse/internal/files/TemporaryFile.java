// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.Set;
import java.util.UUID;

/**
 * A file that is written before it gets its final name. Its temporary name shows which file it is
 * for, so that the next writer of that file can delete what a killed process has left, and which
 * process writes it. It is short, however long the final name is.
 *
 * <p>The writer holds a lock on it. The system ends the lock when the process ends, in whatever
 * way: one that can be locked is nobody's. Files of this very process are never touched, since
 * closing a second channel to a file would end the lock of the first.
 */
final class TemporaryFile {
  private static final String PREFIX = ".blocksparse-";

  /** A unique id of this process: the system reuses process numbers. */
  private static final String PROCESS =
      ProcessHandle.current().pid()
          + "-"
          + Long.toHexString(
              ProcessHandle.current().info().startInstant().map(Instant::toEpochMilli).orElse(0L));

  private final Path path;
  private final SeekableByteChannel channel;

  /** The permissions of the file that this one replaces; null without one, or without any. */
  private final Set<PosixFilePermission> permissions;

  private TemporaryFile(
      Path path, SeekableByteChannel channel, Set<PosixFilePermission> permissions) {
    this.path = path;
    this.channel = channel;
    this.permissions = permissions;
  }

  /**
   * Returns a new file in the folder of another.
   *
   * @param locked whether it is in a file system that has locks, and keeps what is left behind
   * @param replaces whether the other one is there; one that is locked gets its permissions here
   */
  static TemporaryFile beside(Path target, boolean locked, boolean replaces) throws IOException {
    Set<PosixFilePermission> permissions = replaces ? permissionsOrNull(target) : null;
    while (true) {
      Path path = target.resolveSibling(prefix(target) + PROCESS + "-" + UUID.randomUUID());
      TemporaryFile file = new TemporaryFile(path, open(path, permissions), permissions);
      try {
        if (locked) {
          // Before the lock: setting them opens and closes the file, which ends all locks of the
          // process on it.
          file.setPermissions();
        }
        if (!locked || (file.isLocked() && Files.exists(path))) {
          return file;
        }
      } catch (Throwable e) {
        if (!(e instanceof NoSuchFileException) || Files.exists(path)) {
          file.delete(e);
          throw e;
        }
      }
      // Another process took it for a leftover before it was locked.
      file.channel.close();
    }
  }

  /** Returns the permissions of a file; null where files have none. */
  private static Set<PosixFilePermission> permissionsOrNull(Path file) throws IOException {
    return Files.getFileAttributeView(file, PosixFileAttributeView.class) == null
        ? null
        : Files.getPosixFilePermissions(file);
  }

  /** Opens a new file that is never open to more users than the replaced one. */
  private static SeekableByteChannel open(Path path, Set<PosixFilePermission> permissions)
      throws IOException {
    FileAttribute<?>[] access =
        permissions == null
            ? new FileAttribute<?>[0]
            : new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(permissions)};
    Set<OpenOption> options = Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    try {
      return FileChannel.open(path, options, access);
    } catch (UnsupportedOperationException e) {
      return Files.newByteChannel(path, options, access);
    }
  }

  /** Gives the file the permissions of the replaced one, whatever the umask is. */
  void setPermissions() throws IOException {
    if (permissions != null) {
      Files.getFileAttributeView(path, PosixFileAttributeView.class, LinkOption.NOFOLLOW_LINKS)
          .setPermissions(permissions);
    }
  }

  /** Takes the lock, unless another process has it. Returns true on systems without locks, too. */
  private boolean isLocked() throws IOException {
    try {
      return !(channel instanceof FileChannel file) || file.tryLock() != null;
    } catch (ClosedChannelException e) { // because of an interrupt
      throw e;
    } catch (IOException e) {
      return true;
    }
  }

  /** Deletes leftovers of the same file from processes that have ended. */
  static void deleteLeftBehind(Path target) {
    String prefix = prefix(target);
    try (DirectoryStream<Path> files =
        Files.newDirectoryStream(
            target.getParent(), file -> file.getFileName().toString().startsWith(prefix))) {
      for (Path file : files) {
        boolean ours = file.getFileName().toString().startsWith(prefix + PROCESS + "-");
        if (!ours && Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
          deleteIfNobodys(file);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      // A failure is ignored: a folder that may be written may not be readable.
    }
  }

  private static void deleteIfNobodys(Path file) {
    // The file is opened to read and share, since one that replaces a read-only file has that mode
    // already.
    try (FileChannel channel =
            FileChannel.open(file, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
        FileLock lock = channel.tryLock(0, Long.MAX_VALUE, true)) {
      if (lock != null) {
        Files.deleteIfExists(file);
      }
    } catch (OverlappingFileLockException e) {
      // The file belongs to this process after all: other classes made it, and the system reports
      // no start time.
    } catch (IOException e) {
      // The error says nothing about the other files, as below.
    }
  }

  private static String prefix(Path target) {
    byte[] name = target.getFileName().toString().getBytes(StandardCharsets.UTF_8);
    return PREFIX + UUID.nameUUIDFromBytes(name) + "-";
  }

  /** Returns whether a name, as it stands in an exception, is that of such a file. */
  static boolean isNameOfOne(String file) {
    return file != null && file.contains(PREFIX);
  }

  Path path() {
    return path;
  }

  SeekableByteChannel channel() {
    return channel;
  }

  /** Flushes the content to the disk, if it is on one. */
  void force() throws IOException {
    if (channel instanceof FileChannel file) {
      file.force(true);
    }
  }

  /** Deletes the file after a failure. */
  void delete(Throwable because) {
    try {
      channel.close();
    } catch (IOException e) {
      because.addSuppressed(e);
    }
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      because.addSuppressed(e);
    }
  }
}
