// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.tensors.StoredBlocks;

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
public sealed interface Weights extends BlockMatrix permits StoredBlocks {
  /**
   * Returns a copy of W, converted to a type.
   *
   * @param W (iBlocks, oBlocks, iSize, oSize), contiguous, all finite
   * @throws IllegalArgumentException if W is not of rank 4, or is a transposed view; if an element
   *     is not finite or too large for the type (FLOAT32 accepts any); or if empty INT8 blocks
   *     (iSize 0) need more than 2<sup>20</sup> scales
   * @throws IllegalStateException if W is closed
   */
  static Weights of(FloatTensor W, ElementType type) {
    return StoredBlocks.of(W, type);
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
  static Weights wrapAddress(
      long address, long bytes, Object owner, ElementType type, long... dims) {
    return StoredBlocks.wrapAddress(address, bytes, owner, type, dims);
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
  static Weights packAddress(
      long address, long bytes, Object owner, ElementType type, FloatTensor scales, long... dims) {
    return StoredBlocks.packAddress(address, bytes, owner, type, scales, dims);
  }

  /**
   * Returns a view as (oBlocks, iBlocks, oSize, iSize): the weights with input and output
   * exchanged, as in {@link FloatTensor#transposeBlocks}. Nothing is copied. Products accept the
   * view, and do not round their inputs for it.
   *
   * <p>Closing the original closes the view. Closing the view does not close the original.
   *
   * @throws IllegalStateException if these are packed or closed
   */
  Weights transposeBlocks();

  /**
   * Returns a view with different block counts and the same memory order: for example, (experts, 1,
   * in, out) becomes (1, experts, in, out). Nothing is copied. Closing works as for {@link
   * #transposeBlocks}.
   *
   * @throws IllegalArgumentException if the total number of blocks would change, or if these are a
   *     transposed view
   * @throws IllegalStateException if these are closed
   */
  Weights reshapeBlocks(int iBlocks, int oBlocks);

  /** Returns the type of the stored weights. */
  ElementType type();

  @Override
  Shape shape();

  /**
   * Returns the size of the weights in bytes, including scales and the padding of packed weights.
   */
  long bytes();

  /**
   * Returns the dequantized weights in a new float32 tensor.
   *
   * @throws IllegalStateException if these are closed
   */
  FloatTensor widened();

  @Override
  boolean isClosed();

  @Override
  void close();
}
