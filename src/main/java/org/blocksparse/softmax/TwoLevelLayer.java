// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.SearchEvent;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.layers.GrowingLayer;
import org.blocksparse.internal.layers.LayerFace;
import org.blocksparse.internal.layers.SavedLayer;
import org.blocksparse.internal.layers.ScoringLayer;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.search.OutputFilter;
import org.blocksparse.internal.search.RankedRows;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.search.SearchResult;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.CsrRows;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseInts;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.Workspace.Ints;

/**
 * A two-level output layer: the common part of {@link HierarchicalSoftmax}, with one target per
 * row, and {@link LabelTree}, with any number of targets. The probability of an output is the
 * probability of its class times the probability of the output within the class. A class is a group
 * of outputs.
 *
 * <pre>{@code
 * P(output | x) = P(class | x) * P(output | class, x)
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>name</th><th>shape</th><th>meaning</th></tr>
 *   <tr><td>x, gradX</td><td>(batch, features)</td><td>the input, from which outputs are predicted</td></tr>
 *   <tr><td>W1</td><td>(features, classes)</td><td>weights of the classes</td></tr>
 *   <tr><td>b1</td><td>(classes)</td><td>biases of the classes</td></tr>
 *   <tr><td>W2</td><td>(classes, features, slots)</td><td>weights of the outputs in each class</td></tr>
 *   <tr><td>b2</td><td>(classes, slots)</td><td>biases of the outputs in each class</td></tr>
 * </table>
 *
 * <p>Methods identify outputs by the caller's ids; {@link #assignment} has the class and slot of
 * each. Empty slots have no probability and no gradient, but if W2 is not finite there, neither are
 * the gradients of x. The number of rows may differ from call to call, and is at most
 * 2<sup>29</sup>.
 *
 * <p><b>Cost.</b> Methods state the multiply-adds per row, for F features, C classes and S slots,
 * and then the blocks of W2 that they read. Rows that open the same class share one read of its
 * block.
 *
 * <p><b>Threads.</b> Any number of threads may predict at the same time. The caller must not run a
 * step, or a method that changes outputs or classes, at the same time as anything else on the same
 * layer. A {@link #copy} can serve meanwhile. Results are bitwise identical for any workers.
 *
 * <p><b>Errors.</b> Every method throws these exceptions, and then changes nothing:
 *
 * <ul>
 *   <li>{@link NullPointerException} if a required argument is null
 *   <li>{@link IllegalArgumentException} if a shape or a number of rows does not fit
 *   <li>{@link IndexOutOfBoundsException} if a target is outside [0, outputs)
 *   <li>{@link IllegalStateException} if the layer, a tensor or the targets are closed
 * </ul>
 *
 * @param <T> the targets: {@link IntTensor}, one per row, or {@link SparseRows}, any number per row
 */
@SuppressWarnings("exports") // the superclass has nothing that users see
public abstract sealed class TwoLevelLayer<T>
    extends LayerFace<ScoringLayer<FloatTensor, ScoreSource>> implements AutoCloseable
    permits HierarchicalSoftmax, LabelTree {
  static final String X = "(batch, features)";

  private final TargetBatch.Checker<T> targets;
  private final HeldLayer held;

  TwoLevelLayer(LayerContent content, TargetBatch.Checker<T> targets) {
    this(new HeldLayer(content), targets);
  }

  private TwoLevelLayer(HeldLayer held, TargetBatch.Checker<T> targets) {
    super(held);
    this.held = held;
    this.targets = targets;
  }

  final LayerMemory memory() {
    return held.memory();
  }

  final TargetBatch.Checker<T> targets() {
    return targets;
  }

  /** Returns the same in other memory. */
  final LayerContent content(LayerMemory other) {
    return held.content(other);
  }

  private SoftmaxTraining<T> training() {
    return new SoftmaxTraining<>(memory(), targets);
  }

  // -------------------------------------------------------------------------------- what it is

  /** Returns the size of a row of x. */
  public int features() {
    return memory().features();
  }

  /** Returns the number of outputs. */
  public int outputs() {
    return memory().table().outputs();
  }

  /** Returns the number of classes. */
  public int classCount() {
    return memory().table().classes();
  }

  /** Returns the class of each output, and its slot in the class. */
  public ClassAssignment assignment() {
    return new ClassAssignment(memory().table());
  }

  /** Returns whether the outputs have names. */
  public boolean hasLabels() {
    return held.labels != null;
  }

  /**
   * Returns the names of the outputs.
   *
   * @throws IllegalStateException if the outputs have no names
   */
  public Labels labels() {
    return NameTable.orThrow(held.labels);
  }

  /**
   * Sets the names of the outputs. Existing rankings keep the old names.
   *
   * @throws IllegalArgumentException unless there is one name per output
   */
  public void setLabels(Labels names) {
    held.labels = NameTable.from(requireNonNull(names, "labels")).forAll(outputs());
  }

  /**
   * Returns the weights of the classes, (features, classes): the layer's own, not a copy.
   *
   * @throws IllegalStateException if {@link #weightType} is not FLOAT32: such a layer is read-only
   */
  public FloatTensor W1() {
    return tensor(Parameter.W1);
  }

  /** Returns the biases of the classes, (classes): the layer's own, not a copy. */
  public FloatTensor b1() {
    return tensor(Parameter.B1);
  }

  /** Returns the weights of the outputs, (classes, features, slots); as {@link #W1}. */
  public FloatTensor W2() {
    return tensor(Parameter.W2);
  }

  /** Returns the biases of the outputs, (classes, slots): the layer's own, not a copy. */
  public FloatTensor b2() {
    return tensor(Parameter.B2);
  }

  private FloatTensor tensor(Parameter parameter) {
    LayerMemory all = memory();
    return all.sizes().tensor(parameter, all.floats(parameter));
  }

  /**
   * Returns the storage type of W1 and W2. If it is not FLOAT32, {@link #W1} and {@link #W2} throw.
   */
  public ElementType weightType() {
    return memory().parameters().type().elementType();
  }

  /**
   * Returns the number of training steps so far. It includes steps in which no row counted, but no
   * step that threw an exception, even if it changed parameters.
   */
  public long steps() {
    return held.steps.get();
  }

  /** Returns the off-heap memory of this layer: mapped bytes and private bytes. */
  public MemoryUse memoryUse() {
    return KernelOperands.memoryUse(memory().storages());
  }

  /** Returns the strings of the file that this layer was loaded from, by key. */
  public Map<String, String> metadata() {
    return held.metadata();
  }

  /** Frees the parameters and the memory pooled for later calls, as soon as no call uses them. */
  @Override
  public void close() {
    held.close();
  }

  @Override
  public String toString() {
    LayerMemory all = memory();
    ElementType type = weightType();
    return getClass().getSimpleName()
        + "("
        + all.features()
        + " features, "
        + assignment()
        + ", "
        + all.parameters().bytes(all.sizes())
        + " bytes"
        + (type == ElementType.FLOAT32 ? "" : ", weights of " + type)
        + ", "
        + all.engine()
        + ")";
  }

  // ------------------------------------------------------------------------------------ copies

  /**
   * Returns an independent copy, with the same parameters, optimizer state, classes, names and
   * metadata: a snapshot that serves while this layer trains or grows. It is in memory even if this
   * layer is mapped from a file, and can be trained if its weights are FLOAT32.
   *
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public abstract TwoLevelLayer<T> copy();

  /**
   * Returns a copy of this layer with weights of a type. All guarantees hold for the copy, but only
   * FLOAT32 can be trained and grow. If the type is that of this layer, this method is {@link
   * #copy}; otherwise the copy has no optimizer state.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   * @throws IllegalStateException if the weights have already been rounded to another narrow type
   */
  public abstract TwoLevelLayer<T> withWeights(ElementType type);

  // ------------------------------------------------------------------------------------- files

  /** Saves parameters and classes; see {@link #save(Path, SaveOptions)}. */
  public void save(Path file) throws IOException {
    save(file, SaveOptions.defaults());
  }

  /**
   * Saves the layer as a safetensors file with the tensors W1, b1, W2, b2, classOf and slotOf, and
   * its labels. The write is atomic: even after a crash, the file is the old one or the new one.
   *
   * <p>The new file is written beside the old one, with a hidden name, and then renamed. It gets
   * the old file's POSIX permissions. If the path is a symbolic link, its target is replaced or
   * created; other hard links keep the old content. Temporary files of the same path that a killed
   * process left are deleted.
   *
   * @throws IllegalStateException if a parameter is not finite
   * @throws IllegalArgumentException if the metadata is too large for a file; see {@link
   *     SaveOptions#withMetadata}
   * @throws IOException if the file cannot be written, or is not a regular file; an old one is
   *     unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    requireNonNull(file, "file");
    SaveSettings settings = SaveSettings.from(requireNonNull(options, "options"));
    ModelFile.save(content(memory()), file, settings);
  }

  // -------------------------------------------------------------------------------- prediction

  /** Checks x, and returns its number of rows. */
  static int checkX(LayerMemory memory, FloatTensor x) {
    Check.rank("x", x, X, 2);
    int batch = Check.batch("x", x.shape().dim(0), "rows");
    Check.shape("x", x, X, batch, memory.features());
    return batch;
  }

  /** Checks that an output shares no memory with x or a parameter. */
  static void checkNoOverlap(LayerMemory memory, String outName, FloatTensor out, FloatTensor x) {
    Check.noOverlap(outName, out, "x", x);
    for (Parameter parameter : Parameter.values()) {
      Check.noOverlap(outName, out, parameter.label(), memory.parameters().of(parameter));
    }
  }

  private interface Computation<R> {
    R of(LayerMemory memory, Rows x, Workspace workspace);
  }

  /** Computes something from x and the allowed outputs of a filter. */
  private <R> R compute(FloatTensor x, Filter filter, Computation<R> computation) {
    LayerMemory all = memory();
    try (OperandLease lease =
            FilterLists.from(filter).lease(all.lease(new OperandLease()).of("x", x));
        Workspace workspace = all.softmax().borrowWorkspace()) {
      return computation.of(all, KernelOperands.rows(x), workspace);
    }
  }

  private FloatTensor all(FloatTensor x, boolean logarithm) {
    int batch = checkX(memory(), x);
    return KernelOperands.filled(
        FloatTensor.zeros(batch, outputs()), out -> computeAll(x, logarithm, out));
  }

  private void all(FloatTensor x, boolean logarithm, FloatTensor out) {
    Check.shape("out", out, "(batch, outputs)", checkX(memory(), x), outputs());
    checkNoOverlap(memory(), "out", out, x);
    computeAll(x, logarithm, out);
  }

  private void computeAll(FloatTensor x, boolean logarithm, FloatTensor out) {
    try (OperandLease lease = new OperandLease().writing("out", out)) {
      compute(
          x,
          FilterLists.NONE,
          (all, rows, workspace) -> {
            scoring(all).all(rows, logarithm, KernelOperands.rows(out), workspace);
            return out;
          });
    }
  }

  private static Scoring scoring(LayerMemory all) {
    return new Scoring(all.softmax(), all.table());
  }

  /** Returns the probabilities or log probabilities of the outputs that each row lists. */
  final FloatTensor scores(FloatTensor x, SparseRows named, boolean logarithm) {
    int batch = checkX(memory(), x);
    CsrRows.from(requireNonNull(named, "targets")).requireRows("targets", batch);
    try (OperandLease lease = CsrRows.from(named).lease(new OperandLease(), "targets")) {
      CsrRows.from(named).requireIndices("targets", "outputs", outputs());
      int[] offsets = CsrRows.from(named).offsets();
      int[] wanted = CsrRows.from(named).indices();
      return KernelOperands.filled(
          FloatTensor.zeros(wanted.length),
          result ->
              compute(
                  x,
                  FilterLists.NONE,
                  (all, rows, workspace) -> {
                    scoring(all)
                        .of(
                            rows,
                            logarithm,
                            offsets,
                            wanted,
                            Dense.from(result).storage(),
                            workspace);
                    return result;
                  }));
    }
  }

  private FloatTensor scores(FloatTensor x, IntTensor named, boolean logarithm) {
    int batch = checkX(memory(), x);
    int rank = requireNonNull(named, "targets").shape().rank();
    if (rank != 1 && rank != 2) {
      throw new IllegalArgumentException(
          "targets: expected (batch) or (batch, n) but was " + named.shape());
    }
    int n = rank == 1 ? 1 : (int) named.shape().dim(1);
    if (rank == 1) {
      Check.shape("targets", named, "(batch)", batch);
    } else {
      Check.shape("targets", named, "(batch, n)", batch, n);
    }
    DenseInts.from(named).requireForArray("targets");
    return KernelOperands.filled(
        FloatTensor.zeros(named.shape().toArray()),
        result ->
            compute(
                x,
                FilterLists.NONE,
                (all, rows, workspace) -> {
                  int[] wanted = workspace.ints(Ints.TARGETS, batch * n);
                  DenseInts.from(named).get("targets", wanted);
                  int bound = all.table().outputs();
                  for (int i = 0; i < batch * n; i++) {
                    Check.index("targets", wanted[i], i, rank == 1 ? 0 : n, "outputs", bound);
                  }
                  int[] offsets = workspace.ints(Ints.TARGET_OFFSETS, batch + 1);
                  for (int row = 0; row <= batch; row++) {
                    offsets[row] = row * n;
                  }
                  scoring(all)
                      .of(
                          rows,
                          logarithm,
                          offsets,
                          wanted,
                          Dense.from(result).storage(),
                          workspace);
                  return result;
                }));
  }

  /**
   * Returns the probabilities of all outputs, (batch, outputs). This costs as much as a dense
   * layer. If you need only the most probable outputs, {@link #topK} is much faster and as exact.
   *
   * <p>Cost: F (C + C S); reads all of W2.
   */
  public FloatTensor probabilities(FloatTensor x) {
    return all(x, false);
  }

  /**
   * Computes {@link #probabilities(FloatTensor)} into an existing tensor. This saves the
   * allocation, about a tenth of the time.
   *
   * @param out (batch, outputs), which must not overlap x or a parameter
   */
  public void probabilities(FloatTensor x, FloatTensor out) {
    all(x, false, out);
  }

  /** Returns the log probabilities of all outputs, (batch, outputs); as {@link #probabilities}. */
  public FloatTensor logProbabilities(FloatTensor x) {
    return all(x, true);
  }

  /** Computes {@link #logProbabilities(FloatTensor)} into an existing tensor. */
  public void logProbabilities(FloatTensor x, FloatTensor out) {
    all(x, true, out);
  }

  /**
   * Returns the probabilities of given outputs; as {@link #logProbabilitiesOf(FloatTensor,
   * IntTensor)}.
   */
  public FloatTensor probabilitiesOf(FloatTensor x, IntTensor targets) {
    return scores(x, targets, false);
  }

  /**
   * Returns the log probabilities of given outputs for each row, such as its target or several
   * candidates, without computing the others.
   *
   * <p>Cost: F (C + S d), where d is the number of different classes of a row's targets; reads
   * these classes.
   *
   * @param targets (batch) or (batch, n), each in [0, outputs); repeats are allowed
   * @return of the same shape
   */
  public FloatTensor logProbabilitiesOf(FloatTensor x, IntTensor targets) {
    return scores(x, targets, true);
  }

  /**
   * Returns the k most probable outputs of each row, exactly: as if all log probabilities were
   * computed and sorted, ties by ascending id. No output is more probable than its class, so the
   * search opens only classes that can contain a top-k output; {@link Ranking#openedClasses}
   * returns how many.
   *
   * <p>Cost: F (C + S o), where o is the number of opened classes; reads these classes, some more
   * than once for many rows. The search pools memory for later calls: at most 50 MB for classes,
   * and 64 MB or a quarter of W2, whichever is larger, for opened classes. Many rows are searched
   * in groups.
   *
   * @param k at least 1; if larger than the number of outputs, the result has all outputs
   * @throws IllegalArgumentException also if k is less than 1
   */
  public Ranking topK(FloatTensor x, int k) {
    return topK(x, k, FilterLists.NONE);
  }

  /**
   * Returns the k most probable outputs of each row among those that a filter allows, or all of
   * them if it allows fewer than k.
   *
   * <p>Cost: as without a filter, plus some nanoseconds per listed output, and per class if each
   * row has its own list. If the filter excludes probable outputs, the search opens more classes.
   *
   * @throws IllegalArgumentException also if k is less than 1, or the filter is for another batch,
   *     or {@linkplain Filter#withRenormalization renormalized} for a label tree
   * @throws IndexOutOfBoundsException if the filter lists an output that does not exist
   */
  public Ranking topK(FloatTensor x, int k, Filter filter) {
    int limit = Math.min(Check.atLeast(1, "k", k), outputs());
    return search("topK", x, filter, logAllowed -> Candidates.best(limit, logAllowed));
  }

  /**
   * Returns all outputs of each row whose probability is at least {@code probability}; with 0.5,
   * those that are more likely right than wrong. The comparison uses logarithms, both rounded to
   * float. Cost as {@link #topK}.
   *
   * @param probability in (0, 1]
   * @throws IllegalArgumentException also if {@code probability} is not in (0, 1]
   */
  public Ranking atLeast(FloatTensor x, double probability) {
    return atLeast(x, probability, FilterLists.NONE);
  }

  /**
   * Searches as {@link #atLeast(FloatTensor, double)} does, among the outputs that a filter allows;
   * errors as {@link #topK(FloatTensor, int, Filter)}.
   */
  public Ranking atLeast(FloatTensor x, double probability, Filter filter) {
    float threshold = (float) Math.log(Check.inUnitInterval("probability", probability));
    return search("atLeast", x, filter, logAllowed -> Candidates.atLeast(threshold, logAllowed));
  }

  final Ranking search(String query, FloatTensor x, Filter filter, Candidates.Maker candidates) {
    SearchEvent event = Recorder.search();
    SearchResult found = search(x, filter, candidates);
    if (event != null) {
      event.record(query, memory().kind(), found.openedClasses(), classCount());
    }
    return new RankedRows(found, held.labels);
  }

  private SearchResult search(FloatTensor x, Filter filter, Candidates.Maker candidates) {
    OutputFilter allowed = check(x, filter);
    return compute(
        x,
        filter,
        (all, rows, workspace) ->
            new TwoLevelSearch(all.softmax(), all.table())
                .search(rows, allowed, candidates, workspace));
  }

  private OutputFilter check(FloatTensor x, Filter filter) {
    requireNonNull(filter, "filter");
    if (memory().link() == Link.LOGISTIC) {
      FilterLists.from(filter).requireNotRenormalized();
    }
    return FilterLists.from(filter).check(checkX(memory(), x), outputs());
  }

  final int[] draw(FloatTensor x, double temperature, RandomGenerator random, Filter filter) {
    requireNonNull(random, "random");
    if (!(temperature > 0 && temperature < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "temperature: expected a finite number > 0 but was " + temperature);
    }
    OutputFilter allowed = check(x, filter);
    return compute(
        x,
        filter,
        (all, rows, workspace) ->
            new Sampling(all.softmax(), all.table(), allowed, temperature, random)
                .draw(rows, workspace));
  }

  /**
   * Explains the probability of an output, level by level.
   *
   * <p>Cost: F (C + S); reads the class of the output.
   *
   * @param x (1, features)
   * @param output in [0, outputs)
   * @throws IllegalArgumentException also if the output is retired
   */
  public Explanation explain(FloatTensor x, int output) {
    Check.shape("x", x, "(1, features)", 1, features());
    Check.index("output", output, "outputs", outputs());
    if (memory().table().classOf()[output] == ClassTable.RETIRED) {
      throw new IllegalArgumentException("output: " + output + " is retired");
    }
    Labels names = held.labels;
    Scoring.Part[] parts =
        compute(
            x,
            FilterLists.NONE,
            (all, row, workspace) -> scoring(all).explain(row, output, workspace));
    return new Explanation(
        output,
        names != null && output < names.size() ? names.name(output) : null,
        memory().table().classOf()[output],
        parts[0].probability(),
        parts[0].rank(),
        parts[1].probability(),
        parts[1].rank());
  }

  // ---------------------------------------------------------------------------------- training

  /**
   * Returns the mean of the losses of the rows that count; 0 for no rows. See {@link
   * #losses(FloatTensor, Object, Loss)}.
   */
  public double loss(FloatTensor x, T targets) {
    return loss(x, targets, Loss.mean());
  }

  /** Returns the loss that a {@link #step} would report, without a step and without dropout. */
  public double loss(FloatTensor x, T targets, Loss loss) {
    return training().loss(x, targets, loss);
  }

  /** Returns the loss of each row, (batch). */
  public FloatTensor losses(FloatTensor x, T targets) {
    return losses(x, targets, Loss.sum());
  }

  /**
   * Returns the contribution of each row to a loss, (batch); with {@link Loss#sum}, the loss of
   * each row. Ignored rows contribute 0.
   *
   * <p>Cost: F (C + S d), where d is the number of different classes of a row's targets; reads
   * these classes.
   *
   * @throws IllegalArgumentException also if the loss does not support these targets
   */
  public FloatTensor losses(FloatTensor x, T targets, Loss loss) {
    return training().losses(x, targets, loss);
  }

  /** Returns the gradients of the mean loss of the rows. */
  public SoftmaxGradients gradients(FloatTensor x, T targets) {
    return gradients(x, targets, Loss.mean());
  }

  /**
   * Returns the gradients of a loss with respect to x and all parameters, dense: this allocates a
   * tensor of the size of W2. For training, use {@link #step}, which does not.
   *
   * <p>Cost: 3 F (C + S d), plus C F S to clear; reads the classes of the targets.
   */
  public SoftmaxGradients gradients(FloatTensor x, T targets, Loss loss) {
    return training().gradients(x, targets, loss);
  }

  /**
   * Makes a training step on the mean loss of the rows, without a gradient for x; see {@link
   * #step(FloatTensor, Object, Loss, Optimizer, FloatTensor)}.
   */
  public double step(FloatTensor x, T targets, Optimizer optimizer) {
    return step(x, targets, Loss.mean(), optimizer, null);
  }

  /**
   * Makes a training step: computes the loss and gradients, and updates all parameters, class by
   * class, while each block of W2 is in the cache. It touches only the classes of the targets, and
   * never allocates a gradient of the size of W2: time and memory do not depend on the number of
   * outputs in other classes. If every row has weight 0 or only ignored targets, only {@link
   * #steps} changes.
   *
   * <p>Cost: 3 F (C + S d), or 2 F (C + S d) without gradX, where d is the number of different
   * classes of a row's targets; reads and writes these classes once.
   *
   * <p>The step pools memory for later calls: with one target per row, C + S floats per row; with
   * several, C + S d floats per row, or C + (S + F) d with gradX; F more with dropout. The part
   * with d is limited to the largest of 64 MB, a quarter of W2, and the need of the rows that open
   * one class. Larger batches process their classes in groups, which changes only the rounding of
   * gradX.
   *
   * @param x (batch, features); must not share memory with a parameter
   * @param optimizer this layer keeps its state, until a step uses another optimizer
   * @param gradX (batch, features) receives the gradient with respect to x, computed before the
   *     update; or null. Must not share memory with x or a parameter
   * @return the loss before the step
   * @throws IllegalArgumentException also if the loss does not support these targets
   * @throws IllegalStateException also if the weights are of a read-only type; see {@link
   *     #withWeights}
   * @throws ArithmeticException if the loss is not finite. If x or the class level is the cause,
   *     nothing changes. If W2 or b2 is the cause, only classes whose own loss is finite are
   *     updated, and gradX is undefined
   */
  public double step(FloatTensor x, T targets, Loss loss, Optimizer optimizer, FloatTensor gradX) {
    long taken = held.steps.get();
    // A file may have the largest number of steps.
    long number = Math.max(taken, taken + 1);
    double value = training().step(x, targets, loss, optimizer, gradX, TrainingPass::run, number);
    held.steps.updateAndGet(before -> Math.max(before, before + 1));
    return value;
  }

  // ------------------------------------------------------------------------------------ growth

  private int[] checked(int... outputs) {
    Check.indices("outputs", requireNonNull(outputs, "outputs"), 0, "outputs", outputs());
    return outputs;
  }

  /**
   * Adds outputs to the smallest classes. The initial weights and bias of a new output are the
   * means over the outputs of its class. In a softmax, its initial probability is the geometric
   * mean of theirs; in a label tree, this holds for the odds of the output given its class. New
   * outputs start with empty optimizer state, and Adam counts their steps from zero. Existing
   * outputs keep their state. If the layer has names, {@linkplain #setLabels set names} for the new
   * outputs.
   *
   * <p>If there are empty slots, only the classes that get an output change. Otherwise all classes
   * get more slots, a sixteenth more than needed. Then {@link #W1}, {@link #W2} and the biases are
   * new tensors, and the previous ones are closed.
   *
   * @param n the number of new outputs, at least 1
   * @return the id of the first new output; the others follow
   * @throws IllegalArgumentException also if n is less than 1, or if there would be too many
   *     outputs for an int
   * @throws IllegalStateException also if the outputs go into empty slots, and the layer is mapped
   *     read-only from a file
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public int addOutputs(int n) {
    int first = outputs();
    held.replace(Growth.added(memory(), Check.atLeast(1, "n", n)));
    return first;
  }

  /**
   * Adds outputs as {@link #addOutputs(int)} does, but each one to the most probable class for a
   * given x, among classes that then have an empty slot.
   *
   * <p>Many rows are placed in groups, in at most 16 MB.
   *
   * @param x (n, features), n at least 1, finite: an input for each new output, such as the mean of
   *     its examples
   */
  public int addOutputs(FloatTensor x) {
    int first = outputs();
    memory().requireTrainable("growth");
    if (checkX(memory(), x) == 0) {
      throw new IllegalArgumentException("x: expected at least 1 row but was " + x.shape());
    }
    try (OperandLease lease = new OperandLease().of("x", x)) {
      Check.finite("x", KernelOperands.rows(x));
    }
    held.replace(Growth.added(memory(), KernelOperands.rows(x)));
    return first;
  }

  /**
   * Adds outputs as {@link #addOutputs(int)}, and as many rows to the bag below this layer, as
   * {@link EmbeddingBag#addRows(int)}. Use it if the same items are inputs and outputs. Both grow,
   * or neither does.
   *
   * @param bag has a row for each output of this layer
   * @return the id of the first new output and row; the others follow
   * @throws IllegalArgumentException also if the bag has another number of rows than this layer has
   *     outputs
   * @throws IllegalStateException also if the bag is closed, or its table is of a read-only type
   */
  public int addOutputs(int n, EmbeddingBag bag) {
    Check.atLeast(1, "n", n);
    if (requireNonNull(bag, "bag").vocabulary() != outputs()) {
      throw new IllegalArgumentException(
          "bag: expected a row for each of outputs = "
              + outputs()
              + " but was "
              + bag.vocabulary()
              + " rows");
    }
    GrowingLayer.Grown grown = SavedLayer.of(bag).grown(n);
    int first;
    try {
      first = addOutputs(n);
    } catch (Throwable e) {
      grown.close();
      throw e;
    }
    grown.install();
    return first;
  }

  /**
   * Removes outputs from the layer. They keep their ids, which no other output gets, and have a
   * probability of exactly zero. In a softmax, their probability goes to the other outputs of their
   * classes; in a label tree, other probabilities do not change. Retired targets are rejected. A
   * class without outputs is dropped: the parameters are new tensors then, as in {@link
   * #addOutputs(int)}.
   *
   * @param outputs in any order; retired outputs and repeats have no effect
   * @throws IndexOutOfBoundsException if one is outside [0, outputs)
   * @throws IllegalArgumentException also if no output would be left
   * @throws IllegalStateException also if the layer is mapped read-only, and no class is dropped
   */
  public void retire(int... outputs) {
    held.replace(Growth.retired(memory(), checked(outputs)));
  }

  /**
   * Reuses the ids of retired outputs for new outputs, which are placed and initialized as in
   * {@link #addOutputs(int)}. Only the names of the retired outputs remain: replace them with
   * {@link #setLabels}.
   *
   * @throws IndexOutOfBoundsException if one is outside [0, outputs)
   * @throws IllegalArgumentException also if an output is not retired, or occurs twice
   */
  public void reuse(int... outputs) {
    held.replace(Growth.reused(memory(), checked(outputs)));
  }

  /**
   * Moves the outputs to other classes, with their optimizer state. Retired outputs stay retired,
   * even if the assignment has a class for them.
   *
   * <p>The initial weights of a class are the mean over the previous classes of its outputs; in a
   * label tree, plus those of the outputs. The initial weights of an output include the difference
   * to its previous class. So training can continue: for x = 0 all probabilities stay equal; for
   * other x they are close, and further training corrects them. If the outputs of a class stay
   * together, nothing changes.
   *
   * <p>The parameters are new tensors then, as in {@link #addOutputs(int)}.
   *
   * @throws IllegalArgumentException also if the assignment has another number of outputs, or
   *     retires an output that is not retired here
   * @throws OutOfMemoryError if there is not enough native memory; the message names the bytes
   */
  public void reassign(ClassAssignment classes) {
    held.replace(Growth.reassigned(memory(), requireNonNull(classes, "classes").table()));
  }
}
