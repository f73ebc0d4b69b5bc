// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

/**
 * The types of safetensors, by their names there. This library computes with few of them, and a
 * file may hold tensors of any: newer versions of the format add types.
 */
public enum Dtype {
  BOOL(1),
  U8(1),
  I8(1),
  F8_E5M2(1),
  F8_E4M3(1),
  F8_E8M0(1),
  U16(2),
  I16(2),
  F16(2),
  BF16(2),
  U32(4),
  I32(4),
  F32(4),
  U64(8),
  I64(8),
  F64(8),
  C64(8),

  /** Any other type: opaque bytes. */
  OTHER(1);

  private final int bytes;

  Dtype(int bytes) {
    this.bytes = bytes;
  }

  /** Returns the type of that name, or {@link #OTHER}. */
  static Dtype named(String name) {
    for (Dtype type : values()) {
      if (type != OTHER && type.name().equals(name)) {
        return type;
      }
    }
    return OTHER;
  }

  /** Returns the bytes of an element. */
  int bytes() {
    return bytes;
  }
}
