// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.Access;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.search.SparseTerm;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.io.ModelPart;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/** The part of this package that other packages of the module use. */
final class LinearAccess implements Access.Linear {
  @Override
  public SaveSettings.Part partOrNull(ModelPart part) {
    return part instanceof LinearLabelTree tree ? tree.part() : null;
  }

  @Override
  public ScoreSource source(LinearLabelTree tree, SparseRows x, String name, OperandLease lease) {
    return tree.source(x, name, lease);
  }

  @Override
  public SparseTerm term(
      SparseWeights weights, SparseRows x, String name, double factor, OperandLease lease) {
    return weights.term(x, name, factor, lease);
  }

  @Override
  public Ranking topK(SparseWeights weights, SparseRows x, String name, int k, Filter filter) {
    return weights.topK(x, name, k, filter);
  }

  @Override
  public Engine engine(SparseWeights weights) {
    return weights.engine();
  }

  @Override
  public SaveSettings.Part part(SparseWeights weights, String prefix, Labels names) {
    return weights.part(prefix, names);
  }

  @Override
  public SaveSettings.Part part(LinearLabelTree tree, String prefix) {
    return tree.part(prefix);
  }

  @Override
  public LinearLabelTree loadTree(Path file, LoadSettings settings, String prefix)
      throws IOException {
    return LinearLabelTree.load(file, settings, prefix);
  }

  @Override
  public SparseWeights load(Path file, LoadSettings settings, String prefix) throws IOException {
    return SparseWeights.load(file, settings, prefix);
  }
}
