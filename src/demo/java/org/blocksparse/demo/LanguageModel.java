// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.random.RandomGenerator;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;

/**
 * Predicts the next word from the words before it. Each of them adds a vector, a different one for
 * each place before the next word, and a softmax over the vocabulary follows (the log-bilinear
 * model of Mnih and Hinton, 2007). {@code src/examples/NextWord.java} is the same in 50 lines.
 */
record LanguageModel(EmbeddingBag bag, HierarchicalSoftmax softmax) implements AutoCloseable {
  static final int BATCH = 512;

  private static final int PLACES = 5;

  /** The preceding words that choose the class of a word. */
  private static final int PLACES_OF_CLASSES = 2;

  private static final int FEATURES = 192;
  private static final Optimizer ADAGRAD = Optimizer.adagrad(0.1f).withDecay(1e-5f);
  private static final double UNSEEN_COUNT = 0.1;

  /**
   * Returns classes of words that follow similar words; or one for each word, which is a full
   * softmax.
   */
  static ClassAssignment classes(Corpus corpus, int count) {
    int[] text = corpus.training();
    int words = corpus.vocabulary().size();
    if (count == words) {
      return ClassAssignment.contiguous(words, words);
    }
    try (SparseRows before =
            before(words, PLACES_OF_CLASSES, text, IntStream.range(0, text.length).toArray());
        SparseRows next = SparseRows.of(IntStream.rangeClosed(0, text.length).toArray(), text)) {
      return ClassAssignment.clustered(before, next, words, count, 1, Workers.common());
    }
  }

  /** Returns a model whose biases predict each word by its frequency. */
  static LanguageModel of(Corpus corpus, ClassAssignment classes) {
    int words = classes.outputs();
    double[] counts = new double[words];
    Arrays.fill(counts, UNSEEN_COUNT);
    Arrays.stream(corpus.training()).forEach(word -> counts[word]++);
    HierarchicalSoftmax softmax =
        HierarchicalSoftmax.builder(FEATURES, words)
            .classes(classes)
            .labels(corpus.vocabulary())
            .build();
    double[] ofClasses = new double[classes.classCount()];
    for (int word = 0; word < words; word++) {
      int c = classes.classOf(word);
      ofClasses[c] += counts[word];
      softmax.b1().set((float) Math.log(ofClasses[c]), c);
      softmax.b2().set((float) Math.log(counts[word]), c, classes.slotOf(word));
    }
    return new LanguageModel(
        EmbeddingBag.builder(PLACES * words, FEATURES).mode(EmbeddingBag.Mode.SUM).build(),
        softmax);
  }

  /**
   * Returns the words of the same sentence before each position; {@link Corpus#END} before its
   * first word.
   */
  private static SparseRows before(int words, int places, int[] text, int... positions) {
    int[] indices = new int[places * positions.length];
    for (int row = 0; row < positions.length; row++) {
      boolean inside = true;
      for (int place = 0; place < places; place++) {
        int at = positions[row] - 1 - place;
        inside = inside && at >= 0 && text[at] != Corpus.END;
        indices[row * places + place] = place * words + (inside ? text[at] : Corpus.END);
      }
    }
    int[] offsets = IntStream.rangeClosed(0, positions.length).map(r -> r * places).toArray();
    return SparseRows.of(offsets, indices);
  }

  private SparseRows before(int[] text, int... positions) {
    return before(softmax.outputs(), PLACES, text, positions);
  }

  /** Trains on the words at some positions. Returns their mean loss before the step. */
  double step(int[] text, int[] positions) {
    int[] words = Arrays.stream(positions).map(position -> text[position]).toArray();
    try (SparseRows before = before(text, positions);
        IntTensor next = IntTensor.of(words, words.length);
        FloatTensor x = bag.apply(before);
        FloatTensor gradX = FloatTensor.zeros(x.shape())) {
      double loss = softmax.step(x, next, Loss.mean(), ADAGRAD, gradX);
      bag.step(before, gradX, ADAGRAD);
      return loss;
    }
  }

  /** Returns {@code exp} of the mean negative log probability of the words of a text. */
  double perplexity(int[] text) {
    double sum = 0;
    for (int begin = 0; begin < text.length; begin += BATCH) {
      int[] positions = IntStream.range(begin, Math.min(begin + BATCH, text.length)).toArray();
      int[] words = Arrays.copyOfRange(text, begin, begin + positions.length);
      try (SparseRows before = before(text, positions);
          IntTensor next = IntTensor.of(words, words.length);
          FloatTensor x = bag.apply(before)) {
        sum += words.length * softmax.loss(x, next);
      }
    }
    return Math.exp(sum / text.length);
  }

  /** Returns the k words that are most likely to follow {@code words}. */
  Ranking likeliest(int[] words, int k) {
    try (SparseRows before = before(Arrays.copyOf(words, words.length + 1), words.length);
        FloatTensor x = bag.apply(before)) {
      return softmax.topK(x, k);
    }
  }

  /** Returns a random word to follow {@code words}; never {@link Corpus#UNKNOWN}. */
  int draw(int[] words, double temperature, RandomGenerator random) {
    try (SparseRows before = before(Arrays.copyOf(words, words.length + 1), words.length);
        FloatTensor x = bag.apply(before)) {
      return softmax.sample(x, temperature, random, Filter.without(Corpus.UNKNOWN))[0];
    }
  }

  void save(Path file) throws IOException {
    softmax.save(file, SaveOptions.defaults().with(bag));
  }

  static LanguageModel load(Path file) throws IOException {
    EmbeddingBag bag = EmbeddingBag.load(file, LoadOptions.mapped());
    return new LanguageModel(bag, HierarchicalSoftmax.load(file, LoadOptions.mapped()));
  }

  @Override
  public void close() {
    bag.close();
    softmax.close();
  }
}
