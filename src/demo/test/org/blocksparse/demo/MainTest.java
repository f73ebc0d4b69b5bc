// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

final class MainTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @TempDir private Path folder;

  private int run(String... args) {
    CommandLine command = Main.commandLine();
    command.setOut(new PrintWriter(out, true));
    command.setErr(new PrintWriter(err, true));
    return command.execute(args);
  }

  private void refuses(String why, String... args) {
    err.getBuffer().setLength(0);
    assertEquals(2, run(args));
    assertEquals(1, err.toString().lines().count(), err.toString());
    assertTrue(err.toString().contains(why), err.toString());
  }

  @Test
  void badInput_isAnsweredByOneLine() throws IOException {
    refuses("missing.txt", "--text", folder.resolve("missing.txt").toString());
    refuses("text:", "--text", Files.writeString(folder.resolve("word"), "word").toString());
    Path latin1 = Files.write(folder.resolve("latin1"), new byte[] {'G', 'r', (byte) 0xF6});
    refuses("MalformedInput", "--text", latin1.toString());
    refuses("--epochs", "--epochs", "many");
    refuses("--frobnicate", "--frobnicate");
    refuses("nowhere", "predict", "--model", folder.resolve("nowhere").toString());
  }

  /** Each word determines the next: the model must learn that, and beat chance by far. */
  @Test
  void aSmallTextIsLearned_andPredicted() throws IOException {
    Path text = folder.resolve("text");
    Files.writeString(text, "one two three four five six\nseven eight nine ten\n".repeat(200));
    String model = folder.resolve("demo/model").toString();
    assertEquals(
        0, run("--text", text.toString(), "--epochs", "20", "--output", model), err::toString);
    assertTrue(out.toString().contains("one two three ... "), out::toString);
    String drawn = "(?s).*\\R  (one two three four five six|seven eight nine ten)\\R.*";
    assertTrue(out.toString().matches(drawn), out::toString);

    out.getBuffer().setLength(0);
    InputStream keyboard = System.in;
    System.setIn(new ByteArrayInputStream("One two three\nseven eight\n".getBytes(UTF_8)));
    try {
      assertEquals(0, run("predict", "--top", "2", "--model", model), err::toString);
    } finally {
      System.setIn(keyboard);
    }
    List<String> answers = out.toString().lines().toList();
    assertEquals(2, answers.size(), answers::toString);
    assertTrue(answers.get(0).matches("four 9\\d\\.\\d%, \\S+ \\d\\.\\d%"), answers.get(0));
    assertTrue(answers.get(1).startsWith("nine "), answers.get(1));

    Path file = Path.of(model);
    Files.write(file, Arrays.copyOf(Files.readAllBytes(file), 100));
    refuses(file.toString(), "predict", "--model", model);
  }
}
