// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Searches for the ten likeliest of a million outputs: with nearly all of the probability in a few
 * classes, or with equal probabilities; without a thousand outputs for each row, random or partly
 * the likeliest; and only among a half that all calls share, without a thousand and with them.
 */
public enum TopKWorkload {
  PEAKED_1(Distribution.PEAKED, 1),
  PEAKED_256(Distribution.PEAKED, 256),
  PEAKED_SEEN_1(Distribution.PEAKED, Seen.ANY, 1),
  PEAKED_SEEN_256(Distribution.PEAKED, Seen.ANY, 256),
  PEAKED_LIKELY_SEEN_1(Distribution.PEAKED, Seen.LIKELY, 1),
  PEAKED_LIKELY_SEEN_256(Distribution.PEAKED, Seen.LIKELY, 256),
  PEAKED_STOCK_1(Distribution.PEAKED, Seen.NONE, true, 1),
  PEAKED_STOCK_SEEN_1(Distribution.PEAKED, Seen.ANY, true, 1),
  FLAT_1(Distribution.FLAT, 1),
  FLAT_256(Distribution.FLAT, 256);

  private enum Distribution {
    PEAKED,
    FLAT
  }

  /** The outputs that each row leaves out. */
  private enum Seen {
    NONE,
    /** A thousand outputs at random. */
    ANY,
    /** Half of the thousand are the likeliest of the row. */
    LIKELY
  }

  private static final int SEEN = 1000;
  private static final int OUTPUTS = 1_000_000;
  private static final int CLASSES = 1000;
  private static final int FEATURES = 256;

  private final Distribution distribution;
  private final Seen seen;

  /** Whether only half of the outputs are allowed, the same in all calls. */
  private final boolean stock;

  private final int batch;

  TopKWorkload(Distribution distribution, int batch) {
    this(distribution, Seen.NONE, batch);
  }

  TopKWorkload(Distribution distribution, Seen seen, int batch) {
    this(distribution, seen, false, batch);
  }

  TopKWorkload(Distribution distribution, Seen seen, boolean stock, int batch) {
    this.distribution = distribution;
    this.seen = seen;
    this.stock = stock;
    this.batch = batch;
  }

  public SoftmaxProblem problem() {
    HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(FEATURES, OUTPUTS).classes(CLASSES).build();
    FloatTensor x = SoftmaxProblem.random(batch, FEATURES, distribution == Distribution.PEAKED);
    return new SoftmaxProblem(
        layer,
        x,
        new int[batch],
        seen == Seen.NONE ? null : seen(layer, x),
        stock ? inStock() : null);
  }

  private static BitSet inStock() {
    SplittableRandom random = new SplittableRandom(5);
    BitSet half = new BitSet();
    IntStream.range(0, OUTPUTS).filter(output -> random.nextInt(2) == 0).forEach(half::set);
    return half;
  }

  private SparseRows seen(HierarchicalSoftmax layer, FloatTensor x) {
    SplittableRandom random = new SplittableRandom(3);
    Ranking likeliest = seen == Seen.LIKELY ? layer.topK(x, SEEN / 2) : null;
    List<int[]> rows = new ArrayList<>();
    for (int row = 0; row < batch; row++) {
      int[] outputs = random.ints(SEEN, 0, OUTPUTS).toArray();
      if (likeliest != null) {
        System.arraycopy(likeliest.outputs(row), 0, outputs, 0, SEEN / 2);
      }
      rows.add(outputs);
    }
    return SparseRows.of(rows);
  }

  @Override
  public String toString() {
    return Names.of(this);
  }
}
