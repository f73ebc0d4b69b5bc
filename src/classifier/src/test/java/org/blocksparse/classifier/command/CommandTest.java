// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** Commands, from examples to predictions. */
final class CommandTest extends Commands {
  @Test
  void fromAFileToPredictions() throws IOException {
    String trained =
        runWell(
            "train",
            "-o",
            model,
            "--head",
            "embedding",
            "--dimension",
            16,
            "--epochs",
            3,
            "--validation",
            test,
            "--threads",
            1,
            "--chart",
            folder.resolve("model.png"),
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
    assertTrue(lines.get(3).matches("   5 +0\\.\\d{4} +1\\.0000( +[01]\\.\\d{4}){2}"), tested);

    Path texts = Files.writeString(folder.resolve("texts"), "my-own7\nword11 of\n");
    List<String> answers = runWell("predict", model, texts, "--top", 2).lines().toList();
    assertEquals(2, answers.size());
    assertTrue(answers.get(0).matches("label7\t0\\.\\d{6}\tlabel\\d+\t0\\.\\d{6}"), answers.get(0));
    assertTrue(answers.get(1).startsWith("label11\t"), answers.get(1));

    assertTrue(runWell("info", model).contains("labels: 40\n"));
  }

  @Test
  void training_goesOnFromALinearModel() throws IOException {
    Path next = folder.resolve("next");
    for (String head : List.of("linear", "both")) {
      runWell("train", "-o", model, "--head", head, training);
      Files.writeString(test, "__label__fresh apples\n".repeat(20) + Texts.lines(100, LABELS, 3));
      String told = runWell("train", "--from", model, "-o", next, test);
      assertTrue(told.contains(" 41 labels"), told);
      Path texts = Files.writeString(folder.resolve("texts"), "apples\nmy-own7\n");
      List<String> answers = runWell("predict", next, texts, "--top", 1).lines().toList();
      assertTrue(answers.get(0).startsWith("fresh\t"), answers::toString);
      assertTrue(answers.get(1).startsWith("label7\t"), answers::toString);
      assertTrue(runWell("info", next).contains("head: " + head + "\n"));
    }
    runWell("train", "-o", model, "--head", "linear", training);
    assertEquals(
        "--epochs: expected no --from with a linear model as well, which has no embedding\n",
        run("train", "--from", model, "-o", next, "--epochs", 2, test).err());
  }

  @Test
  void labelsWithoutExamples_areFoundByTheirTexts() throws IOException {
    StringBuilder lines = new StringBuilder("__label__fresh crisp apples\n");
    for (int label = 0; label < LABELS; label++) {
      lines.append("__label__label" + label + " my own" + label + "\n");
    }
    lines.append("\n__label__wordless\n"); // is skipped
    Path names = Files.writeString(folder.resolve("names"), lines);
    String told = runWell("train", "-o", model, "--label-texts", names, training);
    assertTrue(told.contains(" 41 labels"), told);
    assertTrue(told.contains("the model has the linear head and label texts\n"), told);
    Path texts = Files.writeString(folder.resolve("texts"), "apples, crisp\nmy-own7\n");
    List<String> answers = runWell("predict", model, texts, "--top", 1).lines().toList();
    assertTrue(answers.get(0).startsWith("fresh\t"), answers::toString);
    assertTrue(answers.get(1).startsWith("label7\t"), answers::toString);
    String info = runWell("info", model);
    assertTrue(info.contains("label texts: names\n"), info);
    assertTrue(info.contains("weight of label texts: 0."), info);
    assertTrue(info.contains("labels: 41\n"), info);
    Files.writeString(names, "__label__a tea\n\n  \n__label__b __label__c cups of it\n");
    assertEquals(
        names + ": line 4: --label-texts: expected one label but 'cups of it' has 2\n",
        run("train", "-o", model, "--label-texts", names, training).err());
    Files.writeString(names, "__label__a tea\n\nlabel0 my own0\n");
    assertEquals(
        names + ": line 3: --label-texts: expected one label but 'label0 my own0' has none\n",
        run("train", "-o", model, "--label-texts", names, training).err());
    Files.writeString(names, "__label__a tea\n");
    assertEquals(
        "--label-texts: expected one of a label that examples have but there is none\n",
        run("train", "-o", model, "--label-texts", names, training).err());
    Files.writeString(names, lines);
    Path sparse = folder.resolve("sparse.txt");
    assertEquals(
        "--label-texts: expected texts, but the examples have features\n",
        run("train", "-o", model, "--label-texts", names, sparse).err());
  }

  @Test
  void predict_explainsLabelsByTheirWords() throws IOException {
    runWell("train", "-o", model, "--head", "linear", training);
    Path texts = Files.writeString(folder.resolve("texts"), "Of N1, my-own7\nn1\n(my-own11)\n");
    List<String> lines = runWell("predict", model, texts, "--top", 2, "--explain").lines().toList();
    assertEquals(9, lines.size(), lines::toString); // a block for each line, and an empty line
    String number = " [-+]\\d+\\.\\d\\d";
    String why = "label7\t[01]\\.\\d{6}\tscore" + number + "\tempty" + number + "\t%s" + number;
    String words = " \\(.*\\bown7 \\+\\d+\\.\\d\\d(, .* [-+]\\d+\\.\\d\\d){0,4}\\)";
    assertTrue(lines.get(0).matches(why.formatted("linear") + words), lines.get(0));
    assertTrue(lines.get(1).startsWith("label"), lines.get(1));
    assertEquals("", lines.get(2));
    assertTrue(lines.get(6).startsWith("label11\t"), lines.get(6));

    Files.write(model, trained);
    String line = runWell("predict", model, texts, "--top", 1, "--explain").split("\n", 2)[0];
    assertTrue(line.matches(why.formatted("embedding") + words), line);
    Files.writeString(texts, "\n");
    Result unknown = run("predict", model, texts, "--top", 1, "--explain");
    String empty = unknown.out().split("\n", 2)[0];
    assertTrue(empty.endsWith("\tembedding +0.00"), empty);
  }

  @Test
  void quantize_writesASmallerModel_thatAllCommandsTake() throws IOException {
    runWell("train", "-o", model, "--head", "embedding", "--epochs", 3, training);
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
  void quantize_writesALinearHeadWith16Bits() throws IOException {
    Path smaller = folder.resolve("smaller");
    runWell("train", "-o", model, "--head", "linear", training);
    try (Classifier classifier = Classifier.load(model)) {
      assertEquals("FLOAT16", classifier.info().get("weights"));
    }
    runWell("quantize", model, smaller);
    assertTrue(runWell("info", smaller).contains("weights: FLOAT16\n"));
    assertEquals(runWell("predict", model, test), runWell("predict", smaller, test));

    try (Classifier wide =
        Training.train(
            Texts.examples(2000, LABELS, 1),
            TrainingOptions.defaults().withHead(ModelHead.LINEAR))) {
      wide.save(model);
    }
    assertTrue(runWell("info", model).contains("weights: FLOAT32\n"));
    runWell("quantize", model, smaller);
    assertTrue(runWell("info", smaller).contains("weights: FLOAT16\n"));
  }

  @Test
  void aLabelTree_isTakenByAllCommands() throws IOException {
    String one = Texts.lines(2000, LABELS, 1);
    Files.writeString(training, one + "n1 n2\n".repeat(300) + pairs(2000, 3));
    Files.writeString(test, pairs(200, 4));
    String held = pairs(200, 5) + Texts.lines(200, LABELS, 6);
    Path others = Files.writeString(folder.resolve("others.txt"), held);
    String trained =
        runWell(
            "train", "-o", model, "--label-tree", "--epochs", 2, "--validation", others, training);
    assertTrue(trained.contains("4,300 examples, "), trained);
    assertTrue(trained.contains("\n300 of them have no label\n"), trained);
    assertTrue(trained.contains(", P@1 on validation "), trained);
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
      String five = runWell("predict", file, texts, "--top", 5).lines().toList().get(1);
      assertEquals(5, five.split("\t", -1).length / 2);
      assertEquals(
          runWell("predict", file, texts, "--threshold", "best"), runWell("predict", file, texts));
      assertTrue(runWell("predict", file, texts, "--top", LABELS).contains("label39"));
      runWell("latency", file, test, "--seconds", 1);
    }
  }

  /** Returns lines with two labels. */
  private static String pairs(int count, long seed) {
    List<String> lines = Texts.lines(2 * count, LABELS, seed).lines().toList();
    StringBuilder pairs = new StringBuilder();
    for (int line = 0; line < lines.size(); line += 2) {
      pairs.append(lines.get(line)).append(' ').append(lines.get(line + 1)).append('\n');
    }
    return pairs.toString();
  }

  @Test
  void training_goesOnFromAModel() throws IOException {
    Files.write(model, trained);
    Path grown = folder.resolve("grown");
    Files.writeString(training, Texts.lines(300, LABELS + 1, 3).replace("__label__", "#"));
    runWell("train", "-o", grown, "--from", model, "--epochs", 2, "--label-prefix", "#", training);
    String info = runWell("info", grown);
    assertTrue(info.contains("\nlabels: " + (LABELS + 1) + "\n"), info);
    assertTrue(info.contains("\ndimension: 8\n"), info);
    assertTrue(info.contains("\ninitial model: model\n"), info);
    assertTrue(info.contains("\nrate: 0.01\n"), info);
    assertArrayEquals(trained, Files.readAllBytes(model));
    Path sparse = folder.resolve("sparse.txt");
    Result refused = run("train", "-o", grown, "--from", model, "--format", "sparse", sparse);
    assertEquals(
        "--format: expected text, on which the model was trained, but was sparse\n", refused.err());
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
    runWell("train", "-o", model, "--epochs", 1, "--label-prefix", "#", others);
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
  void aChart_replacesAFile_whereItIsAskedFor() throws IOException {
    Path png = Files.writeString(folder.resolve("model.png"), "of somebody");
    runWell("train", "-o", model, "--head", "embedding", "--epochs", 2, training);
    assertEquals("of somebody", Files.readString(png));
    runWell("train", "-o", model, "--head", "embedding", "--epochs", 2, "--chart", png, training);
    assertEquals("PNG", new String(Files.readAllBytes(png), 1, 3, ISO_8859_1));
  }

  @Test
  void oneEpoch_makesNoCurve() throws IOException {
    Path png = folder.resolve("curve.png");
    String told = runWell("train", "-o", model, "--epochs", 1, "--chart", png, training);
    assertTrue(told.contains("\n" + png + ": not drawn, since one epoch makes no curve\n"), told);
    assertTrue(Files.notExists(png));
  }

  @Test
  @DisabledOnOs(OS.WINDOWS) // Windows has no named pipes
  void pipesWithNames_areRead() throws Exception {
    Path pipe = folder.resolve("pipe");
    assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
    Files.write(model, trained);
    for (String command : List.of("train", "test")) {
      Thread writer = new Thread(() -> writeTo(pipe, Texts.lines(2000, LABELS, 1)));
      writer.setDaemon(true); // it waits for a reader
      writer.start();
      Object[] args =
          command.equals("test")
              ? new Object[] {"test", model, pipe}
              : new Object[] {"train", "-o", model, "--epochs", 1, pipe};
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
  void aModelThatCannotBeSaved_isSavedElsewhere() throws IOException {
    Files.write(model, trained);
    Path nowhere = folder.resolve("none").resolve("m".repeat(250)); // no suffix fits into its name
    try (Classifier classifier = Classifier.load(model)) {
      IOException e = assertThrows(IOException.class, () -> TrainCommand.save(classifier, nowhere));
      Matcher told =
          Pattern.compile("the model is in (\\S+), because of .*").matcher(e.getMessage());
      assertTrue(told.matches(), e.getMessage());
      Path saved = Path.of(told.group(1));
      assertArrayEquals(Files.readAllBytes(model), Files.readAllBytes(saved));
      Files.delete(saved);
    }
  }
}
