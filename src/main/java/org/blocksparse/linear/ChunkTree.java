// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.util.Arrays;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.sparse.SparseChunks;

/**
 * A tree of chunks of outputs, level by level. The outputs of a chunk are the chunks below it, or
 * labels on the last level. All outputs are numbered in the order of their chunks: output o is
 * chunk o + 1 as long as there are chunks, and then the labels follow. The arrays are shared and
 * must not be changed.
 *
 * @param levelBegins the first chunk of each level, and the number of chunks; level 0 has one
 * @param outputBegins the first output of each chunk, and the number of outputs
 * @param labels the label of each output of the last level
 */
record ChunkTree(int[] levelBegins, int[] outputBegins, int[] labels) {
  /**
   * The maximum number of outputs of a chunk above the last level, as a power of two:
   * 2<sup>{@value}</sup>.
   */
  private static final int BRANCH_BITS = 6;

  /**
   * The maximum number of levels: trained trees have at most 6, and a row may open chunks of every
   * level.
   */
  private static final int MAX_LEVELS = 32;

  /**
   * Returns the tree over 2<sup>halvings</sup> clusters of labels, each a chunk of the last level.
   *
   * @param clusterOf the cluster of each label; none is empty
   */
  static ChunkTree over(int[] clusterOf, int halvings) {
    int above = (halvings + BRANCH_BITS - 1) / BRANCH_BITS; // levels of inner chunks
    int[] levelBegins = new int[above + 2];
    int[] chunks = new int[above + 1];
    for (int level = 0; level <= above; level++) {
      // The first levels take one bit more if the bits are not divided evenly.
      int bits = level == above ? halvings : (halvings * level + above - 1) / Math.max(1, above);
      chunks[level] = 1 << bits;
      levelBegins[level + 1] = levelBegins[level] + chunks[level];
    }
    int[] sizes = new int[levelBegins[above + 1]];
    for (int level = 0; level < above; level++) {
      for (int i = levelBegins[level]; i < levelBegins[level + 1]; i++) {
        sizes[i] = chunks[level + 1] / chunks[level];
      }
    }
    int firstLeaf = levelBegins[above];
    for (int cluster : clusterOf) {
      sizes[firstLeaf + cluster]++;
    }
    int[] outputBegins = SparseMatrix.offsets(sizes);
    int[] labels = new int[clusterOf.length];
    int[] next = outputBegins.clone();
    for (int label = 0; label < labels.length; label++) {
      labels[next[firstLeaf + clusterOf[label]]++ - outputBegins[firstLeaf]] = label;
    }
    return new ChunkTree(levelBegins, outputBegins, labels);
  }

  /**
   * Returns the tree with more labels, whose numbers follow; each is the last of its cluster.
   *
   * @param clustersOfNew for each of them a cluster that is not full
   */
  ChunkTree with(int[] clustersOfNew) {
    int[] sizes = new int[chunks()];
    Arrays.setAll(sizes, this::size);
    for (int cluster : clustersOfNew) {
      sizes[firstLeaf() + cluster]++;
    }
    int[] begins = SparseMatrix.offsets(sizes);
    int[] all = new int[labels.length + clustersOfNew.length];
    int[] next = new int[clusters()];
    for (int cluster = 0; cluster < next.length; cluster++) {
      int chunk = firstLeaf() + cluster;
      int from = outputBegins[chunk] - (chunks() - 1);
      int to = begins[chunk] - (chunks() - 1);
      System.arraycopy(labels, from, all, to, size(chunk));
      next[cluster] = to + size(chunk);
    }
    for (int i = 0; i < clustersOfNew.length; i++) {
      all[next[clustersOfNew[i]]++] = labels.length + i;
    }
    return new ChunkTree(levelBegins, begins, all);
  }

  /**
   * Checks a tree that is not made by this class.
   *
   * @throws IllegalArgumentException if it is no tree, or a label is missing
   */
  public ChunkTree check() {
    int levels = levels();
    require(levels > 0 && levelBegins[0] == 0 && levelBegins[1] == 1, "levels: begin with 0, 1");
    require(levels <= MAX_LEVELS, "levels: has " + levels + ", more than " + MAX_LEVELS);
    for (int level = 1; level < levels; level++) {
      require(levelBegins[level] < levelBegins[level + 1], "levels: level " + level + " is empty");
    }
    require(outputBegins[0] == 0, "outputs: begin with " + outputBegins[0]);
    require(
        levelBegins[levels] == chunks(),
        "levels: end with " + levelBegins[levels] + " for " + chunks() + " chunks");
    for (int chunk = 0; chunk < chunks(); chunk++) {
      long size = (long) outputBegins[chunk + 1] - outputBegins[chunk];
      require(
          size > 0 && size <= SparseChunks.MOST_OUTPUTS,
          "outputs: chunk " + chunk + " has " + size + ", not 1 to " + SparseChunks.MOST_OUTPUTS);
    }
    for (int level = 0; level + 1 < levels; level++) {
      require(
          outputBegins[levelBegins[level + 1]] == levelBegins[level + 2] - 1,
          "outputs: those of level " + level + " are not the chunks of the next");
    }
    require(
        outputBegins[chunks()] - (chunks() - 1) == labels.length,
        "outputs: the last level has others than " + labels.length + " labels");
    boolean[] seen = new boolean[labels.length];
    for (int label : labels) {
      require(
          label >= 0 && label < labels.length && !seen[label],
          "labels: " + label + " is there twice, or outside [0, " + labels.length + ")");
      seen[label] = true;
    }
    return this;
  }

  private static void require(boolean condition, String reason) {
    if (!condition) {
      throw new IllegalArgumentException(reason);
    }
  }

  public int levels() {
    return levelBegins.length - 1;
  }

  public int chunks() {
    return outputBegins.length - 1;
  }

  /** Returns all outputs, of inner chunks as well. */
  public int outputs() {
    return outputBegins[chunks()];
  }

  /** Returns the number of outputs of a chunk. */
  int size(int chunk) {
    return outputBegins[chunk + 1] - outputBegins[chunk];
  }

  int levelOf(int chunk) {
    int found = Arrays.binarySearch(levelBegins, chunk);
    return found >= 0 ? found : -found - 2;
  }

  /** Returns the chunk above each chunk, which has it as an output; that of the first is itself. */
  int[] parents() {
    int[] parents = new int[chunks()];
    for (int chunk = 0; chunk < firstLeaf(); chunk++) {
      Arrays.fill(parents, outputBegins[chunk] + 1, outputBegins[chunk + 1] + 1, chunk);
    }
    return parents;
  }

  /**
   * Returns the number of a chunk as a node of a search: clusters come first, then inner chunks,
   * each before the one above it.
   */
  int node(int chunk) {
    return chunk >= firstLeaf() ? chunk - firstLeaf() : chunks() - 1 - chunk;
  }

  /** Returns the inner chunk that is a node. */
  int innerChunk(int node) {
    return chunks() - 1 - node;
  }

  /** Returns the node above each; that of the last is itself. */
  int[] parentNodes() {
    int[] ofChunks = parents();
    int[] parents = new int[ofChunks.length];
    for (int chunk = 0; chunk < parents.length; chunk++) {
      parents[node(chunk)] = node(ofChunks[chunk]);
    }
    return parents;
  }

  /** Returns the cluster of each label. */
  int[] clusterOfLabels() {
    int[] clusterOf = new int[labels.length];
    for (int chunk = firstLeaf(); chunk < chunks(); chunk++) {
      for (int output = outputBegins[chunk]; output < outputBegins[chunk + 1]; output++) {
        clusterOf[labels[output - (chunks() - 1)]] = chunk - firstLeaf();
      }
    }
    return clusterOf;
  }

  /** Returns the first chunk of the last level. */
  int firstLeaf() {
    return levelBegins[levels() - 1];
  }

  /** Returns the number of chunks of the last level. */
  public int clusters() {
    return chunks() - firstLeaf();
  }

  /**
   * Returns the chunks of the last level as classes, with their labels in slots in the order of the
   * outputs.
   */
  ClassTable clusterTable() {
    int[] slotOf = new int[labels.length];
    int slots = 0;
    for (int chunk = firstLeaf(); chunk < chunks(); chunk++) {
      for (int q = 0; q < size(chunk); q++) {
        slotOf[labels[outputBegins[chunk] + q - (chunks() - 1)]] = q;
      }
      slots = Math.max(slots, size(chunk));
    }
    return ClassTable.of(clusterOfLabels(), slotOf, clusters(), slots);
  }
}
