// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.softmax.Loss;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * A part of a layer that a task trains with targets in lists.
 *
 * @param <T> the targets that the part takes
 */
final class TrainedPart<T> implements AutoCloseable {
  /** Makes targets of lists, one for each row, and closes them after a step. */
  private interface Targets<T> {
    double step(List<int[]> targets, Step<T> step);
  }

  private interface Step<T> {
    double make(T targets);
  }

  private final LayerPart<T> part;
  private final Targets<T> targets;

  private TrainedPart(LayerPart<T> part, Targets<T> targets) {
    this.part = part;
    this.targets = targets;
  }

  /** Returns a copy of a part of a layer, with its optimizer state. */
  static TrainedPart<?> of(TwoLevelLayer<?> layer, int number, Workers workers) {
    return layer instanceof HierarchicalSoftmax softmax
        ? new TrainedPart<>(LayerPart.of(softmax, number, workers), TrainedPart::single)
        : new TrainedPart<>(LayerPart.of((LabelTree) layer, number, workers), TrainedPart::sets);
  }

  /** Returns a part of a new softmax. */
  static TrainedPart<?> ofSoftmax(LayerBuilder<IntTensor, ?> builder, int number) {
    return new TrainedPart<>(builder.buildPart(number), TrainedPart::single);
  }

  /** Returns a part of a new label tree. */
  static TrainedPart<?> ofTree(LayerBuilder<SparseRows, ?> builder, int number) {
    return new TrainedPart<>(builder.buildPart(number), TrainedPart::sets);
  }

  private static double single(List<int[]> targets, Step<IntTensor> step) {
    int[] single = targets.stream().mapToInt(target -> target[0]).toArray();
    try (IntTensor tensor = IntTensor.of(single, single.length)) {
      return step.make(tensor);
    }
  }

  private static double sets(List<int[]> targets, Step<SparseRows> step) {
    try (SparseRows rows = SparseRows.of(targets)) {
      return step.make(rows);
    }
  }

  int number() {
    return part.number();
  }

  /** Runs a step. Returns the loss before it. */
  double step(FloatTensor x, List<int[]> ofRows, Loss loss, Optimizer optimizer) {
    return targets.step(ofRows, made -> part.step(x, made, loss, optimizer));
  }

  byte[] toBytes() {
    return part.toBytes();
  }

  @Override
  public void close() {
    part.close();
  }

  @Override
  public String toString() {
    return part.toString();
  }
}
