// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.StepEvent;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.layers.GrowingLayer;
import org.blocksparse.internal.layers.LayerFace;
import org.blocksparse.internal.sparse.Bags.Reduction;
import org.blocksparse.internal.sparse.TableRows;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.training.BagTable;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.weights.ReadOnlyWeights;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.ModelPart;
import org.blocksparse.io.SaveOptions;

/**
 * An embedding bag: a table with a row for each word of a vocabulary. The output is the sum of the
 * table rows that a sample lists in {@link SparseRows}. It is the same as a linear layer with
 * sparse input:
 *
 * <pre>{@code
 * out[r, :] = factor(r) * (sum over the entries (index, value) of row r of value * table[index, :])
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>name</th><th>shape</th><th>meaning</th></tr>
 *   <tr><td>rows</td><td>batch rows</td><td>indices in [0, vocabulary), with values or without</td></tr>
 *   <tr><td>table</td><td>(vocabulary, features)</td><td>the parameters: float32, or a narrower type by {@link #withWeights}</td></tr>
 *   <tr><td>out, gradOut</td><td>(batch, features)</td><td>the sums, and gradients of a loss with respect to them</td></tr>
 *   <tr><td>gradValues</td><td>(entries of rows)</td><td>the gradient with respect to the values</td></tr>
 * </table>
 *
 * <p>The factor is that of the {@link Mode}. If an index occurs n times in a row, its table row is
 * added n times. The sum of an empty row is 0, and it has no gradient.
 *
 * <p><b>Cost.</b> A forward pass reads one table row per entry. A step reads and writes each used
 * table row once, and reads one row of gradOut per entry. Neither depends on the size of the
 * vocabulary.
 *
 * <p><b>Numbers.</b> The error of a sum of n terms is at most (n + 2) 2<sup>-24</sup> times the sum
 * of their magnitudes. A sum may overflow before it is multiplied by the factor, even if the final
 * result would fit. NaN and infinities propagate only to rows that use them. Results are bitwise
 * identical for any workers, even when a step sums many gradients of one row.
 *
 * <p><b>Threads.</b> Any number of threads may call {@link #apply} and {@link #gradValues} at the
 * same time. The caller must not run a step, or a method that adds rows, at the same time as
 * anything else on the same layer.
 *
 * <p><b>Errors.</b> Every method throws these exceptions, and then changes nothing:
 *
 * <ul>
 *   <li>{@link NullPointerException} if an argument is null
 *   <li>{@link IllegalArgumentException} if a shape does not fit, or an output shares memory with
 *       an input
 *   <li>{@link IndexOutOfBoundsException} if an index is outside [0, vocabulary); {@link
 *       SparseRows#of(java.util.List, int, org.blocksparse.UnknownIds)} leaves such indices out
 *   <li>{@link IllegalStateException} if the layer, the rows or a tensor is closed, or if an output
 *       or the table to train is mapped read-only from a file
 * </ul>
 */
@SuppressWarnings("exports") // the superclass has nothing that users see
public final class EmbeddingBag extends LayerFace<GrowingLayer>
    implements ModelPart, AutoCloseable {
  private static final String OUT = "(rows, features)";

  /**
   * The factor that multiplies the sum of a row's n entries. The factor uses the number of entries,
   * not their values, so it is defined even if the values sum to zero. For a weighted mean, divide
   * the values by their sum first, and use {@link #SUM}.
   */
  public enum Mode {
    /** 1. */
    SUM(Reduction.SUM),
    /** 1 / n, as fastText does. */
    MEAN(Reduction.MEAN),
    /** 1 / sqrt(n): the magnitude of a sum of independent rows does not depend on n. */
    ROOT_MEAN(Reduction.ROOT_MEAN);

    private final Reduction reduction;

    Mode(Reduction reduction) {
      this.reduction = reduction;
    }
  }

  private final HeldBag held;
  private final Map<String, String> metadata;

  private EmbeddingBag(BagMemory memory, Map<String, String> metadata) {
    this(new HeldBag(memory), metadata);
  }

  private EmbeddingBag(HeldBag held, Map<String, String> metadata) {
    super(held);
    this.held = held;
    this.metadata = Collections.unmodifiableMap(metadata);
  }

  /** Returns a layer that takes ownership of the given table. */
  static EmbeddingBag of(FloatTensor table, Mode mode, Workers workers) {
    TableRows rows = KernelOperands.table(table);
    int features = (int) table.shape().dim(1);
    BagTable computation = new BagTable(Engine.from(workers), rows, features, mode.reduction);
    return new EmbeddingBag(new BagMemory(computation), Map.of());
  }

  BagMemory memory() {
    return held.memory();
  }

  /**
   * Returns a builder; all other settings have defaults.
   *
   * @param vocabulary how many rows the table has
   * @param features the size of a row
   * @throws IllegalArgumentException unless both are at least 1 and no more than an array can hold,
   *     2<sup>31</sup> - 9
   */
  public static EmbeddingBagBuilder builder(int vocabulary, int features) {
    return new EmbeddingBagBuilder(
        Check.dimension("vocabulary", vocabulary), Check.dimension("features", features));
  }

  /** Returns the number of rows of the table. */
  public int vocabulary() {
    return memory().vocabulary();
  }

  /** Returns the size of a row. */
  public int features() {
    return memory().table().features();
  }

  /** Returns the mode, which sets the factor of sums. */
  public Mode mode() {
    return Mode.valueOf(memory().table().reduction().name());
  }

  /**
   * Returns the layer's own table (not a copy), (vocabulary, features).
   *
   * @throws IllegalStateException unless {@link #weightType} is FLOAT32
   */
  public FloatTensor table() {
    if (memory().isReadOnly()) {
      throw ReadOnlyWeights.notFloats("table", memory().type());
    }
    return DenseFloats.dense(memory().table().rows().storage(), Shape.of(vocabulary(), features()));
  }

  /** Returns the type of the stored table. If it is not FLOAT32, {@link #table} throws. */
  public ElementType weightType() {
    return memory().type().elementType();
  }

  /**
   * Returns an independent copy, with the same table, optimizer state and metadata: a snapshot that
   * serves while this layer trains or grows. It is in memory even if this layer is mapped from a
   * file.
   *
   * @throws OutOfMemoryError if there is not enough memory; the message has the number of bytes
   */
  public EmbeddingBag copy() {
    BagMemory own = memory();
    try (OperandLease lease = own.lease(new OperandLease())) {
      return new EmbeddingBag(own.copy(), metadata);
    }
  }

  /**
   * Returns a copy of this layer with a table of another type. The notes on numbers, threads and
   * errors above hold for the copy, too, but only a FLOAT32 table can be trained. The copy has no
   * optimizer state.
   *
   * <p>INT8 has one scale per table row, because rows are read as a whole. Rows of rare words have
   * small values, and lose no more relative precision than those of frequent words.
   *
   * @throws IllegalArgumentException if an element is not finite, or too large for the type
   * @throws IllegalStateException if the table has already been rounded to another narrow type
   */
  public EmbeddingBag withWeights(ElementType type) {
    WeightType wanted = ReadOnlyWeights.ofLayer(WeightType.of(requireNonNull(type, "type")));
    try (OperandLease lease = memory().lease(new OperandLease())) {
      return new EmbeddingBag(memory().copy(wanted), metadata);
    }
  }

  /** Returns the sums of rows, (rows, features). */
  public FloatTensor apply(SparseRows rows) {
    check(rows);
    return KernelOperands.filled(FloatTensor.zeros(rows.rows(), features()), out -> sum(rows, out));
  }

  /**
   * Computes {@link #apply(SparseRows)} into an existing tensor.
   *
   * @param out (rows, features), which must not overlap rows or the table
   */
  public void apply(SparseRows rows, FloatTensor out) {
    check(rows);
    Check.shape("out", out, OUT, rows.rows(), features());
    checkNotTable("out", out);
    CsrRows.from(rows).requireNoOverlap("out", out, "rows");
    sum(rows, out);
  }

  private void sum(SparseRows rows, FloatTensor out) {
    try (OperandLease lease = lease(rows).writing("out", out)) {
      memory().table().sum(CsrRows.from(rows).bags(), KernelOperands.rows(out));
    }
  }

  /**
   * Returns the gradient with respect to the values of rows, of the shape (entries). For entry e of
   * row r, it is the factor of the row times {@code table[index of e] . gradOut[r]}. It uses the
   * current table, so call this method before {@link #step}.
   */
  public FloatTensor gradValues(SparseRows rows, FloatTensor gradOut) {
    check(rows, gradOut);
    return KernelOperands.filled(FloatTensor.zeros(rows.entries()), out -> dot(rows, gradOut, out));
  }

  /**
   * Computes {@link #gradValues(SparseRows, FloatTensor)} into an existing tensor.
   *
   * @param out (entries), which must not overlap rows, gradOut or the table
   */
  public void gradValues(SparseRows rows, FloatTensor gradOut, FloatTensor out) {
    check(rows, gradOut);
    Check.shape("out", out, "(entries)", rows.entries());
    checkNotTable("out", out);
    Check.noOverlap("out", out, "gradOut", gradOut);
    CsrRows.from(rows).requireNoOverlap("out", out, "rows");
    dot(rows, gradOut, out);
  }

  private void dot(SparseRows rows, FloatTensor gradOut, FloatTensor out) {
    try (OperandLease lease = lease(rows).of("gradOut", gradOut).writing("out", out)) {
      memory()
          .table()
          .dot(CsrRows.from(rows).bags(), KernelOperands.rows(gradOut), Dense.from(out).storage());
    }
  }

  /**
   * Makes a training step, which updates each used table row. The gradient of a table row is the
   * sum of {@code value * factor * gradOut} over all entries that use it. The optimizer is applied
   * to this sum once. Unused rows do not change: they do not decay, and neither does their part of
   * the optimizer state. No gradient of the size of the table is ever allocated.
   *
   * <p>{@link Optimizer#withMaxNorm} clips the gradient of each table row separately. Adam's bias
   * correction of a row uses the number of steps of that row.
   *
   * @param gradOut (rows, features), which must not overlap the table; a NaN is not rejected: the
   *     table rows that it updates become NaN
   * @param optimizer this layer keeps its state, until a step uses another optimizer
   * @throws IllegalStateException also if the table is of a type that is only read; see {@link
   *     #withWeights}
   */
  public void step(SparseRows rows, FloatTensor gradOut, Optimizer optimizer) {
    requireNonNull(optimizer, "optimizer");
    check(rows, gradOut);
    if (memory().isReadOnly()) {
      throw ReadOnlyWeights.notTrained("step", memory().type());
    }
    FloatTensor table = table();
    Check.noOverlap("table", table, "gradOut", gradOut);
    CsrRows.from(rows).requireNoOverlap("table", table, "rows");
    StepEvent event = Recorder.step();
    try (OperandLease lease = lease(rows).of("gradOut", gradOut).writing("table", table);
        LayerState.Step step = memory().begin(optimizer)) {
      int bound = CsrRows.from(rows).indexBound(vocabulary());
      memory()
          .table()
          .step(
              CsrRows.from(rows).bags(),
              bound,
              KernelOperands.rows(gradOut),
              step,
              BagMemory.TABLE);
    }
    if (event != null) {
      String rule = optimizer.kind().name();
      event.record("embedding bag", rows.rows(), rows.entries(), rule, Double.NaN);
    }
  }

  /** Callers cannot get a table of a narrow type, so no tensor can overlap it. */
  private void checkNotTable(String name, FloatTensor tensor) {
    if (!memory().isReadOnly()) {
      Check.noOverlap(name, tensor, "table", memory().table().rows().storage());
    }
  }

  private void check(SparseRows rows) {
    CsrRows.from(requireNonNull(rows, "rows")).requireIndices("rows", "vocabulary", vocabulary());
  }

  private void check(SparseRows rows, FloatTensor gradOut) {
    check(rows);
    Check.shape("gradOut", gradOut, OUT, rows.rows(), features());
  }

  private OperandLease lease(SparseRows rows) {
    return CsrRows.from(rows).lease(memory().lease(new OperandLease()), "rows");
  }

  // ------------------------------------------------------------------------------------ growth

  /**
   * Adds rows of zeros, which add nothing to a sum until they are trained. New rows start with
   * empty optimizer state, and Adam counts their steps from zero. Existing rows keep their state.
   *
   * <p>All rows move to new memory: {@link #table} returns a new tensor then, and the previous one
   * is closed. So add many rows at a time. {@link
   * org.blocksparse.softmax.TwoLevelLayer#addOutputs(int, EmbeddingBag)} adds outputs to the layer
   * above as well.
   *
   * @param n the number of new rows, at least 1
   * @return the index of the first new row; the others follow
   * @throws IllegalArgumentException also if n is less than 1, or if the table would have too many
   *     rows for an int
   * @throws IllegalStateException also if the table is of a type that is only read; see {@link
   *     #withWeights}
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public int addRows(int n) {
    int first = vocabulary();
    held.replace(memory().grown(Check.atLeast(1, "n", n), null));
    return first;
  }

  /**
   * Adds rows as {@link #addRows(int)} does, with values: the mean of the rows of similar words,
   * for instance.
   *
   * @param rows (n, features), n at least 1; finite
   */
  public int addRows(FloatTensor rows) {
    int first = vocabulary();
    Check.rank("rows", rows, "(n, features)", 2);
    int n = Check.rows("rows", rows.shape().dim(0));
    Check.shape("rows", rows, "(n, features)", n, features());
    if (n == 0) {
      throw new IllegalArgumentException("rows: expected at least 1 row but was " + rows.shape());
    }
    try (OperandLease lease = new OperandLease().of("rows", rows)) {
      Check.finite("rows", KernelOperands.rows(rows));
      held.replace(memory().grown(n, KernelOperands.rows(rows)));
    }
    return first;
  }

  // ------------------------------------------------------------------------------------- files

  /** Saves table and mode; see {@link #save(Path, SaveOptions)}. */
  public void save(Path file) throws IOException {
    save(file, SaveOptions.defaults());
  }

  /**
   * Saves the layer as a safetensors file with the tensor {@code table}. The write is atomic: even
   * after a crash, the file is the old one or the new one. For a bag and the softmax after it in
   * one file, see {@link SaveOptions#with}.
   *
   * @throws IllegalStateException if the table is not finite
   * @throws IllegalArgumentException if the options have another bag
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    BagFile.save(
        new BagFile.Content(memory(), metadata),
        requireNonNull(file, "file"),
        SaveSettings.from(requireNonNull(options, "options")));
  }

  /**
   * Returns whether a file holds a bag, alone or with the layer that uses it. Only its header is
   * read.
   *
   * @throws FileFormatException if the file is no safetensors file
   * @throws IOException if the file cannot be read
   */
  public static boolean isIn(Path file) throws IOException {
    requireNonNull(file, "file");
    return Reading.of(file, () -> BagFile.isIn(file));
  }

  /** Loads a layer into memory; see {@link #load(Path, LoadOptions)}. */
  public static EmbeddingBag load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads a bag from its own file, or from the file of a two-level layer that {@link
   * org.blocksparse.softmax.TwoLevelLayer#save(Path, SaveOptions)} wrote with a bag. It is safe to
   * load untrusted files.
   *
   * @throws FileFormatException if the file does not hold a bag; it names the tensor and the reason
   * @throws IOException if the file cannot be read
   */
  public static EmbeddingBag load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = LoadSettings.from(requireNonNull(options, "options"));
    BagFile.Content content = Reading.of(file, () -> BagFile.load(file, settings));
    return new EmbeddingBag(content.bag(), content.metadata());
  }

  /** Returns the off-heap memory of this layer: mapped bytes and private bytes. */
  public MemoryUse memoryUse() {
    return KernelOperands.memoryUse(memory().storages());
  }

  /** Returns the strings of the file that this layer was loaded from, by key. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** Frees the table and the optimizer state, as soon as no call uses them. */
  @Override
  public void close() {
    held.close();
  }

  @Override
  public String toString() {
    return "EmbeddingBag("
        + vocabulary()
        + " x "
        + features()
        + ", "
        + mode()
        + ", "
        + memory().bytes()
        + " bytes, "
        + (memory().isReadOnly() ? "weights of " + memory().type() + ", " : "")
        + memory().table().engine()
        + ")";
  }
}
