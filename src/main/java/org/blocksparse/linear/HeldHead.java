// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Map;
import java.util.concurrent.atomic.LongAdder;
import org.blocksparse.FloatTensor;
import org.blocksparse.Similarity;
import org.blocksparse.Weights;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.layers.ScoringLayer;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.DenseRows;
import org.blocksparse.internal.search.DenseScreen;
import org.blocksparse.internal.search.DenseSearch;
import org.blocksparse.internal.search.DenseSource;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.search.SparseSearch;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.internal.weights.Blocks;

/** The inner layer of a dense head: its rows, and their copy in four bits. */
final class HeldHead implements ScoringLayer<FloatTensor, ScoreSource> {
  final DenseRows rows;
  final DenseScreen screen;
  final Engine engine;
  final Map<DenseSearch.Pass, LongAdder> reads = DenseSearch.Pass.counters();
  private final FloatTensor floats;
  private final Weights weights;
  private final FloatTensor bias;

  /** The outputs in classes of 256; null until a search needs them. */
  private volatile ClassTable table;

  HeldHead(
      FloatTensor floats, Weights weights, FloatTensor bias, Similarity similarity, Engine engine) {
    this.floats = floats;
    this.weights = weights;
    this.bias = bias;
    this.engine = engine;
    Blocks blocks = weights == null ? transposed(floats) : StoredBlocks.from(weights).blocks();
    this.rows = new DenseRows(blocks, bias == null ? null : Dense.from(bias).storage(), similarity);
    try (OperandLease lease = leaseRows(new OperandLease())) {
      this.screen = DenseScreen.of(rows, engine);
      lease.requireIntact();
    }
  }

  private static Blocks transposed(FloatTensor floats) {
    int outputs = (int) floats.shape().dim(0);
    int features = (int) floats.shape().dim(1);
    return Blocks.dense(Dense.from(floats).storage(), 1, 1, outputs, features).transpose();
  }

  private OperandLease leaseRows(OperandLease lease) {
    return lease.of("W", floats).of("W", weights).of("bias", bias);
  }

  OperandLease lease(OperandLease lease) {
    leaseRows(lease).hold("head", screen.panels(), "the head is closed", "");
    return lease;
  }

  private ClassTable table() {
    ClassTable made = table;
    if (made == null) {
      made = SparseSearch.table(rows.w().outSize());
      table = made;
    }
    return made;
  }

  DenseSearch search() {
    return new DenseSearch(rows, screen, this::table, engine, reads);
  }

  @Override
  public ScoreSource scores(FloatTensor x, String name, OperandLease lease) {
    lease(lease).of(name, x);
    return new DenseSource(search(), table(), engine, KernelOperands.rows(x));
  }

  @Override
  public SaveSettings.Part part(String prefix, NameTable names) {
    throw new UnsupportedOperationException(
        "mixture: a DenseHead does not own its rows, so that no file holds it; save a mixture of the"
            + " other scorers");
  }
}
