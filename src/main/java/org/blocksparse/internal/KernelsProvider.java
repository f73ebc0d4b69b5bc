// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

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
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.stream.IntStream;
import org.blocksparse.internal.binding.Blocksparse;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;

/**
 * Decides once, at first use, which kernels run.
 *
 * <ul>
 *   <li>{@code -Dblocksparse.backend=native|java} forces a backend.
 *   <li>{@code -Dblocksparse.isa=portable|neon|avx2|avx512} caps the instruction set.
 *   <li>{@code -Dblocksparse.openblas.threads=keep} leaves OpenBLAS's process-wide number of
 *       threads alone, which is otherwise set to 1: parallelism is ours.
 * </ul>
 *
 * <p>Java kernels stand in for a native library that is absent, with one warning that says how to
 * get it. A library that is there but does not load is an error, never a silent loss of speed.
 */
public final class KernelsProvider {
  private static final Logger LOG = System.getLogger("org.blocksparse");
  private static final String LIBRARY = "jniblocksparse";

  /** What was decided and why. */
  private record Choice(Kernels kernels, Integer isa, String reason, LinkageError failure) {}

  private static final class Holder {
    static final Choice CHOICE = choose();
  }

  private static volatile Kernels override;

  private KernelsProvider() {}

  /**
   * The kernels to use.
   *
   * @throws UnsatisfiedLinkError if the native library is wanted and does not load; the message
   *     tells the remedy
   */
  public static Kernels kernels() {
    Kernels overriding = override;
    return overriding != null ? overriding : choice().kernels;
  }

  /** Whether the native library is loaded, and memory comes from it. */
  public static boolean nativeLibraryLoaded() {
    return choice().isa != null;
  }

  /**
   * The instruction set in use, one of the header's {@code blocksparse_isa}; null on Java kernels.
   */
  public static Integer isa() {
    return choice().isa;
  }

  /** Why these kernels, in one sentence. */
  public static String reason() {
    return choice().reason;
  }

  /** Lets tests run everything on kernels of their choice; null ends that. */
  public static void override(Kernels kernels) {
    override = kernels;
  }

  private static Choice choice() {
    Choice choice = Holder.CHOICE;
    if (choice.failure != null) {
      UnsatisfiedLinkError error = new UnsatisfiedLinkError(choice.failure.getMessage());
      error.initCause(choice.failure.getCause());
      throw error;
    }
    return choice;
  }

  private static Choice choose() {
    String backend = System.getProperty("blocksparse.backend", "auto").toLowerCase(Locale.ROOT);
    if (backend.equals("java")) {
      return new Choice(new JavaKernels(), null, "asked for with -Dblocksparse.backend=java", null);
    }
    if (!backend.equals("auto") && !backend.equals("native")) {
      return failed("blocksparse.backend: expected native or java but was " + backend, null);
    }
    String platform = Loader.getPlatform();
    if (libraryResource(platform) == null) {
      String missing =
          "no native library for "
              + platform
              + " on the class path: add the artifact org.blocksparse:blocksparse with the classifier "
              + platform
              + ", or org.blocksparse:blocksparse-platform, which has all of them"
              + (KernelsProvider.class.getModule().isNamed()
                  ? "; its module has to be named: --add-modules org.blocksparse."
                      + platform.replace('-', '.')
                  : "");
      if (backend.equals("native")) {
        return failed(missing, null);
      }
      LOG.log(Level.WARNING, "Using the slow Java kernels: {0}.", missing);
      return new Choice(new JavaKernels(), null, missing, null);
    }
    try {
      return loadNative(platform, backend);
    } catch (LinkageError | RuntimeException e) {
      return failed(
          "the native library for "
              + platform
              + " is there but does not load: "
              + reason(e)
              + ". "
              + remedy(platform)
              + ". -Dblocksparse.backend=java runs without native code",
          e);
    }
  }

  /** What the innermost exception that says something says. */
  private static String reason(Throwable failure) {
    String reason = failure.toString();
    for (Throwable t = failure; t != null; t = t.getCause()) {
      reason = t.getMessage() == null ? reason : t.getMessage();
    }
    return reason;
  }

  private static String remedy(String platform) {
    if (Loader.class.getClassLoader() != KernelsProvider.class.getClassLoader()) {
      return "JavaCPP was loaded by another class loader than blocksparse, and gives its libraries to"
          + " one loader only: put the jars of both into the same one";
    }
    return "Check that org.bytedeco:javacpp and org.bytedeco:openblas with the classifier "
        + platform
        + " are on the class path, that JavaCPP's cache (-Dorg.bytedeco.javacpp.cachedir=DIR) is in"
        + " a writable folder that may hold executables, and empty it if it is older than the jar";
  }

  private static Choice loadNative(String platform, String backend) {
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
    if (!System.getProperty("blocksparse.openblas.threads", "").equals("keep")) {
      Blocksparse.blocksparse_set_openblas_threads(1);
    }
    String cap = System.getProperty("blocksparse.isa");
    int highest = cap == null ? Integer.MAX_VALUE : number(cap);
    if (highest < 0) {
      return failed("blocksparse.isa: there is no instruction set called " + cap, null);
    }
    int isa = supported().filter(candidate -> candidate <= highest).max().orElse(0);
    String reason =
        backend.equals("native")
            ? "asked for with -Dblocksparse.backend=native"
            : "the native library for " + platform + " was found";
    return new Choice(new NativeKernels(isa, Kernels.Path.AUTO), isa, reason, null);
  }

  /** Every kind of kernels that can run here, by name. */
  public static Map<String, Kernels> available() {
    Map<String, Kernels> available = new LinkedHashMap<>();
    available.put("java", new JavaKernels());
    if (nativeLibraryLoaded()) {
      for (int isa : supported().toArray()) {
        for (Kernels.Path path : Kernels.Path.values()) {
          available.put(name(isa) + " " + path, new NativeKernels(isa, path));
        }
      }
    }
    return available;
  }

  /** The instruction sets that this machine can execute, in ascending order. */
  public static IntStream supported() {
    return all().filter(isa -> Blocksparse.blocksparse_isa_supported(isa) != 0);
  }

  private static IntStream all() {
    return IntStream.iterate(0, isa -> name(isa) != null, isa -> isa + 1);
  }

  private static int number(String name) {
    return all().filter(isa -> name(isa).equals(name)).findFirst().orElse(-1);
  }

  /** The name of an instruction set, or null if there is none of that number. */
  public static String name(int isa) {
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
        KernelsProvider.class.getResourceAsStream(
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
    return anyResource(
        KernelsProvider.class.getPackageName().replace('.', '/') + "/binding/" + name);
  }

  private static URL anyResource(String path) {
    URL url = KernelsProvider.class.getResource("/" + path);
    return url != null ? url : ClassLoader.getSystemResource(path);
  }

  private static Choice failed(String message, Throwable cause) {
    LinkageError failure = new UnsatisfiedLinkError(message);
    failure.initCause(cause);
    return new Choice(null, null, message, failure);
  }
}
