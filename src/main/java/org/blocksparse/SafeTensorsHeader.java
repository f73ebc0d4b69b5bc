// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The header of a safetensors file: eight bytes with the length of the JSON text that follows,
 * which tells type, shape and place of each tensor. The tensors lie behind it without gaps, in
 * little-endian order. What is read was written by anybody: every rule of the format is checked.
 */
final class SafeTensorsHeader {
  /** The limit of the format. */
  static final int LONGEST = 100_000_000;

  static final String HEADER = "header";
  private static final String METADATA = "__metadata__";
  private static final int MOST_DIMENSIONS = 32;

  /** Bytes of an element of each type of the format. */
  private static final Map<String, Integer> ELEMENT_BYTES =
      Map.ofEntries(
          Map.entry("BOOL", 1),
          Map.entry("U8", 1),
          Map.entry("I8", 1),
          Map.entry("F8_E5M2", 1),
          Map.entry("F8_E4M3", 1),
          Map.entry("F8_E8M0", 1),
          Map.entry("U16", 2),
          Map.entry("I16", 2),
          Map.entry("F16", 2),
          Map.entry("BF16", 2),
          Map.entry("U32", 4),
          Map.entry("I32", 4),
          Map.entry("F32", 4),
          Map.entry("U64", 8),
          Map.entry("I64", 8),
          Map.entry("F64", 8),
          Map.entry("C64", 8));

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder().maxNestingDepth(8).maxStringLength(LONGEST).build())
          .build();

  /** A tensor; begin and end are offsets from where the data begins. */
  record Entry(String name, String type, Shape shape, long begin, long end) {
    long bytes() {
      return end - begin;
    }
  }

  private final Map<String, Entry> entries;
  private final Map<String, String> metadata;

  private SafeTensorsHeader(Map<String, Entry> entries, Map<String, String> metadata) {
    this.entries = entries;
    this.metadata = metadata;
  }

  /** The tensors by name. */
  Map<String, Entry> entries() {
    return entries;
  }

  /** The strings that belong to all of the file. */
  Map<String, String> metadata() {
    return metadata;
  }

  // ------------------------------------------------------------------------------------ writing

  /** Lays out tensors one behind the other, in the order that they are added. */
  static final class Builder {
    private final List<Entry> entries = new ArrayList<>();
    private long end;

    Builder add(String name, String type, Shape shape) {
      long begin = end;
      end += shape.size() * ELEMENT_BYTES.get(type);
      entries.add(new Entry(name, type, shape, begin, end));
      return this;
    }

    List<Entry> entries() {
      return entries;
    }

    /** The bytes of the data. */
    long dataBytes() {
      return end;
    }

    /**
     * Length and text, filled up with spaces so that the data begins at a multiple of alignment.
     */
    byte[] header(Map<String, String> metadata, int alignment) throws IOException {
      ByteArrayOutputStream text = new ByteArrayOutputStream();
      try (JsonGenerator json = JSON.createGenerator(text)) {
        json.writeStartObject();
        json.writeObjectFieldStart(METADATA);
        for (Map.Entry<String, String> entry : metadata.entrySet()) {
          json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
        for (Entry entry : entries) {
          json.writeObjectFieldStart(entry.name());
          json.writeStringField("dtype", entry.type());
          json.writeFieldName("shape");
          long[] dims = entry.shape().toArray();
          json.writeArray(dims, 0, dims.length);
          json.writeFieldName("data_offsets");
          json.writeArray(new long[] {entry.begin(), entry.end()}, 0, 2);
          json.writeEndObject();
        }
        json.writeEndObject();
      }
      while ((Long.BYTES + text.size()) % alignment != 0) {
        text.write(' ');
      }
      if (text.size() > LONGEST) {
        throw new IllegalArgumentException(
            "metadata: the header would have "
                + text.size()
                + " bytes, more than the format's limit"
                + " of "
                + LONGEST);
      }
      return ByteBuffer.allocate(Long.BYTES + text.size())
          .order(ByteOrder.LITTLE_ENDIAN)
          .putLong(text.size())
          .put(text.toByteArray())
          .array();
    }
  }

  // ------------------------------------------------------------------------------------ reading

  /**
   * The length of the text, from the first eight bytes.
   *
   * @throws FileFormatException if there is no file with such a header
   */
  static int length(Path file, long first, long fileBytes) throws FileFormatException {
    if (first < 2 || first > fileBytes - Long.BYTES) {
      throw new FileFormatException(
          file,
          HEADER,
          "its length "
              + Long.toUnsignedString(first)
              + " does not fit into a file of "
              + fileBytes
              + " bytes");
    }
    if (first > LONGEST) {
      throw new FileFormatException(
          file, HEADER, "its length " + first + " is above the limit of the format, " + LONGEST);
    }
    return (int) first;
  }

  /**
   * Reads the text.
   *
   * @param dataBytes the bytes of the file behind the header
   * @throws FileFormatException if a rule of the format is broken
   */
  static SafeTensorsHeader parse(Path file, byte[] text, long dataBytes)
      throws FileFormatException {
    Parser parser = new Parser(file);
    parser.read(text);
    parser.checkPlaces(dataBytes);
    return new SafeTensorsHeader(parser.entries, parser.metadata);
  }

  private static final class Parser {
    final Map<String, Entry> entries = new LinkedHashMap<>();
    final Map<String, String> metadata = new LinkedHashMap<>();
    private final Path file;
    private JsonParser json;

    Parser(Path file) {
      this.file = file;
    }

    private FileFormatException malformed(String part, String reason) {
      return new FileFormatException(file, part, reason);
    }

    void read(byte[] text) throws FileFormatException {
      if (text[0] != '{') {
        throw malformed(HEADER, "does not begin with {");
      }
      try {
        // Decoded here, since the parser would guess at other encodings than the format's.
        CharBuffer characters = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(text));
        json =
            JSON.createParser(characters.array(), characters.arrayOffset(), characters.remaining());
        readAll();
      } catch (FileFormatException e) {
        throw e;
      } catch (CharacterCodingException e) {
        throw new FileFormatException(file, HEADER, "is not UTF-8", e);
      } catch (JsonProcessingException e) {
        throw new FileFormatException(file, HEADER, "is not JSON: " + e.getOriginalMessage(), e);
      } catch (IOException e) {
        throw new FileFormatException(file, HEADER, "cannot be parsed: " + e.getMessage(), e);
      }
    }

    private void readAll() throws IOException {
      require(HEADER, json.nextToken() == JsonToken.START_OBJECT, "is not an object");
      for (String name = nextName(HEADER); name != null; name = nextName(HEADER)) {
        if (name.equals(METADATA)) {
          readMetadata();
        } else {
          readEntry(name);
        }
      }
      require(HEADER, json.nextToken() == null, "goes on behind its end");
    }

    /** The next key of an object, or null at its end. */
    private String nextName(String part) throws IOException {
      JsonToken token = json.nextToken();
      require(part, token != null, "has no end");
      return token == JsonToken.END_OBJECT ? null : json.currentName();
    }

    private void require(String part, boolean holds, String otherwise) throws FileFormatException {
      if (!holds) {
        throw malformed(part, otherwise);
      }
    }

    private void readMetadata() throws IOException {
      require(METADATA, json.nextToken() == JsonToken.START_OBJECT, "is not an object");
      for (String key = nextName(METADATA); key != null; key = nextName(METADATA)) {
        require(METADATA, json.nextToken() == JsonToken.VALUE_STRING, "holds what is not a string");
        metadata.put(key, json.getText());
      }
    }

    private void readEntry(String name) throws IOException {
      // Nothing here becomes a name in a file system, but somebody's tool may make it one.
      require(
          name.isEmpty() ? HEADER : name,
          name.chars().allMatch(c -> c > ' ' && c != 0x7f && "/\\:".indexOf(c) < 0)
              && !name.isEmpty()
              && !name.startsWith("."),
          "is not a name of a tensor: it is empty, or it could be a path");
      require(name, json.nextToken() == JsonToken.START_OBJECT, "is not an object");
      String type = null;
      long[] dims = null;
      long[] place = null;
      for (String key = nextName(name); key != null; key = nextName(name)) {
        JsonToken value = json.nextToken();
        switch (key) {
          case "dtype" -> {
            require(name, value == JsonToken.VALUE_STRING, "its dtype is not a string");
            type = json.getText();
          }
          case "shape" -> dims = readNumbers(name, "shape", MOST_DIMENSIONS);
          case "data_offsets" -> place = readNumbers(name, "data_offsets", 2);
          default -> throw malformed(name, "has the unknown field " + key);
        }
      }
      require(name, type != null, "has no dtype");
      require(name, dims != null, "has no shape");
      require(name, place != null && place.length == 2, "has no two data_offsets");
      entries.put(name, entry(name, type, dims, place[0], place[1]));
    }

    private long[] readNumbers(String name, String field, int most) throws IOException {
      require(name, json.currentToken() == JsonToken.START_ARRAY, "its " + field + " is no list");
      List<Long> numbers = new ArrayList<>();
      while (json.nextToken() == JsonToken.VALUE_NUMBER_INT) {
        require(
            name, numbers.size() < most, "its " + field + " has more than " + most + " numbers");
        JsonParser.NumberType size = json.getNumberType();
        require(
            name,
            size != JsonParser.NumberType.BIG_INTEGER && json.getLongValue() >= 0,
            "its "
                + field
                + " holds "
                + (size == JsonParser.NumberType.BIG_INTEGER
                    ? "a number above 2^63"
                    : "the negative number " + json.getLongValue()));
        numbers.add(json.getLongValue());
      }
      require(
          name,
          json.currentToken() == JsonToken.END_ARRAY,
          "its " + field + " holds what is not a whole number");
      return numbers.stream().mapToLong(Long::longValue).toArray();
    }

    private Entry entry(String name, String type, long[] dims, long begin, long end)
        throws FileFormatException {
      Integer elementBytes = ELEMENT_BYTES.get(type);
      require(name, elementBytes != null, "has the unknown dtype " + type);
      Shape shape;
      try {
        shape = Shape.of(dims);
      } catch (IllegalArgumentException e) {
        throw new FileFormatException(file, name, e.getMessage(), e);
      }
      require(
          name,
          shape.size() <= Long.MAX_VALUE / elementBytes,
          "its shape " + shape + " has too many bytes");
      long bytes = shape.size() * elementBytes;
      require(
          name,
          begin <= end && end - begin == bytes,
          "its data_offsets ["
              + begin
              + ", "
              + end
              + ") are not the "
              + bytes
              + " bytes of "
              + type
              + " "
              + shape);
      require(
          name,
          begin % Math.min(elementBytes, 4) == 0,
          "its data begins at " + begin + ", which is misaligned for " + type);
      return new Entry(name, type, shape, begin, end);
    }

    /** The tensors lie one behind the other, and behind the last one the file ends. */
    void checkPlaces(long dataBytes) throws FileFormatException {
      List<Entry> inOrder = new ArrayList<>(entries.values());
      inOrder.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
      long next = 0;
      for (Entry entry : inOrder) {
        require(
            entry.name(),
            entry.end() <= dataBytes,
            "its data ends at "
                + entry.end()
                + ", but the file holds only "
                + dataBytes
                + " bytes of data");
      }
      for (Entry entry : inOrder) {
        require(
            entry.name(),
            entry.begin() >= next,
            "its data begins at "
                + entry.begin()
                + " and overlaps another tensor's, which ends at "
                + next);
        require(
            entry.name(),
            entry.begin() == next,
            "its data begins at " + entry.begin() + " and leaves a gap behind " + next);
        next = entry.end();
      }
      require(HEADER, next == dataBytes, (dataBytes - next) + " bytes of the file are no tensor's");
    }
  }
}
