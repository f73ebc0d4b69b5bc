// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import static java.util.Objects.requireNonNull;

import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.GgmlPanels;
import org.blocksparse.internal.weights.GgmlType;
import org.blocksparse.internal.weights.Narrowing;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/** Blocks of stored weights, which may be a transposed view. */
public final class StoredBlocks implements Weights {
  static final int RANK = 4;

  /** The maximum number of scales of empty blocks (iSize 0). */
  private static final int MOST_SCALES_OF_NOTHING = 1 << 20;

  private final Shape shape;

  private final StoredWeights stored;

  /** Whether the memory holds the transposed blocks. */
  private final boolean transposed;

  /** Returns the only implementation of some weights. */
  public static StoredBlocks from(Weights weights) {
    return (StoredBlocks) weights;
  }

  /**
   * Creates weights that take ownership of the memory.
   *
   * @param shape (iBlocks, oBlocks, iSize, oSize)
   */
  public StoredBlocks(StoredWeights stored, Shape shape) {
    this(stored, shape, false);
  }

  public StoredBlocks(StoredWeights stored, Shape shape, boolean transposed) {
    this.shape = shape;
    this.stored = stored;
    this.transposed = transposed;
  }

  /**
   * Returns weights that take ownership of memory with the transposed blocks.
   *
   * @param inMemory (oBlocks, iBlocks, oSize, iSize)
   */
  public static Weights transposed(StoredWeights stored, Shape inMemory) {
    return new StoredBlocks(stored, exchanged(inMemory), true);
  }

  private static Shape exchanged(Shape shape) {
    return Shape.of(shape.dim(1), shape.dim(0), shape.dim(3), shape.dim(2));
  }

  public static Weights of(FloatTensor W, ElementType type) {
    requireNonNull(type, "type");
    Dense.from(requireBlocks("W", W, type)).requireContiguous("Weights.of");
    Shape shape = W.shape();
    long blocks = shape.dim(0) * shape.dim(1);
    Engine engine = Engine.from(Workers.common());
    try (OperandLease lease = new OperandLease().of("W", W)) {
      return new StoredBlocks(
          StoredWeights.of(
              "W",
              Dense.from(W).storage(),
              WeightType.of(type),
              blocks,
              (int) shape.dim(2),
              (int) shape.dim(3),
              engine.scheduler()),
          shape);
    }
  }

  public static Weights wrapAddress(
      long address, long bytes, Object owner, ElementType type, long... dims) {
    requireNonNull(owner, "owner");
    WeightType stored = WeightType.of(requireNonNull(type, "type"));
    if (stored.isPacked()) {
      throw new IllegalArgumentException(
          "type: expected FLOAT32, FLOAT16 or BFLOAT16 but was "
              + type
              + "; packAddress packs a copy");
    }
    Shape shape = requireDims(dims);
    requireAddress(address, stored.bytes());
    requireBytes(bytes, shape.size() * stored.bytes(), shape, type);
    return new StoredBlocks(
        new StoredWeights(stored, Storage.wrapBytes(address, bytes, owner), null), shape);
  }

  public static Weights packAddress(
      long address, long bytes, Object owner, ElementType type, FloatTensor scales, long... dims) {
    requireNonNull(owner, "owner");
    if (!requireNonNull(type, "type").isPacked()) {
      throw new IllegalArgumentException(
          "type: expected a packed type, such as INT8 or Q4_0, but was "
              + type
              + "; wrapAddress and transposeBlocks use it where it lies");
    }
    Shape shape = requireDims(dims);
    requireAddress(address, type == ElementType.PACKED_BFLOAT16 ? 2 : 1);
    requireScales(type, scales);
    long blocks = shape.dim(0) * shape.dim(1);
    int iSize = (int) shape.dim(2);
    int oSize = (int) shape.dim(3);
    Engine engine = Engine.from(Workers.common());
    if (type == ElementType.INT8 || type == ElementType.PACKED_BFLOAT16) {
      WeightType rows = type == ElementType.INT8 ? WeightType.INT8 : WeightType.BFLOAT16;
      requireBytes(bytes, shape.size() * rows.bytes(), shape, type);
      try (StoredWeights memory =
          new StoredWeights(
              rows,
              Storage.wrapBytes(address, bytes, owner),
              scales == null ? null : copyScales(scales, shape))) {
        return new StoredBlocks(
            memory.packed(blocks, iSize, oSize, true, engine.scheduler()), shape);
      }
    }
    GgmlType ggml = GgmlType.valueOf(type.name());
    if (iSize % ggml.blockSize() != 0) {
      throw new IllegalArgumentException(
          "dims: expected a multiple of "
              + ggml.blockSize()
              + " for iSize, as "
              + type
              + " has, but was "
              + shape);
    }
    requireBytes(bytes, shape.size() / ggml.blockSize() * ggml.blockBytes(), shape, type);
    Storage memory = Storage.wrapBytes(address, bytes, owner);
    try {
      Storage[] from = {memory};
      return new StoredBlocks(
          GgmlPanels.pack("weights", ggml, from, blocks, iSize, oSize, engine.scheduler()), shape);
    } finally {
      memory.close();
    }
  }

  private static Shape requireDims(long... dims) {
    Shape shape = Shape.of(dims);
    if (shape.rank() != RANK) {
      throw new IllegalArgumentException("dims: expected " + Check.WEIGHTS + " but was " + shape);
    }
    for (long dim : dims) {
      if (dim > Integer.MAX_VALUE) {
        throw new IllegalArgumentException("dims: a dimension of " + shape + " is too large");
      }
    }
    return shape;
  }

  private static void requireAddress(long address, int multiple) {
    if (address == 0 || address % multiple != 0) {
      throw new IllegalArgumentException(
          "address: expected a multiple of " + multiple + " that is not 0 but was " + address);
    }
  }

  private static void requireBytes(long bytes, long expected, Shape shape, ElementType type) {
    if (bytes != expected) {
      throw new IllegalArgumentException(
          "bytes: expected " + expected + " for " + shape + " of " + type + " but was " + bytes);
    }
  }

  private static void requireScales(ElementType type, FloatTensor scales) {
    if (WeightType.of(type).hasScales() != (scales != null)) {
      throw new IllegalArgumentException(
          "scales: expected "
              + (scales == null ? "some" : "none")
              + ", as the type is "
              + type
              + ", but there are "
              + (scales == null ? "none" : "some"));
    }
  }

  private static Storage copyScales(FloatTensor scales, Shape shape) {
    Check.shape(
        "scales", scales, "(iBlocks, oBlocks, oSize)", shape.dim(0), shape.dim(1), shape.dim(3));
    Storage copy = DenseFloats.from(scales).copy("scales").storage();
    for (long i = 0; i < copy.elements(); i++) {
      float scale = copy.getFloat(i);
      if (!(Math.abs(scale) <= Narrowing.LARGEST_SCALE)) {
        copy.close();
        throw new IllegalArgumentException(
            "scales: element " + i + " = " + scale + " makes weights infinite");
      }
    }
    return copy;
  }

  /** Checks that W can be converted to a type, if it is contiguous. */
  public static FloatTensor requireBlocks(String name, FloatTensor W, ElementType type) {
    Shape shape = Check.rank(name, W, Check.WEIGHTS, RANK).shape();
    // Blocks with rows have at most as many scales as elements. For blocks without rows, nothing
    // else limits the number of scales.
    if (type == ElementType.INT8
        && shape.dim(2) == 0
        && (double) shape.dim(0) * shape.dim(1) * shape.dim(3) > MOST_SCALES_OF_NOTHING) {
      throw new IllegalArgumentException(
          name + ": INT8 of " + shape + " would have more than 2^20 scales of no weights");
    }
    return W;
  }

  @Override
  public Weights transposeBlocks() {
    if (type().isPacked()) {
      throw new IllegalStateException("weights: " + this + " is packed and has no transposed view");
    }
    try (OperandLease lease = new OperandLease().of("weights", this)) {
      return new StoredBlocks(stored.view(), exchanged(shape), !transposed);
    }
  }

  @Override
  public Weights reshapeBlocks(int iBlocks, int oBlocks) {
    StoredWeights contiguous = requireContiguous("Weights.reshapeBlocks");
    long blocks = shape.dim(0) * shape.dim(1);
    if (iBlocks < 0 || oBlocks < 0 || (long) iBlocks * oBlocks != blocks) {
      throw new IllegalArgumentException(
          "iBlocks, oBlocks: expected "
              + blocks
              + " blocks, as there are, but was "
              + iBlocks
              + " times "
              + oBlocks);
    }
    try (OperandLease lease = new OperandLease().of("weights", this)) {
      return new StoredBlocks(
          contiguous.view(), Shape.of(iBlocks, oBlocks, shape.dim(2), shape.dim(3)));
    }
  }

  /**
   * Copies the weights; the caller must hold a lease. The copy is not a transposed view.
   *
   * @throws IllegalArgumentException if they are a transposed view, and a weight is not finite
   */
  public Weights copy() {
    if (transposed) {
      try (FloatTensor floats = widened()) {
        return of(floats, type());
      }
    }
    return new StoredBlocks(stored.copy(shape.size()), shape);
  }

  /**
   * Packs weights of BFLOAT16; the caller must hold a lease.
   *
   * @throws IllegalArgumentException if they are a transposed view of a grid of blocks, or a weight
   *     is not finite
   */
  public Weights packed() {
    long blocks = shape.dim(0) * shape.dim(1);
    if (transposed && shape.dim(0) != 1 && shape.dim(1) != 1) {
      requireContiguous("packed");
    }
    Engine engine = Engine.from(Workers.common());
    int iSize = (int) shape.dim(2);
    int oSize = (int) shape.dim(3);
    return new StoredBlocks(
        stored.packed(blocks, iSize, oSize, transposed, engine.scheduler()), shape);
  }

  /** Returns the stored weights; transposed if {@link #isTransposed}. */
  public StoredWeights stored() {
    return stored;
  }

  /** Returns whether the memory holds the transposed blocks. */
  public boolean isTransposed() {
    return transposed;
  }

  @Override
  public ElementType type() {
    return stored.type().elementType();
  }

  @Override
  public Shape shape() {
    return shape;
  }

  @Override
  public long bytes() {
    return stored.bytes(shape.dim(0) * shape.dim(1), (int) shape.dim(2), (int) shape.dim(3));
  }

  @Override
  public FloatTensor widened() {
    return KernelOperands.filled(
        FloatTensor.zeros(shape),
        out -> {
          try (OperandLease lease = new OperandLease().of("weights", this)) {
            if (transposed) {
              widenRows(Dense.from(out).storage());
            } else {
              long blocks = shape.dim(0) * shape.dim(1);
              stored.widen(
                  blocks, (int) shape.dim(2), (int) shape.dim(3), Dense.from(out).storage());
            }
          }
        });
  }

  private void widenRows(Storage out) {
    if (shape.size() == 0) {
      return; // there may be very many rows without elements
    }
    Blocks blocks = blocks();
    float[] row = new float[blocks.outSize()];
    long at = 0;
    for (int i = 0; i < blocks.inBlocks(); i++) {
      for (int j = 0; j < blocks.outBlocks(); j++) {
        for (int p = 0; p < blocks.inSize(); p++, at += row.length) {
          for (int q = 0; q < row.length; q++) {
            row[q] = blocks.get(i, j, p, q);
          }
          out.putFloats(at, row, 0, row.length);
        }
      }
    }
  }

  /** Returns the blocks in the form that kernels take. */
  public Blocks blocks() {
    Shape inMemory = transposed ? exchanged(shape) : shape;
    Blocks dense =
        Blocks.dense(
                stored.elements(),
                (int) inMemory.dim(0),
                (int) inMemory.dim(1),
                (int) inMemory.dim(2),
                (int) inMemory.dim(3))
            .as(stored.type(), stored.scales());
    return transposed ? dense.transpose() : dense;
  }

  /**
   * Returns the stored weights, if they are contiguous.
   *
   * @throws IllegalArgumentException if these are a transposed view
   */
  public StoredWeights requireContiguous(String operation) {
    if (transposed) {
      throw new IllegalArgumentException(
          operation + ": expected contiguous weights but " + shape + " is a transposed view");
    }
    return stored;
  }

  public Storage elements() {
    return stored.elements();
  }

  /** Returns the scales; null unless the type has some. */
  public Storage scales() {
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
    return "Weights" + shape + " of " + type() + (isClosed() ? " (closed)" : "");
  }
}
