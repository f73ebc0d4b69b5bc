// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.Storage;
import org.blocksparse.internal.TwoLevelSoftmax;
import org.blocksparse.internal.Workspace;

/**
 * A softmax over very many outputs, in two levels: first a softmax over classes of outputs, then
 * one over the outputs of a class (Goodman, 2001):
 *
 * <pre>{@code
 * P(output | x) = P(class | x) * P(output | class, x)
 *               = softmax(x W1 + b1)[class] * softmax(x W2[class] + b2[class])[slot]
 * }</pre>
 *
 * <p>With about as many classes as outputs in a class, training and scoring a target cost about
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
  private final FloatTensor W1;
  private final FloatTensor b1;
  private final FloatTensor W2;
  private final FloatTensor b2;
  private final Storage valid;
  private final Storage prior;
  private final TwoLevelSoftmax softmax;
  private final OptimizerState state;
  private final AtomicLong steps = new AtomicLong();
  private Map<String, String> metadata = Map.of();

  private HierarchicalSoftmax(
      int features,
      ClassAssignment classes,
      Workers workers,
      FloatTensor W1,
      FloatTensor b1,
      FloatTensor W2,
      FloatTensor b2) {
    this.features = features;
    this.classes = classes;
    this.workers = workers;
    this.W1 = W1;
    this.b1 = b1;
    this.W2 = W2;
    this.b2 = b2;
    this.valid = Storage.allocate(classes.classes());
    this.prior = Storage.allocate(classes.classes());
    int[] sizes = classes.sizes();
    for (int c = 0; c < sizes.length; c++) {
      valid.putInt(c, sizes[c]);
      prior.putFloat(c, (float) sizes[c] / classes.outputs());
    }
    TwoLevelSoftmax.Parameters parameters = parameters(W1, b1, W2, b2);
    this.softmax =
        new TwoLevelSoftmax(
            workers.scheduler(), parameters, features, classes.classes(), classes.slots(), valid);
    this.state = new OptimizerState(parameters, classes.classes());
  }

  private static TwoLevelSoftmax.Parameters parameters(
      FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2) {
    return new TwoLevelSoftmax.Parameters(W1.storage(), b1.storage(), W2.storage(), b2.storage());
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
     * Which class each output belongs to. By default about {@code sqrt(outputs)} classes of equal
     * size in the order of the outputs; {@link ClassAssignment} tells what is better if more is
     * known.
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
      int nClasses = assignment.classes();
      FloatTensor[] parameters =
          FloatTensor.zeros(
              Shape.of(features, nClasses),
              Shape.of(nClasses),
              Shape.of(nClasses, features, assignment.slots()),
              Shape.of(nClasses, assignment.slots()));
      FloatTensor W1 = parameters[0];
      FloatTensor W2 = parameters[2];
      // Of java.base: those that RandomGeneratorFactory finds are in a module that a jlink image
      // lacks.
      RandomGenerator random = new SplittableRandom(seed);
      fillUniform(W1, random);
      fillUniform(W2, random);
      return new HierarchicalSoftmax(
          features, assignment, workers, W1, parameters[1], W2, parameters[3]);
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
      checkParameters(features, assignment.classes(), assignment.slots(), W1, b1, W2, b2);
      return new HierarchicalSoftmax(features, assignment, workers, W1, b1, W2, b2);
    }

    private ClassAssignment orDefault() {
      return classes != null
          ? classes
          : ClassAssignment.contiguous(
              outputs, StepCost.REFERENCE.fastestClasses(outputs, StepCost.BATCH));
    }

    private void fillUniform(FloatTensor tensor, RandomGenerator random) {
      float bound = (float) (1 / Math.sqrt(features));
      float[] row = new float[(int) tensor.shape().dim(tensor.shape().rank() - 1)];
      for (long offset = 0; offset < tensor.shape().size(); offset += row.length) {
        for (int i = 0; i < row.length; i++) {
          row[i] = (2 * random.nextFloat() - 1) * bound;
        }
        tensor.put(offset, row, 0, row.length);
      }
    }
  }

  private static void checkParameters(
      int features,
      int nClasses,
      int slots,
      FloatTensor W1,
      FloatTensor b1,
      FloatTensor W2,
      FloatTensor b2) {
    Check.shape("W1", W1, "(features, classes)", features, nClasses);
    Check.shape("b1", b1, "(classes)", nClasses);
    Check.shape("W2", W2, "(classes, features, slots)", nClasses, features, slots);
    Check.shape("b2", b2, "(classes, slots)", nClasses, slots);
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
    Check.atLeast(1, "nClasses", nClasses);
    Check.atLeast(1, "nOutputsPerClass", nOutputsPerClass);
    long room = (long) nClasses * nOutputsPerClass;
    if (nOutputs < 1 || nOutputs > room) {
      throw new IllegalArgumentException(
          "nOutputs: expected a number in [1, nClasses * nOutputsPerClass = "
              + room
              + "] but was "
              + nOutputs);
    }
    Check.rank("x", x, "(batchSize, features)", 2);
    int features = (int) x.shape().dim(1);
    Check.shape("x", x, "(batchSize, features)", batchSize, features);
    checkParameters(features, nClasses, nOutputsPerClass, W1, b1, W2, b2);
    int[] targets = target == null ? null : theanoTarget(target, batchSize, nOutputs);
    try (Lease lease = new Lease().of("x", x).of("W1", W1).of("b1", b1).of("W2", W2).of("b2", b2)) {
      TwoLevelSoftmax softmax =
          new TwoLevelSoftmax(
              Workers.common().scheduler(),
              parameters(W1, b1, W2, b2),
              features,
              nClasses,
              nOutputsPerClass,
              null);
      try (Workspace workspace = softmax.borrowWorkspace()) {
        Rows rows = Operands.rows(x);
        if (target == null) {
          return FloatTensor.zeros(batchSize, nOutputs)
              .filledBy(
                  result -> {
                    Rows direct = room == nOutputs ? Operands.rows(result) : null;
                    float[] row = new float[nOutputs];
                    softmax.grid(
                        rows,
                        false,
                        direct,
                        (begin, grid) -> {
                          for (int r = 0; r < grid.count(); r++) {
                            grid.get(r, 0, row);
                            result.put((long) (begin + r) * nOutputs, row, 0, nOutputs);
                          }
                        },
                        workspace);
                  });
        }
        int[] classOf = new int[batchSize];
        int[] inOrder = new int[batchSize];
        for (int r = 0; r < batchSize; r++) {
          classOf[r] = targets[r] / nOutputsPerClass;
          inOrder[r] = r;
        }
        Rows classes = softmax.classes(rows, false, workspace);
        Rows slots = softmax.open(rows, classes, inOrder, classOf, false, workspace);
        float[] result = new float[batchSize];
        for (int r = 0; r < batchSize; r++) {
          result[r] = slots.get(r, targets[r] % nOutputsPerClass);
        }
        return FloatTensor.of(result, batchSize);
      } finally {
        softmax.close();
      }
    }
  }

  private static int[] targets(IntTensor targets, long batch, int outputs) {
    Check.shape("targets", targets, "(batch)", batch);
    int[] values = targets.toArray("targets");
    Check.indices("targets", values, 0, "outputs", outputs);
    return values;
  }

  /** As above, in Theano's words. */
  private static int[] theanoTarget(IntTensor target, int batchSize, int nOutputs) {
    Check.shape("target", target, "(batchSize)", batchSize);
    int[] values = target.toArray("target");
    Check.indices("target", values, 0, "nOutputs", nOutputs);
    return values;
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
    return W1;
  }

  /** Biases of the classes, (classes): the layer's own, not a copy. */
  public FloatTensor b1() {
    return b1;
  }

  /** Weights of the outputs, (classes, features, slots): the layer's own, not a copy. */
  public FloatTensor W2() {
    return W2;
  }

  /** Biases of the outputs, (classes, slots): the layer's own, not a copy. */
  public FloatTensor b2() {
    return b2;
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
   * @throws IllegalStateException if a parameter is not finite
   * @throws IOException if the file cannot be written; an old one is unchanged
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
   * @throws ModelFormatException if the file does not hold a layer; it names the tensor and the
   *     reason
   * @throws IOException if the file cannot be read
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
    W1.close();
    b1.close();
    W2.close();
    b2.close();
    valid.close();
    prior.close();
    softmax.close();
    state.close();
  }

  Lease lease() {
    Lease lease = new Lease().of("layer", W1).of("layer", b1).of("layer", W2).of("layer", b2);
    for (Storage own : new Storage[] {valid, prior}) {
      if (!own.acquire()) {
        lease.close();
        throw new IllegalStateException("layer: the layer is closed");
      }
      lease.adopt(own);
    }
    return lease;
  }

  private int checkX(FloatTensor x) {
    Check.rank("x", x, X, 2);
    Check.shape("x", x, X, x.shape().dim(0), features);
    return Check.rows("x", x.shape().dim(0));
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * The probabilities of all outputs, (batch, outputs): as costly as a dense softmax. Where only
   * the likely ones are wanted, {@link #topK} is much faster and as exact.
   */
  public FloatTensor probabilities(FloatTensor x) {
    return all(x, false);
  }

  /** The log probabilities of all outputs, (batch, outputs). */
  public FloatTensor logProbabilities(FloatTensor x) {
    return all(x, true);
  }

  private FloatTensor all(FloatTensor x, boolean logarithm) {
    return FloatTensor.zeros(checkX(x), outputs()).filledBy(result -> all(x, logarithm, result));
  }

  private void all(FloatTensor x, boolean logarithm, FloatTensor result) {
    int outputs = outputs();
    try (Lease lease = lease().of("x", x);
        Workspace workspace = softmax.borrowWorkspace()) {
      Rows direct = classes.isDenseAndInOrder() ? Operands.rows(result) : null;
      float[] from = new float[Math.toIntExact((long) classes.classes() * classes.slots())];
      float[] to = new float[outputs];
      softmax.grid(
          Operands.rows(x),
          logarithm,
          direct,
          (begin, grid) -> {
            for (int r = 0; r < grid.count(); r++) {
              grid.get(r, 0, from);
              for (int output = 0; output < outputs; output++) {
                to[output] =
                    from[classes.classOf(output) * classes.slots() + classes.slotOf(output)];
              }
              result.put((long) (begin + r) * outputs, to, 0, outputs);
            }
          },
          workspace);
    }
  }

  /** The probability of each row's target, (batch): only the target's class is computed. */
  public FloatTensor probabilities(FloatTensor x, IntTensor targets) {
    float[] result = targetLogProbabilities(x, targets);
    for (int r = 0; r < result.length; r++) {
      result[r] = (float) Math.exp(result[r]);
    }
    return FloatTensor.of(result, result.length);
  }

  /** The log probability of each row's target, (batch): only the target's class is computed. */
  public FloatTensor logProbabilities(FloatTensor x, IntTensor targets) {
    float[] result = targetLogProbabilities(x, targets);
    return FloatTensor.of(result, result.length);
  }

  /** The mean of the negative log probabilities of the targets; 0 for no rows. */
  public double loss(FloatTensor x, IntTensor targets) {
    double sum = 0;
    float[] logProbabilities = targetLogProbabilities(x, targets);
    for (float logProbability : logProbabilities) {
      sum -= logProbability;
    }
    return logProbabilities.length == 0 ? 0 : sum / logProbabilities.length;
  }

  private float[] targetLogProbabilities(FloatTensor x, IntTensor targets) {
    int batch = checkX(x);
    int[] outputs = targets(targets, batch, outputs());
    int[] inOrder = new int[batch];
    int[] classOf = new int[batch];
    for (int r = 0; r < batch; r++) {
      inOrder[r] = r;
      classOf[r] = classes.classOf(outputs[r]);
    }
    float[] result = new float[batch];
    try (Lease lease = lease().of("x", x);
        Workspace workspace = softmax.borrowWorkspace()) {
      Rows rows = Operands.rows(x);
      Rows byClass = softmax.classes(rows, true, workspace);
      Rows bySlot = softmax.open(rows, byClass, inOrder, classOf, true, workspace);
      for (int r = 0; r < batch; r++) {
        result[r] = bySlot.get(r, classes.slotOf(outputs[r]));
      }
    }
    return result;
  }

  /**
   * The log probabilities of given candidates for each row, without computing the rest.
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
    float[] result = new float[outputs.length];
    try (Lease lease = lease().of("x", x);
        Workspace workspace = softmax.borrowWorkspace()) {
      Rows rows = Operands.rows(x);
      Rows byClass = softmax.classes(rows, true, workspace);
      Rows bySlot =
          softmax.open(
              rows,
              byClass,
              Arrays.copyOf(readRow, requests),
              Arrays.copyOf(classOf, requests),
              true,
              workspace);
      for (int i = 0; i < result.length; i++) {
        result[i] = bySlot.get(requestOf[i], classes.slotOf(outputs[i]));
      }
    }
    return FloatTensor.of(result, batch, n);
  }

  /**
   * The k likeliest outputs of each row, exactly: as if all probabilities were computed and sorted.
   * Only the classes that can hold one of them are opened ({@link Ranking#openedClasses} says how
   * many).
   *
   * @param k at least 1; larger than the number of outputs is allowed and gives all of them
   * @throws IllegalArgumentException also if k is less than 1
   */
  public Ranking topK(FloatTensor x, int k) {
    int limit = Math.min(Check.atLeast(1, "k", k), outputs());
    return search(x, () -> Candidates.best(limit));
  }

  /**
   * All outputs of each row whose probability is at least {@code probability}.
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
   * as few as possible.
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
    try (Lease lease = lease().of("x", x);
        Workspace workspace = softmax.borrowWorkspace()) {
      return new ClassSearch(softmax, classes, workers.scheduler())
          .search(Operands.rows(x), candidates, workspace);
    }
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
   * Only that class is opened.
   *
   * @param temperature positive; 1 draws from the distribution as it is. Other values draw from it
   *     with the logits of both levels divided by the temperature: below 1 likely outputs get
   *     likelier still
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
    int[] drawn = new int[batch];
    try (Lease lease = lease().of("x", x);
        Workspace workspace = softmax.borrowWorkspace()) {
      Rows rows = Operands.rows(x);
      Rows byClass = softmax.classes(rows, true, workspace);
      int[] inOrder = new int[batch];
      int[] classOf = new int[batch];
      float[] logProbabilities = new float[classes.classes()];
      for (int r = 0; r < batch; r++) {
        inOrder[r] = r;
        byClass.get(r, 0, logProbabilities);
        classOf[r] = draw(r, logProbabilities, logProbabilities.length, temperature, random);
      }
      Rows bySlot = softmax.open(rows, null, inOrder, classOf, true, workspace);
      logProbabilities = new float[classes.slots()];
      for (int r = 0; r < batch; r++) {
        bySlot.get(r, 0, logProbabilities);
        int slot = draw(r, logProbabilities, classes.size(classOf[r]), temperature, random);
        drawn[r] = classes.output(classOf[r], slot);
      }
    }
    return drawn;
  }

  /** Draws an index with probability proportional to exp(logProbability / temperature). */
  private static int draw(
      int row, float[] logProbabilities, int count, double temperature, RandomGenerator random) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < count; i++) {
      max = Math.max(max, logProbabilities[i]);
    }
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += Math.exp((logProbabilities[i] - max) / temperature);
    }
    if (!(sum > 0)) {
      throw new ArithmeticException("row " + row + ": the probabilities are not numbers");
    }
    double left = random.nextDouble() * sum;
    int last = 0;
    for (int i = 0; i < count; i++) {
      double share = Math.exp((logProbabilities[i] - max) / temperature);
      if (share > 0) {
        last = i;
        left -= share;
        if (left < 0) {
          break;
        }
      }
    }
    return last;
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
   * @param x (1, features)
   * @param output in [0, outputs)
   */
  public Explanation explain(FloatTensor x, int output) {
    Check.shape("x", x, "(1, features)", 1, features);
    Check.indices("output", new int[] {output}, 0, "outputs", outputs());
    int classNumber = classes.classOf(output);
    try (Lease lease = lease().of("x", x);
        Workspace workspace = softmax.borrowWorkspace()) {
      Rows row = Operands.rows(x);
      Rows byClass = softmax.classes(row, true, workspace);
      Rows bySlot =
          softmax.open(row, null, new int[] {0}, new int[] {classNumber}, true, workspace);
      int slot = classes.slotOf(output);
      return new Explanation(
          output,
          classNumber,
          Math.exp(byClass.get(0, classNumber)),
          rank(byClass, classes.classes(), classNumber),
          Math.exp(bySlot.get(0, slot)),
          rank(bySlot, classes.size(classNumber), slot));
    }
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

  /** The gradients of the mean negative log likelihood. */
  public Gradients gradients(FloatTensor x, IntTensor targets) {
    return gradients(x, targets, Loss.mean());
  }

  /**
   * The gradients of a loss with respect to x and all parameters, dense: a tensor of the size of W2
   * is made. For training use {@link #step}, which never makes it.
   */
  public Gradients gradients(FloatTensor x, IntTensor targets, Loss loss) {
    Batch batch = new Batch(x, targets, loss);
    int nClasses = classes.classes();
    int slots = classes.slots();
    FloatTensor[] g =
        FloatTensor.zeros(
            Shape.of(batch.rows, features),
            Shape.of(features, nClasses),
            Shape.of(nClasses),
            Shape.of(nClasses, features, slots),
            Shape.of(nClasses, slots));
    try {
      TwoLevelSoftmax.Update update = softmax.gradients(parameters(g[1], g[2], g[3], g[4]));
      double value = train(batch, g[0], lease -> update);
      return new Gradients(value, g[0], g[1], g[2], g[3], g[4]);
    } catch (Throwable e) {
      for (FloatTensor gradient : g) {
        gradient.close();
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
   * gradient of the size of W2 is ever made: the cost does not depend on the number of outputs in
   * other classes.
   *
   * @param optimizer the rule; what it remembers of each parameter is kept by this layer, and is
   *     forgotten when a step with another rule is made
   * @param gradX (batch, features) receives the gradient with respect to x as it was before the
   *     step, or null; must not share memory with x
   * @return the loss before the step
   * @throws ArithmeticException if the loss is not finite; parameters may have been changed by then
   */
  public double step(
      FloatTensor x, IntTensor targets, Loss loss, Optimizer optimizer, FloatTensor gradX) {
    requireNonNull(optimizer, "optimizer");
    W2.requireWritable("W2");
    Batch batch = new Batch(x, targets, loss);
    if (gradX != null) {
      Check.shape("gradX", gradX, X, batch.rows, features);
      Check.noOverlap("gradX", gradX, "x", x);
      Check.noOverlap("gradX", gradX, "W1", W1);
      Check.noOverlap("gradX", gradX, "b1", b1);
      Check.noOverlap("gradX", gradX, "W2", W2);
      Check.noOverlap("gradX", gradX, "b2", b2);
    }
    double value = train(batch, gradX, lease -> state.update(softmax, optimizer, lease));
    long step = steps.incrementAndGet();
    if (!Double.isFinite(value)) {
      throw new ArithmeticException(
          "step "
              + step
              + ": the loss is "
              + value
              + "; x or the parameters hold values that are not"
              + " finite, or the learning rate "
              + optimizer.rate()
              + " is too high");
    }
    return value;
  }

  /** Checked and sorted arguments of a computation on targets. */
  private final class Batch {
    final FloatTensor x;
    final FloatTensor rowWeights;
    final float smoothing;
    final int rows;
    final TwoLevelSoftmax.Targets targets;
    final float[] weights;

    Batch(FloatTensor x, IntTensor targetTensor, Loss loss) {
      this.x = x;
      this.rows = checkX(x);
      requireNonNull(loss, "loss");
      this.smoothing = loss.smoothing();
      this.rowWeights = loss.weights();
      Check.shape("targets", targetTensor, "(batch)", rows);
      int[] outputs = targetTensor.toArray("targets");
      int counted = 0;
      for (int output : outputs) {
        counted += loss.ignores(output) ? 0 : 1;
      }
      int[] row = new int[counted];
      int[] classOf = new int[counted];
      int[] slotOf = new int[counted];
      this.weights = new float[rows];
      int next = 0;
      for (int r = 0; r < rows; r++) {
        if (loss.ignores(outputs[r])) {
          continue;
        }
        if (outputs[r] < 0 || outputs[r] >= outputs()) {
          throw new IndexOutOfBoundsException(
              "targets["
                  + r
                  + "] = "
                  + outputs[r]
                  + " is outside [0, outputs = "
                  + outputs()
                  + ")");
        }
        row[next] = r;
        classOf[next] = classes.classOf(outputs[r]);
        slotOf[next] = classes.slotOf(outputs[r]);
        weights[r] = loss.isMean() ? 1f / counted : 1f;
        next++;
      }
      if (rowWeights != null) {
        Check.shape("weights", rowWeights, "(batch)", rows);
        try (Lease lease = new Lease().of("weights", rowWeights)) {
          float[] given = rowWeights.toArray();
          for (int r = 0; r < rows; r++) {
            weights[r] *= Check.finite("weights[" + r + "]", given[r]);
          }
        }
      }
      this.targets = new TwoLevelSoftmax.Targets(row, classOf, slotOf);
    }
  }

  /** The update is made under the lease: what is closed or refused must not change its state. */
  private double train(
      Batch batch, FloatTensor gradX, Function<Lease, TwoLevelSoftmax.Update> update) {
    try (Lease lease = lease().of("x", batch.x).of("gradX", gradX);
        Workspace workspace = softmax.borrowWorkspace()) {
      double[] losses =
          softmax.train(
              Operands.rows(batch.x),
              batch.targets,
              batch.weights,
              batch.smoothing,
              prior,
              gradX == null ? null : Operands.rows(gradX),
              update.apply(lease),
              workspace);
      double sum = 0;
      for (int r = 0; r < losses.length; r++) {
        float weight = batch.weights[batch.targets.row(r)];
        sum += weight == 0 ? 0 : weight * losses[r];
      }
      return sum;
    }
  }

  @Override
  public String toString() {
    long numbers = W1.shape().size() + b1.shape().size() + W2.shape().size() + b2.shape().size();
    return "HierarchicalSoftmax("
        + features
        + " features, "
        + classes
        + ", "
        + 4 * numbers
        + " bytes, "
        + workers
        + ")";
  }
}
