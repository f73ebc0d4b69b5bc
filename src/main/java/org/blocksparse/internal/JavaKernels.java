// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import java.util.Arrays;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Bags;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;

/**
 * Plain loops with double accumulators: the reference that the native kernels are tested against,
 * and what runs where there is no native library. Written to be obviously right, not to be fast.
 */
public final class JavaKernels extends JavaRowKernels {
  /** Eight times the root of the largest float; see {@code optimizer_steps.inl}. */
  private static final double LARGEST_MEAN = 0x1p67;

  /** The root of what a square loses at most where floats end. */
  private static final float LEAST_EPSILON = 0x1p-75f;

  @Override
  public String instructionSet() {
    return "java";
  }

  @Override
  public String path() {
    return "plain loops";
  }

  @Override
  public boolean mayUseBlas() {
    return false;
  }

  @Override
  public void blockGemm(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      Rows a,
      boolean roundsA,
      Blocks w,
      Rows bias,
      boolean accumulate,
      Rows c) {
    int width = columnEnd - columnBegin;
    double[] wRow = new double[width];
    for (int chunk = chunkBegin; chunk < chunkEnd; chunk++) {
      int block = schedule.writeBlock(chunk);
      int rowStart = schedule.rowStart(chunk);
      int rows = schedule.rowStart(chunk + 1) - rowStart;
      double[][] sums = new double[rows][width];
      for (int r = 0; r < rows; r++) {
        for (int q = 0; q < width; q++) {
          if (accumulate) {
            sums[r][q] = get(c, schedule.row(rowStart + r), columnBegin + q);
          } else if (bias != null) {
            sums[r][q] = get(bias, block, columnBegin + q);
          }
        }
      }
      int segmentEnd = schedule.segmentStart(chunk + 1);
      for (int segment = schedule.segmentStart(chunk); segment < segmentEnd; segment++) {
        int readBlock = schedule.readBlock(segment);
        for (int p = 0; p < w.inSize(); p++) {
          for (int q = 0; q < width; q++) {
            wRow[q] = w.get(readBlock, block, p, columnBegin + q);
          }
          int pairEnd = schedule.pairStart(segment + 1);
          for (int pair = schedule.pairStart(segment); pair < pairEnd; pair++) {
            double x = get(a, schedule.pairRead(pair), p);
            double factor = roundsA ? roundedToBfloat16((float) x) : x;
            double[] sum = sums[schedule.pairWrite(pair)];
            for (int q = 0; q < width; q++) {
              sum[q] += factor * wRow[q];
            }
          }
        }
      }
      for (int r = 0; r < rows; r++) {
        for (int q = 0; q < width; q++) {
          put(c, schedule.row(rowStart + r), columnBegin + q, (float) sums[r][q]);
        }
      }
    }
  }

  private static float roundedToBfloat16(float x) {
    WeightType type = WeightType.BFLOAT16;
    return Float.isNaN(x) ? x : type.widen(type.narrow(x));
  }

  @Override
  public void blockOuter(
      OuterSchedule schedule,
      int blockBegin,
      int blockEnd,
      int rowBegin,
      int rowEnd,
      float alpha,
      Rows x,
      Rows y,
      boolean accumulate,
      Blocks o) {
    double[] sum = new double[o.outSize()];
    for (int block = blockBegin; block < blockEnd; block++) {
      int i = schedule.xBlock(block);
      int j = schedule.yBlock(block);
      for (int p = rowBegin; p < rowEnd; p++) {
        Arrays.fill(sum, 0);
        for (int pair = schedule.pairStart(block); pair < schedule.pairStart(block + 1); pair++) {
          double factor = get(x, schedule.pairX(pair), p);
          for (int q = 0; q < o.outSize(); q++) {
            sum[q] += factor * get(y, schedule.pairY(pair), q);
          }
        }
        for (int q = 0; q < o.outSize(); q++) {
          long at = o.index(i, j, p, q);
          double before = accumulate ? o.storage().getFloat(at) : 0;
          o.storage().putFloat(at, (float) (before + alpha * sum[q]));
        }
      }
    }
  }

  @Override
  public void blockSum(
      GemmSchedule schedule, int chunkBegin, int chunkEnd, int n, float alpha, Rows y, Rows o) {
    double[] sum = new double[n];
    for (int chunk = chunkBegin; chunk < chunkEnd; chunk++) {
      Arrays.fill(sum, 0);
      for (int r = schedule.rowStart(chunk); r < schedule.rowStart(chunk + 1); r++) {
        for (int q = 0; q < n; q++) {
          sum[q] += get(y, schedule.row(r), q);
        }
      }
      int block = schedule.writeBlock(chunk);
      for (int q = 0; q < n; q++) {
        put(o, block, q, (float) (get(o, block, q) + alpha * sum[q]));
      }
    }
  }

  @Override
  public float norm(long count, Storage x) {
    double squares = 0;
    for (long i = 0; i < count; i++) {
      squares += (double) x.getFloat(i) * x.getFloat(i);
    }
    return FloatRange.nearestFinite(Math.sqrt(squares));
  }

  @Override
  public void sgd(
      long count, float rate, float scale, float decay, Storage g, Storage w, long offset) {
    for (long i = 0; i < count; i++) {
      double before = w.getFloat(offset + i);
      double gradient = (double) scale * g.getFloat(i) + decay * before;
      w.putFloat(offset + i, (float) (before - rate * gradient));
    }
  }

  @Override
  public void adagrad(
      long count,
      float rate,
      float scale,
      float decay,
      float epsilon,
      Storage g,
      Storage s,
      Storage w,
      long offset) {
    for (long i = 0; i < count; i++) {
      double before = w.getFloat(offset + i);
      double gradient = (double) scale * g.getFloat(i) + decay * before;
      double squares = s.getFloat(offset + i) + gradient * gradient;
      s.putFloat(offset + i, finiteSquares(squares));
      w.putFloat(offset + i, (float) (before - rate * gradient / (Math.sqrt(squares) + epsilon)));
    }
  }

  /** What is kept of squares: if it became infinite, its element would never move again. */
  private static float finiteSquares(double squares) {
    return (float) (squares > Float.MAX_VALUE ? Float.MAX_VALUE : squares);
  }

  /** What is kept of means: more would be followed long after what is kept of squares. */
  private static float boundedMean(double mean) {
    return (float) Math.max(-LARGEST_MEAN, Math.min(LARGEST_MEAN, mean));
  }

  @Override
  public void adam(
      long count,
      float rate,
      float scale,
      float decay,
      float beta1,
      float beta2,
      float epsilon,
      long step,
      Storage g,
      Storage m,
      Storage v,
      Storage w,
      long offset) {
    double correction1 = 1 - Math.pow(beta1, (double) step);
    double correction2 = 1 - Math.pow(beta2, (double) step);
    double least = Math.max(epsilon, LEAST_EPSILON);
    for (long i = 0; i < count; i++) {
      double before = w.getFloat(offset + i);
      double gradient = (double) scale * g.getFloat(i) + decay * before;
      double first = beta1 * (double) m.getFloat(offset + i) + (1 - (double) beta1) * gradient;
      double second =
          beta2 * (double) v.getFloat(offset + i) + (1 - (double) beta2) * gradient * gradient;
      m.putFloat(offset + i, boundedMean(first));
      v.putFloat(offset + i, finiteSquares(second));
      w.putFloat(
          offset + i,
          (float)
              (before - rate * (first / correction1) / (Math.sqrt(second / correction2) + least)));
    }
  }

  @Override
  public void bagSum(
      Bags.Reduction reduction, Bags bags, int begin, int end, int n, TableRows a, Rows c) {
    for (int bag = begin; bag < end; bag++) {
      double[] sum = sum(bags, bag, n, a);
      double factor = reduction.factor(size(bags, bag));
      for (int q = 0; q < n; q++) {
        put(c, bag, q, (float) (factor * sum[q]));
      }
    }
  }

  private static int size(Bags bags, int bag) {
    return bags.offsets().getInt(bag + 1) - bags.offsets().getInt(bag);
  }

  private static double[] sum(Bags bags, int bag, int n, TableRows a) {
    double[] sum = new double[n];
    for (int e = bags.offsets().getInt(bag); e < bags.offsets().getInt(bag + 1); e++) {
      for (int q = 0; q < n; q++) {
        sum[q] += (double) bags.value(e) * a.get(bags.indices().getInt(e), q);
      }
    }
    return sum;
  }

  @Override
  public void bagDot(
      Bags.Reduction reduction,
      Bags bags,
      int begin,
      int end,
      int n,
      TableRows a,
      Rows y,
      Storage dots) {
    for (int bag = begin; bag < end; bag++) {
      double factor = reduction.factor(size(bags, bag));
      for (int e = bags.offsets().getInt(bag); e < bags.offsets().getInt(bag + 1); e++) {
        double dot = 0;
        for (int q = 0; q < n; q++) {
          dot += a.get(bags.indices().getInt(e), q) * get(y, bag, q);
        }
        dots.putFloat(e, (float) (factor * dot));
      }
    }
  }

  /** A step of the elements from {@code offset} on, whose gradient is in a storage. */
  private interface RowStep {
    void step(int bag, long offset, float scale, Storage gradient);
  }

  private void forEachTarget(
      Bags bags, int begin, int end, int n, Rows a, Slice targets, float maxNorm, RowStep step) {
    TableRows summands = new TableRows(a);
    try (Scratch scratch = Scratch.borrow(n)) {
      Storage gradient = scratch.storage();
      for (int bag = begin; bag < end; bag++) {
        double[] sum = sum(bags, bag, n, summands);
        for (int q = 0; q < n; q++) {
          gradient.putFloat(q, (float) sum[q]);
        }
        float norm = norm(n, gradient);
        float scale = norm > maxNorm ? maxNorm / norm : 1;
        step.step(bag, (long) targets.getInt(bag) * n, scale, gradient);
      }
    }
  }

  @Override
  public void bagSgd(
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      float rate,
      float decay,
      float maxNorm,
      Storage w) {
    forEachTarget(
        bags,
        begin,
        end,
        n,
        a,
        targets,
        maxNorm,
        (bag, offset, scale, gradient) -> sgd(n, rate, scale, decay, gradient, w, offset));
  }

  @Override
  public void bagAdagrad(
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      float rate,
      float decay,
      float maxNorm,
      float epsilon,
      Storage s,
      Storage w) {
    forEachTarget(
        bags,
        begin,
        end,
        n,
        a,
        targets,
        maxNorm,
        (bag, offset, scale, gradient) ->
            adagrad(n, rate, scale, decay, epsilon, gradient, s, w, offset));
  }

  @Override
  public void bagAdam(
      Bags bags,
      int begin,
      int end,
      int n,
      Rows a,
      Slice targets,
      Slice steps,
      float rate,
      float decay,
      float maxNorm,
      float beta1,
      float beta2,
      float epsilon,
      Storage m,
      Storage v,
      Storage w) {
    forEachTarget(
        bags,
        begin,
        end,
        n,
        a,
        targets,
        maxNorm,
        (bag, offset, scale, gradient) ->
            adam(
                n,
                rate,
                scale,
                decay,
                beta1,
                beta2,
                epsilon,
                steps.getInt(bag),
                gradient,
                m,
                v,
                w,
                offset));
  }
}
