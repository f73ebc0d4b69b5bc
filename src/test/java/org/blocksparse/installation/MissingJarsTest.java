// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.blocksparse.programs.ModelFileProgram;
import org.blocksparse.programs.ProductProgram;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Jars that may be missing, and the report of the back end about them. */
final class MissingJarsTest extends Installation {
  private static final String MISSING =
      "no native library for "
          + PLATFORM
          + " on the class path: add the artifact org.blocksparse:blocksparse with the classifier "
          + PLATFORM
          + ", or org.blocksparse:blocksparse-platform, which has all of them";

  /** Returns each artifact with a pattern of its jar. */
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

  private static List<String> lines(ChildJvm.Result result, String name) {
    return result.output().lines().filter(line -> line.startsWith(name + " ")).toList();
  }

  /** Returns the names of our jars and of those of all artifacts, in the order of the report. */
  private static String neededJars(ChildJvm jvm) {
    Stream<Path> others =
        artifacts().map(each -> jvm.entry(name -> name.matches(each.get()[0] + "\\.jar")));
    return Stream.concat(Stream.of(jvm.entry(Installation::isMainJar)), others)
        .map(jar -> jar.getFileName().toString())
        .collect(Collectors.joining(", "));
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

  @Test
  void anAbsentNativeLibraryIsStoodInForWithOneWarning() {
    ChildJvm.Result result = jvm().without(Installation::isNativeJar).run(ProductProgram.class);
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
            .without(Installation::isNativeJar)
            .property("blocksparse.backend", "native")
            .run(ProductProgram.class);
    assertFails(result);
    assertContains(result, MISSING);
  }

  /** A jar on the module path is not part of the program until its module is required. */
  @Test
  void moduleOfTheLibraryIsNotAskedFor() {
    ChildJvm jvm = jvm();
    String[] program = {"-p", modulePath(jvm), "-m", "org.blocksparse/org.blocksparse.Backend"};
    ChildJvm.Result result = jvm.runProgram(program);
    String module = "--add-modules " + NATIVE_MODULE;
    assertContains(result, line("kernels", "Java"));
    assertContains(result, MISSING + "; its module has to be named: " + module);

    for (String option : module.split(" ", -1)) {
      jvm.option(option);
    }
    assertContains(jvm.runProgram(program), line("kernels", "native"));
  }

  /** The jar is for another platform than this machine's. */
  @Test
  void nativeLibraryForAnotherPlatform() {
    ChildJvm.Result result =
        jvm().property("org.bytedeco.javacpp.platform", "linux-ppc64le").run(ProductProgram.class);
    assertWorks(result);
    assertContains(result, line("kernels", "Java"));
    assertContains(result, line("because", MISSING.replace(PLATFORM, "linux-ppc64le")));
  }

  private static boolean isJavaCpp(String name) {
    return name.startsWith("javacpp-");
  }

  @Test
  void withoutJavaCpp() {
    ChildJvm.Result result = jvm().without(MissingJarsTest::isJavaCpp).run(ProductProgram.class);
    assertFails(result);
    assertContains(result, "org.bytedeco:javacpp is missing: add it to the class path");
    assertContains(result, line("missing", "org.bytedeco:javacpp"));
  }

  @Test
  void withoutJavaCppJavaKernelsRun() {
    assertWorks(
        jvm()
            .without(MissingJarsTest::isJavaCpp)
            .property("blocksparse.backend", "java")
            .run(ProductProgram.class));
  }

  @ParameterizedTest(name = "{1}")
  @MethodSource("artifacts")
  void theReportNamesWhatIsMissingAndNothingElse(String jar, String artifact) {
    ChildJvm.Result result =
        jvm().without(name -> name.matches(jar + "\\.jar")).run(ProductProgram.class);
    assertEquals(List.of(line("missing", artifact)), lines(result, "missing"), result::toString);
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
}
