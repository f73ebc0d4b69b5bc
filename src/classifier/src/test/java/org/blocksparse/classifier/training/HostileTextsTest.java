// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Explanation;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.OddTexts;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Texts in rare scripts, invalid texts and huge words, from training to an explanation. */
final class HostileTextsTest {
  @TempDir private Path folder;

  private static Stream<Example> examples() {
    return OddTexts.all().entrySet().stream()
        .flatMap(
            text ->
                Stream.of("", " one two")
                    .map(more -> Example.ofText(text.getValue() + more, text.getKey())));
  }

  private static Stream<Arguments> trainings() {
    TrainingOptions brief = TrainingOptions.defaults().withEpochs(1).withDimension(4);
    return Stream.of(
        Arguments.of("defaults", TrainingOptions.defaults()),
        Arguments.of("characters", brief.withHead(ModelHead.BOTH).withCharNgrams(3, 5)),
        Arguments.of(
            "many",
            TrainingOptions.defaults()
                .withHead(ModelHead.LINEAR)
                .withCharNgrams(1, 10)
                .withWordNgrams(5)),
        Arguments.of(
            "plain words",
            TrainingOptions.defaults()
                .withHead(ModelHead.LINEAR)
                .withPlainWords()
                .withCharNgrams(3, 5)));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("trainings")
  void areLearnedPredictedAndExplained(String name, TrainingOptions options) throws IOException {
    Path file = folder.resolve("model");
    List<Example> all = examples().toList();
    List<List<Prediction>> answers;
    try (Classifier trained = Training.train(examples(), options)) {
      answers = trained.predict(all, 3);
      trained.save(file);
    }
    try (Classifier loaded = Classifier.load(file)) {
      assertEquals(answers, loaded.predict(all, 3));
      for (int e = 0; e < all.size(); e++) {
        for (Prediction answer : answers.get(e)) {
          assertTrue(answer.probability() >= 0 && answer.probability() <= 1, answer::toString);
        }
        Explanation why = loaded.explain(all.get(e), all.get(e).labels().get(0));
        assertTrue(Double.isFinite(why.score()), why::toString);
      }
    }
  }
}
