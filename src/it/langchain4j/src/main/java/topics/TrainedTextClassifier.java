// SPDX-License-Identifier: Apache-2.0
package topics;

import static java.util.stream.Collectors.toMap;

import dev.langchain4j.classification.ClassificationResult;
import dev.langchain4j.classification.ScoredLabel;
import dev.langchain4j.classification.TextClassifier;
import java.util.Map;
import java.util.function.Function;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.examples.Example;

/** A trained model behind LangChain4j's interface; scores are probabilities, highest first. */
public final class TrainedTextClassifier<L> implements TextClassifier<L> {
  private final Classifier model;
  private final Map<String, L> labels;
  private final PredictionOptions options;

  /**
   * @param model used by any number of threads, and closed by the caller
   * @param labelOf converts each label of the model, here and now: such as {@code Topic::valueOf}
   * @param options the number of labels, a threshold, a filter
   */
  public TrainedTextClassifier(
      Classifier model, Function<String, L> labelOf, PredictionOptions options) {
    this.model = model;
    this.labels = model.labels().stream().collect(toMap(label -> label, labelOf));
    this.options = options;
  }

  @Override
  public ClassificationResult<L> classifyWithScores(String text) {
    return new ClassificationResult<>(
        model.predict(Example.ofText(text), options).stream()
            .map(p -> new ScoredLabel<>(labels.get(p.label()), p.probability()))
            .toList());
  }
}
