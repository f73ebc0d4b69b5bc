// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import java.util.BitSet;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;
import org.blocksparse.classifier.examples.ChunkedIntList;

/**
 * Counts features, numbered by first occurrence, and chooses those that are kept. Words and
 * characters in a row are counted in bounded memory, as in lossy counting (Manku and Motwani,
 * 2002): if there are too many different ones, the rarest so far are forgotten.
 */
public final class FeatureCounts {
  private static final int DIGIT_BITS = 16;
  private static final int DIGITS = 1 << DIGIT_BITS;

  /** The fewest occurrences of an n-gram: most occur once, in one example. */
  public static final int FEWEST_IN_A_ROW = 2;

  private static final long MULTIPLIER = 0x9E3779B97F4A7C15L; // Fibonacci hashing: 2^64 / phi

  /** The maximum number of different n-grams at a time, several times the number kept. */
  public static final int MOST_IN_A_ROW = 1 << 22;

  private KeyTable keys = new KeyTable();
  private final ChunkedIntList counts = new ChunkedIntList();

  /** The features that are single words: neither word nor character n-grams. */
  private final BitSet words = new BitSet();

  private final BitSet characters = new BitSet();

  private final FeatureVocabulary before;
  private final int mostInARow;
  private int inARow;

  /** The number of forgotten features. One that recurs may be forgotten again: it counts twice. */
  private long forgotten;

  /**
   * Starts without features.
   *
   * @param before features that have rows already; they are never forgotten
   * @param mostInARow the maximum number of different words and characters in a row at a time
   */
  public FeatureCounts(FeatureVocabulary before, int mostInARow) {
    this.before = before;
    this.mostInARow = mostInARow;
  }

  /** Returns the number of a feature that has come once more. */
  public int add(long key, FeatureGroup group) {
    int number = keys.add(key);
    if (number == counts.size()) {
      counts.add(0);
      words.set(number, group == FeatureGroup.WORD);
      characters.set(number, group == FeatureGroup.CHARACTERS);
      inARow += group == FeatureGroup.WORD ? 0 : 1;
    }
    counts.set(number, counts.get(number) + 1);
    return number;
  }

  /** Returns whether there are too many features in a row. */
  public boolean isFull() {
    return inARow > mostInARow;
  }

  /**
   * Forgets words and characters in a row, except the most frequent ones so far, which fill half of
   * the room.
   *
   * @return the new number by the number of each feature; negative if it is forgotten
   */
  public int[] forgetRare() {
    BitSet stay = first(number -> !words.get(number), mostInARow / 2);
    KeyTable all = keys;
    keys = new KeyTable();
    int[] numberOf = new int[all.size()];
    for (int number = 0; number < numberOf.length; number++) {
      long key = all.key(number);
      boolean isKept = words.get(number) || stay.get(number) || before.row(key) >= 0;
      numberOf[number] = isKept ? keys.add(key) : -1;
      if (isKept) {
        counts.set(numberOf[number], counts.get(number));
        words.set(numberOf[number], words.get(number));
        characters.set(numberOf[number], characters.get(number));
      }
    }
    counts.truncate(keys.size());
    words.clear(keys.size(), numberOf.length);
    characters.clear(keys.size(), numberOf.length);
    forgotten += numberOf.length - keys.size();
    inARow = keys.size() - words.cardinality();
    return numberOf;
  }

  /** Returns whether some were forgotten. */
  public boolean hasForgotten() {
    return forgotten > 0;
  }

  /** Returns whether a feature is one by itself, and not several words or characters in a row. */
  public boolean isWord(int number) {
    return words.get(number);
  }

  int size() {
    return counts.size();
  }

  /**
   * The features that are kept.
   *
   * @param rowOf the row of each feature, negative if it is left out
   * @param leftOut how many are left out; an upper bound if some were forgotten
   * @param words the rows of words and pieces
   */
  public record Kept(FeatureVocabulary vocabulary, int[] rowOf, int leftOut, BitSet words) {}

  /**
   * Keeps features with a minimum count; the most frequent ones if there is no room for all. Half
   * of the room is reserved for words: a rare word may be all that the examples of a rare label
   * have in common, and pairs of frequent words would displace it. The other half is not, since
   * most of very many words are rare, and less useful than frequent pairs. Among equally frequent
   * features, words come first, then the order of hashes decides: the order of a file would favor
   * the labels at its beginning.
   *
   * <p>Features that have rows already keep these; others get the rows that follow, characters in a
   * row the last ones. Where some of these have rows already, no others get one: these know nearly
   * all that are frequent in a language.
   *
   * @param minCount 0: once for words, twice for words and characters in a row
   * @param most the maximum number of features
   * @param mostInARow the maximum number of new ones that are words in a row, and of those that are
   *     characters in a row
   */
  public Kept keep(int minCount, int most, int mostInARow) {
    int room = Math.max(0, most - before.rows());
    IntPredicate isNew =
        number ->
            isFrequent(number, minCount)
                && before.row(keys.key(number)) < 0
                && !(characters.get(number) && before.hasCharacters());
    BitSet kept = first(number -> isNew.test(number) && words.get(number), (room + 1) / 2);
    BitSet others =
        first(
            number -> isNew.test(number) && !words.get(number) && !characters.get(number),
            mostInARow);
    others.or(first(number -> isNew.test(number) && characters.get(number), mostInARow));
    words.stream().filter(word -> isNew.test(word) && !kept.get(word)).forEach(others::set);
    kept.or(first(others::get, room - kept.cardinality()));
    // Frequent features lie together, so that the most used part of the table stays in the cache.
    int[] order =
        IntStream.concat(
                inOrder(kept, number -> !characters.get(number)), inOrder(kept, characters::get))
            .toArray();
    int[] rowOf = new int[size()];
    long leftOut = forgotten - order.length;
    for (int number = 0; number < rowOf.length; number++) {
      rowOf[number] = before.row(keys.key(number));
      leftOut += rowOf[number] < 0 ? 1 : 0;
    }
    KeyTable table = before.keys(order.length);
    for (int number : order) {
      rowOf[number] = table.add(keys.key(number));
    }
    int charactersKept = (int) characters.stream().filter(kept::get).count();
    int end = table.size();
    if (table.size() == 0) {
      table.add(0); // a table needs a row
    }
    BitSet rowsOfWords = new BitSet(table.size());
    words.stream().filter(word -> rowOf[word] >= 0).forEach(word -> rowsOfWords.set(rowOf[word]));
    int atMost = (int) Math.min(Integer.MAX_VALUE, leftOut);
    FeatureVocabulary vocabulary =
        before.hasCharacters()
            ? FeatureVocabulary.of(table, before.charactersBegin(), before.charactersEnd())
            : FeatureVocabulary.of(table, end - charactersKept, end);
    return new Kept(vocabulary, rowOf, atMost, rowsOfWords);
  }

  /** Returns the numbers of some features of a set, the most frequent ones first. */
  private IntStream inOrder(BitSet all, IntPredicate among) {
    return all.stream()
        .filter(among)
        .mapToLong(number -> ((long) -counts.get(number) << Integer.SIZE) | number)
        .sorted()
        .mapToInt(countAndNumber -> (int) countAndNumber);
  }

  private boolean isFrequent(int number, int minCount) {
    return isFrequent(counts.get(number), words.get(number), minCount);
  }

  /** Returns whether a feature that often is kept. */
  public static boolean isFrequent(int count, boolean isWord, int minCount) {
    int byDefault = isWord ? 1 : FEWEST_IN_A_ROW;
    return count >= (minCount > 0 ? minCount : byDefault);
  }

  /** Returns the features with the smallest ranks, up to a number, among some. */
  private BitSet first(IntPredicate among, int most) {
    BitSet all = new BitSet(size());
    for (int number = 0; number < size(); number++) {
      all.set(number, among.test(number));
    }
    if (all.cardinality() > most) {
      long end = rankAt(all, most);
      for (int number = all.nextSetBit(0); number >= 0; number = all.nextSetBit(number + 1)) {
        all.set(number, rank(number) < end);
      }
    }
    return all;
  }

  /**
   * Returns the rank at a place in the order of ranks. It is found digit by digit: to sort all
   * features would take as much memory as they do.
   */
  private long rankAt(BitSet among, int place) {
    long found = 0;
    int left = place;
    for (int shift = Long.SIZE - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
      int[] countOf = new int[DIGITS];
      for (int n = among.nextSetBit(0); n >= 0; n = among.nextSetBit(n + 1)) {
        long digits = rank(n) >>> shift;
        if (digits >>> DIGIT_BITS == found) {
          countOf[(int) digits & (DIGITS - 1)]++;
        }
      }
      int digit = 0;
      while (left >= countOf[digit]) {
        left -= countOf[digit++];
      }
      found = (found << DIGIT_BITS) | digit;
    }
    return found;
  }

  /** Returns the rank of a feature, not negative: the smaller, the more useful it is. */
  private long rank(int number) {
    long rarity = (long) ChunkedIntList.MOST - counts.get(number);
    long isInARow = words.get(number) ? 0 : 1;
    long hash = (keys.key(number) * MULTIPLIER) >>> Integer.SIZE;
    return (((rarity << 1) | isInARow) << Integer.SIZE) | hash;
  }
}
