// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.JarFile;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** {@code java -jar blocksparse.jar}, which has none of the other jars on its class path. */
final class JavaJarTest extends Installation {
  private static final String OURS = "blocksparse-.*\\.jar";
  private static final String OTHERS = "(javacpp|openblas|jackson-core)-.*\\.jar";

  private ChildJvm jvm;
  private Path jar;

  @BeforeEach
  void setUp() {
    // A home without a repository, and no backend but the best that is found.
    jvm = jvm().property("user.home", folder.resolve("home").toString());
    jar = jvm.entry(Installation::isMainJar);
  }

  /**
   * Puts the entries of the class path with such names into a folder; returns where our own jar is
   * then. Links to the large ones; the JVM would see through a link to the jar that it starts.
   */
  private Path put(String names, Path folder) throws IOException {
    Files.createDirectories(folder);
    for (Path entry : jvm.entries(name -> name.matches(names))) {
      Path target = folder.resolve(entry.getFileName());
      if (entry.getFileName().toString().matches(OURS)) {
        Files.copy(entry, target);
      } else {
        Files.createSymbolicLink(target, entry);
      }
    }
    return folder.resolve(jar.getFileName());
  }

  /** The dependencies of our jar, as Maven lays them out. */
  private Path repository(Path folder) throws IOException {
    try (JarFile file = new JarFile(jar.toFile())) {
      String needed = file.getManifest().getMainAttributes().getValue("Needed-Folders");
      for (String name : needed.split(" ", -1)) {
        Path version = folder.resolve(name);
        put(version.getParent().getFileName() + "-.*\\.jar", version);
      }
    }
    return folder;
  }

  private ChildJvm.Result runJar(Path started) {
    return jvm.runProgram("-jar", started.toString());
  }

  private static void assertIsFullReport(ChildJvm.Result result) {
    assertEquals(0, result.exit(), result::toString);
    for (String text : new String[] {line("kernels", "native"), ": exact", "OpenBLAS file"}) {
      assertContains(result, text);
    }
    for (String text : new String[] {"missing", "WARNING"}) {
      assertFalse(result.output().contains(text), () -> text + " in " + result);
    }
  }

  @Test
  void findsItsDependenciesBesideItself() throws IOException {
    assertIsFullReport(runJar(put(OURS + "|" + OTHERS, folder.resolve("all"))));
  }

  @Test
  void findsItsDependenciesInItsRepository() throws IOException {
    Path repository = repository(folder.resolve("repository"));
    assertIsFullReport(runJar(put(OURS, repository.resolve("org/blocksparse/blocksparse/1.0"))));
  }

  /** As after a build: our jars in a folder of their own, the others where Maven put them. */
  @Test
  void findsItsDependenciesInTheUsersRepository() throws IOException {
    repository(folder.resolve("home/.m2/repository"));
    assertIsFullReport(runJar(put(OURS, folder.resolve("target"))));
  }

  /** Missing jars are not taken from the user's repository: others do not have that. */
  @Test
  void tellsWhatIsMissingBesideItself() throws IOException {
    repository(folder.resolve("home/.m2/repository"));
    ChildJvm.Result result =
        runJar(put(OURS + "|(javacpp|jackson-core)-.*\\.jar", folder.resolve("incomplete")));
    assertEquals(1, result.exit(), result::toString);
    assertContains(
        result, line("missing", "org.bytedeco:openblas with the classifier " + PLATFORM));
  }

  @Test
  void tellsWhatToDoIfItIsAlone() throws IOException {
    ChildJvm.Result result = runJar(put(OURS, folder.resolve("alone")));
    assertEquals(1, result.exit(), result::toString);
    assertTrue(result.output().startsWith("JavaCPP is missing ("), result::toString);
  }
}
