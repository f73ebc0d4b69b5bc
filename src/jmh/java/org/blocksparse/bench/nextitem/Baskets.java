// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Baskets from a file, a line of names for each. Of equal lines one stays. A tenth of them is held
 * out to choose settings by, another to test with, and in each of these one item is hidden: all by
 * the hash of the line, so that the same file always gives the same.
 *
 * @param items how many items there are: those that two baskets for training have
 * @param training numbers of items, at least two in each basket
 * @param validation what is seen, and what is hidden: -1 if it is none of the items
 * @param test the same
 */
record Baskets(int items, List<int[]> training, Examples validation, Examples test) {
  private static final int PARTS = 10;

  static Baskets read(Path file) throws IOException {
    Collection<String> lines = new LinkedHashSet<>(Files.readAllLines(file));
    Map<String, Integer> counts = new HashMap<>();
    for (String line : part(lines, 2, PARTS)) {
      for (String name : line.split(" ", -1)) {
        counts.merge(name, 1, Integer::sum);
      }
    }
    counts.values().removeIf(count -> count < 2);
    Map<String, Integer> numbers = new HashMap<>();
    counts.keySet().stream().sorted().forEach(name -> numbers.put(name, numbers.size()));
    return new Baskets(
        numbers.size(),
        part(lines, 2, PARTS).stream()
            .map(line -> known(numbers, line.split(" ", -1)))
            .filter(basket -> basket.length > 1)
            .toList(),
        heldOut(part(lines, 1, 2), numbers),
        heldOut(part(lines, 0, 1), numbers));
  }

  private static List<String> part(Collection<String> lines, int begin, int end) {
    return lines.stream()
        .filter(
            line -> {
              int part = Math.floorMod(line.hashCode(), PARTS);
              return part >= begin && part < end;
            })
        .toList();
  }

  private static Examples heldOut(List<String> lines, Map<String, Integer> numbers) {
    List<int[]> seen = new ArrayList<>();
    int[] hidden = new int[lines.size()];
    for (int i = 0; i < hidden.length; i++) {
      String[] names = lines.get(i).split(" ", -1);
      int which = Math.floorMod(Integer.rotateRight(lines.get(i).hashCode(), 16), names.length);
      hidden[i] = numbers.getOrDefault(names[which], -1);
      String[] others =
          IntStream.range(0, names.length)
              .filter(n -> n != which)
              .mapToObj(n -> names[n])
              .toArray(String[]::new);
      seen.add(known(numbers, others));
    }
    return new Examples(seen, hidden);
  }

  private static int[] known(Map<String, Integer> numbers, String... names) {
    return Arrays.stream(names).filter(numbers::containsKey).mapToInt(numbers::get).toArray();
  }

  /** How many of the baskets for training have each item. */
  int[] counts() {
    int[] counts = new int[items];
    training.forEach(basket -> Arrays.stream(basket).forEach(item -> counts[item]++));
    return counts;
  }
}
