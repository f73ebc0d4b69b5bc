// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.Locale;
import java.util.function.LongConsumer;
import org.apache.commons.codec.digest.MurmurHash3;

/**
 * Cuts a text into features: its words, and pairs (triples, ...) of words that follow each other.
 *
 * <p>Plain words are what white space separates, as in fastText. Otherwise a text is in lower case,
 * and its words are the runs of letters and digits; of what white space separates, a piece that
 * holds several words, or none, is a feature as a whole, too: {@code libc6-dev}, {@code c++},
 * {@code 3.5}. Punctuation around a piece is not part of it.
 *
 * <p>The key of a word is the first half of the 128-bit MurmurHash3 of its UTF-8 bytes; that of
 * words that follow each other is mixed of theirs. Only {@link Vocabulary#KEY_BITS} of it are kept.
 *
 * <p>Immutable.
 */
final class TextFeatures {
  private static final long MULTIPLIER = 0xBF58476D1CE4E5B9L; // of SplitMix64, as the shifts below
  private static final String AROUND = ".,;:!?\"'()[]{}<>";

  private final int wordNgrams;
  private final boolean plain;

  TextFeatures(int wordNgrams, boolean plain) {
    this.wordNgrams = wordNgrams;
    this.plain = plain;
  }

  /** Gives the keys of a text, a repeated feature as often as it occurs. */
  void of(String text, LongConsumer keys) {
    byte[] bytes = (plain ? text : text.toLowerCase(Locale.ROOT)).getBytes(UTF_8);
    long[] before = new long[wordNgrams - 1];
    int words = 0;
    int end;
    for (int begin = 0; begin < bytes.length; begin = end) {
      end = begin + 1;
      if (isSpace(bytes[begin])) {
        continue;
      }
      while (end < bytes.length && !isSpace(bytes[end])) {
        end++;
      }
      words =
          plain
              ? word(bytes, begin, end, before, words, keys)
              : piece(bytes, begin, end, before, words, keys);
    }
  }

  /** What white space separates. Returns how many words there are by now. */
  private int piece(
      byte[] bytes, int from, int to, long[] before, int wordsBefore, LongConsumer keys) {
    int begin = from;
    int end = to;
    while (begin < end && AROUND.indexOf(bytes[begin]) >= 0) {
      begin++;
    }
    while (begin < end && AROUND.indexOf(bytes[end - 1]) >= 0) {
      end--;
    }
    int words = wordsBefore;
    boolean whole = begin < end;
    int wordEnd;
    for (int at = begin; at < end; at = wordEnd) {
      wordEnd = at + 1;
      if (isLetter(bytes[at])) {
        while (wordEnd < end && isLetter(bytes[wordEnd])) {
          wordEnd++;
        }
        whole = wordEnd - at < end - begin;
        words = word(bytes, at, wordEnd, before, words, keys);
      }
    }
    if (whole) {
      keys.accept(cut(hash(bytes, begin, end)));
    }
    return words;
  }

  private int word(byte[] bytes, int begin, int end, long[] before, int words, LongConsumer keys) {
    long key = hash(bytes, begin, end);
    keys.accept(cut(key));
    long ngram = key;
    for (int n = 0; n < Math.min(words, before.length); n++) {
      ngram = mix(ngram * MULTIPLIER + before[n]);
      keys.accept(cut(ngram));
    }
    if (before.length > 0) {
      System.arraycopy(before, 0, before, 1, before.length - 1);
      before[0] = key;
    }
    return words + 1;
  }

  private static boolean isSpace(byte b) {
    return b >= 0 && b <= ' ';
  }

  /** All that is not ASCII counts as letters. */
  private static boolean isLetter(byte b) {
    return b < 0 || (b >= 'a' && b <= 'z') || (b >= '0' && b <= '9');
  }

  private static long hash(byte[] bytes, int begin, int end) {
    return MurmurHash3.hash128x64(bytes, begin, end - begin, 0)[0];
  }

  private static long mix(long x) {
    long y = (x ^ (x >>> 30)) * MULTIPLIER;
    return y ^ (y >>> 31);
  }

  private static long cut(long key) {
    return key >>> (Long.SIZE - Vocabulary.KEY_BITS);
  }
}
