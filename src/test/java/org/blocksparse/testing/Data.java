// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/** Random problems. A test declares a parameter of this type and the extension {@link Seeded}. */
public final class Data {
  /** The numbers of a problem. */
  public enum Numbers {
    /** Integers from -4 to 4: every sum of fewer than 2^20 products is exact, in any order. */
    SMALL_INTEGERS,
    /** Normally distributed numbers. */
    GAUSSIAN
  }

  private final RandomGenerator random;

  public Data(long seed) {
    this.random = new SplittableRandom(seed);
  }

  public float[] floats(Numbers numbers, long count) {
    float[] values = new float[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          numbers == Numbers.SMALL_INTEGERS ? random.nextInt(-4, 5) : (float) random.nextGaussian();
    }
    return values;
  }

  /** Returns normally distributed numbers with a mean of 0. */
  public static float[] gaussian(RandomGenerator random, double deviation, long count) {
    float[] values = new float[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian(0, deviation);
    }
    return values;
  }

  /**
   * Returns multiples of 1/64 from -1 to 1, to which a small power of two can be added without
   * rounding.
   */
  public float[] coarseFloats(long count) {
    float[] values = new float[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextInt(-64, 65) / 64f;
    }
    return values;
  }

  /** Returns indices in [0, bound); repeats are likely if there are many. */
  public int[] indices(long count, int bound) {
    int[] values = new int[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextInt(bound);
    }
    return values;
  }

  /**
   * Returns the class of each output: every class has at least one, and further outputs are in any
   * class.
   */
  public int[] classOf(int classes, int more) {
    int[] classOf = new int[classes + more];
    for (int output = 0; output < classOf.length; output++) {
      classOf[output] = output < classes ? output : below(classes);
    }
    return classOf;
  }

  public int below(int bound) {
    return random.nextInt(bound);
  }

  /** Returns one of these values. */
  @SafeVarargs
  public final <T> T oneOf(T... values) {
    return values[below(values.length)];
  }

  public float between(float low, float high) {
    return random.nextFloat(low, high);
  }

  /** Returns a problem of the given sizes, with random indices. */
  public BlockProblem blocks(BlockProblem.Sizes sizes, Numbers numbers) {
    return blocks(
        sizes,
        numbers,
        indices((long) sizes.batch() * sizes.iWin(), sizes.iBlocks()),
        indices((long) sizes.batch() * sizes.oWin(), sizes.oBlocks()));
  }

  /** Returns a problem of the given sizes and indices. */
  public BlockProblem blocks(
      BlockProblem.Sizes s, Numbers numbers, int[] inputIdx, int[] outputIdx) {
    return new BlockProblem(
        s,
        floats(numbers, (long) s.iBlocks() * s.oBlocks() * s.iSize() * s.oSize()),
        floats(numbers, (long) s.batch() * s.iWin() * s.iSize()),
        floats(numbers, (long) s.oBlocks() * s.oSize()),
        floats(numbers, (long) s.batch() * s.oWin() * s.oSize()),
        floats(numbers, (long) s.batch() * s.oWin() * s.oSize()),
        inputIdx,
        outputIdx);
  }

  /** Returns a softmax problem with a class for each output, and logits of about {@code scale}. */
  public SoftmaxProblem softmax(int batch, int features, int slots, float scale, int... classOf) {
    int classes = 1;
    for (int c : classOf) {
      classes = Math.max(classes, c + 1);
    }
    float root = scale / (float) Math.sqrt(Math.max(1, features));
    return new SoftmaxProblem(
        batch,
        features,
        classes,
        slots,
        classOf,
        floats(Numbers.GAUSSIAN, (long) batch * features),
        scaled(root, floats(Numbers.GAUSSIAN, (long) features * classes)),
        scaled(scale, floats(Numbers.GAUSSIAN, classes)),
        scaled(root, floats(Numbers.GAUSSIAN, (long) classes * features * slots)),
        scaled(scale, floats(Numbers.GAUSSIAN, (long) classes * slots)),
        indices(batch, classOf.length));
  }

  private static float[] scaled(float factor, float[] values) {
    for (int i = 0; i < values.length; i++) {
      values[i] *= factor;
    }
    return values;
  }
}
