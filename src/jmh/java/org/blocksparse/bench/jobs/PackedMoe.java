// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.Routing;

/** Experts of SwiGLU with packed weights, more than the caches hold, and a routing that changes. */
final class PackedMoe implements AutoCloseable {
  private static final int EXPERTS = 32;
  private static final int TOP = 8;
  private static final int INPUTS = 2048;
  private static final int HIDDEN = 768;
  private static final int ROUTINGS = 16;

  private final MixtureOfExperts layer;
  private final FloatTensor x;
  private final FloatTensor out;
  private final Routing[] routings = new Routing[ROUTINGS];
  private int next;

  PackedMoe(ElementType type, int tokens) {
    SplittableRandom random = new SplittableRandom(3);
    FloatTensor W1 = weights(random, EXPERTS, 1, EXPERTS, INPUTS, 2 * HIDDEN);
    FloatTensor W2 = weights(random, EXPERTS, EXPERTS, 1, HIDDEN, INPUTS);
    try (MixtureOfExperts floats =
        MixtureOfExperts.builder(INPUTS, HIDDEN, EXPERTS).build(Map.of("W1", W1, "W2", W2))) {
      layer = floats.withWeights(type);
    }
    W1.close();
    W2.close();
    x = weights(random, 1, tokens, INPUTS);
    out = FloatTensor.zeros(tokens, INPUTS);
    FloatTensor gates = FloatTensor.zeros(tokens, TOP);
    gates.fill(1f / TOP);
    for (int r = 0; r < ROUTINGS; r++) {
      int[] chosen =
          IntStream.range(0, tokens)
              .flatMap(t -> random.ints(0, EXPERTS).distinct().limit(TOP))
              .toArray();
      routings[r] = Routing.of(IntTensor.of(chosen, tokens, TOP), gates, EXPERTS);
    }
  }

  /** Returns small numbers, the same ones in each of equal parts. */
  private static FloatTensor weights(SplittableRandom random, int parts, long... shape) {
    FloatTensor weights = FloatTensor.zeros(shape);
    float[] part = new float[(int) (weights.shape().size() / parts)];
    for (int i = 0; i < part.length; i++) {
      part[i] = random.nextFloat(-0.1f, 0.1f);
    }
    for (int p = 0; p < parts; p++) {
      weights.put((long) p * part.length, part, 0, part.length);
    }
    return weights;
  }

  void apply() {
    layer.apply(x, routings[next], out);
    next = (next + 1) % ROUTINGS;
  }

  @Override
  public void close() {
    for (Routing routing : routings) {
      routing.close();
    }
    layer.close();
    x.close();
    out.close();
  }
}
