// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.StoredWeights;
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

  private final Shape shape;
  private final StoredWeights stored;

  /**
   * Weights over memory that becomes their own.
   *
   * @param shape (iBlocks, oBlocks, iSize, oSize)
   */
  Weights(StoredWeights stored, Shape shape) {
    this.shape = shape;
    this.stored = stored;
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
    Shape shape = W.shape();
    long blocks = shape.dim(0) * shape.dim(1);
    Engine engine = Workers.common().engine();
    try (Lease lease = new Lease().of("W", W)) {
      return new Weights(
          StoredWeights.of(
              "W",
              W.storage(),
              type.stored(),
              blocks,
              (int) shape.dim(2),
              (int) shape.dim(3),
              engine),
          shape);
    }
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

  /** What the weights are stored as. */
  public ElementType type() {
    return ElementType.of(stored.type());
  }

  @Override
  public Shape shape() {
    return shape;
  }

  /** The bytes that the weights take, their scales included. */
  public long bytes() {
    return stored.bytes(shape.size());
  }

  /**
   * The floats that the weights stand for, in a new tensor.
   *
   * @throws IllegalStateException if these are closed
   */
  public FloatTensor widened() {
    return FloatTensor.zeros(shape)
        .filledBy(
            out -> {
              try (Lease lease = new Lease().of("weights", this)) {
                long blocks = shape.dim(0) * shape.dim(1);
                stored.widen(blocks, (int) shape.dim(2), (int) shape.dim(3), out.storage());
              }
            });
  }

  /** As the kernels see them. */
  Blocks blocks() {
    return Blocks.dense(
            stored.elements(),
            (int) shape.dim(0),
            (int) shape.dim(1),
            (int) shape.dim(2),
            (int) shape.dim(3))
        .as(stored.type(), stored.scales());
  }

  StoredWeights stored() {
    return stored;
  }

  Storage elements() {
    return stored.elements();
  }

  /** Null unless the type has some. */
  Storage scales() {
    return stored.scales();
  }

  @Override
  public boolean isClosed() {
    return stored.elements().isClosed();
  }

  @Override
  public void close() {
    stored.close();
  }

  @Override
  public String toString() {
    return "Weights" + shape + " of " + stored.type() + (isClosed() ? " (closed)" : "");
  }
}
