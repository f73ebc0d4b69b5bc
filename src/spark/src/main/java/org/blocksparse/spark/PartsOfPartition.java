// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Iterator;
import java.util.concurrent.ForkJoinPool;
import org.apache.spark.TaskContext;
import org.blocksparse.Workers;
import scala.Tuple2;

/** Trains the parts of one partition, one after the other, each on request. */
final class PartsOfPartition implements Iterator<byte[]> {
  private final TrainingPlan plan;
  private final PartSource.Layer layer;
  private final Iterator<Integer> parts;
  private final Iterator<Tuple2<RowKey, byte[]>> rows;
  private final Workers workers;

  /** The first row of the next part that has rows; null if there is none. */
  private Tuple2<RowKey, byte[]> next;

  /**
   * Iterates over the parts.
   *
   * @param parts their numbers, ascending
   * @param rows the rows of all of them, in order
   */
  PartsOfPartition(
      TrainingPlan plan,
      PartSource.Layer layer,
      Iterator<Integer> parts,
      Iterator<Tuple2<RowKey, byte[]>> rows) {
    this.plan = plan;
    this.layer = layer;
    this.parts = parts;
    this.rows = rows;
    int cpus = TaskContext.get().cpus();
    this.workers =
        cpus == 1 ? Workers.callingThread() : Workers.of(ForkJoinPool.commonPool(), cpus);
    this.next = nextRow();
  }

  private Tuple2<RowKey, byte[]> nextRow() {
    return rows.hasNext() ? rows.next() : null;
  }

  @Override
  public boolean hasNext() {
    return parts.hasNext();
  }

  @Override
  public byte[] next() {
    int number = parts.next();
    try (PartRows own = new PartRows(plan.features());
        TrainedPart<?> part = layer.part(number, workers)) {
      while (next != null && next._1().part() == number) {
        own.add(next._1().hash(), next._2());
        next = nextRow();
      }
      own.end();
      return new PartTrainer(plan, layer.classes(), part, own).train();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
