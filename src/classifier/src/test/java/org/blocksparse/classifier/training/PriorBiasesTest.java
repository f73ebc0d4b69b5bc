// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.softmax.LabelTree;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class PriorBiasesTest {
  private static final int EXAMPLES = 4000;

  /**
   * Returns 4000 examples: every 2nd has label 0, every 3rd label 1, every 5th label 2 and so on.
   */
  private static Stream<Example> examples() {
    int[] every = {2, 3, 5, 7, 400};
    return IntStream.range(0, EXAMPLES)
        .mapToObj(
            e ->
                Example.ofText(
                    "text",
                    IntStream.of(every)
                        .filter(n -> e % n == 0)
                        .mapToObj(Integer::toString)
                        .toList()));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void withoutInput_eachLabelIsAsLikelyAsItIsFrequent(int classes) {
    TrainingOptions options = TrainingOptions.defaults().withLabelTree();
    TrainingSet set = TrainingSet.of(examples(), options);
    long[] counts = set.labelCounts();
    try (LabelTree tree = LabelTree.builder(4, counts.length).classes(classes).build();
        FloatTensor none = FloatTensor.zeros(1, 4)) {
      PriorBiases.begin(tree, set);
      try (FloatTensor probabilities = tree.probabilities(none)) {
        for (int label = 0; label < counts.length; label++) {
          assertEquals((double) counts[label] / EXAMPLES, probabilities.get(0, label), 1e-3);
        }
      }
    }
  }
}
