// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.documents;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import org.blocksparse.EmbeddingBag;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.IntTensor;
import org.blocksparse.LoadOptions;
import org.blocksparse.Optimizer;
import org.blocksparse.SaveOptions;
import org.blocksparse.SparseRows;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example of src/doc/text.md, trained until it knows texts that it has never seen. */
final class TextExampleTest {
  @TempDir private Path folder;

  // example: text
  /** The words of each text, by their hashes. */
  static SparseRows words(List<String> texts) {
    return SparseRows.of(
        texts.stream()
            .map(text -> text.split("(?U)\\W+"))
            .map(words -> Arrays.stream(words).mapToInt(w -> w.hashCode() & 0xFFFF).toArray())
            .toList());
  }

  /** Learns which label, by its number, each text has. One file then holds both layers. */
  static void learn(List<String> texts, int[] labels, int numberOfLabels, Path file)
      throws IOException {
    int batch = 50;
    Optimizer adagrad = Optimizer.adagrad(0.2f);
    try (SparseRows all = words(texts);
        EmbeddingBag bag = EmbeddingBag.builder(1 << 16, 32).build();
        HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(32, numberOfLabels).build()) {
      for (int step = 0; step < 5 * texts.size() / batch; step++) {
        int begin = step * batch % texts.size();
        int end = Math.min(begin + batch, texts.size());
        int[] targets = Arrays.copyOfRange(labels, begin, end);
        try (SparseRows rows = all.slice(begin, end);
            FloatTensor x = bag.apply(rows);
            FloatTensor gradX = FloatTensor.zeros(end - begin, 32);
            IntTensor y = IntTensor.of(targets, end - begin)) {
          softmax.step(x, y, adagrad, gradX);
          bag.step(rows, gradX, adagrad);
        }
      }
      softmax.save(file, SaveOptions.defaults().withBag(bag));
    }
  }

  /** The likeliest label of a text; from any thread. */
  static int label(EmbeddingBag bag, HierarchicalSoftmax softmax, String text) {
    try (SparseRows rows = words(List.of(text));
        FloatTensor x = bag.apply(rows)) {
      return softmax.topK(x, 1).output(0, 0);
    }
  }

  // end of example

  private static final int LABELS = 40;

  /** Ten words, of which three are the label's own, of its thirty; the others anybody's. */
  private static String text(int label, RandomGenerator random) {
    StringBuilder text = new StringBuilder();
    for (int w = 0; w < 10; w++) {
      boolean own = w % 4 == 1;
      text.append(own ? "own" + label + "x" : "word").append(random.nextInt(own ? 30 : 500));
      text.append(w == 9 ? "." : ", ");
    }
    return text.toString();
  }

  @Test
  void textsThatItHasNeverSeenGetTheirLabels() throws IOException {
    RandomGenerator random = new SplittableRandom(1);
    int[] labels = random.ints(8000, 0, LABELS).toArray();
    List<String> texts = new ArrayList<>();
    for (int label : labels) {
      texts.add(text(label, random));
    }
    Path file = folder.resolve("classifier.safetensors");
    learn(texts, labels, LABELS, file);
    int right = 0;
    try (EmbeddingBag bag = EmbeddingBag.load(file, LoadOptions.mapped());
        HierarchicalSoftmax softmax = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      for (int i = 0; i < 500; i++) {
        int label = random.nextInt(LABELS);
        right += label(bag, softmax, text(label, random)) == label ? 1 : 0;
      }
    }
    assertTrue(right > 450, right + " of 500 are right");
  }

  /** "Under 40 lines", of which the page speaks. */
  @Test
  void theExampleIsShort() {
    long lines = Example.named("text").text().lines().filter(line -> !line.isBlank()).count();
    assertTrue(lines < 40, lines + " lines");
  }
}
