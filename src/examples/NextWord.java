///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.util.*;
import java.util.stream.*;
import org.blocksparse.*;
import org.blocksparse.bag.*;
import org.blocksparse.softmax.*;

class NextWord {
  static final List<String> TEXT =
      List.of(
          ("This is the dog that worried the cat that killed the rat that ate the malt that lay "
                  + "in the house that Jack built .")
              .split(" "));
  static final List<String> WORDS = TEXT.stream().distinct().toList();
  static final int BEFORE = 3; // words, which predict the next one

  public static void main(String[] args) {
    int rows = TEXT.size() - BEFORE;
    Optimizer adagrad = Optimizer.adagrad(0.2f);
    try (var bag = EmbeddingBag.builder(BEFORE * WORDS.size(), 32).build();
        var softmax = HierarchicalSoftmax.builder(32, WORDS.size()).build();
        var before = SparseRows.of(IntStream.range(0, rows).mapToObj(t -> words(TEXT, t)).toList());
        var next =
            IntTensor.of(TEXT.stream().skip(BEFORE).mapToInt(WORDS::indexOf).toArray(), rows);
        var gradX = FloatTensor.zeros(rows, 32)) {
      for (int epoch = 0; epoch < 100; epoch++) {
        try (var x = bag.apply(before)) {
          softmax.step(x, next, Loss.mean(), adagrad, gradX);
          bag.step(before, gradX, adagrad);
        }
      }
      List<String> said = new ArrayList<>(List.of("killed", "the", "rat"));
      while (!said.contains(".")) {
        try (var row = SparseRows.of(List.of(words(said, said.size() - BEFORE)));
            var x = bag.apply(row)) {
          said.add(WORDS.get(softmax.topK(x, 1).output(0, 0)));
        }
      }
      System.out.println(String.join(" ", said.subList(3, 9))); // that ate the malt that lay
    }
  }

  /** The words from a place on; each has a vector for each of the places before the next word. */
  static int[] words(List<String> text, int from) {
    return IntStream.range(0, BEFORE)
        .map(place -> place * WORDS.size() + WORDS.indexOf(text.get(from + place)))
        .toArray();
  }
}
