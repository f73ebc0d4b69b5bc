// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.stream.Stream;
import org.blocksparse.MemoryUse;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.TwoLevelLayer;

/** A scorer of a mixture. */
sealed interface Scorer extends AutoCloseable {
  String name();

  /** How many outputs it scores. */
  int outputs();

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

  /** Sums of sparse weights. */
  record OfWeights(String name, SparseWeights weights) implements Scorer {
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
      return Stream.of(weights);
    }

    @Override
    public MemoryUse memoryUse() {
      return weights.memoryUse();
    }

    @Override
    public void close() {
      weights.close();
    }
  }
}
