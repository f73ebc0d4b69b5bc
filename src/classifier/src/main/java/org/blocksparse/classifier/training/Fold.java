// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.classifier.NumberedExamples;

/**
 * Examples of a set that are held out of a training.
 *
 * @param heldOut the examples, ascending
 * @param units the {@linkplain HeldOut#units unit} of each of them
 * @param others the examples that are learned, ascending; the last are the names of their labels
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Fold(TrainingSet set, int[] heldOut, int[] units, int[] others) {
  /**
   * Draws folds, which hold out no name of a label. The first may be empty, others are left out
   * then.
   *
   * @param count the maximum number of examples of a fold
   * @param folds the maximum number of folds
   */
  static List<Fold> draw(TrainingSet set, int count, int folds, SplittableRandom random) {
    int[] units =
        count == 0
            ? new int[0]
            : HeldOut.units(Arrays.copyOf(set.firstOfEquals(), set.size()), count);
    return HeldOut.draw(units, count, folds, random).stream()
        .map(held -> of(set, held, units))
        .toList();
  }

  private static Fold of(TrainingSet set, BitSet held, int[] units) {
    int[] heldOut = held.stream().toArray();
    int[] examples = IntStream.range(0, set.size()).filter(e -> !held.get(e)).toArray();
    BitSet known = set.labelsOf(examples);
    IntStream names =
        IntStream.range(set.size(), set.sizeWithNames()).filter(e -> set.hasLabel(e, known::get));
    return new Fold(
        set,
        heldOut,
        IntStream.of(heldOut).map(e -> units[e]).toArray(),
        IntStream.concat(IntStream.of(examples), names).toArray());
  }

  /** Returns the features of the examples that are learned. */
  BitSet features() {
    return set.featuresOf(others);
  }

  /** Returns the examples that are held out, with some features. */
  HeldOut examples(BitSet features) {
    return HeldOut.of(
        units,
        set.vocabulary(),
        (begin, end) ->
            new NumberedExamples(
                set.features(heldOut, begin, end, features), set.labels(heldOut, begin, end)));
  }
}
