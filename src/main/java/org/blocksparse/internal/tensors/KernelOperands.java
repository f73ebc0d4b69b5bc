// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.internal.kernels.ActivationInput;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.TableRows;
import org.blocksparse.internal.weights.Blocks;

/** Converts tensors to operands of kernels. */
public final class KernelOperands {
  private KernelOperands() {}

  /** Returns a tensor (..., size), whose last dimension is a row; contiguous. */
  public static Rows rows(FloatTensor tensor) {
    Shape shape = tensor.shape();
    long size = shape.dim(shape.rank() - 1);
    long count = 1;
    for (int axis = 0; axis < shape.rank() - 1; axis++) {
      count *= shape.dim(axis);
    }
    return new Rows(Dense.from(tensor).storage(), count, size);
  }

  /**
   * Returns the input of an activation.
   *
   * @param n the size of a row that comes out
   * @param gate a factor for each row, or null
   */
  public static ActivationInput input(Activation activation, long n, Rows z, FloatTensor gate) {
    return new ActivationInput(
        activation, (int) n, z, gate == null ? null : Dense.from(gate).storage());
  }

  /** Returns a tensor (..., size) whose rows are added up; contiguous. */
  public static TableRows table(FloatTensor tensor) {
    return new TableRows(rows(tensor));
  }

  /** Returns the memory of weights of any form, without their scales. */
  public static Storage elements(BlockMatrix W) {
    return W instanceof FloatTensor floats
        ? Dense.from(floats).storage()
        : StoredBlocks.from(((Weights) W)).elements();
  }

  /** Returns weights of rank 4, of any form. */
  public static Blocks blocks(BlockMatrix W) {
    return W instanceof FloatTensor floats
        ? blocks(floats)
        : StoredBlocks.from(((Weights) W)).blocks();
  }

  /** Returns a tensor (iBlocks, oBlocks, iSize, oSize), which may be a transposed view. */
  public static Blocks blocks(FloatTensor tensor) {
    Shape shape = tensor.shape();
    int iSize = (int) shape.dim(2);
    int oSize = (int) shape.dim(3);
    boolean transposed = Dense.from(tensor).stride(3) != 1;
    // A block of one row has no meaningful stride between rows; any that is large enough will do.
    long rowStride =
        transposed
            ? Math.max(iSize, Dense.from(tensor).stride(3))
            : Math.max(oSize, Dense.from(tensor).stride(2));
    // A tensor without elements may have any strides, even larger than memory.
    boolean empty = shape.size() == 0;
    return new Blocks(
        Dense.from(tensor).storage(),
        (int) shape.dim(0),
        (int) shape.dim(1),
        iSize,
        oSize,
        empty ? 0 : Dense.from(tensor).stride(0),
        empty ? 0 : Dense.from(tensor).stride(1),
        rowStride,
        transposed);
  }

  /** Returns the memory of a model; null counts as none. */
  public static MemoryUse memoryUse(Stream<Storage> memory) {
    return memory
        .filter(Objects::nonNull)
        .filter(storage -> !storage.isClosed())
        .map(
            storage -> {
              long bytes = Float.BYTES * storage.elements();
              return storage.mapping() == null ? new MemoryUse(0, bytes) : new MemoryUse(bytes, 0);
            })
        .reduce(new MemoryUse(0, 0), MemoryUse::plus);
  }

  /** Runs a computation that writes a new tensor, and returns it; closes it on failure. */
  public static FloatTensor filled(FloatTensor tensor, Consumer<FloatTensor> computation) {
    try {
      computation.accept(tensor);
    } catch (Throwable e) {
      tensor.close();
      throw e;
    }
    return tensor;
  }
}
