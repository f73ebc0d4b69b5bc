///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.*;
import java.util.*;
import org.blocksparse.*;
import org.blocksparse.bag.*;
import org.blocksparse.io.*;
import org.blocksparse.ranking.*;
import org.blocksparse.softmax.*;

class OneLabel {
  static final List<String> LABELS = List.of("cat", "dog");
  static final List<String> TEXTS =
      List.of("It purrs, and sleeps.", "It barks at the cat.", "Look, it purrs!", "It barks.");
  static final int[] RIGHT = {0, 1, 0, 1}; // the number of the label of each text

  public static void main(String[] args) throws IOException {
    Path file = Files.createTempFile("labels", ".safetensors");
    learn(file);
    try (var bag = EmbeddingBag.load(file, LoadOptions.mapped());
        var softmax = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      System.out.println(label(bag, softmax, "What purrs?")); // cat
      System.out.println(label(bag, softmax, "What barks?")); // dog
    }
    Files.delete(file);
  }

  /** The words of each text, by their hashes. */
  static SparseRows words(List<String> texts) {
    return SparseRows.of(
        texts.stream()
            .map(text -> text.split("(?U)\\W+"))
            .map(words -> Arrays.stream(words).mapToInt(w -> w.hashCode() & 0xFFFF).toArray())
            .toList());
  }

  /** Learns which label each text has. One file then holds both layers. */
  static void learn(Path file) throws IOException {
    int batch = 50;
    Optimizer adagrad = Optimizer.adagrad(0.2f);
    try (var all = words(TEXTS);
        var bag = EmbeddingBag.builder(1 << 16, 32).build();
        var softmax = HierarchicalSoftmax.builder(32, LABELS.size()).build()) {
      for (int epoch = 0; epoch < 20; epoch++) { // five are enough for thousands of texts
        for (int begin = 0; begin < TEXTS.size(); begin += batch) {
          int end = Math.min(begin + batch, TEXTS.size());
          int[] labels = Arrays.copyOfRange(RIGHT, begin, end);
          try (var rows = all.slice(begin, end);
              var x = bag.apply(rows);
              var gradX = FloatTensor.zeros(end - begin, 32);
              var targets = IntTensor.of(labels, end - begin)) {
            softmax.step(x, targets, Loss.mean(), adagrad, gradX);
            bag.step(rows, gradX, adagrad);
          }
        }
      }
      softmax.setLabels(Labels.of(LABELS));
      softmax.save(file, SaveOptions.defaults().with(bag));
    }
  }

  /** The likeliest label of a text; from any thread. */
  static String label(EmbeddingBag bag, HierarchicalSoftmax softmax, String text) {
    try (var rows = words(List.of(text));
        var x = bag.apply(rows)) {
      return softmax.topK(x, 1).label(0, 0);
    }
  }
}
