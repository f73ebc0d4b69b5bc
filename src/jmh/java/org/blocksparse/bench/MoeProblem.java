// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.SplittableRandom;

/**
 * A mixture of {@value #EXPERTS} experts, {@value #FEATURES} -> {@value #HIDDEN} -> {@value
 * #FEATURES}. Each token goes through {@value #TOP} different ones, with factors that add up to 1.
 */
final class MoeProblem {
  static final int EXPERTS = 16;
  static final int TOP = 2;
  static final int FEATURES = 512;
  static final int HIDDEN = 1024;
  static final float RATE = 1e-4f;

  final int tokens;
  final MoeActivation activation;

  /** (tokens, TOP): the experts of each token, and their factors. */
  final int[] experts;

  final float[] gates;

  final float[] x;
  final float[] gradOut;
  final float[] W1;
  final float[] b1;
  final float[] W2;
  final float[] b2;

  MoeProblem(int tokens, MoeActivation activation) {
    this.tokens = tokens;
    this.activation = activation;
    SplittableRandom random = new SplittableRandom(11);
    experts = new int[tokens * TOP];
    gates = new float[tokens * TOP];
    for (int t = 0; t < tokens; t++) {
      experts[t * TOP] = random.nextInt(EXPERTS);
      experts[t * TOP + 1] = (experts[t * TOP] + 1 + random.nextInt(EXPERTS - 1)) % EXPERTS;
      gates[t * TOP] = random.nextFloat(0.5f, 1);
      gates[t * TOP + 1] = 1 - gates[t * TOP];
    }
    x = gaussian(random, tokens * FEATURES, 1);
    gradOut = gaussian(random, tokens * FEATURES, 1);
    W1 = gaussian(random, EXPERTS * FEATURES * activation.sums(), 1 / Math.sqrt(FEATURES));
    b1 = gaussian(random, EXPERTS * activation.sums(), 0.1);
    W2 = gaussian(random, EXPERTS * HIDDEN * FEATURES, 1 / Math.sqrt(HIDDEN));
    b2 = gaussian(random, EXPERTS * FEATURES, 0.1);
  }

  private static float[] gaussian(SplittableRandom random, int count, double deviation) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (deviation * random.nextGaussian());
    }
    return values;
  }

  static long weightsOfExpert(MoeActivation activation) {
    return (long) FEATURES * activation.sums() + (long) HIDDEN * FEATURES;
  }
}
