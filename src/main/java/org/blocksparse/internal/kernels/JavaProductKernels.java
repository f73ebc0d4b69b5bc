// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import java.util.Arrays;
import org.blocksparse.Activation;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.RowFormat;
import org.blocksparse.internal.weights.WeightType;

/** Plain loops with double accumulators: written to be obviously right, not to be fast. */
final class JavaProductKernels implements ProductKernels {
  @Override
  public boolean mayUseBlas(Blocks w) {
    return false;
  }

  @Override
  public void blockGemm(BlockProduct product, int begin, int end, int columnBegin, int columnEnd) {
    GemmSchedule schedule = product.schedule();
    Rows a = product.a();
    Blocks w = product.w();
    Sums c = product.c();
    int width = columnEnd - columnBegin;
    double[] wRow = new double[width];
    for (int chunk = begin; chunk < end; chunk++) {
      int block = schedule.writeBlock(chunk);
      int rowStart = schedule.rowStart(chunk);
      int rows = schedule.rowStart(chunk + 1) - rowStart;
      double[][] sums = new double[rows][width];
      for (int r = 0; r < rows; r++) {
        for (int q = 0; q < width; q++) {
          sums[r][q] = c.start(block, schedule.row(rowStart + r), columnBegin + q);
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
            double factor =
                product.format() == RowFormat.BFLOAT16 ? roundedToBfloat16((float) x) : x;
            double[] sum = sums[schedule.pairWrite(pair)];
            for (int q = 0; q < width; q++) {
              sum[q] += factor * wRow[q];
            }
          }
        }
      }
      for (int r = 0; r < rows; r++) {
        for (int q = 0; q < width; q++) {
          c.rows().put(schedule.row(rowStart + r), columnBegin + q, (float) sums[r][q]);
        }
      }
    }
  }

  @Override
  public void roundRows(int begin, int end, Rows a, RoundedRows rounded) {
    float[] row = new float[rounded.size()];
    for (int r = begin; r < end; r++) {
      a.get(r, 0, row);
      if (rounded.format().isWhole()) {
        roundWhole(row, rounded, r);
      } else {
        roundPart(row, 0, rounded, r);
      }
    }
  }

  /** Rounds columns of a row, from the first column of a group on. */
  private static void roundPart(float[] columns, int firstColumn, RoundedRows rounded, int row) {
    if (rounded.format() == RowFormat.BFLOAT16) {
      byte[] numbers = new byte[2 * Panels.groups(columns.length) * Panels.GROUP_ROWS];
      for (int i = 0; i < columns.length; i++) {
        short bits = bfloat16(columns[i]);
        numbers[2 * i] = (byte) bits;
        numbers[2 * i + 1] = (byte) (bits >> 8);
      }
      rounded.putNumbers(row, firstColumn, numbers);
    } else {
      roundGroups(columns, firstColumn, rounded, row);
    }
  }

  private static void roundGroups(float[] columns, int firstColumn, RoundedRows rounded, int row) {
    byte[] codes = new byte[Panels.GROUP_ROWS];
    for (int first = 0; first < columns.length; first += Panels.GROUP_ROWS) {
      float[] group = Arrays.copyOfRange(columns, first, first + Panels.GROUP_ROWS); // padded
      float largest = largest(group, 0x1p-119f);
      float factor = 127 / largest;
      boolean finite = Float.isFinite(largest);
      for (int i = 0; i < codes.length; i++) {
        codes[i] = (byte) (finite ? Math.rint(group[i] * factor) : 0);
      }
      int column = firstColumn + first;
      rounded.putCodes(0, row, column, codes);
      rounded.putScale(row, column / Panels.GROUP_ROWS, finite ? largest / 127 : Float.NaN);
    }
  }

  private static void roundWhole(float[] columns, RoundedRows rounded, int row) {
    boolean twoBytes = rounded.format() == RowFormat.TWO_BYTES;
    float top = twoBytes ? 32384 : 127;
    float largest = largest(columns, twoBytes ? 0x1p-111f : 0x1p-119f);
    boolean finite = Float.isFinite(largest);
    float factor = finite ? top / largest : 0;
    byte[] high = new byte[columns.length];
    byte[] low = new byte[columns.length];
    for (int i = 0; i < columns.length && finite; i++) {
      float y = columns[i] * factor;
      float units = (float) Math.rint(twoBytes ? y * (1 / 254f) : y);
      high[i] = (byte) units;
      low[i] = (byte) Math.rint(y - 254 * units);
    }
    rounded.putCodes(0, row, 0, high);
    if (twoBytes) {
      rounded.putCodes(1, row, 0, low);
    }
    rounded.putScale(row, 0, finite ? largest / top : Float.NaN);
  }

  /** Returns the largest magnitude, at least {@code least}; NaN if a number is. */
  private static float largest(float[] numbers, float least) {
    float largest = least;
    for (float x : numbers) {
      largest = Math.max(largest, Math.abs(x));
    }
    return largest;
  }

  /**
   * AMX reads rows in order, too, but few machines have it: tests compare such rows with others.
   */
  @Override
  public boolean readsRowsInOrder() {
    return true;
  }

  /** Sums are in float and in the order of the native kernels, so the bits are theirs. */
  @Override
  public void packedGemm(
      PackedProduct product, int begin, int end, int columnBegin, int columnEnd) {
    GemmSchedule schedule = product.schedule();
    Rows c = product.c().rows();
    for (int chunk = begin; chunk < end; chunk++) {
      int block = schedule.writeBlock(chunk);
      int rowStart = schedule.rowStart(chunk);
      for (int r = rowStart; r < schedule.rowStart(chunk + 1); r++) {
        for (int q = columnBegin; q < columnEnd; q++) {
          c.put(schedule.row(r), q, product.c().start(block, schedule.row(r), q));
        }
      }
      int segmentEnd = schedule.segmentStart(chunk + 1);
      for (int segment = schedule.segmentStart(chunk); segment < segmentEnd; segment++) {
        int readBlock = schedule.readBlock(segment);
        for (int q = columnBegin; q < columnEnd; q++) {
          int pairEnd = schedule.pairStart(segment + 1);
          for (int pair = schedule.pairStart(segment); pair < pairEnd; pair++) {
            int row = schedule.row(rowStart + schedule.pairWrite(pair));
            float sum = c.get(row, q);
            int read = schedule.pairRead(pair);
            c.put(row, q, plusDot(sum, product.a(), read, product.w(), readBlock, block, q));
          }
        }
      }
    }
  }

  @Override
  public void packedActivation(
      PackedActivation activation, int begin, int end, int columnBegin, int columnEnd) {
    GemmSchedule schedule = activation.schedule();
    Activation function = activation.function();
    for (int chunk = begin; chunk < end; chunk++) {
      int rowStart = schedule.rowStart(chunk);
      for (int r = rowStart; r < schedule.rowStart(chunk + 1); r++) {
        int row = schedule.row(r);
        float factor = activation.gate() == null ? 1 : activation.gate().getFloat(row);
        float[] a = new float[columnEnd - columnBegin];
        for (int q = columnBegin; q < columnEnd; q++) {
          float z = sum(activation, chunk, r - rowStart, q);
          double second = 1;
          if (function.isGated()) {
            float last = sum(activation, chunk, r - rowStart, activation.to().size() + q);
            second = JavaActivations.second(function, last);
          }
          double value = JavaActivations.value(function, z);
          a[q - columnBegin] = (float) (factor * (value * second));
        }
        RoundedRows to = activation.to();
        if (to.format() == RowFormat.FLOATS) {
          to.storage().putFloats((long) row * to.size() + columnBegin, a, 0, a.length);
        } else {
          roundPart(a, columnBegin, to, row);
        }
      }
    }
  }

  /** Returns column q of the row at a position of a chunk. */
  private static float sum(PackedActivation of, int chunk, int position, int q) {
    GemmSchedule schedule = of.schedule();
    int block = schedule.writeBlock(chunk);
    float sum = of.bias() == null ? 0 : of.bias().get(block, q);
    int segmentEnd = schedule.segmentStart(chunk + 1);
    for (int segment = schedule.segmentStart(chunk); segment < segmentEnd; segment++) {
      int pairEnd = schedule.pairStart(segment + 1);
      for (int pair = schedule.pairStart(segment); pair < pairEnd; pair++) {
        if (schedule.pairWrite(pair) == position) {
          int readBlock = schedule.readBlock(segment);
          sum = plusDot(sum, of.a(), schedule.pairRead(pair), of.w(), readBlock, block, q);
        }
      }
    }
    return sum;
  }

  /** Returns a sum and a row times column q of a block. */
  private static float plusDot(float sum, RoundedRows a, int row, Blocks w, int i, int j, int q) {
    return switch (a.format()) {
      case BFLOAT16 -> sum + dotOfPairs(a, row, w, i, j, q);
      case GROUPS -> sum + dotOfGroups(a, row, w, i, j, q);
      default -> plusWholeDot(sum, a, row, w, i, j, q);
    };
  }

  /** Adds as instructions for bfloat16 do: the second number of a pair first. */
  private static float dotOfPairs(RoundedRows a, int row, Blocks w, int i, int j, int q) {
    float sum = 0;
    for (int pair = 0; pair < a.size(); pair += 2) {
      for (int p = Math.min(pair + 1, a.size() - 1); p >= pair; p--) {
        sum = Math.fma(a.number(row, p), w.get(i, j, p, q), sum);
      }
    }
    return sum;
  }

  private static float dotOfGroups(RoundedRows a, int row, Blocks w, int i, int j, int q) {
    Panels panels = w.panels();
    long block = w.number(i, j);
    float sum = 0;
    int part = panels.scaleRows();
    for (int first = 0; first < a.groups() * Panels.GROUP_ROWS; first += part) {
      int whole = 0;
      int codes = 0;
      for (int p = first; p < Math.min(first + part, a.size()); p++) {
        whole += a.code(0, row, p) * panels.whole(w.storage(), block, p, q);
        codes += a.code(0, row, p);
      }
      float ofRow = a.scale(row, first / Panels.GROUP_ROWS);
      float scale = ofRow * panels.scale(w.storage(), block, first, q);
      sum = Math.fma((float) whole, scale, sum);
      if (panels.hasMinimum()) {
        float ofCodes = ofRow * panels.minimum(w.storage(), block, first, q);
        sum = Math.fma((float) -codes, ofCodes, sum);
      }
    }
    return sum;
  }

  /** Adds piece by piece: within one, sums are whole numbers of 32 bits. */
  private static float plusWholeDot(
      float sum, RoundedRows a, int row, Blocks w, int i, int j, int q) {
    Panels panels = w.panels();
    long block = w.number(i, j);
    int piece = RoundedRows.PIECE_GROUPS * Panels.GROUP_ROWS;
    for (int first = 0; first < a.size(); first = Engine.bandEnd(first, piece, a.size())) {
      int high = 0;
      int low = 0;
      for (int p = first; p < Engine.bandEnd(first, piece, a.size()); p++) {
        int weight = panels.whole(w.storage(), block, p, q);
        high += a.code(0, row, p) * weight;
        low += a.format() == RowFormat.TWO_BYTES ? a.code(1, row, p) * weight : 0;
      }
      float product = a.format() == RowFormat.TWO_BYTES ? Math.fma(high, 254f, low) : high;
      sum += product * a.scale(row, 0) * w.scales().get(i, j, q);
    }
    return sum;
  }

  private static short bfloat16(float x) {
    return Float.isNaN(x) ? (short) 0x7fc0 : WeightType.BFLOAT16.narrow(x);
  }

  private static float roundedToBfloat16(float x) {
    return WeightType.BFLOAT16.widen(bfloat16(x));
  }

  @Override
  public void blockOuter(OuterProduct product, int begin, int end, int rowBegin, int rowEnd) {
    OuterSchedule schedule = product.schedule();
    Blocks o = product.o();
    double[] sum = new double[o.outSize()];
    for (int block = begin; block < end; block++) {
      int i = schedule.xBlock(block);
      int j = schedule.yBlock(block);
      for (int p = rowBegin; p < rowEnd; p++) {
        Arrays.fill(sum, 0);
        for (int pair = schedule.pairStart(block); pair < schedule.pairStart(block + 1); pair++) {
          double factor = product.x().get(schedule.pairX(pair), p);
          for (int q = 0; q < o.outSize(); q++) {
            sum[q] += factor * product.y().get(schedule.pairY(pair), q);
          }
        }
        for (int q = 0; q < o.outSize(); q++) {
          long at = o.index(i, j, p, q);
          double before = product.accumulate() ? o.storage().getFloat(at) : 0;
          o.storage().putFloat(at, (float) (before + product.alpha() * sum[q]));
        }
      }
    }
  }

  @Override
  public void blockSum(RowSums sums, int begin, int end) {
    GemmSchedule schedule = sums.schedule();
    double[] sum = new double[sums.n()];
    for (int chunk = begin; chunk < end; chunk++) {
      Arrays.fill(sum, 0);
      for (int r = schedule.rowStart(chunk); r < schedule.rowStart(chunk + 1); r++) {
        for (int q = 0; q < sums.n(); q++) {
          sum[q] += sums.y().get(schedule.row(r), q);
        }
      }
      int block = schedule.writeBlock(chunk);
      for (int q = 0; q < sums.n(); q++) {
        sums.o().put(block, q, (float) (sums.o().get(block, q) + sums.alpha() * sum[q]));
      }
    }
  }
}
