// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.Arrays;

/**
 * The outputs of one row that were found so far and may be in its ranking.
 *
 * <p>Each is one long, its log probability above its number, such that ascending longs are
 * descending ranks: by probability, then by number.
 */
abstract sealed class Candidates {
  long[] found;
  int size;

  private Candidates(int capacity) {
    found = new long[capacity];
  }

  /** The k best. */
  static Candidates best(int k) {
    return new Best(k);
  }

  /** All whose log probability is at least {@code threshold}. */
  static Candidates atLeast(double threshold) {
    return new AtLeast(threshold);
  }

  /** The fewest whose probabilities sum to at least {@code mass}. */
  static Candidates nucleus(double mass) {
    return new Nucleus(mass);
  }

  /** Offers an output. NaN is never taken. */
  abstract void offer(int output, float logProbability);

  /** Whether outputs with log probabilities of at most {@code bound} cannot change the ranking. */
  abstract boolean isDone(float bound);

  /** Drops what is not in the ranking, which then is complete and in order. */
  void finish() {
    Arrays.sort(found, 0, size);
  }

  final int[] outputs() {
    int[] outputs = new int[size];
    for (int i = 0; i < size; i++) {
      outputs[i] = (int) found[i];
    }
    return outputs;
  }

  final float[] logProbabilities() {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) {
      values[i] = logProbability(found[i]);
    }
    return values;
  }

  static long encode(int output, float logProbability) {
    // Log probabilities are never positive: the larger their bits, the less likely they are. 0f is
    // the
    // smallest of all, and -0f must be the same.
    return (long) (Float.floatToRawIntBits(logProbability) & 0x7FFF_FFFF) << 32 | output;
  }

  static float logProbability(long candidate) {
    return -Float.intBitsToFloat((int) (candidate >>> 32));
  }

  final void append(long candidate) {
    if (size == found.length) {
      found = Arrays.copyOf(found, Math.max(16, 2 * size));
    }
    found[size++] = candidate;
  }

  private static final class Best extends Candidates {
    private final int k;

    Best(int k) {
      super(k);
      this.k = k;
    }

    /** {@link #found} is a heap with the worst on top, once it is full. */
    @Override
    void offer(int output, float logProbability) {
      if (!(logProbability <= 0)) {
        return;
      }
      long candidate = encode(output, logProbability);
      if (size < k) {
        append(candidate);
        if (size == k) {
          for (int i = k / 2 - 1; i >= 0; i--) {
            siftDown(found, i);
          }
        }
      } else if (candidate < found[0]) {
        found[0] = candidate;
        siftDown(found, 0);
      }
    }

    private void siftDown(long[] heap, int start) {
      int i = start;
      while (2 * i + 1 < k) {
        int child = 2 * i + 1;
        if (child + 1 < k && heap[child + 1] > heap[child]) {
          child++;
        }
        if (heap[i] >= heap[child]) {
          return;
        }
        long swap = heap[i];
        heap[i] = heap[child];
        heap[child] = swap;
        i = child;
      }
    }

    @Override
    boolean isDone(float bound) {
      // An output that is as likely as the worst one here may still have the smaller number.
      return size == k && logProbability(found[0]) > bound;
    }
  }

  private static final class AtLeast extends Candidates {
    private final double threshold;

    AtLeast(double threshold) {
      super(0);
      this.threshold = threshold;
    }

    @Override
    void offer(int output, float logProbability) {
      if (logProbability >= threshold) {
        append(encode(output, logProbability));
      }
    }

    @Override
    boolean isDone(float bound) {
      return bound < threshold;
    }
  }

  private static final class Nucleus extends Candidates {
    private final double mass;

    Nucleus(double mass) {
      super(0);
      this.mass = mass;
    }

    @Override
    void offer(int output, float logProbability) {
      if (logProbability <= 0) {
        append(encode(output, logProbability));
      }
    }

    /** Whether those that nothing can come before make up the mass. */
    @Override
    boolean isDone(float bound) {
      double sum = 0;
      for (int i = 0; i < size; i++) {
        float logProbability = logProbability(found[i]);
        if (logProbability > bound) {
          sum += Math.exp(logProbability);
        }
      }
      return sum >= mass;
    }

    @Override
    void finish() {
      super.finish();
      double sum = 0;
      for (int i = 0; i < size; i++) {
        sum += Math.exp(logProbability(found[i]));
        if (sum >= mass) {
          size = i + 1;
        }
      }
    }
  }
}
