// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Bags;
import org.blocksparse.internal.schedule.GemmSchedule;

/** Those of the {@link JavaKernels} that look at rows element by element. */
abstract class JavaRowKernels implements Kernels {
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
          put(c, row, q, FloatRange.nearestFinite(value));
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
        nll.putFloat(row, FloatRange.nearestFinite(loss));
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

  @Override
  public void blockSigmoid(
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
        for (int q = 0; q < v; q++) {
          double z = get(c, row, q);
          double value =
              logarithm
                  ? (scale == null ? 0 : scale.getFloat(row)) - softplus(-z)
                  : (scale == null ? 1 : scale.getFloat(row)) * sigmoid(z);
          // 0 where the cast makes -0, so that what is equally likely is so by its bits.
          put(c, row, q, FloatRange.nearestFinite(value) + 0.0f);
        }
        for (int q = v; q < n; q++) {
          put(c, row, q, logarithm ? Float.NEGATIVE_INFINITY : 0);
        }
      }
    }
  }

  @Override
  public void blockBinaryCrossEntropy(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int n,
      Storage valid,
      Bags positives,
      Storage weights,
      Storage loss,
      Rows c) {
    for (int chunk = chunkBegin; chunk < chunkEnd; chunk++) {
      int v = valid == null ? n : valid.getInt(schedule.writeBlock(chunk));
      for (int r = schedule.rowStart(chunk); r < schedule.rowStart(chunk + 1); r++) {
        int row = schedule.row(r);
        double weight = weights == null ? 1 : weights.getFloat(row);
        int next = positives.offsets().getInt(row);
        int end = positives.offsets().getInt(row + 1L);
        double sum = 0;
        for (int q = 0; q < v; q++) {
          double z = get(c, row, q);
          boolean isThere = next < end && positives.indices().getInt(next) == q;
          next += isThere ? 1 : 0;
          sum += softplus(isThere ? -z : z);
          double gradient = isThere ? -sigmoid(-z) : sigmoid(z);
          put(c, row, q, weight == 0 ? 0 : (float) (weight * gradient));
        }
        for (int q = v; q < n; q++) {
          put(c, row, q, 0);
        }
        loss.putFloat(row, FloatRange.nearestFinite(sum));
      }
    }
  }

  private static double sigmoid(double z) {
    return JavaActivations.value(ActivationFunction.SIGMOID, z);
  }

  /** log(1 + exp(z)). */
  private static double softplus(double z) {
    return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
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
      RowSelection rows,
      ActivationInput input,
      float alpha,
      Rows gradA,
      boolean accumulate,
      Rows gradZ,
      Storage gradGate) {
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
            double scaled = alpha * gate * gradient;
            double slope = JavaActivations.slope(function, z);
            put(gradZ, row, q, accumulate, scaled * second * slope);
            if (function.isGated()) {
              put(gradZ, row, input.n() + q, accumulate, scaled * value);
            }
            dot += gradient * (value * second);
          }
          if (gradGate != null) {
            double before = accumulate ? gradGate.getFloat(row) : 0;
            gradGate.putFloat(row, (float) (before + alpha * dot));
          }
        });
  }

  private static void put(Rows rows, int row, int column, boolean accumulate, double value) {
    put(rows, row, column, (float) (accumulate ? get(rows, row, column) + value : value));
  }

  static double get(Rows rows, int row, int column) {
    return rows.storage().getFloat(rows.offset() + row * rows.stride() + column);
  }

  static void put(Rows rows, int row, int column, float value) {
    rows.storage().putFloat(rows.offset() + row * rows.stride() + column, value);
  }
}
