// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.util.Objects.requireNonNull;

import org.blocksparse.SparseRows;
import org.blocksparse.internal.files.LabelsFile;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.layers.ScoringLayer;
import org.blocksparse.internal.search.SparseTerm;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.OperandLease;

/** The inner layer of sparse weights, for searches, sums and files of other layers. */
record HeldWeights(SparseModel model, Engine engine)
    implements ScoringLayer<SparseRows, SparseTerm> {
  @Override
  public SaveSettings.Part part(String prefix, NameTable names) {
    return (file, settings, ofFile, lease) -> {
      SparseModelFile.add(SparseModelFile.FORMAT.prefixOr(prefix), model, file, lease);
      if (names != null) {
        LabelsFile.add(prefix, names, file.tensors());
      }
    };
  }

  @Override
  public SparseTerm scores(SparseRows x, String name, OperandLease lease) {
    CsrRows.from(requireNonNull(x, name))
        .requireIndices(name, "features", model.weights().features());
    return new SparseTerm(engine, leased(x, name, lease), model.weights(), model.table(), 1);
  }

  /** Leases the weights and checked rows. Returns the rows, weighted. */
  private Bags leased(SparseRows x, String name, OperandLease lease) {
    model.lease(CsrRows.from(x).lease(lease, name));
    if (model.tfIdf() == null) {
      return CsrRows.from(x).bags();
    }
    if (x.isWeighted()) {
      throw new IllegalArgumentException(
          name + ": expected rows without values, as the weights count features");
    }
    try (SparseRows weighted = model.tfIdf().weightedRows(x)) {
      CsrRows.from(weighted).lease(lease, name); // keeps their memory
      return CsrRows.from(weighted).bags();
    }
  }
}
