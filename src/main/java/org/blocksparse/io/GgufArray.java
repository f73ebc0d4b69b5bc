// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.Objects;
import java.util.RandomAccess;

/**
 * An array of a GGUF file's metadata, over the checked bytes of the file, without an object for
 * each element. Nested arrays are made on request.
 */
final class GgufArray extends AbstractList<Object> implements RandomAccess {
  private static final int HEADER_BYTES = GgufValueType.ARRAY.bytes();

  private final GgufValueType type;
  private final int count;

  /** The bytes, in little-endian order. */
  private final ByteBuffer bytes;

  private final int begin;

  /** The ends of strings and arrays; null for other types. */
  private final int[] ends;

  private GgufArray(ByteBuffer bytes, int at) {
    this.type = typeAt(bytes, at);
    this.count = countAt(bytes, at);
    this.bytes = bytes;
    this.begin = at + HEADER_BYTES;
    this.ends = isFixed(type) ? null : new int[count];
    for (int i = 0, end = begin; ends != null && i < count; i++) {
      end = endOf(type, bytes, end);
      ends[i] = end;
    }
  }

  /** Returns the array that begins, with its type and its length, at a byte. */
  static GgufArray at(byte[] bytes, int at) {
    return new GgufArray(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN), at);
  }

  private static boolean isFixed(GgufValueType type) {
    return type != GgufValueType.STRING && type != GgufValueType.ARRAY;
  }

  private static GgufValueType typeAt(ByteBuffer bytes, int at) {
    return GgufValueType.of(bytes.getInt(at));
  }

  private static int countAt(ByteBuffer bytes, int at) {
    return (int) bytes.getLong(at + Integer.BYTES);
  }

  /** Returns the end of the string or the array that begins at a byte. */
  private static int endOf(GgufValueType type, ByteBuffer bytes, int at) {
    if (type == GgufValueType.STRING) {
      return at + Long.BYTES + (int) bytes.getLong(at);
    }
    GgufValueType inner = typeAt(bytes, at);
    int count = countAt(bytes, at);
    int end = at + HEADER_BYTES;
    if (isFixed(inner)) {
      return end + count * inner.bytes();
    }
    for (int i = 0; i < count; i++) {
      end = endOf(inner, bytes, end);
    }
    return end;
  }

  @Override
  public Object get(int index) {
    Objects.checkIndex(index, count);
    if (ends == null) {
      return type.get(bytes, begin + index * type.bytes());
    }
    int from = index == 0 ? begin : ends[index - 1];
    if (type == GgufValueType.ARRAY) {
      return new GgufArray(bytes, from);
    }
    int first = from + Long.BYTES;
    byte[] text = new byte[ends[index] - first];
    bytes.get(first, text);
    return new String(text, StandardCharsets.UTF_8);
  }

  @Override
  public int size() {
    return count;
  }
}
