// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.Check;
import org.blocksparse.internal.KernelOperands;
import org.blocksparse.internal.OperandLease;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.GgmlPanels;
import org.blocksparse.internal.weights.GgmlType;
import org.blocksparse.internal.weights.Narrowing;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * Read-only weight blocks of any {@link ElementType}. Pass them to {@link
 * org.blocksparse.products.SparseBlockDot} and {@link org.blocksparse.products.SparseBlockGemv}
 * instead of a {@link FloatTensor} W. {@link org.blocksparse.io.TensorFile} stores them.
 *
 * <p>Products with FLOAT32 weights use the same kernels as products with a {@link FloatTensor}.
 * Products with other types always use the tile kernels. {@link org.blocksparse.products.BlockPlan}
 * describes how forward products round their inputs to suit the type. Products that do not round
 * have results that are bitwise equal to those with {@link #widened} on the tile kernels ({@code
 * -Dblocksparse.path=tile}).
 *
 * <p><b>Packed</b> weights have a layout for dot-product instructions: {@link
 * ElementType#PACKED_BFLOAT16}, INT8, {@link ElementType#Q8_0}, {@link ElementType#Q4_0}, {@link
 * ElementType#MXFP4}, {@link ElementType#Q4_K} and the types below it. Only forward products accept
 * them.
 *
 * <p>The lifetime and thread-safety rules of {@link Tensor} apply.
 */
public final class Weights implements BlockMatrix {
  static final int RANK = 4;

  /** Maximum number of scales of empty blocks (iSize 0). */
  private static final int MOST_SCALES_OF_NOTHING = 1 << 20;

  private final Shape shape;
  private final StoredWeights stored;

  /** Whether the memory holds the transposed blocks. */
  private final boolean transposed;

  /**
   * Weights that take ownership of the memory.
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
   * Weights that take ownership of memory with the transposed blocks.
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
   * A copy of W, converted to a type.
   *
   * @param W (iBlocks, oBlocks, iSize, oSize), contiguous, all finite
   * @throws IllegalArgumentException if W is not of rank 4, or is a transposed view; if an element
   *     is not finite or too large for the type (FLOAT32 accepts any); or if empty INT8 blocks
   *     (iSize 0) need more than 2<sup>20</sup> scales
   * @throws IllegalStateException if W is closed
   */
  public static Weights of(FloatTensor W, ElementType type) {
    requireNonNull(type, "type");
    requireBlocks("W", W, type).requireContiguous("Weights.of");
    Shape shape = W.shape();
    long blocks = shape.dim(0) * shape.dim(1);
    Engine engine = Workers.common().engine();
    try (OperandLease lease = new OperandLease().of("W", W)) {
      return new Weights(
          StoredWeights.of(
              "W",
              W.storage(),
              type.stored(),
              blocks,
              (int) shape.dim(2),
              (int) shape.dim(3),
              engine.scheduler()),
          shape);
    }
  }

  /**
   * Wraps read-only memory at an address without a copy: for example, a model that other code has
   * mapped. From JDK 22 on, this wraps a {@code MemorySegment} of any size:
   *
   * <pre>{@code
   * if (!segment.isNative() || !segment.scope().isAlive()) {
   *   throw new IllegalArgumentException("segment: expected native memory, open");
   * }
   * return Weights.wrapAddress(
   *     segment.address(), segment.byteSize(), segment, ElementType.BFLOAT16, dims);
   * }</pre>
   *
   * <p>Most model files store matrices as (out, in). {@link #transposeBlocks} turns (experts, 1,
   * out, in) into (1, experts, in, out), also without a copy. {@code Weights.of(view.widened(),
   * ElementType.Q8_0)} makes a packed copy. If the memory is already INT8 or of a ggml type, {@link
   * #packAddress} packs it.
   *
   * <p>The memory and its owner must meet the requirements of {@link FloatTensor#wrapAddress},
   * except that the memory may be read-only. Values are not checked: weights that are not finite
   * give products that are not finite.
   *
   * @param address the address of the first element; a multiple of its size
   * @param bytes the size of the memory: the number of elements times their size
   * @param owner is kept reachable as long as the weights are
   * @param type FLOAT32, FLOAT16 or BFLOAT16, in native byte order
   * @param dims (iBlocks, oBlocks, iSize, oSize)
   * @throws IllegalArgumentException if the type is not supported; if the address is 0 or not
   *     aligned; if the bytes do not match the dimensions; or if there are not four dimensions, or
   *     one is larger than an int
   * @throws UnsupportedOperationException if the native library is not in use
   */
  public static Weights wrapAddress(
      long address, long bytes, Object owner, ElementType type, long... dims) {
    requireNonNull(owner, "owner");
    WeightType stored = requireNonNull(type, "type").stored();
    if (stored.isPacked()) {
      throw new IllegalArgumentException(
          "type: expected FLOAT32, FLOAT16 or BFLOAT16 but was "
              + type
              + "; packAddress packs a copy");
    }
    Shape shape = requireDims(dims);
    requireAddress(address, stored.bytes());
    requireBytes(bytes, shape.size() * stored.bytes(), shape, type);
    return new Weights(
        new StoredWeights(stored, Storage.wrapBytes(address, bytes, owner), null), shape);
  }

  /**
   * Packs weights from memory at an address: for example, from a model that other code has mapped.
   * Each block is stored as (out, in), as in most model files. The memory is copied, and may be
   * freed after the call.
   *
   * <table>
   *   <caption>Types, with n = iBlocks * oBlocks * oSize outputs in all</caption>
   *   <tr><th>type</th><th>memory</th></tr>
   *   <tr><td>INT8</td>
   *       <td>n rows of iSize bytes, and one scale per row</td></tr>
   *   <tr><td>PACKED_BFLOAT16</td>
   *       <td>n rows of iSize numbers of 2 bytes, in native byte order</td></tr>
   *   <tr><td>Q8_0, Q4_0, IQ4_NL, MXFP4, Q5_1</td>
   *       <td>n rows of iSize / 32 blocks of ggml, of 34, 18, 18, 17 or 24 bytes</td></tr>
   *   <tr><td>Q4_K, Q6_K, Q5_K, Q2_K, IQ4_XS</td>
   *       <td>n rows of iSize / 256 blocks of ggml, of 144, 210, 176, 84 or 136 bytes</td></tr>
   * </table>
   *
   * <p>FLOAT32, FLOAT16 and BFLOAT16 are not packed: use {@link #wrapAddress} and {@link
   * #transposeBlocks}, which copy nothing.
   *
   * @param address the address of the first row
   * @param bytes the size of the memory
   * @param owner keeps the memory alive during the call, as for {@link FloatTensor#wrapAddress}
   * @param scales for INT8, (iBlocks, oBlocks, oSize); null for other types
   * @param dims (iBlocks, oBlocks, iSize, oSize) of the weights
   * @throws IllegalArgumentException if the type is not supported; if the address is 0, or of
   *     PACKED_BFLOAT16 odd; if the bytes do not match the dimensions; if there are not four
   *     dimensions, or one is larger than an int; if iSize is not a multiple of 32 or 256 for a
   *     ggml type; if a number of PACKED_BFLOAT16 is not finite; or if scales are missing,
   *     unexpected, of another shape, or could make weights infinite
   * @throws IllegalStateException if the scales are closed
   * @throws UnsupportedOperationException if the native library is not in use
   */
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
    Engine engine = Workers.common().engine();
    if (type == ElementType.INT8 || type == ElementType.PACKED_BFLOAT16) {
      WeightType rows = type == ElementType.INT8 ? WeightType.INT8 : WeightType.BFLOAT16;
      requireBytes(bytes, shape.size() * rows.bytes(), shape, type);
      try (StoredWeights memory =
          new StoredWeights(
              rows,
              Storage.wrapBytes(address, bytes, owner),
              scales == null ? null : copyScales(scales, shape))) {
        return new Weights(memory.packed(blocks, iSize, oSize, true, engine.scheduler()), shape);
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
      return new Weights(
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

  /** Checks that W can be converted to a type, if it is contiguous. */
  static FloatTensor requireBlocks(String name, FloatTensor W, ElementType type) {
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

  /**
   * A view as (oBlocks, iBlocks, oSize, iSize): the weights with input and output exchanged, as in
   * {@link FloatTensor#transposeBlocks}. Nothing is copied. Products accept the view, and do not
   * round their inputs for it.
   *
   * <p>Closing the original closes the view. Closing the view does not close the original.
   *
   * @throws IllegalStateException if these are packed or closed
   */
  public Weights transposeBlocks() {
    if (type().isPacked()) {
      throw new IllegalStateException("weights: " + this + " is packed and has no transposed view");
    }
    try (OperandLease lease = new OperandLease().of("weights", this)) {
      return new Weights(stored.view(), exchanged(shape), !transposed);
    }
  }

  /**
   * A view with different block counts and the same memory order: for example, (experts, 1, in,
   * out) becomes (1, experts, in, out). Nothing is copied. Closing works as for {@link
   * #transposeBlocks}.
   *
   * @throws IllegalArgumentException if the total number of blocks would change, or if these are a
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
    try (OperandLease lease = new OperandLease().of("weights", this)) {
      return new Weights(contiguous.view(), Shape.of(iBlocks, oBlocks, shape.dim(2), shape.dim(3)));
    }
  }

  /**
   * Copies the weights; the caller must hold a lease. The copy is not a transposed view.
   *
   * @throws IllegalArgumentException if they are a transposed view, and a weight is not finite
   */
  Weights copy() {
    if (transposed) {
      try (FloatTensor floats = widened()) {
        return of(floats, type());
      }
    }
    return new Weights(stored.copy(shape.size()), shape);
  }

  /**
   * Packs weights of BFLOAT16; the caller must hold a lease.
   *
   * @throws IllegalArgumentException if they are a transposed view of a grid of blocks, or a weight
   *     is not finite
   */
  Weights packed() {
    long blocks = shape.dim(0) * shape.dim(1);
    if (transposed && shape.dim(0) != 1 && shape.dim(1) != 1) {
      requireContiguous("packed");
    }
    Engine engine = Workers.common().engine();
    int iSize = (int) shape.dim(2);
    int oSize = (int) shape.dim(3);
    return new Weights(stored.packed(blocks, iSize, oSize, transposed, engine.scheduler()), shape);
  }

  /** The stored weights; transposed if {@link #isTransposed}. */
  StoredWeights stored() {
    return stored;
  }

  /** Whether the memory holds the transposed blocks. */
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

  /** The size of the weights in bytes, including scales and the padding of packed weights. */
  public long bytes() {
    return stored.bytes(shape.dim(0) * shape.dim(1), (int) shape.dim(2), (int) shape.dim(3));
  }

  /**
   * The dequantized weights in a new float32 tensor.
   *
   * @throws IllegalStateException if these are closed
   */
  public FloatTensor widened() {
    return KernelOperands.filled(
        FloatTensor.zeros(shape),
        out -> {
          try (OperandLease lease = new OperandLease().of("weights", this)) {
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

  /** The blocks in the form that kernels take. */
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
   * Returns the stored weights, if they are contiguous.
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
    return "Weights" + shape + " of " + type() + (isClosed() ? " (closed)" : "");
  }
}
