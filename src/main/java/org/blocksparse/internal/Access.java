// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.search.SparseTerm;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.io.ModelPart;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * The parts of public types that the packages of this module share and their users do not see. Each
 * package implements an interface of this class in one place.
 *
 * <p>This class names types of all packages: no other class below them does.
 */
public final class Access {
  /** Embedding bags. */
  public static final Bags BAGS = open(Bags.class, "org.blocksparse.bag.BagAccess");

  /** Linear trees and sparse weights. */
  public static final Linear LINEAR = open(Linear.class, "org.blocksparse.linear.LinearAccess");

  /** Layers of two levels. */
  public static final Softmax SOFTMAX =
      open(Softmax.class, "org.blocksparse.softmax.SoftmaxAccess");

  private Access() {}

  private static <T> T open(Class<T> type, String implementation) {
    try {
      var constructor = Class.forName(implementation).getDeclaredConstructor();
      constructor.setAccessible(true);
      return type.cast(constructor.newInstance());
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(implementation + " cannot be made", e);
    }
  }

  /** Of packages whose layers can be parts of the files of others. */
  public interface Parts {
    /** The part as it is now; null if it is of another package. */
    SaveSettings.Part partOrNull(ModelPart part);
  }

  /** Of {@code org.blocksparse.bag}. */
  public interface Bags extends Parts {
    /** Allocates n more rows, which the bag has once they are installed. */
    Grown grown(EmbeddingBag bag, int n);

    /** Loads a bag from tensors whose names begin with a prefix. */
    EmbeddingBag load(Path file, LoadSettings settings, String prefix) throws IOException;
  }

  /** Of {@code org.blocksparse.linear}. */
  public interface Linear extends Parts {
    /** Checks rows, leases them and a tree, and returns their scores. */
    ScoreSource source(LinearLabelTree tree, SparseRows x, String name, OperandLease lease);

    /** Checks rows, and leases them and the weights. */
    SparseTerm term(
        SparseWeights weights, SparseRows x, String name, double factor, OperandLease lease);

    /** A ranking by sparse weights, with a name of the rows for messages. */
    Ranking topK(SparseWeights weights, SparseRows x, String name, int k, Filter filter);

    Engine engine(SparseWeights weights);

    /** Sparse weights in tensors whose names begin with a prefix; names may be null. */
    SaveSettings.Part part(SparseWeights weights, String prefix, Labels names);

    SparseWeights load(Path file, LoadSettings settings, String prefix) throws IOException;

    /** A tree in tensors whose names begin with a prefix. */
    SaveSettings.Part part(LinearLabelTree tree, String prefix);

    LinearLabelTree loadTree(Path file, LoadSettings settings, String prefix) throws IOException;
  }

  /** Of {@code org.blocksparse.softmax}. */
  public interface Softmax {
    /** The scores of vectors, which are closed with them. */
    ScoreSource source(TwoLevelLayer<?> layer, FloatTensor x);

    void save(TwoLevelLayer<?> layer, Path file, SaveSettings settings) throws IOException;

    /** A layer as a part of a file, with names of its outputs, which may be null. */
    SaveSettings.Part part(TwoLevelLayer<?> layer, Labels names);

    /** Loads a layer from tensors whose names begin with a prefix. */
    TwoLevelLayer<?> load(Path file, LoadSettings settings, String prefix, boolean isLabelTree)
        throws IOException;
  }

  /** The memory of a layer with more rows. */
  public interface Grown {
    void install();

    void close();
  }
}
