// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.classifier.examples.ChunkedIntList;
import org.blocksparse.classifier.examples.Example;

/**
 * Converts examples to rows of the table, from features that have a row. Each example is a vector
 * of length 1: each of the n features of a text is 1 / sqrt(n), and repeated ones count repeatedly;
 * values are scaled to that length. Immutable, for any number of threads.
 *
 * @param text whether examples are texts; if not, they have features
 */
public record InputRows(boolean text, FeatureExtractor textFeatures, FeatureVocabulary vocabulary)
    implements ExampleRows {
  /** Returns the factor of sums of rows. */
  public Mode mode() {
    return text ? Mode.ROOT_MEAN : Mode.SUM;
  }

  /** Returns the factor of values that makes their vector's length 1; finite. */
  public static double scale(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return sum == 0 ? 1 : 1 / Math.sqrt(sum);
  }

  @Override
  public SparseRows of(List<Example> examples) {
    return of(examples, ChunkedIntList.MOST);
  }

  /** Returns rows with room for that many features. */
  public SparseRows of(List<Example> examples, int most) {
    int[] offsets = new int[examples.size() + 1];
    ChunkedIntList rows = new ChunkedIntList(most);
    ChunkedIntList values = new ChunkedIntList(most);
    for (int e = 0; e < examples.size(); e++) {
      Example example = examples.get(e);
      requireKind(example);
      try {
        add(example, rows, values);
      } catch (ChunkedIntList.FullException full) {
        throw tooMany(most, full);
      }
      offsets[e + 1] = rows.size();
    }
    return text
        ? SparseRows.of(offsets, rows.toArray())
        : SparseRows.of(offsets, rows.toArray(), values.toFloats());
  }

  public static IllegalArgumentException tooMany(int most, ChunkedIntList.FullException full) {
    return new IllegalArgumentException(
        String.format(
            Locale.ROOT,
            "examples: together they have more than %,d features, which is the most; give fewer"
                + " or shorter ones at a time",
            most),
        full);
  }

  @Override
  public boolean hasRow(Example example) {
    requireKind(example);
    if (!text) {
      return IntStream.of(example.indices()).anyMatch(index -> vocabulary.row(index) >= 0);
    }
    boolean[] found = {false};
    textFeatures.of(example.text(), key -> found[0] |= vocabulary.row(key) >= 0);
    return found[0];
  }

  /** Returns the share of words, or of features, that have no row; 0 if there are none. */
  public double shareOfUnknownWords(Example example) {
    requireKind(example);
    int[] counts = new int[2]; // all features, unknown ones
    LongConsumer count =
        key -> {
          counts[0]++;
          counts[1] += vocabulary.row(key) < 0 ? 1 : 0;
        };
    if (text) {
      textFeatures.words(example.text(), count);
    } else {
      IntStream.of(example.indices()).forEach(count::accept);
    }
    return counts[0] == 0 ? 0 : (double) counts[1] / counts[0];
  }

  /**
   * Returns the features of an example that have a row, by row; those that share one, in a list.
   */
  public Map<Integer, String> names(Example example) {
    requireKind(example);
    Map<Integer, String> names = new HashMap<>();
    if (text) {
      textFeatures.names(example.text()).forEach((key, name) -> addName(key, name, names));
    } else {
      IntStream.of(example.indices())
          .distinct()
          .forEach(index -> addName(index, Integer.toString(index), names));
    }
    return names;
  }

  private void addName(long key, String name, Map<Integer, String> names) {
    int row = vocabulary.row(key);
    if (row >= 0) {
      names.merge(row, name, (one, other) -> one + ", " + other);
    }
  }

  private void requireKind(Example example) {
    if (example.isText() != text) {
      throw new IllegalArgumentException(
          text
              ? "example: has features, but the model was trained on texts"
              : "example: is a text, but the model was trained on features");
    }
  }

  private void add(Example example, ChunkedIntList rows, ChunkedIntList values) {
    if (text) {
      textFeatures.of(example.text(), key -> add(key, rows));
      return;
    }
    double scale = scale(example.values());
    for (int i = 0; i < example.indices().length; i++) {
      if (add(example.indices()[i], rows)) {
        values.add(Float.floatToRawIntBits((float) (scale * example.values()[i])));
      }
    }
  }

  private boolean add(long key, ChunkedIntList rows) {
    int row = vocabulary.row(key);
    if (row >= 0) {
      rows.add(row);
    }
    return row >= 0;
  }
}
