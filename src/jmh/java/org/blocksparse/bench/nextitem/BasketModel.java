// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.ranking.Filter;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;

/**
 * A bag of items and a softmax over all items. It learns each item of a basket from a random part
 * of the others, another part in each epoch. Items count by the square root of their inverse
 * document frequency.
 */
final class BasketModel implements AutoCloseable {
  private static final int BATCH = 512;
  private static final float RATE = 0.1f;
  private static final float SMOOTHING = 0.1f;

  private final Baskets baskets;
  private final ItemWeights weights;
  private final Random random;
  private final EmbeddingBag bag;
  private final HierarchicalSoftmax softmax;

  BasketModel(Baskets baskets, int features, long seed) {
    this.baskets = baskets;
    this.weights = new ItemWeights(baskets, 0.5);
    this.random = new Random(seed);
    this.bag =
        EmbeddingBag.builder(baskets.items(), features)
            .mode(EmbeddingBag.Mode.SUM) // of weights that sum to 1
            .seed(seed)
            .build();
    Examples examples = partsOfBaskets();
    try (SparseRows seen = weights.rows(examples.seen(), 1);
        SparseRows next =
            SparseRows.of(Arrays.stream(examples.next()).mapToObj(i -> new int[] {i}).toList())) {
      ClassAssignment classes = ClassAssignment.clustered(seen, next, baskets.items(), seed);
      this.softmax =
          HierarchicalSoftmax.builder(features, baskets.items())
              .classes(classes)
              .seed(seed)
              .build();
    }
  }

  private Examples partsOfBaskets() {
    List<int[]> parts = new ArrayList<>();
    for (int[] basket : baskets.training()) {
      for (int item : basket) {
        double share = random.nextDouble();
        int[] part =
            Arrays.stream(basket)
                .filter(other -> other != item && random.nextDouble() < share)
                .toArray();
        if (part.length > 0) {
          parts.add(Arrays.copyOf(part, part.length + 1));
          parts.get(parts.size() - 1)[part.length] = item;
        }
      }
    }
    Collections.shuffle(parts, random);
    return Examples.of(parts);
  }

  /**
   * Learns all baskets once.
   *
   * @param begin the share of all training that is done before
   * @param end and after
   * @return the mean loss
   */
  double epoch(double begin, double end) {
    Examples examples = partsOfBaskets();
    int steps = examples.size() / BATCH;
    double loss = 0;
    try (FloatTensor gradX = FloatTensor.zeros(BATCH, bag.features())) {
      for (int step = 0; step < steps; step++) {
        float left = (float) (1 - begin - (end - begin) * step / steps);
        Optimizer adagrad = Optimizer.adagrad(RATE * left);
        int first = step * BATCH;
        int[] next = Arrays.copyOfRange(examples.next(), first, first + BATCH);
        try (SparseRows seen = weights.rows(examples.seen().subList(first, first + BATCH), 1);
            FloatTensor x = bag.apply(seen);
            IntTensor targets = IntTensor.of(next, BATCH)) {
          loss += softmax.step(x, targets, Loss.mean().withSmoothing(SMOOTHING), adagrad, gradX);
          bag.step(seen, gradX, adagrad);
        }
      }
    }
    return loss / steps;
  }

  List<Scores> scores(List<int[]> seen) {
    try (SparseRows rows = weights.rows(seen, 1);
        FloatTensor x = bag.apply(rows)) {
      return Scores.of(softmax.topK(x, Scores.KEPT, Filter.without(rows)));
    }
  }

  @Override
  public void close() {
    bag.close();
    softmax.close();
  }
}
