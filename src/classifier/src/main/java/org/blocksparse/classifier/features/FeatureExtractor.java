// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.blocksparse.classifier.features.CharacterKinds.AROUND;
import static org.blocksparse.classifier.features.CharacterKinds.CONTINUED;
import static org.blocksparse.classifier.features.CharacterKinds.IDEOGRAPH;
import static org.blocksparse.classifier.features.CharacterKinds.LETTER;
import static org.blocksparse.classifier.features.CharacterKinds.SPACE;

import java.text.Normalizer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongConsumer;
import java.util.regex.Pattern;
import org.apache.commons.codec.digest.MurmurHash3;

/**
 * Cuts a text into features, its words, pairs (triples, ...) of words that follow each other, and
 * characters in a row inside words, and hashes them.
 *
 * <p>Plain words are what white space separates, as in fastText. Otherwise a text is in lower case,
 * and its words are the runs of letters and digits; of what white space separates, a piece that
 * holds several words, or none, is a feature as a whole, too: {@code libc6-dev}, {@code c++},
 * {@code 3.5}. Punctuation around a piece is not part of it. In scripts that have no spaces between
 * words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), each character is a word, and a piece with
 * such characters is no feature as a whole. With {@link Words#SYMBOLS}, each symbol and punctuation
 * mark is a word, too (of equal ones in a row, the first {@value #MAX_REPEATS}), an emoji together
 * with its modifiers and what is joined to it, and texts that are canonically equal (NFC) have the
 * same features.
 *
 * <p>Characters in a row are code points, of a word or, with {@link Words#SYMBOLS}, of a piece. Its
 * ends are characters, too, so that beginnings and endings are features of their own; the whole is
 * none. Of a very long one, only the first {@value #LONGEST_WORD} characters are cut.
 *
 * <p>The key of a word is the first half of the 128-bit MurmurHash3 of its UTF-8 bytes; that of
 * words that follow each other is mixed of theirs, and that of characters of these. Only {@link
 * FeatureVocabulary#KEY_BITS} of it are kept.
 *
 * <p>Immutable.
 */
public final class FeatureExtractor {
  private static final long MULTIPLIER = 0xBF58476D1CE4E5B9L; // SplitMix64's, as are the shifts

  /** Keeps the keys of characters apart from those of words. */
  private static final long OF_CHARACTERS = 0x9E3779B97F4A7C15L;

  private static final Pattern BETWEEN_WORDS = Pattern.compile("[^\\p{L}\\p{M}\\p{N}]+");
  private static final Pattern BETWEEN_PIECES = Pattern.compile("[\\s\\p{Z}]+");

  /** The characters of a word from which n-grams are taken. */
  private static final int LONGEST_WORD = 64;

  /** The number of equal symbols in a row that are words. */
  private static final int MAX_REPEATS = 3;

  /** Stands for an end of a word; it is no code point. */
  private static final int END_OF_WORD = 0x110000;

  private final int wordNgrams;
  private final Words words;
  private final CharacterNgrams characters;

  public FeatureExtractor(int wordNgrams, Words words, CharacterNgrams characters) {
    this.wordNgrams = wordNgrams;
    this.words = words;
    this.characters = characters;
  }

  public int wordNgrams() {
    return wordNgrams;
  }

  public Words words() {
    return words;
  }

  public CharacterNgrams characters() {
    return characters;
  }

  /** Receives features, each as often as it occurs. */
  @FunctionalInterface
  interface Sink {
    /**
     * Receives a feature.
     *
     * @param begin its first byte in the text
     * @param end the byte after its last
     */
    void accept(long key, FeatureGroup group, int begin, int end);
  }

  /** Passes the keys of a text to a consumer, each as often as the feature occurs. */
  public void of(String text, LongConsumer keys) {
    of(text, (key, group, begin, end) -> keys.accept(key));
  }

  /** Passes the keys of single words and pieces. */
  public void words(String text, LongConsumer keys) {
    of(
        text,
        (key, group, begin, end) -> {
          if (group == FeatureGroup.WORD) {
            keys.accept(key);
          }
        });
  }

  public void of(String text, Sink sink) {
    String cased = cased(text);
    cut(cased, cased.getBytes(UTF_8), sink);
  }

  /**
   * Returns the features of a text by their keys, each as it is written first: words in a row with
   * spaces between them, and characters in a row in asterisks.
   */
  Map<Long, String> names(String text) {
    String cased = cased(text);
    byte[] bytes = cased.getBytes(UTF_8);
    Map<Long, String> names = new HashMap<>();
    cut(
        cased,
        bytes,
        (key, group, begin, end) ->
            names.putIfAbsent(key, name(new String(bytes, begin, end - begin, UTF_8), group)));
    return names;
  }

  private String name(String part, FeatureGroup group) {
    return switch (group) {
      case WORD -> part;
      case WORDS_IN_A_ROW ->
          switch (words) {
            case PLAIN -> part;
            case LETTERS -> BETWEEN_WORDS.matcher(part).replaceAll(" ");
            case SYMBOLS -> BETWEEN_PIECES.matcher(part).replaceAll(" ");
          };
      case CHARACTERS -> "*" + part + "*";
    };
  }

  private String cased(String text) {
    return switch (words) {
      case PLAIN -> text;
      case LETTERS -> text.toLowerCase(Locale.ROOT);
      case SYMBOLS -> Normalizer.normalize(text.toLowerCase(Locale.ROOT), Normalizer.Form.NFC);
    };
  }

  private void cut(String cased, byte[] bytes, Sink sink) {
    // A text with other characters than ASCII has more bytes than chars.
    boolean isAscii = words == Words.PLAIN || bytes.length == cased.length();
    Cutter cutter =
        new Cutter(bytes, isAscii ? null : CharacterKinds.of(bytes, words == Words.SYMBOLS), sink);
    int end;
    for (int begin = 0; begin < bytes.length; begin = end) {
      end = begin + 1;
      if (cutter.isSpace(begin)) {
        continue;
      }
      while (end < bytes.length && !cutter.isSpace(end)) {
        end++;
      }
      switch (words) {
        case PLAIN -> cutter.wordWithCharacters(begin, end);
        case LETTERS -> cutter.pieceOfLetters(begin, end);
        case SYMBOLS -> cutter.pieceOfSymbols(begin, end);
      }
    }
  }

  /** Extracts the features of one text, and remembers its last words. */
  private final class Cutter {
    private final byte[] bytes;

    /** The kinds of the bytes; null if all are ASCII, or only white space matters. */
    private final byte[] kinds;

    private final Sink sink;
    private final long[] before = new long[wordNgrams - 1];
    private final int[] beginsBefore = new int[wordNgrams - 1];
    private int wordsBefore;

    /** The characters of a word, between its ends. */
    private final int[] points = new int[characters.areNone() ? 0 : LONGEST_WORD + 2];

    /** The begin of each character, and the end of the last. */
    private final int[] begins = new int[points.length + 1];

    Cutter(byte[] bytes, byte[] kinds, Sink sink) {
      this.bytes = bytes;
      this.kinds = kinds;
      this.sink = sink;
    }

    boolean isSpace(int at) {
      return kinds == null ? bytes[at] >= 0 && bytes[at] <= ' ' : kinds[at] == SPACE;
    }

    private byte kind(int at) {
      return kinds == null ? CharacterKinds.ofAscii(bytes[at]) : kinds[at];
    }

    /** Extracts the features of a piece between white space, without those of symbols. */
    void pieceOfLetters(int from, int to) {
      int begin = beginWithoutPunctuation(from, to);
      int end = endWithoutPunctuation(begin, to);
      boolean whole = begin < end;
      int wordEnd;
      for (int at = begin; at < end; at = wordEnd) {
        wordEnd = endOfWord(at, end);
        if (kind(at) == LETTER || kind(at) == IDEOGRAPH) {
          whole &= kind(at) == LETTER && wordEnd - at < end - begin;
          wordWithCharacters(at, wordEnd);
        }
      }
      if (whole) {
        whole(begin, end);
      }
    }

    /** Extracts the features of a piece between white space, with those of symbols. */
    void pieceOfSymbols(int from, int to) {
      int begin = beginWithoutPunctuation(from, to);
      int end = endWithoutPunctuation(begin, to);
      boolean whole = begin < end;
      int last = from;
      int repeats = 0;
      int wordEnd;
      for (int at = from; at < to; at = wordEnd) {
        wordEnd = endOfWord(at, to);
        whole &= kind(at) != IDEOGRAPH && wordEnd - at < end - begin;
        boolean isRepeated =
            kind(at) >= AROUND && at > from && Arrays.equals(bytes, last, at, bytes, at, wordEnd);
        repeats = isRepeated ? repeats + 1 : 0;
        if (repeats < MAX_REPEATS) {
          word(at, wordEnd);
        }
        last = at;
      }
      if (whole) {
        whole(begin, end);
      }
      if (!characters.areNone()) {
        charactersOf(from, to);
      }
    }

    private void whole(int begin, int end) {
      sink.accept(shortened(hash(bytes, begin, end)), FeatureGroup.WORD, begin, end);
    }

    private int beginWithoutPunctuation(int from, int to) {
      int begin = from;
      while (begin < to && kind(begin) == AROUND) {
        begin = endOfCharacter(begin, to);
      }
      return begin;
    }

    /** Returns the end of a run of letters, or of another character. */
    private int endOfWord(int begin, int most) {
      int end = endOfCharacter(begin, most);
      while (kind(begin) == LETTER && end < most && kind(end) == LETTER) {
        end = endOfCharacter(end, most);
      }
      return end;
    }

    private int endWithoutPunctuation(int begin, int to) {
      int end = to;
      while (begin < end) {
        int last = beginOfCharacter(end - 1);
        if (kind(last) != AROUND) {
          break;
        }
        end = last;
      }
      return end;
    }

    private int endOfCharacter(int begin, int most) {
      int end = begin + 1;
      while (end < most && kind(end) == CONTINUED) {
        end++;
      }
      return end;
    }

    private int beginOfCharacter(int last) {
      int begin = last;
      while (kind(begin) == CONTINUED) {
        begin--;
      }
      return begin;
    }

    void wordWithCharacters(int begin, int end) {
      word(begin, end);
      if (!characters.areNone()) {
        charactersOf(begin, end);
      }
    }

    private void word(int begin, int end) {
      long key = hash(bytes, begin, end);
      sink.accept(shortened(key), FeatureGroup.WORD, begin, end);
      long ngram = key;
      for (int n = 0; n < Math.min(wordsBefore, before.length); n++) {
        ngram = mix(ngram * MULTIPLIER + before[n]);
        sink.accept(shortened(ngram), FeatureGroup.WORDS_IN_A_ROW, beginsBefore[n], end);
      }
      if (before.length > 0) {
        System.arraycopy(before, 0, before, 1, before.length - 1);
        System.arraycopy(beginsBefore, 0, beginsBefore, 1, before.length - 1);
        before[0] = key;
        beginsBefore[0] = begin;
      }
      wordsBefore++;
    }

    /** Extracts the character n-grams of a word or piece. */
    private void charactersOf(int begin, int end) {
      int count = 1;
      points[0] = END_OF_WORD;
      begins[0] = begin;
      int at = begin;
      while (at < end && count <= LONGEST_WORD) {
        begins[count] = at;
        points[count++] = bytes[at];
        at++;
        while (at < end && (bytes[at] & 0xC0) == 0x80) { // continuation bytes of UTF-8
          points[count - 1] = (points[count - 1] << 8) | (bytes[at++] & 0xFF);
        }
      }
      if (at == end) {
        begins[count] = end;
        points[count++] = END_OF_WORD;
      }
      begins[count] = at;
      for (int first = 0; first + characters.least() <= count; first++) {
        long ngram = OF_CHARACTERS;
        for (int n = 1; n <= Math.min(characters.most(), count - first); n++) {
          ngram = mix(ngram * MULTIPLIER + points[first + n - 1]);
          if (n >= characters.least() && begins[first] < begins[first + n] && n < count) {
            sink.accept(
                shortened(ngram), FeatureGroup.CHARACTERS, begins[first], begins[first + n]);
          }
        }
      }
    }
  }

  private static long hash(byte[] bytes, int begin, int end) {
    return MurmurHash3.hash128x64(bytes, begin, end - begin, 0)[0];
  }

  private static long mix(long x) {
    long y = (x ^ (x >>> 30)) * MULTIPLIER;
    return y ^ (y >>> 31);
  }

  private static long shortened(long key) {
    return key >>> (Long.SIZE - FeatureVocabulary.KEY_BITS);
  }
}
