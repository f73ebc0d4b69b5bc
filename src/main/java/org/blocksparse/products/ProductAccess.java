// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.internal.Access;
import org.blocksparse.internal.files.OptimizerStateFile;
import org.blocksparse.internal.memory.Storage;

/** The part of this package that other packages of the module use. */
final class ProductAccess implements Access.Products {
  @Override
  public Shape inputs(BlockPlan plan, long size) {
    return plan.inputs().shape(size);
  }

  @Override
  public Shape outputs(BlockPlan plan, long size) {
    return plan.outputs().shape(size);
  }

  @Override
  public void apply(
      BlockMatrix W,
      FloatTensor h,
      BlockPlan plan,
      Epilogue epilogue,
      boolean accumulate,
      FloatTensor out) {
    BlockProducts.of(W, plan).compute(h, epilogue, accumulate, out);
  }

  @Override
  public void copy(OptimizerState from, OptimizerState to) {
    from.copyTo(to);
  }

  @Override
  public Stream<Storage> memory(OptimizerState state) {
    return state.memory();
  }

  @Override
  public List<OptimizerStateFile.Entry> entries(OptimizerState state, List<String> names) {
    return state.entries(names);
  }
}
