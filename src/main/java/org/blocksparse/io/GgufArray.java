// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.AbstractList;
import java.util.Objects;
import java.util.RandomAccess;

/**
 * An array of a GGUF file's metadata that holds no arrays: the bytes of the file, and no object for
 * each element.
 */
final class GgufArray extends AbstractList<Object> implements RandomAccess {
  private final GgufValueType type;
  private final byte[] bytes;

  /** Where strings end, each of which begins with its length; null of other types. */
  private final int[] ends;

  GgufArray(GgufValueType type, byte[] bytes, int[] ends) {
    this.type = type;
    this.bytes = bytes;
    this.ends = ends;
  }

  @Override
  public Object get(int index) {
    Objects.checkIndex(index, size());
    if (ends == null) {
      ByteBuffer values = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
      return type.get(values, index * type.bytes());
    }
    int begin = (index == 0 ? 0 : ends[index - 1]) + Long.BYTES;
    return new String(bytes, begin, ends[index] - begin, StandardCharsets.UTF_8);
  }

  @Override
  public int size() {
    return ends == null ? bytes.length / type.bytes() : ends.length;
  }
}
