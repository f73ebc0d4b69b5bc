// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.SplittableRandom;
import org.blocksparse.Activation;

/**
 * A mixture of {@value #EXPERTS} experts, {@value #FEATURES} -> {@value #HIDDEN} -> {@value
 * #FEATURES}. Each token goes through {@value #TOP} different ones, with factors that add up to 1.
 */
public final class MoeProblem {
  public static final int EXPERTS = 16;
  public static final int TOP = 2;
  public static final int FEATURES = 512;
  public static final int HIDDEN = 1024;
  public static final float RATE = 1e-4f;

  public final int tokens;
  public final Activation activation;

  /** The experts of each token, (tokens, TOP); their factors have the same shape. */
  public final int[] experts;

  public final float[] gates;

  public final float[] x;
  public final float[] gradOut;
  public final float[] W1;
  public final float[] b1;
  public final float[] W2;
  public final float[] b2;

  public MoeProblem(int tokens, Activation activation) {
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
    W1 = gaussian(random, EXPERTS * FEATURES * sums(), 1 / Math.sqrt(FEATURES));
    b1 = gaussian(random, EXPERTS * sums(), 0.1);
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

  /** Returns the columns of the first product. */
  public int sums() {
    return activation.isGated() ? 2 * HIDDEN : HIDDEN;
  }

  /** Returns the number of weights of all experts; all have tokens. */
  public double weights() {
    return EXPERTS * ((double) FEATURES * sums() + (double) HIDDEN * FEATURES);
  }
}
