// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.junit.jupiter.api.Test;

/** Dropout of x in a step, compared with a step on an x in which the same elements are 0. */
final class DropoutTest {
  private static final int BATCH = 50;
  private static final int FEATURES = 40;
  private static final int OUTPUTS = 30;
  private static final Optimizer RULE = Optimizer.adagrad(0.1f);

  private static float[] ones() {
    float[] values = new float[BATCH * FEATURES];
    Arrays.fill(values, 1);
    return values;
  }

  /** The result of a step: the loss, the gradient of x, and the weights. */
  private record Result(double loss, float[] gradX, float[] w1, float[] w2) {
    static Result of(float[] values, Loss loss) {
      int[] targets = IntStream.range(0, BATCH).map(row -> row % OUTPUTS).toArray();
      try (HierarchicalSoftmax layer =
              HierarchicalSoftmax.builder(FEATURES, OUTPUTS).classes(5).seed(3).build();
          FloatTensor x = FloatTensor.of(values, BATCH, FEATURES);
          IntTensor next = IntTensor.of(targets, BATCH);
          FloatTensor gradX = FloatTensor.zeros(BATCH, FEATURES)) {
        double value = layer.step(x, next, loss, RULE, gradX);
        assertArrayEquals(values, x.toArray(), "x is the caller's");
        return new Result(value, gradX.toArray(), layer.W1().toArray(), layer.W2().toArray());
      }
    }
  }

  @Test
  void stepIsThatOnWhatIsKept() {
    Result dropped = Result.of(ones(), Loss.mean().withDropout(0.75f, 7));
    float[] kept = ones();
    for (int i = 0; i < kept.length; i++) {
      kept[i] = dropped.gradX[i] == 0 ? 0 : 4;
    }
    Result plain = Result.of(kept, Loss.mean());
    assertEquals(plain.loss, dropped.loss);
    assertArrayEquals(plain.w1, dropped.w1);
    assertArrayEquals(plain.w2, dropped.w2);
    for (int i = 0; i < kept.length; i++) {
      assertEquals(kept[i] == 0 ? 0 : plain.gradX[i] * kept[i], dropped.gradX[i]);
    }
  }

  /** 2000 elements, of which 1500 are expected to be dropped, with a standard deviation of 19. */
  @Test
  void shareIsDropped() {
    float[] gradX = Result.of(ones(), Loss.mean().withDropout(0.75f, 7)).gradX;
    long zeros = IntStream.range(0, gradX.length).filter(i -> gradX[i] == 0).count();
    assertEquals(1500, (double) zeros, 100);
  }

  @Test
  void seedSelects() {
    Loss loss = Loss.mean().withDropout(0.5f, 7);
    assertArrayEquals(Result.of(ones(), loss).gradX, Result.of(ones(), loss).gradX);
    float[] other = Result.of(ones(), Loss.mean().withDropout(0.5f, 8)).gradX;
    assertFalse(Arrays.equals(Result.of(ones(), loss).gradX, other));
  }

  @Test
  void dropsNoneInALoss() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 3).build();
        FloatTensor x = FloatTensor.of(new float[] {1, 2}, 1, 2);
        IntTensor next = IntTensor.of(new int[] {1}, 1)) {
      assertEquals(layer.loss(x, next), layer.loss(x, next, Loss.mean().withDropout(0.9f, 1)));
    }
  }
}
