// SPDX-License-Identifier: Apache-2.0
package topics;

import dev.langchain4j.classification.TextClassifier;
import java.util.stream.Stream;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;

class Topics {
  enum Topic {
    BILLING,
    BUG
  }

  public static void main(String[] args) {
    var examples =
        Stream.of(
            Example.ofText("My card was charged twice", "BILLING"),
            Example.ofText("The app crashes at start", "BUG"));
    try (var model = Training.train(examples, TrainingOptions.defaults())) {
      TextClassifier<Topic> topics =
          new TrainedTextClassifier<>(model, Topic::valueOf, PredictionOptions.top(1));
      System.out.println(topics.classify("I was charged for two cards")); // [BILLING]
    }
  }
}
