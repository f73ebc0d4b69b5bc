///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.util.*;
import java.util.function.*;
import java.util.stream.*;
import org.blocksparse.*;
import org.blocksparse.bag.*;
import org.blocksparse.ranking.*;
import org.blocksparse.softmax.*;

class TagTexts {
  static final List<String> TAGS = List.of("java", "python", "speed", "memory", "build");
  static final String[][] EXAMPLES = { // a text and its tags
    {"why is my java loop so slow", "java", "speed"},
    {"python eats all memory when it reads a file", "python", "memory"},
    {"out of memory in the java heap", "java", "memory"},
    {"a faster loop in python is still slow", "python", "speed"},
    {"maven does not compile my java project", "java", "build"},
    {"pip cannot compile a python package", "python", "build"},
    {"what is a good name for a cat"}
  };

  public static void main(String[] args) {
    Optimizer adagrad = Optimizer.adagrad(0.2f);
    try (var bag = EmbeddingBag.builder(1 << 16, 16).build();
        var tree = LabelTree.builder(16, TAGS.size()).build();
        var rows = rows(example -> words(example[0]));
        var tags = rows(example -> Stream.of(example).skip(1).mapToInt(TAGS::indexOf).toArray());
        var gradX = FloatTensor.zeros(EXAMPLES.length, 16)) {
      for (int epoch = 0; epoch < 100; epoch++) {
        try (var x = bag.apply(rows)) {
          tree.step(x, tags, Loss.mean(), adagrad, gradX);
          bag.step(rows, gradX, adagrad);
        }
      }
      try (var question = SparseRows.of(List.of(words("python is slow"), words("name a dog")));
          var x = bag.apply(question)) {
        Ranking probable = tree.atLeast(x, 0.5);
        List<String> first = IntStream.of(probable.outputs(0)).mapToObj(TAGS::get).toList();
        System.out.println(new TreeSet<>(first)); // [python, speed]
        System.out.println(probable.size(1)); // 0
      }
    }
  }

  /** The words of a text, by their hashes. */
  static int[] words(String text) {
    return Stream.of(text.split(" ")).mapToInt(word -> word.hashCode() & 0xFFFF).toArray();
  }

  static SparseRows rows(Function<String[], int[]> part) {
    return SparseRows.of(Stream.of(EXAMPLES).map(part).toList());
  }
}
