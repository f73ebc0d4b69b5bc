// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import java.util.Arrays;
import java.util.BitSet;
import java.util.PriorityQueue;

/**
 * fastText's hierarchical softmax: a binary Huffman tree over the labels. The probability of a
 * label is the product of those of the turns on its path, each a sigmoid of x . node. Searches are
 * exact: a subtree is opened unless it is less probable than all that is found. Immutable.
 */
final class FastTextTree {
  /** The count of nodes that are not made yet, larger than any other. */
  private static final long NOT_MADE = 1_000_000_000_000_000L;

  private static final int FIRST_STACK = 64;

  private final int labels;
  private final int features;

  /** The left children of inner nodes; numbers below that of the labels are leaves. */
  private final int[] left;

  private final int[] right;

  /** The weights of inner nodes, one after another. */
  private final float[] weights;

  /**
   * Builds the tree as fastText does, whose files do not have it: the two rarest are joined first;
   * where counts are equal, a node comes before a label.
   *
   * @param counts the counts of labels, descending
   * @param weights (labels, features), of which the last row is not used
   */
  FastTextTree(long[] counts, float[] weights) {
    this.labels = counts.length;
    this.features = weights.length / labels;
    this.weights = weights;
    this.left = new int[labels - 1];
    this.right = new int[labels - 1];
    long[] all = Arrays.copyOf(counts, 2 * labels - 1);
    Arrays.fill(all, labels, all.length, NOT_MADE);
    int leaf = labels - 1;
    int node = labels;
    for (int i = labels; i < all.length; i++) {
      int first = leaf >= 0 && all[leaf] < all[node] ? leaf-- : node++;
      int second = leaf >= 0 && all[leaf] < all[node] ? leaf-- : node++;
      left[i - labels] = first;
      right[i - labels] = second;
      all[i] = all[first] + all[second];
    }
  }

  /** A label with its probability; among equally probable labels, the smallest number is best. */
  record Found(int label, double probability) implements Comparable<Found> {
    @Override
    public int compareTo(Found other) {
      int compared = Double.compare(probability, other.probability);
      return compared != 0 ? compared : Integer.compare(other.label, label);
    }
  }

  /**
   * Returns the most probable labels, best first.
   *
   * @param x rows of features
   * @param row the one of x
   * @param allowed null: all
   * @param least a lower bound of probabilities
   */
  Found[] search(float[] x, int row, int k, BitSet allowed, double least) {
    PriorityQueue<Found> best = new PriorityQueue<>();
    int[] nodes = new int[FIRST_STACK];
    double[] probabilities = new double[FIRST_STACK];
    nodes[0] = 2 * labels - 2;
    probabilities[0] = 1;
    int size = 1;
    while (size > 0) {
      int node = nodes[--size];
      double probability = probabilities[size];
      if (probability < least || (best.size() == k && probability < best.peek().probability)) {
        continue;
      }
      if (node < labels) {
        if (allowed == null || allowed.get(node)) {
          best.add(new Found(node, probability));
          if (best.size() > k) {
            best.remove();
          }
        }
        continue;
      }
      if (size + 2 > nodes.length) {
        nodes = Arrays.copyOf(nodes, 2 * nodes.length);
        probabilities = Arrays.copyOf(probabilities, nodes.length);
      }
      int inner = node - labels;
      double score = dot(x, row * features, inner * features);
      double ratio = Math.exp(-Math.abs(score));
      double likely = 1 / (1 + ratio);
      boolean isRight = score > 0;
      // The likelier child is opened first.
      nodes[size] = isRight ? left[inner] : right[inner];
      probabilities[size++] = probability * ratio * likely;
      nodes[size] = isRight ? right[inner] : left[inner];
      probabilities[size++] = probability * likely;
    }
    Found[] found = new Found[best.size()];
    for (int i = found.length - 1; i >= 0; i--) {
      found[i] = best.remove();
    }
    return found;
  }

  /** Returns a dot product by four sums, which a processor computes at the same time. */
  private double dot(float[] x, int beginOfX, int begin) {
    float sum0 = 0;
    float sum1 = 0;
    float sum2 = 0;
    float sum3 = 0;
    int i = 0;
    for (; i + 4 <= features; i += 4) {
      sum0 += x[beginOfX + i] * weights[begin + i];
      sum1 += x[beginOfX + i + 1] * weights[begin + i + 1];
      sum2 += x[beginOfX + i + 2] * weights[begin + i + 2];
      sum3 += x[beginOfX + i + 3] * weights[begin + i + 3];
    }
    for (; i < features; i++) {
      sum0 += x[beginOfX + i] * weights[begin + i];
    }
    return (double) (sum0 + sum1) + (sum2 + sum3);
  }
}
