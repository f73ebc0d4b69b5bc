// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.util.Arrays;
import java.util.BitSet;
import java.util.concurrent.ThreadLocalRandom;
import org.blocksparse.classifier.examples.ChunkedIntList;
import org.blocksparse.classifier.examples.ExampleReader;
import org.blocksparse.classifier.features.KeyTable;

/**
 * The words and labels of a fastText model, and the rows of its table that a text has: each known
 * word has one, and parts of words and words in a row share those of the buckets by their hash.
 * Immutable.
 */
public final class FastTextDictionary {
  /** The prefix of labels, which fastText does not save. */
  public static final String LABEL_PREFIX = ExampleReader.DEFAULT_LABEL_PREFIX;

  private static final byte[] PREFIX = LABEL_PREFIX.getBytes(UTF_8);

  /** The word that ends a line. */
  private static final byte[] END = "</s>".getBytes(UTF_8);

  private static final int HASH_BASIS = 0x811C9DC5;
  private static final int HASH_PRIME = 16777619;
  private static final long NGRAM_MULTIPLIER = 116049371;

  /** The minimum number of bytes of an entry: an empty word, its zero byte, count and type. */
  private static final int FEWEST_BYTES_OF_ENTRY = 10;

  /** The upper bound on counts: nodes that fastText has not made yet have larger ones. */
  private static final long MOST_COUNT = 1_000_000_000_000_000L;

  private final FastTextArguments arguments;
  private final int words;

  /** All entries, one after another: words, then labels. */
  private final byte[] text;

  private final int[] ends;
  private final long[] labelCounts;

  /** The multiplier of hashes, random for each file, so that nobody can make words collide. */
  private final long multiplier = ThreadLocalRandom.current().nextLong() | 1;

  /** The entries by hash; -1 marks free slots. */
  private final int[] slots;

  /** 2^64 / the number of buckets, rounded up. */
  private final long reciprocal;

  /** The rows of buckets that were kept; null if all were. */
  private final KeyTable keptBuckets;

  private final int[] rowsOfBuckets;

  /** The last bits of the buckets that were kept: they exclude most others without a search. */
  private final BitSet lastBits = new BitSet();

  private final int lastBitsMask;

  private FastTextDictionary(
      FastTextArguments arguments,
      int words,
      byte[] text,
      int[] ends,
      long[] labelCounts,
      KeyTable keptBuckets,
      int[] rowsOfBuckets) {
    this.arguments = arguments;
    this.words = words;
    this.text = text;
    this.ends = ends;
    this.labelCounts = labelCounts;
    this.keptBuckets = keptBuckets;
    this.rowsOfBuckets = rowsOfBuckets;
    this.lastBitsMask =
        keptBuckets == null ? 0 : 16 * Integer.highestOneBit(keptBuckets.size() | 1) - 1;
    for (int i = 0; keptBuckets != null && i < keptBuckets.size(); i++) {
      lastBits.set((int) keptBuckets.key(i) & lastBitsMask);
    }
    this.reciprocal = Long.divideUnsigned(-1, Math.max(1, arguments.bucket())) + 1;
    this.slots = new int[Integer.highestOneBit(Math.max(1, ends.length)) << 2];
    Arrays.fill(slots, -1);
    for (int entry = 0; entry < ends.length; entry++) {
      int slot = slot(text, begin(entry), ends[entry]);
      if (slots[slot] < 0) {
        slots[slot] = entry;
      }
    }
  }

  static FastTextDictionary read(FastTextInput in, FastTextArguments arguments) throws IOException {
    int size = in.int32("dictionary size", 0, 1 << 28);
    int words = in.int32("dictionary words", 0, size);
    int labels = in.int32("dictionary labels");
    if (labels != size - words) {
      throw in.wrong(
          "dictionary labels", "expected " + (size - words) + ", the rest, but was " + labels);
    }
    in.int64("dictionary tokens");
    long pruned = in.int64("dictionary prune size");
    in.require("dictionary size", size, FEWEST_BYTES_OF_ENTRY);
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    int[] ends = new int[size];
    long[] labelCounts = new long[labels];
    for (int entry = 0; entry < size; entry++) {
      String field = "dictionary entry " + entry;
      in.string(field, text);
      ends[entry] = text.size();
      long count = in.int64(field);
      byte type = in.int8(field);
      if (type != (entry < words ? 0 : 1)) {
        throw in.wrong(field, "expected words, then labels, but was of type " + type);
      }
      if (entry >= words) {
        if (count < 0 || count >= MOST_COUNT) {
          throw in.wrong(field, "expected a count in [0, 10^15) but was " + count);
        }
        labelCounts[entry - words] = count;
      }
    }
    if (pruned < 0) {
      return new FastTextDictionary(
          arguments, words, text.toByteArray(), ends, labelCounts, null, null);
    }
    in.require("dictionary prune size", pruned, 2 * Integer.BYTES);
    if (pruned > 1 << 26) {
      throw in.wrong("dictionary prune size", "expected at most 2^26 but was " + pruned);
    }
    KeyTable kept = new KeyTable();
    int[] rows = new int[(int) pruned];
    for (int i = 0; i < rows.length; i++) {
      int bucket = in.int32("dictionary pruned bucket");
      if (kept.add(bucket) != i) {
        throw in.wrong("dictionary pruned bucket", bucket + " is there twice");
      }
      rows[i] = in.int32("dictionary pruned row", 0, rows.length - 1);
    }
    return new FastTextDictionary(
        arguments, words, text.toByteArray(), ends, labelCounts, kept, rows);
  }

  int words() {
    return words;
  }

  boolean isPruned() {
    return keptBuckets != null;
  }

  /** Returns the number of rows of the table. */
  long rows() {
    return (long) words + (isPruned() ? rowsOfBuckets.length : arguments.bucket());
  }

  /** Returns how often each label occurred in the training. */
  long[] labelCounts() {
    return labelCounts;
  }

  /** Returns a word in UTF-8. */
  byte[] word(int number) {
    return Arrays.copyOfRange(text, begin(number), ends[number]);
  }

  /**
   * Returns a label.
   *
   * @throws CharacterCodingException if it is not UTF-8
   */
  String label(int number) throws CharacterCodingException {
    int begin = begin(words + number);
    ByteBuffer bytes = ByteBuffer.wrap(text, begin, ends[words + number] - begin);
    return UTF_8.newDecoder().decode(bytes).toString();
  }

  private int begin(int entry) {
    return entry == 0 ? 0 : ends[entry - 1];
  }

  /** Returns where an entry is, or where it would be. At most half of the slots are taken. */
  private int slot(byte[] bytes, int begin, int end) {
    long hash = (long) end - begin;
    for (int at = begin; at < end; at++) {
      hash = (hash ^ bytes[at]) * multiplier;
      hash ^= hash >>> 29;
    }
    int mask = slots.length - 1;
    int slot = (int) (hash >>> 32) & mask;
    while (slots[slot] >= 0
        && !Arrays.equals(text, begin(slots[slot]), ends[slots[slot]], bytes, begin, end)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  /** Continues the FNV-1a hash with a signed byte. */
  private static int hash(int before, byte next) {
    return (before ^ next) * HASH_PRIME;
  }

  private static int hash(byte[] bytes, int begin, int end) {
    int hash = HASH_BASIS;
    for (int at = begin; at < end; at++) {
      hash = hash(hash, bytes[at]);
    }
    return hash;
  }

  private static boolean isSpace(byte b) {
    return b == ' ' || (b >= '\t' && b <= '\r') || b == 0;
  }

  /** Adds the rows of a line, which its end belongs to. A label has none. */
  void addLine(byte[] line, ChunkedIntList rows) {
    int[] hashes = new int[16];
    int tokens = 0;
    boolean isOpen = true;
    for (int begin = 0; isOpen; ) {
      while (begin < line.length && isSpace(line[begin])) {
        begin++;
      }
      int end = begin;
      while (end < line.length && !isSpace(line[end])) {
        end++;
      }
      boolean isLast = begin == line.length;
      byte[] bytes = isLast ? END : line;
      int first = isLast ? 0 : begin;
      int last = isLast ? END.length : end;
      int entry = slots[slot(bytes, first, last)];
      if (entry < 0 ? !startsWithPrefix(bytes, first, last) : entry < words) {
        addWord(bytes, first, last, entry, rows);
        if (tokens == hashes.length) {
          hashes = Arrays.copyOf(hashes, 2 * tokens);
        }
        hashes[tokens++] = hash(bytes, first, last);
      }
      isOpen = !isLast && !isEnd(bytes, first, last);
      begin = end;
    }
    addNgramsOfWords(hashes, tokens, rows);
  }

  private static boolean startsWithPrefix(byte[] bytes, int begin, int end) {
    return end - begin >= PREFIX.length
        && Arrays.equals(bytes, begin, begin + PREFIX.length, PREFIX, 0, PREFIX.length);
  }

  private static boolean isEnd(byte[] bytes, int begin, int end) {
    return Arrays.equals(bytes, begin, end, END, 0, END.length);
  }

  /** Adds the rows of a word: its own, if it is known, and those of its parts. */
  void addWord(byte[] word, ChunkedIntList rows) {
    int entry = slots[slot(word, 0, word.length)];
    addWord(word, 0, word.length, entry < words ? entry : -1, rows);
  }

  private void addWord(byte[] bytes, int begin, int end, int entry, ChunkedIntList rows) {
    if (entry >= 0) {
      rows.add(entry);
    }
    if (arguments.maxn() > 0 && !isEnd(bytes, begin, end)) {
      addParts(bytes, begin, end, rows);
    }
  }

  /** Adds the parts of a word between angle brackets, by characters; a bracket alone is no part. */
  private void addParts(byte[] bytes, int begin, int end, ChunkedIntList rows) {
    byte[] word = new byte[end - begin + 2];
    word[0] = '<';
    System.arraycopy(bytes, begin, word, 1, end - begin);
    word[word.length - 1] = '>';
    for (int from = 0; from < word.length; from++) {
      if (isContinuation(word[from])) {
        continue;
      }
      int hash = HASH_BASIS;
      int to = from;
      for (int n = 1; n <= arguments.maxn() && to < word.length; n++) {
        do {
          hash = hash(hash, word[to++]);
        } while (to < word.length && isContinuation(word[to]));
        boolean isBracket = n == 1 && (from == 0 || to == word.length);
        if (n >= arguments.minn() && !isBracket) {
          addBucket(bucket(hash), rows);
        }
      }
    }
  }

  private static boolean isContinuation(byte b) {
    return (b & 0xC0) == 0x80;
  }

  /** Returns the unsigned remainder of a hash, without a division (Lemire et al., 2019). */
  private int bucket(int hash) {
    long fraction = reciprocal * Integer.toUnsignedLong(hash);
    long high = Math.multiplyHigh(fraction, arguments.bucket());
    return (int) (fraction < 0 ? high + arguments.bucket() : high);
  }

  private void addNgramsOfWords(int[] hashes, int tokens, ChunkedIntList rows) {
    for (int i = 0; i < tokens; i++) {
      long hash = hashes[i];
      int end = Math.min(tokens, i + arguments.wordNgrams());
      for (int j = i + 1; j < end; j++) {
        hash = hash * NGRAM_MULTIPLIER + hashes[j];
        addBucket((int) Long.remainderUnsigned(hash, arguments.bucket()), rows);
      }
    }
  }

  private void addBucket(int bucket, ChunkedIntList rows) {
    if (!isPruned()) {
      rows.add(words + bucket);
    } else if (lastBits.get(bucket & lastBitsMask)) {
      int kept = keptBuckets.find(bucket);
      if (kept >= 0) {
        rows.add(words + rowsOfBuckets[kept]);
      }
    }
  }
}
