// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.products.BlockPlan;

/** Rows as the operands of products by a plan. */
final class PlanRows {
  private PlanRows() {}

  /** Reshapes a (batch, size) tensor to the input rows of a plan. */
  static FloatTensor inputs(BlockPlan plan, FloatTensor rows) {
    return rows.reshape(plan.inputShape(rows.shape().dim(1)).toArray());
  }

  /** Reshapes a (batch, size) tensor to the output rows of a plan. */
  static FloatTensor outputs(BlockPlan plan, FloatTensor rows) {
    return rows.reshape(plan.outputShape(rows.shape().dim(1)).toArray());
  }

  /** Returns a tensor in memory of a pool. */
  static FloatTensor in(Scratch memory, Shape shape) {
    return DenseFloats.dense(memory.storage().view(), shape);
  }
}
