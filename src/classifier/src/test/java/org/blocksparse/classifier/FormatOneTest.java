// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.classifier.examples.Example;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Models in format 1, of before classifiers were mixtures, answer as the version that wrote them.
 * The files in {@code format-1} are of commit 6add59d0: {@code train --no-chart --head HEAD} with
 * {@code --dimension 4 --epochs 5} where there is an embedding, and {@code --label-tree} for {@code
 * tree}.
 */
class FormatOneTest {
  private static final Example TEA = Example.ofText("green leaf in a cup");
  private static final Example BREAD = Example.ofText("bread and milk");

  @TempDir private Path folder;

  @ParameterizedTest
  @CsvSource({
    "linear, LINEAR, 0.978995 0.925555, 0.042866 0.000932",
    "embedding, EMBEDDING, 0.649005 0.236171, 0.160015 0.275502",
    "both, BOTH, 0.979265 0.930412, 0.059117 0.001555",
    "tree, EMBEDDING, 0.764867 0.534840, 0.243766 0.231846"
  })
  void answersAreThoseOfItsVersion(String name, ModelHead head, String ofTea, String ofBread)
      throws IOException {
    Path file = folder.resolve(name);
    try (InputStream in = FormatOneTest.class.getResourceAsStream("format-1/" + name)) {
      Files.copy(in, file);
    }
    Path copy = folder.resolve("copy");
    try (Classifier model = Classifier.load(file)) {
      assertEquals(head, model.head());
      model.save(copy);
      try (Classifier saved = Classifier.load(copy)) {
        for (Classifier each : List.of(model, saved)) {
          assertProbabilities(ofTea, each, TEA, "tea", "coffee");
          assertProbabilities(ofBread, each, BREAD, "tea", "bread");
        }
      }
    }
  }

  private static void assertProbabilities(
      String expected, Classifier model, Example example, String... labels) {
    Map<String, Double> probabilities = new TreeMap<>();
    model.predict(example, 5).forEach(p -> probabilities.put(p.label(), p.probability()));
    String[] values = expected.split(" ", -1);
    for (int i = 0; i < labels.length; i++) {
      // They were written with six digits; other kernels sum in another order.
      assertEquals(Double.parseDouble(values[i]), probabilities.get(labels[i]), 1e-5, labels[i]);
    }
  }
}
