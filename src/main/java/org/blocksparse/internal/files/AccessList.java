// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.nio.file.FileSystems;
import java.nio.file.Path;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.binding.NativePath;

/**
 * The fate of a file's POSIX access list when another file takes its access. Where a file has one,
 * the group's bits of its mode are the mask of the list, and not what the group may do.
 */
enum AccessList {
  /** Neither file has a list. The constants are in the order of {@code blocksparse_access_list}. */
  NONE,
  /** The new file has the list of the old one. */
  COPIED,
  /** The list could not be read, or not be given to the new file. */
  LOST,
  /**
   * It is unknown whether there is a list: the native library is missing, or the file system is not
   * the default one.
   */
  UNKNOWN;

  /**
   * Gives a new file the list of an old one, or removes its own if the old one has none.
   *
   * @param sameGroup whether the files have the same group
   */
  static AccessList copy(Path from, Path to, boolean sameGroup) {
    boolean ofTheSystem = from.getFileSystem() == FileSystems.getDefault();
    if (ofTheSystem && isApartFromMode(System.getProperty("os.name"))) {
      return NONE;
    }
    if (!ofTheSystem || !NativeLibrary.isLoaded()) {
      return UNKNOWN;
    }
    try (NativePath old = NativePath.ofOrNull(from);
        NativePath made = NativePath.ofOrNull(to)) {
      return old == null || made == null ? UNKNOWN : values()[old.copyAccessList(made, sameGroup)];
    }
  }

  /**
   * Returns whether lists add to the mode or deny, whose bits are those of the group, as on macOS.
   */
  private static boolean isApartFromMode(String system) {
    return system.startsWith("Mac");
  }
}
