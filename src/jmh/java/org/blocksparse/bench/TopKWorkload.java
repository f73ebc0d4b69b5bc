// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.io.NpyFile;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Where the ten likeliest outputs are looked for: among a million of them, where a few classes have
 * nearly all of the probability, or where all have as much; the same without a thousand outputs for
 * each row, which are any or partly the likeliest; the same only among a half that all calls share,
 * without a thousand and with them; and in the model that the demo trained, after words that it was
 * not trained on.
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
  FLAT_256(Distribution.FLAT, 256),
  DEMO_1(Distribution.DEMO, 1),
  DEMO_256(Distribution.DEMO, 256);

  private enum Distribution {
    PEAKED,
    FLAT,
    DEMO
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

  /** Where the demo writes. */
  private static final Path MODEL = Path.of("target/demo/model");

  private static final Path SOFTMAX = MODEL.resolve("softmax.safetensors");
  private static final Path HELD_OUT = MODEL.resolve("held-out.npy");

  private final Distribution distribution;
  private final Seen seen;

  /** Whether only half of the outputs may be found, the same in all calls. */
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

  /** Whether outputs are left out, which only a search can do. */
  boolean isFiltered() {
    return seen != Seen.NONE || stock;
  }

  /** Why it cannot be had, if so. */
  Optional<String> reasonToSkip() {
    return distribution != Distribution.DEMO || Files.exists(HELD_OUT)
        ? Optional.empty()
        : Optional.of("has no model to ask: run mvn -Pdemo before");
  }

  SoftmaxProblem problem() throws IOException {
    if (distribution == Distribution.DEMO) {
      try (FloatTensor heldOut = NpyFile.readFloats(HELD_OUT)) {
        int features = (int) heldOut.shape().dim(1);
        if (heldOut.shape().dim(0) < batch) {
          throw new IllegalStateException(HELD_OUT + " has too few rows: train on a larger text");
        }
        float[] rows = new float[batch * features];
        heldOut.get(0, rows, 0, rows.length);
        return new SoftmaxProblem(
            HierarchicalSoftmax.load(SOFTMAX),
            FloatTensor.of(rows, batch, features),
            new int[batch]);
      }
    }
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
