// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import org.blocksparse.internal.TableRows;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.bag.BagTable;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.StepEvent;
import org.blocksparse.internal.layer.BagFile;
import org.blocksparse.internal.layer.BagMemory;
import org.blocksparse.internal.layer.LoadSettings;
import org.blocksparse.internal.layer.ReadOnlyWeights;
import org.blocksparse.internal.optimizer.LayerState;
import org.blocksparse.internal.schedule.Bags.Reduction;

/**
 * An embedding bag: a table with a row for each word of a vocabulary; the output is the sum of the
 * rows that a sample names in {@link SparseRows}. It is also known as a linear layer with sparse
 * input:
 *
 * <pre>{@code
 * out[r, :] = factor(r) * (sum over the entries (index, value) of row r of value * table[index, :])
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>name</th><th>shape</th><th>meaning</th></tr>
 *   <tr><td>rows</td><td>batch rows</td><td>indices in [0, vocabulary), with values or without</td></tr>
 *   <tr><td>table</td><td>(vocabulary, features)</td><td>the parameters; of floats, or {@link
 *   #withWeights} in fewer bits</td></tr>
 *   <tr><td>out, gradOut</td><td>(batch, features)</td><td>the sums, and gradients of a loss with respect to them</td></tr>
 *   <tr><td>gradValues</td><td>(entries of rows)</td><td>the gradient with respect to the values</td></tr>
 * </table>
 *
 * <p>The factor is that of the {@link Mode}. An index that occurs several times in a row counts as
 * often. The sum of an empty row is 0, and it has no gradient.
 *
 * <p><b>Cost.</b> A forward pass reads a row of the table for each entry; a step reads and writes
 * each row of the table that is named once, however often it is named, and reads a row of gradOut
 * for each entry. Neither depends on the size of the vocabulary.
 *
 * <p><b>Numbers.</b> A sum of n entries is off by at most (n + 2) 2<sup>-24</sup> times the sum of
 * the magnitudes of what is added up. A sum may be beyond all floats where a factor below 1 times
 * it is not. NaN and infinities flow through, into the rows that name them and no others. Bits do
 * not depend on the workers, not even where a step adds up many gradients of one row.
 *
 * <p><b>Threads.</b> Any number of threads may call {@link #apply} and {@link #gradValues} at the
 * same time. The caller must not run a step, or a method that adds rows, at the same time as
 * anything else on the same layer.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if an argument is null, {@link
 * IllegalArgumentException} if a shape does not fit or an output shares memory with an input,
 * {@link IndexOutOfBoundsException} if an index is outside [0, vocabulary) ({@link
 * SparseRows#of(java.util.List, int, UnknownIds)} leaves such indices out), and {@link
 * IllegalStateException} if the layer, the rows or a tensor is closed, or if what is to be written
 * is mapped read-only from a file. Nothing is changed then.
 */
public final class EmbeddingBag implements AutoCloseable {
  private static final String OUT = "(rows, features)";

  /**
   * The factor of the sum of a row of n entries. It depends on the number of entries, whatever
   * their values are, so that it is defined for values that cancel out. For a mean weighted by the
   * values, so that these count by their share, divide them by their sum and use {@link #SUM}.
   */
  public enum Mode {
    /** 1. */
    SUM(Reduction.SUM),
    /** 1 / n, as fastText does. */
    MEAN(Reduction.MEAN),
    /** 1 / sqrt(n): sums of independent rows keep their size, however many there are. */
    ROOT_MEAN(Reduction.ROOT_MEAN);

    private final Reduction reduction;

    Mode(Reduction reduction) {
      this.reduction = reduction;
    }
  }

  private volatile BagMemory memory;
  private volatile boolean closed;
  private final Map<String, String> metadata;

  private EmbeddingBag(BagMemory memory, Map<String, String> metadata) {
    this.memory = memory;
    this.metadata = Collections.unmodifiableMap(metadata);
  }

  /** A layer with a given table, which becomes its own. */
  static EmbeddingBag of(FloatTensor table, Mode mode, Workers workers) {
    TableRows rows = KernelOperands.table(table);
    int features = (int) table.shape().dim(1);
    BagTable computation = new BagTable(workers.engine(), rows, features, mode.reduction);
    return new EmbeddingBag(new BagMemory(computation), Map.of());
  }

  BagMemory memory() {
    return memory;
  }

  /**
   * A builder of layers; everything else has defaults.
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

  /** How many rows the table has. */
  public int vocabulary() {
    return memory.vocabulary();
  }

  /** The size of a row. */
  public int features() {
    return memory.table().features();
  }

  /** The mode, which sets the factor of sums. */
  public Mode mode() {
    return Mode.valueOf(memory.table().reduction().name());
  }

  /** The table, (vocabulary, features): its own, if {@link #weightType} allows. */
  public FloatTensor table() {
    if (memory.isReadOnly()) {
      throw ReadOnlyWeights.notFloats("table", memory.type());
    }
    return FloatTensor.dense(memory.table().rows().storage(), Shape.of(vocabulary(), features()));
  }

  /** The type of the stored table. If it is not FLOAT32, table() throws. */
  public ElementType weightType() {
    return ElementType.of(memory.type());
  }

  /**
   * A copy of this layer with a table of another type: all that is promised here is true for it,
   * but only FLOAT32 can be trained. It has no optimizer state. {@link SaveOptions#withWeights}
   * needs no copy.
   *
   * <p>INT8 has a scale for each row of the table, since a row is what is read: an entry needs one
   * number more, and rare words, whose rows are small, lose no more of theirs than frequent ones.
   *
   * @throws IllegalArgumentException if an element is not finite, or too large for the type
   * @throws IllegalStateException if the table would be rounded that has been rounded before
   */
  public EmbeddingBag withWeights(ElementType type) {
    WeightType wanted = requireNonNull(type, "type").ofLayer();
    try (Lease lease = memory.lease(new Lease())) {
      return new EmbeddingBag(memory.copy(wanted), metadata);
    }
  }

  /** The sums of rows, (rows, features). */
  public FloatTensor apply(SparseRows rows) {
    check(rows);
    return FloatTensor.zeros(rows.rows(), features()).filledBy(out -> sum(rows, out));
  }

  /**
   * As {@link #apply(SparseRows)}, into an existing tensor.
   *
   * @param out (rows, features), which must not overlap rows or the table
   */
  public void apply(SparseRows rows, FloatTensor out) {
    check(rows);
    Check.shape("out", out, OUT, rows.rows(), features());
    checkNotTable("out", out);
    rows.requireNoOverlap("out", out, "rows");
    sum(rows, out);
  }

  private void sum(SparseRows rows, FloatTensor out) {
    try (Lease lease = lease(rows).writing("out", out)) {
      memory.table().sum(rows.bags(), KernelOperands.rows(out));
    }
  }

  /**
   * The gradient with respect to the values of rows, (entries): for entry e of row r the factor of
   * the row times {@code table[index of e] . gradOut[r]}. With the table as it is: to be asked for
   * before a step.
   */
  public FloatTensor gradValues(SparseRows rows, FloatTensor gradOut) {
    check(rows, gradOut);
    return FloatTensor.zeros(rows.entries()).filledBy(out -> dot(rows, gradOut, out));
  }

  /**
   * As {@link #gradValues(SparseRows, FloatTensor)}, into an existing tensor.
   *
   * @param out (entries), which must not overlap rows, gradOut or the table
   */
  public void gradValues(SparseRows rows, FloatTensor gradOut, FloatTensor out) {
    check(rows, gradOut);
    Check.shape("out", out, "(entries)", rows.entries());
    checkNotTable("out", out);
    Check.noOverlap("out", out, "gradOut", gradOut);
    rows.requireNoOverlap("out", out, "rows");
    dot(rows, gradOut, out);
  }

  private void dot(SparseRows rows, FloatTensor gradOut, FloatTensor out) {
    try (Lease lease = lease(rows).of("gradOut", gradOut).writing("out", out)) {
      memory.table().dot(rows.bags(), KernelOperands.rows(gradOut), out.storage());
    }
  }

  /**
   * A step of training: each row of the table that rows name follows its gradient, the sum over all
   * entries that name it of {@code value * factor * gradOut} of their rows. The gradients of all
   * entries are added up before the rule is applied. Rows that are not named are not touched: they
   * do not decay, and their part of the optimizer state stays as it is. No gradient of the size of
   * the table is ever made.
   *
   * <p>Clipping ({@link Optimizer#withMaxNorm}) is of each row of the table on its own. For Adam,
   * the moments of a row are corrected by the number of steps that the row itself has taken.
   *
   * @param gradOut (rows, features), which must not overlap the table; a NaN is not refused, and
   *     makes the rows NaN that it is for
   * @param optimizer the rule; its state is kept by this layer, and is forgotten when a step with
   *     another rule is made
   * @throws IllegalStateException also if the table is of a type that is only read; see {@link
   *     #withWeights}
   */
  public void step(SparseRows rows, FloatTensor gradOut, Optimizer optimizer) {
    requireNonNull(optimizer, "optimizer");
    check(rows, gradOut);
    if (memory.isReadOnly()) {
      throw ReadOnlyWeights.notTrained("step", memory.type());
    }
    FloatTensor table = table();
    Check.noOverlap("table", table, "gradOut", gradOut);
    rows.requireNoOverlap("table", table, "rows");
    StepEvent event = Recorder.step();
    try (Lease lease = lease(rows).of("gradOut", gradOut).writing("table", table);
        LayerState.Step step = memory.begin(optimizer.rule())) {
      int bound = rows.indexBound(vocabulary());
      memory.table().step(rows.bags(), bound, KernelOperands.rows(gradOut), step, BagMemory.TABLE);
    }
    if (event != null) {
      String rule = optimizer.rule().kind().name();
      event.record("embedding bag", rows.rows(), rows.entries(), rule, Double.NaN);
    }
  }

  /** Rows of another type are given out to nobody. */
  private void checkNotTable(String name, FloatTensor tensor) {
    if (!memory.isReadOnly()) {
      Check.noOverlap(name, tensor, "table", memory.table().rows().storage());
    }
  }

  private void check(SparseRows rows) {
    requireNonNull(rows, "rows").requireIndices("rows", "vocabulary", vocabulary());
  }

  private void check(SparseRows rows, FloatTensor gradOut) {
    check(rows);
    Check.shape("gradOut", gradOut, OUT, rows.rows(), features());
  }

  private Lease lease(SparseRows rows) {
    return rows.lease(memory.lease(new Lease()), "rows");
  }

  // ------------------------------------------------------------------------------------ growth

  /**
   * Adds rows of zeros, which add nothing to a sum until they are trained. They have no optimizer
   * state yet, and Adam counts their steps from now on; all else keeps its own.
   *
   * <p>All rows get new memory: {@link #table} is another tensor then, and the one before is
   * closed. So add many rows at a time. {@link TwoLevelLayer#addOutputs(int, EmbeddingBag)} adds
   * outputs to the layer above as well.
   *
   * @param n how many, at least 1
   * @return the number of the first; the others follow
   * @throws IllegalArgumentException also if n is less than 1, or if there would be too many to
   *     count
   * @throws IllegalStateException also if the table is of a type that is only read; see {@link
   *     #withWeights}
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public int addRows(int n) {
    int first = vocabulary();
    replace(memory.grown(Check.atLeast(1, "n", n), null));
    return first;
  }

  /**
   * As {@link #addRows(int)}, with values: the mean of the rows of similar words, for instance.
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
    try (Lease lease = new Lease().of("rows", rows)) {
      Check.finite("rows", KernelOperands.rows(rows));
      replace(memory.grown(n, KernelOperands.rows(rows)));
    }
    return first;
  }

  /** Takes over grown memory; if it was closed meanwhile, that is closed, too. */
  void replace(BagMemory grown) {
    BagMemory before = memory;
    memory = grown;
    before.close();
    if (closed) {
      grown.close();
    }
  }

  // ------------------------------------------------------------------------------------- files

  /** Saves table and mode; see {@link #save(Path, SaveOptions)}. */
  public void save(Path file) throws IOException {
    save(file, SaveOptions.defaults());
  }

  /**
   * Saves the layer as a safetensors file with the tensor {@code table}. Whenever the machine
   * stops, the file is the old one or the new one, never a part of one. For a bag and the softmax
   * after it in one file, see {@link SaveOptions#withBag}.
   *
   * @throws IllegalStateException if the table is not finite
   * @throws IllegalArgumentException if the options have another bag; see also {@link
   *     SaveOptions#withWeights}
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    BagFile.save(
        new BagFile.Content(memory, metadata),
        requireNonNull(file, "file"),
        requireNonNull(options, "options").settings());
  }

  /**
   * Whether a file holds a bag, alone or with the layer behind it. Only its header is read.
   *
   * @throws FileFormatException if the file is no safetensors file
   * @throws IOException if the file cannot be read
   */
  public static boolean isIn(Path file) throws IOException {
    requireNonNull(file, "file");
    return FileFormatException.of(file, () -> BagFile.isIn(file));
  }

  /** Loads a layer into memory; see {@link #load(Path, LoadOptions)}. */
  public static EmbeddingBag load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads what {@link #save(Path)} has written, or {@link TwoLevelLayer#save(Path, SaveOptions)}
   * with a bag. The file may come from anybody.
   *
   * @throws FileFormatException if the file does not hold a bag; it names the tensor and the reason
   * @throws IOException if the file cannot be read
   */
  public static EmbeddingBag load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = requireNonNull(options, "options").settings();
    BagFile.Content content = FileFormatException.of(file, () -> BagFile.load(file, settings));
    return new EmbeddingBag(content.bag(), content.metadata());
  }

  /** The memory that it takes off the heap, mapped and private. */
  public MemoryUse memoryUse() {
    return MemoryUse.of(memory.storages());
  }

  /** The strings that were in the file that this layer was loaded from, by key. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** Frees the table and the optimizer state, as soon as no call uses them. */
  @Override
  public void close() {
    closed = true; // before the memory is read: what takes its place from now on is closed as well
    memory.close();
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
        + memory.bytes()
        + " bytes, "
        + (memory.isReadOnly() ? "weights of " + memory.type() + ", " : "")
        + Workers.over(memory.table().engine())
        + ")";
  }
}
