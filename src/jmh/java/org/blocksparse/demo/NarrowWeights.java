// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;

/** The loss and the saving of a trained softmax whose weights are stored in fewer bits. */
final class NarrowWeights {
  /** Words whose likeliest successors are compared. */
  private static final int LISTS = 2000;

  private static final int LENGTH = 10;

  /** The types that the weights of a layer may have. */
  static final List<ElementType> TYPES =
      List.of(ElementType.FLOAT32, ElementType.FLOAT16, ElementType.BFLOAT16, ElementType.INT8);

  private final LanguageModel model;
  private final Corpus corpus;
  private final Path folder;

  NarrowWeights(LanguageModel model, Corpus corpus, Path folder) {
    this.model = model;
    this.corpus = corpus;
    this.folder = folder;
  }

  void print(PrintWriter out) {
    out.printf("The softmax with weights in fewer bits, each tried on all that was held out:%n");
    out.flush();
    double perplexity = model.perplexity(corpus.heldOut());
    FloatTensor x = model.inputOfSoftmax(corpus.heldOut(), LISTS);
    Ranking likeliest = model.softmax().topK(x, LENGTH);
    for (ElementType type : TYPES) {
      try (HierarchicalSoftmax narrow = model.softmax().withWeights(type)) {
        double reached = model.perplexity(corpus.heldOut(), narrow);
        out.printf(
            "  %-9s file of %,11d bytes, perplexity %.3f (%+.3f%%), of %,d lists of %d words %d"
                + " hold others, %d in another order%n",
            type,
            bytes(narrow, type),
            reached,
            100 * (reached / perplexity - 1),
            x.shape().dim(0),
            LENGTH,
            different(x, likeliest, narrow, true),
            different(x, likeliest, narrow, false));
      }
    }
    out.flush();
  }

  private static long different(
      FloatTensor x, Ranking likeliest, HierarchicalSoftmax narrow, boolean sorted) {
    Ranking found = narrow.topK(x, LENGTH);
    long different = 0;
    for (int row = 0; row < x.shape().dim(0); row++) {
      int[] expected = likeliest.outputs(row).clone();
      int[] actual = found.outputs(row).clone();
      if (sorted) {
        Arrays.sort(expected);
        Arrays.sort(actual);
      }
      different += Arrays.equals(expected, actual) ? 0 : 1;
    }
    return different;
  }

  private long bytes(HierarchicalSoftmax narrow, ElementType type) {
    try {
      Files.createDirectories(folder);
      Path file = folder.resolve("softmax-" + type + ".safetensors");
      narrow.save(file);
      return Files.size(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
