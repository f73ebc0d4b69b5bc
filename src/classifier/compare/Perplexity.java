// SPDX-License-Identifier: Apache-2.0

import java.nio.file.Path;
import java.util.List;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.ExampleReader;

/**
 * Prints the perplexity of a model on examples that have one label each. Its probabilities, which
 * are independent, are normalized to sum to 1.
 */
class Perplexity {
  public static void main(String[] args) throws Exception {
    try (Classifier model = Classifier.load(Path.of(args[0]));
        ExampleReader examples = ExampleReader.open(Path.of(args[1]))) {
      double loss = examples.examples().mapToDouble(e -> loss(model, e)).average().orElseThrow();
      System.out.printf("%.1f%n", Math.exp(loss));
    }
  }

  private static double loss(Classifier model, Example example) {
    List<Prediction> all = model.predict(example, model.labels().size());
    double sum = all.stream().mapToDouble(Prediction::probability).sum();
    return all.stream()
        .filter(prediction -> prediction.label().equals(example.labels().get(0)))
        .mapToDouble(prediction -> -Math.log(prediction.probability() / sum))
        .findFirst()
        .orElseThrow();
  }
}
