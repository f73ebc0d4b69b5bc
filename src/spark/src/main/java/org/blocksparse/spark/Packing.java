// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.IntStream;
import org.apache.spark.Partitioner;
import org.blocksparse.softmax.LayerPart;

/**
 * The assignment of parts to partitions: the class level is in the first, and the classes are
 * packed, the most expensive first, each into the partition with the least cost. If there are
 * several partitions, the first has only the class level.
 */
final class Packing extends Partitioner {
  private static final long serialVersionUID = 1;

  private final int partitions;

  /** The partition of each class. */
  private final int[] partitionOf;

  private Packing(int partitions, int[] partitionOf) {
    this.partitions = partitions;
    this.partitionOf = partitionOf;
  }

  /**
   * Packs classes.
   *
   * @param costs the cost of each class
   * @param partitions how many are wanted; there are no more than parts
   */
  static Packing of(long[] costs, int partitions) {
    int count = Math.max(1, Math.min(partitions, costs.length + 1));
    int first = count == 1 ? 0 : 1;
    record Load(int partition, long cost) {}
    PriorityQueue<Load> loads =
        new PriorityQueue<>(Comparator.comparingLong(Load::cost).thenComparingInt(Load::partition));
    for (int p = first; p < count; p++) {
      loads.add(new Load(p, 0));
    }
    Integer[] longestFirst = IntStream.range(0, costs.length).boxed().toArray(Integer[]::new);
    Arrays.sort(longestFirst, Comparator.comparingLong((Integer c) -> -costs[c]));
    int[] partitionOf = new int[costs.length];
    for (int c : longestFirst) {
      Load least = loads.remove();
      partitionOf[c] = least.partition;
      // Classes without rows are made and written, too.
      loads.add(new Load(least.partition, least.cost + costs[c] + 1));
    }
    return new Packing(count, partitionOf);
  }

  /** Returns the parts of a partition, ascending. */
  List<Integer> parts(int partition) {
    List<Integer> parts = new ArrayList<>();
    for (int part = LayerPart.CLASS_LEVEL; part < partitionOf.length; part++) {
      if (partition(part) == partition) {
        parts.add(part);
      }
    }
    return parts;
  }

  private int partition(int part) {
    return part == LayerPart.CLASS_LEVEL ? 0 : partitionOf[part];
  }

  @Override
  public int numPartitions() {
    return partitions;
  }

  @Override
  public int getPartition(Object key) {
    return partition(((RowKey) key).part());
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Packing that
        && partitions == that.partitions
        && Arrays.equals(partitionOf, that.partitionOf);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(partitionOf);
  }
}
