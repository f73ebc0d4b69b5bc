// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static org.blocksparse.internal.files.SafeTensorsHeader.HEADER;
import static org.blocksparse.internal.files.SafeTensorsHeader.LONGEST_WIDE;
import static org.blocksparse.internal.files.SafeTensorsHeader.METADATA;
import static org.blocksparse.internal.files.SafeTensorsHeader.MOST_ENTRIES;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.exc.StreamConstraintsException;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Writer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads the text of a {@link SafeTensorsHeader}: every rule of the format is checked. */
final class SafeTensorsHeaderParser {
  private final Map<String, TensorEntry> entries = new LinkedHashMap<>();
  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final JsonParser json;

  private SafeTensorsHeaderParser(JsonParser json) {
    this.json = json;
  }

  /**
   * Reads the text, which is never in memory as a whole.
   *
   * @param text all of it; it begins with a brace, as the caller knows
   * @param factory made before: without Jackson, not even this class can be loaded
   * @param dataBytes the bytes of the file after the header
   * @throws MalformedException if a rule of the format is broken
   * @throws IOException if the file cannot be read
   */
  static SafeTensorsHeader parse(JsonFactory factory, InputStream text, long dataBytes)
      throws IOException {
    // Decoded here, since the parser would guess other encodings than the format's.
    InputStreamReader characters = new InputStreamReader(text, StandardCharsets.UTF_8.newDecoder());
    try (JsonParser json = factory.createParser(characters)) {
      SafeTensorsHeaderParser parser = new SafeTensorsHeaderParser(json);
      parser.readAll();
      parser.checkPlaces(dataBytes);
      return new SafeTensorsHeader(parser.entries, parser.metadata);
    } catch (CharacterCodingException e) {
      throw new MalformedException(HEADER, "is not UTF-8", e);
    } catch (StreamConstraintsException e) {
      throw new MalformedException(HEADER, "is beyond the limits: " + e.getOriginalMessage(), e);
    } catch (JsonProcessingException e) {
      throw new MalformedException(HEADER, "is not JSON: " + e.getOriginalMessage(), e);
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
    require(HEADER, json.nextToken() == null, "goes on after its end");
  }

  /** Returns the next key of an object, or null at its end. */
  private String nextName(String part) throws IOException {
    JsonToken token = json.nextToken();
    require(part, token != null, "has no end");
    return token == JsonToken.END_OBJECT ? null : json.currentName();
  }

  private static void require(String part, boolean holds, String otherwise)
      throws MalformedException {
    if (!holds) {
      throw new MalformedException(part, otherwise);
    }
  }

  private void readMetadata() throws IOException {
    require(METADATA, json.nextToken() == JsonToken.START_OBJECT, "is not an object");
    for (String key = nextName(METADATA); key != null; key = nextName(METADATA)) {
      require(METADATA, json.nextToken() == JsonToken.VALUE_STRING, "holds what is not a string");
      String value = text(METADATA);
      require(
          METADATA,
          SafeTensorsHeader.isText(key) && SafeTensorsHeader.isText(value),
          "holds half of a character, which is no text");
      metadata.put(key, value);
      require(METADATA, metadata.size() <= MOST_ENTRIES, "has more than " + MOST_ENTRIES + " keys");
    }
  }

  /**
   * Returns the current string, which is looked at before it is made if it could take much memory.
   */
  private String text(String part) throws IOException {
    if (json.getTextLength() > LONGEST_WIDE) {
      json.getText(new LatinOnly(part));
    }
    return json.getText();
  }

  /** Accepts letters of Latin-1, and rejects others. */
  private static final class LatinOnly extends Writer {
    private final String part;

    LatinOnly(String part) {
      this.part = part;
    }

    @Override
    public void write(char[] letters, int begin, int count) throws MalformedException {
      for (int i = begin; i < begin + count; i++) {
        require(
            part,
            !SafeTensorsHeader.isWide(letters[i]),
            "has a string beyond Latin-1 of more than " + LONGEST_WIDE + " letters");
      }
    }

    @Override
    public void flush() {}

    @Override
    public void close() {}
  }

  private void readEntry(String name) throws IOException {
    require(
        HEADER,
        SafeTensorsHeader.isText(name),
        "a name holds half of a character, which is no text");
    require(name, json.nextToken() == JsonToken.START_OBJECT, "is not an object");
    String type = null;
    long[] dims = null;
    long[] place = null;
    for (String key = nextName(name); key != null; key = nextName(name)) {
      JsonToken value = json.nextToken();
      switch (key) {
        case "dtype" -> {
          require(name, value == JsonToken.VALUE_STRING, "its dtype is not a string");
          type = text(name);
        }
        case "shape" -> dims = readNumbers(name, "shape", Dimensions.MOST_READ);
        case "data_offsets" -> place = readNumbers(name, "data_offsets", 2);
        default ->
            throw new MalformedException(
                name, "has the unknown field " + MalformedException.excerpt(key));
      }
    }
    require(name, type != null, "has no dtype");
    require(name, dims != null, "has no shape");
    require(name, place != null && place.length == 2, "has no two data_offsets");
    entries.put(name, entry(name, type, dims, place[0], place[1]));
    require(HEADER, entries.size() <= MOST_ENTRIES, "has more than " + MOST_ENTRIES + " tensors");
  }

  private long[] readNumbers(String name, String field, int most) throws IOException {
    require(name, json.currentToken() == JsonToken.START_ARRAY, "its " + field + " is no list");
    List<Long> numbers = new ArrayList<>();
    while (json.nextToken() == JsonToken.VALUE_NUMBER_INT) {
      require(name, numbers.size() < most, "its " + field + " has more than " + most + " numbers");
      boolean large = json.getNumberType() == JsonParser.NumberType.BIG_INTEGER;
      require(name, !large, "its " + field + " holds a number above 2^63");
      long number = json.getLongValue();
      require(name, number >= 0, "its " + field + " holds the negative number " + number);
      numbers.add(number);
    }
    require(
        name,
        json.currentToken() == JsonToken.END_ARRAY,
        "its " + field + " holds what is not a whole number");
    return numbers.stream().mapToLong(Long::longValue).toArray();
  }

  /** Types and alignment are checked when the tensor is requested. */
  private static TensorEntry entry(String name, String typeName, long[] dims, long begin, long end)
      throws MalformedException {
    require(
        name, begin <= end, "its data_offsets [" + begin + ", " + end + ") end before they begin");
    Dtype type = Dtype.named(typeName);
    if (type == Dtype.OTHER) {
      return new TensorEntry(name, typeName, dims, begin, end - begin);
    }
    TensorEntry entry;
    try {
      entry = TensorEntry.of(name, type, dims, begin);
    } catch (IllegalArgumentException e) {
      throw new MalformedException(name, e.getMessage(), e);
    }
    require(
        name,
        end - begin == entry.bytes(),
        "its data_offsets ["
            + begin
            + ", "
            + end
            + ") are not the "
            + entry.bytes()
            + " bytes of "
            + entry.text());
    return entry;
  }

  /** Checks that the tensors lie one after the other, and the file ends after the last one. */
  private void checkPlaces(long dataBytes) throws MalformedException {
    List<TensorEntry> inOrder = new ArrayList<>(entries.values());
    inOrder.sort(Comparator.comparingLong(TensorEntry::begin).thenComparingLong(TensorEntry::end));
    for (TensorEntry entry : inOrder) {
      require(
          entry.name(),
          entry.end() <= dataBytes,
          "its data ends at "
              + entry.end()
              + ", but the file holds only "
              + dataBytes
              + " bytes of data");
    }
    long next = 0;
    for (TensorEntry entry : inOrder) {
      String begins = "its data begins at " + entry.begin();
      require(
          entry.name(),
          entry.begin() >= next,
          begins + " and overlaps another tensor's, which ends at " + next);
      require(entry.name(), entry.begin() == next, begins + " and leaves a gap after " + next);
      next = entry.end();
    }
    require(HEADER, next == dataBytes, (dataBytes - next) + " bytes of the file are no tensor's");
  }
}
