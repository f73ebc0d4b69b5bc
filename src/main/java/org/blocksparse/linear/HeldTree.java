// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import org.blocksparse.SparseRows;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.layers.ScoringLayer;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.OperandLease;

/** The inner layer of a linear label tree, for sums and for files of other layers. */
record HeldTree(LinearModel model, Engine engine) implements ScoringLayer<SparseRows, ScoreSource> {
  /** Returns the tree as a part of a file, whose names are those of the file. */
  @Override
  public SaveSettings.Part part(String prefix, NameTable names) {
    String own = LinearModelFile.FORMAT.prefixOr(prefix);
    return (file, settings, metadata, lease) -> LinearModelFile.add(own, model, file, lease);
  }

  @Override
  public ScoreSource scores(SparseRows x, String name, OperandLease lease) {
    CsrRows.from(x).requireIndices(name, "features", model.weights().features());
    model.lease(CsrRows.from(x).lease(lease, name));
    if (model.tfIdf() == null) {
      return new TreeSource(model, engine, CsrRows.from(x).bags());
    }
    LinearLabelTree.requireCounts(x);
    try (SparseRows weighted = model.tfIdf().weightedRows(x)) {
      CsrRows.from(weighted).lease(lease, name); // keeps their memory
      return new TreeSource(model, engine, CsrRows.from(weighted).bags());
    }
  }
}
