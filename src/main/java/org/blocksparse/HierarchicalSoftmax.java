// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.softmax.TwoLevelSoftmax;
import org.blocksparse.internal.softmax.Workspace;

/**
 * A softmax over very many outputs, in two levels: first a softmax over classes of outputs, then
 * one over the outputs of a class (Goodman, 2001):
 *
 * <pre>{@code
 * P(output | x) = P(class | x) * P(output | class, x)
 *               = softmax(x W1 + b1)[class] * softmax(x W2[class] + b2[class])[slot]
 * }</pre>
 *
 * <p>With about as many classes as outputs in a class, training and scoring a target take about
 * {@code 2 * sqrt(outputs)} products of {@code features} numbers for each row instead of {@code
 * outputs}. The model is exact: its probabilities sum to one and need no sampling or correction.
 *
 * <table>
 *   <caption>Shapes</caption>
 *   <tr><th>name</th><th>shape</th><th>meaning</th></tr>
 *   <tr><td>x, gradX</td><td>(batch, features)</td><td>what the outputs are predicted from</td></tr>
 *   <tr><td>targets</td><td>(batch)</td><td>the right output of each row, in [0, outputs)</td></tr>
 *   <tr><td>W1</td><td>(features, classes)</td><td>weights of the classes</td></tr>
 *   <tr><td>b1</td><td>(classes)</td><td>biases of the classes</td></tr>
 *   <tr><td>W2</td><td>(classes, features, slots)</td><td>weights of the outputs in each class</td></tr>
 *   <tr><td>b2</td><td>(classes, slots)</td><td>biases of the outputs in each class</td></tr>
 * </table>
 *
 * <p>Outputs always go by the caller's own numbers; {@link #classes} tells where each one lives.
 * Slots that no output lives in have no probability and no gradient. (Theano gives them probability
 * and cuts them off, so that rows sum to less than one: {@link #hSoftmax} does as Theano does.) The
 * number of rows may differ from call to call.
 *
 * <p><b>Cost.</b> Methods tell how many multiply-adds they take for a row, by F features, C classes
 * and S slots, and which blocks of W2 they read. Rows that open the same class share the reading of
 * its block.
 *
 * <p><b>Numbers.</b> Everything is computed in the log domain with the maximum subtracted, so
 * logits of any finite size give finite log probabilities and gradients. Probabilities are right to
 * 4 ulp plus what the rounding of the logits brings ({@link SparseBlockGemv}). Bits do not depend
 * on the workers.
 *
 * <p><b>Threads.</b> Any number of threads may predict at the same time. A step of training must
 * not run at the same time as anything else on the same layer; that is the caller's to see to.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if an argument is null that
 * may not be, {@link IllegalArgumentException} if a shape does not fit, {@link
 * IndexOutOfBoundsException} if a target is outside [0, outputs), and {@link IllegalStateException}
 * if the layer or a tensor is closed. Nothing is changed then.
 */
public final class HierarchicalSoftmax implements AutoCloseable {
  private static final String X = "(batch, features)";

  private final int features;
  private final ClassAssignment classes;
  private final Workers workers;
  private final SoftmaxParameters parameters;
  private final Storage valid;
  private final Storage prior;
  private final TwoLevelSoftmax softmax;
  private final OptimizerState state;
  private final AtomicLong steps = new AtomicLong();
  private Map<String, String> metadata = Map.of();

  private HierarchicalSoftmax(
      int features, ClassAssignment classes, Workers workers, SoftmaxParameters parameters) {
    this.features = features;
    this.classes = classes;
    this.workers = workers;
    this.parameters = parameters;
    this.valid = Storage.allocate(classes.classes());
    this.prior = Storage.allocate(classes.classes());
    for (int c = 0; c < classes.classes(); c++) {
      valid.putInt(c, classes.size(c));
      prior.putFloat(c, (float) classes.size(c) / classes.outputs());
    }
    TwoLevelSoftmax.Parameters storages = parameters.storages();
    this.softmax =
        new TwoLevelSoftmax(
            workers.engine(), storages, features, classes.classes(), classes.slots(), valid);
    this.state = new OptimizerState(storages, classes.classes());
  }

  /**
   * A builder of layers; everything else has defaults.
   *
   * @param features the size of a row of x
   * @param outputs how many outputs there are
   * @throws IllegalArgumentException unless both are at least 1
   */
  public static Builder builder(int features, int outputs) {
    return new Builder(
        Check.atLeast(1, "features", features), Check.atLeast(1, "outputs", outputs));
  }

  /** Collects what a layer is made of. */
  public static final class Builder {
    private final int features;
    private final int outputs;
    private ClassAssignment classes;
    private Workers workers = Workers.common();
    private long seed;

    private Builder(int features, int outputs) {
      this.features = features;
      this.outputs = outputs;
    }

    /**
     * Which class each output belongs to. By default classes of equal size in the order of the
     * outputs, as many as are fastest by a model of costs for 1024 rows: 100 for 10,000 outputs,
     * 2000 for a million. The costs were measured on one machine, so that a layer has the same
     * classes everywhere; {@link #fastestClasses} measures yours. {@link ClassAssignment} tells
     * what is better if more is known of the outputs.
     *
     * @throws IllegalArgumentException if it is for another number of outputs
     */
    public Builder classes(ClassAssignment assignment) {
      if (requireNonNull(assignment, "classes").outputs() != outputs) {
        throw new IllegalArgumentException(
            "classes: expected an assignment of "
                + outputs
                + " outputs but was one of "
                + assignment.outputs());
      }
      this.classes = assignment;
      return this;
    }

    /**
     * Classes of equal size in the order of the outputs, as {@link ClassAssignment#contiguous}.
     *
     * @throws IllegalArgumentException unless 1 &lt;= nClasses &lt;= outputs
     */
    public Builder classes(int nClasses) {
      return classes(ClassAssignment.contiguous(outputs, nClasses));
    }

    /**
     * The number of classes with which a step of training is fastest on this machine, which is
     * measured for a moment: a suggestion for {@link #classes(int)}. The answer may differ from run
     * to run, so it is not the default.
     *
     * @param batch rows of a step
     * @throws IllegalArgumentException if {@code batch} is less than 1
     */
    public int fastestClasses(int batch) {
      Check.atLeast(1, "batch", batch);
      return StepCost.measure(workers).fastestClasses(outputs, batch);
    }

    /** The threads that work on every call; by default {@link Workers#common}. */
    public Builder workers(Workers all) {
      this.workers = requireNonNull(all, "workers");
      return this;
    }

    /** Seed of the initial weights; 0 by default. Equal seeds give equal layers. */
    public Builder seed(long value) {
      this.seed = value;
      return this;
    }

    /**
     * A layer with random weights, uniform in [-1, 1] / sqrt(features), and biases of zero.
     *
     * @throws OutOfMemoryError if there is not enough memory, naming the bytes
     */
    public HierarchicalSoftmax build() {
      ClassAssignment assignment = orDefault();
      return new HierarchicalSoftmax(
          features,
          assignment,
          workers,
          SoftmaxParameters.random(features, assignment.classes(), assignment.slots(), seed));
    }

    /**
     * A layer with given parameters, which become its own: it changes them when it trains, and
     * closes them when it is closed.
     *
     * @throws IllegalArgumentException if a shape does not fit
     */
    public HierarchicalSoftmax build(
        FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2) {
      ClassAssignment assignment = orDefault();
      return new HierarchicalSoftmax(
          features,
          assignment,
          workers,
          new SoftmaxParameters(W1, b1, W2, b2)
              .require(features, assignment.classes(), assignment.slots()));
    }

    private ClassAssignment orDefault() {
      return classes != null
          ? classes
          : ClassAssignment.contiguous(
              outputs, StepCost.REFERENCE.fastestClasses(outputs, StepCost.BATCH));
    }
  }

  /**
   * Theano's {@code h_softmax}: output o belongs to class o / nOutputsPerClass.
   *
   * <p>As in Theano, slots beyond {@code nOutputs} take part in the softmax of their class and are
   * then cut off, so rows may sum to less than one, and the result is a product of two
   * probabilities, which may underflow. Unlike Theano, targets out of range are refused.
   *
   * @param x (batchSize, features)
   * @param batchSize the number of rows of x
   * @param nOutputs the number of outputs, at most nClasses * nOutputsPerClass
   * @param nClasses the number of classes
   * @param nOutputsPerClass the number of outputs in each class
   * @param W1 (features, nClasses)
   * @param b1 (nClasses)
   * @param W2 (nClasses, features, nOutputsPerClass)
   * @param b2 (nClasses, nOutputsPerClass)
   * @param target (batchSize), each in [0, nOutputs), or null
   * @return a new tensor: (batchSize) probabilities of the targets, or, without targets,
   *     (batchSize, nOutputs) probabilities of all outputs
   * @throws NullPointerException if an argument other than target is null
   * @throws IllegalArgumentException if a number is out of range or a shape does not fit
   * @throws IndexOutOfBoundsException if a target is outside [0, nOutputs)
   * @throws IllegalStateException if a tensor is closed
   */
  public static FloatTensor hSoftmax(
      FloatTensor x,
      int batchSize,
      int nOutputs,
      int nClasses,
      int nOutputsPerClass,
      FloatTensor W1,
      FloatTensor b1,
      FloatTensor W2,
      FloatTensor b2,
      IntTensor target) {
    return TheanoSoftmax.apply(
        x,
        batchSize,
        nOutputs,
        nClasses,
        nOutputsPerClass,
        new SoftmaxParameters(W1, b1, W2, b2),
        target);
  }

  /** The size of a row of x. */
  public int features() {
    return features;
  }

  /** The number of outputs. */
  public int outputs() {
    return classes.outputs();
  }

  /** Where each output lives. */
  public ClassAssignment classes() {
    return classes;
  }

  /** Weights of the classes, (features, classes): the layer's own, not a copy. */
  public FloatTensor W1() {
    return parameters.W1();
  }

  /** Biases of the classes, (classes): the layer's own, not a copy. */
  public FloatTensor b1() {
    return parameters.b1();
  }

  /** Weights of the outputs, (classes, features, slots): the layer's own, not a copy. */
  public FloatTensor W2() {
    return parameters.W2();
  }

  /** Biases of the outputs, (classes, slots): the layer's own, not a copy. */
  public FloatTensor b2() {
    return parameters.b2();
  }

  // ------------------------------------------------------------------------------------- files

  /** Saves parameters and classes; see {@link #save(Path, SaveOptions)}. */
  public void save(Path file) throws IOException {
    save(file, SaveOptions.defaults());
  }

  /**
   * Saves the layer as a safetensors file with the tensors W1, b1, W2, b2, classOf and slotOf.
   * Whenever the machine stops, the file is the old one or the new one, never a part of one.
   *
   * <p>The new file is written beside the old one, with a hidden name, and takes its place in one
   * step; it has the old one's mode, and its owner and group where the system allows it. A symbolic
   * link stays, and what it points to is replaced or made; other hard links keep the old content.
   * What a killed process has left behind of the same file is deleted.
   *
   * @throws IllegalStateException if a parameter is not finite
   * @throws IllegalArgumentException if there is more metadata than a file can have; see {@link
   *     SaveOptions#withMetadata}
   * @throws IOException if the file cannot be written, or is not a regular file; an old one is
   *     unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    ModelFile.save(this, file, options);
  }

  /** Loads a layer into memory; see {@link #load(Path, LoadOptions)}. */
  public static HierarchicalSoftmax load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads what {@link #save(Path)} has written, or others as safetensors in the same way. The file
   * may come from anybody.
   *
   * @throws FileFormatException if the file does not hold a layer; it names the tensor and the
   *     reason
   * @throws IOException if the file cannot be read
   * @throws UnsupportedOperationException if it is to be mapped and cannot be; see {@link
   *     LoadOptions#mapped}
   */
  public static HierarchicalSoftmax load(Path file, LoadOptions options) throws IOException {
    return ModelFile.load(file, options);
  }

  /** The strings that were in the file that this layer was loaded from, by key. */
  public Map<String, String> metadata() {
    return metadata;
  }

  long steps() {
    return steps.get();
  }

  OptimizerState optimizerState() {
    return state;
  }

  /** What a file tells besides the parameters. */
  void restore(Map<String, String> fileMetadata, long fileSteps) {
    metadata = Collections.unmodifiableMap(fileMetadata);
    steps.set(fileSteps);
  }

  /** Frees the parameters and all that was kept for later calls, as soon as no call uses them. */
  @Override
  public void close() {
    parameters.close();
    valid.close();
    prior.close();
    softmax.close();
    state.close();
  }

  Lease lease() {
    Lease lease =
        new Lease().of("layer", W1()).of("layer", b1()).of("layer", W2()).of("layer", b2());
    for (Storage own : new Storage[] {valid, prior}) {
      if (!own.acquire()) {
        lease.close();
        throw new IllegalStateException("layer: the layer is closed");
      }
      lease.adopt(own);
    }
    return lease;
  }

  private void checkNoOverlap(String outName, FloatTensor out, FloatTensor x) {
    Check.noOverlap(outName, out, "x", x);
    Check.noOverlap(outName, out, "W1", W1());
    Check.noOverlap(outName, out, "b1", b1());
    Check.noOverlap(outName, out, "W2", W2());
    Check.noOverlap(outName, out, "b2", b2());
  }

  /** The number of rows of an x that fits. */
  private int checkX(FloatTensor x) {
    Check.rank("x", x, X, 2);
    Check.shape("x", x, X, x.shape().dim(0), features);
    return Check.rows("x", x.shape().dim(0));
  }

  /** What is computed of the rows of x, with memory for intermediate results. */
  private interface Computation<R> {
    R of(Rows x, Workspace workspace);
  }

  /** Computes something of an x that was checked, while it and the layer are kept from going. */
  private <R> R compute(FloatTensor x, Computation<R> computation) {
    try (Lease lease = lease().of("x", x);
        Workspace workspace = softmax.borrowWorkspace()) {
      return computation.of(Operands.rows(x), workspace);
    }
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * The probabilities of all outputs, (batch, outputs): as costly as a dense softmax. Where only
   * the likely ones are wanted, {@link #topK} is much faster and as exact.
   *
   * <p>Cost: F (C + C S); all of W2.
   */
  public FloatTensor probabilities(FloatTensor x) {
    return FloatTensor.zeros(checkX(x), outputs()).filledBy(out -> all(x, false, out));
  }

  /**
   * As {@link #probabilities(FloatTensor)}, into a tensor that there is already. The system takes
   * about as long to give out memory of that size as a tenth of the computation.
   *
   * @param out (batch, outputs), which must not overlap x or a parameter
   */
  public void probabilities(FloatTensor x, FloatTensor out) {
    checkAll(x, out);
    all(x, false, out);
  }

  /** The log probabilities of all outputs, (batch, outputs); as {@link #probabilities}. */
  public FloatTensor logProbabilities(FloatTensor x) {
    return FloatTensor.zeros(checkX(x), outputs()).filledBy(out -> all(x, true, out));
  }

  /** As {@link #logProbabilities(FloatTensor)}, into a tensor that there is already. */
  public void logProbabilities(FloatTensor x, FloatTensor out) {
    checkAll(x, out);
    all(x, true, out);
  }

  private void checkAll(FloatTensor x, FloatTensor out) {
    Check.shape("out", out, "(batch, outputs)", checkX(x), outputs());
    checkNoOverlap("out", out, x);
  }

  private void all(FloatTensor x, boolean logarithm, FloatTensor out) {
    try (Lease lease = new Lease().of("out", out)) {
      compute(
          x,
          (rows, workspace) -> {
            boolean inOrder = classes.isDenseAndInOrder();
            softmax.grid(
                rows,
                logarithm,
                inOrder ? Operands.rows(out) : null,
                inOrder ? null : inOutputOrder(out),
                workspace);
            return out;
          });
    }
  }

  /** Puts results, which come by class and slot, into the order of the outputs. */
  private TwoLevelSoftmax.GridConsumer inOutputOrder(FloatTensor result) {
    int[] places = classes.places();
    return (begin, grid) ->
        workers
            .engine()
            .run(
                Math.toIntExact(grid.count()),
                grid.count() * places.length,
                (first, last) -> {
                  float[] row = new float[places.length];
                  for (int r = first; r < last; r++) {
                    for (int output = 0; output < row.length; output++) {
                      row[output] = grid.get(r, places[output]);
                    }
                    result.put((long) (begin + r) * row.length, row, 0, row.length);
                  }
                });
  }

  /**
   * The probability of each row's target, (batch).
   *
   * <p>Cost: F (C + S); the classes of the targets.
   */
  public FloatTensor probabilities(FloatTensor x, IntTensor targets) {
    float[] result = targetLogProbabilities(x, targets);
    for (int r = 0; r < result.length; r++) {
      result[r] = (float) Math.exp(result[r]);
    }
    return FloatTensor.of(result, result.length);
  }

  /**
   * The log probability of each row's target, (batch).
   *
   * <p>Cost: F (C + S); the classes of the targets.
   */
  public FloatTensor logProbabilities(FloatTensor x, IntTensor targets) {
    float[] result = targetLogProbabilities(x, targets);
    return FloatTensor.of(result, result.length);
  }

  private float[] targetLogProbabilities(FloatTensor x, IntTensor targets) {
    int batch = checkX(x);
    Check.shape("targets", targets, "(batch)", batch);
    int[] outputs = targets.toArray("targets");
    Check.indices("targets", outputs, 0, "outputs", outputs());
    int[] classOf = Arrays.stream(outputs).map(classes::classOf).toArray();
    return compute(
        x,
        (rows, workspace) -> {
          Rows byClass = softmax.classes(rows, true, workspace);
          Rows bySlot = softmax.open(rows, byClass, null, classOf, true, workspace);
          float[] result = new float[batch];
          for (int r = 0; r < batch; r++) {
            result[r] = bySlot.get(r, classes.slotOf(outputs[r]));
          }
          return result;
        });
  }

  /**
   * The log probabilities of given candidates for each row, without computing the rest.
   *
   * <p>Cost: F (C + S d), with d the different classes of a row's candidates; these classes.
   *
   * @param candidates (batch, n), each in [0, outputs); repeats are allowed
   * @return (batch, n)
   */
  public FloatTensor logProbabilitiesOf(FloatTensor x, IntTensor candidates) {
    int batch = checkX(x);
    Check.rank("candidates", candidates, "(batch, n)", 2);
    int n = (int) candidates.shape().dim(1);
    Check.shape("candidates", candidates, "(batch, n)", batch, n);
    int[] outputs = candidates.toArray("candidates");
    Check.indices("candidates", outputs, n, "outputs", outputs());
    // A class is opened once for a row, however many candidates it holds.
    int[] requestOf = new int[outputs.length];
    int[] readRow = new int[outputs.length];
    int[] classOf = new int[outputs.length];
    int[] requestOfClass = new int[classes.classes()];
    int requests = 0;
    for (int r = 0; r < batch; r++) {
      int firstOfRow = requests;
      for (int i = r * n; i < (r + 1) * n; i++) {
        int wanted = classes.classOf(outputs[i]);
        int request = requestOfClass[wanted];
        if (request < firstOfRow || request >= requests || classOf[request] != wanted) {
          request = requests++;
          requestOfClass[wanted] = request;
          readRow[request] = r;
          classOf[request] = wanted;
        }
        requestOf[i] = request;
      }
    }
    int[] readRows = Arrays.copyOf(readRow, requests);
    int[] opened = Arrays.copyOf(classOf, requests);
    return compute(
        x,
        (rows, workspace) -> {
          Rows byClass = softmax.classes(rows, true, workspace);
          Rows bySlot = softmax.open(rows, byClass, readRows, opened, true, workspace);
          float[] result = new float[outputs.length];
          for (int i = 0; i < result.length; i++) {
            result[i] = bySlot.get(requestOf[i], classes.slotOf(outputs[i]));
          }
          return FloatTensor.of(result, batch, n);
        });
  }

  /**
   * The k likeliest outputs of each row, exactly: as if all log probabilities were computed and
   * sorted, equal ones by their number. Only the classes that can hold one of them are opened
   * ({@link Ranking#openedClasses} says how many).
   *
   * <p>Cost: F (C + S o), with o the classes that are opened; these classes, some of them more than
   * once if there are many rows.
   *
   * @param k at least 1; larger than the number of outputs is allowed and gives all of them
   * @throws IllegalArgumentException also if k is less than 1
   */
  public Ranking topK(FloatTensor x, int k) {
    int limit = Math.min(Check.atLeast(1, "k", k), outputs());
    return search(x, () -> Candidates.best(limit));
  }

  /**
   * All outputs of each row whose probability is at least {@code probability}. Cost as {@link
   * #topK}.
   *
   * @param probability in (0, 1]
   * @throws IllegalArgumentException also if it is not
   */
  public Ranking atLeast(FloatTensor x, double probability) {
    double threshold = Math.log(inUnitInterval("probability", probability));
    return search(x, () -> Candidates.atLeast(threshold));
  }

  /**
   * The likeliest outputs of each row that together have at least the given probability ("top-p"),
   * as few as possible. Cost as {@link #topK}.
   *
   * @param mass in (0, 1]
   * @throws IllegalArgumentException also if it is not
   */
  public Ranking topP(FloatTensor x, double mass) {
    inUnitInterval("mass", mass);
    return search(x, () -> Candidates.nucleus(mass));
  }

  private static double inUnitInterval(String name, double value) {
    if (!(value > 0 && value <= 1)) {
      throw new IllegalArgumentException(name + ": expected a number in (0, 1] but was " + value);
    }
    return value;
  }

  private Ranking search(FloatTensor x, Supplier<Candidates> candidates) {
    checkX(x);
    return compute(
        x,
        (rows, workspace) ->
            new ClassSearch(softmax, classes, W2().shape().size(), workers.engine())
                .search(rows, candidates, workspace));
  }

  /**
   * An output for each row, drawn from its distribution. See {@link #sample(FloatTensor, double,
   * RandomGenerator)}.
   */
  public int[] sample(FloatTensor x, RandomGenerator random) {
    return sample(x, 1, random);
  }

  /**
   * An output for each row, drawn from its distribution: a class, then an output of that class.
   *
   * <p>Cost: F (C + S); the classes that are drawn.
   *
   * @param temperature positive; 1 draws from the distribution as it is. Other values draw from it
   *     with the logits of both levels divided by the temperature: below 1 likely outputs get
   *     likelier still
   * @param random asked twice for each row
   * @throws IllegalArgumentException also if the temperature is not positive and finite
   * @throws ArithmeticException if the probabilities of a row are not numbers
   */
  public int[] sample(FloatTensor x, double temperature, RandomGenerator random) {
    requireNonNull(random, "random");
    if (!(temperature > 0 && temperature < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException(
          "temperature: expected a finite number > 0 but was " + temperature);
    }
    int batch = checkX(x);
    return compute(
        x,
        (rows, workspace) -> {
          int[] classOf = new int[batch];
          Rows byClass = softmax.classes(rows, true, workspace);
          Draw ofClasses = new Draw(byClass, classes.classes(), temperature, random);
          for (int r = 0; r < batch; r++) {
            classOf[r] = ofClasses.from(r, classes.classes());
          }
          int[] drawn = new int[batch];
          Rows bySlot = softmax.open(rows, null, null, classOf, true, workspace);
          Draw ofSlots = new Draw(bySlot, classes.slots(), temperature, random);
          for (int r = 0; r < batch; r++) {
            int slot = ofSlots.from(r, classes.size(classOf[r]));
            drawn[r] = classes.output(classOf[r], slot);
          }
          return drawn;
        });
  }

  /**
   * How the probability of an output comes about.
   *
   * @param output the output, by the caller's number
   * @param classNumber its class
   * @param classProbability P(class)
   * @param classRank how many classes are likelier
   * @param probabilityInClass P(output | class)
   * @param rankInClass how many outputs of the class are likelier
   */
  public record Explanation(
      int output,
      int classNumber,
      double classProbability,
      int classRank,
      double probabilityInClass,
      int rankInClass) {
    /** P(output), the product of the two. */
    public double probability() {
      return classProbability * probabilityInClass;
    }
  }

  /**
   * How the probability of an output comes about.
   *
   * <p>Cost: F (C + S); the class of the output.
   *
   * @param x (1, features)
   * @param output in [0, outputs)
   */
  public Explanation explain(FloatTensor x, int output) {
    Check.shape("x", x, "(1, features)", 1, features);
    Check.indices("output", new int[] {output}, 0, "outputs", outputs());
    int classNumber = classes.classOf(output);
    int slot = classes.slotOf(output);
    return compute(
        x,
        (row, workspace) -> {
          Rows byClass = softmax.classes(row, true, workspace);
          Rows bySlot = softmax.open(row, null, null, new int[] {classNumber}, true, workspace);
          return new Explanation(
              output,
              classNumber,
              Math.exp(byClass.get(0, classNumber)),
              rank(byClass, classes.classes(), classNumber),
              Math.exp(bySlot.get(0, slot)),
              rank(bySlot, classes.size(classNumber), slot));
        });
  }

  private static int rank(Rows row, int count, int index) {
    int rank = 0;
    for (int i = 0; i < count; i++) {
      rank += row.get(0, i) > row.get(0, index) ? 1 : 0;
    }
    return rank;
  }

  // ---------------------------------------------------------------------------------- training

  /**
   * The gradients of a loss: new, dense tensors that are closed together.
   *
   * @param loss the loss itself
   * @param x (batch, features)
   * @param W1 (features, classes)
   * @param b1 (classes)
   * @param W2 (classes, features, slots); zero in classes that no target is in
   * @param b2 (classes, slots)
   */
  public record Gradients(
      double loss, FloatTensor x, FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2)
      implements AutoCloseable {
    @Override
    public void close() {
      x.close();
      W1.close();
      b1.close();
      W2.close();
      b2.close();
    }
  }

  /**
   * The mean of the negative log probabilities of the targets; 0 for no rows. See {@link
   * #losses(FloatTensor, IntTensor, Loss)}.
   */
  public double loss(FloatTensor x, IntTensor targets) {
    return loss(x, targets, Loss.mean());
  }

  /** The loss that a {@link #step} would report, without a step. */
  public double loss(FloatTensor x, IntTensor targets, Loss loss) {
    TargetBatch batch = check(x, targets, loss);
    return batch.sum(train(x, batch, null, lease -> TwoLevelSoftmax.LOSS_ONLY));
  }

  /**
   * What each row adds to a loss, (batch): with {@link Loss#sum} the loss of each row, not reduced.
   * Rows that are ignored add 0.
   *
   * <p>Cost: F (C + S); the classes of the targets.
   */
  public FloatTensor losses(FloatTensor x, IntTensor targets, Loss loss) {
    TargetBatch batch = check(x, targets, loss);
    float[] result = batch.weighted(train(x, batch, null, lease -> TwoLevelSoftmax.LOSS_ONLY));
    return FloatTensor.of(result, result.length);
  }

  /** The gradients of the mean negative log likelihood. */
  public Gradients gradients(FloatTensor x, IntTensor targets) {
    return gradients(x, targets, Loss.mean());
  }

  /**
   * The gradients of a loss with respect to x and all parameters, dense: a tensor of the size of W2
   * is made. For training use {@link #step}, which never makes it.
   *
   * <p>Cost: 3 F (C + S), and to clear C F S; the classes of the targets.
   */
  public Gradients gradients(FloatTensor x, IntTensor targets, Loss loss) {
    TargetBatch batch = check(x, targets, loss);
    SoftmaxParameters result =
        SoftmaxParameters.zeros(features, classes.classes(), classes.slots());
    FloatTensor gradX = null;
    try {
      gradX = FloatTensor.zeros(batch.size(), features);
      TwoLevelSoftmax.Update update = softmax.gradients(result.storages());
      double value = batch.sum(train(x, batch, gradX, lease -> update));
      return new Gradients(value, gradX, result.W1(), result.b1(), result.W2(), result.b2());
    } catch (Throwable e) {
      result.close();
      if (gradX != null) {
        gradX.close();
      }
      throw e;
    }
  }

  /** A step of training on the mean negative log likelihood, without a gradient for x. */
  public double step(FloatTensor x, IntTensor targets, Optimizer optimizer) {
    return step(x, targets, Loss.mean(), optimizer, null);
  }

  /** A step of training on the mean negative log likelihood. */
  public double step(FloatTensor x, IntTensor targets, Optimizer optimizer, FloatTensor gradX) {
    return step(x, targets, Loss.mean(), optimizer, requireNonNull(gradX, "gradX"));
  }

  /**
   * A step of training: loss, gradients and update of all parameters in one go, class by class,
   * while each block of W2 is in the cache. Only the classes of the targets are touched, and no
   * gradient of the size of W2 is ever made: time and memory do not depend on the number of outputs
   * in other classes. If no row counts, nothing is changed.
   *
   * <p>Cost: 3 F (C + S), or 2 F (C + S) without gradX; the classes of the targets, which are read
   * and written once.
   *
   * @param optimizer the rule; what it remembers of each parameter is kept by this layer, and is
   *     forgotten when a step with another rule is made
   * @param gradX (batch, features) receives the gradient with respect to x as it was before the
   *     step, or null; must not share memory with x or a parameter
   * @return the loss before the step
   * @throws ArithmeticException if the loss is not finite. If x or the class level is the cause,
   *     nothing has been changed. If W2 or b2 is, classes whose own loss is finite have made their
   *     step and no other parameter has been changed; gradX is undefined
   */
  public double step(
      FloatTensor x, IntTensor targets, Loss loss, Optimizer optimizer, FloatTensor gradX) {
    requireNonNull(optimizer, "optimizer");
    W2().requireWritable("W2");
    TargetBatch batch = check(x, targets, loss);
    if (gradX != null) {
      Check.shape("gradX", gradX, X, batch.size(), features);
      checkNoOverlap("gradX", gradX, x);
    }
    double value =
        batch.sum(train(x, batch, gradX, lease -> state.update(softmax, optimizer, lease)));
    if (!Double.isFinite(value)) {
      throw new ArithmeticException(
          "step "
              + (steps.get() + 1)
              + ": the loss is "
              + value
              + "; x or the parameters hold values that are not"
              + " finite, or the learning rate "
              + optimizer.rate()
              + " is too high");
    }
    steps.incrementAndGet();
    return value;
  }

  private TargetBatch check(FloatTensor x, IntTensor targets, Loss loss) {
    return new TargetBatch(checkX(x), targets, requireNonNull(loss, "loss"), classes);
  }

  /**
   * The losses of the rows that count, not weighted. The update is made under the lease: what is
   * closed or refused must not change its state.
   */
  private double[] train(
      FloatTensor x,
      TargetBatch batch,
      FloatTensor gradX,
      Function<Lease, TwoLevelSoftmax.Update> update) {
    try (Lease lease = lease().of("x", x).of("gradX", gradX);
        Workspace workspace = softmax.borrowWorkspace()) {
      return softmax.train(
          Operands.rows(x),
          batch.targets,
          batch.weights,
          batch.smoothing,
          prior,
          gradX == null ? null : Operands.rows(gradX),
          update.apply(lease),
          workspace);
    }
  }

  @Override
  public String toString() {
    return "HierarchicalSoftmax("
        + features
        + " features, "
        + classes
        + ", "
        + parameters.bytes()
        + " bytes, "
        + workers
        + ")";
  }
}
