// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.Arrays;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.blocksparse.classifier.examples.ChunkedIntList;

/**
 * Finds examples with equal features. It merges them if they are examples with several labels,
 * written once per label: then hardly any repeats a label. Texts that are equal by chance repeat
 * labels; they stay, as the frequencies of their labels count.
 */
final class EqualExamples {
  /** The maximum number of repeated labels, as a share of the repeated texts. */
  private static final double MOST_REPEATED = 0.1;

  /** The multiplier of hashes, random so that nobody can make a file of examples that collide. */
  private final long multiplier = ThreadLocalRandom.current().nextLong() | 1;

  private final ChunkedIntList offsets;
  private final ChunkedIntList features;
  private final ChunkedIntList values;
  private final ChunkedIntList labelOffsets;
  private final ChunkedIntList labels;
  private final IntPredicate isCompared;

  /**
   * Creates the examples, which {@link #merge} changes.
   *
   * @param offsets example e has the features from offsets[e] to offsets[e + 1]
   * @param values null: each is 1
   * @param isCompared the features by which examples are equal or not
   */
  EqualExamples(
      ChunkedIntList offsets,
      ChunkedIntList features,
      ChunkedIntList values,
      ChunkedIntList labelOffsets,
      ChunkedIntList labels,
      IntPredicate isCompared) {
    this.offsets = offsets;
    this.features = features;
    this.values = values;
    this.labelOffsets = labelOffsets;
    this.labels = labels;
    this.isCompared = isCompared;
  }

  /**
   * The first example of equal ones gets the labels of all; returns the number of the others.
   * Examples without a label stay, and so do those from a number on.
   */
  int merge(int end) {
    int[] first = firstOfEquals(e -> e < end && labelOffsets.get(e + 1) > labelOffsets.get(e));
    int[] sizes = new int[first.length];
    int repeatedTexts = 0;
    for (int e = 0; e < first.length; e++) {
      sizes[first[e]]++;
      repeatedTexts += first[e] == e ? 0 : 1;
    }
    if (repeatedTexts == 0) {
      return 0;
    }
    int[][] groups = new int[first.length][];
    Arrays.setAll(groups, e -> new int[sizes[e]]);
    for (int e = first.length - 1; e >= 0; e--) {
      groups[first[e]][--sizes[first[e]]] = e;
    }
    ChunkedIntList mergedOffsets = new ChunkedIntList();
    ChunkedIntList merged = new ChunkedIntList();
    mergedOffsets.add(0);
    for (int[] group : groups) {
      if (group.length > 0) {
        labelsOf(group).forEach(merged::add);
        mergedOffsets.add(merged.size());
      }
    }
    if (labels.size() - merged.size() > MOST_REPEATED * repeatedTexts) {
      return 0;
    }
    keepFirst(first);
    replace(labelOffsets, mergedOffsets);
    replace(labels, merged);
    return repeatedTexts;
  }

  private IntStream labelsOf(int[] group) {
    IntStream all =
        IntStream.of(group)
            .flatMap(e -> IntStream.range(labelOffsets.get(e), labelOffsets.get(e + 1)))
            .map(labels::get);
    return group.length == 1 ? all : all.distinct();
  }

  /**
   * Returns, for each example, the first that equals it; itself if it has no compared feature.
   *
   * @param among the examples that are compared; of others, each is its own first
   */
  int[] firstOfEquals(IntPredicate among) {
    int[] first = new int[offsets.size() - 1];
    int[] slots = new int[Integer.highestOneBit(Math.max(1, first.length)) << 2]; // 0: free
    for (int e = 0; e < first.length; e++) {
      first[e] = e;
      if (nextCompared(offsets.get(e), e) == offsets.get(e + 1) || !among.test(e)) {
        continue;
      }
      int slot = hash(e) & (slots.length - 1);
      while (slots[slot] != 0 && !areEqual(slots[slot] - 1, e)) {
        slot = (slot + 1) & (slots.length - 1);
      }
      if (slots[slot] == 0) {
        slots[slot] = e + 1;
      } else {
        first[e] = slots[slot] - 1;
      }
    }
    return first;
  }

  private int hash(int example) {
    long hash = 0;
    int end = offsets.get(example + 1);
    for (int i = nextCompared(offsets.get(example), example);
        i < end;
        i = nextCompared(i + 1, example)) {
      long value = values == null ? 0 : values.get(i);
      hash = (hash ^ (value << 32) ^ (features.get(i) + 1L)) * multiplier;
      hash ^= hash >>> 29;
    }
    return (int) (hash ^ (hash >>> 32));
  }

  private boolean areEqual(int a, int b) {
    int inA = nextCompared(offsets.get(a), a);
    int inB = nextCompared(offsets.get(b), b);
    while (inA < offsets.get(a + 1) && inB < offsets.get(b + 1)) {
      if (features.get(inA) != features.get(inB)
          || (values != null && values.get(inA) != values.get(inB))) {
        return false;
      }
      inA = nextCompared(inA + 1, a);
      inB = nextCompared(inB + 1, b);
    }
    return inA == offsets.get(a + 1) && inB == offsets.get(b + 1);
  }

  /**
   * Returns the place of the first compared feature of an example from a place on; else the end.
   */
  private int nextCompared(int from, int example) {
    int end = offsets.get(example + 1);
    int i = from;
    while (i < end && !isCompared.test(features.get(i))) {
      i++;
    }
    return i;
  }

  private void keepFirst(int[] first) {
    int kept = 0;
    int examples = 0;
    int begin = 0;
    for (int e = 0; e < first.length; e++) {
      int end = offsets.get(e + 1);
      if (first[e] == e) {
        for (int i = begin; i < end; i++) {
          features.set(kept, features.get(i));
          if (values != null) {
            values.set(kept, values.get(i));
          }
          kept++;
        }
        offsets.set(++examples, kept);
      }
      begin = end;
    }
    offsets.truncate(examples + 1);
    features.truncate(kept);
    if (values != null) {
      values.truncate(kept);
    }
  }

  private static void replace(ChunkedIntList list, ChunkedIntList by) {
    for (int i = 0; i < by.size(); i++) {
      list.set(i, by.get(i));
    }
    list.truncate(by.size());
  }
}
