// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.Tensor;
import org.blocksparse.Weights;
import org.blocksparse.internal.memory.StorageLease;

/** A lease on tensors and weights, which messages name. */
public final class OperandLease extends StorageLease {
  public static final String CLOSED_TENSOR = "the tensor %s is closed";

  private static final String CLOSED_LAYER = "the layer is closed";

  private static final String CLOSED_WEIGHTS = "the weights %s are closed";

  /**
   * Adds a tensor; null is allowed and does nothing.
   *
   * @throws IllegalStateException if it is closed; what was added before is released then
   */
  public OperandLease of(String name, Tensor tensor) {
    if (tensor != null) {
      hold(name, Dense.from(tensor).storage(), CLOSED_TENSOR, tensor.shape());
    }
    return this;
  }

  /**
   * Adds weights that are only read; null is allowed and does nothing.
   *
   * @throws IllegalStateException if they are closed; what was added before is released then
   */
  public OperandLease of(String name, Weights weights) {
    if (weights != null) {
      hold(name, StoredBlocks.from(weights).elements(), CLOSED_WEIGHTS, weights.shape());
      hold(name, StoredBlocks.from(weights).scales(), CLOSED_WEIGHTS, weights.shape());
    }
    return this;
  }

  /**
   * Adds weights of any form.
   *
   * @throws IllegalStateException if they are closed; what was added before is released then
   */
  public OperandLease ofBlocks(String name, BlockMatrix W) {
    return W instanceof FloatTensor floats ? of(name, floats) : of(name, (Weights) W);
  }

  /**
   * Adds a parameter of a layer.
   *
   * @throws IllegalStateException if it is closed; what was added before is released then
   */
  public OperandLease ofLayer(BlockMatrix parameter) {
    hold("layer", KernelOperands.elements(parameter), CLOSED_LAYER, "");
    if (parameter instanceof Weights weights) {
      hold("layer", StoredBlocks.from(weights).scales(), CLOSED_LAYER, "");
    }
    return this;
  }

  /**
   * Adds mapped weights of a layer of which the operation reads only the scales.
   *
   * @throws IllegalStateException if they are closed; what was added before is released then
   */
  public OperandLease ofLayerUnread(BlockMatrix weights) {
    if (!tryHoldUnread(KernelOperands.elements(weights))) {
      close();
      throw new IllegalStateException("layer: " + CLOSED_LAYER);
    }
    if (weights instanceof Weights scaled) {
      hold("layer", StoredBlocks.from(scaled).scales(), CLOSED_LAYER, "");
    }
    return this;
  }

  /**
   * Adds a tensor that the operation writes; null is allowed and does nothing. All of them are
   * added before the first is written.
   *
   * @throws IllegalStateException if it is closed, or mapped read-only from a file; what was added
   *     before is released then
   */
  public OperandLease writing(String name, Tensor tensor) {
    of(name, tensor);
    if (tensor != null) {
      requireWritable(name, Dense.from(tensor).storage(), tensor.shape());
    }
    return this;
  }
}
