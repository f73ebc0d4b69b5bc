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
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.io.NpyFile;
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
    refuses("--frobnicate", "--frobnicate");
  }

  @Test
  void help_listsOptions() {
    assertEquals(0, run("--help"));
    assertTrue(out.toString().contains("--text=FILE"), out.toString());
    assertEquals("", err.toString());
  }

  /**
   * A text in which each word determines the next: the model must find out, and beat chance by far.
   */
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
        out.toString().matches("(?s)Trains on [\\d,]+ words: about 10 seconds.*"), out.toString());
    assertTrue(
        out.toString().matches("(?s).*one two three \\.\\.\\. +four 9\\d.*"), out.toString());
    assertTrue(Files.size(output.resolve("learning-curve.png")) > 0);
    try (FloatTensor heldOut = NpyFile.readFloats(output.resolve("model/held-out.npy"))) {
      assertEquals(Shape.of(232, 16), heldOut.shape()); // all there are
    }
  }

  /** Trains on a text in which each word determines the next. Returns the folder of the model. */
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
