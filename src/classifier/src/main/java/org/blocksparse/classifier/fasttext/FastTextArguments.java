// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * The training options of a fastText model that affect its use.
 *
 * @param wordNgrams the maximum number of words in a row that have a row of the table
 * @param bucket the number of rows that parts of words and words in a row share
 * @param minn the fewest characters of a part of a word
 * @param maxn the most; 0: there are no parts
 */
record FastTextArguments(
    int dim, int wordNgrams, Loss loss, Model model, int bucket, int minn, int maxn) {
  private static final int MAGIC = 793712314;
  private static final int OLDEST = 11;
  private static final int NEWEST = 12;

  /**
   * The longest n-grams: the work for a text is proportional to them, so a file must not set any
   * length.
   */
  private static final int LONGEST = 100;

  /** The constants are in the order of their numbers in the file, from 1 on. */
  enum Loss {
    HS,
    NS,
    SOFTMAX,
    OVA
  }

  /** The constants are in the order of their numbers in the file, from 1 on. */
  enum Model {
    CBOW,
    SKIPGRAM,
    SUPERVISED
  }

  /** Returns whether a file begins as those of fastText do. */
  static boolean begin(FastTextInput in) throws IOException {
    return in.remaining() >= Integer.BYTES && in.int32("magic number") == MAGIC;
  }

  static FastTextArguments read(FastTextInput in) throws IOException {
    if (!begin(in)) {
      throw in.wrong(
          "beginning",
          "expected a model of fastText, .bin or .ftz; a .vec is a text of its vectors, which is"
              + " published beside the .bin");
    }
    int version = in.int32("version", OLDEST, NEWEST);
    int dim = in.int32("dim", 1, Integer.MAX_VALUE - 8);
    for (String unused : List.of("ws", "epoch", "minCount", "neg")) {
      in.int32(unused);
    }
    int wordNgrams = in.int32("wordNgrams", 0, LONGEST);
    Loss loss = constant("loss", Loss.values(), in);
    Model model = constant("model", Model.values(), in);
    int bucket = in.int32("bucket", 0, Integer.MAX_VALUE);
    int minn = in.int32("minn", 0, Integer.MAX_VALUE);
    int maxn = in.int32("maxn", 0, LONGEST);
    in.int32("lrUpdateRate");
    in.int64("t");
    if (version == OLDEST && model == Model.SUPERVISED) {
      maxn = 0; // that version ignored it
    }
    if (bucket == 0 && (wordNgrams > 1 || maxn > 0)) {
      throw in.wrong("bucket", "expected at least 1 beside wordNgrams or maxn, but was 0");
    }
    return new FastTextArguments(dim, wordNgrams, loss, model, bucket, minn, maxn);
  }

  private static <E extends Enum<E>> E constant(String field, E[] values, FastTextInput in)
      throws IOException {
    int number = in.int32(field);
    if (number < 1 || number > values.length) {
      throw in.wrong(
          field,
          IntStream.range(0, values.length)
              .mapToObj(i -> values[i].name().toLowerCase(Locale.ROOT) + " = " + (i + 1))
              .collect(Collectors.joining(", ", "expected ", " but was " + number)));
    }
    return values[number - 1];
  }
}
