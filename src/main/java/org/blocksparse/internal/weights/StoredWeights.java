// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.weights;

import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;

/**
 * The memory of blocks of weights of a type. The caller holds leases on the operands.
 *
 * @param scales one for each column of a block; null unless the type has some
 */
public record StoredWeights(WeightType type, Storage elements, Storage scales)
    implements AutoCloseable {
  /** The number of elements widened, or bytes copied, at a time. */
  public static final int PIECE = 1 << 12;

  /**
   * Rounds floats to a type.
   *
   * @param name the name of the floats, for messages
   * @throws IllegalArgumentException if one is not finite or too large for the type
   */
  public static StoredWeights of(
      String name,
      Storage floats,
      WeightType type,
      long blocks,
      int rows,
      int columns,
      Scheduler scheduler) {
    StoredWeights made = allocate(type, blocks, rows, columns);
    try {
      if (type == WeightType.FLOAT32) {
        made.elements.copyFrom(floats);
      } else if (type.isPacked()) {
        Panels panels = new Panels(type, rows, columns);
        PanelPacking.ofFloats(name, panels, floats, blocks, made.scales, scheduler)
            .putAll(blocks, made.elements, scheduler);
      } else {
        new Narrowing(name, type, floats, blocks, rows, columns, made.scales, scheduler)
            .putAll(made.elements, scheduler);
      }
      floats.requireIntact();
      return made;
    } catch (Throwable e) {
      made.close();
      throw e;
    }
  }

  /**
   * Returns these INT8 or BFLOAT16 weights in panels, with the same numbers.
   *
   * @param byColumns whether a block lies column by column
   */
  public StoredWeights packed(
      long blocks, int rows, int columns, boolean byColumns, Scheduler scheduler) {
    WeightType packed =
        type == WeightType.INT8 ? WeightType.PACKED_INT8 : WeightType.PACKED_BFLOAT16;
    StoredWeights made = allocate(packed, blocks, rows, columns);
    try {
      PanelPacking.ofNumbers(new Panels(packed, rows, columns), this, byColumns)
          .putAll(blocks, made.elements, scheduler);
      if (scales != null) {
        made.scales.copyFrom(scales);
      }
      elements.requireIntact();
      return made;
    } catch (Throwable e) {
      made.close();
      throw e;
    }
  }

  /**
   * Returns blocks that hold the columns of these weights, then the columns of others of the same
   * type. The caller holds leases on all.
   *
   * @param name the name of these, for messages
   * @param others weights of as many blocks of the same sizes
   * @param byColumns whether a block that is not packed lies column by column
   * @throws IllegalArgumentException if they are packed and columns are no multiple of 16
   */
  public StoredWeights beside(
      String name,
      StoredWeights others,
      long blocks,
      int rows,
      int columns,
      boolean byColumns,
      Scheduler scheduler) {
    if (type.isPacked() && columns % Panels.PANEL_COLUMNS != 0) {
      throw new IllegalArgumentException(
          name
              + ": expected a multiple of "
              + Panels.PANEL_COLUMNS
              + " outputs, as packed weights have side by side, but was "
              + columns);
    }
    Storage[] parts = {elements, others.elements};
    Storage made =
        type.isPacked() || byColumns
            ? interleaved(parts, blocks, blockBytes(rows, columns), scheduler)
            : interleaved(parts, blocks * rows, (long) columns * type.bytes(), scheduler);
    try {
      elements.requireIntact();
      others.elements.requireIntact();
      Storage[] ofScales = {scales, others.scales};
      return new StoredWeights(
          type,
          made,
          scales == null ? null : interleaved(ofScales, blocks, 4L * columns, scheduler));
    } catch (Throwable e) {
      made.close();
      throw e;
    }
  }

  /**
   * Interleaves the pieces of several parts in new memory: the first piece of each part, then the
   * second.
   */
  public static Storage interleaved(
      Storage[] parts, long pieces, long pieceBytes, Scheduler scheduler) {
    Storage made = Storage.allocate((pieceBytes * pieces * parts.length + 3) / 4);
    try {
      int tasks = (int) Math.min(pieces, Integer.MAX_VALUE);
      scheduler.run(
          tasks,
          pieceBytes * pieces,
          (begin, end) -> {
            byte[] copied = new byte[(int) Math.min(PIECE, pieceBytes)];
            long last = PanelPacking.boundary(end, pieces, tasks);
            for (long p = PanelPacking.boundary(begin, pieces, tasks); p < last; p++) {
              for (int t = 0; t < parts.length; t++) {
                long to = (p * parts.length + t) * pieceBytes;
                copy(parts[t], p * pieceBytes, made, to, pieceBytes, copied);
              }
            }
          });
      return made;
    } catch (Throwable e) {
      made.close();
      throw e;
    }
  }

  /** Returns the number of four-byte elements that hold packed blocks. */
  static long words(Panels panels, long blocks) {
    return (Math.multiplyExact(blocks, panels.blockBytes()) + 3) / 4;
  }

  private static StoredWeights allocate(WeightType type, long elements, long scales) {
    return allocateWords(type, type.words(elements), scales);
  }

  private static StoredWeights allocateWords(WeightType type, long words, long scales) {
    Storage[] made =
        type.hasScales() ? Storage.allocateAll(words, scales) : Storage.allocateAll(words);
    return new StoredWeights(type, made[0], type.hasScales() ? made[1] : null);
  }

  /** Allocates memory for blocks of weights, which {@link #putBlock} fills. */
  public static StoredWeights allocate(WeightType type, long blocks, int rows, int columns) {
    return type.isPacked()
        ? allocateWords(type, words(new Panels(type, rows, columns), blocks), blocks * columns)
        : allocate(type, blocks * rows * columns, blocks * columns);
  }

  /** Copies the only block of others, which are leased by the caller. */
  public void putBlock(long block, StoredWeights one, int rows, int columns) {
    byte[] piece = new byte[PIECE];
    long bytes = blockBytes(rows, columns);
    copy(one.elements, 0, elements, block * bytes, bytes, piece);
    if (scales != null) {
      copy(one.scales, 0, scales, block * 4 * columns, 4L * columns, piece);
    }
  }

  /** Copies bytes, as many at a time as the piece has. */
  public static void copy(
      Storage from, long begin, Storage into, long to, long bytes, byte[] piece) {
    for (long at = 0; at < bytes; at += piece.length) {
      int length = (int) Math.min(piece.length, bytes - at);
      from.getBytes(begin + at, piece, length);
      into.putBytes(to + at, piece, length);
    }
  }

  /** Returns a copy of the {@code weights} weights in new memory. */
  public StoredWeights copy(long weights) {
    long words = type.isPacked() ? elements.elements() : type.words(weights);
    long ofScales = scales == null ? 0 : scales.elements();
    Storage[] memory =
        scales == null ? Storage.allocateAll(words) : Storage.allocateAll(words, ofScales);
    StoredWeights made = new StoredWeights(type, memory[0], scales == null ? null : memory[1]);
    try {
      made.elements.copyFrom(elements);
      if (scales != null) {
        made.scales.copyFrom(scales);
      }
      elements.requireIntact();
      return made;
    } catch (Throwable e) {
      made.close();
      throw e;
    }
  }

  /** Returns a view of the same memory; see {@link Storage#view}. */
  public StoredWeights view() {
    return new StoredWeights(type, elements.view(), scales == null ? null : scales.view());
  }

  /** Writes the floats that the weights stand for. */
  public void widen(long blocks, int rows, int columns, Storage out) {
    if (columns == 0) {
      return; // there may be very many empty rows
    }
    Panels panels = type.isPacked() ? new Panels(type, rows, columns) : null;
    float[] piece = new float[Math.min(PIECE, columns)];
    for (long row = 0; row < blocks * rows; row++) {
      long ofBlock = scales == null ? 0 : row / rows * columns;
      for (int begin = 0; begin < columns; begin += piece.length) {
        int count = Math.min(piece.length, columns - begin);
        for (int i = 0; i < count; i++) {
          float value =
              panels == null
                  ? type.get(elements, row * columns + begin + i)
                  : panels.get(elements, row / rows, row % rows, begin + i);
          piece[i] = scales == null ? value : value * scales.getFloat(ofBlock + begin + i);
        }
        out.putFloats(row * columns + begin, piece, 0, count);
      }
    }
  }

  /**
   * Returns a copy with weights of another type. The types are equal, or one of them is FLOAT32.
   */
  public StoredWeights as(
      String name, WeightType other, long blocks, int rows, int columns, Scheduler scheduler) {
    if (other == type) {
      return copy(blocks * rows * columns);
    }
    if (type == WeightType.FLOAT32) {
      return of(name, elements, other, blocks, rows, columns, scheduler);
    }
    StoredWeights floats = allocate(WeightType.FLOAT32, blocks * rows * columns, 0);
    try {
      widen(blocks, rows, columns, floats.elements);
      elements.requireIntact();
      return floats;
    } catch (Throwable e) {
      floats.close();
      throw e;
    }
  }

  /** Returns the bytes of the weights, including their scales. */
  public long bytes(long blocks, int rows, int columns) {
    return blocks * blockBytes(rows, columns) + (scales == null ? 0 : 4 * scales.elements());
  }

  private long blockBytes(int rows, int columns) {
    return type.isPacked()
        ? new Panels(type, rows, columns).blockBytes()
        : (long) rows * columns * type.bytes();
  }

  @Override
  public void close() {
    elements.close();
    if (scales != null) {
      scales.close();
    }
  }
}
