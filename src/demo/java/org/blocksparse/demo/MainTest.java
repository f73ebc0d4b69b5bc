// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.blocksparse.FloatTensor;
import org.blocksparse.NpyFile;
import org.blocksparse.Shape;
import org.jline.terminal.Terminal;
import org.jline.terminal.impl.ExternalTerminal;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class MainTest {
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
    assertEquals("", out.toString());
  }

  @Test
  void badInput_oneLineAndExitCode2() throws IOException {
    refuses("missing.txt", "--text", folder.resolve("missing.txt").toString());
    refuses("no words", "--text", Files.writeString(folder.resolve("empty"), "\n").toString());
    refuses("1 sentence", "--text", Files.writeString(folder.resolve("word"), "word").toString());
    refuses("--epochs", "--epochs", "0");
    refuses("--epochs", "--epochs", "many");
    refuses("--seconds", "--seconds", "0");
    refuses("--batch", "--batch", "2000000000");
    refuses("--rate", "--rate", "NaN");
    refuses("--assignment", "--assignment", "astrology");
    refuses("--frobnicate", "--frobnicate");
  }

  @Test
  void help_listsOptions() {
    assertEquals(0, run("--help"));
    assertTrue(out.toString().contains("--text=FILE"), out.toString());
    assertEquals("", err.toString());
  }

  /** A text in which each word tells the next: the model must find out, and beat chance by far. */
  @Test
  void smallText_isLearnedAndDrawn() throws IOException {
    Path text = folder.resolve("text");
    Files.writeString(text, "one two three four five six\nseven eight nine ten\n".repeat(200));
    Path output = folder.resolve("output");
    int code =
        run(
            "--text",
            text.toString(),
            "--output",
            output.toString(),
            "--epochs",
            "10",
            "--batch",
            "32",
            "--features",
            "16",
            "--embedding",
            "8",
            "--prompt",
            "one two three");
    assertEquals(0, code, err.toString());
    assertTrue(
        out.toString()
            .startsWith(
                "Learns which word comes next, and shows what came of it: about 10 seconds"),
        out.toString());
    assertTrue(
        out.toString().matches("(?s).*one two three \\.\\.\\. +four 9\\d.*"), out.toString());
    assertTrue(Files.size(output.resolve("learning-curve.png")) > 0);
    try (FloatTensor heldOut = NpyFile.readFloats(output.resolve("model/held-out.npy"))) {
      assertEquals(Shape.of(232, 16), heldOut.shape()); // all there are
    }
  }

  /** Three softmax layers, each trained for a second, which is many passes over so small a text. */
  @Test
  void sweep_takesTheTimeThatIsGiven() throws IOException {
    Path text = folder.resolve("text");
    Files.writeString(text, "one two three four five six\nseven eight nine ten\n".repeat(200));
    String small = "--sweep --seconds 1 --batch 32 --features 16 --embedding 8 --text";
    List<String> sweep = new ArrayList<>(List.of(small.split(" ")));
    sweep.addAll(List.of(text.toString(), "--output", folder.toString()));
    assertEquals(0, run(sweep.toArray(String[]::new)), err.toString());
    List<String> rows =
        out.toString()
            .lines()
            .filter(line -> line.matches("(\\d+ classes|full softmax) .*"))
            .toList();
    assertEquals(3, rows.size(), out.toString());
    assertTrue(out.toString().contains(": 3 models, about 10 seconds on two"), out.toString());
    assertTrue(rows.get(2).startsWith("full softmax           12 "), rows.get(2));
    for (String row : rows) {
      double passes = Double.parseDouble(row.substring(row.lastIndexOf(' ')));
      assertTrue(passes > 1, row);
    }
    assertTrue(Files.size(folder.resolve("sweep.png")) > 0);
  }

  /** Trains on a text in which each word tells the next; where its model lies. */
  private Path trainedModel() throws IOException {
    Path text = folder.resolve("text");
    Files.writeString(text, "one two three four five six\nseven eight nine ten\n".repeat(200));
    Path output = folder.resolve("output");
    String small = "--epochs 10 --batch 32 --features 16 --embedding 8 --context 3 --text";
    List<String> training = new ArrayList<>(List.of(small.split(" ")));
    training.addAll(List.of(text.toString(), "--output", output.toString()));
    assertEquals(0, run(training.toArray(String[]::new)), err.toString());
    out.getBuffer().setLength(0);
    return output.resolve("model");
  }

  /** Line editing as at a terminal: arrows up and left, completion, the end by Ctrl-D. */
  @Test
  void predict_typedAtATerminal() throws IOException {
    Path model = trainedModel();
    String up = "\u001bOA"; // what an xterm sends that was told of arrows to be read by a program
    String left = "\u001bOD";
    String typed =
        "one two three\r"
            + "seven ei\tnine\r"
            + up
            + up
            + "\r"
            + "se eight"
            + left.repeat(6)
            + "ven\r";
    ByteArrayOutputStream screen = new ByteArrayOutputStream();
    Predict predict = CommandLine.populateCommand(new Predict(), "--model", model.toString());
    try (ModelFolder opened = ModelFolder.open(model);
        Terminal terminal =
            new ExternalTerminal(
                "test",
                "xterm",
                new ByteArrayInputStream((typed + "\u0004").getBytes(UTF_8)),
                screen,
                UTF_8)) {
      predict.talk(opened, terminal);
    }
    List<String> history =
        Files.readAllLines(model.resolve("history")).stream()
            .map(line -> line.substring(line.indexOf(':') + 1))
            .toList();
    assertEquals(
        List.of("one two three", "seven eight nine", "one two three", "seven eight"), history);
    List<String> answers =
        Pattern.compile("  (\\w+) 9\\d\\.\\d%,")
            .matcher(screen.toString(UTF_8))
            .results()
            .map(answer -> answer.group(1))
            .toList();
    assertEquals(List.of("four", "ten", "four", "nine"), answers, screen.toString(UTF_8));
  }

  @Test
  void predict_answersEachLineFromTheFolder() throws IOException {
    Path folderOfModel = trainedModel();
    String model = folderOfModel.toString();

    InputStream keyboard = System.in;
    System.setIn(new ByteArrayInputStream("One two three\nseven eight\n".getBytes(UTF_8)));
    try {
      assertEquals(0, run("predict", "--top", "2", "--model", model), err.toString());
    } finally {
      System.setIn(keyboard);
    }
    List<String> answers = out.toString().lines().toList();
    assertEquals(2, answers.size(), answers.toString());
    assertTrue(answers.get(0).matches("four 9\\d\\.\\d%, \\S+ \\d\\.\\d%"), answers.get(0));
    assertTrue(answers.get(1).startsWith("nine "), answers.get(1));

    out.getBuffer().setLength(0);
    refuses("--top", "predict", "--top", "0", "--model", model);
    refuses("missing", "predict", "--model", folder.resolve("nowhere").toString());
    Path words = folderOfModel.resolve("vocabulary.txt");
    String known = Files.readString(words);
    Files.writeString(words, known + "another\n");
    refuses("do not belong together", "predict", "--model", model);
    Files.writeString(words, known);
    Path softmax = folderOfModel.resolve("softmax.safetensors");
    Files.write(softmax, Arrays.copyOf(Files.readAllBytes(softmax), 100));
    refuses("softmax.safetensors", "predict", "--model", model);
    Files.writeString(folderOfModel.resolve("input.npz"), "no archive");
    refuses("input.npz", "predict", "--model", model);
  }
}
