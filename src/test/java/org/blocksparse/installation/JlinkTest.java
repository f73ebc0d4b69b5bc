// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.installation;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.spi.ToolProvider;
import org.junit.jupiter.api.Test;

/**
 * A user's program as a runtime image: without a JDK, a class path, or the module that could record
 * events.
 */
final class JlinkTest extends Installation {
  private static final String MODULE = "module hello { requires org.blocksparse; }";
  private static final String PROGRAM =
      """
      package hello;

      import org.blocksparse.Backend;
      import org.blocksparse.FloatTensor;
      import org.blocksparse.softmax.HierarchicalSoftmax;

      public class Hello {
        public static void main(String[] args) {
          try (HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(8, 100).build();
              FloatTensor x = FloatTensor.zeros(1, 8)) {
            System.out.print(Backend.isNative() + " " + softmax.topK(x, 3).size(0));
          }
        }
      }
      """;

  @Test
  void image_runsOnTheNativeKernels() throws IOException, InterruptedException {
    assumeTrue(Files.isDirectory(Path.of(System.getProperty("java.home"), "jmods")), "no jmods");
    Path sources = Files.createDirectories(folder.resolve("sources/hello"));
    Path module = Files.writeString(sources.resolveSibling("module-info.java"), MODULE);
    Path program = Files.writeString(sources.resolve("Hello.java"), PROGRAM);
    Path classes = folder.resolve("classes");
    String jars = modulePath(jvm());
    run("javac", "-p", jars, "-d", classes.toString(), module.toString(), program.toString());

    Path image = folder.resolve("image");
    run(
        "jlink",
        "--module-path",
        jars + File.pathSeparator + classes,
        "--add-modules",
        "hello," + NATIVE_MODULE,
        "--add-options",
        " --add-modules=" + NATIVE_MODULE, // resolved at start: else the loader misses them
        "--output",
        image.toString());
    String modules = Files.readString(image.resolve("release"));
    assertTrue(modules.contains("java.base") && !modules.contains("jdk.jfr"), modules);

    Process process =
        new ProcessBuilder(
                image.resolve("bin/java").toString(),
                "-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("cache"),
                "-m",
                "hello/hello.Hello")
            .redirectError(folder.resolve("errors").toFile())
            .start();
    String output = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, process.waitFor(), () -> output + read(folder.resolve("errors")));
    assertEquals("true 3", output);
  }

  private static void run(String tool, String... arguments) {
    int code = ToolProvider.findFirst(tool).orElseThrow().run(System.out, System.err, arguments);
    assertEquals(0, code, tool);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return e.toString();
    }
  }
}
