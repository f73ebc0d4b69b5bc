// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import org.blocksparse.Workers;
import org.blocksparse.classifier.examples.Example;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Another thread extracts the same features, in the order of the examples. */
final class BackgroundExtractorTest {
  private static final FeatureExtractor FEATURES =
      new FeatureExtractor(3, Words.LETTERS, CharacterNgrams.NONE);

  /** Returns several chunks of examples, some of them empty, long, or not texts. */
  private static List<Example> examples() {
    List<Example> examples = new ArrayList<>();
    for (int e = 0; e < 5000; e++) {
      examples.add(Example.ofText("the " + e + "th, of libfoo-" + e % 7 + " words", "a"));
    }
    examples.set(0, Example.ofText("", "a"));
    examples.set(600, Example.ofText("long ".repeat(500_000), "a"));
    examples.set(601, Example.ofText("after it", "a"));
    examples.set(700, Example.ofFeatures(new int[] {3}, new float[] {1}, List.of("a")));
    examples.set(4999, Example.ofText("last", "a"));
    return examples;
  }

  private static List<Long> words(Example example, boolean inARow) {
    List<Long> keys = new ArrayList<>();
    if (example.isText()) {
      FEATURES.of(
          example.text(),
          (key, group, begin, end) -> {
            if ((group == FeatureGroup.WORD) != inARow) {
              keys.add(key);
            }
          });
    }
    return keys;
  }

  private static Workers workers(boolean ahead) {
    return ahead ? Workers.common() : Workers.callingThread();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void givesAllInTheirOrder(boolean ahead) {
    List<Example> examples = examples();
    List<Example> taken = new ArrayList<>();
    BackgroundExtractor cutter =
        new BackgroundExtractor(
            FEATURES,
            workers(ahead),
            (example, keys) -> {
              List<Long> words = new ArrayList<>();
              List<Long> inARow = new ArrayList<>();
              keys.forEach((key, group) -> (group == FeatureGroup.WORD ? words : inARow).add(key));
              assertEquals(words(example, false), words);
              assertEquals(words(example, true), inARow);
              taken.add(example);
            });
    for (Example example : examples) {
      cutter.add(example);
      if (!ahead) {
        assertSame(example, taken.get(taken.size() - 1), "it was not handed on at once");
      }
    }
    cutter.finish();
    assertEquals(examples.size(), taken.size());
    for (int e = 0; e < examples.size(); e++) {
      assertSame(examples.get(e), taken.get(e));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void whatTheTakerThrowsEndsIt(boolean ahead) {
    IllegalStateException thrown = new IllegalStateException("full");
    BackgroundExtractor cutter =
        new BackgroundExtractor(
            FEATURES,
            workers(ahead),
            (example, keys) -> {
              throw thrown;
            });
    assertSame(
        thrown,
        assertThrows(
            IllegalStateException.class,
            () -> {
              examples().forEach(cutter::add);
              cutter.finish();
            }));
  }
}
