// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.GgmlPanels;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * Matrices (out, in) of a {@link Checkpoint}, with checked headers.
 *
 * @param dims the dimensions of the matrices, (count, rows, columns) or (rows, columns); other
 *     ranks are vectors and tensors that are only read as floats
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
  static final int GROUP = Panels.GROUP_ROWS;

  /** The longest row, which is in memory as a whole. */
  private static final int MOST_COLUMNS = 1 << 22;

  // ------------------------------------------------------------------------------------ headers

  /** Returns the names of all matrices and other tensors: those beside a matrix are left out. */
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

  /**
   * Returns the name without an ending, if there is a tensor of that name with another one; or
   * null.
   */
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
      boolean isLast = axis == dims.length - 1;
      boolean fits = dims[axis] >= 1 && dims[axis] <= (isLast ? MOST_COLUMNS : Integer.MAX_VALUE);
      rows = fits && !isLast ? rows * dims[axis] : rows;
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
        isMatrix && inFile[rank - 1] == GROUP / 2 && inFile[rank - 2] <= MOST_COLUMNS / GROUP,
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

  /** Returns the matrices. */
  public int count() {
    int count = 1;
    for (int axis = 0; axis < dims.length - 2; axis++) {
      count *= (int) dims[axis];
    }
    return count;
  }

  /** Returns the outputs of a matrix. */
  public int rows() {
    return dims.length < 2 ? 1 : (int) dims[dims.length - 2];
  }

  /** Returns the inputs. */
  public int columns() {
    return dims.length < 1 ? 1 : (int) dims[dims.length - 1];
  }

  /** Returns the name of the type that holds the same numbers, unless none does in as many bits. */
  public String typeName() {
    return form == MatrixForm.FP8 ? form.name() : form.type().toString();
  }

  /** Returns the bytes in the file. */
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

  // ------------------------------------------------------------------------------------ numbers

  /**
   * Returns the floats of one matrix, or of all, in new memory.
   *
   * @param matrix its number; -1: all
   * @throws MalformedException if one is not finite
   */
  public Storage widen(int matrix, Engine engine) throws IOException {
    try (CheckpointRows rows = CheckpointRows.map(this)) {
      return rows.widen(matrix, engine);
    }
  }

  /**
   * Returns the matrices of some tensors side by side, packed: those of one number are the columns
   * of a block.
   *
   * @param all the matrices, of one form with blocks, and of one shape
   * @param alternating whether rows alternate between two halves, which are to follow each other
   * @throws MalformedException if a scale makes weights infinite, or cannot be kept exactly
   */
  public static StoredWeights pack(List<CheckpointMatrix> all, boolean alternating, Engine engine)
      throws IOException {
    CheckpointMatrix first = all.get(0);
    Storage[] blocks = new Storage[all.size()];
    try {
      for (int t = 0; t < blocks.length; t++) {
        try (CheckpointRows rows = CheckpointRows.map(all.get(t))) {
          blocks[t] = rows.blocks(alternating, engine);
        }
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
      closeAll(blocks);
    }
  }

  /**
   * Returns the numbers of several tensors side by side, of forms without blocks: rows of the
   * first, then those of the second. Those of one lie where they are in the file, or are floats in
   * new memory.
   *
   * @param all the matrices, of one form, and of one shape
   * @throws MalformedException if they cannot be used where they lie, or are not finite
   */
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
      closeAll(parts);
    }
  }

  private StoredWeights read(Engine engine) throws IOException {
    Storage storage = form.isPlain() ? codes.map(form.type().bytes()) : widen(-1, engine);
    return new StoredWeights(form.type(), storage, null);
  }

  private static void closeAll(Storage[] all) {
    Arrays.stream(all).filter(Objects::nonNull).forEach(Storage::close);
  }
}
