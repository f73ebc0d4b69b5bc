// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.blocksparse.internal.softmax.Parameter;

/**
 * An output layer of two levels: outputs are put into classes, and each output has the probability
 * of its class times its own in the class. This is what a {@link HierarchicalSoftmax}, of whose
 * outputs one is right, and a {@link LabelTree}, of whose outputs any number are, have in common:
 * all but what probabilities are, what targets are, and training.
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
 * <p>Outputs always go by the caller's own numbers; {@link #assignment} tells where each one lives.
 * Slots that no output lives in have no probability and no gradient; what W2 holds there has to be
 * finite, or the gradients of x are not. The number of rows may differ from call to call; a call
 * takes at most 2<sup>29</sup>.
 *
 * <p><b>Cost.</b> Methods tell how many multiply-adds they take for a row, by F features, C classes
 * and S slots, and which blocks of W2 they read. Rows that open the same class share the reading of
 * its block.
 *
 * <p><b>Threads.</b> Any number of threads may predict at the same time. A step of training, and
 * what changes outputs or classes, must not run at the same time as anything else on the same
 * layer; that is the caller's to see to. A {@link #copy} can serve meanwhile. Bits do not depend on
 * the workers.
 *
 * <p><b>Errors.</b> Every method throws {@link NullPointerException} if an argument is null that
 * may not be, {@link IllegalArgumentException} if a shape or a number of rows does not fit, {@link
 * IndexOutOfBoundsException} if a target is outside [0, outputs), and {@link IllegalStateException}
 * if the layer, a tensor or the targets are closed. Nothing is changed then.
 */
public abstract sealed class TwoLevelLayer implements AutoCloseable
    permits HierarchicalSoftmax, LabelTree {
  private volatile LayerMemory memory;
  private volatile boolean closed;
  private final AtomicLong steps;
  private final Map<String, String> metadata;
  private volatile Labels labels;

  TwoLevelLayer(LayerContent content) {
    this.memory = content.memory();
    this.steps = new AtomicLong(content.steps());
    this.metadata = Collections.unmodifiableMap(content.metadata());
    this.labels = content.labels();
  }

  final LayerMemory memory() {
    return memory;
  }

  /** The same in other memory. */
  final LayerContent content(LayerMemory other) {
    return new LayerContent(other, metadata, steps.get(), labels);
  }

  final Prediction prediction() {
    return new Prediction(memory);
  }

  final Training training() {
    return new Training(memory);
  }

  /** What was found, with the names of the outputs. */
  final Ranking named(Ranking found) {
    return found.with(labels);
  }

  // -------------------------------------------------------------------------------- what it is

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
    return assignment().classCount();
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

  /**
   * Weights of the classes, (features, classes): the layer's own, not a copy.
   *
   * @throws IllegalStateException if they are of another type than floats: the layer was loaded
   *     from a file that {@link SaveOptions#withWeights} made, and is only read
   */
  public FloatTensor W1() {
    return memory.parameters().floats(Parameter.W1);
  }

  /** Biases of the classes, (classes): the layer's own, not a copy. */
  public FloatTensor b1() {
    return memory.parameters().b1();
  }

  /** Weights of the outputs, (classes, features, slots); as {@link #W1}. */
  public FloatTensor W2() {
    return memory.parameters().floats(Parameter.W2);
  }

  /** Biases of the outputs, (classes, slots): the layer's own, not a copy. */
  public FloatTensor b2() {
    return memory.parameters().b2();
  }

  /** What W1 and W2 are stored as. If it is not FLOAT32, W1() and W2() refuse to give them out. */
  public ElementType weightType() {
    return memory.parameters().type();
  }

  /**
   * How many steps of training it has taken. One in which no row counted is among them; one that
   * ended with an exception is not, whatever it has changed.
   */
  public long steps() {
    return steps.get();
  }

  /** The number of the step that comes next, after the last that can be counted the same one. */
  final long nextStep() {
    long taken = steps.get();
    return Math.max(taken, taken + 1);
  }

  /** A step has been taken. A file may say that it is the last one that can be counted. */
  final void countStep() {
    steps.updateAndGet(taken -> Math.max(taken, taken + 1));
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
    return memory.describe(getClass().getSimpleName());
  }

  // ------------------------------------------------------------------------------------ copies

  /**
   * A layer of its own with the same parameters, optimizer state, classes, names and metadata: a
   * snapshot that serves while this layer trains or grows. It is in memory, and can be trained,
   * also if this one is mapped from a file.
   *
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public abstract TwoLevelLayer copy();

  /**
   * A copy of this layer with weights of a type: all that is promised of the layer is true for
   * them, but only FLOAT32 can be trained and grow. It is {@link #copy} if they are of that type;
   * of another, there is no optimizer state. {@link SaveOptions#withWeights} needs no copy.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   * @throws IllegalStateException if weights would be rounded that have been rounded before
   */
  public abstract TwoLevelLayer withWeights(ElementType type);

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
    ModelFile.save(content(memory), file, options);
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * The probabilities of all outputs, (batch, outputs): as costly as a dense layer. Where only the
   * likely ones are wanted, {@link #topK} is much faster and as exact.
   *
   * <p>Cost: F (C + C S); all of W2.
   */
  public FloatTensor probabilities(FloatTensor x) {
    return prediction().all(x, false);
  }

  /**
   * As {@link #probabilities(FloatTensor)}, into a tensor that there is already. The system takes
   * about as long to give out memory of that size as a tenth of the computation.
   *
   * @param out (batch, outputs), which must not overlap x or a parameter
   */
  public void probabilities(FloatTensor x, FloatTensor out) {
    prediction().all(x, false, out);
  }

  /** The log probabilities of all outputs, (batch, outputs); as {@link #probabilities}. */
  public FloatTensor logProbabilities(FloatTensor x) {
    return prediction().all(x, true);
  }

  /** As {@link #logProbabilities(FloatTensor)}, into a tensor that there is already. */
  public void logProbabilities(FloatTensor x, FloatTensor out) {
    prediction().all(x, true, out);
  }

  /** The probabilities of given outputs; as {@link #logProbabilitiesOf(FloatTensor, IntTensor)}. */
  public FloatTensor probabilitiesOf(FloatTensor x, IntTensor targets) {
    return prediction().of(x, targets, false);
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
    return prediction().of(x, targets, true);
  }

  /**
   * The k likeliest outputs of each row, exactly: as if all log probabilities were computed and
   * sorted, equal ones by their number. Only the classes that can hold one of them are opened
   * ({@link Ranking#openedClasses} says how many), since no output is likelier than its class.
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
   * @throws IllegalArgumentException also if k is less than 1, or the filter is for another batch,
   *     or {@linkplain Filter#withRenormalization renormalized} for a label tree
   * @throws IndexOutOfBoundsException if the filter names an output that there is not
   */
  public Ranking topK(FloatTensor x, int k, Filter filter) {
    return named(prediction().topK(x, k, filter));
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
    return named(prediction().atLeast(x, probability, filter));
  }

  /**
   * How the probability of an output comes about.
   *
   * <p>Cost: F (C + S); the class of the output.
   *
   * @param x (1, features)
   * @param output in [0, outputs)
   * @throws IllegalArgumentException also if the output is retired
   */
  public Explanation explain(FloatTensor x, int output) {
    return prediction().explain(x, output, labels);
  }

  // ------------------------------------------------------------------------------------ growth

  /** Takes over what {@link Growth} returned; if it was closed meanwhile, that is closed, too. */
  private void replace(LayerMemory other) {
    memory = other;
    if (closed) {
      other.close();
    }
  }

  /**
   * Adds outputs, in the classes that have the fewest. The weights and bias of each are the means
   * of those that the outputs of its class have, so that it begins as one of them: in a softmax as
   * likely as they are on the (geometric) average; in a label tree the same is true of the odds
   * that it is there if its class is. It has no optimizer state yet; all else keeps its own. Give
   * the layer {@linkplain #setLabels names} for them, if it has names.
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
    replace(Growth.added(memory, n));
    return first;
  }

  /**
   * As {@link #addOutputs(int)}, each in the class that is likeliest for a given x, of those that
   * have an empty slot when it is its turn.
   *
   * @param x (n, features), n at least 1: for each new output what it shall be predicted from, the
   *     mean of its examples, for instance; finite
   */
  public int addOutputs(FloatTensor x) {
    int first = outputs();
    replace(Growth.added(memory, x));
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
    replace(Growth.retired(memory, outputs));
  }

  /**
   * Gives the numbers of outputs that are retired to new ones, which are placed and begin as in
   * {@link #addOutputs(int)}. Nothing is left of what they were but their names: give them others
   * by {@link #setLabels} and {@link Labels#withName}.
   *
   * @throws IndexOutOfBoundsException if one is outside [0, outputs)
   * @throws IllegalArgumentException also if one is not retired, or if one occurs twice
   */
  public void reuse(int... outputs) {
    replace(Growth.reused(memory, outputs));
  }

  /**
   * Puts the outputs into other classes; those that are retired stay so, whatever the assignment
   * says. Optimizer state moves along.
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
    replace(Growth.reassigned(memory, classes));
  }
}
