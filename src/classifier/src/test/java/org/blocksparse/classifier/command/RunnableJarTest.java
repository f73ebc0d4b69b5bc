// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.stream.Collectors.joining;
import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.lang.ProcessBuilder.Redirect;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import javax.imageio.ImageIO;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.classifier.fasttext.FastTextPrograms;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The one jar, started as users start it. */
@Tag("packaged")
final class RunnableJarTest {
  @TempDir private Path folder;

  /**
   * Returns the command line in a locale with its own digits; the output is English nevertheless.
   */
  private static List<String> command() {
    return List.of(
        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
        "-Dorg.bytedeco.javacpp.cachedir=" + System.getProperty("org.bytedeco.javacpp.cachedir"),
        "-Duser.language=ar",
        "-Duser.country=EG",
        "-jar",
        System.getProperty("runnable.jar"));
  }

  private static List<String> words(Object... args) {
    List<String> words = new ArrayList<>(command());
    for (Object arg : args) {
      words.add(arg.toString());
    }
    return words;
  }

  private static Process start(Object... args) throws IOException {
    return new ProcessBuilder(words(args)).redirectErrorStream(true).start();
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has no such signal
  void trainsFromAPipe_andSavesTheModelWhenItIsStopped() throws Exception {
    Path model = folder.resolve("model");
    Process training =
        start(
            "train",
            "-o",
            model,
            "--head",
            "embedding",
            "--epochs",
            10_000,
            "--dimension",
            16,
            "--chart",
            folder.resolve("model.png"),
            "-");
    try (OutputStream in = training.getOutputStream()) {
      in.write((Texts.lines(2000, 40, 1) + "__label__\u00e9t\u00e9 x\n").getBytes(UTF_8));
    }
    StringBuilder told = new StringBuilder();
    try (BufferedReader out =
        new BufferedReader(new InputStreamReader(training.getInputStream(), UTF_8))) {
      String line;
      while ((line = out.readLine()) != null) {
        told.append(line).append('\n');
        if (line.startsWith("epoch 5:")) {
          // Ends it like Ctrl-C, which processes in the background of a shell ignore.
          new ProcessBuilder("kill", "-TERM", Long.toString(training.pid())).start().waitFor();
        }
      }
    }
    assertTrue(training.waitFor(10, TimeUnit.MINUTES));
    assertTrue(
        told.toString().contains("\nEnding, to save the best model so far\n"), told::toString);
    assertTrue(told.toString().contains(" bytes, the best model so far\n"), told::toString);
    try (Classifier classifier = Classifier.load(model)) {
      assertEquals("label7", classifier.predict("my-own7", 1).get(0).label());
    }
    assertEquals(900, ImageIO.read(folder.resolve("model.png").toFile()).getWidth());
    // The locale is that of many servers.
    Path text = Files.writeString(folder.resolve("text"), "x\n");
    ProcessBuilder predict =
        new ProcessBuilder(words("predict", model, text, "--top", 100)).redirectErrorStream(true);
    predict.environment().put("LC_ALL", "C");
    String labels = new String(predict.start().getInputStream().readAllBytes(), UTF_8);
    assertTrue(labels.contains("\u00e9t\u00e9\t"), labels);
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has no such signal
  void isStoppedWhileItReads_andLeavesTheOldModelAlone() throws Exception {
    Path model = Files.writeString(folder.resolve("model"), "an old one");
    Process training = start("train", "-o", model, "-");
    try (OutputStream in = training.getOutputStream()) {
      // Once the pipe, which holds less, has taken all, a part has been read.
      in.write(Texts.lines(10_000, 40, 1).getBytes(UTF_8));
      in.flush();
      new ProcessBuilder("kill", "-TERM", Long.toString(training.pid())).start().waitFor();
      assertTrue(training.waitFor(10, TimeUnit.MINUTES));
    }
    assertEquals("an old one", Files.readString(model));
  }

  @Test
  @EnabledOnOs(OS.LINUX) // other systems may not know what standard input is
  void examplesThatAreStandardInput_areNotReplaced() throws Exception {
    Path examples = Files.writeString(folder.resolve("examples"), Texts.lines(20, 4, 1));
    for (List<String> args :
        List.of(
            List.of("train", "-o", examples.toString(), "-"),
            List.of("train", "-o", folder + "/m", "--chart", examples.toString(), "-"))) {
      Told refused = run(words(args.toArray()), Redirect.from(examples.toFile()));
      assertEquals(2, refused.code(), refused::toString);
      String option = args.contains("--chart") ? "--chart: " : "--output: ";
      assertEquals(option + examples + " is the same file as /dev/stdin\n", refused.err());
      assertEquals(Texts.lines(20, 4, 1), Files.readString(examples));
    }
  }

  /** A limit on file sizes acts like a full disk. */
  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has no such shell
  void whereAFileCannotBeWritten_theOldOneStays_andNothingElseIsLeft() throws Exception {
    Path examples = folder.resolve("examples");
    Files.writeString(examples, "__label__tea green leaves\n__label__coffee roasted beans\n");
    Path chart = Files.writeString(folder.resolve("chart"), "an old one");
    Path model = folder.resolve("model");
    List<Object> training =
        List.of("train", "-o", model, "--head", "embedding", "--epochs", 2, "--dimension", 4);
    // Runs without the limit, to unpack the library.
    assertEquals(0, run(join(training, examples)).code());
    Told trained = runLimited(join(training, "--chart", chart, examples));
    assertEquals(0, trained.code(), trained::toString);
    assertTrue(trained.err().startsWith("No chart: "), trained::toString);
    assertTrue(trained.err().contains(chart + ": "), trained::toString);
    assertEquals("an old one", Files.readString(chart));

    String longest = "x".repeat(20_000);
    Files.writeString(
        examples, "__label__a%s green\n__label__b%s beans\n".formatted(longest, longest));
    byte[] old = Files.readAllBytes(model);
    Told unsaved = runLimited(join(training, examples));
    assertEquals(2, unsaved.code(), unsaved::toString);
    assertArrayEquals(old, Files.readAllBytes(model));
    assertEquals(Set.of("chart", "err", "examples", "model", "temporary"), names(folder));
    assertEquals(Set.of(), names(folder.resolve("temporary")));
  }

  private static Object[] join(List<Object> some, Object... others) {
    return Stream.concat(some.stream(), Stream.of(others)).toArray();
  }

  private static Set<String> names(Path of) throws IOException {
    try (Stream<Path> files = Files.list(of)) {
      return files.map(file -> file.getFileName().toString()).collect(toSet());
    }
  }

  /** Runs a command that cannot write more than 16 KB to a file. */
  private Told runLimited(Object... args) throws Exception {
    Path temporary = Files.createDirectories(folder.resolve("temporary"));
    List<String> words = words(args);
    words.addAll(1, List.of("-Djava.io.tmpdir=" + temporary, "-XX:-UsePerfData"));
    words.addAll(0, List.of("sh", "-c", "ulimit -f 32; exec \"$@\"", "sh"));
    return run(words);
  }

  /** Runs the commands of a page; returns what they print. */
  private String commandsOf(String page) throws Exception {
    String text = Files.readString(Path.of("../doc").resolve(page));
    Matcher block = Pattern.compile("(?s)```sh\n(.*?)```").matcher(text);
    assertTrue(block.find(), "no commands");
    String jar = command().stream().collect(joining("' '", "'", "'"));
    String script =
        block
            .group(1)
            .replace("java -jar src/classifier/target/blocksparse-classifier.jar", jar)
            .replace(
                "java -cp src/classifier/target/blocksparse-classifier.jar",
                jar.replace("'-jar'", "'-cp'"))
            .replace("src/classifier/src/examples", Path.of("src/examples").toAbsolutePath() + "");
    Process shell =
        new ProcessBuilder("sh", "-e", "-c", script)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .start();
    String told = new String(shell.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, shell.waitFor(), told);
    return told;
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has no such shell
  void thePageOfModelsOfFastText_runsAsItIs() throws Exception {
    FastTextPrograms.assumeInstalled();
    String told = commandsOf("fasttext-models.md");
    assertTrue(told.matches("(?s).*\ntea\t[01]\\.\\d{6}\n.*"), told);
    assertTrue(told.matches("(?s).*\n +1 +1\\.0000 .*"), told);
    assertTrue(told.endsWith("\ntea\n(2, 16)\n"), told);
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has no such shell
  void thePageForThoseWhoComeFromFastText_runsAsItIs() throws Exception {
    String told = commandsOf("fasttext.md");
    assertTrue(told.contains("\ntea\t"), told);
    assertTrue(told.matches("(?s).*\n__label__tea 0\\.\\d+ __label__coffee 0\\.\\d+\n.*"), told);
    assertTrue(told.matches("(?s).*\n +1 +1\\.0000 .*"), told);
  }

  @Test
  void readsGzip_andTellsABadLineInOneLine() throws Exception {
    Path model = folder.resolve("model");
    Path examples = gzipped("examples.gz", Texts.lines(2000, 40, 1));
    Told trained = run("train", "-o", model, "--epochs", 1, "--dimension", 16, examples);
    assertEquals(new Told(0, trained.out(), ""), trained);
    assertTrue(trained.out().startsWith("2,000 examples, "), trained::out);
    Told predicted = run("predict", model, "--top", 1, gzipped("texts.gz", "my-own7\nmy-own8\n"));
    assertEquals(new Told(0, predicted.out(), ""), predicted);
    assertTrue(
        predicted.out().matches("label7\t0\\.\\d{6}\\Rlabel8\t0\\.\\d{6}\\R"), predicted::out);

    Path bad = gzipped("bad.gz", "__label__tea green leaves\n__label__ \n");
    for (Object[] args :
        new Object[][] {{"train", "-o", folder.resolve("other"), bad}, {"test", model, bad}}) {
      Told refused = run(args);
      String problem =
          ": line 2: a label has no name: '__label__'; --skip-bad-lines leaves it out\n";
      assertEquals(new Told(2, "", bad + problem), refused);
    }
  }

  private Path gzipped(String name, String text) throws IOException {
    return gzipped(name, text, 1);
  }

  private Path gzipped(String name, String text, int times) throws IOException {
    Path file = folder.resolve(name);
    byte[] bytes = text.getBytes(UTF_8);
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      for (int i = 0; i < times; i++) {
        out.write(bytes);
      }
    }
    return file;
  }

  /** The JVM itself takes some of the heap; the rest depends on the collector. */
  @Test
  void linesOfMillionsOfBytes_areRefused_inAHeapOf72MB() throws Exception {
    Path model = folder.resolve("model");
    Path one = gzipped("one.gz", "x".repeat(1 << 10), 1 << 16);
    assertRefused(one, ": line 1: has more than 8388608 bytes", "train", "-o", model, one);
    Path words = gzipped("words.gz", "1 ".repeat(1 << 10), (1 << 12) - 1);
    assertRefused(words, ": line 1: expected a text with words that", "train", "-o", model, words);
    String problem = ": line 1: expected index:value, with an index in ";
    assertRefused(words, problem, "train", "-o", model, "--format", "sparse", words);
    Path commas = gzipped("commas.gz", ",".repeat(1 << 10), (1 << 13) - 1);
    problem = ": line 1: a label has no name: ',,,,,";
    assertRefused(commas, problem, "train", "-o", model, "--format", "sparse", commas);
    Path labels = gzipped("labels.gz", "a,".repeat(1 << 10), (1 << 12) - 1);
    problem = ": line 1: has more than 262144 labels";
    assertRefused(labels, problem, "train", "-o", model, "--format", "sparse", labels);
    Path letters = gzipped("letters.gz", "\u65e5".repeat(1 << 10), 2700);
    assertRefused(
        letters, ": line 1: expected a text with words that", "train", "-o", model, letters);
  }

  /** This JVM accepts the options of the file, and prints nothing. */
  @Test
  void startsWithTheOptionsOfTheFile() throws Exception {
    Path clone = Path.of("../..").toRealPath();
    Path archive = clone.resolve("src/classifier/target/classifier.jsa");
    Files.deleteIfExists(archive);
    for (int start = 0; start < 2; start++) { // the first start writes the archive, if it can
      Process process =
          new ProcessBuilder(command().get(0), "@src/classifier/classifier.args", "--version")
              .directory(clone.toFile())
              .redirectErrorStream(true)
              .start();
      String printed = new String(process.getInputStream().readAllBytes(), UTF_8);
      assertEquals(0, process.waitFor(), printed);
      assertEquals(1, printed.lines().count(), printed);
      assertEquals(Runtime.version().feature() >= 19, Files.exists(archive));
    }
    Files.deleteIfExists(archive); // the archive has few classes
  }

  /** The header has the maximum length. */
  @Test
  void aModelOfTooManyKeys_isRefused_inAHeapOf72MB() throws Exception {
    Path model = folder.resolve("model");
    TrainingOptions options =
        TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(4).withEpochs(1);
    try (Classifier classifier = Training.train(Texts.examples(9, 3, 1), options)) {
      classifier.save(model);
    }
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(model)).order(ByteOrder.LITTLE_ENDIAN);
    byte[] header = new byte[(int) bytes.getLong()];
    bytes.get(header);
    String keys = "\"classifier.vocabulary\":\"";
    String longer = new String(header, UTF_8).replace(keys, keys + "A".repeat(8_000_000));
    try (OutputStream out = Files.newOutputStream(model)) {
      out.write(
          ByteBuffer.allocate(Long.BYTES)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(longer.length())
              .array());
      out.write(longer.getBytes(UTF_8));
      out.write(bytes.array(), bytes.position(), bytes.remaining());
    }
    assertRefused(model, ": classifier.vocabulary: expected ", "info", model);
  }

  private void assertRefused(Path file, String problem, Object... args) throws Exception {
    List<String> words = words(args);
    words.addAll(1, List.of("-Xmx72m", "-XX:+UseSerialGC"));
    Told refused = run(words);
    assertEquals(2, refused.code(), refused::toString);
    assertTrue(refused.err().startsWith(file + problem), refused::toString);
    assertEquals(1, refused.err().lines().count(), refused::toString);
  }

  /** The exit code of a command and its output, with line ends as on Linux. */
  private record Told(int code, String out, String err) {}

  private Told run(Object... args) throws Exception {
    return run(words(args));
  }

  private Told run(List<String> words) throws Exception {
    return run(words, Redirect.PIPE);
  }

  private Told run(List<String> words, Redirect in) throws Exception {
    Path err = folder.resolve("err");
    Process process =
        new ProcessBuilder(words).redirectInput(in).redirectError(err.toFile()).start();
    process.getOutputStream().close();
    String out = new String(process.getInputStream().readAllBytes(), UTF_8);
    return new Told(
        process.waitFor(),
        out.replace(System.lineSeparator(), "\n"),
        Files.readString(err).replace(System.lineSeparator(), "\n"));
  }

  /** Runs the programs with the jar as their class path. */
  @ParameterizedTest
  @ValueSource(strings = {"Drinks.java", "Router.java", "Shop.java"})
  void theProgramOfThePage_printsWhatItsCommentsSay(String name) throws Exception {
    Path program = Path.of("src/examples").resolve(name);
    List<String> command = new ArrayList<>(command());
    command.set(command.indexOf("-jar"), "-cp");
    command.add(program.toString());
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String told = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, process.waitFor(), told);
    List<String> expected =
        Files.readString(program)
            .lines()
            .filter(line -> line.contains("println("))
            .map(line -> line.substring(line.indexOf("// ") + 3))
            .toList();
    assertEquals(expected, told.lines().toList());
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has no such shell
  void aClosedOutput_isTold() throws Exception {
    String command = command().stream().collect(joining("' '", "'", "'"));
    Process shell =
        new ProcessBuilder("sh", "-c", command + " --help >&-").redirectErrorStream(true).start();
    String told = new String(shell.getInputStream().readAllBytes(), UTF_8);
    assertEquals(2, shell.waitFor(), told);
    assertEquals(Streams.CLOSED + "\n", told);
  }

  @Test
  void warnsOfNothing_andTellsItsCommands() throws Exception {
    Process help = start("--help");
    String told = new String(help.getInputStream().readAllBytes(), UTF_8);
    assertEquals(0, help.waitFor(), told);
    assertTrue(told.startsWith("Usage: blocksparse-classifier"), told);
    assertTrue(told.contains("latency"), told);
  }
}
