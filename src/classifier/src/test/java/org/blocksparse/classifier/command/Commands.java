// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.blocksparse.classifier.examples.Texts;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Commands, run in this JVM on a few examples: the common part of their tests. */
abstract class Commands {
  static final int LABELS = 40;

  /** A model for tests that use one. */
  static byte[] trained;

  @TempDir Path folder;

  Path model;
  Path training;
  Path test;

  @BeforeAll
  static void train(@TempDir Path other) throws IOException {
    Locale.setDefault(Locale.ROOT); // like main
    Path examples = Files.writeString(other.resolve("train.txt"), Texts.lines(2000, LABELS, 1));
    Path file = other.resolve("model");
    runWell("train", "-o", file, "--head", "embedding", "--epochs", 1, "--dimension", 8, examples);
    trained = Files.readAllBytes(file);
  }

  @BeforeEach
  void writeExamples() throws IOException {
    model = folder.resolve("model");
    training = Files.writeString(folder.resolve("train.txt"), Texts.lines(2000, LABELS, 1));
    test = Files.writeString(folder.resolve("test.txt"), Texts.lines(200, LABELS, 2));
    Files.writeString(folder.resolve("sparse.txt"), "1,2 3:1 5:2\n2 4:1\n");
    Files.createFile(folder.resolve("empty"));
    Files.createDirectory(folder.resolve("folder"));
  }

  record Result(int code, String out, String err) {}

  static Result run(Object... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    String[] words = new String[args.length];
    for (int i = 0; i < args.length; i++) {
      words[i] = args[i].toString();
    }
    CommandLine command =
        Main.commandLine(words).setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    int code = Main.run(command, words);
    return new Result(code, out.toString(), err.toString());
  }

  static String runWell(Object... args) {
    Result result = run(args);
    assertEquals("", result.err());
    assertEquals(0, result.code());
    return result.out();
  }
}
