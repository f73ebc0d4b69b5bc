// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.atomic.AtomicLong;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * Blocks of ggml: their codes and scales, and the floats that they represent, with the products and
 * differences rounded as in ggml's reference, to the same bits.
 *
 * <pre>
 * Q8_0   float16 d, 32 codes of int8                                       d * code
 * Q4_0   float16 d, 16 bytes: input i in the low half of byte i,
 *        i + 16 in the high half                                           d * (code - 8)
 * Q4_1   float16 d and m, 16 bytes as of Q4_0                              d * code + m
 * Q5_0   float16 d, the fifth bits of 32 codes, 16 bytes as of Q4_0        d * (code - 16)
 * Q5_1   float16 d and m, then as Q5_0                                     d * code + m
 * IQ4_NL as Q4_0                                                           d * table[code]
 * MXFP4  exponent e, 16 bytes in the same order                            2^(e-127) * E2M1[code]
 * Q2_K   16 pairs (s, t) of 4 bits, 64 bytes of 4 codes, float16 d and m   d * s * code - m * t
 * Q3_K   the third bits of 256 codes, 64 bytes of 4 low bits, 16 scales s
 *        of 6 bits, float16 d                                              d * (s - 32) * (code - 4)
 * Q4_K   float16 d and m, 8 pairs (s, t) of 6 bits, 4 times 32 bytes:
 *        32 inputs in the low halves, 32 in the high ones                  d * s * code - m * t
 * Q5_K   as Q4_K, with the fifth bits of 256 codes before the bytes        d * s * code - m * t
 * Q6_K   4 low bits and 2 high bits of 256 codes, 16 scales s of int8,
 *        float16 d                                                         d * s * (code - 32)
 * IQ4_XS float16 d, 8 scales s of 6 bits, 8 times 16 bytes as of Q4_0      d * (s - 32) * table[code]
 * IQ3_S  float16 d, the low bytes of 64 codes, their ninth bits, 256
 *        signs, 8 scales s of 4 bits                                       d * (2 s + 1) * sign * number
 * </pre>
 */
public final class GgmlBlocks {
  /** The number of elements that a worker widens at a time: whole blocks of every type. */
  private static final int PIECE = 1 << 14;

  private static final int HALF_BLOCK = 16;

  private final GgmlType type;

  /** The panels that hold the same numbers; null for floats. */
  private final Panels panels;

  private final ByteBuffer in;
  private final float[] out;

  /** Allocates buffers for {@code elements} elements in whole blocks. */
  GgmlBlocks(GgmlType type, int elements) {
    this.type = type;
    this.panels = type.blockSize() == 1 ? null : new Panels(type.packed(), type.blockSize(), 1);
    int bytes = elements / type.blockSize() * type.blockBytes();
    this.in = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    this.out = new float[elements];
  }

  /**
   * Widens all elements of a tensor.
   *
   * @param from the blocks as they lie in a file; leased by the caller
   * @return the first element that is not finite, or -1
   */
  public static long widen(
      GgmlType type, Storage from, long elements, Storage into, Scheduler scheduler) {
    AtomicLong notFinite = new AtomicLong(Long.MAX_VALUE);
    scheduler.run(
        Math.toIntExact(Scheduler.ceilDiv(elements, PIECE)),
        elements,
        (first, end) -> {
          GgmlBlocks piece = new GgmlBlocks(type, (int) Math.min(PIECE, elements));
          for (int p = first; p < end; p++) {
            long begin = (long) p * PIECE;
            int count = (int) Math.min(PIECE, elements - begin);
            long found = piece.widen(from, begin, count);
            into.putFloats(begin, piece.out, 0, count);
            if (found >= 0) {
              notFinite.accumulateAndGet(begin + found, Math::min);
            }
          }
        });
    return notFinite.get() == Long.MAX_VALUE ? -1 : notFinite.get();
  }

  /** Reads a block, by its number. */
  void read(Storage from, long number) {
    from.getBytes(number * in.capacity(), in.array(), in.capacity());
  }

  /** Returns the code that panels store for element i of the block that was read last. */
  int code(int i) {
    return code(0, i);
  }

  /** Returns the code that panels store for element i of the block at byte {@code at}. */
  private int code(int at, int i) {
    return switch (type) {
      case Q8_0 -> in.get(at + 2 + i) + 128;
      case Q4_0, IQ4_NL -> halfCode(at + 2, i);
      case Q4_1 -> halfCode(at + 4, i);
      case Q5_0 -> (halfCode(at + 6, i) | bit(at + 2, i) << 4) - 16 + 128;
      case Q5_1 -> halfCode(at + 8, i) | bit(at + 4, i) << 4;
      case MXFP4 -> halfCode(at + 1, i);
      case Q2_K -> twoBits(at + 16, i);
      case Q3_K -> (twoBits(at + 32, i) | bitOfColumn(at, i) << 2) - 4 + 32;
      case Q4_K -> codeQ4K(at + 16, i);
      case Q5_K -> codeQ4K(at + 48, i) | bitOfColumn(at + 16, i) << 4;
      case Q6_K -> codeQ6K(at, i);
      case IQ4_XS -> halfCode(at + 8 + i / 32 * HALF_BLOCK, i % 32);
      case IQ3_S -> numberIq3(at, i) + 32;
      default -> throw new IllegalArgumentException(type.name());
    };
  }

  private int halfCode(int codes, int i) {
    return i < HALF_BLOCK ? low(codes + i) : high(codes + i - HALF_BLOCK);
  }

  /** Returns bit i of the bits from a byte on. */
  private int bit(int at, int i) {
    return in.get(at + i / 8) >> (i % 8) & 1;
  }

  /**
   * Returns the bit of element i of 256. Each byte holds the bits of eight elements that are 32
   * apart.
   */
  private int bitOfColumn(int at, int i) {
    return in.get(at + i % 32) >> (i / 32) & 1;
  }

  /**
   * Returns the two bits of element i of 256. Each byte holds those of four elements that are 32
   * apart.
   */
  private int twoBits(int at, int i) {
    return in.get(at + i / 128 * 32 + i % 32) >> (i / 32 % 4 * 2) & 3;
  }

  private int codeQ4K(int codes, int i) {
    int both = codes + i / 64 * 32 + i % 32;
    return i / 32 % 2 == 0 ? low(both) : high(both);
  }

  private int codeQ6K(int at, int i) {
    int half = i / 128;
    int quarter = i / 32 % 4; // of the half
    int column = i % 32;
    int lowByte = at + 64 * half + 32 * (quarter % 2) + column;
    int low = quarter < 2 ? low(lowByte) : high(lowByte);
    int high = (in.get(at + 128 + 32 * half + column) >> (2 * quarter)) & 3;
    return low | high << 4;
  }

  /**
   * Returns the number of element i of 256. A code stands for four of them, without their signs.
   */
  private int numberIq3(int at, int i) {
    int code = (in.get(at + 2 + i / 4) & 0xff) | (bit(at + 66, i / 4) << 8);
    int number = Iq3Grid.number(code, i % 4);
    return bit(at + 74, i) == 0 ? number : -number;
  }

  /** Stores the scales of the block read last in a column of a part of a panel. */
  void putScales(int q, byte[] part) {
    if (type == GgmlType.MXFP4) {
      panels.putScale(part, 0, 0, q, in.get(0));
      return;
    }
    panels.putHalf(part, 0, q, in.getShort(unit()));
    if (panels.hasMinimum()) {
      panels.putHalf(part, 1, q, minimumUnit(0));
    }
    if (panels.headBytes() > 0) {
      int parts = Panels.GROUP_ROWS / panels.scaleRows();
      for (int s = 0; s < type.blockSize() / panels.scaleRows(); s++) {
        panels.putScale(part, s / parts, s % parts, q, multiple(0, s));
        if (panels.hasMinimum()) {
          panels.putScale(part, s / parts, parts + s % parts, q, multipleOfMinimum(0, s));
        }
      }
    }
  }

  /** Returns the byte of the block's float16 that its scales are multiples of. */
  private int unit() {
    return switch (type) {
      case Q2_K -> 80;
      case Q3_K -> 108;
      case Q6_K -> 208;
      default -> 0;
    };
  }

  /** Returns the float16 that the block's minima are multiples of. */
  private short minimumUnit(int at) {
    short bits = in.getShort(at + unit() + 2);
    boolean isAdded = type == GgmlType.Q4_1 || type == GgmlType.Q5_1;
    return isAdded ? (short) (bits ^ 0x8000) : bits;
  }

  /** Returns scale {@code s} of the block at a byte, in multiples of its float16. */
  private int multiple(int at, int s) {
    return switch (type) {
      case Q2_K -> low(at + s);
      case Q3_K ->
          (s < 8 ? low(at + 96 + s) : high(at + 88 + s)) + 16 * highOfQ3K(at + 104, s) - 32;
      case Q4_K, Q5_K -> scaleQ4K(at + 4, s);
      case Q6_K -> in.get(at + 192 + s);
      case IQ3_S -> 2 * halfOf(at + 106, s / 2) + 1;
      case IQ4_XS -> halfOf(at + 4, s) + 16 * (in.getShort(at + 2) >> (2 * s) & 3) - 32;
      default -> 1;
    };
  }

  private int highOfQ3K(int at, int s) {
    return in.get(at + s % 4) >> (s / 4 * 2) & 3;
  }

  /** Returns minimum {@code s} of the block at a byte, in multiples of its float16. */
  private int multipleOfMinimum(int at, int s) {
    return switch (type) {
      case Q2_K -> high(at + s);
      case Q4_K, Q5_K -> leastQ4K(at + 4, s);
      default -> 1;
    };
  }

  /** Widens elements [begin, begin + count). Returns the first that is not finite, or -1. */
  private int widen(Storage from, long begin, int count) {
    int blocks = count / type.blockSize();
    from.getBytes(
        begin / type.blockSize() * type.blockBytes(), in.array(), blocks * type.blockBytes());
    for (int block = 0; block < blocks; block++) {
      widenBlock(block * type.blockBytes(), block * type.blockSize());
    }
    for (int i = 0; i < count; i++) {
      if (!Float.isFinite(out[i])) {
        return i;
      }
    }
    return -1;
  }

  /** Widens the block at a byte to floats, from an element on. */
  private void widenBlock(int at, int to) {
    switch (type) {
      case F32 -> out[to] = in.getFloat(at);
      case F16 -> out[to] = half(at);
      case BF16 -> out[to] = WeightType.BFLOAT16.widen(in.getShort(at));
      default -> {
        int rows = panels.scaleRows();
        for (int s = 0; s < type.blockSize() / rows; s++) {
          widenScale(at, s, to + s * rows);
        }
      }
    }
  }

  /** Widens the elements that share a scale, by its number in the block at a byte. */
  private void widenScale(int at, int s, int to) {
    float scale =
        type == GgmlType.MXFP4
            ? Panels.halfPower(Byte.toUnsignedInt(in.get(at)))
            : half(at + unit()) * multiple(at, s);
    float minimum = 0;
    if (panels.hasMinimum()) {
      minimum = WeightType.FLOAT16.widen(minimumUnit(at)) * multipleOfMinimum(at, s);
    }
    for (int i = 0; i < panels.scaleRows(); i++) {
      float multiple = panels.whole(code(at, s * panels.scaleRows() + i)) * scale;
      out[to + i] = panels.hasMinimum() ? multiple - minimum : multiple;
    }
  }

  private float half(int at) {
    return WeightType.FLOAT16.widen(in.getShort(at));
  }

  /** Returns the i-th of numbers of 4 bits, two in a byte. */
  private int halfOf(int at, int i) {
    return i % 2 == 0 ? low(at + i / 2) : high(at + i / 2);
  }

  private int low(int at) {
    return in.get(at) & 15;
  }

  private int high(int at) {
    return in.get(at) >> 4 & 15;
  }

  /**
   * Returns the scale of a group. The last four groups have their two high bits in the first bytes.
   */
  private int scaleQ4K(int scales, int group) {
    return group < 4
        ? in.get(scales + group) & 63
        : low(scales + 4 + group) | (in.get(scales + group - 4) & 0xc0) >> 2;
  }

  private int leastQ4K(int scales, int group) {
    return group < 4
        ? in.get(scales + 4 + group) & 63
        : high(scales + 4 + group) | (in.get(scales + group) & 0xc0) >> 2;
  }
}
