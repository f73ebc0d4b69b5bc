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
public final class JavaKernels implements Kernels {
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
            wRow[q] = w.storage().getFloat(w.index(readBlock, block, p, columnBegin + q));
          }
          int pairEnd = schedule.pairStart(segment + 1);
          for (int pair = schedule.pairStart(segment); pair < pairEnd; pair++) {
            double factor = get(a, schedule.pairRead(pair), p);
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
  public void blockSoftmax(
      boolean logarithm,
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Storage scale,
      Rows c) {
    for (int chunk = chunkBegin; chunk < chunkEnd; chunk++) {
      int v = valid == null ? n : valid.getInt(schedule.writeBlock(chunk));
      for (int r = schedule.rowStart(chunk); r < schedule.rowStart(chunk + 1); r++) {
        int row = schedule.row(r);
        double max = max(c, row, v);
        double sum = sumOfExponentials(c, row, v, max);
        double logSum = Math.log(sum);
        for (int q = 0; q < v; q++) {
          double shifted = get(c, row, q) - max;
          double value =
              logarithm
                  ? (scale == null ? 0 : scale.getFloat(row)) + (shifted - logSum)
                  : (scale == null ? 1 : scale.getFloat(row)) * (Math.exp(shifted) / sum);
          put(c, row, q, nearestFinite(value));
        }
        for (int q = v; q < n; q++) {
          put(c, row, q, logarithm ? Float.NEGATIVE_INFINITY : 0);
        }
      }
    }
  }

  @Override
  public void blockCrossEntropy(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Storage target,
      Storage weights,
      float smoothing,
      Storage prior,
      Storage nll,
      Rows c) {
    for (int chunk = chunkBegin; chunk < chunkEnd; chunk++) {
      int v = valid == null ? n : valid.getInt(schedule.writeBlock(chunk));
      for (int r = schedule.rowStart(chunk); r < schedule.rowStart(chunk + 1); r++) {
        int row = schedule.row(r);
        double max = max(c, row, v);
        double sum = sumOfExponentials(c, row, v, max);
        double logSum = Math.log(sum);
        double weight = weights == null ? 1 : weights.getFloat(row);
        double loss = 0;
        for (int q = 0; q < v; q++) {
          double shifted = get(c, row, q) - max;
          double wanted = q == target.getInt(row) ? 1 - (double) smoothing : 0;
          if (smoothing != 0) {
            wanted += smoothing * (prior == null ? 1.0 / v : prior.getFloat(q));
          }
          if (wanted != 0) {
            loss += wanted * (logSum - shifted);
          }
          double gradient = weight == 0 ? 0 : weight * (Math.exp(shifted) / sum - wanted);
          put(c, row, q, (float) gradient);
        }
        for (int q = v; q < n; q++) {
          put(c, row, q, 0);
        }
        nll.putFloat(row, nearestFinite(loss));
      }
    }
  }

  private static double max(Rows c, int row, int count) {
    double max = Double.NEGATIVE_INFINITY;
    for (int q = 0; q < count; q++) {
      max = Math.max(max, get(c, row, q));
    }
    return max;
  }

  private static double sumOfExponentials(Rows c, int row, int count, double max) {
    double sum = 0;
    for (int q = 0; q < count; q++) {
      sum += Math.exp(get(c, row, q) - max);
    }
    return sum;
  }

  private interface RowBody {
    void run(int row, double gate);
  }

  private static void forEachRow(RowSelection rows, ActivationInput input, RowBody body) {
    GemmSchedule schedule = rows.schedule();
    int first = schedule == null ? rows.begin() : schedule.rowStart(rows.begin());
    int last = schedule == null ? rows.end() : schedule.rowStart(rows.end());
    for (int r = first; r < last; r++) {
      int row = schedule == null ? r : schedule.row(r);
      body.run(row, input.gate() == null ? 1 : input.gate().getFloat(row));
    }
  }

  /** What f of the first half is multiplied by, apart from the gate. */
  private static double secondHalf(ActivationInput input, int row, int column) {
    return input.function().isGated() ? get(input.z(), row, input.n() + column) : 1;
  }

  @Override
  public void activation(RowSelection rows, ActivationInput input, Rows a) {
    forEachRow(
        rows,
        input,
        (row, gate) -> {
          for (int q = rows.columnBegin(); q < rows.columnEnd(); q++) {
            double value = JavaActivations.value(input.function(), get(input.z(), row, q));
            put(a, row, q, (float) (gate * (value * secondHalf(input, row, q))));
          }
        });
  }

  @Override
  public void activationGradient(
      RowSelection rows, ActivationInput input, Rows gradA, Rows gradZ, Storage gradGate) {
    ActivationFunction function = input.function();
    forEachRow(
        rows,
        input,
        (row, gate) -> {
          double dot = 0;
          for (int q = rows.columnBegin(); q < rows.columnEnd(); q++) {
            double z = get(input.z(), row, q);
            double second = secondHalf(input, row, q);
            double value = JavaActivations.value(function, z);
            double gradient = get(gradA, row, q);
            double scaled = gate * gradient;
            put(gradZ, row, q, (float) (scaled * second * JavaActivations.slope(function, z)));
            if (function.isGated()) {
              put(gradZ, row, input.n() + q, (float) (scaled * value));
            }
            dot += gradient * (value * second);
          }
          if (gradGate != null) {
            gradGate.putFloat(row, (float) dot);
          }
        });
  }

  @Override
  public float norm(long count, Storage x) {
    double squares = 0;
    for (long i = 0; i < count; i++) {
      squares += (double) x.getFloat(i) * x.getFloat(i);
    }
    return nearestFinite(Math.sqrt(squares));
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
      s.putFloat(offset + i, (float) squares);
      w.putFloat(offset + i, (float) (before - rate * gradient / (Math.sqrt(squares) + epsilon)));
    }
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
    for (long i = 0; i < count; i++) {
      double before = w.getFloat(offset + i);
      double gradient = (double) scale * g.getFloat(i) + decay * before;
      double first = beta1 * (double) m.getFloat(offset + i) + (1 - (double) beta1) * gradient;
      double second =
          beta2 * (double) v.getFloat(offset + i) + (1 - (double) beta2) * gradient * gradient;
      m.putFloat(offset + i, (float) first);
      v.putFloat(offset + i, (float) second);
      w.putFloat(
          offset + i,
          (float)
              (before
                  - rate * (first / correction1) / (Math.sqrt(second / correction2) + epsilon)));
    }
  }

  /** As a float that is finite if the value is, the largest or lowest where it is beyond those. */
  private static float nearestFinite(double value) {
    return Double.isInfinite(value)
        ? (float) value
        : (float) Math.max(-Float.MAX_VALUE, Math.min(value, Float.MAX_VALUE));
  }

  @Override
  public void bagSum(
      Bags.Reduction reduction, Bags bags, int begin, int end, int n, Rows a, Rows c) {
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

  private static double[] sum(Bags bags, int bag, int n, Rows a) {
    double[] sum = new double[n];
    for (int e = bags.offsets().getInt(bag); e < bags.offsets().getInt(bag + 1); e++) {
      for (int q = 0; q < n; q++) {
        sum[q] += (double) bags.value(e) * get(a, bags.indices().getInt(e), q);
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
      Rows a,
      Rows y,
      Storage dots) {
    for (int bag = begin; bag < end; bag++) {
      double factor = reduction.factor(size(bags, bag));
      for (int e = bags.offsets().getInt(bag); e < bags.offsets().getInt(bag + 1); e++) {
        double dot = 0;
        for (int q = 0; q < n; q++) {
          dot += get(a, bags.indices().getInt(e), q) * get(y, bag, q);
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
    try (Scratch scratch = Scratch.borrow(n)) {
      Storage gradient = scratch.storage();
      for (int bag = begin; bag < end; bag++) {
        double[] sum = sum(bags, bag, n, a);
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

  private static double get(Rows rows, int row, int column) {
    return rows.storage().getFloat(rows.offset() + row * rows.stride() + column);
  }

  private static void put(Rows rows, int row, int column, float value) {
    rows.storage().putFloat(rows.offset() + row * rows.stride() + column, value);
  }
}
