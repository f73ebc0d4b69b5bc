// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import org.blocksparse.internal.kernels.Engine;

/**
 * The scores that a scorer gives to outputs, for the rows of one call. Every output that is not
 * retired has a score; scores that are 0 for most outputs are a {@link SparseTerm}.
 *
 * <p>Outputs come by class. The classes are leaves of a tree of nodes, which have upper bounds. A
 * search opens classes best first ({@link SumSearch}), or looks up the scores of outputs that other
 * sources have found ({@link ClassLookup}); a source does not need to know which.
 *
 * <p>Bounds are upper bounds in floating point as well. A score has the same bits whenever it is
 * computed. NaN makes a row undefined. Rows and weights are leased until the source is closed.
 */
public interface ScoreSource extends AutoCloseable {
  /** Runs the rows of a search that this source leads. */
  Engine engine();

  /** Returns the class and the slot of each output. A class number is the number of a node. */
  ClassTable classes();

  /**
   * Returns the node above each node, which has a greater number; that of the root is itself.
   * Empty: there are only classes.
   */
  default int[] parents() {
    return new int[0];
  }

  /** Returns the maximum of rows that are prepared at the same time. */
  int rowsAtOnce();

  /** Prepares rows [first, first + count) of the call in place of others. */
  void prepare(int first, int count);

  /** Opens classes of several rows together; null: each row opens its own. */
  default SharedReads sharedReads() {
    return null;
  }

  /** Returns the scores of one row after another, for one thread at a time. */
  Walk walk();

  @Override
  default void close() {}

  /** The scores of a row. */
  interface Walk extends AutoCloseable {
    /**
     * Begins a prepared row, with the nodes at the top.
     *
     * @param nodes receives their numbers
     * @param scores receives upper bounds of their outputs
     * @return how many there are
     */
    int begin(int row, int[] nodes, float[] scores);

    /**
     * Expands a node that is no class.
     *
     * @param score the score of the node
     * @param limit rules out nodes, which may be left out
     * @param nodes receives the numbers of those below
     * @param scores receives upper bounds of their outputs
     * @return how many there are
     */
    default int expand(int node, float score, Limit limit, int[] nodes, float[] scores) {
      throw new IllegalStateException("there are only classes");
    }

    /**
     * Opens a class.
     *
     * @param score the score of the class
     * @param values receives what {@link #bound} and {@link #score} of each slot need
     */
    void open(int classNumber, float score, float[] values);

    /** Returns an upper bound of the score of a slot, which costs little. */
    float bound(float classScore, float value);

    /** Returns the score of a slot. */
    float score(int classNumber, int slot, float classScore, float value);

    /**
     * Replaces the values of slots [begin, end) of a class by their scores, or by upper bounds that
     * are excluded.
     */
    void scores(int classNumber, float classScore, Limit limit, float[] values, int begin, int end);

    @Override
    default void close() {}
  }

  /** Excludes outputs that cannot change a ranking. */
  interface Limit {
    /** Returns whether no output of a node with at most this score changes the ranking. */
    boolean excludes(int node, float score);
  }

  /** Opens classes of several rows together, so that these share the reading of weights. */
  interface SharedReads {
    /** Returns the maximum of classes that are opened together. */
    int mostClasses();

    /** Opens class {@code classes[i]} for row {@code rows[i]} of the call, for each request i. */
    void open(int requests, int[] rows, int[] classes);

    /** Returns what {@link Walk#open} would. */
    void get(int request, float[] values);
  }

  /**
   * The scale of scores in a sum.
   *
   * @param weight positive
   * @param isProbability whether probabilities are added, rather than their logarithms
   */
  record Scale(double weight, boolean isProbability) {
    /** Returns the part of a sum that a score makes. */
    double of(float score) {
      return weight * (isProbability ? Math.exp(score) : score);
    }
  }

  /** A source with its scale in a sum. */
  record Scaled(ScoreSource source, Scale scale) {}
}
