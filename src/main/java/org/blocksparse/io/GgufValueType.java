// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import java.math.BigInteger;
import java.nio.ByteBuffer;

/** The types of a GGUF file's metadata, in the order of their numbers there. */
enum GgufValueType {
  UINT8(1),
  INT8(1),
  UINT16(2),
  INT16(2),
  UINT32(4),
  INT32(4),
  FLOAT32(4),
  BOOL(1),
  STRING(8),
  ARRAY(12),
  UINT64(8),
  INT64(8),
  FLOAT64(8);

  private static final GgufValueType[] BY_CODE = values();

  private final int bytes;

  GgufValueType(int bytes) {
    this.bytes = bytes;
  }

  /** Returns the type of that number; null if there is none. */
  static GgufValueType of(int code) {
    return code < 0 || code >= BY_CODE.length ? null : BY_CODE[code];
  }

  /** Returns the bytes of a value; for a string or an array, the least. */
  int bytes() {
    return bytes;
  }

  /** Returns the value of a number or boolean at a byte of a buffer. */
  Object get(ByteBuffer from, int at) {
    return switch (this) {
      case UINT8 -> (long) Byte.toUnsignedInt(from.get(at));
      case INT8 -> (long) from.get(at);
      case UINT16 -> (long) Short.toUnsignedInt(from.getShort(at));
      case INT16 -> (long) from.getShort(at);
      case UINT32 -> Integer.toUnsignedLong(from.getInt(at));
      case INT32 -> (long) from.getInt(at);
      case FLOAT32 -> from.getFloat(at);
      case BOOL -> from.get(at) != 0;
      case UINT64 -> unsigned(from.getLong(at));
      case INT64 -> from.getLong(at);
      case FLOAT64 -> from.getDouble(at);
      case STRING, ARRAY -> throw new IllegalStateException(name());
    };
  }

  private static Number unsigned(long bits) {
    if (bits >= 0) {
      return bits;
    }
    return new BigInteger(Long.toUnsignedString(bits));
  }
}
