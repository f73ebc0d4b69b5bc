// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.UUID;

/**
 * Writes files that are the old one or the new one, whenever this ends. What a command writes
 * beside models has no other writer; those are the library's.
 */
final class WholeFile {
  private static final int MOST_LINKS = 40;

  private WholeFile() {}

  /** Writes the content. */
  interface Content {
    void writeTo(OutputStream out) throws IOException;
  }

  /**
   * Makes or replaces a file. The new one has mode, owner and group of the old one where the system
   * allows it; symbolic links to it stay.
   *
   * @throws IOException if it cannot be written; names the file
   */
  static void write(Path file, Content content) throws IOException {
    try {
      Path target = target(file.toAbsolutePath());
      // A new one, whatever else lies there: it may be the model that is read.
      Path part = target.resolveSibling(".part-" + UUID.randomUUID());
      try {
        write(part, target, content);
        Files.move(
            part, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      } finally {
        Files.deleteIfExists(part);
      }
    } catch (IOException e) {
      throw named(file, e);
    }
  }

  /** The file at the end of all links, which may not be there yet. */
  private static Path target(Path file) throws IOException {
    Path target = file;
    for (int links = 0; Files.isSymbolicLink(target); links++) {
      if (links == MOST_LINKS) {
        throw new IOException("too many symbolic links");
      }
      target = target.resolveSibling(Files.readSymbolicLink(target));
    }
    return target;
  }

  private static void write(Path part, Path old, Content content) throws IOException {
    PosixFileAttributeView view =
        Files.getFileAttributeView(old, PosixFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
    boolean takesAccess = view != null && Files.exists(old);
    // Until it has the access of the old one, nobody else can open it.
    FileAttribute<?>[] access =
        takesAccess
            ? new FileAttribute<?>[] {
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
            }
            : new FileAttribute<?>[0];
    try (FileChannel channel =
        FileChannel.open(
            part, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), access)) {
      if (takesAccess) {
        giveAccess(part, view.readAttributes());
      }
      content.writeTo(Channels.newOutputStream(channel));
      channel.force(true);
    }
  }

  /** Owner and group are not always to be had; another group gets no more than all others have. */
  private static void giveAccess(Path file, PosixFileAttributes old) throws IOException {
    PosixFileAttributeView view = Files.getFileAttributeView(file, PosixFileAttributeView.class);
    PosixFileAttributes now = view.readAttributes();
    Set<PosixFilePermission> mode = old.permissions();
    if (!now.group().equals(old.group()) && !isDone(() -> view.setGroup(old.group()))) {
      limitGroup(mode);
    }
    view.setPermissions(mode);
    if (!now.owner().equals(old.owner())) {
      isDone(() -> view.setOwner(old.owner()));
    }
  }

  private static void limitGroup(Set<PosixFilePermission> mode) {
    if (!mode.contains(PosixFilePermission.OTHERS_READ)) {
      mode.remove(PosixFilePermission.GROUP_READ);
    }
    if (!mode.contains(PosixFilePermission.OTHERS_WRITE)) {
      mode.remove(PosixFilePermission.GROUP_WRITE);
    }
    if (!mode.contains(PosixFilePermission.OTHERS_EXECUTE)) {
      mode.remove(PosixFilePermission.GROUP_EXECUTE);
    }
  }

  private interface Change {
    void run() throws IOException;
  }

  private static boolean isDone(Change change) {
    try {
      change.run();
      return true;
    } catch (IOException e) {
      return false;
    }
  }

  /** The same, told of the file that was asked for. */
  private static IOException named(Path file, IOException e) {
    String reason = e instanceof FileSystemException of ? of.getReason() : e.getMessage();
    FileSystemException named =
        e instanceof AccessDeniedException
            ? new AccessDeniedException(file.toString(), null, reason)
            : new FileSystemException(file.toString(), null, reason);
    named.initCause(e);
    return named;
  }
}
