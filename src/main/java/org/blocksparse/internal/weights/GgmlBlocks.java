// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * Blocks of ggml: their codes and scales, and the floats that they stand for, each product and
 * difference rounded as ggml's reference does, so that the bits are the same.
 *
 * <pre>
 * Q8_0   float16 d, 32 codes of int8                                       d * code
 * Q4_0   float16 d, 16 bytes: input i in the low half of byte i,
 *        i + 16 in the high half                                           d * (code - 8)
 * MXFP4  exponent e, 16 bytes in the same order                            2^(e-127) * E2M1[code]
 * Q4_K   float16 d and m, 8 pairs (s, t) of 6 bits, 4 times 32 bytes:
 *        32 inputs in the low halves, 32 in the high ones                  d * s * code - m * t
 * Q6_K   4 low bits and 2 high bits of 256 codes, 16 scales s of int8,
 *        float16 d                                                         d * s * (code - 32)
 * </pre>
 */
public final class GgmlBlocks {
  /** The types that can be widened. */
  public static final Set<GgmlType> WIDENED =
      Collections.unmodifiableSet(
          EnumSet.of(
              GgmlType.F32,
              GgmlType.F16,
              GgmlType.BF16,
              GgmlType.Q8_0,
              GgmlType.Q4_0,
              GgmlType.MXFP4,
              GgmlType.Q4_K,
              GgmlType.Q6_K));

  /** Elements that a worker takes at a time: whole blocks of every type. */
  private static final int PIECE = 1 << 14;

  private static final int HALF_BLOCK = 16;

  /** Twice the values of E2M1, whose ninth is no negative zero in ggml. */
  private static final int[] TWICE_E2M1 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

  private final GgmlType type;
  private final ByteBuffer in;
  private final float[] out;

  /** Room for that many elements, whole blocks. */
  GgmlBlocks(GgmlType type, int elements) {
    this.type = type;
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

  /** The code of an element of the block that was read last, as panels have it. */
  int code(int i) {
    return switch (type) {
      case Q8_0 -> in.get(2 + i) + 128;
      case Q4_0 -> halfCode(2, i);
      case MXFP4 -> halfCode(1, i);
      case Q4_K -> codeQ4K(0, i);
      case Q6_K -> codeQ6K(0, i);
      default -> throw new IllegalArgumentException(type.name());
    };
  }

  private int halfCode(int codes, int i) {
    return i < HALF_BLOCK ? low(codes + i) : high(codes + i - HALF_BLOCK);
  }

  /** Puts the scales of the block that was read last into a column of a part of a panel. */
  void putScales(int q, Panels panels, byte[] part) {
    switch (type) {
      case Q4_K -> {
        panels.putHalf(part, 0, q, in.getShort(0));
        panels.putHalf(part, 1, q, in.getShort(2));
        for (int g = 0; g < 8; g++) {
          panels.putScale(part, g, 0, q, scaleQ4K(4, g));
          panels.putScale(part, g, 1, q, leastQ4K(4, g));
        }
      }
      case Q6_K -> {
        panels.putHalf(part, 0, q, in.getShort(208));
        for (int s = 0; s < 16; s++) {
          panels.putScale(part, s / 2, s % 2, q, in.get(192 + s));
        }
      }
      case MXFP4 -> panels.putScale(part, 0, 0, q, in.get(0));
      default -> panels.putHalf(part, 0, q, in.getShort(0));
    }
  }

  /** Widens elements [begin, begin + count); the first that is not finite, or -1. */
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

  /** Widens the block at a byte to the floats from an element on. */
  private void widenBlock(int at, int to) {
    switch (type) {
      case F32 -> out[to] = in.getFloat(at);
      case F16 -> out[to] = half(at);
      case BF16 -> out[to] = WeightType.BFLOAT16.widen(in.getShort(at));
      case Q8_0 -> widenQ8(at, to);
      case Q4_0 -> widenQ4(at, to);
      case MXFP4 -> widenMxfp4(at, to);
      case Q4_K -> widenQ4K(at, to);
      case Q6_K -> widenQ6K(at, to);
      default -> throw new IllegalArgumentException(type.name());
    }
  }

  private float half(int at) {
    return WeightType.FLOAT16.widen(in.getShort(at));
  }

  private void widenQ8(int at, int to) {
    float d = half(at);
    for (int i = 0; i < type.blockSize(); i++) {
      out[to + i] = in.get(at + 2 + i) * d;
    }
  }

  private int low(int at) {
    return in.get(at) & 15;
  }

  private int high(int at) {
    return in.get(at) >> 4 & 15;
  }

  private void widenQ4(int at, int to) {
    float d = half(at);
    for (int i = 0; i < HALF_BLOCK; i++) {
      out[to + i] = (low(at + 2 + i) - 8) * d;
      out[to + HALF_BLOCK + i] = (high(at + 2 + i) - 8) * d;
    }
  }

  private void widenMxfp4(int at, int to) {
    // Half of the power of two, which is subnormal for the two smallest.
    float d = Math.scalb(1f, Byte.toUnsignedInt(in.get(at)) - 128);
    for (int i = 0; i < HALF_BLOCK; i++) {
      out[to + i] = TWICE_E2M1[low(at + 1 + i)] * d;
      out[to + HALF_BLOCK + i] = TWICE_E2M1[high(at + 1 + i)] * d;
    }
  }

  private void widenQ4K(int at, int to) {
    float d = half(at);
    float m = half(at + 2);
    int scales = at + 4;
    for (int group = 0; group < 8; group++) {
      float scale = d * scaleQ4K(scales, group);
      float least = m * leastQ4K(scales, group);
      for (int i = 32 * group; i < 32 * (group + 1); i++) {
        out[to + i] = scale * codeQ4K(at, i) - least;
      }
    }
  }

  private int codeQ4K(int at, int i) {
    int both = at + 16 + i / 64 * 32 + i % 32;
    return i / 32 % 2 == 0 ? low(both) : high(both);
  }

  /** Of the last four groups, the two high bits are those of the first bytes. */
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

  private void widenQ6K(int at, int to) {
    int scales = at + 192;
    float d = half(scales + 16);
    for (int i = 0; i < 256; i++) {
      out[to + i] = d * in.get(scales + i / 16) * (codeQ6K(at, i) - 32);
    }
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
}
