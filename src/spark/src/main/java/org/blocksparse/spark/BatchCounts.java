// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import scala.Tuple2;

/** Counts the rows of each batch. */
final class BatchCounts {
  private BatchCounts() {}

  /** For each order, the rows of each of its batches. */
  static int[][] of(JavaRDD<byte[]> rows, RowOrder order, int orders) {
    int[][] counts = new int[orders][order.batches()];
    rows.mapPartitionsToPair(partition -> count(partition, order, orders))
        .reduceByKey(BatchCounts::sum)
        .collect()
        .forEach(ofOrder -> counts[ofOrder._1()] = ofOrder._2());
    return counts;
  }

  private static Iterator<Tuple2<Integer, int[]>> count(
      Iterator<byte[]> rows, RowOrder order, int orders) {
    int[][] counts = new int[orders][order.batches()];
    while (rows.hasNext()) {
      long hash = EncodedRow.hash(rows.next());
      for (int i = 0; i < orders; i++) {
        counts[i][order.batch(order.position(hash, i))]++;
      }
    }
    List<Tuple2<Integer, int[]>> all = new ArrayList<>();
    for (int i = 0; i < orders; i++) {
      all.add(new Tuple2<>(i, counts[i]));
    }
    return all.iterator();
  }

  private static int[] sum(int[] a, int[] b) {
    int[] sum = a.clone();
    for (int i = 0; i < sum.length; i++) {
      sum[i] += b[i];
    }
    return sum;
  }
}
