// SPDX-License-Identifier: Apache-2.0
package tagging;

import java.util.List;
import org.blocksparse.ModelHolder;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.examples.Example;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

/** The likeliest labels of one text, or of many. */
@RestController
class LabelController {
  private static final int MOST_LABELS = 100;
  private static final int MOST_TEXTS = 1000;

  private final ModelHolder<Classifier> models;

  LabelController(ModelHolder<Classifier> models) {
    this.models = models;
  }

  record Label(String label, double probability) {
    static List<Label> of(List<Prediction> predictions) {
      return predictions.stream().map(p -> new Label(p.label(), p.probability())).toList();
    }
  }

  @GetMapping("/labels")
  List<Label> one(@RequestParam String text, @RequestParam(defaultValue = "5") int k) {
    require(k >= 1 && k <= MOST_LABELS, "k: expected a number in [1, 100]");
    try (var model = models.acquire()) {
      return Label.of(model.get().predict(text, k));
    }
  }

  /** Many texts in one call are faster than one by one, and get the same model. */
  @PostMapping("/labels")
  List<List<Label>> many(@RequestBody List<String> texts, @RequestParam(defaultValue = "5") int k) {
    require(k >= 1 && k <= MOST_LABELS, "k: expected a number in [1, 100]");
    require(texts.size() <= MOST_TEXTS, "texts: expected at most 1000");
    List<Example> examples = texts.stream().map(Example::ofText).toList();
    try (var model = models.acquire()) {
      return model.get().predict(examples, k).stream().map(Label::of).toList();
    }
  }

  private static void require(boolean condition, String message) {
    if (!condition) {
      throw new ResponseStatusException(HttpStatus.BAD_REQUEST, message);
    }
  }
}
