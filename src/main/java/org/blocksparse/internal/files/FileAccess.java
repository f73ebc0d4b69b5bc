// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;

/** The permissions of a file: its mode, owner and group, where the file system has them. */
final class FileAccess {
  private FileAccess() {}

  /** Returns the access that the process gives new files. */
  static FileAttribute<?>[] usual() {
    return new FileAttribute<?>[0];
  }

  /** Returns access for the owner alone, until a new file gets the access of an old one. */
  static FileAttribute<?>[] ofOwnerAlone(Path old) {
    return Files.getFileAttributeView(old, PosixFileAttributeView.class) == null
        ? usual()
        : new FileAttribute<?>[] {
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
        };
  }

  /**
   * Gives a new file the access of an old one, without granting more. Owner, group and access list
   * cannot always be set.
   */
  static void copy(Path from, Path to) throws IOException {
    PosixFileAttributeView view = view(to);
    if (view == null) {
      return;
    }
    PosixFileAttributes old = Files.readAttributes(from, PosixFileAttributes.class);
    PosixFileAttributes now = view.readAttributes();
    copyRights(
        from, to, now.group().equals(old.group()) || isDone(() -> view.setGroup(old.group())));
    if (!now.owner().equals(old.owner())) {
      isDone(() -> view.setOwner(old.owner()));
    }
  }

  /** Copies access list and mode, for the same group or for another one. */
  static void copyRights(Path from, Path to, boolean sameGroup) throws IOException {
    AccessList list = AccessList.copy(from, to, sameGroup);
    if (list == AccessList.COPIED) {
      return; // together with the mode
    }
    String old = PosixFilePermissions.toString(Files.getPosixFilePermissions(from));
    String both = both(old);
    // If the group changes, its members were among all others before, and those of the old group
    // are now.
    String others = sameGroup ? old.substring(6) : both;
    // These bits may be the mask of a list.
    String group = sameGroup && list == AccessList.NONE ? old.substring(3, 6) : both;
    Set<PosixFilePermission> mode =
        PosixFilePermissions.fromString(
            old.substring(0, 3) + (list == AccessList.LOST ? "------" : group + others));
    PosixFileAttributeView view = view(to);
    if (!view.readAttributes().permissions().equals(mode)) {
      view.setPermissions(mode);
    }
  }

  /**
   * Returns the view of a new file, which nobody can replace by a link; null if files have no
   * modes.
   */
  private static PosixFileAttributeView view(Path file) {
    return Files.getFileAttributeView(
        file, PosixFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
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

  /** Returns the rights that the group and all others share. */
  private static String both(String mode) {
    StringBuilder both = new StringBuilder();
    for (int bit = 3; bit < 6; bit++) {
      both.append(mode.charAt(bit) == mode.charAt(bit + 3) ? mode.charAt(bit) : '-');
    }
    return both.toString();
  }
}
