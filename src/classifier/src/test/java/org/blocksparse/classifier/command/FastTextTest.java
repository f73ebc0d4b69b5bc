// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Lines of fastText, which are answered by the equivalent commands. */
final class FastTextTest extends Commands {
  /** Returns the answer, without the command before the name of a subcommand. */
  private static String answer(String line) {
    Result result = run((Object[]) line.split(" ", -1));
    assertEquals(2, result.code());
    assertEquals("", result.out());
    return result.err().replace(Launcher.command() + " ", "").strip();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "supervised -input f -output m -lr .5 -epoch 5 -wordNgrams 2 | supervised | train -o m"
            + " --rate .5 --epochs 5 --word-ngrams 2 f",
        "supervised -output m -loss ova -input f -thread 4 | supervised | train -o m --label-tree"
            + " --threads 4 f",
        "supervised -input f -output m -autotune-validation v | supervised | train -o m"
            + " --validation v --tune 300 f",
        "supervised -input f -output m -autotune-duration 60 -autotune-validation v -autotune-metric"
            + " f1 | supervised | train -o m --tune 60 --validation v --validation-metric f1 f",
        "supervised -input f -output m -loss hs -minn 3 -saveOutput -label # | supervised | train -o"
            + " m --label-prefix '#' --char-ngrams none f",
        "supervised -input f -output m -minn 3 -maxn 6 | supervised | train -o m --char-ngrams 3-6"
            + " f",
        "supervised | supervised | train -o MODEL FILE",
        "train --label-prefix -lr -dim 9 -o m f | train | train -o MODEL --label-prefix -lr"
            + " --dimension 9 -o m f FILE",
        "quantize -output m -input f -qnorm -retrain | quantize | quantize m m.small",
        "test m f 5                             | test | test m f --top 5",
        "predict m - 3 0.5                      | predict | predict m - --top 3 --threshold 0.5",
        "predict-prob m f                       | predict-prob | predict m f --top 1",
        "test-label m f 1 0.5 | test-label | test m f --top 1 --threshold 0.5 --by-label TSV",
      })
  void aLineOfFastText_isAnsweredByTheOneToType(String line, String name, String expected) {
    String first = answer(line).lines().findFirst().orElseThrow();
    assertEquals("fastText's " + name + " is here: " + expected, first);
  }

  @Test
  void optionsWithoutACounterpart_areNamed() {
    List<String> lines =
        answer("supervised -input f -output m -ws 3 -autotune-metric f1:a").lines().toList();
    assertEquals(
        List.of(
            "fastText's supervised is here: train -o m f",
            "  -ws: no unsupervised training",
            "  -autotune-metric: the other metrics here are p@1 and ndcg@5"),
        lines);
    assertEquals(
        "fastText's skipgram is not here: no unsupervised training", answer("skipgram -x"));
    assertTrue(answer("dump m args").startsWith("fastText's dump is here: info"));
  }

  /** The command accepts its own suggestions. */
  @Test
  void theLine_trains() {
    String line =
        answer(
            "supervised -input %s -output %s -lr .5 -epoch 1 -dim 8 -thread 2"
                .formatted(training, model));
    String typed = line.lines().findFirst().orElseThrow().split(" is here: ", -1)[1];
    runWell((Object[]) (typed + " --no-chart").split(" ", -1));
    assertTrue(Files.exists(model));
  }

  @Test
  void linesOfThisCommand_areNone() {
    for (String line :
        List.of("train -o m f", "test m f", "predict m", "train --label-prefix -lr -o m f", "x")) {
      assertEquals(
          List.of(), FastText.answer(List.of(line.split(" ", -1)), "--label-prefix"::equals));
    }
    assertEquals(List.of(), FastText.answer(List.of(), word -> false));
  }
}
