// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import org.blocksparse.internal.Access;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.tensors.OperandLease;

/** The part of this package that other packages of the module use. */
final class RankingAccess implements Access.Rankings {
  @Override
  public Ranking ranking(SearchResult found, Labels labels) {
    return new Ranking(found, labels);
  }

  @Override
  public Filter none() {
    return Filter.NONE;
  }

  @Override
  public boolean allowsAll(Filter filter) {
    return filter.allowsAll();
  }

  @Override
  public void requireNotRenormalized(Filter filter) {
    filter.requireNotRenormalized();
  }

  @Override
  public OutputFilter check(Filter filter, int batch, int outputs) {
    return filter.check(batch, outputs);
  }

  @Override
  public OperandLease lease(Filter filter, OperandLease lease) {
    return filter.lease(lease);
  }

  @Override
  public NameTable table(Labels labels) {
    return labels.table();
  }

  @Override
  public Labels labelsOrNull(NameTable table) {
    return Labels.ofOrNull(table);
  }

  @Override
  public Labels orThrow(Labels labels) {
    return Labels.orThrow(labels);
  }

  @Override
  public Labels forAll(Labels labels, int outputs) {
    return labels.forAll(outputs);
  }
}
