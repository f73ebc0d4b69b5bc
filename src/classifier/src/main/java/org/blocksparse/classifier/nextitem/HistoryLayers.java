// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.List;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;

/** The layers of a {@link NextItem} that learn: a softmax over a bag of the history. */
record HistoryLayers(EmbeddingBag bag, HierarchicalSoftmax softmax, HistoryRows rows)
    implements AutoCloseable {
  /** Returns new layers. */
  static HistoryLayers of(
      HistoryRows rows,
      int dimension,
      ClassAssignment classes,
      Labels labels,
      TrainingOptions learning) {
    return new HistoryLayers(
        EmbeddingBag.builder(rows.rowsPerItem() * labels.size(), dimension)
            .mode(EmbeddingBag.Mode.SUM)
            .seed(learning.seed())
            .workers(learning.workers())
            .build(),
        HierarchicalSoftmax.builder(dimension, labels.size())
            .classes(classes)
            .labels(labels)
            .seed(learning.seed())
            .workers(learning.workers())
            .build(),
        rows);
  }

  HistoryLayers copy() {
    return new HistoryLayers(bag.copy(), softmax.copy(), rows);
  }

  /** Returns a copy with weights of a type. */
  HistoryLayers withWeights(ElementType type) {
    EmbeddingBag narrow = bag.withWeights(type);
    try {
      return new HistoryLayers(narrow, softmax.withWeights(type), rows);
    } catch (Throwable e) {
      narrow.close();
      throw e;
    }
  }

  /**
   * Returns layers whose logits are the means of those of the parts, which have the same items and
   * classes; for one part, a copy. The vector of a history is the concatenation of those of the
   * parts. Rows of the bag are zero outside their own part.
   */
  static HistoryLayers mean(List<HistoryLayers> parts, TrainingOptions learning) {
    HistoryLayers first = parts.get(0);
    if (parts.size() == 1) {
      return first.copy();
    }
    List<Double> decays = parts.stream().flatMap(part -> part.rows.decays().stream()).toList();
    HistoryLayers mean =
        of(
            first.rows.withDecays(decays),
            parts.stream().mapToInt(part -> part.bag.features()).sum(),
            first.softmax.assignment(),
            first.softmax.labels(),
            learning);
    mean.bag.table().fill(0);
    mean.softmax.b1().fill(0);
    mean.softmax.b2().fill(0);
    int row = 0;
    int feature = 0;
    for (HistoryLayers part : parts) {
      mean.add(part, row, feature, 1f / parts.size());
      row += part.rows.rowsPerItem();
      feature += part.bag.features();
    }
    return mean;
  }

  private void add(HistoryLayers part, int row, int feature, float share) {
    int size = part.bag.features();
    int all = bag.features();
    FloatTensor table = bag.table();
    FloatTensor ofPart = part.bag.table();
    int perItem = part.rows.rowsPerItem();
    float[] values = new float[size];
    for (int from = 0; from < part.bag.vocabulary(); from++) {
      long to = (long) from / perItem * rows.rowsPerItem() + row + from % perItem;
      ofPart.get((long) from * size, values, 0, size);
      for (int i = 0; i < size; i++) {
        values[i] *= share;
      }
      table.put(to * all + feature, values, 0, size);
    }
    addBlock(part.softmax.W1(), softmax.W1(), 0, feature, size);
    for (int c = 0; c < softmax.classCount(); c++) {
      addBlock(part.softmax.W2(), softmax.W2(), c, feature, size);
    }
    addBiases(part.softmax.b1(), softmax.b1(), share);
    addBiases(part.softmax.b2(), softmax.b2(), share);
  }

  /** Copies a block of weights, (features, outputs), below those of the previous features. */
  private static void addBlock(FloatTensor from, FloatTensor to, int block, int feature, int size) {
    int axis = to.shape().rank() - 1;
    int outputs = Math.toIntExact(to.shape().dim(axis));
    float[] values = new float[Math.multiplyExact(size, outputs)];
    from.get((long) block * values.length, values, 0, values.length);
    to.put((block * to.shape().dim(axis - 1) + feature) * outputs, values, 0, values.length);
  }

  private static void addBiases(FloatTensor from, FloatTensor to, float share) {
    float[] values = from.toArray();
    float[] sums = to.toArray();
    for (int i = 0; i < sums.length; i++) {
      sums[i] += share * values[i];
    }
    to.copyFrom(sums);
  }

  /** Makes a step. Returns the mean loss before it. */
  double step(List<int[]> histories, int[] next, Loss loss, Optimizer optimizer) {
    try (SparseRows seen = rows.ofBag(histories);
        FloatTensor x = bag.apply(seen);
        IntTensor targets = IntTensor.of(next, next.length);
        FloatTensor gradX = FloatTensor.zeros(next.length, bag.features())) {
      double value = softmax.step(x, targets, loss, optimizer, gradX);
      bag.step(seen, gradX, optimizer);
      return value;
    }
  }

  @Override
  public void close() {
    bag.close();
    softmax.close();
  }
}
