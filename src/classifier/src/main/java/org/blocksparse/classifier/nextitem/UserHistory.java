// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.IntStream;
import org.blocksparse.classifier.examples.ItemList;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.ranking.Labels;

/**
 * The outputs of a user's items. A test by time has a sequence for each event, all of them prefixes
 * of one list: looking up the items of each would take quadratic time.
 */
final class UserHistory {
  private final ItemList items;
  private final int[] outputs;
  private final int[] known;

  /** The number of known items before each place. */
  private final int[] knownBefore;

  private final int[] distinct;
  private final int[] distinctBefore;

  UserHistory(Sequence sequence, Labels labels) {
    this.items = ItemList.of(sequence.items()).whole();
    this.outputs = items.stream().mapToInt(labels::output).toArray();
    this.known = IntStream.of(outputs).filter(output -> output >= 0).toArray();
    this.distinct = IntStream.of(known).distinct().toArray();
    this.knownBefore = new int[outputs.length + 1];
    this.distinctBefore = new int[outputs.length + 1];
    Set<Integer> seen = new HashSet<>();
    for (int place = 0; place < outputs.length; place++) {
      boolean isKnown = outputs[place] >= 0;
      boolean isNew = isKnown && seen.add(outputs[place]);
      knownBefore[place + 1] = knownBefore[place] + (isKnown ? 1 : 0);
      distinctBefore[place + 1] = distinctBefore[place] + (isNew ? 1 : 0);
    }
  }

  /** Returns whether a sequence is a beginning of these items. */
  boolean hasBeginning(Sequence sequence) {
    return ItemList.of(sequence.items()).isBeginningOf(items);
  }

  /**
   * Returns the distinct outputs of the items of some places, each unknown item as an output of its
   * own from {@code items} on.
   */
  int[] targets(int begin, int end, int items) {
    return IntStream.range(begin, end)
        .map(place -> outputs[place] < 0 ? items + place - begin : outputs[place])
        .distinct()
        .toArray();
  }

  /** Returns the last {@code limit} known items before a place. */
  int[] known(int before, int limit) {
    int end = knownBefore[before];
    return Arrays.copyOfRange(known, Math.max(0, end - limit), end);
  }

  /** Returns the known items before a place that are not before an earlier one, each once. */
  int[] distinct(int from, int before) {
    return Arrays.copyOfRange(distinct, distinctBefore[from], distinctBefore[before]);
  }
}
