// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Example;
import org.blocksparse.classifier.Texts;
import org.blocksparse.classifier.TrainingOptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

final class CommandTest {
  private static final int LABELS = 40;

  /** A model, for tests of what is done with one. */
  private static byte[] trained;

  @TempDir private Path folder;

  private Path model;
  private Path training;
  private Path test;

  @BeforeAll
  static void train(@TempDir Path other) throws IOException {
    Path examples = Files.writeString(other.resolve("train.txt"), Texts.lines(2000, LABELS, 1));
    Path file = other.resolve("model");
    runWell("train", "-o", file, "--epochs", 1, "--dimension", 8, "--no-chart", examples);
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

  private record Result(int code, String out, String err) {}

  private static Result run(Object... args) {
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

  private static String runWell(Object... args) {
    Result result = run(args);
    assertEquals("", result.err());
    assertEquals(0, result.code());
    return result.out();
  }

  @Test
  void fromAFileToPredictions() throws IOException {
    String trained =
        runWell(
            "train",
            "-o",
            model,
            "--dimension",
            16,
            "--epochs",
            3,
            "--validation",
            test,
            "--threads",
            1,
            training);
    assertTrue(trained.contains("2,000 examples"), trained);
    assertTrue(trained.contains("epoch 3: loss"), trained);
    assertTrue(trained.contains("To go on:"), trained);
    byte[] png = Files.readAllBytes(folder.resolve("model.png"));
    assertEquals("PNG", new String(png, 1, 3, UTF_8));

    String tested = runWell("test", model, test, "--top", "1,5");
    List<String> lines = tested.lines().toList();
    assertTrue(lines.get(0).startsWith("200 examples in "), tested);
    double precision = Double.parseDouble(lines.get(2).strip().split(" +", -1)[1]);
    assertTrue(precision > 0.95, tested);
    assertTrue(lines.get(3).matches("   5 +0\\.\\d{4} +1\\.0000 +[01]\\.\\d{4}"), tested);

    Path texts = Files.writeString(folder.resolve("texts"), "my-own7\nword11 of\n");
    List<String> answers = runWell("predict", model, texts, "--top", 2).lines().toList();
    assertEquals(2, answers.size());
    assertTrue(answers.get(0).matches("label7\t0\\.\\d{6}\tlabel\\d+\t0\\.\\d{6}"), answers.get(0));
    assertTrue(answers.get(1).startsWith("label11\t"), answers.get(1));

    assertTrue(runWell("info", model).contains("labels: 40\n"));
    String classes = runWell("classes", model, "--labels", 3);
    assertTrue(classes.lines().allMatch(l -> l.matches("\\d+ \\(\\d+\\): label.*")), classes);
    Path npz = folder.resolve("model.npz");
    runWell("export", model, npz);
    assertEquals(LABELS, Files.readAllLines(folder.resolve("model.npz.labels.txt")).size());
  }

  @Test
  void export_writesOverNothingBesideWhatItSays() throws IOException {
    Path npz = folder.resolve("model.npz");
    Path near = Files.write(folder.resolve("model.npz.labels.txt.part"), trained);
    runWell("export", near, npz);
    assertArrayEquals(trained, Files.readAllBytes(near));
    try (Stream<Path> files = Files.list(folder)) {
      List<String> names =
          files
              .map(file -> file.getFileName().toString())
              .filter(name -> name.contains("npz"))
              .sorted()
              .toList();
      assertEquals(
          List.of("model.npz", "model.npz.labels.txt", "model.npz.labels.txt.part"), names);
    }
  }

  @Test
  void quantize_writesASmallerModel_thatAllCommandsTake() throws IOException {
    runWell("train", "-o", model, "--dimension", 16, "--epochs", 3, "--no-chart", training);
    Path smaller = folder.resolve("smaller");
    List<String> sizes = runWell("quantize", model, smaller).lines().toList();
    long before = Files.size(model);
    long after = Files.size(smaller);
    assertEquals("%s: %,d bytes".formatted(model, before), sizes.get(0));
    assertEquals(
        "%s: %,d bytes, %.1f percent".formatted(smaller, after, 100.0 * after / before),
        sizes.get(1));
    assertTrue(after < 0.6 * before, sizes.get(1));

    String tested = runWell("test", smaller, test, "--top", 1).lines().toList().get(2);
    assertTrue(Double.parseDouble(tested.strip().split(" +", -1)[1]) > 0.95, tested);
    Path texts = Files.writeString(folder.resolve("texts"), "my-own7\n");
    assertTrue(runWell("predict", smaller, texts, "--top", 1).startsWith("label7\t"));
    assertTrue(runWell("info", smaller).contains("weights: INT8\n"));
    assertEquals(runWell("classes", model), runWell("classes", smaller));
    runWell("export", smaller, folder.resolve("smaller.npz"));

    runWell("quantize", "--type", "bfloat16", model, folder.resolve("half"));
    assertTrue(runWell("info", folder.resolve("half")).contains("weights: BFLOAT16\n"));
    Result again = run("quantize", "--type", "float16", smaller, folder.resolve("again"));
    assertEquals(2, again.code());
    assertEquals(
        "weights: those of this model are INT8 already; make FLOAT16 of the model that was"
            + " trained\n",
        again.err());
    assertTrue(Files.notExists(folder.resolve("again")));
  }

  @Test
  void aLabelTree_isTakenByAllCommands() throws IOException {
    String one = Texts.lines(2000, LABELS, 1);
    Files.writeString(training, one + "n1 n2\n".repeat(300) + pairs(2000, 3));
    Files.writeString(test, pairs(200, 4));
    String trained = runWell("train", "-o", model, "--label-tree", "--validation", test, training);
    assertTrue(trained.contains("4,300 examples, "), trained);
    assertTrue(trained.contains("\n300 of them have no label\n"), trained);
    assertTrue(trained.contains(", P@1 on validation "), trained);
    assertTrue(Files.size(folder.resolve("model.png")) > 0);
    assertTrue(runWell("info", model).contains("layer: LabelTree\n"));

    Path smaller = folder.resolve("smaller");
    runWell("quantize", model, smaller);
    Path texts = Files.writeString(folder.resolve("texts"), "my-own6 my-own7\nn1 n2\nmy-own3\n");
    for (Path file : List.of(model, smaller)) {
      String tested = runWell("test", file, test, "--top", 2).lines().toList().get(2);
      assertTrue(Double.parseDouble(tested.strip().split(" +", -1)[1]) > 0.9, tested);
      List<String> all = runWell("predict", file, texts, "--threshold", 0.5).lines().toList();
      String probability = "\t(0\\.[5-9]\\d{5}|1\\.0{6})";
      assertEquals(3, all.size());
      String first = "label[67]" + probability;
      assertTrue(all.get(0).matches(first + "\t" + first), all.get(0));
      assertEquals("", all.get(1));
      assertTrue(all.get(2).matches("label3" + probability), all.get(2));
      List<String> top =
          runWell("predict", file, texts, "--threshold", 0.5, "--top", 1).lines().toList();
      assertTrue(top.get(0).matches(first), top.get(0));
      assertEquals(
          5, runWell("predict", file, texts).lines().toList().get(1).split("\t", -1).length / 2);
      assertTrue(runWell("classes", file, "--labels", LABELS).contains("label39"));
      runWell("latency", file, test, "--seconds", 1);
      runWell("export", file, folder.resolve("model.npz"));
    }
  }

  /** Lines with two labels. */
  private static String pairs(int count, long seed) {
    List<String> lines = Texts.lines(2 * count, LABELS, seed).lines().toList();
    StringBuilder pairs = new StringBuilder();
    for (int line = 0; line < lines.size(); line += 2) {
      pairs.append(lines.get(line)).append(' ').append(lines.get(line + 1)).append('\n');
    }
    return pairs.toString();
  }

  @Test
  void aThreshold_isOfASoftmaxToo() throws IOException {
    Files.write(model, trained);
    Path texts = Files.writeString(folder.resolve("texts"), "my-own7\n");
    assertEquals("\n", runWell("predict", model, texts, "--threshold", 1));
    assertEquals(
        runWell("predict", model, texts), runWell("predict", model, texts, "--threshold", 0));
  }

  @Test
  void theLabelPrefix_isThatOfTheTraining_unlessItIsSet() throws IOException {
    Path others = folder.resolve("others");
    Files.writeString(others, Texts.lines(2000, LABELS, 1).replace("__label__", "#"));
    runWell("train", "-o", model, "--epochs", 1, "--no-chart", "--label-prefix", "#", others);
    Files.writeString(others, Texts.lines(200, LABELS, 2).replace("__label__", "#"));
    assertTrue(runWell("test", model, others).startsWith("200 examples in "));
    Path answers = Files.writeString(folder.resolve("texts"), "#label7 my-own7 #x\nmy-own7\n");
    List<String> lines = runWell("predict", model, answers).lines().toList();
    assertEquals(lines.get(1), lines.get(0));
    assertTrue(runWell("test", model, test, "--label-prefix", "__label__").startsWith("200 "));
    assertEquals(
        others
            + ": none of 200 examples has a label; labels are words that begin with __label__"
            + " (--label-prefix)\n",
        run("test", model, others, "--label-prefix", "__label__").err());
    try (Classifier classifier = Classifier.load(model)) {
      assertEquals("#", classifier.labelPrefix());
    }
  }

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
    String told =
        runWell("train", "-o", model, "--epochs", 1, "--min-count", 2, "--no-chart", training);
    assertTrue(told.contains(" more features are left out (--min-count, --max-features)"), told);
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

  @Test
  void aFileWhereTheChartWouldBe_isLeftAlone_unlessItIsAskedFor() throws IOException {
    Path png = Files.writeString(folder.resolve("model.png"), "of somebody");
    String told = runWell("train", "-o", model, "--epochs", 2, "--dimension", 8, training);
    assertTrue(told.contains(png + " is there already, and is left as it is; "), told);
    assertEquals("of somebody", Files.readString(png));
    runWell("train", "-o", model, "--epochs", 2, "--dimension", 8, "--chart", png, training);
    assertEquals("PNG", new String(Files.readAllBytes(png), 1, 3, ISO_8859_1));
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
  @DisabledOnOs(OS.WINDOWS) // has none with a name
  void pipesWithNames_areRead() throws Exception {
    Path pipe = folder.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    Files.write(model, trained);
    for (String command : List.of("train", "test")) {
      Thread writer = new Thread(() -> writeTo(pipe, Texts.lines(2000, LABELS, 1)));
      writer.setDaemon(true); // it waits for who reads
      writer.start();
      Object[] args =
          command.equals("test")
              ? new Object[] {"test", model, pipe}
              : new Object[] {"train", "-o", model, "--epochs", 1, "--no-chart", pipe};
      assertTrue(runWell(args).contains("2,000 examples"));
      writer.join();
    }
  }

  private static void writeTo(Path pipe, String lines) {
    try (OutputStream out = new FileOutputStream(pipe.toFile())) {
      out.write(lines.getBytes(UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // has none
  void devices_areNoPlaceForAModel() {
    Result refused = run("train", "-o", "/dev/null", training);
    assertEquals(2, refused.code());
    assertTrue(refused.err().startsWith("--output: "), refused.err());
  }

  @Test
  void aModelThatCannotBeSaved_isSavedElsewhere() throws IOException {
    Files.write(model, trained);
    try (Classifier classifier = Classifier.load(model)) {
      IOException e =
          assertThrows(
              IOException.class,
              () -> TrainCommand.save(classifier, folder.resolve("none").resolve("model")));
      Matcher told =
          Pattern.compile("the model is in (\\S+), because of .*").matcher(e.getMessage());
      assertTrue(told.matches(), e.getMessage());
      Path saved = Path.of(told.group(1));
      assertArrayEquals(Files.readAllBytes(model), Files.readAllBytes(saved));
      Files.delete(saved);
    }
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
  void linesBeforeABadOne_haveTheirAnswers() throws IOException {
    Path sparse = folder.resolve("sparse.txt");
    runWell("train", "-o", model, "--epochs", 1, "--dimension", 8, sparse);
    Path lines = Files.writeString(folder.resolve("lines"), " 3:1\n 4:1\n x:1\n 5:1\n");
    Result refused = run("predict", model, lines, "--top", 1);
    assertEquals(2, refused.code());
    assertEquals(2, refused.out().lines().count(), refused.out());
    assertTrue(refused.err().startsWith(lines + ": line 3: expected index:"), refused.err());
    assertTrue(refused.err().endsWith("; --skip-bad-lines leaves it out\n"), refused.err());
  }

  @Test
  void labels_doNotMatter_whereTheyAreNotAskedFor() throws IOException {
    Files.write(model, trained);
    Path texts = folder.resolve("texts");
    Files.writeString(
        texts, "what does __label__ mean\n__label__ my-own7\nwhat does mean\nmy-own7\n");
    Result answered = run("predict", model, texts, "--top", 1);
    assertEquals(0, answered.code(), answered.err()); // it knows no word of two of the lines
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

  /** Names that only a program can give, or who changes a file. */
  @Test
  void controlCharacters_inWhatAModelTells_areEscaped() throws IOException {
    String name = "a\nb\tc\r\u001b[2J\u2028\u00e9\\";
    String printed = "a\\nb\\tc\\r\\u001b[2J\\u2028\u00e9\\\\";
    Classifier.train(
            Stream.of(Example.ofText("one", name), Example.ofText("two", "other")),
            TrainingOptions.defaults().withDimension(4))
        .save(model);
    Path texts = Files.writeString(folder.resolve("texts"), "one\n");
    assertTrue(runWell("predict", model, texts, "--top", 1).startsWith(printed + "\t0."));
    assertEquals("0 (2): " + printed + " other\n", runWell("classes", model));
    Path npz = folder.resolve("model.npz");
    runWell("export", model, npz);
    assertEquals(printed + "\nother\n", Files.readString(folder.resolve("model.npz.labels.txt")));
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '"',
      value = {
        "C:\\dir\\,       C:\\dir\\",
        "\\,              \\",
        "a\\nb,           a\\\\nb", // would be one with a line feed
        "\\\\,            \\\\\\\\",
        "\u202eab\u202c\u2066, \\u202eab\\u202c\\u2066",
        "\u0645\u06cc\u200c\u062e, \u0645\u06cc\u200c\u062e", // Persian has such in words
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
  void tooLittleMemory_isToldWithWhatAUserCanDo() {
    OutOfMemoryError heap = new OutOfMemoryError("Java heap space");
    assertEquals(
        "not enough memory: Java heap space; java -Xmx sets how much Java takes",
        Main.tooLittleMemory(heap, "predict", "model"));
    assertEquals(
        "not enough memory: Java heap space; java -Xmx sets how much Java takes, and --shared-rows"
            + " N, or for texts --word-ngrams 1, needs less",
        Main.tooLittleMemory(heap, "train", "-o", "model", "file"));
    for (String ofJava :
        List.of("GC overhead limit exceeded", "Requested array size exceeds VM limit")) {
      assertEquals(
          Main.tooLittleMemory(heap, "train").replace("Java heap space", ofJava),
          Main.tooLittleMemory(new OutOfMemoryError(ofJava), "train"));
    }
    OutOfMemoryError ofTensors =
        assertThrows(OutOfMemoryError.class, () -> FloatTensor.zeros(1L << 50).close());
    String told = Main.tooLittleMemory(ofTensors, "train");
    assertTrue(
        told.matches(
            "not enough memory: cannot allocate 4503599627370496 bytes for a tensor; \\d+ bytes are"
                + " held by other tensors; a smaller --dimension needs less"),
        told);
  }

  @Test
  void warnings_haveNoAdviceToPrograms() {
    OutOfMemoryError e =
        assertThrows(OutOfMemoryError.class, () -> FloatTensor.zeros(1L << 50).close());
    StringWriter err = new StringWriter();
    new TrainingLog(new PrintWriter(new StringWriter()), new PrintWriter(err))
        .warning("the best model so far cannot be kept: " + e.getMessage());
    String told = err.toString().strip();
    assertTrue(
        told.matches(
            "Warning: the best model so far cannot be kept: cannot allocate \\d+ bytes for a"
                + " tensor; \\d+ bytes are held by other tensors"),
        told);
  }

  @Test
  void badLines_areTold_whereNoneIsRight() throws IOException {
    Files.writeString(training, "neither this\nnor that\n");
    Result refused = run("train", "-o", model, "--skip-bad-lines", training);
    assertEquals(2, refused.code());
    List<String> told = refused.err().lines().toList();
    assertTrue(told.get(0).startsWith("Left out 2 bad lines; the first: "), refused.err());
    assertEquals(training + ": no examples", told.get(1));
  }

  @Test
  void examplesWithoutAnyLabel_areRefused_withWhatALabelIs() throws IOException {
    Path sparse = Files.writeString(folder.resolve("none.txt"), " 3:1\n 4:1\n");
    String told =
        sparse
            + ": none of 2 examples has a label; labels are what a line begins with, with commas"
            + " between them\n";
    assertEquals(told, run("train", "-o", model, sparse).err());
    assertEquals(told, run("train", "-o", model, "--validation", sparse, training).err());
    Files.writeString(training, "#a b\n");
    assertEquals(
        training
            + ": none of 1 examples has a label; labels are words that begin with __label__"
            + " (--label-prefix)\n",
        run("train", "-o", model, "--format", "text", training).err());
  }

  @Test
  void inputOfAnotherKind_isRefused_byLatencyToo() throws IOException {
    Files.write(model, trained);
    Result refused = run("latency", model, folder.resolve("sparse.txt"), "--format", "sparse");
    assertEquals(2, refused.code());
    assertEquals("example: has features, but the model was trained on texts\n", refused.err());
  }

  @Test
  void aLabelThatIsNotUtf8_isNoStackTrace() throws IOException {
    Files.write(model, trained);
    byte[] bytes = Files.readAllBytes(model);
    int at = new String(bytes, ISO_8859_1).lastIndexOf("label7");
    bytes[at] = (byte) 0xff;
    Files.write(model, bytes);
    Result refused = run("classes", model);
    assertEquals(2, refused.code());
    assertEquals("labels: the name of output 7 is not UTF-8\n", refused.err());
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
            new String[] {"test", model.toString(), test.toString()},
            new String[] {"info", model.toString()},
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
    }
  }

  @Test
  void waysOn_areTold_asTheyCanBeTyped() {
    assertEquals("java -jar target/a.jar", Launcher.command("target/a.jar"));
    assertEquals("java -jar \"my folder/a.jar\"", Launcher.command("my folder/a.jar"));
    String two = "a.jar" + File.pathSeparator + "b.jar";
    assertEquals("java -cp ... " + Main.class.getName(), Launcher.command(two));
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
    String told =
        runWell("train", "-o", model, "--epochs", 1, "--dimension", 8, "--no-chart", training);
    assertTrue(told.contains("\n2 more have no label and are left out\n"), told);
  }

  @Test
  void whatIsCutOff_isTold() throws IOException {
    Path zipped = folder.resolve("zipped");
    Files.write(zipped, new byte[] {0x1f, (byte) 0x8b, 8});
    Result refused = run("train", "-o", model, zipped);
    assertEquals(2, refused.code());
    assertEquals(zipped + ": ends in the middle: it is cut off\n", refused.err());
  }

  @Test
  void aFileOfFewerExamplesThanItsHeaderTells_isTold() throws IOException {
    Path sparse = Files.writeString(folder.resolve("short.txt"), "3 9 3\n1,2 3:1 5:2\n2 4:1\n");
    Result result = run("train", "-o", model, "--epochs", 1, "--no-chart", sparse);
    assertEquals(0, result.code());
    assertEquals(
        "Warning: "
            + sparse
            + ": line 1 tells of 3 examples, but 2 follow; the file may be cut off\n",
        result.err());
  }

  @Test
  void badLines_endWithTwo_orAreSkipped() throws IOException {
    Files.writeString(training, "__label__ nameless\n", StandardOpenOption.APPEND);
    Result refused = run("train", "-o", model, training);
    assertEquals(2, refused.code());
    assertEquals(
        training
            + ": line 2001: a label has no name: '__label__'; --skip-bad-lines leaves it out\n",
        refused.err());
    assertTrue(Files.notExists(model));
    Result skipped =
        run("train", "-o", model, "--epochs", 1, "--skip-bad-lines", "--no-chart", training);
    assertEquals(0, skipped.code());
    assertTrue(skipped.err().startsWith("Left out 1 bad lines; the first: "), skipped.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "train -o {}/m {}/none.txt             | there is no file {}/none.txt",
        "train -o {}/no/m {}/train.txt         | --output: cannot write {}/no/m",
        "train -o {}/m --rate 0 {}/train.txt   | --rate: expected a number in [1e-20, 100] but was 0.0",
        "train -o {}/m --rate 1e-44 {}/train.txt | --rate: expected a number in [1e-20, 100] but was 1.0E-44",
        "train -o {}/m --smoothing 0.99999999 {}/train.txt | --smoothing: expected a number in [0, 1)",
        "train -o {}/m --word-ngrams 9 {}/train.txt | --word-ngrams: expected a number in [1, 5] but was 9",
        "train -o {}/m --epochs x {}/train.txt | Invalid value for option '--epochs': 'x' is not an"
            + " int",
        "train {}/train.txt                    | Missing required option: '--output=MODEL'",
        "test {}/none {}/test.txt              | there is no file {}/none",
        "test {}/test.txt {}/test.txt          | {}/test.txt: header: ",
        "train -o {}/m {}/empty                | {}/empty: no examples",
        "train -o {}/m {}/folder               | {}/folder: ",
        "train -o {}/m --label-prefix= {}/train.txt | --label-prefix: expected at least one character",
        "train -o {}/m --threads 0 {}/train.txt | --threads: expected a number in [1, 2147483647]"
            + " but was 0",
        "train -o {}/train.txt {}/train.txt    | --output: {}/train.txt is the same file as"
            + " {}/train.txt",
        "train -o {}/test.txt --validation {}/test.txt {}/train.txt | --output: {}/test.txt is the"
            + " same file as {}/test.txt",
        "train -o {}/m --chart {}/train.txt {}/train.txt | --chart: {}/train.txt is the same file",
        "train -o {}/m --chart {}/folder/../m {}/train.txt | --chart: {}/folder/../m is the same",
        "train -o {}/m --chart {}/png --no-chart {}/train.txt | --chart: expected no --no-chart",
        "train -o {}/m --patience 2 {}/train.txt | --patience: expected --validation as well",
        "train -o {}/m --validation - - | --validation: is standard input, from which the examples",
        "train -o {}/m --shared-rows 9 --min-count 2 {}/train.txt | --min-count: expected no",
        "train -o {}/m --shared-rows 9 --max-features 2 {}/train.txt | --max-features: expected no",
        "train -o {}/m --word-ngrams 2 {}/sparse.txt | --word-ngrams: expected texts, but",
        "train -o {}/m --plain-words {}/sparse.txt | --plain-words: expected texts, but",
        "train -o {}/m --validation {}/sparse.txt {}/train.txt | validation: some have features",
        "train -o {}/m --label-tree --smoothing 0.1 {}/train.txt | --smoothing: expected no"
            + " --label-tree as well",
        "predict {}/none --threshold 1.5       | --threshold: expected a number in [0, 1] but was"
            + " 1.5",
        "predict {}/none --threshold NaN       | --threshold: expected a number in [0, 1] but was"
            + " NaN",
        "export {}/none {}/npz                 | there is no file {}/none",
        "export {}/test.txt {}/test.txt        | NPZ: {}/test.txt is the same file as {}/test.txt",
        "quantize {}/test.txt {}/test.txt      | OUT: {}/test.txt is the same file as {}/test.txt",
        "train -o {}/m --validation {}/empty {}/train.txt | {}/empty: no examples",
        "train -o {}/m --chart {}/no/png {}/train.txt | --chart: cannot write {}/no/png",
        "test {}/none {}/test.txt --top ,      | --top: expected numbers with commas between them",
        "test {}/folder {}/test.txt            | {}/folder: ",
        "quantize {}/none {}/q                 | there is no file {}/none",
        "quantize {}/test.txt {}/q             | {}/test.txt: header: ",
        "quantize {}/none {}/no/q              | OUT: cannot write {}/no/q",
        "quantize {}/none                      | Missing required parameter: 'OUT'",
        "quantize --type float32 {}/none {}/q  | Invalid value for option '--type': expected one of"
            + " [FLOAT16, BFLOAT16, INT8] (case-insensitive) but was 'float32'",
        "predict {}/none --top 0               | --top: expected a number in [1, 100000] but was 0",
        "frobnicate                            | Unmatched argument at index 0: 'frobnicate'",
      })
  void uselessArguments_endWithTwo_andOneLine(String line, String message) {
    String[] args = line.replace("{}", folder.toString()).split(" ", -1);
    Result result = run((Object[]) args);
    assertEquals(2, result.code());
    String expected = message.replace("{}", folder.toString());
    assertTrue(result.err().startsWith(expected), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
  }
}
