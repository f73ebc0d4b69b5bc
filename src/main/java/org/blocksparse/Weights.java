// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Narrowing;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.memory.Storage;

/**
 * Blocks of weights that are only read, of any {@link ElementType}: for {@link SparseBlockDot} and
 * {@link SparseBlockGemv} in place of a {@link FloatTensor} W. {@link TensorFile} keeps them.
 *
 * <p>A product with them has the bits that it has with {@link #widened} on the tile kernels, which
 * always compute it ({@code -Dblocksparse.path=tile}); those of FLOAT32 go the way that a tensor
 * would.
 *
 * <p>Lifetime and threads are those of a {@link Tensor}.
 */
public final class Weights implements BlockMatrix {
  static final int RANK = 4;

  /** Scales of blocks that have no rows. */
  private static final int MOST_SCALES_OF_NOTHING = 1 << 20;

  /** Floats that are written at once. */
  private static final int PIECE = 1 << 12;

  private final WeightType type;
  private final Shape shape;
  private final Storage elements;

  /** Of INT8: (iBlocks, oBlocks, oSize). */
  private final Storage scales;

  /**
   * Weights over all of two storages, which become their own.
   *
   * @param shape (iBlocks, oBlocks, iSize, oSize)
   * @param scales null unless the type has some
   */
  Weights(WeightType type, Shape shape, Storage elements, Storage scales) {
    this.type = type;
    this.shape = shape;
    this.elements = elements;
    this.scales = scales;
  }

  /**
   * A copy of W with elements of a type.
   *
   * @param W (iBlocks, oBlocks, iSize, oSize), contiguous, all finite
   * @throws IllegalArgumentException if W has another rank, is a transposed view, or has an element
   *     that is not finite or too large for the type, which FLOAT32 keeps as it is; or if INT8
   *     would have more than 2<sup>20</sup> scales of blocks without rows
   * @throws IllegalStateException if W is closed
   */
  public static Weights of(FloatTensor W, ElementType type) {
    requireNonNull(type, "type");
    requireBlocks("W", W, type).requireContiguous("Weights.of");
    return of("W", W, type, Workers.common().engine());
  }

  /** Weights of a type can be made of a tensor, if it is contiguous. */
  static FloatTensor requireBlocks(String name, FloatTensor W, ElementType type) {
    Shape shape = Check.rank(name, W, Check.WEIGHTS, RANK).shape();
    // Nothing else bounds them: of blocks that have rows, there are no more than elements.
    if (type == ElementType.INT8
        && shape.dim(2) == 0
        && (double) shape.dim(0) * shape.dim(1) * shape.dim(3) > MOST_SCALES_OF_NOTHING) {
      throw new IllegalArgumentException(
          name + ": INT8 of " + shape + " would have more than 2^20 scales of no weights");
    }
    return W;
  }

  /** As {@link #of(FloatTensor, ElementType)}, of a tensor that has a name and was checked. */
  static Weights of(String name, FloatTensor W, ElementType elementType, Engine engine) {
    WeightType type = elementType.stored();
    Shape shape = W.shape();
    long blocks = shape.dim(0) * shape.dim(1);
    long columns = shape.dim(3);
    Storage[] made =
        type.hasScales()
            ? Storage.allocateAll(type.words(shape.size()), blocks * columns)
            : Storage.allocateAll(type.words(shape.size()));
    Storage scales = type.hasScales() ? made[1] : null;
    try (Lease lease = new Lease().of(name, W)) {
      if (type == WeightType.FLOAT32) {
        made[0].copyFrom(W.storage());
      } else {
        new Narrowing(
                name, type, W.storage(), blocks, (int) shape.dim(2), (int) columns, scales, engine)
            .putAll(made[0], engine);
      }
      lease.requireIntact();
    } catch (Throwable e) {
      Storage.closeAll(made);
      throw e;
    }
    return new Weights(type, shape, made[0], scales);
  }

  /** What the weights are stored as. */
  public ElementType type() {
    return ElementType.of(type);
  }

  @Override
  public Shape shape() {
    return shape;
  }

  /** The bytes that the weights take, their scales included. */
  public long bytes() {
    return shape.size() * type.bytes() + (scales == null ? 0 : 4 * scales.elements());
  }

  /**
   * The floats that the weights stand for, in a new tensor.
   *
   * @throws IllegalStateException if these are closed
   */
  public FloatTensor widened() {
    return FloatTensor.zeros(shape).filledBy(this::widen);
  }

  /** Writes the floats that the weights stand for to a tensor with as many elements. */
  void widen(FloatTensor out) {
    float[] piece = new float[(int) Math.min(PIECE, shape.size())];
    try (Lease lease = new Lease().of("weights", this).writing("out", out)) {
      if (shape.size() == 0) {
        return; // however many blocks of nothing there are
      }
      Blocks blocks = blocks();
      long at = 0;
      int count = 0;
      for (int i = 0; i < shape.dim(0); i++) {
        for (int j = 0; j < shape.dim(1); j++) {
          for (int p = 0; p < shape.dim(2); p++) {
            for (int q = 0; q < shape.dim(3); q++) {
              piece[count] = blocks.get(i, j, p, q);
              count++;
              if (count == piece.length) {
                out.storage().putFloats(at, piece, 0, count);
                at += count;
                count = 0;
              }
            }
          }
        }
      }
      out.storage().putFloats(at, piece, 0, count);
    }
  }

  /** The same weights in memory of their own. */
  Weights copy(String name) {
    long words = type.words(shape.size());
    Storage[] made =
        scales == null ? Storage.allocateAll(words) : Storage.allocateAll(words, scales.elements());
    try (Lease lease = new Lease().of(name, this)) {
      made[0].copyFrom(elements);
      if (scales != null) {
        made[1].copyFrom(scales);
      }
      lease.requireIntact();
    } catch (Throwable e) {
      Storage.closeAll(made);
      throw e;
    }
    return new Weights(type, shape, made[0], scales == null ? null : made[1]);
  }

  /** As the kernels see them. */
  Blocks blocks() {
    return Blocks.dense(
            elements,
            (int) shape.dim(0),
            (int) shape.dim(1),
            (int) shape.dim(2),
            (int) shape.dim(3))
        .as(type, scales);
  }

  WeightType stored() {
    return type;
  }

  Storage elements() {
    return elements;
  }

  /** Null unless the type has some. */
  Storage scales() {
    return scales;
  }

  @Override
  public boolean isClosed() {
    return elements.isClosed();
  }

  @Override
  public void close() {
    elements.close();
    if (scales != null) {
      scales.close();
    }
  }

  @Override
  public String toString() {
    return "Weights" + shape + " of " + type + (isClosed() ? " (closed)" : "");
  }
}
