// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import static java.util.stream.Collectors.toMap;
import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.training.NoneTraining.Split;
import org.junit.jupiter.api.Test;

/** The examples that models learn and score, to fit the odds of no label. */
final class NoneTrainingTest {
  private static final int LABELS = 10;
  private static final int EXAMPLES = 400;

  /** Returns examples with one label, some with the next one, too; each text occurs twice. */
  private static List<Example> examples() {
    return IntStream.range(0, EXAMPLES)
        .mapToObj(
            e -> {
              int label = e / 2 % LABELS;
              String text = "text" + e / 2 + " of" + label;
              return e / 2 % 3 == 0
                  ? Example.ofText(text, "l" + label, "l" + (label + 1) % LABELS)
                  : Example.ofText(text, "l" + label);
            })
        .toList();
  }

  private static NoneTraining training(List<Example> examples) {
    NoneTraining training = new NoneTraining(1);
    examples.forEach(training::add);
    return training;
  }

  private static Set<String> texts(List<Example> examples) {
    return examples.stream().map(Example::text).collect(toSet());
  }

  private static boolean areDisjoint(Set<String> some, Set<String> others) {
    return some.stream().noneMatch(others::contains);
  }

  @Test
  void modelsLearnNeitherWithheldLabelsNorTheExamplesThatTheyAreAsked() {
    List<Example> examples = examples();
    Map<String, List<String>> labels =
        examples.stream().collect(toMap(Example::text, Example::labels, (a, b) -> a));
    List<String> withheld = new ArrayList<>();
    Set<String> known = new HashSet<>();
    for (Split split : training(examples).splits(7)) {
      assertFalse(split.withheld().isEmpty());
      withheld.addAll(split.withheld());
      known.addAll(texts(split.known()));
      for (List<Example> left : List.of(split.learned(), split.known())) {
        for (Example example : left) {
          List<String> expected = new ArrayList<>(labels.get(example.text()));
          expected.removeAll(split.withheld());
          assertFalse(expected.isEmpty());
          assertEquals(expected, example.labels());
        }
      }
      for (Example example : split.none()) {
        assertTrue(split.withheld().containsAll(labels.get(example.text())));
        assertEquals(List.of(), example.labels());
      }
      assertTrue(areDisjoint(texts(split.learned()), texts(split.known())));
      assertTrue(areDisjoint(texts(split.learned()), texts(split.none())));
      assertFalse(split.known().isEmpty());
      assertFalse(split.none().isEmpty());
      assertEquals(EXAMPLES, split.learned().size() + split.known().size() + split.none().size());
    }
    assertEquals(labels(0, LABELS), withheld.stream().sorted().toList());
    assertTrue(known.size() > EXAMPLES / 2 / 5); // an eighth if splits were the same
  }

  private static List<String> labels(int from, int to) {
    return IntStream.range(from, to).mapToObj(label -> "l" + label).toList();
  }

  @Test
  void aModelOfASplitKnowsWhatItLearns() {
    Map<String, String> names = labels(0, LABELS).stream().collect(toMap(l -> l, l -> "name" + l));
    Split split = training(examples()).splits(7).get(1);
    for (Map<String, String> texts : List.of(Map.<String, String>of(), names)) {
      TrainingOptions options = TrainingOptions.defaults().like(ModelHead.LINEAR).with(texts);
      try (TrainedClassifier model = split.train(options)) {
        labels(0, LABELS)
            .forEach(l -> assertEquals(!split.withheld().contains(l), model.knows(l), l));
        assertEquals(Integer.toString(split.learned().size()), model.info().get("examples"));
      }
    }
  }

  @Test
  void givenExamplesAreLearned_butForThoseAsked() {
    List<Example> examples = new ArrayList<>(examples());
    IntStream.range(0, 40).forEach(e -> examples.add(Example.ofText("given" + e)));
    Set<String> none = new HashSet<>();
    for (Split split : training(examples).splits(7)) {
      assertEquals(Set.of(), split.withheld());
      assertTrue(areDisjoint(texts(split.learned()), texts(split.known())));
      assertTrue(areDisjoint(texts(split.learned()), texts(split.none())));
      assertTrue(split.none().stream().allMatch(example -> none.add(example.text())));
      assertEquals(
          examples.size(), split.learned().size() + split.known().size() + split.none().size());
    }
    assertEquals(40, none.size());
  }
}
