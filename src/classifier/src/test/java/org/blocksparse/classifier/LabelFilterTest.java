// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.examples.Texts;
import org.blocksparse.classifier.training.InternalOptions;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Predictions without some labels, or only of some. */
final class LabelFilterTest {
  private static final int LABELS = 40;
  private static final TrainingOptions SMALL =
      InternalOptions.withClasses(
          TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(16).withEpochs(1),
          7);

  private static Classifier trained(TrainingOptions options) {
    return Training.train(Texts.examples(2000, LABELS, 1), options);
  }

  private static PredictionOptions top(int k, LabelFilter filter) {
    return PredictionOptions.top(k).withFilter(filter);
  }

  private static List<Prediction> first(int k, List<Prediction> all, Set<String> allowed) {
    return all.stream().filter(p -> allowed.contains(p.label())).limit(k).toList();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void anAnswer_isThatOfAllLabels_withTheOthersStruckOut(boolean labelTree) {
    try (Classifier classifier = trained(labelTree ? SMALL.withLabelTree() : SMALL)) {
      List<Example> examples = Texts.examples(300, LABELS, 2).toList(); // more than a batch
      Set<String> seen = Set.of("label3", "label7", "label39", "never trained");
      Set<String> others = new HashSet<>(classifier.labels());
      others.removeAll(seen);
      List<List<Prediction>> all = classifier.predict(examples, LABELS);
      List<List<Prediction>> without =
          classifier.predict(examples, top(5, LabelFilter.without(seen)));
      List<List<Prediction>> only = classifier.predict(examples, top(2, LabelFilter.only(seen)));
      for (int e = 0; e < examples.size(); e++) {
        assertEquals(first(5, all.get(e), others), without.get(e));
        assertEquals(first(2, all.get(e), seen), only.get(e));
      }
      Example example = examples.get(7);
      assertEquals(without.get(7), classifier.predict(example, top(5, LabelFilter.without(seen))));
      assertEquals(3, classifier.predict(example, top(LABELS, LabelFilter.only(seen))).size());
    }
  }

  @Test
  void aFilterThatAllowsNothing_givesNoLabel_andOneThatLeavesOutNothing_all() {
    Example example = Example.ofText("my-own7");
    try (Classifier classifier = trained(SMALL)) {
      List<Prediction> all = classifier.predict(example, LABELS);
      Set<String> unknown = Set.of("never trained");
      assertEquals(List.of(), classifier.predict(example, top(5, LabelFilter.only(Set.of()))));
      assertEquals(
          "filter: expected a label that the model knows, but it knows none of 1, such as 'never"
              + " trained'",
          assertThrows(
                  IllegalArgumentException.class,
                  () -> classifier.predict(example, top(5, LabelFilter.only(unknown))))
              .getMessage());
      LabelFilter some = LabelFilter.only(Set.of("label3", "z", "never trained"));
      assertEquals(List.of("never trained", "z"), some.unknown(classifier::knows));
      assertEquals(
          List.of(), classifier.predict(example, top(5, LabelFilter.without(classifier.labels()))));
      assertEquals(all, classifier.predict(example, top(LABELS, LabelFilter.without(List.of()))));
      assertEquals(all, classifier.predict(example, top(LABELS, LabelFilter.without(unknown))));
      assertEquals(
          all, classifier.predict(example, top(LABELS, LabelFilter.only(classifier.labels()))));
    }
  }

  @Test
  void whatIsWrong_isTold() {
    LabelFilter none = LabelFilter.without(List.of("a", "a", "b"));
    assertEquals("LabelFilter(without 2 labels)", none.toString());
    assertEquals("LabelFilter(only 0 labels)", LabelFilter.only(Set.of()).toString());
    assertEquals("labels", refused(() -> LabelFilter.without(null)));
    assertEquals("labels", refused(() -> LabelFilter.only(null)));
    assertEquals("labels[1] is null", refused(() -> LabelFilter.only(Arrays.asList("a", null))));
    try (Classifier classifier = trained(SMALL)) {
      Example example = Example.ofText("my-own7");
      PredictionOptions one = top(1, none);
      assertEquals("filter", refused(() -> one.withFilter(null)));
      assertEquals("example", refused(() -> classifier.predict((Example) null, one)));
      assertEquals(
          "k: expected at least 1 but was 0",
          assertThrows(IllegalArgumentException.class, () -> PredictionOptions.top(0))
              .getMessage());
      TrainedClassifier.require(classifier).layer().W1().fill(Float.NaN);
      assertThrows(InvalidInputException.class, () -> classifier.predict(example, one));
    }
  }

  private static String refused(Runnable call) {
    return assertThrows(NullPointerException.class, call::run).getMessage();
  }
}
