// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.TaskKilledException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.softmax.Loss;

/** Trains a part through all epochs, in a task. */
final class PartTrainer {
  private final TrainingPlan plan;
  private final ClassAssignment classes;
  private final Optimizer optimizer;
  private final TrainedPart<?> part;
  private final PartRows rows;

  /** The features of one row. */
  private final float[] x;

  PartTrainer(TrainingPlan plan, ClassAssignment classes, TrainedPart<?> part, PartRows rows) {
    this.plan = plan;
    this.classes = classes;
    this.optimizer = plan.optimizer().optimizer();
    this.part = part;
    this.rows = rows;
    this.x = new float[plan.features()];
  }

  /**
   * Makes all steps.
   *
   * @return the part
   * @throws ArithmeticException if a loss is not finite, naming the part, the epoch and the batch
   */
  byte[] train() {
    for (int epoch = 0; epoch < plan.epochs(); epoch++) {
      int[] ordered = rows.order(plan.order(), epoch);
      int begin = 0;
      while (begin < ordered.length) {
        int batch = batch(ordered[begin], epoch);
        int end = begin + 1;
        while (end < ordered.length && batch(ordered[end], epoch) == batch) {
          end++;
        }
        endIfKilled();
        step(ordered, begin, end, epoch, batch);
        begin = end;
      }
    }
    try {
      return part.toBytes();
    } catch (IllegalStateException e) {
      throw diverged("after epoch " + plan.epochs(), e);
    }
  }

  private int batch(int row, int epoch) {
    return plan.order().batch(plan.order().position(rows.hash(row), epoch));
  }

  /** Ends a task that Spark has interrupted because another one was faster. */
  private static void endIfKilled() {
    TaskContext task = TaskContext.get();
    if (task != null && task.isInterrupted()) {
      throw new TaskKilledException();
    }
  }

  private void step(int[] ordered, int begin, int end, int epoch, int batch) {
    int count = end - begin;
    List<int[]> targets = new ArrayList<>(count);
    float[] weights = new float[count];
    int rowsOfBatch = plan.rowsOfBatch()[plan.order().order(epoch)][batch];
    try (FloatTensor xs = FloatTensor.zeros(count, x.length)) {
      for (int i = 0; i < count; i++) {
        ByteBuffer row = rows.row(ordered[begin + i]);
        Arrays.fill(x, 0);
        EncodedRow.features(row, x, 0, x.length);
        xs.put((long) i * x.length, x, 0, x.length);
        targets.add(targets(EncodedRow.labels(row)));
        weights[i] = plan.kind().weight(EncodedRow.weight(row), rowsOfBatch);
      }
      if (someRowHasWeight(weights)) {
        step(xs, targets, weights);
      }
    } catch (ArithmeticException e) {
      throw diverged("epoch " + (epoch + 1) + ", batch " + (batch + 1), e);
    }
  }

  /**
   * Returns whether some row has a weight. Otherwise the part is unchanged, and does not notice an
   * optimizer of another kind: the layer drops its state only if a row elsewhere has a weight, and
   * then the file of its parts does.
   */
  private static boolean someRowHasWeight(float[] weights) {
    for (float weight : weights) {
      if (weight != 0) {
        return true;
      }
    }
    return false;
  }

  /** Returns the targets of a row in this part: classes, or slots of its class. */
  private int[] targets(int[] labels) {
    int number = part.number();
    return number == LayerPart.CLASS_LEVEL
        ? IntStream.of(labels).map(classes::classOf).toArray()
        : IntStream.of(labels)
            .filter(label -> classes.classOf(label) == number)
            .map(classes::slotOf)
            .toArray();
  }

  private void step(FloatTensor xs, List<int[]> targets, float[] weights) {
    try (FloatTensor ws = FloatTensor.of(weights, weights.length)) {
      part.step(xs, targets, Loss.sum().withRowWeights(ws), optimizer);
    }
  }

  private ArithmeticException diverged(String when, RuntimeException cause) {
    ArithmeticException e = new ArithmeticException(part + ", " + when + ": " + cause.getMessage());
    e.initCause(cause);
    return e;
  }
}
