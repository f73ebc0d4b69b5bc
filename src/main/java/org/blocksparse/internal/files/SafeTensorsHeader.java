// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * The header of a safetensors file: eight bytes with the length of the JSON text that follows, with
 * type, shape and place of each tensor. The tensors lie after it without gaps, in little-endian
 * order.
 *
 * @param entries the tensors by name
 * @param metadata the strings that belong to all of the file
 */
public record SafeTensorsHeader(Map<String, TensorEntry> entries, Map<String, String> metadata) {
  /** The longest header; reading one takes a few times as much memory. */
  static final int LONGEST = 8 << 20;

  /**
   * The longest name, and the longest text with letters beyond Latin-1, which takes two bytes for
   * each and is in memory three times while it is read.
   */
  static final int LONGEST_WIDE = 2 << 20;

  /**
   * The maximum number of entries, each of which takes some hundred bytes of memory, however short
   * it is in the file.
   */
  static final int MOST_ENTRIES = 1 << 16;

  static final String HEADER = "header";
  static final String METADATA = "__metadata__";

  /**
   * Returns a factory that does not keep names in a table for later files, since untrusted names
   * could collide there. It is no constant, since an initializer that fails is never tried again.
   *
   * @throws NoClassDefFoundError if Jackson is not there; the message names the remedy
   */
  static JsonFactory json() {
    try {
      return JsonFactory.builder()
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(8)
                  .maxStringLength(LONGEST)
                  .maxNameLength(LONGEST_WIDE)
                  .build())
          .build();
    } catch (NoClassDefFoundError e) {
      NoClassDefFoundError missing =
          new NoClassDefFoundError(
              "com.fasterxml.jackson.core:jackson-core is missing: model files need it; add it to"
                  + " the class path, or org.blocksparse:blocksparse-platform, which brings it");
      missing.initCause(e);
      throw missing;
    }
  }

  /** Returns the tensors and keys of a part with a prefix, by their names without it. */
  SafeTensorsHeader under(String prefix) {
    Map<String, TensorEntry> tensors = new LinkedHashMap<>();
    for (TensorEntry entry : entries.values()) {
      if (entry.name().startsWith(prefix)) {
        String name = entry.name().substring(prefix.length());
        tensors.put(name, entry.named(name));
      }
    }
    Map<String, String> keys = new TreeMap<>();
    String begin = ModelNames.RESERVED + prefix;
    metadata.forEach(
        (key, value) -> {
          if (key.startsWith(begin)) {
            keys.put(ModelNames.RESERVED + key.substring(begin.length()), value);
          }
        });
    return new SafeTensorsHeader(tensors, keys);
  }

  /**
   * Returns whether a string can be the name of a tensor: nothing that some tool could take for a
   * path.
   */
  static boolean isName(String text) {
    return isText(text)
        && text.chars().allMatch(c -> c > ' ' && c != 0x7f && "/\\:".indexOf(c) < 0)
        && !text.isEmpty()
        && !text.startsWith(".")
        && !text.equals(METADATA);
  }

  /** Returns whether a string can be written as UTF-8: it holds no half of a pair of surrogates. */
  public static boolean isText(String text) {
    // No string is made of it, since in a file that is rejected later it may be as long as a
    // header.
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        if (Character.charCount(text.codePointAt(i)) == 1) {
          return false;
        }
        i++;
      }
    }
    return true;
  }

  /** Returns whether a string with such a letter takes two bytes for each. */
  static boolean isWide(int letter) {
    return letter > 0xff;
  }

  /**
   * Returns length and text, padded with spaces so that the tensor that the layout aligns begins at
   * a multiple of alignment; or, if elements of others would then not lie at multiples of their
   * size, all of the tensors together.
   *
   * @throws IllegalArgumentException if it would be refused when it is read
   */
  static byte[] bytes(SafeTensorsLayout layout, Map<String, String> metadata, int alignment)
      throws IOException {
    requireAtMost(MOST_ENTRIES, "metadata", metadata.size(), "strings");
    requireAtMost(MOST_ENTRIES, "tensors", layout.entries().size(), "tensors");
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    try (JsonGenerator json = json().createGenerator(text)) {
      json.writeStartObject();
      json.writeObjectFieldStart(METADATA);
      for (Map.Entry<String, String> entry : metadata.entrySet()) {
        requireAtMost(LONGEST_WIDE, "metadata", entry.getKey().length(), "letters of a key");
        if (entry.getValue().chars().anyMatch(SafeTensorsHeader::isWide)) {
          int letters = entry.getValue().length();
          requireAtMost(LONGEST_WIDE, "metadata", letters, "letters of a value beyond Latin-1");
        }
        json.writeStringField(entry.getKey(), entry.getValue());
      }
      json.writeEndObject();
      for (TensorEntry entry : layout.entries()) {
        requireAtMost(LONGEST_WIDE, "tensors", entry.name().length(), "letters of a name");
        json.writeObjectFieldStart(entry.name());
        json.writeStringField("dtype", entry.type().name());
        json.writeFieldName("shape");
        json.writeArray(entry.dims(), 0, entry.dims().length);
        json.writeFieldName("data_offsets");
        json.writeArray(new long[] {entry.begin(), entry.end()}, 0, 2);
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    // An odd number of larger elements may come before a tensor of bytes.
    long aligned = layout.alignedBegin() % Float.BYTES == 0 ? layout.alignedBegin() : 0;
    while ((Long.BYTES + text.size() + aligned) % alignment != 0) {
      text.write(' ');
    }
    requireAtMost(LONGEST, "metadata", text.size(), "bytes with the names and shapes of tensors");
    return ByteBuffer.allocate(Long.BYTES + text.size())
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(text.size())
        .put(text.toByteArray())
        .array();
  }

  private static void requireAtMost(int most, String name, int count, String what) {
    if (count > most) {
      throw new IllegalArgumentException(
          name + ": " + count + " " + what + " are more than the limit of " + most);
    }
  }
}
