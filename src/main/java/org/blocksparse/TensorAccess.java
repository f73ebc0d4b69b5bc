// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.Access;
import org.blocksparse.internal.OperandLease;
import org.blocksparse.internal.kernels.ActivationInput;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.UpdateRule;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/** The part of this package that other packages of the module use. */
final class TensorAccess implements Access.Tensors {
  @Override
  public Storage storage(Tensor tensor) {
    return tensor.storage();
  }

  @Override
  public long stride(Tensor tensor, int axis) {
    return tensor.stride(axis);
  }

  @Override
  public void requireContiguous(Tensor tensor, String operation) {
    tensor.requireContiguous(operation);
  }

  @Override
  public FloatTensor floats(Storage storage, Shape shape) {
    return FloatTensor.dense(storage, shape);
  }

  @Override
  public FloatTensor[] zeros(Shape... shapes) {
    return FloatTensor.zeros(shapes);
  }

  @Override
  public FloatTensor copy(FloatTensor tensor, String name) {
    return tensor.copy(name);
  }

  @Override
  public IntTensor ints(Storage storage, Shape shape) {
    return IntTensor.dense(storage, shape);
  }

  @Override
  public int[] toArray(IntTensor tensor, String name) {
    return tensor.toArray(name);
  }

  @Override
  public void get(IntTensor tensor, String name, int[] values) {
    tensor.get(name, values);
  }

  @Override
  public IntTensor asBatchOfOne(IntTensor tensor) {
    return tensor.asBatchOfOne();
  }

  @Override
  public void requireForArray(IntTensor tensor, String name) {
    tensor.requireForArray(name);
  }

  @Override
  public Engine engine(Workers workers) {
    return workers.engine();
  }

  @Override
  public Workers workers(Engine engine) {
    return Workers.over(engine);
  }

  @Override
  public Bags bags(SparseRows rows) {
    return rows.bags();
  }

  @Override
  public OperandLease lease(SparseRows rows, OperandLease lease, String name) {
    return rows.lease(lease, name);
  }

  @Override
  public int[] offsets(SparseRows rows) {
    return rows.offsets();
  }

  @Override
  public void getOffsets(SparseRows rows, int[] into) {
    rows.getOffsets(into);
  }

  @Override
  public int[] indices(SparseRows rows) {
    return rows.indices();
  }

  @Override
  public void getIndices(SparseRows rows, int[] into) {
    rows.getIndices(into);
  }

  @Override
  public int indexBound(SparseRows rows, int checked) {
    return rows.indexBound(checked);
  }

  @Override
  public long countFrom(SparseRows rows, String name, int bound) {
    return rows.countFrom(name, bound);
  }

  @Override
  public void requireIndices(SparseRows rows, String name, String boundName, int bound) {
    rows.requireIndices(name, boundName, bound);
  }

  @Override
  public void requireRows(SparseRows rows, String name, int batch) {
    rows.requireRows(name, batch);
  }

  @Override
  public void requireFinite(SparseRows rows, String name) {
    rows.requireFinite(name);
  }

  @Override
  public void requireNoOverlap(SparseRows rows, String outName, FloatTensor out, String name) {
    rows.requireNoOverlap(outName, out, name);
  }

  @Override
  public Weights weights(StoredWeights stored, Shape shape, boolean transposed) {
    return new Weights(stored, shape, transposed);
  }

  @Override
  public Weights transposed(StoredWeights stored, Shape inMemory) {
    return Weights.transposed(stored, inMemory);
  }

  @Override
  public Weights copy(Weights weights) {
    return weights.copy();
  }

  @Override
  public Weights packed(Weights weights) {
    return weights.packed();
  }

  @Override
  public StoredWeights stored(Weights weights) {
    return weights.stored();
  }

  @Override
  public StoredWeights requireContiguous(Weights weights, String operation) {
    return weights.requireContiguous(operation);
  }

  @Override
  public Storage elements(Weights weights) {
    return weights.elements();
  }

  @Override
  public Storage scales(Weights weights) {
    return weights.scales();
  }

  @Override
  public Blocks blocks(Weights weights) {
    return weights.blocks();
  }

  @Override
  public boolean isTransposed(Weights weights) {
    return weights.isTransposed();
  }

  @Override
  public FloatTensor requireBlocks(String name, FloatTensor W, ElementType type) {
    return Weights.requireBlocks(name, W, type);
  }

  @Override
  public WeightType stored(ElementType type) {
    return type.stored();
  }

  @Override
  public ElementType type(WeightType stored) {
    return ElementType.of(stored);
  }

  @Override
  public UpdateRule rule(Optimizer optimizer) {
    return optimizer.rule();
  }

  @Override
  public ActivationInput input(Activation activation, long n, Rows z, FloatTensor gate) {
    return activation.input(n, z, gate);
  }

  @Override
  public void add(UnknownIds unknown, long ids) {
    unknown.add(ids);
  }
}
