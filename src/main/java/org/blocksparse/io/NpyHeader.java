// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.StringJoiner;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.files.MalformedException;

/**
 * The bytes before the elements of an array of NumPy: a magic number, a version, the length of the
 * header, and the header as a Python dictionary. The dictionary has three keys of known types, so
 * that a pattern reads it; nothing of Python is evaluated.
 *
 * @param kind {@code f} for floats, {@code i} for integers
 * @param elementBytes four or eight
 * @param size the number of elements
 */
record NpyHeader(
    char kind, int elementBytes, ByteOrder order, boolean fortran, long[] dims, long size) {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
  private static final int ALIGNMENT = 64;

  /** NumPy's own limit: no array needs more, and parsing takes time. */
  private static final int LONGEST = 10_000;

  /** Matches a string; NumPy writes one kind of quotes, and Python knows both. */
  private static final String STRING = "(?:'[^']*+'|\"[^\"]*+\")";

  private static final String ONE_FIELD =
      "\\s*+(?:'\\w++'|\"\\w++\")\\s*+:\\s*+(?:%s|\\w++|\\([^()]*+\\))\\s*+".formatted(STRING);
  private static final Pattern HEADER =
      Pattern.compile("\\s*+\\{((?:%1$s(?:,%1$s){0,7}+)?+),?+\\s*+\\}\\s*+".formatted(ONE_FIELD));
  private static final Pattern FIELD =
      Pattern.compile(
          "(?<key>%1$s)\\s*+:\\s*+(?:(?<string>%1$s)|(?<word>\\w++)|\\((?<tuple>[^()]*+)\\))"
              .formatted(STRING));

  /** Matches a shape; Python 2 ended numbers with an L. */
  private static final Pattern SHAPE =
      Pattern.compile("\\s*+(?:-?\\d++L?+\\s*+(?:,\\s*+-?\\d++L?+\\s*+)*+,?+\\s*+)?+");

  private static final Pattern DIMENSION = Pattern.compile("-?\\d++");
  private static final Pattern TYPE = Pattern.compile("([<>=|])([fi])([48])");

  /** Returns the bytes of the elements. */
  long dataBytes() {
    return size * elementBytes;
  }

  /** Returns the type in messages. */
  String type() {
    return (kind == 'f' ? "float" : "int") + 8 * elementBytes;
  }

  // ------------------------------------------------------------------------------------ reading

  /** A header, and the bytes up to the elements. */
  record Read(NpyHeader header, long bytesBefore) {}

  /**
   * Reads up to the first element.
   *
   * @param name the array, for messages
   */
  static Read read(InputStream in, String name) throws IOException {
    byte[] start = exactly(in, MAGIC.length + 2, name, "the magic number");
    if (!Arrays.equals(MAGIC, 0, MAGIC.length, start, 0, MAGIC.length)) {
      throw new MalformedException(name, "does not begin like an array of NumPy");
    }
    int version = start[MAGIC.length];
    int minor = start[MAGIC.length + 1];
    if (version < 1 || version > 3 || minor != 0) {
      throw new MalformedException(
          name, "has version " + version + "." + minor + "; 1.0 to 3.0 can be read");
    }
    byte[] lengthBytes = exactly(in, version == 1 ? 2 : 4, name, "the length of the header");
    ByteBuffer length = ByteBuffer.wrap(lengthBytes).order(ByteOrder.LITTLE_ENDIAN);
    long textBytes =
        version == 1
            ? Short.toUnsignedInt(length.getShort())
            : Integer.toUnsignedLong(length.getInt());
    if (textBytes > LONGEST) {
      throw new MalformedException(
          name, "has a header of " + textBytes + " bytes, more than " + LONGEST);
    }
    byte[] text = exactly(in, (int) textBytes, name, "the header");
    return new Read(
        parse(new String(text, ISO_8859_1), name), start.length + lengthBytes.length + textBytes);
  }

  private static byte[] exactly(InputStream in, int count, String name, String what)
      throws IOException {
    byte[] bytes = in.readNBytes(count);
    if (bytes.length < count) {
      throw new MalformedException(name, what + " is cut off");
    }
    return bytes;
  }

  private static NpyHeader parse(String text, String name) throws MalformedException {
    Matcher whole = HEADER.matcher(text);
    if (!whole.matches()) {
      throw new MalformedException(
          name, "has a header that is no dictionary: " + MalformedException.excerpt(text.strip()));
    }
    String type = null;
    String fortran = null;
    String dims = null;
    Matcher field = FIELD.matcher(whole.group(1));
    while (field.find()) {
      String key = unquoted(field.group("key"));
      boolean twice;
      switch (key) {
        case "descr" -> {
          twice = type != null;
          type = unquoted(field.group("string"));
        }
        case "fortran_order" -> {
          twice = fortran != null;
          fortran = field.group("word");
        }
        case "shape" -> {
          twice = dims != null;
          dims = field.group("tuple");
        }
        default ->
            throw new MalformedException(
                name, "has the unknown field " + MalformedException.excerpt(key));
      }
      if (twice) {
        throw new MalformedException(name, "has the field " + key + " twice");
      }
    }
    if (type == null || dims == null || fortran == null || !fortran.matches("True|False")) {
      throw new MalformedException(
          name,
          "has a header without descr, fortran_order or shape: "
              + MalformedException.excerpt(text.strip()));
    }
    return of(type, dims, fortran.equals("True"), name);
  }

  private static String unquoted(String string) {
    return string == null ? null : string.substring(1, string.length() - 1);
  }

  private static NpyHeader of(String type, String dimsText, boolean fortran, String name)
      throws MalformedException {
    Matcher parts = TYPE.matcher(type);
    if (!parts.matches()) {
      throw new MalformedException(
          name,
          "has the type "
              + MalformedException.excerpt(type)
              + "; float32, float64, int32 and int64 can be read");
    }
    ByteOrder order =
        switch (parts.group(1)) {
          case "<" -> ByteOrder.LITTLE_ENDIAN;
          case ">" -> ByteOrder.BIG_ENDIAN;
          default -> ByteOrder.nativeOrder();
        };
    if (!SHAPE.matcher(dimsText).matches()) {
      throw new MalformedException(
          name, "has the shape (" + MalformedException.excerpt(dimsText) + ")");
    }
    List<String> words = DIMENSION.matcher(dimsText).results().map(MatchResult::group).toList();
    if (words.size() > Dimensions.MOST) {
      throw new MalformedException(name, "has more than " + Dimensions.MOST + " dimensions");
    }
    int elementBytes = Integer.parseInt(parts.group(3));
    try {
      long[] dims = words.stream().mapToLong(Long::parseLong).toArray();
      long size = Dimensions.size(dims, elementBytes);
      return new NpyHeader(parts.group(2).charAt(0), elementBytes, order, fortran, dims, size);
    } catch (NumberFormatException e) {
      throw new MalformedException(
          name, "has the shape (" + MalformedException.excerpt(dimsText) + ")", e);
    } catch (IllegalArgumentException e) {
      throw new MalformedException(name, e.getMessage(), e);
    }
  }

  // ------------------------------------------------------------------------------------ writing

  /** Returns all bytes before the elements: version 1.0, C order, elements of four bytes. */
  static byte[] bytes(char kind, long[] dims) {
    StringJoiner joined = new StringJoiner(", ", "(", dims.length == 1 ? ",)" : ")");
    for (long dim : dims) {
      joined.add(Long.toString(dim));
    }
    String text = "{'descr': '<" + kind + "4', 'fortran_order': False, 'shape': " + joined + ", }";
    int before = MAGIC.length + 4;
    int total = (before + text.length() + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    String padded = text + " ".repeat(total - before - text.length() - 1) + "\n";
    return ByteBuffer.allocate(total)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(MAGIC)
        .put((byte) 1)
        .put((byte) 0)
        .putShort((short) padded.length())
        .put(padded.getBytes(US_ASCII))
        .array();
  }
}
