// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.atomic.AtomicLong;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.WeightType;

/** The rows of mapped matrices during their conversion to floats, or to blocks of ggml. */
final class CheckpointRows implements AutoCloseable {
  private static final int GROUP = CheckpointMatrix.GROUP;

  /** The rows of a task. */
  private static final int TASK_ROWS = 16;

  /** The numbers of E4M3 by their codes: no infinities, two NaN. */
  private static final float[] E4M3 = new float[256];

  /** The doubled values of MXFP4 by their codes. */
  private static final float[] DOUBLED = new float[16];

  static {
    for (int code = 0; code < E4M3.length; code++) {
      int exponent = code >> 3 & 15;
      int fraction = code & 7;
      float size =
          exponent == 0
              ? Math.scalb((float) fraction, -9)
              : Math.scalb((float) (8 + fraction), exponent - 10);
      size = (code & 0x7f) == 0x7f ? Float.NaN : size;
      E4M3[code] = code < 128 ? size : -size;
    }
    Panels panels = new Panels(WeightType.MXFP4, 1, 1);
    for (int code = 0; code < DOUBLED.length; code++) {
      DOUBLED[code] = panels.whole(code);
    }
  }

  private final CheckpointMatrix of;
  private final MatrixForm form;
  private final int rows;
  private final int columns;
  private final Storage codes;

  /** The scales; null if the form has none. */
  private final Storage scales;

  private CheckpointRows(CheckpointMatrix of, Storage codes, Storage scales) {
    this.of = of;
    this.form = of.form();
    this.rows = of.rows();
    this.columns = of.columns();
    this.codes = codes;
    this.scales = scales;
  }

  /** Maps the tensors of matrices. */
  static CheckpointRows map(CheckpointMatrix of) throws IOException {
    Storage codes = of.codes().map(1);
    try {
      return new CheckpointRows(of, codes, of.scales() == null ? null : of.scales().map(1));
    } catch (Throwable e) {
      codes.close();
      throw e;
    }
  }

  @Override
  public void close() {
    codes.close();
    if (scales != null) {
      scales.close();
    }
  }

  /** Returns the columns that share a scale. */
  private int blockColumns() {
    return scales == null ? columns : Math.min(of.blockColumns(), columns);
  }

  private int blocksOfRow() {
    return Scheduler.ceilDiv(columns, blockColumns());
  }

  /** Returns the row of scales that a row of all matrices has. */
  private long scaleRow(long row) {
    if (of.blockRows() == Integer.MAX_VALUE) {
      return 0;
    }
    long blocks = Scheduler.ceilDiv(rows, of.blockRows());
    return row / rows * blocks + row % rows / of.blockRows();
  }

  /** The content of a row: its codes, and its scales. */
  private final class Row {
    private final byte[] bytes = new byte[(int) form.rowBytes(columns)];
    private final ByteBuffer row = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    private final byte[] scaleBytes =
        new byte[scales == null ? 0 : blocksOfRow() * of.scales().entry().type().bytes()];
    private final ByteBuffer rowScales = ByteBuffer.wrap(scaleBytes).order(ByteOrder.LITTLE_ENDIAN);
    private final float[] floats = new float[columns];

    /** Reads a row of all matrices. */
    void read(long number) {
      codes.getBytes(number * bytes.length, bytes, bytes.length);
      if (scales != null) {
        scales.getBytes(scaleRow(number) * scaleBytes.length, scaleBytes, scaleBytes.length);
      }
    }

    /** Returns the scale of a block of columns; half of it for MXFP4, whose values are doubled. */
    float scale(int block) {
      return switch (of.scales().entry().type()) {
        case F32 -> rowScales.getFloat(4 * block);
        case F16 -> WeightType.FLOAT16.widen(rowScales.getShort(2 * block));
        case BF16 -> WeightType.BFLOAT16.widen(rowScales.getShort(2 * block));
        default -> Panels.halfPower(rowScales.get(block) & 0xff);
      };
    }

    private int halfByte(int column) {
      int both = row.get(column / 2) & 0xff;
      return column % 2 == 0 ? both & 15 : both >> 4;
    }

    /** Widens the row into its floats. Returns the first column that is not finite, or -1. */
    int widen() {
      int step = blockColumns();
      for (int begin = 0, block = 0; begin < columns; begin += step, block++) {
        float scale = scales == null ? 1 : scale(block);
        int end = Math.min(columns, begin + step);
        for (int c = begin; c < end; c++) {
          floats[c] =
              switch (form) {
                case FLOAT32 -> row.getFloat(4 * c);
                case FLOAT16, BFLOAT16 -> form.type().widen(row.getShort(2 * c));
                case FP8 -> E4M3[row.get(c) & 0xff] * scale;
                case MXFP4 -> DOUBLED[halfByte(c)] * scale;
                case INT4 -> (halfByte(c) - 8) * scale;
              };
        }
      }
      for (int c = 0; c < columns; c++) {
        if (!Float.isFinite(floats[c])) {
          return c;
        }
      }
      return -1;
    }

    /**
     * Stores the row as blocks of ggml. Returns the first block of scales that does not fit, or -1.
     */
    int putBlocks(byte[] into) {
      int blockBytes = form.blocks().blockBytes();
      int wrong = -1;
      for (int g = 0; g * GROUP < columns; g++) {
        int at = g * blockBytes;
        int block = g * GROUP / blockColumns();
        boolean fits = Float.isFinite(largest() * scale(block));
        if (form == MatrixForm.MXFP4) {
          into[at] = rowScales.get(block);
        } else {
          short bits = WeightType.FLOAT16.narrow(scale(block));
          fits &= WeightType.FLOAT16.widen(bits) == scale(block);
          into[at] = (byte) bits;
          into[at + 1] = (byte) (bits >> 8);
        }
        wrong = fits || wrong >= 0 ? wrong : block;
        int codesAt = at + blockBytes - GROUP / 2;
        for (int i = 0; i < GROUP / 2; i++) {
          into[codesAt + i] = (byte) (code(g * GROUP + i) | code(g * GROUP + GROUP / 2 + i) << 4);
        }
      }
      return wrong;
    }

    /** Returns the code of a column; a column that is missing has the weight 0. */
    private int code(int column) {
      return column < columns ? halfByte(column) : 8;
    }
  }

  /** Processes a row. */
  private interface Taker {
    /** Returns the number of what is wrong with a row, or -1. */
    int take(Row row, long number);
  }

  /**
   * Processes rows [begin, begin + count) of all matrices. Returns the first flawed row times the
   * columns plus the number of its flaw, or -1.
   */
  private long run(long begin, int count, Engine engine, Taker taker) {
    AtomicLong wrong = new AtomicLong(Long.MAX_VALUE);
    engine.run(
        Scheduler.ceilDiv(count, TASK_ROWS),
        (long) count * columns,
        (first, end) -> {
          Row row = new Row();
          for (int r = first * TASK_ROWS; r < Math.min(count, end * TASK_ROWS); r++) {
            row.read(begin + r);
            int found = taker.take(row, begin + r);
            if (found >= 0) {
              long at = (begin + r) * columns + found;
              wrong.accumulateAndGet(at, Math::min);
            }
          }
        });
    return wrong.get() == Long.MAX_VALUE ? -1 : wrong.get();
  }

  /**
   * Returns the floats of one matrix, or of all, in new memory.
   *
   * @param matrix its number; -1: all
   * @throws MalformedException if one is not finite
   */
  Storage widen(int matrix, Engine engine) throws IOException {
    int widened = matrix < 0 ? rows * of.count() : rows;
    long begin = matrix < 0 ? 0 : (long) matrix * rows;
    Storage floats = Storage.allocate((long) widened * columns);
    try {
      long wrong =
          run(
              begin,
              widened,
              engine,
              (row, number) -> {
                int found = row.widen();
                floats.putFloats((number - begin) * columns, row.floats, 0, columns);
                return found;
              });
      if (wrong >= 0) {
        throw notFinite(wrong, floats.getFloat(wrong - begin * columns));
      }
      return floats;
    } catch (Throwable e) {
      floats.close();
      throw e;
    }
  }

  /** Returns the exception for a weight that is not finite, by the number of it. */
  private MalformedException notFinite(long element, float value) {
    if (scales != null) {
      long row = element / columns;
      int block = (int) (element % columns) / blockColumns();
      Row read = new Row();
      read.read(row);
      float scale = read.scale(block);
      if (!Float.isFinite(scale)) {
        return new MalformedException(of.scales().entry().name(), scaleText(row, block, scale));
      }
    }
    return new MalformedException(of.name(), "element " + element + " is " + value);
  }

  private String scaleText(long row, int block, float scale) {
    return "element " + (scaleRow(row) * blocksOfRow() + block) + " is " + scale;
  }

  /**
   * Returns all rows as blocks of ggml.
   *
   * @param alternating whether rows alternate between two halves, which are to follow each other
   * @throws MalformedException if a scale makes weights infinite, or cannot be kept exactly
   */
  Storage blocks(boolean alternating, Engine engine) throws IOException {
    int rowBytes = Scheduler.ceilDiv(columns, GROUP) * form.blocks().blockBytes();
    int half = rows / 2;
    Storage made = Storage.allocate(((long) rowBytes * rows * of.count() + 3) / 4);
    try {
      long wrong =
          run(
              0,
              rows * of.count(),
              engine,
              (row, number) -> {
                byte[] ofRow = new byte[rowBytes];
                int found = row.putBlocks(ofRow);
                int inMatrix = (int) (number % rows);
                int to = alternating ? inMatrix / 2 + inMatrix % 2 * half : inMatrix;
                made.putBytes((number - inMatrix + to) * rowBytes, ofRow, rowBytes);
                return found;
              });
      if (wrong >= 0) {
        throw inexact(wrong / columns, (int) (wrong % columns));
      }
      return made;
    } catch (Throwable e) {
      made.close();
      throw e;
    }
  }

  /** Returns the largest multiple of a scale that a code stands for. */
  private int largest() {
    return form == MatrixForm.MXFP4 ? 12 : 8;
  }

  private MalformedException inexact(long row, int block) {
    Row read = new Row();
    read.read(row);
    float scale = read.scale(block);
    String reason =
        !Float.isFinite(scale)
            ? ""
            : !Float.isFinite(largest() * scale)
                ? ", which makes weights infinite"
                : ", which is no float16, as "
                    + form.type()
                    + " has; take another type, such as Q8_0, or the floats";
    float inFile = form == MatrixForm.MXFP4 ? 2 * scale : scale;
    return new MalformedException(
        of.scales().entry().name(), scaleText(row, block, inFile) + reason);
  }
}
