// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** The output of commands: answers line by line, facts about a model, help. */
final class CommandOutputTest extends Commands {
  @Test
  void examplesWithLabelsThatTheModelDoesNotKnow_areCounted() throws IOException {
    Files.write(model, trained);
    Files.writeString(
        test, "__label__label1 __label__new of\n__label__other of\n", StandardOpenOption.APPEND);
    String told = runWell("test", model, test).lines().findFirst().orElseThrow();
    assertTrue(told.startsWith("202 examples in "), told);
    assertTrue(told.endsWith(" s; 2 have labels that the model does not know"), told);
  }

  @Test
  void examplesAndLines_ofNothingThatTheModelKnows_areCounted() throws IOException {
    String lines = "__label__label1\n__label__label2 qqq\n";
    Files.writeString(training, lines, StandardOpenOption.APPEND);
    String told = runWell("train", "-o", model, "--epochs", 1, "--min-count", 2, training);
    assertTrue(
        told.matches(
            "(?s).*\\n[0-9,]+ more features are left out \\(--min-count, --max-features\\)\\n.*"),
        told);
    assertTrue(told.contains("\n2 examples have no feature that was kept\n"), told);
    Files.writeString(test, lines + "qqq\n", StandardOpenOption.APPEND);
    String tested = runWell("test", model, test).lines().findFirst().orElseThrow();
    assertTrue(tested.endsWith(" left out; 2 have no feature that the model knows"), tested);
    Path texts = Files.writeString(folder.resolve("texts"), "my-own7\n\nqqq\n");
    Result predicted = run("predict", model, texts);
    assertEquals(
        "2 lines have no feature that the model knows: their answer is that for an empty line\n",
        predicted.err());
    List<String> answers = predicted.out().lines().toList();
    assertEquals(answers.get(1), answers.get(2));
  }

  /** Writes texts of random words; some are similar, and share three labels that no others have. */
  private Path alike(int each) throws IOException {
    SplittableRandom random = new SplittableRandom(1);
    StringBuilder lines = new StringBuilder();
    for (int text = 0; text < 800 / each; text++) {
      int[] words = random.ints(8, 0, 300).toArray();
      for (int copy = 0; copy < each; copy++) {
        lines.append("__label__a%1$d __label__b%1$d __label__c%1$d".formatted(text));
        for (int i = 0; i < words.length; i++) {
          boolean isChanged = random.nextInt(8) < 3;
          lines.append(" w").append(isChanged ? random.nextInt(300) : words[i]);
        }
        lines.append('\n');
      }
    }
    return Files.writeString(folder.resolve("alike" + each), lines);
  }

  @Test
  void neighbours_areTold_andLearnNoFurther() throws IOException {
    List<Object> words = List.of("train", "--epochs", 1, "--dimension", 8, "-o");
    String without = runWell(Stream.concat(words.stream(), Stream.of(model, alike(1))).toArray());
    assertTrue(without.contains(", standard error 0.0000: without neighbours\n"), without);
    assertFalse(runWell("info", model).contains("neighbours"));
    String with = runWell(Stream.concat(words.stream(), Stream.of(model, alike(2))).toArray());
    assertTrue(with.contains(": the model has the linear head and neighbours\n"), with);
    assertTrue(runWell("info", model).contains("nDCG@5 gained by neighbours"));
    Result refused = run("train", "--from", model, "-o", folder.resolve("new"), alike(2));
    assertEquals(2, refused.code());
    assertEquals(
        "--from: expected no neighbours, which learn no further; train it with --head linear\n",
        refused.err());
  }

  @Test
  void latency_tellsPercentiles() throws IOException {
    Files.write(model, trained);
    String told = runWell("latency", model, test, "--threads", 2, "--seconds", 1);
    assertTrue(
        told.matches(
            "(?s)2 threads ask for 1 s, .*\\R[\\d,]+ answers by 2 threads.*p50.0 .*p99.0 .*p99.9 .*"
                + " ms\\R"),
        told);
  }

  @Test
  void linesWithoutAnExample_haveEmptyAnswers() throws IOException {
    Path sparse = folder.resolve("sparse.txt");
    runWell("train", "-o", model, "--epochs", 1, "--dimension", 8, sparse);
    Path lines = Files.writeString(folder.resolve("lines"), "2 9 3\n 3:1\n x:1\n 4:1\n x:2\n");
    Result result = run("predict", model, lines, "--top", 1, "--skip-bad-lines");
    assertEquals(0, result.code());
    List<String> answers = result.out().lines().toList();
    assertEquals(5, answers.size(), result.out());
    for (int line = 0; line < answers.size(); line++) {
      assertEquals(line == 1 || line == 3, answers.get(line).matches("[12]\t0\\.\\d{6}"));
      assertEquals(line != 1 && line != 3, answers.get(line).isEmpty());
    }
    assertTrue(result.err().startsWith("Left out 2 bad lines; the first: "), result.err());
  }

  @Test
  void labels_doNotMatter_whereTheyAreNotAskedFor() throws IOException {
    Files.write(model, trained);
    Path texts = folder.resolve("texts");
    Files.writeString(
        texts, "what does __label__ mean\n__label__ my-own7\nwhat does mean\nmy-own7\n");
    Result answered = run("predict", model, texts, "--top", 1);
    assertEquals(0, answered.code(), answered.err()); // two of the lines have no known word
    List<String> answers = answered.out().lines().toList();
    assertEquals(4, answers.size(), answered.out());
    assertEquals(answers.subList(2, 4), answers.subList(0, 2));
    runWell("latency", model, texts, "--seconds", 1);
    Result refused = run("test", model, texts);
    assertEquals(2, refused.code());
    assertTrue(refused.err().startsWith(texts + ": line 1: a label has no name"), refused.err());
  }

  @Test
  void labelsOfSparseFeatures_doNotMatter_whereTheyAreNotAskedFor() throws IOException {
    Path sparse = folder.resolve("sparse.txt");
    runWell("train", "-o", model, "--epochs", 1, "--dimension", 8, sparse);
    Path lines = Files.writeString(folder.resolve("lines"), "1,,2 3:1\n 3:1\n");
    List<String> answers = runWell("predict", model, lines, "--top", 1).lines().toList();
    assertEquals(answers.get(1), answers.get(0));
  }

  /** Only a program, or an edited file, can contain such names. */
  @Test
  void controlCharacters_inWhatAModelTells_areEscaped() throws IOException {
    String name = "a\nb\tc\r\u001b[2J\u2028\u00e9\\";
    String printed = "a\\nb\\tc\\r\\u001b[2J\\u2028\u00e9\\\\";
    Training.train(
            Stream.of(Example.ofText("one", name), Example.ofText("two", "other")),
            TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(4))
        .save(model);
    Path texts = Files.writeString(folder.resolve("texts"), "one\n");
    assertTrue(runWell("predict", model, texts, "--top", 1).startsWith(printed + "\t0."));
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '"',
      value = {
        "C:\\dir\\,       C:\\dir\\",
        "\\,              \\",
        "a\\nb,           a\\\\nb", // would equal one with a line feed
        "\\\\,            \\\\\\\\",
        "\u202eab\u202c\u2066, \\u202eab\\u202c\\u2066",
        "\u0645\u06cc\u200c\u062e, \u0645\u06cc\u200c\u062e", // Persian words contain this
        // character
      })
  void names_arePrintedAsTheyAre_unlessTheyWouldReadAsOthers(String name, String printed) {
    assertEquals(printed, Printed.of(name));
  }

  @Test
  void controlCharacters_inWhatInfoTells_areEscaped() throws IOException {
    String file = new String(trained, ISO_8859_1);
    Files.write(model, file.replace("smoothing", "\\u001bing").getBytes(ISO_8859_1));
    String told = runWell("info", model);
    assertTrue(told.startsWith("\\u001bing: 0.1\n"), told);
  }

  @Test
  void outputThatCannotBeWritten_isAnError() throws IOException {
    Files.write(model, trained);
    OutputStream full =
        new OutputStream() {
          @Override
          public void write(int b) throws IOException {
            throw new IOException("no space left on device");
          }
        };
    for (String[] args :
        List.of(
            new String[] {"train", "-o", folder + "/m", "--epochs", "1", training.toString()},
            new String[] {"test", model.toString(), test.toString()},
            new String[] {"predict", model.toString(), test.toString()},
            new String[] {"info", model.toString()},
            new String[] {"quantize", model.toString(), folder + "/smaller"},
            new String[] {"--help"})) {
      StringWriter err = new StringWriter();
      CommandLine command =
          Main.commandLine(args)
              .setOut(new PrintWriter(new PrintStream(full), false, UTF_8))
              .setErr(new PrintWriter(err));
      assertEquals(2, Main.run(command, args));
      assertEquals(Streams.CLOSED + "\n", err.toString());
    }
  }

  @Test
  void help_isThere_forAll() {
    Result nothing = run();
    assertEquals(2, nothing.code());
    assertTrue(nothing.err().startsWith("Usage: blocksparse-classifier "), nothing.err());
    assertTrue(nothing.err().contains("Begin with: train"), nothing.err());
    assertTrue(runWell("--version").startsWith("blocksparse-classifier "));
    for (String command : Main.commandLine().getSubcommands().keySet()) {
      String told = runWell(command, "--help");
      assertTrue(told.startsWith("Usage: blocksparse-classifier " + command), told);
      assertEquals(told, runWell(command, "-h"));
    }
    assertEquals(runWell("--help"), runWell("-h"));
  }

  @Test
  void waysOn_areTold_asTheyCanBeTyped() {
    assertEquals("java -jar target/a.jar", Launcher.command("target/a.jar"));
    String two = "a.jar" + File.pathSeparator + "b.jar";
    assertEquals("java -cp ... " + Main.class.getName(), Launcher.command(two));
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '"',
      value = {
        "a/b-1_2.model,   a/b-1_2.model",
        "my folder/a.jar, 'my folder/a.jar'",
        "b$HOME,          'b$HOME'",
        "a`b`\\c,         'a`b`\\c'",
        "it's,            'it'\\''s'",
      })
  @DisabledOnOs(OS.WINDOWS) // Windows has other shells
  void names_areWordsOfAShell(String name, String word) {
    assertEquals(word, Launcher.word(name));
  }

  @Test
  void eachLineHasAnAnswer_anEmptyOneToo() throws IOException {
    Files.write(model, trained);
    Path texts = Files.writeString(folder.resolve("texts"), "my-own7\n\n \nword11 of\n\n");
    Result result = run("predict", model, texts, "--top", 1);
    assertEquals(0, result.code());
    assertEquals(5, result.out().lines().count());
  }

  @Test
  void examplesWithoutLabels_areCounted() throws IOException {
    Files.writeString(training, "no label\n\n", StandardOpenOption.APPEND);
    String told = runWell("train", "-o", model, "--epochs", 1, "--dimension", 8, training);
    assertTrue(told.contains("\n2 more have no label and are left out\n"), told);
  }

  /** A label stays if the threshold equals its printed probability. */
  @Test
  void aPrintedProbabilityIsAThresholdThatItsLabelReaches() {
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < 100_000; i++) {
      Prediction prediction = new Prediction("a", (float) Math.log(random.nextDouble()));
      StringBuilder printed = new StringBuilder();
      PredictCommand.addProbability(prediction.probability(), printed);
      double threshold = Double.parseDouble(printed.toString());
      assertTrue(prediction.isAtLeast(threshold), () -> prediction + " " + printed);
      assertEquals(prediction.probability(), threshold, 1e-6);
    }
    StringBuilder one = new StringBuilder();
    PredictCommand.addProbability(1, one);
    assertEquals("1.000000", one.toString());
  }
}
