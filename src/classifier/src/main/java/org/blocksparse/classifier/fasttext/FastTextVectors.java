// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.StringTokenizer;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.classifier.examples.ChunkedIntList;
import org.blocksparse.classifier.features.InputRows;

/**
 * The word vectors of a fastText model: {@code cbow}, {@code skipgram} or {@code supervised},
 * {@code .bin} or {@code .ftz}. The vector of a word is the mean of the rows of the word and of its
 * parts, so a word that the training did not have has a vector of its parts.
 *
 * <pre>{@code
 * try (FastTextVectors vectors = FastTextVectors.load(Path.of("cc.en.300.bin"));
 *     FloatTensor words = vectors.ofWords(List.of("tea", "coffee"))) { // (2, 300)
 * }
 * }</pre>
 *
 * <p>Any number of threads may use it at the same time. The vectors are in native memory until
 * {@link #close}.
 */
public final class FastTextVectors implements AutoCloseable {
  private final FastTextArguments arguments;
  private final FastTextDictionary dictionary;
  private final EmbeddingBag bag;
  private final boolean isQuantized;

  private FastTextVectors(
      FastTextArguments arguments,
      FastTextDictionary dictionary,
      EmbeddingBag bag,
      boolean isQuantized) {
    this.arguments = arguments;
    this.dictionary = dictionary;
    this.bag = bag;
    this.isQuantized = isQuantized;
  }

  /** Loads the vectors of a model, with common workers; see {@link #load(Path, Workers)}. */
  public static FastTextVectors load(Path file) throws IOException {
    return load(file, Workers.common());
  }

  /**
   * Loads the vectors of a model into memory. It is safe to load untrusted files.
   *
   * @param workers the threads that compute vectors
   * @throws org.blocksparse.FileFormatException if the file is damaged or not of fastText; the
   *     message names the field that is wrong
   * @throws IOException if the file cannot be read
   */
  public static FastTextVectors load(Path file, Workers workers) throws IOException {
    requireNonNull(workers, "workers");
    try (FastTextInput in = new FastTextInput(requireNonNull(file, "file"))) {
      return read(in, FastTextArguments.read(in), workers);
    }
  }

  /** Reads what follows the arguments, to the end of the table. */
  static FastTextVectors read(FastTextInput in, FastTextArguments arguments, Workers workers)
      throws IOException {
    FastTextDictionary dictionary = FastTextDictionary.read(in, arguments);
    boolean isQuantized = in.bool("quantized input");
    if (dictionary.isPruned() && !isQuantized) {
      throw in.wrong("quantized input", "expected 1 beside a pruned dictionary");
    }
    FastTextMatrix input =
        FastTextMatrix.begin("input", isQuantized, dictionary.rows(), arguments.dim(), in);
    EmbeddingBag bag =
        EmbeddingBag.builder(input.rows(), input.columns())
            .mode(Mode.MEAN)
            .workers(workers)
            .build(input.floats());
    return new FastTextVectors(arguments, dictionary, bag, isQuantized);
  }

  /** Returns the size of a vector. */
  public int dimension() {
    return bag.features();
  }

  /** Returns the number of words that have a row of their own. */
  public int words() {
    return dictionary.words();
  }

  /**
   * Returns a word, the most frequent ones first. Bytes that are not UTF-8 are replaced.
   *
   * @throws IndexOutOfBoundsException if the number is outside [0, {@link #words})
   */
  public String word(int number) {
    return new String(dictionary.word(Objects.checkIndex(number, words())), UTF_8);
  }

  /**
   * Returns the table: rows of words, then those that parts of words and words in a row share. Its
   * sums are means. It belongs to these vectors; {@link EmbeddingBag#copy} makes one to train.
   */
  public EmbeddingBag bag() {
    return bag;
  }

  /**
   * Returns the rows of the {@linkplain #bag table} that each word has, with the caller to close
   * them. A word without any has an empty row, whose vector is 0.
   */
  public SparseRows rows(List<String> words) {
    return rows(words, dictionary::addWord);
  }

  private interface Adder {
    void add(byte[] text, ChunkedIntList rows);
  }

  private static SparseRows rows(List<String> texts, Adder adder) {
    int[] offsets = new int[texts.size() + 1];
    ChunkedIntList rows = new ChunkedIntList();
    try {
      for (int i = 0; i < texts.size(); i++) {
        adder.add(texts.get(i).getBytes(UTF_8), rows);
        offsets[i + 1] = rows.size();
      }
    } catch (ChunkedIntList.FullException full) {
      throw InputRows.tooMany(ChunkedIntList.MOST, full);
    }
    return SparseRows.of(offsets, rows.toArray());
  }

  /** Returns the vectors of words, (words, dimension), as fastText's {@code print-word-vectors}. */
  public FloatTensor ofWords(List<String> words) {
    try (SparseRows rows = rows(words)) {
      return bag.apply(rows);
    }
  }

  /**
   * Returns the vectors of texts, (texts, dimension), as fastText's {@code print-sentence-vectors}:
   * for a supervised model the mean of all rows of a text, else the mean of the vectors of its
   * words, each divided by its length. A text without a known feature has 0.
   */
  public FloatTensor ofTexts(List<String> texts) {
    if (arguments.model() == FastTextArguments.Model.SUPERVISED) {
      try (SparseRows rows = lines(texts)) {
        return bag.apply(rows);
      }
    }
    float[] means = new float[Math.multiplyExact(texts.size(), dimension())];
    for (int text = 0; text < texts.size(); text++) {
      addMean(texts.get(text), means, text * dimension());
    }
    return FloatTensor.of(means, texts.size(), dimension());
  }

  /** Returns the rows of texts, up to the end of a line each. */
  SparseRows lines(List<String> texts) {
    return rows(texts, dictionary::addLine);
  }

  private void addMean(String text, float[] means, int begin) {
    List<String> words =
        Collections.list(new StringTokenizer(text, " \n\r\t\u000B\f")).stream()
            .map(String.class::cast)
            .toList();
    try (FloatTensor vectors = ofWords(words)) {
      float[] all = vectors.toArray();
      int count = 0;
      for (int word = 0; word < all.length; word += dimension()) {
        double square = 0;
        for (int i = 0; i < dimension(); i++) {
          square += (double) all[word + i] * all[word + i];
        }
        double norm = Math.sqrt(square);
        count += norm > 0 ? 1 : 0;
        for (int i = 0; norm > 0 && i < dimension(); i++) {
          means[begin + i] += (float) (all[word + i] / norm);
        }
      }
      for (int i = 0; count > 0 && i < dimension(); i++) {
        means[begin + i] /= count;
      }
    }
  }

  /** Returns whether the rows were quantized in the file. */
  boolean isQuantized() {
    return isQuantized;
  }

  FastTextArguments arguments() {
    return arguments;
  }

  FastTextDictionary dictionary() {
    return dictionary;
  }

  @Override
  public void close() {
    bag.close();
  }

  @Override
  public String toString() {
    return "FastTextVectors(" + words() + " words, " + bag + ")";
  }
}
