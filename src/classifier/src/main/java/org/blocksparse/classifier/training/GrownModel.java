// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.NumberedExamples;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * Copies the parts of a model, with rows for the features and outputs for the labels that a
 * training set adds to it.
 */
final class GrownModel {
  /** The elements that are copied at a time. */
  private static final int PIECE = 1 << 16;

  private final TrainedClassifier from;
  private final TrainingSet set;
  private final TrainingOptions options;

  /** See {@link EmbeddingTrainer#hasCharacters}. */
  private final boolean withCharacters;

  GrownModel(TrainingSet set, TrainingOptions options) {
    this.from = options.initialModel();
    this.set = set;
    this.options = options;
    this.withCharacters = EmbeddingTrainer.hasCharacters(from);
  }

  /** Returns the bag: rows of the model, and random ones after them. */
  EmbeddingBag bag() {
    if (from.bag().weightType() == ElementType.FLOAT32) {
      return bag(from.bag().table());
    }
    try (EmbeddingBag wide = from.bag().withWeights(ElementType.FLOAT32)) {
      return bag(wide.table());
    }
  }

  private EmbeddingBag bag(FloatTensor table) {
    EmbeddingBag bag =
        EmbeddingBag.builder(
                withCharacters ? set.vocabulary().rows() : set.vocabulary().otherRows(),
                from.bag().features())
            .mode(from.bag().mode())
            .workers(options.workers())
            .seed(options.seed())
            .build();
    try {
      long elements = (long) from.bag().vocabulary() * from.bag().features();
      float[] piece = new float[PIECE];
      for (long begin = 0; begin < elements; begin += PIECE) {
        int count = (int) Math.min(PIECE, elements - begin);
        table.get(begin, piece, 0, count);
        bag.table().put(begin, piece, 0, count);
      }
      return bag;
    } catch (Throwable e) {
      bag.close();
      throw e;
    }
  }

  /**
   * Returns the layer: outputs of the model, and those of new labels, each in a class that fits.
   */
  TwoLevelLayer<?> layer(EmbeddingBag bag, Labels labels) {
    boolean isWide = from.layer().weightType() == ElementType.FLOAT32;
    TwoLevelLayer<?> layer =
        isWide ? from.layer().copy() : from.layer().withWeights(ElementType.FLOAT32);
    try {
      int first = layer.assignment().outputs();
      if (labels.size() > first) {
        try (FloatTensor x = means(bag, first, labels.size() - first)) {
          layer.addOutputs(x);
        }
        layer.setLabels(labels);
      }
      return layer;
    } catch (Throwable e) {
      layer.close();
      throw e;
    }
  }

  /** Returns the mean input of the examples of each label from a first one on. */
  private FloatTensor means(EmbeddingBag bag, int first, int count) {
    int dimension = from.bag().features();
    float[] sums = new float[Math.multiplyExact(count, dimension)];
    int[] order =
        IntStream.range(0, set.size()).filter(e -> set.hasLabel(e, l -> l >= first)).toArray();
    for (int begin = 0; begin < order.length; begin += NumberedExamples.BATCH) {
      int end = Math.min(order.length, begin + NumberedExamples.BATCH);
      try (SparseRows rows = set.features(order, begin, end, withCharacters);
          SparseRows labels = set.labels(order, begin, end);
          FloatTensor x = bag.apply(rows)) {
        float[] inputs = x.toArray();
        for (int e = 0; e < end - begin; e++) {
          for (int label : labels.indices(e)) {
            for (int i = 0; label >= first && i < dimension; i++) {
              sums[(label - first) * dimension + i] += inputs[e * dimension + i];
            }
          }
        }
      }
    }
    long[] counts = set.labelCounts();
    for (int i = 0; i < sums.length; i++) {
      sums[i] /= counts[first + i / dimension];
    }
    return FloatTensor.of(sums, count, dimension);
  }
}
