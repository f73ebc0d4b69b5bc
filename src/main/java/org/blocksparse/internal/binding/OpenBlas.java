// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;

/**
 * The OpenBLAS that the kernels call. JavaCPP loads that of bytedeco's jar, but the system's linker
 * decides: it takes the first library of that name in the process, otherwise one that is installed
 * on the machine.
 */
public final class OpenBlas {
  private OpenBlas() {}

  /** Returns the library as a resource of the jar for a platform. */
  public static String resource(String platform) {
    return "org/bytedeco/openblas/"
        + platform
        + "/"
        + (platform.startsWith("windows")
            ? "libopenblas.dll"
            : platform.startsWith("macosx") ? "libopenblas.0.dylib" : "libopenblas.so.0");
  }

  static boolean isInJar(String platform) {
    return OpenBlas.class.getClassLoader().getResource(resource(platform)) != null;
  }

  /** Returns the file in use, or null if it is unknown. */
  public static Path file() {
    BytePointer file = Blocksparse.blocksparse_openblas_file();
    return file == null ? null : Path.of(file.getString(NativePath.encoding()));
  }

  /**
   * Returns whether JavaCPP has loaded it, in any class loader; also true if the system does not
   * name the file.
   */
  public static boolean isLoadedByJavaCpp() {
    Path file = file();
    return file == null
        || isInJavaCppsCache(file)
        || loadedByJavaCpp().stream().anyMatch(loaded -> isSame(loaded, file));
  }

  private static boolean isInJavaCppsCache(Path file) {
    try {
      return file.toRealPath().startsWith(Loader.getCacheDir().toPath().toRealPath());
    } catch (IOException e) {
      return false;
    }
  }

  /**
   * Rejects an OpenBLAS of the machine that replaces a missing jar: the program would fail, or give
   * other bits at another speed, on the next machine. One that other code of this process has
   * loaded first only gets a warning, since no jar would help.
   *
   * @throws UnsatisfiedLinkError naming the file and the jar
   */
  static void check(String platform) {
    if (isLoadedByJavaCpp()) {
      return;
    }
    List<Path> loaded = loadedByJavaCpp();
    if (loaded.isEmpty()) {
      throw new UnsatisfiedLinkError(
          "org.bytedeco:openblas with the classifier "
              + platform
              + " was not loaded, and in its place this machine's own OpenBLAS was found, "
              + file());
    }
    System.getLogger("org.blocksparse")
        .log(
            Level.WARNING,
            "Using the OpenBLAS of {0}, which other code has loaded first, not {1}.",
            file(),
            loaded.get(0));
  }

  /**
   * Makes OpenBLAS compute on the thread that calls it, in the whole process: the parallelism is
   * ours.
   */
  public static void useOneThread() {
    Blocksparse.blocksparse_set_openblas_threads(1);
  }

  private static List<Path> loadedByJavaCpp() {
    return Loader.getLoadedLibraries().values().stream()
        .map(Path::of)
        .filter(path -> path.isAbsolute() && path.getFileName().toString().contains("openblas"))
        .toList();
  }

  private static boolean isSame(Path one, Path other) {
    try {
      return Files.isSameFile(one, other);
    } catch (IOException e) {
      return one.equals(other);
    }
  }
}
