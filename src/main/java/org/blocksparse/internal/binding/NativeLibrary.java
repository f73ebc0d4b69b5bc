// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.System.Logger.Level;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Properties;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;

/**
 * Loads the native library once, at first use, if it is of the same build as these classes. Does
 * not depend on kernels.
 *
 * <p>{@code -Dblocksparse.backend=java} disables it. Otherwise, one warning reports a missing
 * library and how to get it; a library that does not load is an error, never a silent loss of
 * speed. With {@code -Dblocksparse.backend=native} both are errors.
 */
public final class NativeLibrary {
  /** The outcome of loading; each use throws a failure anew. */
  private record Outcome(boolean loaded, String reason, LinkageError failure) {}

  /**
   * The outcome; null until known. A static initializer would not do: one that fails is never tried
   * again.
   */
  private static volatile Outcome known;

  private NativeLibrary() {}

  /**
   * Returns whether the library is loaded, and memory comes from it.
   *
   * @throws UnsatisfiedLinkError if it is wanted and does not load; the message names the remedy
   */
  public static boolean isLoaded() {
    return outcome().loaded;
  }

  /** Returns why it is loaded, or why not, in one sentence. */
  public static String reason() {
    return outcome().reason;
  }

  private static Outcome outcome() {
    Outcome outcome = known != null ? known : find();
    if (outcome.failure != null) {
      UnsatisfiedLinkError error = new UnsatisfiedLinkError(outcome.failure.getMessage());
      error.initCause(outcome.failure.getCause());
      throw error;
    }
    return outcome;
  }

  private static synchronized Outcome find() {
    if (known == null) {
      Loading loading = new Loading();
      loading.run();
      known = loading.outcome;
    }
    return known;
  }

  /**
   * Loads on a thread of its own: JavaCPP locks its cache through a channel, which fails if the
   * caller is interrupted, and a failure is final.
   */
  private static final class Loading {
    private Outcome outcome;
    private Throwable failure;

    void run() {
      Thread thread = new Thread(null, this::load, "blocksparse-loading", 0, false);
      thread.setDaemon(true);
      thread.start();
      boolean interrupted = false;
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
      if (failure instanceof Error e) {
        throw e;
      }
      if (failure instanceof RuntimeException e) {
        throw e;
      }
    }

    private void load() {
      try {
        outcome = NativeLibrary.load();
      } catch (Throwable e) {
        failure = e;
      }
    }
  }

  private static Outcome load() {
    String backend = System.getProperty("blocksparse.backend", "auto").toLowerCase(Locale.ROOT);
    if (backend.equals("java")) {
      return new Outcome(false, "asked for with -Dblocksparse.backend=java", null);
    }
    if (!backend.equals("auto") && !backend.equals("native")) {
      return failed("blocksparse.backend: expected native or java but was " + backend, null);
    }
    if (!hasJavaCpp()) {
      return failed(
          "org.bytedeco:javacpp is missing: add it to the class path, or"
              + " org.blocksparse:blocksparse-platform, which brings all that is needed."
              + " -Dblocksparse.backend=java runs without native code",
          null);
    }
    String platform = Loader.getPlatform();
    String found = BuildId.ofLibrary(platform);
    if (found == null) {
      String missing = missing(platform);
      if (backend.equals("native")) {
        return failed(missing, null);
      }
      System.getLogger("org.blocksparse")
          .log(Level.WARNING, "Using the slow Java kernels: {0}.", missing);
      return new Outcome(false, missing, null);
    }
    String wanted = BuildId.ofClasses();
    if (!found.equals(wanted)) {
      return failed(
          "the native library for "
              + platform
              + " is of build "
              + found
              + ", the classes are of build "
              + wanted
              + ": take both jars of org.blocksparse:blocksparse in the same version",
          null);
    }
    try {
      load(platform);
    } catch (LinkageError | RuntimeException e) {
      return failed(
          "the native library for "
              + platform
              + " is there but does not load: "
              + innermost(e)
              + ". "
              + remedy(platform, e, Path.of("/lib"))
              + ". -Dblocksparse.backend=java runs without native code",
          e);
    }
    return new Outcome(
        true,
        backend.equals("native")
            ? "asked for with -Dblocksparse.backend=native"
            : "the native library for " + platform + " was found",
        null);
  }

  private static String missing(String platform) {
    return "no native library for "
        + platform
        + " on the class path: add the artifact org.blocksparse:blocksparse with the classifier "
        + platform
        + ", or org.blocksparse:blocksparse-platform, which has all of them"
        + (NativeLibrary.class.getModule().isNamed()
            ? "; its module has to be named: --add-modules org.blocksparse."
                + platform.replace('-', '.')
            : "");
  }

  /** Returns whether JavaCPP is on the class path; without it nothing of it must be named. */
  public static boolean hasJavaCpp() {
    try {
      Class.forName("org.bytedeco.javacpp.Loader", false, NativeLibrary.class.getClassLoader());
      return true;
    } catch (ClassNotFoundException e) {
      return false;
    }
  }

  /** Returns the message of the innermost exception that has one. */
  private static String innermost(Throwable failure) {
    String reason = failure.toString();
    for (Throwable t = failure; t != null; t = t.getCause()) {
      reason = t.getMessage() == null ? reason : t.getMessage();
    }
    return reason;
  }

  /**
   * Returns the remedy if a library does not load.
   *
   * @param systemLibraries the folder of the loader of the C library
   */
  static String remedy(String platform, Throwable failure, Path systemLibraries) {
    if (isDenied(failure)) {
      return "This JVM denies native code to code that is not named: start it with "
          + nativeAccess();
    }
    String reason = innermost(failure);
    if (platform.startsWith("linux") && isMusl(systemLibraries)) {
      return "The C library of this system is musl, as on Alpine, and the native library needs"
          + " glibc 2.34 or later: take an image with Debian or Ubuntu, such as"
          + " eclipse-temurin:21-jre";
    }
    if (reason.contains("undefined symbol: cblas_")
        || reason.contains("undefined symbol: openblas_")) {
      return "Another OpenBLAS was found first, which does not have all functions (it may be built"
          + " without CBLAS): take its folder out of LD_LIBRARY_PATH and java.library.path";
    }
    if (Loader.class.getClassLoader() != NativeLibrary.class.getClassLoader()) {
      return "JavaCPP was loaded by another class loader than blocksparse, and gives its libraries"
          + " to one loader only: put the jars of both into the same one";
    }
    return "Check that org.bytedeco:javacpp and org.bytedeco:openblas with the classifier "
        + platform
        + " are on the class path, and that JavaCPP's cache"
        + " (-Dorg.bytedeco.javacpp.cachedir=DIR) is in a writable folder that may hold"
        + " executables";
  }

  /**
   * Returns whether the JVM refuses native code, as from JDK 24 on with
   * --illegal-native-access=deny.
   */
  private static boolean isDenied(Throwable failure) {
    for (Throwable t = failure; t != null; t = t.getCause()) {
      if (t instanceof IllegalCallerException) {
        return true;
      }
    }
    return false;
  }

  /** Returns the option of the JVM that allows native code to JavaCPP and to this library. */
  private static String nativeAccess() {
    return "--enable-native-access="
        + Stream.of(Loader.class, NativeLibrary.class)
            .map(c -> c.getModule().isNamed() ? c.getModule().getName() : "ALL-UNNAMED")
            .distinct()
            .collect(Collectors.joining(","));
  }

  /** Returns whether a folder of libraries has the loader of musl, as Alpine's has. */
  private static boolean isMusl(Path folder) {
    try (DirectoryStream<Path> loaders = Files.newDirectoryStream(folder, "ld-musl-*.so.1")) {
      return loaders.iterator().hasNext();
    } catch (IOException | DirectoryIteratorException e) {
      return false; // no such folder, as on Windows
    }
  }

  private static void load(String platform) {
    if (!OpenBlas.isInJar(platform) && !Boolean.getBoolean("org.bytedeco.javacpp.pathsFirst")) {
      // A library of an earlier run in JavaCPP's cache would be used, and be missing on other
      // machines.
      throw new UnsatisfiedLinkError(
          "org.bytedeco:openblas with the classifier " + platform + " is missing");
    }
    Loader.load(Blocksparse.class);
    OpenBlas.check(platform);
  }

  /** Returns the instruction sets that this machine can execute, in ascending order. */
  public static IntStream supportedIsas() {
    return isas().filter(isa -> Blocksparse.blocksparse_isa_supported(isa) != 0);
  }

  private static IntStream isas() {
    return IntStream.iterate(0, isa -> isaName(isa) != null, isa -> isa + 1);
  }

  /** Returns the number of an instruction set, or -1 if there is none of that name. */
  public static int isaOf(String name) {
    return isas().filter(isa -> isaName(isa).equals(name)).findFirst().orElse(-1);
  }

  /** Returns the name of an instruction set, or null if there is none of that number. */
  public static String isaName(int isa) {
    return NativeMemory.text(Blocksparse.blocksparse_isa_name(isa));
  }

  /** Returns the build of the library. */
  public static String build() {
    return BuildId.ofClasses();
  }

  /** Returns the version of these classes, or null if they are not in a jar of ours. */
  public static String version() {
    try (InputStream in =
        NativeLibrary.class.getResourceAsStream(
            "/META-INF/maven/org.blocksparse/blocksparse/pom.properties")) {
      if (in == null) {
        return null;
      }
      Properties properties = new Properties();
      properties.load(in);
      return properties.getProperty("version");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Outcome failed(String message, Throwable cause) {
    LinkageError failure = new UnsatisfiedLinkError(message);
    failure.initCause(cause);
    return new Outcome(false, message, failure);
  }
}
