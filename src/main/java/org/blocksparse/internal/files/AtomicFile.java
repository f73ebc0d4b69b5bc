// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.channels.Channel;
import java.nio.channels.FileChannel;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.ReadOnlyFileSystemException;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;

/**
 * Writes files that are there as a whole or not at all, whenever the machine stops: to another name
 * in the same folder, to the disk, and then renamed. A file that is replaced gives its POSIX
 * permissions to the new one; symbolic links to it stay.
 *
 * <p>Errors are reported before the file has its name, or not at all.
 */
public final class AtomicFile {
  private static final int MOST_LINKS = 40;

  private AtomicFile() {}

  /** Writes the content. */
  public interface Content {
    void write(SeekableByteChannel channel) throws IOException;
  }

  /** Makes or replaces a file. */
  public static void write(Path file, Content content) throws IOException {
    Path target = target(requireNonNull(file, "file").toAbsolutePath());
    Path folder = target.getParent();
    // The message names the requested file, not the one that is written first.
    if (folder == null || Files.isDirectory(target)) {
      throw new FileSystemException(file.toString(), null, "is a folder");
    }
    if (Files.notExists(folder) || (Files.exists(folder) && !Files.isDirectory(folder))) {
      throw new NoSuchFileException(file.toString(), null, "its folder is not there");
    }
    boolean replaced = exists(file, target);
    boolean ofTheSystem = target.getFileSystem() == FileSystems.getDefault();
    if (ofTheSystem) {
      TemporaryFile.deleteLeftBehind(target);
    }
    FileChannel openedFolder = openOrNull(folder);
    try {
      writeAndRename(target, replaced, ofTheSystem, content);
      flush(openedFolder);
    } catch (FileSystemException e) {
      throw TemporaryFile.isNameOfOne(e.getFile()) ? named(file, e) : e;
    } catch (ReadOnlyFileSystemException e) {
      throw named(file, "its file system is read-only", e);
    } catch (IOException e) {
      // The system's message does not name the file when the disk is full.
      throw e.getClass() == IOException.class ? named(file, e.getMessage(), e) : e;
    } finally {
      closeQuietly(openedFolder);
    }
  }

  /** Returns the file at the end of all links, which may not exist yet. */
  private static Path target(Path file) throws IOException {
    Path target = file;
    for (int links = 0; Files.isSymbolicLink(target); links++) {
      if (links == MOST_LINKS) {
        throw new FileSystemException(file.toString(), null, "too many symbolic links");
      }
      target = target.resolveSibling(Files.readSymbolicLink(target));
    }
    return target;
  }

  private static boolean exists(Path file, Path target) throws IOException {
    try {
      if (!Files.readAttributes(target, BasicFileAttributes.class).isRegularFile()) {
        throw new FileSystemException(file.toString(), null, "is not a regular file");
      }
      return true;
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private static void writeAndRename(
      Path target, boolean replaced, boolean ofTheSystem, Content content) throws IOException {
    TemporaryFile temporary = TemporaryFile.beside(target, ofTheSystem, replaced);
    try {
      content.write(temporary.channel());
      temporary.force();
      if (!ofTheSystem) {
        temporary.channel().close(); // zip file systems have the file only after this
        temporary.setPermissions();
      }
      // On the default file system the lock is kept, so that no other process takes a complete file
      // for a leftover.
      Files.move(
          temporary.path(),
          target,
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
    } catch (Throwable e) {
      temporary.delete(e);
      throw e;
    }
    closeQuietly(temporary.channel());
  }

  /** Returns this channel with errors that name the file that was asked for. */
  private static FileSystemException named(Path file, FileSystemException e) {
    if (e instanceof AccessDeniedException) {
      FileSystemException named = new AccessDeniedException(file.toString(), null, e.getReason());
      named.initCause(e);
      return named;
    }
    boolean isGone = e instanceof NoSuchFileException;
    return named(file, isGone ? "was deleted while it was written" : e.getReason(), e);
  }

  private static FileSystemException named(Path file, String reason, Exception e) {
    FileSystemException named = new FileSystemException(file.toString(), null, reason);
    named.initCause(e);
    return named;
  }

  /**
   * Returns a folder to be flushed, opened before anything is written; null where that cannot be
   * done: on Windows, in a folder that may not be read, in other file systems.
   */
  private static FileChannel openOrNull(Path folder) {
    try {
      return FileChannel.open(folder);
    } catch (IOException | UnsupportedOperationException e) {
      return null;
    }
  }

  /** Flushes the rename to the disk. The rename has happened: a failure to flush it is ignored. */
  private static void flush(FileChannel folder) {
    if (folder == null) {
      return;
    }
    try {
      folder.force(true);
    } catch (IOException e) {
      // The file is complete in either case: the new one, or after a loss of power the old one.
    }
  }

  /** Closes a channel whose data are flushed, if there is one: nothing can be lost any more. */
  private static void closeQuietly(Channel channel) {
    if (channel == null) {
      return;
    }
    try {
      channel.close();
    } catch (IOException e) {
      // The file already has its name.
    }
  }
}
