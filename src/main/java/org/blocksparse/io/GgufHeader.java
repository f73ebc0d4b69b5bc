// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.memory.MappedFile;
import org.blocksparse.internal.weights.GgmlType;

/**
 * Reads the header of a GGUF file of version 2 or 3: metadata by key, then tensors by name. It
 * keeps values only on request: opening a file needs its tensors alone.
 */
final class GgufHeader {
  static final String HEADER = "header";

  /**
   * The maximum number of tensors, and the maximum number of keys of metadata: as many as tensors
   * of a safetensors file.
   */
  static final int MOST_ENTRIES = 1 << 16;

  /**
   * The maximum number of bytes of all keys and names: as many as in the header of a safetensors
   * file.
   */
  static final int MOST_NAME_BYTES = 8 << 20;

  private static final int MAGIC = 0x46554747; // "GGUF"
  private static final int MOST_DIMENSIONS = 4;
  private static final int DEEPEST_ARRAY = 4;
  private static final int LEAST_TENSOR_BYTES = 24;
  private static final int LEAST_VALUE_BYTES = 13;
  private static final String ALIGNMENT = "general.alignment";

  private final GgufInput in;
  private final long fileBytes;
  private final boolean keepsValues;
  private final Map<String, Object> values = new LinkedHashMap<>();
  private final Map<String, GgufEntry> entries = new LinkedHashMap<>();
  private long alignment = 32;
  private long nameBytes;

  private GgufHeader(MappedFile file, boolean keepsValues) {
    this.in = new GgufInput(file);
    this.fileBytes = file.bytes();
    this.keepsValues = keepsValues;
  }

  /**
   * Returns the tensors by name, in the order of the file; all of the header is checked.
   *
   * @throws MalformedException if it is no GGUF file, or its tensors do not lie in it
   */
  static Map<String, GgufEntry> readEntries(MappedFile file) throws IOException {
    GgufHeader header = new GgufHeader(file, false);
    int tensors = header.readValues();
    for (int i = 0; i < tensors; i++) {
      header.readEntry("tensor " + i);
    }
    header.place();
    return Collections.unmodifiableMap(header.entries);
  }

  /**
   * Returns the metadata by key, in the order of the file.
   *
   * @throws MalformedException if it is no GGUF file
   */
  static Map<String, Object> readMetadata(MappedFile file) throws IOException {
    GgufHeader header = new GgufHeader(file, true);
    header.readValues();
    return Collections.unmodifiableMap(header.values);
  }

  private static void require(String part, boolean holds, String otherwise)
      throws MalformedException {
    if (!holds) {
      throw new MalformedException(part, otherwise);
    }
  }

  /** Reads up to the tensors, whose number it returns. */
  private int readValues() throws IOException {
    require(HEADER, in.readInt(HEADER) == MAGIC, "does not begin with GGUF");
    int version = in.readInt(HEADER);
    require(
        HEADER,
        (version & 0xffff) != 0,
        "is big-endian: convert the file, only little-endian ones can be read");
    require(
        HEADER,
        version == 2 || version == 3,
        "has version " + Integer.toUnsignedString(version) + ", expected 2 or 3");
    int tensors = in.readCount(HEADER, "tensors", LEAST_TENSOR_BYTES);
    int count = in.readCount(HEADER, "values of metadata", LEAST_VALUE_BYTES);
    String most = ", more than the limit of " + MOST_ENTRIES;
    require(HEADER, tensors <= MOST_ENTRIES, "has " + tensors + " tensors" + most);
    require(HEADER, count <= MOST_ENTRIES, "has " + count + " values of metadata" + most);
    for (int i = 0; i < count; i++) {
      readValue("key " + i);
    }
    return tensors;
  }

  /** Returns a key or the name of a tensor. */
  private String readName(String part) throws IOException {
    int length = in.readLength(part);
    nameBytes += length;
    require(
        part,
        nameBytes <= MOST_NAME_BYTES,
        "ends more than " + MOST_NAME_BYTES + " bytes of keys and names");
    try {
      ByteBuffer bytes = ByteBuffer.wrap(in.readBytes(part, length));
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new MalformedException(part, "is not UTF-8", e);
    }
  }

  private static GgufValueType readType(GgufInput in, String key) throws IOException {
    int code = in.readInt(key);
    GgufValueType type = GgufValueType.of(code);
    if (type == null) { // avoids a message for each of very many arrays
      throw new MalformedException(
          key, "has a value of the unknown type " + Integer.toUnsignedString(code));
    }
    return type;
  }

  private void readValue(String part) throws IOException {
    String key = readName(part);
    require(key, !values.containsKey(key), "is there twice");
    GgufValueType type = readType(in, key);
    Object value =
        switch (type) {
          case STRING -> readText(key);
          case ARRAY -> readArray(key);
          default -> readFixed(key, type);
        };
    values.put(key, value);
    if (key.equals(ALIGNMENT)) {
      require(key, type == GgufValueType.UINT32, "is no UINT32 but " + type);
      alignment = (Long) value;
      require(key, Long.bitCount(alignment) == 1, alignment + " is no power of two");
    }
  }

  private Object readFixed(String key, GgufValueType type) throws IOException {
    if (type == GgufValueType.BOOL) {
      return readBoolean(in, key);
    }
    byte[] bytes = in.readBytes(key, type.bytes());
    return type.get(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN), 0);
  }

  private static boolean readBoolean(GgufInput in, String key) throws IOException {
    byte value = in.readByte(key);
    if (value != 0 && value != 1) {
      throw new MalformedException(key, "is a boolean of " + value + ", expected 0 or 1");
    }
    return value == 1;
  }

  /** Returns a text; null unless values are kept. */
  private String readText(String key) throws IOException {
    if (keepsValues) {
      return new String(in.readBytes(key, in.readLength(key)), StandardCharsets.UTF_8);
    }
    in.skip(key, in.readLength(key));
    return null;
  }

  /** Returns an array; null unless values are kept. */
  private List<Object> readArray(String key) throws IOException {
    long begin = in.position();
    checkArray(in, key, 1);
    if (!keepsValues) {
      return null;
    }
    byte[] bytes = in.bytesSince(key, begin);
    checkArray(new GgufInput(bytes), key, 1); // the file may have changed since
    return GgufArray.at(bytes, 0);
  }

  private static void checkArray(GgufInput in, String key, int depth) throws IOException {
    require(key, depth <= DEEPEST_ARRAY, "nests arrays more than " + DEEPEST_ARRAY + " deep");
    GgufValueType type = readType(in, key);
    int count = in.readCount(key, "elements", type.bytes());
    switch (type) {
      case ARRAY -> {
        for (int i = 0; i < count; i++) {
          checkArray(in, key, depth + 1);
        }
      }
      case STRING -> {
        for (int i = 0; i < count; i++) {
          in.skip(key, in.readLength(key));
        }
      }
      case BOOL -> {
        for (int i = 0; i < count; i++) {
          readBoolean(in, key);
        }
      }
      default -> in.skip(key, (long) count * type.bytes());
    }
  }

  /** Adds a tensor whose position begins where the data of the file does, and is not checked. */
  private void readEntry(String part) throws IOException {
    String name = readName(part);
    require(name, !entries.containsKey(name), "is there twice");
    int rank = in.readInt(name);
    require(
        name,
        rank >= 0 && rank <= MOST_DIMENSIONS,
        "has "
            + Integer.toUnsignedString(rank)
            + " dimensions, more than the limit of "
            + MOST_DIMENSIONS);
    long[] dims = new long[rank];
    for (int axis = rank - 1; axis >= 0; axis--) {
      dims[axis] = in.readLong(name);
    }
    int code = in.readInt(name);
    GgmlType type = GgmlType.of(code);
    String typeName = type == GgmlType.OTHER ? "type " + code : type.name();
    long bytes = bytes(name, type, dims);
    long offset = in.readLong(name);
    require(
        name,
        offset >= 0 && offset <= fileBytes,
        "begins at byte "
            + Long.toUnsignedString(offset)
            + " of the data, after the file ends at "
            + fileBytes);
    require(
        name,
        offset % alignment == 0,
        "begins at byte " + offset + " of the data, no multiple of the alignment, " + alignment);
    entries.put(name, new GgufEntry(name, type, typeName, dims, offset, bytes));
  }

  private static long bytes(String name, GgmlType type, long[] dims) throws MalformedException {
    long size;
    try {
      size = Dimensions.size(dims, Long.BYTES); // elements of any type are smaller
    } catch (IllegalArgumentException e) {
      throw new MalformedException(name, e.getMessage(), e);
    }
    long row = dims.length == 0 ? 1 : dims[dims.length - 1];
    require(
        name,
        row % type.blockSize() == 0,
        "has rows of " + row + " elements, no multiple of " + type + "'s " + type.blockSize());
    return size / type.blockSize() * type.blockBytes();
  }

  /** Finds the begin of the data, and checks that the tensors lie in it without sharing bytes. */
  private void place() throws MalformedException {
    long dataBegin = (in.position() + alignment - 1) / alignment * alignment;
    List<GgufEntry> inOrder = new ArrayList<>(entries.values());
    // If two have the same begin, one is empty or of an unknown type.
    inOrder.sort(Comparator.comparingLong(GgufEntry::position).thenComparingLong(GgufEntry::end));
    long next = fileBytes;
    for (int i = inOrder.size() - 1; i >= 0; i--) {
      GgufEntry entry = inOrder.get(i);
      long begin = dataBegin + entry.position();
      boolean last = next == fileBytes;
      require(
          entry.name(),
          entry.bytes() <= next - begin,
          last
              ? "ends at byte " + (begin + entry.bytes()) + ", the file at " + next
              : "overlaps another tensor: ends at byte "
                  + (begin + entry.bytes())
                  + ", the other begins at "
                  + next);
      long bytes = entry.type() == GgmlType.OTHER ? next - begin : entry.bytes();
      entries.put(
          entry.name(),
          new GgufEntry(entry.name(), entry.type(), entry.typeName(), entry.dims(), begin, bytes));
      next = begin;
    }
  }
}
