// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.format;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import java.util.Set;

/** The permissions of a file: its mode, owner and group, where the file system has them. */
final class FileAccess {
  private FileAccess() {}

  /** What the process gives new files. */
  static FileAttribute<?>[] usual() {
    return new FileAttribute<?>[0];
  }

  /** Until a new file has the access of an old one, nobody else can open it. */
  static FileAttribute<?>[] ofOwnerAlone(Path old) {
    return Files.getFileAttributeView(old, PosixFileAttributeView.class) == null
        ? usual()
        : new FileAttribute<?>[] {
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
        };
  }

  /**
   * Gives a new file the access of an old one. Owner and group are not always to be had; a group
   * that is another one gets no more than all others have.
   */
  static void copy(Path from, Path to) throws IOException {
    PosixFileAttributeView view =
        Files.getFileAttributeView(to, PosixFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
    if (view == null) {
      return;
    }
    PosixFileAttributes old = Files.readAttributes(from, PosixFileAttributes.class);
    PosixFileAttributes now = view.readAttributes();
    Set<PosixFilePermission> mode = EnumSet.noneOf(PosixFilePermission.class);
    mode.addAll(old.permissions());
    if (!now.group().equals(old.group()) && !isDone(() -> view.setGroup(old.group()))) {
      limitGroup(mode);
    }
    if (!now.permissions().equals(mode)) {
      view.setPermissions(mode);
    }
    if (!now.owner().equals(old.owner())) {
      isDone(() -> view.setOwner(old.owner()));
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
}
