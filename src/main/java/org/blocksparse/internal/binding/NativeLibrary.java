// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
import java.util.Locale;
import java.util.Properties;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;

/**
 * Loads the native library once, at first use, and makes sure that it is the one that these classes
 * belong to. Knows nothing of kernels.
 *
 * <p>{@code -Dblocksparse.backend=java} leaves it alone. Without that, a library that is absent is
 * told of in one warning that says how to get it; one that is there but does not load is an error,
 * never a silent loss of speed. With {@code -Dblocksparse.backend=native} both are.
 */
public final class NativeLibrary {
  private static final Logger LOG = System.getLogger("org.blocksparse");
  private static final String LIBRARY = "jniblocksparse";

  /** What became of it; a failure is thrown anew at each use. */
  private record Outcome(boolean loaded, String reason, LinkageError failure) {}

  private static final class Holder {
    static final Outcome OUTCOME = load();
  }

  private NativeLibrary() {}

  /**
   * Whether the library is loaded, and memory comes from it.
   *
   * @throws UnsatisfiedLinkError if it is wanted and does not load; the message tells the remedy
   */
  public static boolean isLoaded() {
    return outcome().loaded;
  }

  /** Why it is loaded, or why not, in one sentence. */
  public static String reason() {
    return outcome().reason;
  }

  private static Outcome outcome() {
    Outcome outcome = Holder.OUTCOME;
    if (outcome.failure != null) {
      UnsatisfiedLinkError error = new UnsatisfiedLinkError(outcome.failure.getMessage());
      error.initCause(outcome.failure.getCause());
      throw error;
    }
    return outcome;
  }

  private static Outcome load() {
    String backend = System.getProperty("blocksparse.backend", "auto").toLowerCase(Locale.ROOT);
    if (backend.equals("java")) {
      return new Outcome(false, "asked for with -Dblocksparse.backend=java", null);
    }
    if (!backend.equals("auto") && !backend.equals("native")) {
      return failed("blocksparse.backend: expected native or java but was " + backend, null);
    }
    String platform = Loader.getPlatform();
    if (libraryResource(platform) == null) {
      String missing = missing(platform);
      if (backend.equals("native")) {
        return failed(missing, null);
      }
      LOG.log(Level.WARNING, "Using the slow Java kernels: {0}.", missing);
      return new Outcome(false, missing, null);
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
              + remedy(platform)
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

  /** What the innermost exception that says something says. */
  private static String innermost(Throwable failure) {
    String reason = failure.toString();
    for (Throwable t = failure; t != null; t = t.getCause()) {
      reason = t.getMessage() == null ? reason : t.getMessage();
    }
    return reason;
  }

  private static String remedy(String platform) {
    if (Loader.class.getClassLoader() != NativeLibrary.class.getClassLoader()) {
      return "JavaCPP was loaded by another class loader than blocksparse, and gives its libraries to"
          + " one loader only: put the jars of both into the same one";
    }
    return "Check that org.bytedeco:javacpp and org.bytedeco:openblas with the classifier "
        + platform
        + " are on the class path, that JavaCPP's cache (-Dorg.bytedeco.javacpp.cachedir=DIR) is in"
        + " a writable folder that may hold executables, and empty it if it is older than the jar";
  }

  private static void load(String platform) {
    URL binding = libraryResource(platform);
    URL kernels = resource(platform + "/" + System.mapLibraryName("blocksparse"));
    if (platform.startsWith("linux")) {
      requireWhole(binding);
      requireWhole(kernels);
      requireWhole(anyResource("org/bytedeco/openblas/" + platform + "/libopenblas.so.0"));
    }
    renewInCache(binding);
    renewInCache(kernels);
    Loader.load(Blocksparse.class);
    checkVersion();
    checkBuildId(platform);
    OpenBlas.check(platform);
  }

  /** The instruction sets that this machine can execute, in ascending order. */
  public static IntStream supportedIsas() {
    return isas().filter(isa -> Blocksparse.blocksparse_isa_supported(isa) != 0);
  }

  private static IntStream isas() {
    return IntStream.iterate(0, isa -> isaName(isa) != null, isa -> isa + 1);
  }

  /** The number of an instruction set, or -1 if there is none of that name. */
  public static int isaOf(String name) {
    return isas().filter(isa -> isaName(isa).equals(name)).findFirst().orElse(-1);
  }

  /** The name of an instruction set, or null if there is none of that number. */
  public static String isaName(int isa) {
    BytePointer name = Blocksparse.blocksparse_isa_name(isa);
    return name == null ? null : name.getString();
  }

  private static void requireWhole(URL library) {
    try {
      if (library != null && ElfFile.isTruncated(library)) {
        throw new UnsatisfiedLinkError(library + " is not whole: get the jar anew");
      }
    } catch (IOException e) {
      throw new IllegalStateException("cannot read " + library, e);
    }
  }

  /** The version of these classes, or null if they are not in a jar of ours. */
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

  /** Between versions the functions may differ, and calling one that has changed is a crash. */
  private static void checkVersion() {
    String loaded = Blocksparse.blocksparse_version().getString();
    String wanted = version();
    if (wanted != null && !wanted.equals(loaded)) {
      throw new UnsatisfiedLinkError(
          "the library is of version "
              + loaded
              + ", the classes of version "
              + wanted
              + ": take both jars of org.blocksparse:blocksparse in the same version");
    }
  }

  /**
   * JavaCPP extracts a library again only if its size or time stamp differ, and reproducible jars
   * have fixed time stamps: what is left of an older jar in the cache is made to differ.
   */
  private static void renewInCache(URL library) {
    if (library == null || library.getProtocol().equals("file")) {
      return; // not in a jar, so not extracted
    }
    try (InputStream in = library.openStream()) {
      Path cached = Loader.cacheResource(library).toPath();
      if (!Arrays.equals(in.readAllBytes(), Files.readAllBytes(cached))) {
        Files.setLastModifiedTime(cached, FileTime.fromMillis(0));
      }
    } catch (IOException e) {
      throw new IllegalStateException("cannot extract " + library, e);
    }
  }

  /** For a cache in which the library of an older jar could not be replaced, and mixed-up jars. */
  private static void checkBuildId(String platform) {
    String loaded = Blocksparse.blocksparse_build_id().getString();
    URL file = resource(platform + "/blocksparse.buildid");
    if (file == null) {
      throw new UnsatisfiedLinkError("the jar has no build id for " + platform);
    }
    String expected;
    try (InputStream in = file.openStream()) {
      expected = new String(in.readAllBytes(), StandardCharsets.UTF_8).strip();
    } catch (IOException e) {
      throw new IllegalStateException("cannot read " + file, e);
    }
    if (!expected.equals(loaded)) {
      throw new UnsatisfiedLinkError(
          "the library in JavaCPP's cache, "
              + cacheFolder()
              + ", is build "
              + loaded
              + ", the jar holds build "
              + expected);
    }
  }

  private static String cacheFolder() {
    try {
      return Loader.getCacheDir().toString();
    } catch (IOException e) {
      return "which cannot be found (" + e.getMessage() + ")";
    }
  }

  private static URL libraryResource(String platform) {
    return resource(platform + "/" + System.mapLibraryName(LIBRARY));
  }

  /** A resource beside the binding, from its own module or from the class path. */
  private static URL resource(String name) {
    return anyResource(NativeLibrary.class.getPackageName().replace('.', '/') + "/" + name);
  }

  private static URL anyResource(String path) {
    URL url = NativeLibrary.class.getResource("/" + path);
    return url != null ? url : ClassLoader.getSystemResource(path);
  }

  private static Outcome failed(String message, Throwable cause) {
    LinkageError failure = new UnsatisfiedLinkError(message);
    failure.initCause(cause);
    return new Outcome(false, message, failure);
  }
}
