// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.search;

import java.nio.ByteBuffer;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.PanelPacking;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.WeightType;

/**
 * The rows of a dense layer in four bits, and the error of each. A row of an output, whose length
 * is at most its scale, is the scale times q, plus e: q is packed, and e is no longer than the
 * output's element of {@code errors}, which is at most the scale, or infinite.
 *
 * <p>Rows that are not finite, or longer than a float can say, have an infinite error.
 *
 * @param panels the panels of Q4_0
 * @param scales the scales of each output
 * @param errors the errors of each output
 */
public record DenseScreen(Storage panels, float[] scales, float[] errors, int features)
    implements AutoCloseable {
  private static final WeightType TYPE = WeightType.Q4_0;

  private static final int OUTPUTS = 16; // outputs of a panel

  /** A factor that covers the rounding of a length in double. */
  private static final double SLACK = 1 + 0x1p-30;

  /** Packs rows, which are leased by the caller. */
  public static DenseScreen of(DenseRows rows, Engine engine) {
    int outputs = rows.outputs();
    int features = rows.features();
    Panels panel = new Panels(TYPE, features, OUTPUTS);
    int panels = Scheduler.ceilDiv(outputs, OUTPUTS);
    float[] scales = new float[outputs];
    float[] errors = new float[outputs];
    Storage packed = Storage.allocate(Math.multiplyExact(panels, panel.blockBytes()) / 4);
    try {
      engine.run(
          panels,
          Scheduler.work(outputs, features, OUTPUTS),
          (begin, end) -> {
            try (Scratch scratch = Scratch.borrow((long) features * OUTPUTS)) {
              Maker maker = new Maker(rows, panel, scratch.storage(), packed, scales, errors);
              for (int p = begin; p < end; p++) {
                maker.make(p);
              }
            }
          });
    } catch (Throwable e) {
      packed.close();
      throw e;
    }
    return new DenseScreen(packed, scales, errors, features);
  }

  /** Returns the panels as bands of outputs. */
  Blocks bands(int width) {
    int bands = Scheduler.ceilDiv(scales.length, width);
    return Blocks.dense(panels, 1, bands, features, width).as(TYPE, null);
  }

  /** Returns the bytes that it takes. */
  public long bytes() {
    return 4 * panels.elements() + 8L * scales.length;
  }

  @Override
  public void close() {
    panels.close();
  }

  /** Makes panels, one at a time. */
  private static final class Maker {
    private final DenseRows rows;
    private final Panels panel;
    private final Storage cells;
    private final float[] scales;
    private final float[] errors;
    private final float[][] panelRows;
    private final float[] column = new float[OUTPUTS];
    private final Storage packed;
    private final byte[] bytes;

    Maker(
        DenseRows rows,
        Panels panel,
        Storage cells,
        Storage packed,
        float[] scales,
        float[] errors) {
      this.rows = rows;
      this.panel = panel;
      this.cells = cells;
      this.packed = packed;
      this.scales = scales;
      this.errors = errors;
      this.panelRows = new float[OUTPUTS][rows.features()];
      this.bytes = new byte[Math.toIntExact(panel.blockBytes())];
    }

    void make(int number) {
      int first = number * OUTPUTS;
      int count = Math.min(OUTPUTS, scales.length - first);
      for (int q = 0; q < count; q++) {
        rows.get(first + q, panelRows[q]);
        scales[first + q] = scale(panelRows[q]);
      }
      for (int i = 0; i < panel.rows(); i++) {
        for (int q = 0; q < count; q++) {
          float scale = scales[first + q];
          column[q] = scale > 0 ? (float) (panelRows[q][i] / (double) scale) : 0;
        }
        cells.putFloats((long) i * OUTPUTS, column, 0, OUTPUTS);
      }
      PanelPacking.ofFloats("W", panel, cells, 1, null, null)
          .put(0, bytes.length, ByteBuffer.wrap(bytes));
      packed.putBytes(number * panel.blockBytes(), bytes, bytes.length);
      for (int q = 0; q < count; q++) {
        errors[first + q] = error(panelRows[q], scales[first + q], number, q);
      }
    }

    /** Returns a float that is the length of a row or more; 0 if there is none. */
    private static float scale(float[] row) {
      double sum = 0;
      for (float value : row) {
        sum += (double) value * value;
      }
      float scale = sum == 0 ? 0 : Math.nextUp((float) (Math.sqrt(sum) * SLACK));
      return Float.isFinite(scale) ? scale : 0;
    }

    /** Returns a float that is at least the length of what packing took off a row. */
    private float error(float[] row, float scale, int number, int q) {
      double sum = 0;
      for (int begin = 0; begin < row.length; begin += Panels.GROUP_ROWS) {
        double unit = scale * (double) panel.scale(packed, number, begin, q);
        for (int i = begin; i < Math.min(row.length, begin + Panels.GROUP_ROWS); i++) {
          double off = row[i] - unit * panel.whole(packed, number, i, q);
          sum += off * off;
        }
      }
      float error = sum == 0 ? 0 : Math.nextUp((float) (Math.sqrt(sum) * SLACK));
      return error <= scale ? error : Float.POSITIVE_INFINITY;
    }
  }
}
