// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Messages if a library does not load, on systems that no test runs on. */
final class NativeLibraryTest {
  private static final String MUSL =
      "The C library of this system is musl, as on Alpine, and the native library needs glibc 2.34"
          + " or later: take an image with Debian or Ubuntu, such as eclipse-temurin:21-jre";

  @TempDir private Path folder;

  private String remedy(String platform) {
    Throwable failure = new UnsatisfiedLinkError("ld-linux-x86-64.so.2: not found");
    return NativeLibrary.remedy(platform, failure, folder);
  }

  @Test
  void onMuslItNamesAnImageWithGlibc() throws IOException {
    String elsewhere = remedy("linux-x86_64");
    assertNotEquals(MUSL, elsewhere);
    Files.createFile(folder.resolve("ld-musl-x86_64.so.1"));
    assertEquals(MUSL, remedy("linux-x86_64"));
    assertNotEquals(MUSL, remedy("windows-x86_64"));
    Files.delete(folder.resolve("ld-musl-x86_64.so.1"));
    Files.delete(folder);
    assertEquals(elsewhere, remedy("linux-x86_64"));
    Files.createDirectory(folder);
  }
}
