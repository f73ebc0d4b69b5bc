// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import static org.blocksparse.internal.Access.LINEAR;

import java.util.BitSet;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.search.SparseTerm;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.linear.LinearExplanation.Term;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.TwoLevelLayer;

/** A scorer of a mixture. */
sealed interface Scorer extends AutoCloseable {
  String name();

  /** How many outputs it scores. */
  int outputs();

  /** Whether an output is retired. */
  default boolean isRetired(int output) {
    return false;
  }

  /** The names of its outputs; null: there are none. */
  Labels labelsOrNull();

  /** Whether it has log probabilities. */
  boolean isLogarithmic();

  /** The layers that the caller added. */
  Stream<Object> parts();

  /** The off-heap memory. */
  MemoryUse memoryUse();

  @Override
  void close();

  /** The log probabilities of a layer over the vectors of a bag. */
  record OfLayer(String name, EmbeddingBag bag, TwoLevelLayer<?> layer) implements Scorer {
    @Override
    public int outputs() {
      return layer.assignment().outputs();
    }

    @Override
    public boolean isRetired(int output) {
      return layer.assignment().isRetired(output);
    }

    @Override
    public Labels labelsOrNull() {
      return layer.hasLabels() ? layer.labels() : null;
    }

    @Override
    public boolean isLogarithmic() {
      return true;
    }

    @Override
    public Stream<Object> parts() {
      return Stream.of(bag, layer);
    }

    @Override
    public MemoryUse memoryUse() {
      return bag.memoryUse().plus(layer.memoryUse());
    }

    @Override
    public void close() {
      bag.close();
      layer.close();
    }
  }

  /** The log probabilities of a linear label tree. */
  record OfTree(String name, LinearLabelTree tree) implements Scorer {
    @Override
    public int outputs() {
      return tree.outputs();
    }

    @Override
    public Labels labelsOrNull() {
      return tree.hasLabels() ? tree.labels() : null;
    }

    @Override
    public boolean isLogarithmic() {
      return true;
    }

    @Override
    public Stream<Object> parts() {
      return Stream.of(tree);
    }

    @Override
    public MemoryUse memoryUse() {
      return tree.memoryUse();
    }

    @Override
    public void close() {
      tree.close();
    }
  }

  /**
   * Sums of sparse weights.
   *
   * @param nearest has the weights, and makes their rows; null: these are the rows of the scorer
   */
  record OfWeights(String name, SparseWeights weights, NearestExamples nearest) implements Scorer {
    /**
     * Checks rows, and leases them and all weights.
     *
     * @param undefined gets the rows of which nothing can be said
     */
    SparseTerm term(
        SparseRows x, String rowsName, double factor, OperandLease lease, BitSet undefined) {
      if (nearest == null) {
        return LINEAR.term(weights, x, rowsName, factor, lease);
      }
      try (SparseRows examples = nearest.rows(x, rowsName, undefined)) {
        return LINEAR.term(weights, examples, rowsName, factor, lease);
      }
    }

    Ranking topK(SparseRows x, String rowsName, int k, Filter filter) {
      if (nearest == null) {
        return LINEAR.topK(weights, x, rowsName, k, filter);
      }
      try (SparseRows examples = examples(x, rowsName)) {
        return weights.topK(examples, k, filter);
      }
    }

    /** The terms of the score of an output, by the features of a row. */
    List<Term> explain(SparseRows row, String rowsName, int output) {
      if (nearest == null) {
        return weights.explain(row, output);
      }
      try (SparseRows examples = examples(row, rowsName)) {
        return nearest.explain(row, weights.explain(examples, output));
      }
    }

    /** The nearest examples of rows that all have these. */
    private SparseRows examples(SparseRows x, String rowsName) {
      BitSet undefined = new BitSet();
      SparseRows examples = nearest.rows(x, rowsName, undefined);
      if (!undefined.isEmpty()) {
        examples.close();
        throw new IllegalArgumentException(
            rowsName
                + ": row "
                + undefined.nextSetBit(0)
                + " has no nearest examples, since a score is NaN");
      }
      return examples;
    }

    @Override
    public int outputs() {
      return weights.outputs();
    }

    @Override
    public Labels labelsOrNull() {
      return weights.hasLabels() ? weights.labels() : null;
    }

    @Override
    public boolean isLogarithmic() {
      return false;
    }

    @Override
    public Stream<Object> parts() {
      return nearest == null ? Stream.of(weights) : Stream.of(nearest);
    }

    @Override
    public MemoryUse memoryUse() {
      MemoryUse own = weights.memoryUse();
      return nearest == null ? own : own.plus(nearest.examples().memoryUse());
    }

    @Override
    public void close() {
      weights.close();
      if (nearest != null) {
        nearest.examples().close();
      }
    }
  }
}
