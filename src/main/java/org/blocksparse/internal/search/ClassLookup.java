// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;

/**
 * Random access to the scores of a source, one row after another, beside the search of another
 * source, the leader. The highest scores are computed first, as by a search for them: then the
 * outputs of a class of the leader are known, or are bounded by the best node that is closed. Other
 * classes are opened when one of their outputs is needed.
 *
 * <p>A row costs what a search for the first scores costs, and each class that it opens is read
 * once. The values of all opened classes stay in memory, one array for each.
 */
final class ClassLookup implements AutoCloseable {
  private final ClassTable own;
  private final int[] parents;
  private final ScoreSource.Walk walk;
  private final ClassTable leader;

  /** The number of the highest scores that are computed first. */
  private final int first;

  /** The score of each node; NaN if it was not computed. */
  private final float[] nodeScores;

  /** Whether the nodes below each node are known; for a class, whether it is open. */
  private final boolean[] isOpen;

  /** The values of each class that was opened, of this row or another. */
  private final float[][] values;

  /** An upper bound of the outputs of each leader class in open classes. */
  private final float[] leaderBounds;

  /** The closed nodes, the best on top; some were opened for one of their outputs. */
  private final LongHeap closed = new LongHeap();

  private long[] room = new long[64];
  private final int[] nodes;
  private final float[] scores;
  private final int[] outputs;
  private boolean isUndefined;

  /**
   * Opens access to a source.
   *
   * @param leader the classes of the leader, which has as many outputs
   * @param first how many of the highest scores are computed first
   */
  ClassLookup(ScoreSource source, ClassTable leader, int first) {
    this.own = source.classes();
    this.parents = source.parents();
    this.walk = source.walk();
    this.leader = leader;
    this.first = first;
    int count = Math.max(parents.length, own.classes());
    this.nodeScores = new float[count];
    this.isOpen = new boolean[count];
    this.values = new float[own.classes()][];
    this.leaderBounds = new float[leader.classes()];
    this.nodes = new int[count];
    this.scores = new float[Math.max(count, own.slots())];
    this.outputs = new int[own.slots()];
  }

  /** Begins a row. */
  void begin(int row) {
    Arrays.fill(nodeScores, Float.NaN);
    Arrays.fill(isOpen, false);
    Arrays.fill(leaderBounds, Float.NEGATIVE_INFINITY);
    isUndefined = false;
    int count = walk.begin(row, nodes, scores);
    room = room.length < count ? new long[count] : room;
    for (int i = 0; i < count; i++) {
      room[i] = Candidates.encode(nodes[i], take(i));
    }
    closed.reset(room, 0, count);
    Candidates found = Candidates.best(first, 0);
    while (!closed.isEmpty() && !found.isUndefined() && !found.isDone(closedBound())) {
      int node = (int) closed.removeMin();
      openNode(node);
      if (node < own.classes()) {
        offer(node, found);
      }
    }
    isUndefined |= found.isUndefined();
  }

  /** Keeps the score of the i-th of some nodes. */
  private float take(int i) {
    nodeScores[nodes[i]] = scores[i];
    isUndefined |= Float.isNaN(scores[i]);
    return scores[i];
  }

  /** Offers the outputs of a class that was opened last, whose bounds are in {@code scores}. */
  private void offer(int classNumber, Candidates found) {
    int[] members = own.members()[classNumber];
    float score = nodeScores[classNumber];
    float[] ofClass = values[classNumber];
    int count = 0;
    for (int slot = 0; slot < members.length; slot++) {
      if (!found.isDone(scores[slot])) {
        outputs[count] = members[slot];
        scores[count++] = walk.score(classNumber, slot, score, ofClass[slot]);
      }
    }
    found.offer(outputs, scores, scores, 0, count);
  }

  /** Returns whether a score is NaN: then the row has no ranking. */
  boolean isUndefined() {
    return isUndefined;
  }

  /** Returns an upper bound of outputs in closed classes. */
  private float closedBound() {
    while (!closed.isEmpty() && isOpen[(int) closed.min()]) {
      closed.removeMin();
    }
    return closed.isEmpty() ? Float.NEGATIVE_INFINITY : Candidates.logProbability(closed.min());
  }

  private void openNode(int node) {
    isOpen[node] = true;
    if (node < own.classes()) {
      openClass(node);
      return;
    }
    int count = walk.expand(node, nodeScores[node], (below, score) -> false, nodes, scores);
    for (int i = 0; i < count; i++) {
      // NaN ranks above all others: the nodes below it are computed at once.
      closed.add(Candidates.encode(nodes[i], take(i)));
    }
  }

  /** Opens a class, and puts upper bounds of its outputs into {@code scores}. */
  private void openClass(int classNumber) {
    int[] members = own.members()[classNumber];
    if (values[classNumber] == null) {
      values[classNumber] = new float[own.slots()];
    }
    float[] ofClass = values[classNumber];
    float score = nodeScores[classNumber];
    walk.open(classNumber, score, ofClass);
    int[] leaderClass = leader.classOf();
    for (int slot = 0; slot < members.length; slot++) {
      scores[slot] = walk.bound(score, ofClass[slot]);
      int c = leaderClass[members[slot]];
      if (c >= 0) { // otherwise it is retired there
        leaderBounds[c] = Math.max(leaderBounds[c], scores[slot]);
      }
    }
  }

  /**
   * Returns an upper bound for the outputs of a class of the leader, which falls as others are
   * known.
   */
  float boundOfClass(int leaderClass) {
    return Math.max(leaderBounds[leaderClass], closedBound());
  }

  /**
   * Opens the best closed node, if that may lower the bound of a class of the leader.
   *
   * @return whether it did
   */
  boolean advance(int leaderClass) {
    if (!(closedBound() > leaderBounds[leaderClass])) {
      return false;
    }
    openNode((int) closed.removeMin());
    return true;
  }

  /** Returns an upper bound for an output, at no cost. */
  float bound(int output) {
    int c = own.classOf()[output];
    if (isOpen[c]) {
      return walk.bound(nodeScores[c], values[c][own.slotOf()[output]]);
    }
    return Float.isNaN(nodeScores[c]) ? closedBound() : nodeScores[c];
  }

  /** Returns whether the score of an output can be computed without opening its class. */
  boolean isKnown(int output) {
    return isOpen[own.classOf()[output]];
  }

  /** Computes a closer upper bound for an output, at less cost than the score. */
  void approach(int output) {
    reach(own.classOf()[output]);
  }

  /** Returns the score of an output. */
  float score(int output) {
    int c = own.classOf()[output];
    if (!isOpen[c]) {
      reach(c);
      openNode(c);
    }
    int slot = own.slotOf()[output];
    return walk.score(c, slot, nodeScores[c], values[c][slot]);
  }

  /** Computes the score of a node. */
  private void reach(int node) {
    if (Float.isNaN(nodeScores[node]) && parents.length > 0 && !isOpen[parents[node]]) {
      reach(parents[node]);
      openNode(parents[node]);
    }
  }

  @Override
  public void close() {
    walk.close();
  }
}
