// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * The outputs of one row found so far that may be in its ranking.
 *
 * <p>Each is one long, its log probability above its number, such that ascending longs are
 * descending ranks: by probability, then by number. Where log probabilities are divided, each also
 * has its quotient, which decides whether it is in the ranking; the order is that of the model. The
 * k best and those above a threshold can have any scores in place of log probabilities.
 *
 * <p>The k best are in a binary heap: an offer costs one comparison if it is too low, else the
 * logarithm of k. The others are lists, which {@link #finish} sorts.
 */
public abstract sealed class Candidates {
  /** Makes the candidates of a row, given the logarithm of the allowed probability. */
  public interface Maker {
    Candidates make(double logAllowed);
  }

  /** A bound on the relative rounding errors of log probabilities. */
  private static final double ROUNDING = 0x1p-16;

  long[] found;
  int size;
  private final double logAllowed;

  /** The quotient of each output found; null if nothing is divided. */
  private final Map<Integer, Float> quotients;

  private boolean undefined;

  private Candidates(int capacity, double logAllowed) {
    this.found = new long[capacity];
    this.logAllowed = logAllowed;
    this.quotients = logAllowed == 0 ? null : new HashMap<>();
  }

  /**
   * Returns the k best.
   *
   * @param logAllowed the logarithm of what probabilities are divided by; 0 leaves them as they are
   */
  public static Candidates best(int k, double logAllowed) {
    return new Best(k, logAllowed);
  }

  /**
   * Returns all outputs whose divided log probability is at least {@code threshold}, a float:
   * otherwise an output exactly at the threshold would be lost when it is rounded down.
   */
  public static Candidates atLeast(float threshold, double logAllowed) {
    return new AtLeast(threshold, logAllowed);
  }

  /**
   * Returns the fewest candidates whose divided probabilities sum to at least {@code mass}. Each
   * counts as the largest probability that is rounded to its log probability: otherwise rounding
   * could add one where several have exactly the mass.
   */
  public static Candidates nucleus(double mass, double logAllowed) {
    return new Nucleus(mass, logAllowed);
  }

  /**
   * Offers outputs [begin, end) of a class with their log probabilities, and the divided ones. If
   * one is NaN, the row has no ranking.
   */
  public abstract void offer(
      int[] outputs, float[] logProbabilities, float[] divided, int begin, int end);

  /** Returns the log probability of a candidate in the ranking. */
  final float divided(long candidate) {
    return quotients == null ? logProbability(candidate) : quotients.get((int) candidate);
  }

  /** Returns a bound in the ranking of candidates with at most this log probability. */
  final float dividedAtMost(float bound) {
    return logAllowed == 0
        ? bound
        : (float) Math.min(0, bound * (1 - ROUNDING) - logAllowed * (1 + ROUNDING));
  }

  /** Keeps a candidate for the ranking. */
  final void keep(long candidate, float divided) {
    if (quotients != null) {
      quotients.put((int) candidate, divided);
    }
  }

  /** Gives up the ranking, since a score is NaN. */
  public final void giveUp() {
    undefined = true;
    size = 0;
  }

  /** Returns whether {@link #giveUp} was called. */
  public final boolean isUndefined() {
    return undefined;
  }

  /**
   * Returns whether outputs with log probabilities of at most {@code bound} cannot change the
   * ranking.
   */
  public abstract boolean isDone(float bound);

  /**
   * Returns whether {@link #isDone} cannot be true after outputs were offered that have at most the
   * given probability together, whatever they are: then those after them are needed, too.
   */
  public abstract boolean needsMoreThan(double probability, float bound);

  /**
   * Returns the log probability above which outputs would have to be found that are many times as
   * likely as those here, for the ranking to do without them.
   */
  public float farAbove() {
    return Float.POSITIVE_INFINITY;
  }

  /** Drops candidates outside the ranking, which is then complete and in order. */
  public void finish() {
    Arrays.sort(found, 0, size);
  }

  /** Returns the outputs of the ranking, in order. */
  public final int[] outputs() {
    int[] outputs = new int[size];
    for (int i = 0; i < size; i++) {
      outputs[i] = (int) found[i];
    }
    return outputs;
  }

  /** Returns the log probabilities of the outputs. */
  public final float[] logProbabilities() {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) {
      values[i] = divided(found[i]);
    }
    return values;
  }

  /** Returns a number and its score, such that ascending longs are descending ranks. */
  public static long encode(int number, float score) {
    int bits = Float.floatToRawIntBits(score + 0f); // -0f becomes 0f, with which it ties
    // Ascending bits are ascending floats, once those of negative numbers are inverted.
    return (long) ~(bits ^ ((bits >> 31) & Integer.MAX_VALUE)) << 32 | number;
  }

  /** Returns the score of an {@linkplain #encode encoded} candidate. */
  public static float logProbability(long candidate) {
    int bits = ~(int) (candidate >> 32);
    return Float.intBitsToFloat(bits ^ ((bits >> 31) & Integer.MAX_VALUE));
  }

  final void append(long candidate) {
    if (size == found.length) {
      found = Arrays.copyOf(found, Math.max(16, 2 * size));
    }
    found[size++] = candidate;
  }

  private static final class Best extends Candidates {
    /** The logarithm of the number of times. */
    private static final float FAR = 3;

    private final int k;

    /** The complements of the k best, once there are k, so that the worst is on top. */
    private LongHeap worstFirst;

    /** The log probability of the worst, once there are k. */
    private float worst = Float.NEGATIVE_INFINITY;

    Best(int k, double logAllowed) {
      super(Math.min(k, 1024), logAllowed);
      this.k = k;
    }

    @Override
    public void offer(
        int[] outputs, float[] logProbabilities, float[] divided, int begin, int end) {
      float least = worst; // most are less likely: nothing else is done for them
      for (int i = begin; i < end; i++) {
        float logProbability = logProbabilities[i];
        if (!(logProbability < least)) {
          if (Float.isNaN(logProbability)) {
            giveUp();
            return;
          }
          keep(outputs[i], divided[i]);
          take(~encode(outputs[i], logProbability));
          least = worst;
        }
      }
    }

    private void take(long complement) {
      if (worstFirst == null) {
        append(complement);
        if (size < k) {
          return;
        }
        worstFirst = new LongHeap().reset(found, 0, k);
      } else if (complement > worstFirst.min()) {
        worstFirst.replaceMin(complement);
      }
      worst = logProbability(~worstFirst.min());
    }

    @Override
    public boolean isDone(float bound) {
      // An output that is as likely as the worst one here may still have the smaller number.
      return worst > bound;
    }

    public @Override float farAbove() {
      return size < k ? Float.POSITIVE_INFINITY : worst + FAR;
    }

    /** The search is done when k outputs are likelier than the bound. */
    public @Override boolean needsMoreThan(double probability, float bound) {
      return k * Math.exp(bound) > probability;
    }

    @Override
    public void finish() {
      for (int i = 0; i < size; i++) {
        found[i] = ~found[i];
      }
      super.finish();
    }
  }

  private static final class AtLeast extends Candidates {
    private final float threshold;

    AtLeast(float threshold, double logAllowed) {
      super(0, logAllowed);
      this.threshold = threshold;
    }

    @Override
    public void offer(
        int[] outputs, float[] logProbabilities, float[] divided, int begin, int end) {
      for (int i = begin; i < end; i++) {
        if (!(divided[i] < threshold)) {
          if (Float.isNaN(divided[i])) {
            giveUp();
            return;
          }
          keep(outputs[i], divided[i]);
          append(encode(outputs[i], logProbabilities[i]));
        }
      }
    }

    @Override
    public boolean isDone(float bound) {
      return dividedAtMost(bound) < threshold;
    }

    public @Override boolean needsMoreThan(double probability, float bound) {
      return !isDone(bound);
    }
  }

  private static final class Nucleus extends Candidates {
    private final double mass;

    /** The sum from which on undivided probabilities, rounded up, reach the mass. */
    private final double massOfAll;

    /** The last candidate needed, once there are enough; later ones never are. */
    private long last = Long.MAX_VALUE;

    private boolean sorted = true;

    Nucleus(double mass, double logAllowed) {
      super(0, logAllowed);
      this.mass = mass;
      this.massOfAll = mass * Math.exp(logAllowed) * (1 - ROUNDING);
    }

    @Override
    public void offer(
        int[] outputs, float[] logProbabilities, float[] divided, int begin, int end) {
      for (int i = begin; i < end; i++) {
        if (Float.isNaN(logProbabilities[i])) {
          giveUp();
          return;
        }
        long candidate = encode(outputs[i], logProbabilities[i]);
        if (candidate < last) {
          keep(candidate, divided[i]);
          append(candidate);
          sorted = false;
        }
      }
    }

    @Override
    public boolean isDone(float bound) {
      finish();
      return last != Long.MAX_VALUE && logProbability(last) > bound;
    }

    public @Override boolean needsMoreThan(double probability, float bound) {
      return probability < massOfAll;
    }

    @Override
    public void finish() {
      if (sorted) {
        return;
      }
      super.finish();
      sorted = true;
      double sum = 0;
      for (int i = 0; i < size; i++) {
        float logProbability = divided(found[i]);
        sum += Math.exp(((double) logProbability + Math.nextUp(logProbability)) / 2);
        if (sum >= mass) {
          size = i + 1;
          last = found[i];
        }
      }
    }
  }
}
