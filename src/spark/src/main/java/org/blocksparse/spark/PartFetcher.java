// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.spark.api.java.JavaRDD;

/**
 * Brings trained parts to the driver in the order of their partitions, some 64 MiB of them at a
 * time.
 */
final class PartFetcher implements Iterator<byte[]> {
  private static final long MOST_BYTES = 64 << 20;

  private final JavaRDD<byte[]> parts;
  private final List<int[]> sizes;
  private int partition;
  private int index;
  private Iterator<byte[]> fetched = List.<byte[]>of().iterator();

  /**
   * Fetches parts that are computed already.
   *
   * @param sizes the bytes of the parts of each partition
   */
  PartFetcher(JavaRDD<byte[]> parts, List<int[]> sizes) {
    this.parts = parts;
    this.sizes = sizes;
  }

  @Override
  public boolean hasNext() {
    while (partition < sizes.size() && index == sizes.get(partition).length) {
      partition++;
      index = 0;
    }
    return fetched.hasNext() || partition < sizes.size();
  }

  @Override
  public byte[] next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    if (!fetched.hasNext()) {
      int[] ofPartition = sizes.get(partition);
      int begin = index;
      long bytes = 0;
      do {
        bytes += ofPartition[index++];
      } while (index < ofPartition.length && bytes + ofPartition[index] <= MOST_BYTES);
      fetched = fetch(parts, partition, begin, index).iterator();
    }
    return fetched.next();
  }

  private static List<byte[]> fetch(JavaRDD<byte[]> parts, int partition, int begin, int end) {
    return parts.mapPartitions(all -> some(all, begin, end))
        .collectPartitions(new int[] {partition})[0];
  }

  private static Iterator<byte[]> some(Iterator<byte[]> all, int begin, int end) {
    List<byte[]> some = new ArrayList<>();
    for (int i = 0; i < end; i++) {
      byte[] part = all.next();
      if (i >= begin) {
        some.add(part);
      }
    }
    return some.iterator();
  }
}
