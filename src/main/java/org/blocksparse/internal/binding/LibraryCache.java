// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.UserPrincipal;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32;
import org.bytedeco.javacpp.Loader;

/** The folder into which JavaCPP extracts libraries, and what it does not look at there. */
final class LibraryCache {
  private static final int BUFFER_BYTES = 1 << 16;

  private LibraryCache() {}

  /** The folder, for a message. */
  static String folder() {
    try {
      return Loader.getCacheDir().toString();
    } catch (IOException e) {
      return "which cannot be found (" + e.getMessage() + ")";
    }
  }

  /**
   * Where neither the folder that was asked for nor the user's home can be written, JavaCPP takes
   * one of a name that anybody can guess, in the folder for temporary files: there, others could
   * have put code that we would run.
   *
   * @throws UnsatisfiedLinkError if others can write what would be loaded
   */
  static void requireSafe() throws IOException {
    Path folder = Loader.getCacheDir().toPath().toAbsolutePath().normalize();
    Path temporary = Path.of(System.getProperty("java.io.tmpdir")).toAbsolutePath().normalize();
    String asked = System.getProperty("org.bytedeco.javacpp.cachedir");
    boolean isAskedFor =
        asked != null && folder.equals(Path.of(asked).toAbsolutePath().normalize());
    if (isAskedFor
        || !folder.startsWith(temporary)
        || !FileSystems.getDefault().supportedFileAttributeViews().contains("posix")) {
      return;
    }
    UserPrincipal own = newFilesOwner(folder);
    for (Path each = folder; !each.equals(temporary); each = each.getParent()) {
      PosixFileAttributes found = Files.readAttributes(each, PosixFileAttributes.class);
      if (!found.owner().equals(own)
          || found.permissions().contains(PosixFilePermission.OTHERS_WRITE)) {
        throw new UnsatisfiedLinkError(
            "JavaCPP's cache would be in "
                + each
                + ", which others can write: name another with"
                + " -Dorg.bytedeco.javacpp.cachedir=DIR");
      }
    }
  }

  private static UserPrincipal newFilesOwner(Path folder) throws IOException {
    Path file = Files.createTempFile(folder, "owner", null);
    try {
      return Files.getOwner(file);
    } finally {
      Files.delete(file);
    }
  }

  /**
   * JavaCPP extracts a library again only if its size or time stamp differ, and reproducible jars
   * have fixed time stamps: what is left of an older jar in the cache, or of a JVM that was killed,
   * is made to differ.
   */
  static void renew(URL library) throws IOException {
    if (library.getProtocol().equals("file")) {
      return; // not in a jar, so not extracted
    }
    Path cached = Loader.cacheResource(library).toPath();
    if (!isSame(library, cached)) {
      // A class loader that knows no times returns 0.
      boolean timeless = Files.getLastModifiedTime(cached).toMillis() == 0;
      Files.setLastModifiedTime(cached, FileTime.from(timeless ? 1 : 0, TimeUnit.DAYS));
    }
  }

  /** By the checksum in the jar where there is one: to inflate OpenBLAS takes a while. */
  private static boolean isSame(URL library, Path cached) throws IOException {
    URLConnection connection = library.openConnection();
    long expected =
        connection instanceof JarURLConnection jar && jar.getJarEntry() != null
            ? jar.getJarEntry().getCrc()
            : -1;
    if (expected >= 0) {
      return expected == checksum(cached);
    }
    try (InputStream in = connection.getInputStream()) {
      return Arrays.equals(in.readAllBytes(), Files.readAllBytes(cached));
    }
  }

  private static long checksum(Path file) throws IOException {
    CRC32 checksum = new CRC32();
    byte[] buffer = new byte[BUFFER_BYTES];
    try (InputStream in = Files.newInputStream(file)) {
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        checksum.update(buffer, 0, count);
      }
    }
    return checksum.getValue();
  }
}
