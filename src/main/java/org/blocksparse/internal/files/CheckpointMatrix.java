// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.GgmlPanels;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * Matrices (out, in) of a {@link Checkpoint}, with what the headers say checked.
 *
 * @param dims of the matrices, (count, rows, columns) or (rows, columns); other ranks are vectors
 *     and tensors that are only read as floats
 * @param blockRows rows that share a scale, with blockColumns columns of them
 * @param scales null if the form has none
 */
@SuppressWarnings("ArrayRecordComponent")
public record CheckpointMatrix(
    String name,
    MatrixForm form,
    long[] dims,
    int blockRows,
    int blockColumns,
    Checkpoint.Part codes,
    Checkpoint.Part scales) {
  private static final int FP8_BLOCK = 128;
  private static final int GROUP = Panels.GROUP_ROWS;

  /** Rows that a task takes. */
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

  // ------------------------------------------------------------------------------------ headers

  /** The names of all matrices and other tensors: those beside a matrix are left out. */
  public static List<String> names(Checkpoint from) {
    List<String> names = new ArrayList<>();
    for (String name : from.names()) {
      String matrix = base(from, name, "_blocks", "_scales");
      matrix = matrix == null ? base(from, name, "_packed", "_scale") : matrix;
      if (matrix != null) {
        names.add(matrix);
      } else if (base(from, name, "_scales", "_blocks") == null
          && base(from, name, "_scale", "_packed") == null
          && base(from, name, "_shape", "_packed") == null
          && base(from, name, "_scale", "") == null
          && base(from, name, "_scale_inv", "") == null) {
        names.add(name);
      }
    }
    return names;
  }

  /** The name without an ending, if there is a tensor of that name with another one; or null. */
  private static String base(Checkpoint from, String name, String ending, String other) {
    if (!name.endsWith(ending)) {
      return null;
    }
    String base = name.substring(0, name.length() - ending.length());
    Checkpoint.Part beside = from.partOrNull(base + other);
    boolean isFp8 = beside != null && beside.entry().type() == Dtype.F8_E4M3;
    return beside != null && (!other.isEmpty() || isFp8) ? base : null;
  }

  /**
   * Finds a matrix, or another tensor of floats.
   *
   * @throws MalformedException if there is none, its form is not known, or a tensor beside it is
   *     missing or does not fit
   */
  public static CheckpointMatrix of(Checkpoint from, String name) throws IOException {
    Checkpoint.Part own = from.partOrNull(name);
    if (own != null) {
      MatrixForm form =
          switch (own.entry().type()) {
            case F32 -> MatrixForm.FLOAT32;
            case F16 -> MatrixForm.FLOAT16;
            case BF16 -> MatrixForm.BFLOAT16;
            case F8_E4M3 -> MatrixForm.FP8;
            default -> throw unknown(own);
          };
      CheckpointMatrix plain =
          new CheckpointMatrix(name, form, own.entry().dims(), 1, 1, own, null).checked();
      return form == MatrixForm.FP8 ? plain.fp8(from) : plain;
    }
    if (from.partOrNull(name + "_blocks") != null) {
      return mxfp4(from, name);
    }
    if (from.partOrNull(name + "_packed") != null) {
      return int4(from, name);
    }
    throw from.missing(name);
  }

  private static MalformedException unknown(Checkpoint.Part part) {
    return new MalformedException(
        part.entry().name(),
        "expected F32, F16, BF16, F8_E4M3, MXFP4 (_blocks, _scales) or 4 bits of"
            + " compressed-tensors (_packed, _scale, _shape) but was "
            + part.entry().text()
            + "; llama.cpp's convert_hf_to_gguf.py converts more, for GgufFile");
  }

  private static Checkpoint.Part part(Checkpoint from, String name, Dtype... types)
      throws IOException {
    Checkpoint.Part part = from.partOrNull(name);
    if (part == null) {
      throw from.missing(name);
    }
    if (!Arrays.asList(types).contains(part.entry().type())) {
      throw new MalformedException(
          name, "expected " + Arrays.toString(types) + " but was " + part.entry().text());
    }
    return part;
  }

  private static void require(Checkpoint.Part part, boolean holds, String expected)
      throws MalformedException {
    if (!holds) {
      throw new MalformedException(
          part.entry().name(), "expected " + expected + " but was " + part.entry().text());
    }
  }

  /** Checks that sizes are ints, and that there are elements. */
  private CheckpointMatrix checked() throws MalformedException {
    long rows = 1;
    for (int axis = 0; axis < dims.length; axis++) {
      boolean fits = dims[axis] >= 1 && dims[axis] <= Integer.MAX_VALUE;
      rows = fits && axis < dims.length - 1 ? rows * dims[axis] : rows;
      if (!fits || rows > Integer.MAX_VALUE) {
        throw new MalformedException(
            name, "a dimension of " + Dimensions.text(dims) + " is 0 or too large");
      }
    }
    return this;
  }

  private CheckpointMatrix fp8(Checkpoint from) throws IOException {
    String ending = from.partOrNull(name + "_scale_inv") != null ? "_scale_inv" : "_scale";
    Checkpoint.Part beside = part(from, name + ending, Dtype.F32, Dtype.BF16, Dtype.F16);
    long[] found = beside.entry().dims();
    long[] blocks = dims.clone();
    long[] outputs = dims.clone();
    for (int axis = Math.max(0, dims.length - 2); axis < dims.length; axis++) {
      blocks[axis] = Scheduler.ceilDiv(dims[axis], FP8_BLOCK);
    }
    outputs[dims.length - 1] = 1;
    int blockRows = FP8_BLOCK;
    int blockColumns = FP8_BLOCK;
    boolean isMatrix = dims.length == 2 || dims.length == 3;
    if (!isMatrix || !Arrays.equals(found, blocks)) {
      boolean ofAll = dims.length == 2 && beside.entry().size() == 1;
      require(
          beside,
          isMatrix && ending.equals("_scale") && (ofAll || Arrays.equals(found, outputs)),
          Dimensions.text(blocks) + ", for each 128 x 128 of " + Dimensions.text(dims));
      blockRows = ofAll ? Integer.MAX_VALUE : 1;
      blockColumns = Integer.MAX_VALUE;
    }
    return new CheckpointMatrix(name, form, dims, blockRows, blockColumns, codes, beside);
  }

  private static CheckpointMatrix mxfp4(Checkpoint from, String name) throws IOException {
    Checkpoint.Part codes = part(from, name + "_blocks", Dtype.U8);
    long[] inFile = codes.entry().dims();
    int rank = inFile.length;
    boolean isMatrix = rank == 3 || rank == 4;
    require(
        codes,
        isMatrix && inFile[rank - 1] == GROUP / 2 && inFile[rank - 2] <= Integer.MAX_VALUE / GROUP,
        "(..., out, in / 32, 16)");
    long[] groups = Arrays.copyOf(inFile, rank - 1);
    Checkpoint.Part scales = part(from, name + "_scales", Dtype.U8, Dtype.F8_E8M0);
    require(scales, Arrays.equals(scales.entry().dims(), groups), Dimensions.text(groups));
    long[] dims = groups.clone();
    dims[rank - 2] *= GROUP;
    return new CheckpointMatrix(name, MatrixForm.MXFP4, dims, 1, GROUP, codes, scales).checked();
  }

  private static CheckpointMatrix int4(Checkpoint from, String name) throws IOException {
    Checkpoint.Part codes = part(from, name + "_packed", Dtype.I32);
    for (String ending : new String[] {"_zero_point", "_g_idx"}) {
      if (from.partOrNull(name + ending) != null) {
        throw new MalformedException(
            name + ending, "is not supported: expected symmetric weights in the order of inputs");
      }
    }
    long[] dims = shape(part(from, name + "_shape", Dtype.I64, Dtype.I32));
    CheckpointMatrix matrix =
        new CheckpointMatrix(name, MatrixForm.INT4, dims, 1, GROUP, codes, null).checked();
    long[] packed = {dims[0], Scheduler.ceilDiv(dims[1], 8)};
    require(
        codes,
        Arrays.equals(codes.entry().dims(), packed),
        "4 bits " + Dimensions.text(packed) + ", as " + name + "_shape = " + Dimensions.text(dims));
    Checkpoint.Part scales = part(from, name + "_scale", Dtype.BF16, Dtype.F16, Dtype.F32);
    long[] groups = scales.entry().dims();
    boolean fits = groups.length == 2 && groups[0] == dims[0] && groups[1] >= 1;
    long size = fits ? dims[1] / groups[1] : 0;
    boolean whole = fits && size * groups[1] == dims[1] && (size % GROUP == 0 || groups[1] == 1);
    require(scales, whole, "(" + dims[0] + ", groups of whole 32 of " + dims[1] + ")");
    return new CheckpointMatrix(name, matrix.form, dims, 1, (int) size, codes, scales);
  }

  private static long[] shape(Checkpoint.Part part) throws IOException {
    require(part, part.entry().dims().length == 1 && part.entry().dims()[0] == 2, "(2)");
    ByteBuffer both = ByteBuffer.wrap(bytes(part)).order(ByteOrder.LITTLE_ENDIAN);
    return part.entry().type() == Dtype.I64
        ? new long[] {both.getLong(0), both.getLong(8)}
        : new long[] {both.getInt(0), both.getInt(4)};
  }

  private static byte[] bytes(Checkpoint.Part part) throws IOException {
    byte[] all = new byte[(int) part.entry().bytes()];
    Storage inFile = part.map(1);
    try {
      inFile.getBytes(0, all, all.length);
      return all;
    } finally {
      inFile.close();
    }
  }

  // -------------------------------------------------------------------------------------- sizes

  /** The matrices. */
  public int count() {
    int count = 1;
    for (int axis = 0; axis < dims.length - 2; axis++) {
      count *= (int) dims[axis];
    }
    return count;
  }

  /** The outputs of a matrix. */
  public int rows() {
    return dims.length < 2 ? 1 : (int) dims[dims.length - 2];
  }

  /** The inputs. */
  public int columns() {
    return dims.length < 1 ? 1 : (int) dims[dims.length - 1];
  }

  /** The name of the type that holds the same numbers, unless none does in as many bits. */
  public String typeName() {
    return form == MatrixForm.FP8 ? form.name() : form.type().toString();
  }

  /** The bytes in the file. */
  public long bytes() {
    return codes.entry().bytes() + (scales == null ? 0 : scales.entry().bytes());
  }

  /**
   * Checks that these are matrices.
   *
   * @throws MalformedException if they are of another rank
   */
  public void requireMatrices() throws MalformedException {
    if (dims.length != 2 && dims.length != 3) {
      throw new MalformedException(
          name, "expected (out, in) or (count, out, in) but was " + Dimensions.text(dims));
    }
  }

  // -------------------------------------------------------------------------------------- rows

  /**
   * The tensors of the matrices where they lie.
   *
   * @param scales null if there are none
   */
  private record Mapped(Storage codes, Storage scales) implements AutoCloseable {
    @Override
    public void close() {
      codes.close();
      if (scales != null) {
        scales.close();
      }
    }
  }

  private Mapped map() throws IOException {
    Storage ofCodes = codes.map(1);
    try {
      return new Mapped(ofCodes, scales == null ? null : scales.map(1));
    } catch (Throwable e) {
      ofCodes.close();
      throw e;
    }
  }

  /** A row that was read: its codes, and its scales. */
  private final class Row {
    private final Mapped inFile;
    private final ByteBuffer row =
        ByteBuffer.allocate((int) form.rowBytes(columns())).order(ByteOrder.LITTLE_ENDIAN);
    private final ByteBuffer rowScales;
    private final float[] floats = new float[columns()];

    Row(Mapped inFile) {
      this.inFile = inFile;
      int bytes = scales == null ? 0 : blocksOfRow() * scales.entry().type().bytes();
      this.rowScales = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** Reads a row of all matrices. */
    void read(long number) {
      inFile.codes.getBytes(number * row.capacity(), row.array(), row.capacity());
      if (scales != null) {
        long at = scaleRow(number) * rowScales.capacity();
        inFile.scales.getBytes(at, rowScales.array(), rowScales.capacity());
      }
    }

    /** The scale of a block of columns; half of it for MXFP4, whose values are doubled. */
    float scale(int block) {
      return switch (scales.entry().type()) {
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

    /** Widens the row into its floats; returns the first column that is not finite, or -1. */
    int widen() {
      float[] into = floats;
      int columns = columns();
      int step = scales == null ? columns : Math.min(blockColumns, columns);
      for (int begin = 0, block = 0; begin < columns; begin += step, block++) {
        float scale = scales == null ? 1 : scale(block);
        int end = Math.min(columns, begin + step);
        for (int c = begin; c < end; c++) {
          into[c] =
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
        if (!Float.isFinite(into[c])) {
          return c;
        }
      }
      return -1;
    }

    /**
     * Puts the row as blocks of ggml; returns the first block of scales that does not fit, or -1.
     */
    int putBlocks(byte[] into) {
      int blockBytes = form.blocks().blockBytes();
      int wrong = -1;
      for (int g = 0; g * GROUP < columns(); g++) {
        int at = g * blockBytes;
        int block = g * GROUP / blockColumns;
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

    /** The code of a column; a column that is missing has the weight 0. */
    private int code(int column) {
      return column < columns() ? halfByte(column) : 8;
    }
  }

  private int blocksOfRow() {
    return Scheduler.ceilDiv(columns(), Math.min(blockColumns, columns()));
  }

  /** The row of scales that a row of all matrices has. */
  private long scaleRow(long row) {
    if (blockRows == Integer.MAX_VALUE) {
      return 0;
    }
    long blocks = Scheduler.ceilDiv(rows(), blockRows);
    return row / rows() * blocks + row % rows() / blockRows;
  }

  /** Does something for each row, with the storages mapped. */
  private interface Rows {
    /** Returns what is wrong with a row, as a number; or -1. */
    int take(Row row, long number);
  }

  /**
   * Takes rows [begin, begin + count) of all matrices; returns the first that is wrong times the
   * columns plus what is wrong, or -1.
   */
  private long run(long begin, int count, Engine engine, Rows rows) throws IOException {
    AtomicLong wrong = new AtomicLong(Long.MAX_VALUE);
    try (Mapped inFile = map()) {
      engine.run(
          Scheduler.ceilDiv(count, TASK_ROWS),
          (long) count * columns(),
          (first, end) -> {
            Row row = new Row(inFile);
            for (int r = first * TASK_ROWS; r < Math.min(count, end * TASK_ROWS); r++) {
              row.read(begin + r);
              int found = rows.take(row, begin + r);
              if (found >= 0) {
                long at = (begin + r) * columns() + found;
                wrong.accumulateAndGet(at, Math::min);
              }
            }
          });
    }
    return wrong.get() == Long.MAX_VALUE ? -1 : wrong.get();
  }

  /**
   * The floats of one matrix, or of all, in new memory.
   *
   * @param matrix its number; -1: all
   * @throws MalformedException if one is not finite
   */
  public Storage widen(int matrix, Engine engine) throws IOException {
    int rows = matrix < 0 ? rows() * count() : rows();
    long begin = matrix < 0 ? 0 : (long) matrix * rows;
    Storage floats = Storage.allocate((long) rows * columns());
    try {
      long wrong =
          run(
              begin,
              rows,
              engine,
              (row, number) -> {
                int found = row.widen();
                floats.putFloats((number - begin) * columns(), row.floats, 0, columns());
                return found;
              });
      if (wrong >= 0) {
        throw notFinite(wrong, floats.getFloat(wrong - begin * columns()));
      }
      return floats;
    } catch (Throwable e) {
      floats.close();
      throw e;
    }
  }

  /** The exception for a weight that is not finite, by the number of it. */
  private MalformedException notFinite(long element, float value) throws IOException {
    if (scales != null) {
      long row = element / columns();
      int block = (int) (element % columns()) / blockColumns;
      try (Mapped inFile = map()) {
        Row read = new Row(inFile);
        read.read(row);
        float scale = read.scale(block);
        if (!Float.isFinite(scale)) {
          return new MalformedException(scales.entry().name(), scaleText(row, block, scale));
        }
      }
    }
    return new MalformedException(name, "element " + element + " is " + value);
  }

  private String scaleText(long row, int block, float scale) {
    return "element " + (scaleRow(row) * blocksOfRow() + block) + " is " + scale;
  }

  /**
   * The matrices of some tensors side by side, packed: those of one number are the columns of a
   * block.
   *
   * @param all of one form with blocks, and of one shape
   * @param pairs whether rows alternate between two halves, which are to follow each other
   * @throws MalformedException if a scale makes weights infinite, or cannot be kept exactly
   */
  public static StoredWeights pack(List<CheckpointMatrix> all, boolean pairs, Engine engine)
      throws IOException {
    CheckpointMatrix first = all.get(0);
    Storage[] blocks = new Storage[all.size()];
    try {
      for (int t = 0; t < blocks.length; t++) {
        blocks[t] = all.get(t).blocks(pairs, engine);
      }
      return GgmlPanels.pack(
          first.form.type().toString(),
          first.form.blocks(),
          blocks,
          first.count(),
          first.columns(),
          first.rows(),
          engine.scheduler());
    } finally {
      Arrays.stream(blocks).filter(made -> made != null).forEach(Storage::close);
    }
  }

  /** All rows as blocks of ggml. */
  private Storage blocks(boolean pairs, Engine engine) throws IOException {
    int rowBytes = Scheduler.ceilDiv(columns(), GROUP) * form.blocks().blockBytes();
    int half = rows() / 2;
    Storage made = Storage.allocate(((long) rowBytes * rows() * count() + 3) / 4);
    try {
      long wrong =
          run(
              0,
              rows() * count(),
              engine,
              (row, number) -> {
                byte[] ofRow = new byte[rowBytes];
                int found = row.putBlocks(ofRow);
                int inMatrix = (int) (number % rows());
                int to = pairs ? inMatrix / 2 + inMatrix % 2 * half : inMatrix;
                made.putBytes((number - inMatrix + to) * rowBytes, ofRow, rowBytes);
                return found;
              });
      if (wrong >= 0) {
        throw inexact(wrong / columns(), (int) (wrong % columns()));
      }
      return made;
    } catch (Throwable e) {
      made.close();
      throw e;
    }
  }

  /** The largest multiple of a scale that a code stands for. */
  private int largest() {
    return form == MatrixForm.MXFP4 ? 12 : 8;
  }

  private MalformedException inexact(long row, int block) throws IOException {
    try (Mapped mapped = map()) {
      Row read = new Row(mapped);
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
      return new MalformedException(scales.entry().name(), scaleText(row, block, inFile) + reason);
    }
  }

  /**
   * The numbers where they lie, or as floats in new memory; of forms without blocks.
   *
   * @throws MalformedException if they cannot be used where they lie, or are not finite
   */
  public StoredWeights read(Engine engine) throws IOException {
    Storage storage = form.isPlain() ? codes.map(form.type().bytes()) : widen(-1, engine);
    return new StoredWeights(form.type(), storage, null);
  }

  /** Several of these side by side: rows of the first, then those of the second. */
  public static StoredWeights sideBySide(List<CheckpointMatrix> all, Engine engine)
      throws IOException {
    CheckpointMatrix first = all.get(0);
    if (all.size() == 1) {
      return first.read(engine);
    }
    Storage[] parts = new Storage[all.size()];
    try {
      for (int t = 0; t < parts.length; t++) {
        parts[t] = all.get(t).read(engine).elements();
      }
      WeightType type = first.form.type();
      long bytes = (long) first.rows() * first.columns() * type.bytes();
      return new StoredWeights(
          type, StoredWeights.interleaved(parts, first.count(), bytes, engine.scheduler()), null);
    } finally {
      Arrays.stream(parts).filter(made -> made != null).forEach(Storage::close);
    }
  }
}
