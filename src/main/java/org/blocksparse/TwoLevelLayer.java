// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.events.SearchEvent;
import org.blocksparse.internal.layer.BagMemory;
import org.blocksparse.internal.layer.Growth;
import org.blocksparse.internal.layer.LayerContent;
import org.blocksparse.internal.layer.LayerMemory;
import org.blocksparse.internal.layer.ModelFile;
import org.blocksparse.internal.softmax.Candidates;
import org.blocksparse.internal.softmax.ClassTable;
import org.blocksparse.internal.softmax.ExactSearch;
import org.blocksparse.internal.softmax.Link;
import org.blocksparse.internal.softmax.OutputFilter;
import org.blocksparse.internal.softmax.Parameter;
import org.blocksparse.internal.softmax.Sampling;
import org.blocksparse.internal.softmax.Scoring;
import org.blocksparse.internal.softmax.TrainingPass;
import org.blocksparse.internal.softmax.Workspace;
import org.blocksparse.internal.softmax.Workspace.Ints;

/**
 * An output layer of two levels, the common part of {@link HierarchicalSoftmax}, with one target a
 * row, and {@link LabelTree}, with any number: the probability of an output is that of its class
 * times its own within the class.
 *
 * <pre>{@code
 * P(output | x) = P(class | x) * P(output | class, x)
 * }</pre>
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>name</th><th>shape</th><th>meaning</th></tr>
 *   <tr><td>x, gradX</td><td>(batch, features)</td><td>what the outputs are predicted from</td></tr>
 *   <tr><td>W1</td><td>(features, classes)</td><td>weights of the classes</td></tr>
 *   <tr><td>b1</td><td>(classes)</td><td>biases of the classes</td></tr>
 *   <tr><td>W2</td><td>(classes, features, slots)</td><td>weights of the outputs in each class</td></tr>
 *   <tr><td>b2</td><td>(classes, slots)</td><td>biases of the outputs in each class</td></tr>
 * </table>
 *
 * <p>Outputs always go by the caller's own numbers; {@link #assignment} has the place of each one.
 * Empty slots have no probability and no gradient; W2 must be finite there, or the gradients of x
 * are not. The number of rows may differ from call to call; a call takes at most 2<sup>29</sup>.
 *
 * <p><b>Cost.</b> Methods state the multiply-adds for a row, by F features, C classes and S slots,
 * and which blocks of W2 they read. Rows that open the same class share the reading of its block.
 *
 * <p><b>Threads.</b> Any number of threads may predict at the same time. The caller must not run a
 * step, or a method that changes outputs or classes, at the same time as anything else on the same
 * layer. A {@link #copy} can serve meanwhile. Bits do not depend on the workers.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if an argument is null that
 * may not be, {@link IllegalArgumentException} if a shape or a number of rows does not fit, {@link
 * IndexOutOfBoundsException} if a target is outside [0, outputs), and {@link IllegalStateException}
 * if the layer, a tensor or the targets are closed. Nothing is changed then.
 *
 * @param <T> the targets: {@link IntTensor}, one of each row, or {@link SparseRows}, any number
 */
public abstract sealed class TwoLevelLayer<T> implements AutoCloseable
    permits HierarchicalSoftmax, LabelTree {
  static final String X = "(batch, features)";

  private final TargetBatch.Checker<T> targets;
  private volatile LayerMemory memory;
  private volatile boolean closed;
  private final AtomicLong steps;
  private final Map<String, String> metadata;
  private volatile Labels labels;

  TwoLevelLayer(LayerContent content, TargetBatch.Checker<T> targets) {
    this.targets = targets;
    this.memory = content.memory();
    this.steps = new AtomicLong(content.steps());
    this.metadata = Collections.unmodifiableMap(content.metadata());
    this.labels = Labels.ofOrNull(content.labels());
  }

  final LayerMemory memory() {
    return memory;
  }

  final TargetBatch.Checker<T> targets() {
    return targets;
  }

  /** The same in other memory. */
  final LayerContent content(LayerMemory other) {
    Labels names = labels;
    return new LayerContent(other, metadata, steps.get(), names == null ? null : names.table());
  }

  private Training<T> training() {
    return new Training<>(memory, targets);
  }

  // -------------------------------------------------------------------------------- what it is

  /** The size of a row of x. */
  public int features() {
    return memory.features();
  }

  /** The number of outputs. */
  public int outputs() {
    return memory.table().outputs();
  }

  /** The number of classes. */
  public int classCount() {
    return memory.table().classes();
  }

  /** The class and slot of each output: its class, and its slot in the class. */
  public ClassAssignment assignment() {
    return new ClassAssignment(memory.table());
  }

  /** Whether it has names for its outputs. */
  public boolean hasLabels() {
    return labels != null;
  }

  /**
   * The names of the outputs.
   *
   * @throws IllegalStateException if it has none
   */
  public Labels labels() {
    return Labels.orThrow(labels);
  }

  /**
   * Sets the names of the outputs. Rankings made before keep theirs.
   *
   * @throws IllegalArgumentException if there are more than outputs; there may be fewer, so that
   *     outputs with the last numbers have none
   */
  public void setLabels(Labels names) {
    labels = requireNonNull(names, "labels").forAtMost(outputs());
  }

  /**
   * Weights of the classes, (features, classes): the layer's own, not a copy.
   *
   * @throws IllegalStateException if they are of another type than floats: the layer was loaded
   *     from a file that {@link SaveOptions#withWeights} made, and is only read
   */
  public FloatTensor W1() {
    return tensor(Parameter.W1);
  }

  /** Biases of the classes, (classes): the layer's own, not a copy. */
  public FloatTensor b1() {
    return tensor(Parameter.B1);
  }

  /** Weights of the outputs, (classes, features, slots); as {@link #W1}. */
  public FloatTensor W2() {
    return tensor(Parameter.W2);
  }

  /** Biases of the outputs, (classes, slots): the layer's own, not a copy. */
  public FloatTensor b2() {
    return tensor(Parameter.B2);
  }

  private FloatTensor tensor(Parameter parameter) {
    LayerMemory all = memory;
    return KernelOperands.tensor(all.sizes(), parameter, all.floats(parameter));
  }

  /** The storage type of W1 and W2. If it is not FLOAT32, W1() and W2() refuse to give them out. */
  public ElementType weightType() {
    return ElementType.of(memory.parameters().type());
  }

  /**
   * The number of training steps so far. One in which no row counted is among them; one that ended
   * with an exception is not, whatever it has changed.
   */
  public long steps() {
    return steps.get();
  }

  /** The memory that it takes off the heap, mapped and private. */
  public MemoryUse memoryUse() {
    return MemoryUse.of(memory.storages());
  }

  /** The strings that were in the file that this layer was loaded from, by key. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** Frees the parameters and all that was kept for later calls, as soon as no call uses them. */
  @Override
  public void close() {
    closed = true; // before the memory is read: what takes its place from now on is closed as well
    memory.close();
  }

  @Override
  public String toString() {
    LayerMemory all = memory;
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
        + Workers.over(all.engine())
        + ")";
  }

  // ------------------------------------------------------------------------------------ copies

  /**
   * A layer of its own with the same parameters, optimizer state, classes, names and metadata: a
   * snapshot that serves while this layer trains or grows. It is in memory also if this one is
   * mapped from a file, and can be trained if its weights are of FLOAT32.
   *
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public abstract TwoLevelLayer<T> copy();

  /**
   * A copy of this layer with weights of a type: all that is promised of the layer is true for
   * them, but only FLOAT32 can be trained and grow. It is {@link #copy} if they are of that type;
   * of another, there is no optimizer state. {@link SaveOptions#withWeights} needs no copy.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   * @throws IllegalStateException if weights would be rounded that have been rounded before
   */
  public abstract TwoLevelLayer<T> withWeights(ElementType type);

  // ------------------------------------------------------------------------------------- files

  /** Saves parameters and classes; see {@link #save(Path, SaveOptions)}. */
  public void save(Path file) throws IOException {
    save(file, SaveOptions.defaults());
  }

  /**
   * Saves the layer as a safetensors file with the tensors W1, b1, W2, b2, classOf and slotOf, and
   * its labels. Whenever the machine stops, the file is the old one or the new one, never a part of
   * one.
   *
   * <p>The new file is written beside the old one, with a hidden name, and takes its place in one
   * step; it has the old one's mode, and its owner and group where the system allows it. A symbolic
   * link stays, and what it points to is replaced or made; other hard links keep the old content.
   * Temporary files that a killed process has left behind for the same file are deleted.
   *
   * @throws IllegalStateException if a parameter is not finite
   * @throws IllegalArgumentException if there is more metadata than a file can have; see {@link
   *     SaveOptions#withMetadata}
   * @throws IOException if the file cannot be written, or is not a regular file; an old one is
   *     unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    ModelFile.save(
        content(memory),
        requireNonNull(file, "file"),
        requireNonNull(options, "options").settings());
  }

  // -------------------------------------------------------------------------------- prediction

  /** The number of rows of an x that fits. */
  static int checkX(LayerMemory memory, FloatTensor x) {
    Check.rank("x", x, X, 2);
    int batch = Check.batch("x", x.shape().dim(0), "rows");
    Check.shape("x", x, X, batch, memory.features());
    return batch;
  }

  /** The output of an operation is neither x nor a parameter. */
  static void checkNoOverlap(LayerMemory memory, String outName, FloatTensor out, FloatTensor x) {
    Check.noOverlap(outName, out, "x", x);
    for (Parameter parameter : Parameter.values()) {
      Check.noOverlap(outName, out, parameter.label(), memory.parameters().of(parameter));
    }
  }

  private interface Computation<R> {
    R of(LayerMemory memory, Rows x, Workspace workspace);
  }

  /** Computes something of x, and of what a filter allows. */
  private <R> R compute(FloatTensor x, Filter filter, Computation<R> computation) {
    LayerMemory all = memory;
    try (Lease lease = filter.lease(all.lease(new Lease()).of("x", x));
        Workspace workspace = all.softmax().borrowWorkspace()) {
      return computation.of(all, KernelOperands.rows(x), workspace);
    }
  }

  private FloatTensor all(FloatTensor x, boolean logarithm) {
    int batch = checkX(memory, x);
    return FloatTensor.zeros(batch, outputs()).filledBy(out -> computeAll(x, logarithm, out));
  }

  private void all(FloatTensor x, boolean logarithm, FloatTensor out) {
    Check.shape("out", out, "(batch, outputs)", checkX(memory, x), outputs());
    checkNoOverlap(memory, "out", out, x);
    computeAll(x, logarithm, out);
  }

  private void computeAll(FloatTensor x, boolean logarithm, FloatTensor out) {
    try (Lease lease = new Lease().writing("out", out)) {
      compute(
          x,
          Filter.NONE,
          (all, rows, workspace) -> {
            scoring(all).all(rows, logarithm, KernelOperands.rows(out), workspace);
            return out;
          });
    }
  }

  private static Scoring scoring(LayerMemory all) {
    return new Scoring(all.softmax(), all.table());
  }

  /** The probabilities or log probabilities of the outputs that each row names. */
  final FloatTensor scores(FloatTensor x, SparseRows named, boolean logarithm) {
    int batch = checkX(memory, x);
    requireNonNull(named, "targets").requireRows("targets", batch);
    try (Lease lease = named.lease(new Lease(), "targets")) {
      named.requireIndices("targets", "outputs", outputs());
      int[] offsets = named.offsets();
      int[] wanted = named.indices();
      return FloatTensor.zeros(wanted.length)
          .filledBy(
              result ->
                  compute(
                      x,
                      Filter.NONE,
                      (all, rows, workspace) -> {
                        scoring(all)
                            .of(rows, logarithm, offsets, wanted, result.storage(), workspace);
                        return result;
                      }));
    }
  }

  private FloatTensor scores(FloatTensor x, IntTensor named, boolean logarithm) {
    int batch = checkX(memory, x);
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
    named.requireForArray("targets");
    return FloatTensor.zeros(named.shape().toArray())
        .filledBy(
            result ->
                compute(
                    x,
                    Filter.NONE,
                    (all, rows, workspace) -> {
                      int[] wanted = workspace.ints(Ints.TARGETS, batch * n);
                      named.get("targets", wanted);
                      int bound = all.table().outputs();
                      for (int i = 0; i < batch * n; i++) {
                        Check.index("targets", wanted[i], i, rank == 1 ? 0 : n, "outputs", bound);
                      }
                      int[] offsets = workspace.ints(Ints.TARGET_OFFSETS, batch + 1);
                      for (int row = 0; row <= batch; row++) {
                        offsets[row] = row * n;
                      }
                      scoring(all)
                          .of(rows, logarithm, offsets, wanted, result.storage(), workspace);
                      return result;
                    }));
  }

  /**
   * The probabilities of all outputs, (batch, outputs): as costly as a dense layer. Where only the
   * likely ones are wanted, {@link #topK} is much faster and as exact.
   *
   * <p>Cost: F (C + C S); all of W2.
   */
  public FloatTensor probabilities(FloatTensor x) {
    return all(x, false);
  }

  /**
   * As {@link #probabilities(FloatTensor)}, into an existing tensor. The system takes about as long
   * to give out memory of that size as a tenth of the computation.
   *
   * @param out (batch, outputs), which must not overlap x or a parameter
   */
  public void probabilities(FloatTensor x, FloatTensor out) {
    all(x, false, out);
  }

  /** The log probabilities of all outputs, (batch, outputs); as {@link #probabilities}. */
  public FloatTensor logProbabilities(FloatTensor x) {
    return all(x, true);
  }

  /** As {@link #logProbabilities(FloatTensor)}, into an existing tensor. */
  public void logProbabilities(FloatTensor x, FloatTensor out) {
    all(x, true, out);
  }

  /** The probabilities of given outputs; as {@link #logProbabilitiesOf(FloatTensor, IntTensor)}. */
  public FloatTensor probabilitiesOf(FloatTensor x, IntTensor targets) {
    return scores(x, targets, false);
  }

  /**
   * The log probabilities of given outputs for each row, without computing the rest: of its target,
   * or of several candidates.
   *
   * <p>Cost: F (C + S d), with d the different classes of a row's targets; these classes.
   *
   * @param targets (batch) or (batch, n), each in [0, outputs); repeats are allowed
   * @return of the same shape
   */
  public FloatTensor logProbabilitiesOf(FloatTensor x, IntTensor targets) {
    return scores(x, targets, true);
  }

  /**
   * The k likeliest outputs of each row, exactly: as if all log probabilities were computed and
   * sorted, equal ones by their number. Only the classes that can hold one of them are opened
   * ({@link Ranking#openedClasses} says how many), since no output is likelier than its class.
   *
   * <p>Cost: F (C + S o), with o the classes that are opened; these classes, some of them more than
   * once if there are many rows. Memory that is kept for later calls: at most 50 MB for classes,
   * and 64 MB, or a quarter of W2 if that is more, for what is opened. Many rows are searched some
   * at a time.
   *
   * @param k at least 1; larger than the number of outputs is allowed and gives all of them
   * @throws IllegalArgumentException also if k is less than 1
   */
  public Ranking topK(FloatTensor x, int k) {
    return topK(x, k, Filter.NONE);
  }

  /**
   * The k likeliest of the outputs that a filter allows, of each row; fewer if it allows fewer.
   *
   * <p>Cost: as without a filter, and in addition a few nanoseconds for each output that the filter
   * lists, and for every class where each row has a list of its own. Outputs left out may be
   * likely, so that more classes are opened.
   *
   * @throws IllegalArgumentException also if k is less than 1, or the filter is for another batch,
   *     or {@linkplain Filter#withRenormalization renormalized} for a label tree
   * @throws IndexOutOfBoundsException if the filter names an output that there is not
   */
  public Ranking topK(FloatTensor x, int k, Filter filter) {
    int limit = Math.min(Check.atLeast(1, "k", k), outputs());
    return search("topK", x, filter, logAllowed -> Candidates.best(limit, logAllowed));
  }

  /**
   * All outputs of each row whose probability is at least {@code probability}: with 0.5, those that
   * are rather right than not. Logarithms are compared, both rounded to float. Cost as {@link
   * #topK}.
   *
   * @param probability in (0, 1]
   * @throws IllegalArgumentException also if it is not
   */
  public Ranking atLeast(FloatTensor x, double probability) {
    return atLeast(x, probability, Filter.NONE);
  }

  /**
   * The same of the outputs that a filter allows; errors as {@link #topK(FloatTensor, int,
   * Filter)}.
   */
  public Ranking atLeast(FloatTensor x, double probability, Filter filter) {
    float threshold = (float) Math.log(inUnitInterval("probability", probability));
    return search("atLeast", x, filter, logAllowed -> Candidates.atLeast(threshold, logAllowed));
  }

  static double inUnitInterval(String name, double value) {
    if (!(value > 0 && value <= 1)) {
      throw new IllegalArgumentException(name + ": expected a number in (0, 1] but was " + value);
    }
    return value;
  }

  final Ranking search(String query, FloatTensor x, Filter filter, Candidates.Maker candidates) {
    OutputFilter allowed = check(x, filter);
    SearchEvent event = Recorder.search();
    ExactSearch.Found found =
        compute(
            x,
            filter,
            (all, rows, workspace) ->
                new ExactSearch(all.softmax(), all.table())
                    .search(rows, allowed, candidates, workspace));
    if (event != null) {
      event.record(query, memory.kind(), found.openedClasses(), classCount());
    }
    return new Ranking(found).with(labels);
  }

  private OutputFilter check(FloatTensor x, Filter filter) {
    requireNonNull(filter, "filter");
    if (memory.link() == Link.LOGISTIC) {
      filter.requireNotRenormalized();
    }
    return filter.check(checkX(memory, x), outputs());
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
   * <p>Cost: F (C + S); the class of the output.
   *
   * @param x (1, features)
   * @param output in [0, outputs)
   * @throws IllegalArgumentException also if the output is retired
   */
  public Explanation explain(FloatTensor x, int output) {
    Check.shape("x", x, "(1, features)", 1, features());
    Check.index("output", output, "outputs", outputs());
    if (memory.table().classOf()[output] == ClassTable.RETIRED) {
      throw new IllegalArgumentException("output: " + output + " is retired");
    }
    Labels names = labels;
    Scoring.Part[] parts =
        compute(
            x, Filter.NONE, (all, row, workspace) -> scoring(all).explain(row, output, workspace));
    return new Explanation(
        output,
        names != null && output < names.size() ? names.name(output) : null,
        memory.table().classOf()[output],
        parts[0].probability(),
        parts[0].rank(),
        parts[1].probability(),
        parts[1].rank());
  }

  // ---------------------------------------------------------------------------------- training

  /**
   * The mean of the losses of the rows that count; 0 for no rows. See {@link #losses(FloatTensor,
   * Object, Loss)}.
   */
  public double loss(FloatTensor x, T targets) {
    return loss(x, targets, Loss.mean());
  }

  /** The loss that a {@link #step} would report, without a step. */
  public double loss(FloatTensor x, T targets, Loss loss) {
    return training().loss(x, targets, loss);
  }

  /** The loss of each row, (batch). */
  public FloatTensor losses(FloatTensor x, T targets) {
    return losses(x, targets, Loss.sum());
  }

  /**
   * The share of each row in a loss, (batch): with {@link Loss#sum} the loss of each row, not
   * reduced. Rows that are ignored add 0.
   *
   * <p>Cost: F (C + S d), with d the different classes of a row's targets; these classes.
   *
   * @throws IllegalArgumentException also if the loss is not for such targets
   */
  public FloatTensor losses(FloatTensor x, T targets, Loss loss) {
    return training().losses(x, targets, loss);
  }

  /** The gradients of the mean of the losses of the rows. */
  public SoftmaxGradients gradients(FloatTensor x, T targets) {
    return gradients(x, targets, Loss.mean());
  }

  /**
   * The gradients of a loss with respect to x and all parameters, dense: a tensor of the size of W2
   * is made. For training use {@link #step}, which never makes it.
   *
   * <p>Cost: 3 F (C + S d), and to clear C F S; the classes of the targets.
   */
  public SoftmaxGradients gradients(FloatTensor x, T targets, Loss loss) {
    return training().gradients(x, targets, loss);
  }

  /**
   * A step of training on the mean of the losses of the rows, without a gradient for x; see {@link
   * #step(FloatTensor, Object, Loss, Optimizer, FloatTensor)}.
   */
  public double step(FloatTensor x, T targets, Optimizer optimizer) {
    return step(x, targets, Loss.mean(), optimizer, null);
  }

  /**
   * A step of training: loss, gradients and update of all parameters in one go, class by class,
   * while each block of W2 is in the cache. Only the classes of the targets are touched, and no
   * gradient of the size of W2 is ever made: time and memory do not depend on the number of outputs
   * in other classes. If no row has a weight other than 0 and a target that is not ignored, nothing
   * is changed but {@link #steps}.
   *
   * <p>Cost: 3 F (C + S d), or 2 F (C + S d) without gradX, with d the different classes of a row's
   * targets; these classes, which are read and written once.
   *
   * <p>Memory that is kept for later calls: C + S floats for each row, or with several targets of a
   * row C for each row, and S d, with gradX (S + F) d. The part with d is at most 64 MB, or a
   * quarter of W2 if that is more, or what the rows that open one class need: larger batches take
   * some of their classes after the others, which changes nothing but the rounding of gradX.
   *
   * @param x (batch, features); must not share memory with a parameter
   * @param optimizer the rule; its state is kept by this layer, and is dropped when a step with
   *     another rule is made
   * @param gradX (batch, features) receives the gradient with respect to x as it was before the
   *     step, or null; must not share memory with x or a parameter
   * @return the loss before the step
   * @throws IllegalArgumentException also if the loss is not for such targets
   * @throws IllegalStateException also if the weights are of a type that is only read; see {@link
   *     #withWeights}
   * @throws ArithmeticException if the loss is not finite. If x or the class level is the cause,
   *     nothing has been changed. If W2 or b2 is, classes whose own loss is finite have made their
   *     step and no other parameter has been changed; gradX is undefined
   */
  public double step(FloatTensor x, T targets, Loss loss, Optimizer optimizer, FloatTensor gradX) {
    long taken = steps.get();
    // A file may say that the last step that can be counted has been taken.
    long number = Math.max(taken, taken + 1);
    double value = training().step(x, targets, loss, optimizer, gradX, TrainingPass::run, number);
    steps.updateAndGet(before -> Math.max(before, before + 1));
    return value;
  }

  // ------------------------------------------------------------------------------------ growth

  /** Takes over what {@link Growth} returned; if it was closed meanwhile, that is closed, too. */
  private void replace(LayerMemory other) {
    memory = other;
    if (closed) {
      other.close();
    }
  }

  private int[] checked(int... outputs) {
    Check.indices("outputs", requireNonNull(outputs, "outputs"), 0, "outputs", outputs());
    return outputs;
  }

  /**
   * Adds outputs, in the classes that have the fewest. The weights and bias of each are the means
   * of those that the outputs of its class have, so that it begins as one of them: in a softmax as
   * likely as they are on the (geometric) average; in a label tree the same is true of the odds
   * that it is there if its class is. It has no optimizer state yet, and Adam counts its steps from
   * now on; all else keeps its own. Give the layer {@linkplain #setLabels names} for them, if it
   * has names.
   *
   * <p>Where there are empty slots, only the classes that take an output are touched. Where not,
   * all classes get more slots, a sixteenth more than are needed; {@link #W1}, {@link #W2} and the
   * biases then are other tensors, and those that were the layer's before are closed.
   *
   * @param n how many, at least 1
   * @return the number of the first; the others follow
   * @throws IllegalArgumentException also if n is less than 1, or if there would be too many to
   *     count
   * @throws IllegalStateException also if empty slots are to be filled and the layer is mapped
   *     read-only from a file
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public int addOutputs(int n) {
    int first = outputs();
    replace(Growth.added(memory, Check.atLeast(1, "n", n)));
    return first;
  }

  /**
   * As {@link #addOutputs(int)}, each in the class that is likeliest for a given x, of those that
   * have an empty slot when it is its turn.
   *
   * <p>Many rows are placed some at a time, in at most 16 MB.
   *
   * @param x (n, features), n at least 1: for each new output what it shall be predicted from, the
   *     mean of its examples, for instance; finite
   */
  public int addOutputs(FloatTensor x) {
    int first = outputs();
    memory.requireTrainable("growth");
    if (checkX(memory, x) == 0) {
      throw new IllegalArgumentException("x: expected at least 1 row but was " + x.shape());
    }
    try (Lease lease = new Lease().of("x", x)) {
      Check.finite("x", KernelOperands.rows(x));
    }
    replace(Growth.added(memory, KernelOperands.rows(x)));
    return first;
  }

  /**
   * Adds outputs as {@link #addOutputs(int)}, and as many rows as {@link EmbeddingBag#addRows(int)}
   * to the bag below this layer, where the same items are inputs and outputs. Both grow, or neither
   * does.
   *
   * @param bag has a row for each output of this layer
   * @return the number of the first output, and row; the others follow
   * @throws IllegalArgumentException also if the bag has another number of rows than this layer has
   *     outputs
   * @throws IllegalStateException also if the bag is closed, or its table is of a type that is only
   *     read
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
    BagMemory grown = bag.memory().grown(n, null);
    int first;
    try {
      first = addOutputs(n);
    } catch (Throwable e) {
      grown.close();
      throw e;
    }
    bag.replace(grown);
    return first;
  }

  /**
   * Takes outputs out of the layer. They keep their numbers, which no other output gets, and have a
   * probability of exactly zero. In a softmax, what they had goes to the other outputs of their
   * classes; in a label tree all others keep what they have. As targets they are refused. A class
   * that has no outputs any more is dropped: the parameters are other tensors then, as in {@link
   * #addOutputs(int)}.
   *
   * @param outputs in any order; those that are retired already, and repeats, change nothing
   * @throws IndexOutOfBoundsException if one is outside [0, outputs)
   * @throws IllegalArgumentException also if none would be left
   * @throws IllegalStateException also if the layer is mapped read-only, and no class is dropped
   */
  public void retire(int... outputs) {
    replace(Growth.retired(memory, checked(outputs)));
  }

  /**
   * Gives the numbers of retired outputs to new ones, which are placed and initialized as in {@link
   * #addOutputs(int)}. Nothing is left of what they were but their names: give them others by
   * {@link #setLabels} and {@link Labels#withName}.
   *
   * @throws IndexOutOfBoundsException if one is outside [0, outputs)
   * @throws IllegalArgumentException also if one is not retired, or if one occurs twice
   */
  public void reuse(int... outputs) {
    replace(Growth.reused(memory, checked(outputs)));
  }

  /**
   * Moves the outputs to other classes; retired ones stay retired, whatever the assignment says.
   * Optimizer state moves along.
   *
   * <p>A class begins with the mean weights of the classes that its outputs come from (in a label
   * tree, with those of the outputs as well), and an output with the difference to what its class
   * had, so that training goes on from there: for x = 0 all probabilities stay as they are, for
   * others they are near and get right again by training. Where a class stays together, nothing
   * changes.
   *
   * <p>The parameters are other tensors then, as in {@link #addOutputs(int)}.
   *
   * @throws IllegalArgumentException also if it is for another number of outputs, or if an output
   *     that is not retired is so there
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public void reassign(ClassAssignment classes) {
    replace(Growth.reassigned(memory, requireNonNull(classes, "classes").table()));
  }
}
