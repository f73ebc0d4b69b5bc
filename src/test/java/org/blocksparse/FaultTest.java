// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Enumeration;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.Deflater;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.programs.LittleMemoryProgram;
import org.blocksparse.programs.ModelFileProgram;
import org.blocksparse.programs.ProductProgram;
import org.blocksparse.programs.TimelessLoaderProgram;
import org.blocksparse.testing.ChildJvm;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What can be wrong with an installation ends in work done, or in one exception with the remedy.
 */
final class FaultTest {
  private static final String PLATFORM = Loader.getPlatform();
  private static final String RIGHT = "1 + 2 * 3 = 7.0";

  /** Names of our libraries. */
  private static final String OURS = ".*blocksparse.*";

  /** The number of the user nobody. */
  private static final int ANOTHER_USER = 65534;

  @TempDir Path folder;

  @BeforeAll
  static void needsTheNativeLibrary() {
    assumeTrue(Backend.isNative(), "there is no native library to break");
  }

  private ChildJvm jvm() {
    return new ChildJvm(folder.resolve("cache")).property("java.awt.headless", "true");
  }

  private static boolean isNativeJar(String name) {
    return name.startsWith("blocksparse-") && name.endsWith("-" + PLATFORM + ".jar");
  }

  private static boolean isMainJar(String name) {
    return name.matches("blocksparse-[^-]*(-SNAPSHOT)?\\.jar");
  }

  private static void assertWorks(ChildJvm.Result result) {
    assertEquals(0, result.exit(), result::toString);
    assertContains(result, RIGHT);
  }

  private static void assertFails(ChildJvm.Result result) {
    assertEquals(1, result.exit(), result::toString);
    assertContains(result, "java.lang.UnsatisfiedLinkError");
    assertFalse(result.output().contains(RIGHT), result::toString);
  }

  private static void assertContains(ChildJvm.Result result, String text) {
    assertTrue(result.output().contains(text), () -> "no '" + text + "' in " + result);
  }

  private static String line(String name, String value) {
    return String.format("%-18s %s", name, value);
  }

  private static List<String> lines(ChildJvm.Result result, String name) {
    return result.output().lines().filter(line -> line.startsWith(name + " ")).toList();
  }

  @Test
  void nothingIsWrong() {
    ChildJvm jvm = jvm();
    ChildJvm.Result result = jvm.run(ProductProgram.class);
    assertWorks(result);
    assertEquals(List.of(line("found", neededJars(jvm))), lines(result, "found"), result::toString);
    assertEquals(List.of(), lines(result, "missing"), result::toString);
    assertContains(result, line("kernels", "native"));
    assertContains(result, line("because", "the native library for " + PLATFORM + " was found"));
    assertFalse(result.output().contains("WARNING: Using"), result::toString);
  }

  /** The names of ours and of those of all artifacts, in the order of the report. */
  private static String neededJars(ChildJvm jvm) {
    Stream<Path> others =
        artifacts().map(each -> jvm.entry(name -> name.matches(each.get()[0] + "\\.jar")));
    return Stream.concat(Stream.of(jvm.entry(FaultTest::isMainJar)), others)
        .map(jar -> jar.getFileName().toString())
        .collect(Collectors.joining(", "));
  }

  @Test
  void openBlasHasOneThreadWhereItIsCalled() {
    ChildJvm.Result result = jvm().property("blocksparse.path", "blas").run(ProductProgram.class);
    assertWorks(result);
    assertContains(result, line("products", "OpenBLAS for all products of float32 weights"));
    assertContains(result, line("OpenBLAS threads", "1"));
  }

  @Test
  void tilesAloneAreOnePropertyAway() {
    ChildJvm.Result result = jvm().property("blocksparse.path", "tile").run(ProductProgram.class);
    assertWorks(result);
    assertContains(result, line("products", "register tiles for all products"));
  }

  private static final String MISSING =
      "no native library for "
          + PLATFORM
          + " on the class path: add the artifact org.blocksparse:blocksparse with the classifier "
          + PLATFORM
          + ", or org.blocksparse:blocksparse-platform, which has all of them";

  @Test
  void anAbsentNativeLibraryIsStoodInForWithOneWarning() {
    ChildJvm.Result result = jvm().without(FaultTest::isNativeJar).run(ProductProgram.class);
    assertWorks(result);
    assertContains(result, line("kernels", "Java"));
    assertContains(result, line("because", MISSING));
    String warning = "Using the slow Java kernels: " + MISSING + ".";
    assertEquals(
        2,
        result.output().split(Pattern.quote(warning), -1).length,
        () -> "one warning in " + result);
  }

  @Test
  void anAbsentNativeLibraryThatIsAskedForIsAnError() {
    ChildJvm.Result result =
        jvm()
            .without(FaultTest::isNativeJar)
            .property("blocksparse.backend", "native")
            .run(ProductProgram.class);
    assertFails(result);
    assertContains(result, MISSING);
  }

  /** A jar on the module path is no part of the program until its module is asked for. */
  @Test
  void moduleOfTheLibraryIsNotAskedFor() {
    ChildJvm jvm = jvm();
    String path =
        jvm
            .entries(name -> name.matches("(blocksparse|javacpp|openblas|jackson-core)-.*\\.jar"))
            .stream()
            .map(Path::toString)
            .collect(Collectors.joining(File.pathSeparator));
    String[] program = {"-p", path, "-m", "org.blocksparse/org.blocksparse.Backend"};
    ChildJvm.Result result = jvm.runProgram(program);
    String module = "--add-modules org.blocksparse." + PLATFORM.replace('-', '.');
    assertContains(result, line("kernels", "Java"));
    assertContains(result, MISSING + "; its module has to be named: " + module);

    for (String option : module.split(" ", -1)) {
      jvm.option(option);
    }
    assertContains(jvm.runProgram(program), line("kernels", "native"));
  }

  /** The jar that is there is for another platform than this machine's. */
  @Test
  void nativeLibraryForAnotherPlatform() {
    ChildJvm.Result result =
        jvm().property("org.bytedeco.javacpp.platform", "linux-ppc64le").run(ProductProgram.class);
    assertWorks(result);
    assertContains(result, line("kernels", "Java"));
    assertContains(result, line("because", MISSING.replace(PLATFORM, "linux-ppc64le")));
  }

  @Test
  void javaKernelsCanBeAskedFor() {
    ChildJvm.Result result =
        jvm().property("blocksparse.backend", "JAVA").run(ProductProgram.class);
    assertWorks(result);
    assertContains(result, line("because", "asked for with -Dblocksparse.backend=java"));
    assertContains(result, line("instruction set", "java"));
    assertFalse(Files.exists(folder.resolve("cache")), "a library was extracted");
  }

  @Test
  void unknownBackend() {
    ChildJvm.Result result = jvm().property("blocksparse.backend", "gpu").run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "blocksparse.backend: expected native or java but was gpu");
  }

  @Test
  void unknownInstructionSet() {
    ChildJvm.Result result = jvm().property("blocksparse.isa", "mmx").run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "blocksparse.isa: there is no instruction set called mmx");
  }

  @Test
  void instructionSetIsCapped() {
    for (int isa : NativeLibrary.supportedIsas().toArray()) {
      String name = NativeLibrary.isaName(isa);
      ChildJvm.Result result = jvm().property("blocksparse.isa", name).run(ProductProgram.class);
      assertWorks(result);
      assertContains(result, line("instruction set", name));
    }
  }

  @Test
  void threadsOfOpenBlasAreLeftAloneOnRequest() {
    ChildJvm.Result result =
        jvm()
            .environment("OPENBLAS_NUM_THREADS", "2")
            .property("blocksparse.openblas.threads", "keep")
            .run(ProductProgram.class);
    assertWorks(result);
    assumeTrue(Runtime.getRuntime().availableProcessors() > 1);
    assertContains(result, line("OpenBLAS threads", "2"));
  }

  /** A copy of a jar in which one file is another. */
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

  /** Runs a product with a jar of the class path in which one file is another. */
  private ChildJvm.Result runWithChanged(
      Predicate<String> jar, String suffix, UnaryOperator<byte[]> change) throws IOException {
    ChildJvm jvm = jvm();
    Path changed = changedJar(jvm.entry(jar), suffix, change);
    return jvm.without(jar).with(changed).run(ProductProgram.class);
  }

  /** Never hidden by the fallback: that is for a library that is absent. */
  @Test
  void brokenLibrary() throws IOException {
    ChildJvm.Result result =
        runWithChanged(
            FaultTest::isNativeJar,
            System.mapLibraryName("jniblocksparse"),
            bytes -> Arrays.copyOf(bytes, 40));
    assertFails(result);
    assertContains(result, "the native library for " + PLATFORM + " is there but does not load");
    assertContains(result, "-Dblocksparse.backend=java runs without native code");
  }

  /** To load it would end the process. */
  @ParameterizedTest
  @ValueSource(strings = {"/libjniblocksparse.so", "/libblocksparse.so", "/libopenblas.so.0"})
  void libraryThatEndsEarly(String library) throws IOException {
    assumeTrue(PLATFORM.startsWith("linux"), "elsewhere the loader looks at the length");
    Predicate<String> jar =
        name ->
            name.startsWith(library.contains("openblas") ? "openblas-" : "blocksparse-")
                && name.endsWith("-" + PLATFORM + ".jar");
    for (int percent : new int[] {20, 50, 80}) {
      ChildJvm.Result result =
          runWithChanged(
              jar,
              library,
              bytes -> Arrays.copyOf(bytes, (int) (percent * (long) bytes.length / 100)));
      assertFails(result);
      assertContains(result, library + " is cut short: download or build its jar again");
    }
  }

  /**
   * Makes other files of libraries in the cache, with the same time stamps.
   *
   * @param names a pattern of theirs
   * @param least how many there are at least
   */
  private void changeInCache(String names, int least, UnaryOperator<byte[]> change)
      throws IOException {
    List<Path> cached;
    try (Stream<Path> files = Files.walk(folder.resolve("cache"))) {
      cached =
          files
              .filter(file -> Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS))
              .filter(file -> file.getFileName().toString().matches(names))
              .toList();
    }
    assertTrue(cached.size() >= least, cached::toString);
    for (Path file : cached) {
      FileTime time = Files.getLastModifiedTime(file);
      Files.write(file, change.apply(Files.readAllBytes(file)));
      Files.setLastModifiedTime(file, time);
    }
  }

  /** A JVM that was killed while it extracted the libraries. */
  @Test
  void truncatedLibrariesInTheCache() throws IOException {
    assertWorks(jvm().run(ProductProgram.class));
    changeInCache(OURS, 2, bytes -> Arrays.copyOf(bytes, 1000));
    assertWorks(jvm().run(ProductProgram.class));
  }

  /** To JavaCPP, a library of the same size and time stamp is the same library. */
  @Test
  void librariesOfAnOlderJarInTheCache() throws IOException {
    assertWorks(jvm().run(ProductProgram.class));
    changeInCache(OURS, 2, bytes -> new byte[bytes.length]);
    assertWorks(jvm().run(ProductProgram.class));
  }

  /** OpenBLAS as well: to load what is not one would end the process. */
  @Test
  void anotherOpenBlasInTheCache() throws IOException {
    assertWorks(jvm().run(ProductProgram.class));
    changeInCache("libopenblas\\.(so\\.0|0.*|dll)", 1, bytes -> new byte[bytes.length]);
    assertWorks(jvm().run(ProductProgram.class));
  }

  /** Whatever is loaded from there: here, no more than the first half of a library is right. */
  @ParameterizedTest
  @ValueSource(
      classes = {
        ProductProgram.class,
        TimelessLoaderProgram.class,
        TimelessLoaderProgram.WithoutLength.class
      })
  void otherLibrariesInTheCache(Class<?> program) throws IOException {
    assertWorks(jvm().run(program));
    changeInCache(
        ".*",
        5,
        bytes -> {
          Arrays.fill(bytes, bytes.length / 2, bytes.length, (byte) 0);
          return bytes;
        });
    assertWorks(jvm().run(program));
  }

  /** Any library will do: it has none of the functions. */
  @Test
  void otherLibraryOfOurName() throws IOException {
    assumeTrue(PLATFORM.startsWith("linux"), "the linker of Linux");
    Path other = Files.createDirectory(folder.resolve("other"));
    try (JarFile jar = new JarFile(jvm().entry(FaultTest::isJavaCppJar).toFile())) {
      JarEntry library = jar.getJarEntry("org/bytedeco/javacpp/" + PLATFORM + "/libjnijavacpp.so");
      try (InputStream in = jar.getInputStream(library)) {
        Files.copy(in, other.resolve("libblocksparse.so"));
      }
    }
    ChildJvm.Result result =
        jvm()
            .property("org.bytedeco.javacpp.pathsFirst", "true")
            .property("java.library.path", other.toString())
            .environment("LD_LIBRARY_PATH", other.toString())
            .run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "is there but does not load");
    assertContains(
        result,
        "Another libblocksparse.so was found first: take its folder out of LD_LIBRARY_PATH and"
            + " java.library.path");
  }

  private static boolean isJavaCppJar(String name) {
    return name.startsWith("javacpp-") && name.endsWith("-" + PLATFORM + ".jar");
  }

  private static boolean isJavaCpp(String name) {
    return name.startsWith("javacpp-");
  }

  @Test
  void withoutJavaCpp() {
    ChildJvm.Result result = jvm().without(FaultTest::isJavaCpp).run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "org.bytedeco:javacpp is missing: add it to the class path");
    assertContains(result, line("missing", "org.bytedeco:javacpp"));
  }

  /** Each artifact, and a pattern of its jar. */
  static Stream<Arguments> artifacts() {
    String classifier = " with the classifier " + PLATFORM;
    return Stream.of(
        Arguments.of(
            "jackson-core-.*", "com.fasterxml.jackson.core:jackson-core (for model files)"),
        Arguments.of("javacpp-[^-]*", "org.bytedeco:javacpp"),
        Arguments.of("blocksparse-.*-" + PLATFORM, "org.blocksparse:blocksparse" + classifier),
        Arguments.of("javacpp-.*-" + PLATFORM, "org.bytedeco:javacpp" + classifier),
        Arguments.of("openblas-.*-" + PLATFORM, "org.bytedeco:openblas" + classifier));
  }

  @ParameterizedTest(name = "{1}")
  @MethodSource("artifacts")
  void theReportNamesWhatIsMissingAndNothingElse(String jar, String artifact) {
    ChildJvm.Result result =
        jvm().without(name -> name.matches(jar + "\\.jar")).run(ProductProgram.class);
    assertEquals(List.of(line("missing", artifact)), lines(result, "missing"), result::toString);
  }

  @Test
  void withoutJavaCppJavaKernelsRun() {
    assertWorks(
        jvm()
            .without(FaultTest::isJavaCpp)
            .property("blocksparse.backend", "java")
            .run(ProductProgram.class));
  }

  @Test
  void withoutJacksonModelFilesSayWhatIsMissing() {
    ChildJvm jvm = jvm().without(name -> name.startsWith("jackson-core-"));
    ChildJvm.Result result = jvm.run(ModelFileProgram.class, folder.resolve("model").toString());
    assertEquals(0, result.exit(), result::toString);
    assertContains(result, line("missing", "com.fasterxml.jackson.core:jackson-core"));
    String remedy =
        "NoClassDefFoundError: com.fasterxml.jackson.core:jackson-core is missing: model files"
            + " need it; add it to the class path";
    assertContains(result, "save: java.lang." + remedy);
    assertContains(result, "load: java.lang." + remedy);
  }

  /** A library that is not the one that the jar was made with. */
  @Test
  void libraryOfAnotherBuild() throws IOException {
    ChildJvm.Result result =
        runWithChanged(
            FaultTest::isNativeJar,
            "blocksparse.buildid",
            bytes -> "0123456789abcdef".getBytes(StandardCharsets.UTF_8));
    assertFails(result);
    assertContains(result, "the jar holds build 0123456789abcdef");
    assertContains(result, "empty it if it is older than the jar");
  }

  /** Jars of two releases: functions of the same name may take other arguments. */
  @Test
  void libraryOfAnotherVersion() throws IOException {
    ChildJvm.Result result =
        runWithChanged(
            FaultTest::isMainJar,
            "blocksparse/pom.properties",
            bytes -> "version=9.8.7".getBytes(StandardCharsets.UTF_8));
    assertFails(result);
    assertContains(result, ", the classes of version 9.8.7: take both jars of");
  }

  /** A place for the cache in which nothing can be written, not even by root. */
  private Path unwritable() throws IOException {
    return Files.createFile(folder.resolve("file"));
  }

  /** Where the folder for temporary files alone can be written. */
  private ChildJvm withoutHome() throws IOException {
    return new ChildJvm(unwritable().resolve("cache"))
        .property("user.home", folder.resolve("file").toString())
        .property("java.io.tmpdir", folder.toString());
  }

  @Test
  void cacheThatCannotBeWrittenIsMadeElsewhere() throws IOException {
    assertWorks(withoutHome().run(ProductProgram.class));
  }

  /** What JavaCPP has made in the folder for temporary files. */
  private Path temporaryCache() throws IOException {
    assumeTrue(!PLATFORM.startsWith("windows"), "owners and permissions of POSIX");
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> cache =
          files.filter(file -> file.getFileName().toString().startsWith(".javacpp")).toList();
      assertEquals(1, cache.size(), cache::toString);
      return cache.get(0);
    }
  }

  /** Its name is known to anybody, who could have put other libraries there. */
  private static void assertRefuses(ChildJvm jvm, Path cache) {
    ChildJvm.Result result = jvm.run(ProductProgram.class);
    assertFails(result);
    assertContains(result, cache + ", which others can write");
  }

  @Test
  void cacheInTheTemporaryFolderThatOthersCanWrite() throws IOException {
    ChildJvm jvm = withoutHome();
    assertWorks(jvm.run(ProductProgram.class));
    Path cache = temporaryCache();
    Files.setPosixFilePermissions(cache, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertRefuses(jvm, cache);
  }

  @Test
  void cacheInTheTemporaryFolderOfAnotherUser() throws IOException {
    ChildJvm jvm = withoutHome();
    assertWorks(jvm.run(ProductProgram.class));
    Path cache = temporaryCache();
    try {
      Files.setAttribute(cache, "unix:uid", ANOTHER_USER);
    } catch (FileSystemException e) {
      abort("only root gives files away: " + e);
    }
    assertRefuses(jvm, cache);
  }

  @Test
  void noPlaceForACache() throws IOException {
    Path file = unwritable();
    ChildJvm.Result result =
        new ChildJvm(file.resolve("cache"))
            .property("user.home", file.toString())
            .property("java.io.tmpdir", file.toString())
            .run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "is in a writable folder that may hold executables");
  }

  /** Mounted in a name space of its own, which needs root, or a system that lets anyone have it. */
  @Test
  void cacheThatMayNotHoldExecutables() throws IOException, InterruptedException {
    Path cache = Files.createDirectory(folder.resolve("noexec"));
    ChildJvm jvm = new ChildJvm(cache);
    String mount = "mount -t tmpfs -o noexec none " + cache;
    assumeTrue(
        Files.isExecutable(Path.of("/usr/bin/unshare"))
            && new ProcessBuilder("unshare", "-rm", "sh", "-c", mount).start().waitFor() == 0,
        "nothing can be mounted");
    ChildJvm.Result result =
        jvm.within("unshare", "-rm", "sh", "-c", mount + " && exec \"$0\" \"$@\"")
            .run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "is in a writable folder that may hold executables");
  }

  @Test
  void memoryThatCannotBeHadIsAnErrorThatTheJvmSurvives() {
    assumeTrue(PLATFORM.startsWith("linux"), "ulimit limits the address space");
    ChildJvm.Result result =
        jvm()
            .option("-Xmx64m")
            .option("-XX:MaxMetaspaceSize=64m")
            .option("-XX:CompressedClassSpaceSize=32m")
            .option("-XX:ReservedCodeCacheSize=64m")
            .environment("MALLOC_ARENA_MAX", "2")
            .addressSpace(3 << 20)
            .run(LittleMemoryProgram.class);
    assertEquals(0, result.exit(), result::toString);
    assertContains(result, "lives on");
  }

  @Test
  void eightAtOnceWithAnEmptyCache() {
    List<ChildJvm.Started> all = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      all.add(jvm().option("-Xmx64m").start(ProductProgram.class));
    }
    for (ChildJvm.Started started : all) {
      ChildJvm.Result result = started.await();
      assertWorks(result);
      assertContains(result, line("kernels", "native"));
    }
  }

  /** One in which ASCII has two bytes. Java 17 takes it for all texts, later ones for some. */
  @Test
  void anotherDefaultEncoding() {
    ChildJvm.Result result = jvm().property("file.encoding", "UTF-16BE").run(ProductProgram.class);
    assertEquals(0, result.exit(), result::toString);
  }

  /** Locales with their own letters and digits: Turkish i, Arabic digits. */
  @Test
  void otherLocales() {
    for (String language : new String[] {"tr", "ar"}) {
      ChildJvm.Result result =
          jvm()
              .property("user.language", language)
              .property("user.country", language.equals("tr") ? "TR" : "EG")
              .property("blocksparse.backend", "native".toUpperCase(Locale.ROOT))
              .run(ProductProgram.class);
      assertWorks(result);
    }
  }
}
