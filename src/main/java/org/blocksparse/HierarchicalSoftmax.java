// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.softmax.Link;
import org.blocksparse.internal.softmax.Parameter;

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
 * <p>Outputs always go by the caller's own numbers; {@link #assignment} tells where each one lives.
 * Slots that no output lives in have no probability and no gradient. (Theano gives them probability
 * and cuts them off, so that rows sum to less than one: {@link TheanoSoftmax} does as Theano does.)
 * The number of rows may differ from call to call.
 *
 * <p><b>Cost.</b> Methods tell how many multiply-adds they take for a row, by F features, C classes
 * and S slots, and which blocks of W2 they read. Rows that open the same class share the reading of
 * its block.
 *
 * <p><b>Numbers.</b> Everything is computed in the log domain with the maximum subtracted, so
 * logits of any finite size give finite log probabilities and gradients. Log probabilities are
 * right to 4 ulp at each level plus what the rounding of the logits brings ({@link
 * SparseBlockGemv}). So is a probability, but for its exponent: it is off by a further relative
 * 2<sup>-24</sup> times the distance of its logits from the largest of their level, a hundred ulp
 * where p is 1e-29. Bits do not depend on the workers.
 *
 * <p><b>Threads.</b> Any number of threads may predict at the same time. A step of training, and
 * what changes outputs or classes, must not run at the same time as anything else on the same
 * layer; that is the caller's to see to. A {@link #copy} can serve meanwhile.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if an argument is null that
 * may not be, {@link IllegalArgumentException} if a shape does not fit, {@link
 * IndexOutOfBoundsException} if a target is outside [0, outputs), and {@link IllegalStateException}
 * if the layer or a tensor is closed. Nothing is changed then.
 */
public final class HierarchicalSoftmax implements AutoCloseable {
  private volatile LayerMemory memory;
  private final AtomicLong steps = new AtomicLong();
  private Map<String, String> metadata = Map.of();
  private volatile Labels labels;

  HierarchicalSoftmax(LayerMemory memory) {
    this.memory = memory;
  }

  private HierarchicalSoftmax(LayerContent content) {
    this(content.memory());
    this.metadata = Collections.unmodifiableMap(content.metadata());
    this.steps.set(content.steps());
    this.labels = content.labels();
  }

  /**
   * A builder of layers; everything else has defaults.
   *
   * @param features the size of a row of x
   * @param outputs how many outputs there are
   * @throws IllegalArgumentException unless both are at least 1, and there are no more outputs than
   *     an array can hold, 2<sup>31</sup> - 9
   */
  public static HierarchicalSoftmaxBuilder builder(int features, int outputs) {
    return new HierarchicalSoftmaxBuilder(features, outputs);
  }

  /** The size of a row of x. */
  public int features() {
    return memory.features();
  }

  /** The number of outputs. */
  public int outputs() {
    return assignment().outputs();
  }

  /** The number of classes. */
  public int classCount() {
    return assignment().classes();
  }

  /** Where each output lives: its class, and its slot in the class. */
  public ClassAssignment assignment() {
    return memory.assignment();
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
   * Gives names to the outputs, in place of those that they have. Rankings made before keep theirs.
   *
   * @throws IllegalArgumentException if there are more than outputs; there may be fewer, so that
   *     outputs with the last numbers have none
   */
  public void setLabels(Labels names) {
    labels = requireNonNull(names, "labels").forAtMost(outputs());
  }

  /** Weights of the classes, (features, classes): its own, if {@link #weightType} allows. */
  public FloatTensor W1() {
    return memory.parameters().floats(Parameter.W1);
  }

  /** Biases of the classes, (classes): the layer's own, not a copy. */
  public FloatTensor b1() {
    return memory.parameters().b1();
  }

  /** Weights of the outputs, (classes, features, slots): as {@link #W1}. */
  public FloatTensor W2() {
    return memory.parameters().floats(Parameter.W2);
  }

  /** What W1 and W2 are stored as. If it is not FLOAT32, W1() and W2() refuse to give them out. */
  public ElementType weightType() {
    return memory.parameters().type();
  }

  /**
   * A copy of this layer with weights of another type: all that is promised here is true for them,
   * but only FLOAT32 can be trained and grow. {@link SaveOptions#withWeights} needs no copy.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   * @throws IllegalStateException if weights would be rounded that have been rounded before
   */
  public HierarchicalSoftmax withWeights(ElementType type) {
    return new HierarchicalSoftmax(
        new LayerContent(
            memory.withWeights(requireNonNull(type, "type")), metadata, steps.get(), labels));
  }

  /** Biases of the outputs, (classes, slots): the layer's own, not a copy. */
  public FloatTensor b2() {
    return memory.parameters().b2();
  }

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
   * What a killed process has left behind of the same file is deleted.
   *
   * @throws IllegalStateException if a parameter is not finite
   * @throws IllegalArgumentException if there is more metadata than a file can have; see {@link
   *     SaveOptions#withMetadata}
   * @throws IOException if the file cannot be written, or is not a regular file; an old one is
   *     unchanged
   */
  public void save(Path file, SaveOptions options) throws IOException {
    ModelFile.save(new LayerContent(memory, metadata, steps.get(), labels), file, options);
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
    return ModelFile.load(file, options, Link.SOFTMAX, HierarchicalSoftmax::new);
  }

  /** The strings that were in the file that this layer was loaded from, by key. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** How many steps of training it has taken. */
  public long steps() {
    return steps.get();
  }

  LayerMemory memory() {
    return memory;
  }

  /** Frees the parameters and all that was kept for later calls, as soon as no call uses them. */
  @Override
  public void close() {
    memory.close();
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * The probabilities of all outputs, (batch, outputs): as costly as a dense softmax. Where only
   * the likely ones are wanted, {@link #topK} is much faster and as exact.
   *
   * <p>Cost: F (C + C S); all of W2.
   */
  public FloatTensor probabilities(FloatTensor x) {
    return new Prediction(memory).all(x, false);
  }

  /**
   * As {@link #probabilities(FloatTensor)}, into a tensor that there is already. The system takes
   * about as long to give out memory of that size as a tenth of the computation.
   *
   * @param out (batch, outputs), which must not overlap x or a parameter
   */
  public void probabilities(FloatTensor x, FloatTensor out) {
    new Prediction(memory).all(x, false, out);
  }

  /** The log probabilities of all outputs, (batch, outputs); as {@link #probabilities}. */
  public FloatTensor logProbabilities(FloatTensor x) {
    return new Prediction(memory).all(x, true);
  }

  /** As {@link #logProbabilities(FloatTensor)}, into a tensor that there is already. */
  public void logProbabilities(FloatTensor x, FloatTensor out) {
    new Prediction(memory).all(x, true, out);
  }

  /** The probabilities of given outputs; as {@link #logProbabilitiesOf}. */
  public FloatTensor probabilitiesOf(FloatTensor x, IntTensor targets) {
    return new Prediction(memory).of(x, targets, false);
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
    return new Prediction(memory).of(x, targets, true);
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
    return topK(x, k, Filter.NONE);
  }

  /**
   * The k likeliest of the outputs that a filter allows, of each row; fewer if it allows fewer.
   *
   * <p>Cost: as without a filter, and in addition a few nanoseconds for each output that the filter
   * lists, and for every class where each row has a list of its own. What is left out may be
   * likely, so that more classes are opened.
   *
   * @throws IllegalArgumentException also if k is less than 1, or the filter is for another batch
   * @throws IndexOutOfBoundsException if the filter names an output that there is not
   */
  public Ranking topK(FloatTensor x, int k, Filter filter) {
    return new Prediction(memory).topK(x, k, filter).with(labels);
  }

  /**
   * All outputs of each row whose probability is at least {@code probability}. Cost as {@link
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
    return new Prediction(memory).atLeast(x, probability, filter).with(labels);
  }

  /**
   * The likeliest outputs of each row that together have at least the given probability ("top-p"),
   * as few as possible. Cost as {@link #topK}.
   *
   * @param mass in (0, 1]
   * @throws IllegalArgumentException also if it is not
   */
  public Ranking topP(FloatTensor x, double mass) {
    return topP(x, mass, Filter.NONE);
  }

  /**
   * The same of the outputs that a filter allows: all of them if they have less than that, which
   * they cannot if the filter is {@link Filter#withRenormalisation}. Errors as {@link
   * #topK(FloatTensor, int, Filter)}.
   */
  public Ranking topP(FloatTensor x, double mass, Filter filter) {
    return new Prediction(memory).topP(x, mass, filter).with(labels);
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
    return sample(x, temperature, random, Filter.NONE);
  }

  /**
   * An output for each row, drawn from the distribution of those that a filter allows: as if what
   * is drawn were thrown away until it is allowed, but faster.
   *
   * <p>Cost: F (C + S o), with o the classes that are opened: one, and one more for each time that
   * an output is drawn that is left out.
   *
   * @param random asked twice for each row and class that is opened
   * @throws IllegalArgumentException also if the filter is for another batch or allows nothing in a
   *     row
   * @throws IndexOutOfBoundsException if the filter names an output that there is not
   * @throws ArithmeticException also if what is allowed has no probability
   */
  public int[] sample(FloatTensor x, double temperature, RandomGenerator random, Filter filter) {
    return new Prediction(memory).sample(x, temperature, random, filter);
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
    return new Prediction(memory).explain(x, output, labels);
  }

  // ------------------------------------------------------------------------------------ growth

  /**
   * A layer of its own with the same parameters, optimizer state, classes, names and metadata: a
   * snapshot that serves while this layer trains or grows. It is in memory, and can be trained,
   * also if this one is mapped from a file.
   *
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public HierarchicalSoftmax copy() {
    return new HierarchicalSoftmax(
        new LayerContent(Growth.copy(memory), metadata, steps.get(), labels));
  }

  /**
   * Adds outputs, in the classes that have the fewest. Each is as likely as the outputs of its
   * class are on the (geometric) average: its weights and bias are their means. It has no optimizer
   * state yet; all else keeps its own. Give the layer {@linkplain #setLabels names} for them, if it
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
    memory = Growth.added(memory, n);
    return first;
  }

  /**
   * As {@link #addOutputs(int)}, each in the class that is likeliest for a given x, of those that
   * have an empty slot when it is its turn.
   *
   * @param x (n, features), for each new output what it shall be predicted from: the mean of its
   *     examples, for instance; finite
   */
  public int addOutputs(FloatTensor x) {
    int first = outputs();
    memory = Growth.added(memory, x);
    return first;
  }

  /**
   * Takes outputs out of the layer. They keep their numbers, which no other output gets, and have a
   * probability of exactly zero; what they had goes to the other outputs of their classes. As
   * targets they are refused. A class that has no outputs any more is dropped: the parameters are
   * other tensors then, as in {@link #addOutputs(int)}.
   *
   * @param outputs in any order; those that are retired already, and repeats, change nothing
   * @throws IndexOutOfBoundsException if one is outside [0, outputs)
   * @throws IllegalArgumentException also if none would be left
   * @throws IllegalStateException also if the layer is mapped read-only, and no class is dropped
   */
  public void retire(int... outputs) {
    memory = Growth.retired(memory, outputs);
  }

  /**
   * Gives the numbers of outputs that are retired to new ones, which are placed and begin as in
   * {@link #addOutputs(int)}. Nothing is left of what they were.
   *
   * @throws IndexOutOfBoundsException if one is outside [0, outputs)
   * @throws IllegalArgumentException also if one is not retired, or if one occurs twice
   */
  public void reuse(int... outputs) {
    memory = Growth.reused(memory, outputs);
  }

  /**
   * Puts the outputs into other classes; those that are retired stay so, whatever the assignment
   * says. Optimizer state moves along.
   *
   * <p>A class begins with the mean weights of the classes that its outputs come from, and an
   * output with the difference to what its class had, so that training goes on from there: for x =
   * 0 all probabilities stay as they are, for others they are near and get right again by training.
   * Where a class stays together, nothing changes.
   *
   * <p>The parameters are other tensors then, as in {@link #addOutputs(int)}.
   *
   * @throws IllegalArgumentException also if it is for another number of outputs
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public void reassign(ClassAssignment classes) {
    memory = Growth.reassigned(memory, classes);
  }

  // ---------------------------------------------------------------------------------- training

  /**
   * The mean of the negative log probabilities of the targets; 0 for no rows. See {@link
   * #losses(FloatTensor, IntTensor, Loss)}.
   */
  public double loss(FloatTensor x, IntTensor targets) {
    return loss(x, targets, Loss.mean());
  }

  /** The loss that a {@link #step} would report, without a step. */
  public double loss(FloatTensor x, IntTensor targets, Loss loss) {
    return new Training(memory).loss(x, targets, loss);
  }

  /** The negative log probability of each row's target, (batch). */
  public FloatTensor losses(FloatTensor x, IntTensor targets) {
    return losses(x, targets, Loss.sum());
  }

  /**
   * What each row adds to a loss, (batch): with {@link Loss#sum} the loss of each row, not reduced.
   * Rows that are ignored add 0.
   *
   * <p>Cost: F (C + S); the classes of the targets.
   */
  public FloatTensor losses(FloatTensor x, IntTensor targets, Loss loss) {
    return new Training(memory).losses(x, targets, loss);
  }

  /** The gradients of the mean negative log likelihood. */
  public SoftmaxGradients gradients(FloatTensor x, IntTensor targets) {
    return gradients(x, targets, Loss.mean());
  }

  /**
   * The gradients of a loss with respect to x and all parameters, dense: a tensor of the size of W2
   * is made. For training use {@link #step}, which never makes it.
   *
   * <p>Cost: 3 F (C + S), and to clear C F S; the classes of the targets.
   */
  public SoftmaxGradients gradients(FloatTensor x, IntTensor targets, Loss loss) {
    return new Training(memory).gradients(x, targets, loss);
  }

  /** A step of training on the mean negative log likelihood, without a gradient for x. */
  public double step(FloatTensor x, IntTensor targets, Optimizer optimizer) {
    return step(x, targets, Loss.mean(), optimizer, null);
  }

  /** A step of training on the mean negative log likelihood. */
  public double step(FloatTensor x, IntTensor targets, Optimizer optimizer, FloatTensor gradX) {
    return step(x, targets, Loss.mean(), optimizer, requireNonNull(gradX, "gradX"));
  }

  /** A step of training, without a gradient for x. */
  public double step(FloatTensor x, IntTensor targets, Loss loss, Optimizer optimizer) {
    return step(x, targets, loss, optimizer, null);
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
   * @param x (batch, features); must not share memory with a parameter
   * @param optimizer the rule; its state is kept by this layer, and is dropped when a step with
   *     another rule is made
   * @param gradX (batch, features) receives the gradient with respect to x as it was before the
   *     step, or null; must not share memory with x or a parameter
   * @return the loss before the step
   * @throws IllegalStateException also if the weights are of a type that is only read; see {@link
   *     #withWeights}
   * @throws ArithmeticException if the loss is not finite. If x or the class level is the cause,
   *     nothing has been changed. If W2 or b2 is, classes whose own loss is finite have made their
   *     step and no other parameter has been changed; gradX is undefined
   */
  public double step(
      FloatTensor x, IntTensor targets, Loss loss, Optimizer optimizer, FloatTensor gradX) {
    double value = new Training(memory).step(x, targets, loss, optimizer, gradX, steps.get() + 1);
    steps.incrementAndGet();
    return value;
  }

  @Override
  public String toString() {
    return memory.describe("HierarchicalSoftmax");
  }
}
