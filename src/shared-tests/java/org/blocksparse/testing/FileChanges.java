// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Tuple;

/**
 * Random changes of a file: bytes and bits of any file; for a safetensors file also its length, the
 * words of its header, which stays JSON, and the numbers of its tensors. Positions are chosen
 * around the ends of what they point into.
 */
public final class FileChanges {
  /** Text that breaks parsers: pieces of JSON, limits of numbers. */
  private static final List<String> PIECES =
      List.of(
          ("{ } [ ] \" , : - . e9 0 1 3 9223372036854775807 18446744073709551616 null true \\u0000"
                  + " \"W1\" \"shape\" [0] F64 BOOL \u0000 \u00ff \u007f")
              .split(" "));

  /** Replacements of a word of a header. */
  private static final List<String> WORDS =
      List.of(
          ("\"F32\" \"F16\" \"BF16\" \"I8\" \"I32\" \"U8\" \"F64\" \"BOOL\" \"\" \"x\""
                  + " \"ADAM\" \"SGD\" \"LabelTree\" 0 1 2 1073741824 2147483647 2147483648"
                  + " 4611686018427387904 9223372036854775807 -1 1e9")
              .split(" "));

  private static final List<Integer> NUMBERS =
      List.of(
          0,
          1,
          -1,
          1 << 24,
          1 << 30,
          Integer.MAX_VALUE,
          Integer.MIN_VALUE,
          Float.floatToIntBits(1e38f),
          Float.floatToIntBits(-Float.MIN_VALUE),
          Float.floatToIntBits(Float.NaN),
          Float.floatToIntBits(Float.POSITIVE_INFINITY));

  private static final List<Long> LENGTHS =
      List.of(0L, 1L, 2L, 100_000_001L, 1L << 31, 1L << 62, Long.MAX_VALUE, -1L);

  private static final Pattern WORD = Pattern.compile("\"[^\"]*\"|[0-9]+");

  private FileChanges() {}

  /** A change, with a description. */
  private record Change(String words, UnaryOperator<byte[]> change)
      implements UnaryOperator<byte[]> {
    @Override
    public byte[] apply(byte[] file) {
      return change.apply(file);
    }

    @Override
    public String toString() {
      return words;
    }
  }

  /**
   * Returns up to three changes, one after the other.
   *
   * @param others files whose headers may take the place of another's
   */
  public static Arbitrary<List<UnaryOperator<byte[]>>> all(List<byte[]> others) {
    return Arbitraries.frequencyOf(
            Tuple.of(1, replaced()),
            Tuple.of(1, flipped()),
            Tuple.of(1, cut()),
            Tuple.of(1, lengths()),
            Tuple.of(1, headersOf(others)),
            // Most other changes are rejected at once; these reach later checks.
            Tuple.of(3, replacedWords()),
            Tuple.of(3, exchangedWords()),
            Tuple.of(6, numbers()))
        .list()
        .ofMinSize(1)
        .ofMaxSize(3);
  }

  public static byte[] apply(List<UnaryOperator<byte[]>> changes, byte[] file) {
    byte[] changed = file;
    for (UnaryOperator<byte[]> change : changes) {
      changed = change.apply(changed);
    }
    return changed;
  }

  private static Arbitrary<Integer> positions() {
    return Arbitraries.integers().between(0, 5000);
  }

  private static Arbitrary<UnaryOperator<byte[]>> replaced() {
    Arbitrary<byte[]> pieces = Arbitraries.of(PIECES).map(piece -> piece.getBytes(ISO_8859_1));
    Arbitrary<byte[]> bytes = Arbitraries.bytes().array(byte[].class).ofMaxSize(8);
    return Combinators.combine(
            positions(), Arbitraries.integers().between(0, 40), Arbitraries.oneOf(pieces, bytes))
        .as(
            (position, removed, added) ->
                new Change(
                    removed + " bytes at " + position + " by " + HexFormat.of().formatHex(added),
                    file -> {
                      int begin = position % (file.length + 1);
                      int end = Math.min(file.length, begin + removed);
                      return joined(
                          Arrays.copyOf(file, begin),
                          added,
                          Arrays.copyOfRange(file, end, file.length));
                    }));
  }

  private static Arbitrary<UnaryOperator<byte[]>> flipped() {
    return Arbitraries.integers()
        .between(0, 40_000)
        .map(
            bit ->
                new Change(
                    "bit " + bit,
                    file -> {
                      byte[] changed = file.clone();
                      if (file.length > 0) {
                        changed[bit / 8 % file.length] ^= (byte) (1 << bit % 8);
                      }
                      return changed;
                    }));
  }

  private static Arbitrary<UnaryOperator<byte[]>> cut() {
    return positions()
        .map(
            length ->
                new Change(
                    "cut at " + length, file -> Arrays.copyOf(file, length % (file.length + 1))));
  }

  private static Arbitrary<UnaryOperator<byte[]>> lengths() {
    return Arbitraries.of(LENGTHS)
        .map(
            length ->
                new Change(
                    "length " + length,
                    file -> {
                      byte[] changed = file.clone();
                      if (file.length >= Long.BYTES) {
                        littleEndian(changed).putLong(0, length);
                      }
                      return changed;
                    }));
  }

  private static Arbitrary<UnaryOperator<byte[]>> numbers() {
    return Combinators.combine(positions(), Arbitraries.of(NUMBERS))
        .as(
            (position, number) ->
                new Change(
                    "number " + position + " = " + number,
                    file -> {
                      byte[] changed = file.clone();
                      int data = dataOf(file);
                      int count = (file.length - data) / Integer.BYTES;
                      if (count > 0) {
                        littleEndian(changed)
                            .putInt(data + position % count * Integer.BYTES, number);
                      }
                      return changed;
                    }));
  }

  // ------------------------------------------------------------------------------------ headers

  private static Arbitrary<UnaryOperator<byte[]>> replacedWords() {
    return Combinators.combine(positions(), Arbitraries.of(WORDS))
        .as(
            (position, by) ->
                new Change("word " + position + " by " + by, file -> word(file, position, by)));
  }

  private static byte[] word(byte[] file, int position, String by) {
    String header = headerOf(file);
    List<MatchResult> words = WORD.matcher(header).results().toList();
    if (words.isEmpty()) {
      return file;
    }
    MatchResult word = words.get(position % words.size());
    return withHeader(file, header.substring(0, word.start()) + by + header.substring(word.end()));
  }

  private static Arbitrary<UnaryOperator<byte[]>> exchangedWords() {
    return Combinators.combine(positions(), Arbitraries.integers().between(1, 40))
        .as(
            (position, distance) ->
                new Change(
                    "word " + position + " and that " + distance + " after it",
                    file -> {
                      List<String> words =
                          WORD.matcher(headerOf(file)).results().map(MatchResult::group).toList();
                      if (words.isEmpty()) {
                        return file;
                      }
                      int first = position % words.size();
                      int second = (first + distance) % words.size();
                      return word(word(file, first, words.get(second)), second, words.get(first));
                    }));
  }

  private static Arbitrary<UnaryOperator<byte[]>> headersOf(List<byte[]> others) {
    return Arbitraries.integers()
        .between(0, others.size() - 1)
        .map(
            other ->
                new Change(
                    "header of " + other, file -> withHeader(file, headerOf(others.get(other)))));
  }

  /** Returns the begin of the data of a safetensors file; 0 for other files. */
  private static int dataOf(byte[] file) {
    long header = file.length < Long.BYTES ? 0 : littleEndian(file).getLong(0);
    return header > 0 && header <= file.length - Long.BYTES ? (int) (Long.BYTES + header) : 0;
  }

  private static String headerOf(byte[] file) {
    int data = dataOf(file);
    return data == 0 ? "" : new String(file, Long.BYTES, data - Long.BYTES, ISO_8859_1);
  }

  /** Returns the file with another header, padded so that a file that could be mapped still can. */
  private static byte[] withHeader(byte[] file, String header) {
    int data = dataOf(file);
    if (data == 0) {
      return file;
    }
    String text = header.stripTrailing();
    byte[] padded = (text + " ".repeat(-text.length() & 7)).getBytes(ISO_8859_1);
    byte[] length = new byte[Long.BYTES];
    littleEndian(length).putLong(0, padded.length);
    return joined(length, padded, Arrays.copyOfRange(file, data, file.length));
  }

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static byte[] joined(byte[] first, byte[] second, byte[] third) {
    return ByteBuffer.allocate(first.length + second.length + third.length)
        .put(first)
        .put(second)
        .put(third)
        .array();
  }
}
