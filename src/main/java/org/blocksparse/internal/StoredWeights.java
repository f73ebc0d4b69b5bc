// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import org.blocksparse.internal.memory.Storage;

/**
 * The memory of weights of a type: blocks of rows and columns. Operands are leased by the caller.
 *
 * @param scales one for each column of a block; null unless the type has some
 */
public record StoredWeights(WeightType type, Storage elements, Storage scales)
    implements AutoCloseable {
  /** Elements that are widened at once. */
  private static final int PIECE = 1 << 12;

  /**
   * Rounds floats to a type.
   *
   * @param name of the floats, for messages
   * @throws IllegalArgumentException if one is not finite or too large for the type
   */
  public static StoredWeights of(
      String name,
      Storage floats,
      WeightType type,
      long blocks,
      int rows,
      int columns,
      Engine engine) {
    if (type.isPacked()) {
      return packed(name, floats, null, new Panels(type, rows, columns), blocks, engine);
    }
    StoredWeights made = allocate(type, blocks * rows * columns, blocks * columns);
    try {
      if (type == WeightType.FLOAT32) {
        made.elements.copyFrom(floats);
      } else {
        new Narrowing(name, type, floats, blocks, rows, columns, made.scales, engine)
            .putAll(made.elements, engine);
      }
      floats.requireIntact();
      return made;
    } catch (Throwable e) {
      made.close();
      throw e;
    }
  }

  /** Weights of INT8 in panels, the same numbers. */
  public StoredWeights packed(long blocks, int rows, int columns, Engine engine) {
    return packed(
        "weights",
        elements,
        scales,
        new Panels(WeightType.PACKED_INT8, rows, columns),
        blocks,
        engine);
  }

  private static StoredWeights packed(
      String name, Storage from, Storage scales, Panels panels, long blocks, Engine engine) {
    long words = words(panels, blocks);
    Storage[] made =
        scales == null ? Storage.allocateAll(words) : Storage.allocateAll(words, scales.elements());
    try {
      new PanelPacking(name, panels, from).putAll(blocks, made[0], engine);
      if (scales != null) {
        made[1].copyFrom(scales);
      }
      from.requireIntact();
      return new StoredWeights(panels.type(), made[0], scales == null ? null : made[1]);
    } catch (Throwable e) {
      Storage.closeAll(made);
      throw e;
    }
  }

  /** The elements of four bytes that hold that many packed blocks. */
  static long words(Panels panels, long blocks) {
    return (Math.multiplyExact(blocks, panels.blockBytes()) + 3) / 4;
  }

  private static StoredWeights allocate(WeightType type, long elements, long scales) {
    Storage[] made =
        type.hasScales()
            ? Storage.allocateAll(type.words(elements), scales)
            : Storage.allocateAll(type.words(elements));
    return new StoredWeights(type, made[0], type.hasScales() ? made[1] : null);
  }

  /** The same weights in memory of their own, given how many there are. */
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

  /** The same memory with a lifetime within this one; see {@link Storage#view}. */
  public StoredWeights view() {
    return new StoredWeights(type, elements.view(), scales == null ? null : scales.view());
  }

  /** Writes the floats that the weights stand for. */
  public void widen(long blocks, int rows, int columns, Storage out) {
    if (columns == 0) {
      return; // however many rows of nothing there are
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

  /** A copy with weights of another type, one of the two types FLOAT32, or of the same. */
  public StoredWeights as(
      String name, WeightType other, long blocks, int rows, int columns, Engine engine) {
    if (other == type) {
      return copy(blocks * rows * columns);
    }
    if (type == WeightType.FLOAT32) {
      return of(name, elements, other, blocks, rows, columns, engine);
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

  /** The bytes that the weights take, their scales included. */
  public long bytes(long blocks, int rows, int columns) {
    long ofBlock =
        type.isPacked()
            ? new Panels(type, rows, columns).blockBytes()
            : (long) rows * columns * type.bytes();
    return blocks * ofBlock + (scales == null ? 0 : 4 * scales.elements());
  }

  @Override
  public void close() {
    elements.close();
    if (scales != null) {
      scales.close();
    }
  }
}
