// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.util.Arrays;
import java.util.BitSet;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.SparseBlockGemv;
import org.blocksparse.products.SparseBlockOuter;

/**
 * Two towers: a user is a bag of the items seen, an item is a vector, and their dot product says
 * how well they fit. Trained by a sampled softmax: of each batch, over the items that were clicked
 * in it and others at random, with the logarithm of the probability to be among them taken off each
 * logit, as one does. The last number of an item is its bias, and the last of a user is 1.
 */
final class TwoTowers implements Model {
  /** Items that each row of a batch is compared with. */
  private static final int CANDIDATES = 1536;

  private static final Optimizer ADAGRAD = Optimizer.adagrad(0.1f);

  private final EmbeddingBag users;
  private final EmbeddingBag items;
  private final int features;
  private final double[] frequencies;
  private final SplittableRandom random;
  private final FloatTensor gradV;

  /** Fills memory that is used for every batch; {@code next} are the clicks to learn. */
  TwoTowers(int items, int features, int[] next, long seed) {
    this.features = features;
    this.users = EmbeddingBag.builder(items, features).seed(seed).build();
    this.items = EmbeddingBag.builder(items, features).seed(seed + 1).build();
    this.random = new SplittableRandom(seed);
    this.gradV = FloatTensor.zeros(1, 1, CANDIDATES, features);
    this.frequencies = new double[items];
    for (int item : next) {
      frequencies[item] += 1.0 / next.length;
    }
  }

  /**
   * The sampled items that a batch is compared with.
   *
   * @param items different ones, ascending
   * @param logInclusion of each, the logarithm of the probability to be among them
   */
  private record Candidates(int[] items, float[] logInclusion) {}

  private Candidates candidates(int[] next) {
    BitSet chosen = new BitSet(frequencies.length);
    Arrays.stream(next).forEach(chosen::set);
    int clicked = chosen.cardinality();
    for (int count = clicked; count < CANDIDATES; ) {
      int item = random.nextInt(frequencies.length);
      if (!chosen.get(item)) {
        chosen.set(item);
        count++;
      }
    }
    double atRandom = (double) (CANDIDATES - clicked) / frequencies.length;
    int[] items = chosen.stream().toArray();
    float[] logInclusion = new float[items.length];
    for (int i = 0; i < items.length; i++) {
      double left = (1 - atRandom) * Math.pow(1 - frequencies[items[i]], next.length);
      logInclusion[i] = (float) Math.log(1 - left);
    }
    return new Candidates(items, logInclusion);
  }

  @Override
  public double step(SparseRows seen, int[] next) {
    int batch = next.length;
    Candidates candidates = candidates(next);
    int[] offsets = IntStream.rangeClosed(0, CANDIDATES).toArray();
    try (SparseRows rows = SparseRows.of(offsets, candidates.items);
        FloatTensor u = bags(seen);
        FloatTensor v = items.apply(rows);
        FloatTensor logits = FloatTensor.zeros(batch, 1, CANDIDATES);
        FloatTensor gradU = FloatTensor.zeros(batch, 1, features);
        BlockPlan plan = BlockPlan.dense(batch)) {
      FloatTensor ofItems = v.reshape(1, 1, CANDIDATES, features);
      FloatTensor ofUsers = u.reshape(batch, 1, features);
      SparseBlockGemv.applyInPlace(ofItems.transposeBlocks(), ofUsers, plan, logits);
      double loss = toGradient(logits, candidates, next);
      SparseBlockGemv.applyInPlace(ofItems, logits, plan, gradU);
      gradV.fill(0);
      SparseBlockOuter.applyInPlace(logits, ofUsers, plan, 1, gradV);
      for (int row = 0; row < batch; row++) {
        gradU.set(0, row, 0, features - 1);
      }
      users.step(seen, gradU.reshape(batch, features), ADAGRAD);
      items.step(rows, gradV.reshape(CANDIDATES, features), ADAGRAD);
      return loss;
    }
  }

  /** Logits become the gradients of the mean loss, which is returned. */
  private static double toGradient(FloatTensor logits, Candidates candidates, int[] next) {
    return IntStream.range(0, next.length)
            .parallel()
            .mapToDouble(
                row -> {
                  float[] z = new float[CANDIDATES];
                  logits.get((long) row * CANDIDATES, z, 0, CANDIDATES);
                  int target = Arrays.binarySearch(candidates.items, next[row]);
                  double loss = toGradient(z, candidates.logInclusion, target, next.length);
                  logits.put((long) row * CANDIDATES, z, 0, CANDIDATES);
                  return loss;
                })
            .sum()
        / next.length;
  }

  private static double toGradient(float[] z, float[] logInclusion, int target, int batch) {
    float max = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < z.length; i++) {
      z[i] -= logInclusion[i];
      max = Math.max(max, z[i]);
    }
    double ofTarget = z[target] - max;
    double sum = 0;
    for (int i = 0; i < z.length; i++) {
      z[i] = (float) Math.exp(z[i] - max);
      sum += z[i];
    }
    float scale = (float) (1 / (sum * batch));
    for (int i = 0; i < z.length; i++) {
      z[i] *= scale;
    }
    z[target] -= 1f / batch;
    return Math.log(sum) - ofTarget;
  }

  private FloatTensor bags(SparseRows seen) {
    FloatTensor u = users.apply(seen);
    for (int row = 0; row < seen.rows(); row++) {
      u.set(1, row, features - 1);
    }
    return u;
  }

  @Override
  public float[][] users(SparseRows seen) {
    try (FloatTensor u = bags(seen)) {
      return Vectors.rows(u);
    }
  }

  /** The vectors of all items, (items, features): the model's own. */
  FloatTensor items() {
    return items.table();
  }

  @Override
  public void close() {
    users.close();
    items.close();
    gradV.close();
  }
}
