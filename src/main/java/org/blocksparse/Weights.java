// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.GgmlPanels;
import org.blocksparse.internal.Narrowing;
import org.blocksparse.internal.StoredWeights;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.format.GgmlType;
import org.blocksparse.internal.memory.Storage;

/**
 * Read-only blocks of weights of any {@link ElementType}, for {@link SparseBlockDot} and {@link
 * SparseBlockGemv} in place of a {@link FloatTensor} W. {@link TensorFile} stores them.
 *
 * <p>A product with them has the bits that it has with {@link #widened} on the tile kernels, which
 * always compute it ({@code -Dblocksparse.path=tile}); those of FLOAT32 go the way that a tensor
 * would. <b>Packed</b> weights are laid out for the processor's products of bytes: those of {@link
 * ElementType#Q8_0}, {@link ElementType#Q4_0} and {@link ElementType#MXFP4}, and of INT8 what
 * {@link #packed} returns. Forward products read them, with a plan {@link
 * BlockPlan#withRoundedInputs withRoundedInputs(INT8)}; nothing else does.
 *
 * <p>Lifetime and threads are those of a {@link Tensor}.
 */
public final class Weights implements BlockMatrix {
  static final int RANK = 4;

  /** Scales of blocks that have no rows. */
  private static final int MOST_SCALES_OF_NOTHING = 1 << 20;

  private final Shape shape;
  private final StoredWeights stored;

  /** Whether the memory is of the blocks with their two sides exchanged. */
  private final boolean transposed;

  /**
   * Weights over memory that becomes their own.
   *
   * @param shape (iBlocks, oBlocks, iSize, oSize)
   */
  Weights(StoredWeights stored, Shape shape) {
    this(stored, shape, false);
  }

  Weights(StoredWeights stored, Shape shape, boolean transposed) {
    this.shape = shape;
    this.stored = stored;
    this.transposed = transposed;
  }

  /**
   * Weights over memory that becomes their own, with their two sides exchanged.
   *
   * @param inMemory (oBlocks, iBlocks, oSize, iSize)
   */
  static Weights transposed(StoredWeights stored, Shape inMemory) {
    return new Weights(stored, exchanged(inMemory), true);
  }

  private static Shape exchanged(Shape shape) {
    return Shape.of(shape.dim(1), shape.dim(0), shape.dim(3), shape.dim(2));
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

  /**
   * Weights over memory at an address, without a copy and read-only, of a model that somebody else
   * has mapped for instance. From JDK 22 on, this takes a {@code MemorySegment} of any size:
   *
   * <pre>{@code
   * if (!segment.isNative() || !segment.scope().isAlive()) {
   *   throw new IllegalArgumentException("segment: expected native memory, open");
   * }
   * return Weights.wrapAddress(
   *     segment.address(), segment.byteSize(), segment, ElementType.BFLOAT16, null, dims);
   * }</pre>
   *
   * <p>Most model files lay matrices out (out, in). {@link #transposeBlocks} makes (1, experts, in,
   * out) of (experts, 1, out, in), also without a copy; {@code Weights.of(view.widened(),
   * ElementType.Q8_0)} packs a copy. {@link #packAddress} packs what is of fewer bits already.
   *
   * <p>The caller promises of the memory and its owner what {@link FloatTensor#wrapAddress} asks
   * for, but it need not be writable. Numbers are not checked: those that are not finite make
   * products that are not finite.
   *
   * @param address where the first element lies; a multiple of its size
   * @param bytes the size of the memory: the number of elements times their size
   * @param owner stays reachable as long as the weights are
   * @param type FLOAT32, FLOAT16, BFLOAT16 or INT8, in native byte order
   * @param scales of INT8, (iBlocks, oBlocks, oSize), which are copied; null of other types
   * @param dims (iBlocks, oBlocks, iSize, oSize)
   * @throws IllegalArgumentException if the type is another, the address is 0 or no multiple, the
   *     bytes are not those of the dimensions, there are not four or one is no int, or if scales
   *     are missing or not wanted, have another shape, or could make weights infinite
   * @throws IllegalStateException if the scales are closed
   * @throws UnsupportedOperationException if the native library is not in use
   */
  public static Weights wrapAddress(
      long address, long bytes, Object owner, ElementType type, FloatTensor scales, long... dims) {
    requireNonNull(owner, "owner");
    WeightType stored = requireNonNull(type, "type").stored();
    if (stored.isPacked()) {
      throw new IllegalArgumentException(
          "type: expected FLOAT32, FLOAT16, BFLOAT16 or INT8 but was "
              + type
              + "; packAddress packs a copy");
    }
    Shape shape = requireDims(dims);
    requireAddress(address, stored.bytes());
    requireBytes(bytes, shape.size() * stored.bytes(), shape, type);
    requireScales(type, scales);
    Storage elements = Storage.wrapBytes(address, bytes, owner);
    return new Weights(
        new StoredWeights(stored, elements, scales == null ? null : copyScales(scales, shape)),
        shape);
  }

  /**
   * Weights packed from memory at an address, of a model that somebody else has mapped for
   * instance. Each block is laid out (out, in), as in most model files. The memory is copied, and
   * is no longer needed when this returns.
   *
   * <table>
   *   <caption>Types, with n = iBlocks * oBlocks * oSize outputs in all</caption>
   *   <tr><th>type</th><th>memory</th></tr>
   *   <tr><td>INT8</td>
   *       <td>n rows of iSize bytes, and a scale for each row: as {@link #packed} makes them</td></tr>
   *   <tr><td>Q8_0, Q4_0, MXFP4</td>
   *       <td>n rows of iSize / 32 blocks of ggml, of 34, 18 or 17 bytes</td></tr>
   * </table>
   *
   * <p>FLOAT32, FLOAT16 and BFLOAT16 are not packed: {@link #wrapAddress} and {@link
   * #transposeBlocks} use them where they lie.
   *
   * @param address where the first row begins
   * @param bytes the size of the memory
   * @param owner keeps the memory alive during the call, as {@link FloatTensor#wrapAddress} asks
   *     for
   * @param scales of INT8, (iBlocks, oBlocks, oSize); null of other types
   * @param dims (iBlocks, oBlocks, iSize, oSize) of the weights
   * @throws IllegalArgumentException if the type is another, the address is 0, the bytes are not
   *     those of the dimensions, there are not four or one is no int, iSize is no multiple of 32 of
   *     a type of ggml, scales are missing or not wanted or have another shape, or a scale could
   *     make weights infinite
   * @throws IllegalStateException if the scales are closed
   * @throws UnsupportedOperationException if the native library is not in use
   */
  public static Weights packAddress(
      long address, long bytes, Object owner, ElementType type, FloatTensor scales, long... dims) {
    requireNonNull(owner, "owner");
    if (requireNonNull(type, "type") != ElementType.INT8 && !type.isPacked()) {
      throw new IllegalArgumentException(
          "type: expected INT8, Q8_0, Q4_0 or MXFP4 but was "
              + type
              + "; wrapAddress and transposeBlocks use it where it lies");
    }
    Shape shape = requireDims(dims);
    requireAddress(address, 1);
    requireScales(type, scales);
    long blocks = shape.dim(0) * shape.dim(1);
    int iSize = (int) shape.dim(2);
    int oSize = (int) shape.dim(3);
    Engine engine = Workers.common().engine();
    if (type == ElementType.INT8) {
      requireBytes(bytes, shape.size(), shape, type);
      try (StoredWeights memory =
          new StoredWeights(
              WeightType.INT8,
              Storage.wrapBytes(address, bytes, owner),
              copyScales(scales, shape))) {
        return new Weights(memory.packed(blocks, iSize, oSize, true, engine), shape);
      }
    }
    GgmlType ggml = GgmlType.valueOf(type.name());
    if (iSize % ggml.blockSize() != 0) {
      throw new IllegalArgumentException(
          "dims: expected a multiple of 32 for iSize, as " + type + " has, but was " + shape);
    }
    requireBytes(bytes, shape.size() / ggml.blockSize() * ggml.blockBytes(), shape, type);
    Storage memory = Storage.wrapBytes(address, bytes, owner);
    try {
      Storage[] from = {memory};
      return new Weights(
          GgmlPanels.pack("weights", ggml, from, blocks, iSize, oSize, engine), shape);
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
    if (type.stored().hasScales() != (scales != null)) {
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
    Storage copy = scales.copy("scales").storage();
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

  /**
   * A view as (oBlocks, iBlocks, oSize, iSize): the weights with input and output exchanged, as
   * {@link FloatTensor#transposeBlocks} has it. Nothing is copied. Products take it in place of W,
   * except with inputs that are rounded. Scales of INT8 stay those of the numbers that they are of:
   * in the view, of its inputs.
   *
   * <p>Closing these closes the view; closing the view closes the view alone.
   *
   * @throws IllegalStateException if these are packed or closed
   */
  public Weights transposeBlocks() {
    if (isPacked()) {
      throw new IllegalStateException("weights: " + this + " is packed and has no transposed view");
    }
    try (Lease lease = new Lease().of("weights", this)) {
      return new Weights(stored.view(), exchanged(shape), !transposed);
    }
  }

  /**
   * A view with other numbers of blocks, in the order of the memory: as (1, experts, in, out), what
   * is (experts, 1, in, out). Nothing is copied; closing is as with {@link #transposeBlocks}.
   *
   * @throws IllegalArgumentException if there would be more or fewer blocks, or if these are a
   *     transposed view
   * @throws IllegalStateException if these are closed
   */
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
    try (Lease lease = new Lease().of("weights", this)) {
      return new Weights(contiguous.view(), Shape.of(iBlocks, oBlocks, shape.dim(2), shape.dim(3)));
    }
  }

  /**
   * Weights of INT8 in panels: a copy with the same numbers and scales, for products of whole
   * numbers. Blocks are padded to multiples of 32 inputs and 16 outputs.
   *
   * @throws IllegalArgumentException if these are a transposed view
   * @throws IllegalStateException if these are of another type, or packed, or closed
   */
  public Weights packed() {
    if (stored.type() != WeightType.INT8) {
      throw new IllegalStateException(
          "weights: expected INT8 that is not packed but was "
              + this
              + "; make such with Weights.of(W, ElementType.INT8)");
    }
    try (Lease lease = new Lease().of("weights", this)) {
      return new Weights(
          requireContiguous("Weights.packed")
              .packed(
                  shape.dim(0) * shape.dim(1),
                  (int) shape.dim(2),
                  (int) shape.dim(3),
                  false,
                  Workers.common().engine()),
          shape);
    }
  }

  /** Whether the weights are packed: multiplied as whole numbers, and by nothing but products. */
  public boolean isPacked() {
    return stored.type().isPacked();
  }

  /**
   * The same weights in memory of their own; these are leased. The copy is no transposed view,
   * unless these are one with scales.
   *
   * @throws IllegalArgumentException if they are a transposed view, and one is not finite
   */
  Weights copy() {
    if (transposed && scales() == null) {
      try (FloatTensor floats = widened()) {
        return of(floats, type());
      }
    }
    return new Weights(stored.copy(shape.size()), shape, transposed);
  }

  /** As they lie, which {@link #isTransposed} says. */
  StoredWeights stored() {
    return stored;
  }

  /** Whether the memory is of the blocks with their two sides exchanged. */
  boolean isTransposed() {
    return transposed;
  }

  /** The type of the stored weights. */
  public ElementType type() {
    return ElementType.of(stored.type());
  }

  @Override
  public Shape shape() {
    return shape;
  }

  /** The bytes that the weights take, their scales and panels' padding included. */
  public long bytes() {
    return stored.bytes(shape.dim(0) * shape.dim(1), (int) shape.dim(2), (int) shape.dim(3));
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
                if (transposed) {
                  widenRows(out.storage());
                } else {
                  long blocks = shape.dim(0) * shape.dim(1);
                  stored.widen(blocks, (int) shape.dim(2), (int) shape.dim(3), out.storage());
                }
              }
            });
  }

  private void widenRows(Storage out) {
    if (shape.size() == 0) {
      return; // however many rows of nothing there are
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

  /** As the kernels see them. */
  Blocks blocks() {
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
   * The memory of blocks in their order.
   *
   * @throws IllegalArgumentException if these are a transposed view
   */
  StoredWeights requireContiguous(String operation) {
    if (transposed) {
      throw new IllegalArgumentException(
          operation + ": expected contiguous weights but " + shape + " is a transposed view");
    }
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
    String packed = stored.type() == WeightType.PACKED_INT8 ? ", packed" : "";
    return "Weights" + shape + " of " + type() + packed + (isClosed() ? " (closed)" : "");
  }
}
