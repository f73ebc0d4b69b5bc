// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import org.apache.spark.api.java.JavaRDD;
import scala.Tuple2;

/** Counts the rows of each batch. */
final class BatchCounts {
  /** The maximum number of counts, of 4 bytes, in each task and on the driver: 1 GiB. */
  private static final int MOST = 1 << 28;

  private BatchCounts() {}

  /**
   * Returns, for each order, the rows of each of its batches.
   *
   * @throws IllegalArgumentException if there are too many, before any row is looked at
   */
  static int[][] of(JavaRDD<byte[]> rows, RowOrder order, int orders) {
    if ((long) orders * order.batches() > MOST) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "%s: %d orders of %d batches each are more than %d batches together: take larger"
                  + " batches%s",
              orders > 1 ? "maxIter and batchSize" : "batchSize",
              orders,
              order.batches(),
              MOST,
              orders > 1 ? ", or set reshuffle to false" : ""));
    }
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
