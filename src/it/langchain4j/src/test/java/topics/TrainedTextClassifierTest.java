// SPDX-License-Identifier: Apache-2.0
package topics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.langchain4j.classification.ScoredLabel;
import dev.langchain4j.classification.TextClassifier;
import dev.langchain4j.data.document.Document;
import dev.langchain4j.data.segment.TextSegment;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

final class TrainedTextClassifierTest {
  private enum Drink {
    TEA,
    COFFEE
  }

  private static final String TEXT = "black leaves";

  private static Classifier model;

  @BeforeAll
  static void train() {
    model =
        Training.train(
            Stream.of(Example.ofText("green leaves", "TEA"), Example.ofText("beans", "COFFEE")),
            TrainingOptions.defaults().withEpochs(20).withDimension(8));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static TextClassifier<Drink> drinks(PredictionOptions options) {
    return new TrainedTextClassifier<>(model, Drink::valueOf, options);
  }

  @Test
  void returnsLabelsAndProbabilitiesOfTheModel() {
    List<Prediction> expected = model.predict(TEXT, 2);
    List<ScoredLabel<Drink>> found =
        drinks(PredictionOptions.top(2)).classifyWithScores(TEXT).scoredLabels();
    assertEquals(List.of(Drink.TEA, Drink.COFFEE), found.stream().map(ScoredLabel::label).toList());
    assertEquals(
        expected.stream().map(Prediction::probability).toList(),
        found.stream().map(ScoredLabel::score).toList());
  }

  @Test
  void takesEveryKindOfText() {
    TextClassifier<Drink> drinks = drinks(PredictionOptions.top(1));
    assertEquals(List.of(Drink.TEA), drinks.classify(TEXT));
    assertEquals(List.of(Drink.TEA), drinks.classify(TextSegment.from(TEXT)));
    assertEquals(List.of(Drink.TEA), drinks.classify(Document.from(TEXT)));
  }

  @Test
  void returnsNoLabelBelowTheThreshold() {
    double first = model.predict(TEXT, 1).get(0).probability();
    PredictionOptions high = PredictionOptions.top(2).withThreshold((1 + first) / 2);
    assertTrue(drinks(high).classify(TEXT).isEmpty());
  }

  @Test
  void rejectsLabelsThatAreNoneAtOnce() {
    Function<String, Topics.Topic> topics = Topics.Topic::valueOf;
    assertThrows(
        IllegalArgumentException.class,
        () -> new TrainedTextClassifier<>(model, topics, PredictionOptions.top(1)));
  }

  @Test
  void theProgramOfThePageFindsTheTopic() {
    var printed = new ByteArrayOutputStream();
    PrintStream out = System.out;
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try {
      Topics.main(new String[0]);
    } finally {
      System.setOut(out);
    }
    assertEquals("[BILLING]", printed.toString(StandardCharsets.UTF_8).strip());
  }
}
