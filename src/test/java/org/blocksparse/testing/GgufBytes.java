// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A GGUF file, valid or not, byte by byte. */
public final class GgufBytes {
  /** Types of metadata. */
  public static final int UINT32 = 4;

  public static final int FLOAT32 = 6;
  public static final int BOOL = 7;
  public static final int STRING = 8;
  public static final int ARRAY = 9;

  /** Types of tensors. */
  public static final int F32 = 0;

  public static final int Q8_0 = 8;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  /** Returns a file of version 3 with that many tensors and values. */
  public static GgufBytes of(long tensors, long values) {
    return new GgufBytes().raw("GGUF").ints(3).longs(tensors, values);
  }

  public GgufBytes raw(String text) {
    bytes.writeBytes(text.getBytes(ISO_8859_1));
    return this;
  }

  public GgufBytes raw(byte[] all) {
    bytes.writeBytes(all);
    return this;
  }

  public GgufBytes raw(int... values) {
    for (int value : values) {
      bytes.write(value);
    }
    return this;
  }

  public GgufBytes ints(int... values) {
    for (int value : values) {
      bytes.writeBytes(littleEndian(Integer.BYTES).putInt(value).array());
    }
    return this;
  }

  public GgufBytes longs(long... values) {
    for (long value : values) {
      bytes.writeBytes(littleEndian(Long.BYTES).putLong(value).array());
    }
    return this;
  }

  private static ByteBuffer littleEndian(int size) {
    return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Adds a string of letters of one byte. */
  public GgufBytes text(String text) {
    return longs(text.length()).raw(text);
  }

  /** Adds a key and the type of its value. */
  public GgufBytes key(String key, int type) {
    return text(key).ints(type);
  }

  /** Adds a tensor with its dimensions in file order: innermost first. */
  public GgufBytes tensor(String name, int type, long offset, long... dims) {
    return text(name).ints(dims.length).longs(dims).ints(type).longs(offset);
  }

  /** Adds zeros up to a multiple of the alignment. */
  public GgufBytes aligned(int alignment) {
    while (bytes.size() % alignment != 0) {
      bytes.write(0);
    }
    return this;
  }

  public byte[] bytes() {
    return bytes.toByteArray();
  }
}
