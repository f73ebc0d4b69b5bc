// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Decisions;
import org.blocksparse.classifier.examples.ExampleReader;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.mixture.Mixture;
import org.junit.jupiter.api.Test;

/** The figures of test, and the choice by train --validation. */
final class TestCommandTest extends Commands {
  private Decisions decisions(double threshold) throws IOException {
    try (Classifier classifier = Classifier.load(model);
        ExampleReader reader = ExampleReader.open(test)) {
      return classifier.evaluate(reader.examples(), 1, threshold, example -> {}).decisions();
    }
  }

  @Test
  void f1AndReliability_arePrinted_andFiguresOfLabelsWritten() throws IOException {
    Files.write(model, trained);
    Path tsv = folder.resolve("labels.tsv");
    String told = runWell("test", model, test, "--threshold", "0.1", "--by-label", tsv);
    Decisions decisions = decisions(0.1);
    assertTrue(
        told.contains(
            "\nfrom a probability of 0.1: precision %.4f, recall %.4f, micro F1 %.4f, macro F1 %.4f\n"
                .formatted(
                    decisions.precision(),
                    decisions.recall(),
                    decisions.microF1(),
                    decisions.macroF1())),
        told);
    assertTrue(
        told.contains(
            "highest micro F1 on these examples: %.4f, from %s\n"
                .formatted(decisions.bestF1(), decisions.bestThreshold())),
        told);
    Decisions.Bin first = decisions.reliability().get(0);
    assertTrue(
        told.contains(
            "\n 0.0 to 0.1 %9d %9.4f %9.4f\n"
                .formatted(first.count(), first.meanProbability(), first.rightRate())),
        told);
    assertTrue(
        told.contains(
            "\nexpected calibration error: %.4f\n".formatted(decisions.calibrationError())),
        told);

    List<String> lines = Files.readAllLines(tsv);
    assertEquals("label\texamples\tpredicted\tright\tprecision\trecall\tf1", lines.get(0));
    assertEquals(decisions.byLabel().size(), lines.size() - 1);
    Decisions.OfLabel label = decisions.byLabel().get(0);
    assertEquals(
        "%s\t%d\t%d\t%d\t%.4f\t%.4f\t%.4f"
            .formatted(
                label.label(),
                label.examples(),
                label.predicted(),
                label.right(),
                label.precision(),
                label.recall(),
                label.f1()),
        lines.get(1));
  }

  @Test
  void withoutAThreshold_itIsThatOfTheModel_orAHalf() throws IOException {
    Files.write(model, trained);
    Path without = without("classifier.threshold", "classifier.predictionSets");
    assertTrue(runWell("test", without, test).contains("\nfrom a probability of 0.5: "));
    Result refused = run("predict", without, test, "--threshold", "best");
    assertEquals(2, refused.code());
    assertEquals(
        "--threshold: expected a number, since the model has no best one; train one with 10"
            + " examples or more, or with --validation\n",
        refused.err());
    assertEquals(
        "--coverage: expected a model whose training held out examples; train one with 10 examples"
            + " or more, or with --validation\n",
        run("test", without, test, "--coverage", 0.9).err());

    runWell("train", "-o", model, "--epochs", 2, "--dimension", 8, "--validation", test, training);
    double best = decisions(0.5).bestThreshold();
    assertTrue(runWell("test", model, test).contains("\nfrom a probability of " + best + ": "));
    String answers = runWell("predict", model, test, "--threshold", "best");
    assertEquals(runWell("predict", model, test, "--threshold", best), answers);
    assertTrue(runWell("info", model).contains("\nthreshold: " + best + "\n"));
  }

  @Test
  void modelsOfSeveralLabelsPredictFromTheirThreshold() throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int e = 0; e < 120; e++) { // the second label applies to two fifths: below 0.5
      int label = e % 6;
      String second = e / 6 % 5 < 2 ? "__label__second%d ".formatted(label) : "";
      lines.append("__label__l%d %sword%d all%d\n".formatted(label, second, label, e % 7));
    }
    Path several = Files.writeString(folder.resolve("several.txt"), lines.toString());
    runWell("train", "-o", model, "--head", "linear", several);
    String all = runWell("predict", model, several, "--threshold", 0);
    String best = runWell("predict", model, several, "--threshold", "best");
    assertNotEquals(all, best);
    assertEquals(best, runWell("predict", model, several));
    assertEquals(all, runWell("predict", model, several, "--top", 5));
    String measured = runWell("test", model, several);
    assertTrue(measured.contains("\nfrom 0.5: micro F1 "), measured);

    Path quantized = folder.resolve("quantized");
    runWell("quantize", model, quantized);
    assertEquals(
        runWell("predict", quantized, several, "--threshold", "best"),
        runWell("predict", quantized, several));
    Path more = folder.resolve("more");
    runWell("train", "--from", model, "-o", more, "--validation", test, training);
    try (Classifier continued = Classifier.load(more)) {
      assertTrue(continued.hasSeveralLabels());
    }
    runWell("train", "-o", more, "--label-tree", "--dimension", 4, "--epochs", 1, several);
    try (Classifier tree = Classifier.load(more)) {
      assertTrue(tree.hasSeveralLabels());
    }
    Path earlier = without("classifier.severalLabels");
    assertEquals(all, runWell("predict", earlier, several));

    runWell("train", "-o", model, "--head", "linear", training);
    assertEquals(
        runWell("predict", model, test, "--threshold", 0), runWell("predict", model, test));
  }

  private Path without(String... entries) throws IOException {
    Path file = folder.resolve("without");
    try (Mixture heads = Mixture.load(model, LoadOptions.copied())) {
      Map<String, String> metadata = new TreeMap<>(heads.metadata());
      metadata.keySet().removeAll(List.of(entries));
      heads.save(file, SaveOptions.defaults().withMetadata(metadata));
    }
    return file;
  }

  @Test
  void setsAreMeasuredAndPrinted() throws IOException {
    runWell("train", "-o", model, "--head", "linear", training);
    assertTrue(
        runWell("test", model, test, "--coverage", 0.5).contains("\nsets for a coverage of 0.5: "));
    String sets = runWell("predict", model, test, "--coverage", 0.5);
    double threshold;
    try (Classifier classifier = Classifier.load(model)) {
      threshold = classifier.thresholdOfSets(0.5).getAsDouble();
    }
    assertEquals(runWell("predict", model, test, "--top", 1000, "--threshold", threshold), sets);
    assertEquals(
        "--coverage: expected a number above 0 and below 1 but was 1.0\n",
        run("predict", model, test, "--coverage", 1).err());
    assertEquals(
        "--top: expected no --coverage as well, whose sets have as many labels as they need\n",
        run("predict", model, test, "--coverage", 0.9, "--top", 2).err());
    assertEquals(
        "--threshold: expected no --coverage as well, which has its own\n",
        run("predict", model, test, "--coverage", 0.9, "--threshold", 0.1).err());
  }

  @Test
  void noneIsMeasuredAndPrinted() throws IOException {
    runWell("train", "-o", model, "--head", "linear", "--none", training);
    String measured = runWell("test", model, test, "--none", 0.2);
    assertTrue(measured.contains(" examples have no label that the model knows ("), measured);
    assertTrue(measured.contains("\nwith (none) "), measured);
    String answers = runWell("predict", model, test, "--none", 0.2, "--top", 1);
    assertTrue(answers.lines().allMatch(line -> line.contains("(none)\t")), answers);
    assertTrue(answers.lines().allMatch(line -> line.split("\t").length == 4), answers);
    assertTrue(runWell("predict", model, test, "--none", 0.2, "--explain").contains("(none)\t"));
    assertEquals(
        "--none: expected a share above 0 and below 1 but was 1.0\n",
        run("predict", model, test, "--none", 1).err());
    assertEquals(
        "--none: expected no --coverage as well, whose sets are of known labels\n",
        run("predict", model, test, "--none", 0.2, "--coverage", 0.9).err());
    assertEquals(
        "--none: expected no --from as well, which learned other examples\n",
        run("train", "-o", folder.resolve("next"), "--from", model, "--none", training).err());
    Path without = without("classifier.none");
    assertEquals(
        "--none: expected a model that train --none has written\n",
        run("test", without, test, "--none", 0.2).err());
  }

  @Test
  void rareLabels_areMeasured_ifTheModelHasLabelCounts() throws IOException {
    Files.write(model, trained);
    assertTrue(
        runWell("test", model, test).contains("   k       P@k       R@k    nDCG@k     PSP@k\n"));
    Path without = without("classifier.labelCounts");
    String told = runWell("test", without, test);
    assertTrue(told.contains("   k       P@k       R@k    nDCG@k\n"), told);
    assertTrue(
        told.contains(
            "\nno PSP@k: the model has no label counts of a training with 3 examples or more\n"),
        told);
  }

  @Test
  void anEarlyEnd_isToldOnStandardError_withTheEpochThatIsKept() throws IOException {
    Result result =
        run(
            "train",
            "-o",
            model,
            "--head",
            "embedding",
            "--epochs",
            40,
            "--dimension",
            4,
            "--validation",
            test,
            training);
    assertEquals(0, result.code());
    Matcher told =
        Pattern.compile(
                "Ended after epoch (\\d+) of 40, no better than before: kept epoch (\\d+)\n")
            .matcher(result.err());
    assertTrue(told.matches(), result.err());
    assertTrue(result.out().contains("\nepoch " + told.group(1) + ": "), result.out());
    String info = runWell("info", model);
    assertTrue(info.contains("\nepochs: " + told.group(1) + "\n"), info);
    assertTrue(info.contains("\nepoch of this model: " + told.group(2) + "\n"), info);
  }

  /** Each epoch's line has the metrics; the best epoch is the best by the judging metric. */
  @Test
  void examplesOfSeveralLabels_areJudgedByNdcg() throws IOException {
    StringBuilder pairs = new StringBuilder();
    List<String> lines = Files.readAllLines(test);
    for (int line = 0; line < lines.size(); line += 2) {
      pairs.append(lines.get(line)).append(' ').append(lines.get(line + 1)).append('\n');
    }
    Files.writeString(test, pairs);
    String told =
        run(
                "train",
                "-o",
                model,
                "--epochs",
                4,
                "--dimension",
                4,
                "--rate",
                1,
                "--validation",
                test,
                training)
            .out();
    Matcher epochs =
        Pattern.compile("epoch \\d+: .*P@1 on validation [\\d.]+, nDCG@5 ([\\d.]+)( \\(best\\))?, ")
            .matcher(told);
    double best = 0;
    int found = 0;
    while (epochs.find()) {
      double score = Double.parseDouble(epochs.group(1));
      assertTrue(epochs.group(2) == null ? score <= best : score >= best, epochs.group());
      best = Math.max(best, score);
      found++;
    }
    assertTrue(found >= 2, "epochs: " + found);
  }
}
