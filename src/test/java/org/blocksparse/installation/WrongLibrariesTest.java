// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Enumeration;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.zip.Deflater;
import org.blocksparse.programs.ProductProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Test;

/** Native libraries that are broken, or of another build than the classes. */
final class WrongLibrariesTest extends Installation {
  /** Returns a copy of a jar in which one file is replaced. */
  private Path changedJar(Path original, String suffix, UnaryOperator<byte[]> change)
      throws IOException {
    Path copy = folder.resolve("changed.jar");
    int changed = 0;
    try (JarFile from = new JarFile(original.toFile());
        OutputStream out = Files.newOutputStream(copy);
        JarOutputStream to = new JarOutputStream(out)) {
      to.setLevel(Deflater.NO_COMPRESSION);
      Enumeration<JarEntry> entries = from.entries();
      while (entries.hasMoreElements()) {
        JarEntry entry = entries.nextElement();
        to.putNextEntry(new JarEntry(entry.getName()));
        try (InputStream in = from.getInputStream(entry)) {
          byte[] bytes = in.readAllBytes();
          boolean wanted = entry.getName().endsWith(suffix);
          changed += wanted ? 1 : 0;
          to.write(wanted ? change.apply(bytes) : bytes);
        }
        to.closeEntry();
      }
    }
    assertEquals(1, changed, "files " + suffix + " in " + original);
    return copy;
  }

  /** Runs a product with a jar of the class path in which one file is replaced. */
  private ChildJvm.Result runWithChanged(
      Predicate<String> jar, String suffix, UnaryOperator<byte[]> change) throws IOException {
    ChildJvm jvm = jvm();
    Path changed = changedJar(jvm.entry(jar), suffix, change);
    return jvm.without(jar).with(changed).run(ProductProgram.class);
  }

  /** The fallback never hides a broken library: it is for a missing one. */
  @Test
  void brokenLibrary() throws IOException {
    ChildJvm.Result result =
        runWithChanged(
            Installation::isNativeJar,
            System.mapLibraryName("jniblocksparse"),
            bytes -> Arrays.copyOf(bytes, 40));
    assertFails(result);
    assertContains(result, "the native library for " + PLATFORM + " is there but does not load");
    assertContains(result, "-Dblocksparse.backend=java runs without native code");
  }

  /** Functions of the same name may take other arguments. */
  @Test
  void libraryOfAnotherBuild() throws IOException {
    ChildJvm.Result result =
        runWithChanged(
            Installation::isNativeJar,
            "build-id.txt",
            bytes -> "0123456789abcdef".getBytes(StandardCharsets.UTF_8));
    assertFails(result);
    assertContains(
        result,
        "the native library for " + PLATFORM + " is of build 0123456789abcdef, the classes are of");
    assertContains(result, "take both jars of org.blocksparse:blocksparse in the same version");
  }
}
