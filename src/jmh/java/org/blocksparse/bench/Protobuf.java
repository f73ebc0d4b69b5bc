// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/** A Protocol Buffers message, to which fields are added by their numbers. */
final class Protobuf {
  private static final int VARINT = 0;
  private static final int BYTES = 2;
  private static final int FIXED32 = 5;

  private final ByteArrayOutputStream fields = new ByteArrayOutputStream();

  Protobuf number(int field, long value) {
    varint(((long) field << 3) | VARINT);
    varint(value);
    return this;
  }

  Protobuf fraction(int field, float value) {
    varint(((long) field << 3) | FIXED32);
    int bits = Float.floatToRawIntBits(value);
    for (int shift = 0; shift < Integer.SIZE; shift += Byte.SIZE) {
      fields.write(bits >>> shift);
    }
    return this;
  }

  Protobuf text(int field, String value) {
    return bytes(field, value.getBytes(StandardCharsets.UTF_8));
  }

  Protobuf message(int field, Protobuf value) {
    return bytes(field, value.bytes());
  }

  private Protobuf bytes(int field, byte[] value) {
    varint(((long) field << 3) | BYTES);
    varint(value.length);
    fields.writeBytes(value);
    return this;
  }

  private void varint(long value) {
    long rest = value;
    while (rest >>> 7 != 0) {
      fields.write((int) ((rest & 0x7f) | 0x80));
      rest >>>= 7;
    }
    fields.write((int) rest);
  }

  byte[] bytes() {
    return fields.toByteArray();
  }
}
