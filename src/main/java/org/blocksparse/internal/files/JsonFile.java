// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;

/** The JSON files beside the tensors of a model. */
final class JsonFile {
  private static final long LONGEST_CONFIG = 1 << 20;

  /** The longest index, about twice that of the largest models, of 200,000 tensors. */
  private static final long LONGEST_INDEX = 1 << 26;

  private JsonFile() {}

  private interface Content<T> {
    T read(JsonParser json) throws IOException;
  }

  /**
   * Reads an object: strings, booleans, longs, doubles, lists and maps. A null is left out.
   *
   * @throws MalformedException if the file is no such object, or too large
   */
  static Map<String, Object> readObject(Path file) throws IOException {
    return read(
        file,
        LONGEST_CONFIG,
        json -> {
          require(file, json.nextToken() == JsonToken.START_OBJECT, "is not an object");
          return readObject(file, json);
        });
  }

  /**
   * Reads the index of a model: which file has each tensor.
   *
   * @param taker receives the name of a tensor, and the name of its file
   */
  static void readIndex(Path file, BiConsumer<String, String> taker) throws IOException {
    read(
        file,
        LONGEST_INDEX,
        json -> {
          require(file, json.nextToken() == JsonToken.START_OBJECT, "is not an object");
          while (json.nextToken() == JsonToken.FIELD_NAME) {
            boolean isMap = json.currentName().equals("weight_map");
            JsonToken value = json.nextToken();
            if (!isMap) {
              json.skipChildren();
              continue;
            }
            require(file, value == JsonToken.START_OBJECT, "its weight_map is not an object");
            while (json.nextToken() == JsonToken.FIELD_NAME) {
              String name = json.currentName();
              require(
                  file,
                  json.nextToken() == JsonToken.VALUE_STRING,
                  "its weight_map holds what is not a string");
              taker.accept(name, json.getText());
            }
          }
          return null;
        });
  }

  private static <T> T read(Path file, long longest, Content<T> content) throws IOException {
    long size = Files.size(RegularFile.require(file));
    require(file, size <= longest, "has " + size + " bytes, more than the limit of " + longest);
    try (Reader text =
            new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8.newDecoder());
        JsonParser json = SafeTensorsHeader.json().createParser(text)) {
      T read = content.read(json);
      require(file, json.nextToken() == null, "goes on after its end");
      return read;
    } catch (CharacterCodingException e) {
      throw new MalformedException(name(file), "is not UTF-8", e);
    } catch (JsonProcessingException e) {
      throw new MalformedException(name(file), "is not JSON: " + e.getOriginalMessage(), e);
    }
  }

  private static Map<String, Object> readObject(Path file, JsonParser json) throws IOException {
    Map<String, Object> all = new LinkedHashMap<>();
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String key = json.currentName();
      Object value = readValue(file, json, json.nextToken());
      if (value != null) {
        all.put(key, value);
      }
    }
    require(file, json.currentToken() == JsonToken.END_OBJECT, "has no end");
    return Collections.unmodifiableMap(all);
  }

  private static Object readValue(Path file, JsonParser json, JsonToken token) throws IOException {
    require(file, token != null, "has no end");
    return switch (token) {
      case START_OBJECT -> readObject(file, json);
      case START_ARRAY -> {
        List<Object> all = new ArrayList<>();
        for (JsonToken next = json.nextToken();
            next != JsonToken.END_ARRAY;
            next = json.nextToken()) {
          all.add(readValue(file, json, next));
        }
        yield Collections.unmodifiableList(all);
      }
      case VALUE_TRUE, VALUE_FALSE -> json.getBooleanValue();
      case VALUE_NUMBER_INT ->
          json.getNumberType() == JsonParser.NumberType.BIG_INTEGER
              ? (Object) json.getDoubleValue()
              : (Object) json.getLongValue();
      case VALUE_NUMBER_FLOAT -> json.getDoubleValue();
      case VALUE_NULL -> null;
      default -> json.getText();
    };
  }

  private static String name(Path file) {
    return String.valueOf(file.getFileName());
  }

  private static void require(Path file, boolean holds, String otherwise)
      throws MalformedException {
    if (!holds) {
      throw new MalformedException(name(file), otherwise);
    }
  }
}
