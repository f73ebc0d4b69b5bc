// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import java.util.Arrays;
import org.blocksparse.internal.memory.Storage;

/** Plain loops with double accumulators: written to be obviously right, not to be fast. */
final class JavaProductKernels implements ProductKernels {
  @Override
  public boolean mayUseBlas(Blocks w) {
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
            sums[r][q] = c.get(schedule.row(rowStart + r), columnBegin + q);
          } else if (bias != null) {
            sums[r][q] = bias.get(block, columnBegin + q);
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
            double x = a.get(schedule.pairRead(pair), p);
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
          c.put(schedule.row(rowStart + r), columnBegin + q, (float) sums[r][q]);
        }
      }
    }
  }

  @Override
  public void roundRows(int firstRow, int endRow, Rows a, RoundedRows rounded) {
    float[] row = new float[rounded.size()];
    for (int r = firstRow; r < endRow; r++) {
      a.get(r, 0, row);
      round(row, 0, rounded, r);
    }
  }

  /** Rounds columns of a row, from that of a group on. */
  private static void round(float[] columns, int firstColumn, RoundedRows rounded, int row) {
    byte[] codes = new byte[Panels.GROUP_ROWS];
    for (int first = 0; first < columns.length; first += Panels.GROUP_ROWS) {
      float[] group = Arrays.copyOfRange(columns, first, first + Panels.GROUP_ROWS); // with zeros
      float largest = 0x1p-119f;
      for (float x : group) {
        largest = Math.max(largest, Math.abs(x)); // NaN, if one is
      }
      float factor = 127 / largest;
      boolean finite = Float.isFinite(largest);
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) (finite ? Math.rint(group[i] * factor) : 0);
      }
      rounded.put(
          row,
          (firstColumn + first) / Panels.GROUP_ROWS,
          codes,
          finite ? largest / 127 : Float.NaN);
    }
  }

  /** In float, and in the order of the native kernels: the bits are theirs. */
  @Override
  public void packedGemm(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      RoundedRows rounded,
      Blocks w,
      Rows bias,
      boolean accumulate,
      Rows c) {
    for (int chunk = chunkBegin; chunk < chunkEnd; chunk++) {
      int block = schedule.writeBlock(chunk);
      int rowStart = schedule.rowStart(chunk);
      for (int r = rowStart; r < schedule.rowStart(chunk + 1) && !accumulate; r++) {
        for (int q = columnBegin; q < columnEnd; q++) {
          c.put(schedule.row(r), q, bias == null ? 0 : bias.get(block, q));
        }
      }
      int segmentEnd = schedule.segmentStart(chunk + 1);
      for (int segment = schedule.segmentStart(chunk); segment < segmentEnd; segment++) {
        int readBlock = schedule.readBlock(segment);
        for (int q = columnBegin; q < columnEnd; q++) {
          int pairEnd = schedule.pairStart(segment + 1);
          for (int pair = schedule.pairStart(segment); pair < pairEnd; pair++) {
            int row = schedule.row(rowStart + schedule.pairWrite(pair));
            float product = dot(rounded, schedule.pairRead(pair), w, readBlock, block, q);
            c.put(row, q, c.get(row, q) + product);
          }
        }
      }
    }
  }

  @Override
  public void packedActivation(
      GemmSchedule schedule,
      int chunkBegin,
      int chunkEnd,
      int columnBegin,
      int columnEnd,
      RoundedRows rounded,
      Blocks w,
      Rows bias,
      ActivationFunction function,
      Storage gate,
      RoundedRows to) {
    for (int chunk = chunkBegin; chunk < chunkEnd; chunk++) {
      int rowStart = schedule.rowStart(chunk);
      for (int r = rowStart; r < schedule.rowStart(chunk + 1); r++) {
        int row = schedule.row(r);
        float factor = gate == null ? 1 : gate.getFloat(row);
        float[] a = new float[columnEnd - columnBegin];
        for (int q = columnBegin; q < columnEnd; q++) {
          float z = sum(schedule, chunk, r - rowStart, rounded, w, bias, q);
          double second = 1;
          if (function.isGated()) {
            float last = sum(schedule, chunk, r - rowStart, rounded, w, bias, to.size() + q);
            second = JavaActivations.second(function, last);
          }
          double value = JavaActivations.value(function, z);
          a[q - columnBegin] = (float) (factor * (value * second));
        }
        round(a, columnBegin, to, row);
      }
    }
  }

  /** Column q of the row at a position of a chunk. */
  private static float sum(
      GemmSchedule schedule,
      int chunk,
      int position,
      RoundedRows rounded,
      Blocks w,
      Rows bias,
      int q) {
    int block = schedule.writeBlock(chunk);
    float sum = bias == null ? 0 : bias.get(block, q);
    int segmentEnd = schedule.segmentStart(chunk + 1);
    for (int segment = schedule.segmentStart(chunk); segment < segmentEnd; segment++) {
      int pairEnd = schedule.pairStart(segment + 1);
      for (int pair = schedule.pairStart(segment); pair < pairEnd; pair++) {
        if (schedule.pairWrite(pair) == position) {
          sum += dot(rounded, schedule.pairRead(pair), w, schedule.readBlock(segment), block, q);
        }
      }
    }
    return sum;
  }

  /** A row times column q of a block. */
  private static float dot(RoundedRows a, int row, Blocks w, int i, int j, int q) {
    Panels panels = w.panels();
    long block = w.number(i, j);
    float sum = 0;
    for (int g = 0; g < a.groups(); g++) {
      int first = g * Panels.GROUP_ROWS;
      int whole = 0;
      for (int p = first; p < Math.min(first + Panels.GROUP_ROWS, a.size()); p++) {
        whole += a.code(row, p) * panels.whole(w.storage(), block, p, q);
      }
      float scale = a.scale(row, g) * panels.scale(w.storage(), block, first, q);
      sum = Math.fma((float) whole, scale, sum);
    }
    return w.scales() == null ? sum : sum * w.scales().get(i, j, q);
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
          double factor = x.get(schedule.pairX(pair), p);
          for (int q = 0; q < o.outSize(); q++) {
            sum[q] += factor * y.get(schedule.pairY(pair), q);
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
          sum[q] += y.get(schedule.row(r), q);
        }
      }
      int block = schedule.writeBlock(chunk);
      for (int q = 0; q < n; q++) {
        o.put(block, q, (float) (o.get(block, q) + alpha * sum[q]));
      }
    }
  }
}
