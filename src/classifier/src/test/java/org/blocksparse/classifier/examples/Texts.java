// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Learnable examples: each label has two words of its own, among common words. */
public final class Texts {
  private Texts() {}

  /** Returns a text of a label. */
  public static String of(int label, SplittableRandom random) {
    return "Of "
        + noise(random)
        + ", my-own"
        + label
        + " "
        + noise(random)
        + " (word"
        + label
        + ")";
  }

  private static String noise(SplittableRandom random) {
    return "n" + random.nextInt(50);
  }

  /** Returns examples with one label each, the same for the same seed. */
  public static Stream<Example> examples(int count, int labels, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return IntStream.range(0, count)
        .mapToObj(e -> Example.ofText(of(e % labels, random), "label" + e % labels));
  }

  /** Returns examples in fastText's format. */
  public static String lines(int count, int labels, long seed) {
    StringBuilder lines = new StringBuilder();
    examples(count, labels, seed)
        .forEach(
            example ->
                lines
                    .append("__label__")
                    .append(example.labels().get(0))
                    .append(' ')
                    .append(example.text())
                    .append('\n'));
    return lines.toString();
  }
}
