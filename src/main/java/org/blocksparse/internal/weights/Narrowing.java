// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * Rounds floats to weights of fewer bits, piece by piece. The tensor is a sequence of blocks of
 * {@code rows x columns}.
 *
 * <p>Numbers are rounded to the nearest, ties to even. An INT8 is {@code q = round(w / scale)} in
 * [-127, 127] with {@code scale = max |w| / 127} over the column of the block, so that {@code |w -
 * q * scale| <= scale / 2} but for the rounding of both floats. Columns below 2<sup>-119</sup> have
 * a scale that is subnormal, and lose more.
 */
public final class Narrowing {
  /** The number of elements that are rounded at a time. */
  private static final int PIECE = 1 << 16;

  private static final float LARGEST_INT8 = 127;

  /** The largest scale: a larger one could make weights infinite. */
  public static final float LARGEST_SCALE = Float.MAX_VALUE / 128;

  private final String name;
  private final WeightType type;
  private final Storage from;
  private final long blocks;
  private final int rows;
  private final int columns;
  private final Storage scales;

  /**
   * Prepares weights to be narrowed, on which the caller holds a lease.
   *
   * @param name the name of the weights, for messages
   * @param scales blocks rows of columns, which become the scales of INT8; null for other types
   * @throws IllegalArgumentException if one is not finite, or too large for INT8
   */
  public Narrowing(
      String name,
      WeightType type,
      Storage from,
      long blocks,
      int rows,
      int columns,
      Storage scales,
      Scheduler scheduler) {
    this.name = name;
    this.type = type;
    this.from = from;
    this.blocks = blocks;
    this.rows = rows;
    this.columns = columns;
    this.scales = scales;
    if (scales != null) {
      forEachBlock(scheduler, this::measure);
    }
  }

  private interface Block {
    void accept(long block);
  }

  private void forEachBlock(Scheduler scheduler, Block action) {
    if (rows == 0 || columns == 0) {
      return; // there may be very many empty blocks
    }
    for (long first = 0; first < blocks; first += Integer.MAX_VALUE) {
      long begin = first;
      int count = (int) Math.min(blocks - begin, Integer.MAX_VALUE);
      scheduler.run(
          count,
          Scheduler.work(count, rows, columns),
          (from, to) -> {
            for (int b = from; b < to; b++) {
              action.accept(begin + b);
            }
          });
    }
  }

  /** Finds the scales of a block. */
  private void measure(long block) {
    float[] largest = new float[columns];
    long size = (long) rows * columns;
    float[] values = new float[(int) Math.min(PIECE, size)];
    int q = 0;
    for (long begin = 0; begin < size; begin += values.length) {
      int count = (int) Math.min(values.length, size - begin);
      from.getFloats(block * size + begin, values, 0, count);
      for (int i = 0; i < count; i++) {
        if (!Float.isFinite(values[i])) {
          throw notFinite(name, block * size + begin + i, values[i], type);
        }
        largest[q] = Math.max(largest[q], Math.abs(values[i]));
        q = q + 1 == columns ? 0 : q + 1;
      }
    }
    for (q = 0; q < columns; q++) {
      if (largest[q] / LARGEST_INT8 > LARGEST_SCALE) {
        throw new IllegalArgumentException(
            name + ": a magnitude of " + largest[q] + " is too large for " + type);
      }
      largest[q] /= LARGEST_INT8;
    }
    scales.putFloats(block * columns, largest, 0, columns);
  }

  /**
   * Writes all elements to memory.
   *
   * @param into {@link WeightType#words} of them
   * @throws IllegalArgumentException if one is not finite, or larger than the type's numbers
   */
  public void putAll(Storage into, Scheduler scheduler) {
    long size = (long) rows * columns;
    forEachBlock(
        scheduler,
        block -> {
          int most = (int) Math.min(PIECE, size);
          ByteBuffer bytes =
              ByteBuffer.allocate(most * type.bytes()).order(ByteOrder.nativeOrder());
          for (long begin = 0; begin < size; begin += most) {
            int count = (int) Math.min(most, size - begin);
            put(block * size + begin, count, bytes.clear());
            into.putBytes((block * size + begin) * type.bytes(), bytes.array(), bytes.position());
          }
        });
  }

  /**
   * Appends elements [begin, begin + count) to a buffer, in its byte order.
   *
   * @throws IllegalArgumentException if one is not finite, or larger than the type's numbers
   */
  public void put(long begin, int count, ByteBuffer into) {
    float[] values = new float[count];
    from.getFloats(begin, values, 0, count);
    if (scales != null) {
      putScaled(begin, values, into);
      return;
    }
    for (int i = 0; i < count; i++) {
      if (!Float.isFinite(values[i])) {
        throw notFinite(name, begin + i, values[i], type);
      }
      short bits = type.narrow(values[i]);
      if (!Float.isFinite(type.widen(bits))) {
        throw tooLarge(name, begin + i, values[i], type);
      }
      into.putShort(bits);
    }
  }

  private void putScaled(long begin, float[] values, ByteBuffer into) {
    float[] scale = new float[columns];
    long size = (long) rows * columns;
    int q = (int) (begin % columns);
    long end = begin; // the end of the block with the same scales
    for (int i = 0; i < values.length; i++) {
      if (begin + i == end) {
        long block = end / size;
        scales.getFloats(block * columns, scale, 0, columns);
        end = (block + 1) * size;
      }
      into.put((byte) whole(values[i], scale[q]));
      q = q + 1 == columns ? 0 : q + 1;
    }
  }

  /** Returns the scale of a column of a block. */
  float scale(long block, int column) {
    return scales.getFloat(block * columns + column);
  }

  /** Returns the INT8 nearest to a finite number for a scale. */
  static int whole(float value, float scale) {
    double whole = scale == 0 ? 0 : Math.rint(value / (double) scale);
    return (int) Math.max(-LARGEST_INT8, Math.min(LARGEST_INT8, whole));
  }

  static IllegalArgumentException tooLarge(
      String name, long element, float value, WeightType type) {
    return new IllegalArgumentException(
        name + ": element " + element + " = " + value + " is too large for " + type);
  }

  static IllegalArgumentException notFinite(
      String name, long element, float value, WeightType type) {
    return new IllegalArgumentException(
        name + ": element " + element + " is " + value + ", which " + type + " weights cannot be");
  }
}
