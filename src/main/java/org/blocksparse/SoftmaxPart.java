// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.nio.ByteBuffer;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.LayerState;
import org.blocksparse.internal.optimizer.TensorState;
import org.blocksparse.internal.softmax.Link;
import org.blocksparse.internal.softmax.Parameter;
import org.blocksparse.internal.softmax.TrainingPass;

/**
 * One of the softmaxes that a {@link HierarchicalSoftmax} is made of, trained by itself: its class
 * level, or one of its classes. Given x, none of them needs to know of the others, so that each may
 * be trained on a machine of its own:
 *
 * <pre>{@code
 * log P(output | x) = log P(class | x) + log P(output | class, x)
 * }</pre>
 *
 * <p>Parts get the bits of the layer. They begin with the same weights ({@link
 * HierarchicalSoftmaxBuilder#buildPart}) or with those of a layer ({@link #of}); make the steps of
 * the layer's batches, each part with the rows that are its own in the order of the batch, in place
 * of the mean by {@link Loss#sum} with the weights {@code w * (1f / rows)}, where rows are those of
 * the whole batch; and are put together by {@link HierarchicalSoftmaxBuilder#saveParts}.
 *
 * <p>A class without rows in a batch needs no step, unless the optimizer is of another kind than in
 * the step before. The layer then forgets what it has kept for all classes, and a class that goes
 * on without it has to be told, by a step with none of the batch's rows. A batch of which no row
 * counts in the layer, as where all targets are ignored, changes nothing there: no class is told.
 *
 * <table>
 *   <caption>Parts</caption>
 *   <tr><th></th><th>the class level</th><th>a class</th></tr>
 *   <tr><td>its rows</td><td>all</td><td>those whose target is in the class</td></tr>
 *   <tr><td>their targets</td><td>classes, in [0, classes)</td><td>slots, in [0, size of the class)
 *     </td></tr>
 *   <tr><td>weights</td><td>W1, (features, classes)</td><td>W2[c], (features, slots)</td></tr>
 *   <tr><td>biases</td><td>b1, (classes)</td><td>b2[c], (slots)</td></tr>
 * </table>
 *
 * <p>A step must not run at the same time as anything else on the same part.
 */
public final class SoftmaxPart implements AutoCloseable {
  /** The number of the class level, beside those of the classes. */
  public static final int CLASS_LEVEL = -1;

  private final int number;
  private final LayerMemory memory;
  private long steps;

  private SoftmaxPart(int number, LayerMemory memory) {
    this.number = number;
    this.memory = memory;
  }

  /**
   * A part with weights of zero. It lives in a layer of its own: of one class, whose class level is
   * not used; or of classes of one output each, which are not used.
   */
  private static SoftmaxPart zeros(
      int number, int features, ClassAssignment classes, Workers workers) {
    ClassAssignment own;
    if (number == CLASS_LEVEL) {
      own = ClassAssignment.contiguous(classes.classCount(), classes.classCount());
    } else {
      int size = classes.size(number);
      own = ClassAssignment.of(new int[size], inOrder(size), 1, classes.slots());
    }
    SoftmaxParameters parameters = SoftmaxParameters.zeros(features, own.classCount(), own.slots());
    return new SoftmaxPart(
        number, LayerMemory.owning(features, own, workers, parameters, Link.SOFTMAX));
  }

  private static int[] inOrder(int size) {
    int[] slots = new int[size];
    for (int slot = 0; slot < size; slot++) {
      slots[slot] = slot;
    }
    return slots;
  }

  /** A part with the weights that a new layer has there. */
  static SoftmaxPart initial(
      int number, int features, ClassAssignment classes, long seed, Workers workers) {
    SoftmaxPart part = zeros(number, features, classes, workers);
    long before =
        number == CLASS_LEVEL
            ? 0
            : (long) features * classes.classCount() + number * ((long) features * classes.slots());
    new InitialWeights(features, seed).fill(part.W(), before);
    return part;
  }

  /**
   * A copy of a part of a layer, with its optimizer state.
   *
   * @param number of a class, or {@link #CLASS_LEVEL}
   * @param workers the threads that will work on its steps
   * @throws IndexOutOfBoundsException if there is no such class
   * @throws IllegalStateException if the layer is closed or has weights that are only read
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public static SoftmaxPart of(HierarchicalSoftmax layer, int number, Workers workers) {
    requireNonNull(workers, "workers");
    LayerMemory from = requireNonNull(layer, "layer").memory();
    if (number != CLASS_LEVEL) {
      Check.index("number", number, "classes", from.assignment().classCount());
    }
    from.requireTrainable("part");
    SoftmaxPart part = zeros(number, from.features(), from.assignment(), workers);
    try (Lease lease = from.lease();
        LayerState.Kept state = from.state().hold()) {
      int block = Math.max(number, 0);
      for (Parameter parameter : part.parameters()) {
        copyBlock(
            from.parameters().of(parameter).storage(),
            block,
            part.memory.parameters().of(parameter).storage());
      }
      part.copyState(state, block);
      lease.requireIntact();
      return part;
    } catch (Throwable e) {
      part.close();
      throw e;
    }
  }

  private void copyState(LayerState.Kept from, int block) {
    LayerState to = memory.state();
    to.reset(from.kind());
    for (Parameter parameter : parameters()) {
      TensorState source = from.of(parameter.index());
      TensorState target = to.of(parameter.index());
      for (int moment = 0; moment < from.kind().moments(); moment++) {
        copyBlock(source.moment(moment), block, target.moment(moment));
      }
      int[] taken = target.steps();
      taken[0] = source.steps()[block];
      target.restoreSteps(taken);
    }
  }

  private static void copyBlock(Storage from, int block, Storage to) {
    float[] piece = new float[(int) Math.min(to.elements(), 1 << 20)];
    for (long done = 0; done < to.elements(); done += piece.length) {
      int count = (int) Math.min(piece.length, to.elements() - done);
      from.getFloats(block * to.elements() + done, piece, 0, count);
      to.putFloats(done, piece, 0, count);
    }
  }

  /** Weights and biases. */
  private Parameter[] parameters() {
    return number == CLASS_LEVEL
        ? new Parameter[] {Parameter.W1, Parameter.B1}
        : new Parameter[] {Parameter.W2, Parameter.B2};
  }

  /** The number of the class, or {@link #CLASS_LEVEL}. */
  public int number() {
    return number;
  }

  /** The weights, W1 or (1, features, slots): the part's own, not a copy. */
  public FloatTensor W() {
    return memory.parameters().of(parameters()[0]);
  }

  /** The biases, b1 or (1, slots): the part's own, not a copy. */
  public FloatTensor b() {
    return memory.parameters().of(parameters()[1]);
  }

  /**
   * A step of training of this part alone. A class of which no row counts keeps its weights, but
   * not what an optimizer of another kind has kept.
   *
   * @param x (batch, features) the rows of a batch that are this part's
   * @param targets (batch) the class of each row, or its slot in this class
   * @param loss without smoothing
   * @param optimizer the rule; its state is kept as by a layer
   * @return what this part adds to the loss before the step
   * @throws IllegalArgumentException if a shape does not fit, or if the loss has smoothing
   * @throws IndexOutOfBoundsException if a target is not one of this part
   * @throws IllegalStateException if this part or a tensor is closed
   * @throws ArithmeticException if the loss is not finite; nothing has been changed
   */
  public double step(FloatTensor x, IntTensor targets, Loss loss, Optimizer optimizer) {
    if (requireNonNull(loss, "loss").smoothing() != 0) {
      throw new IllegalArgumentException(
          "loss: expected no smoothing, which is of a whole layer, but was " + loss);
    }
    LayerMemory.Extent extent =
        number == CLASS_LEVEL ? TrainingPass::runClassLevel : TrainingPass::runOpenedClasses;
    double value = new Training(memory, extent).step(x, targets, loss, optimizer, null, steps + 1);
    steps++;
    return value;
  }

  /**
   * The part with its optimizer state, for {@link HierarchicalSoftmaxBuilder#saveParts} of the same
   * version of this library.
   *
   * @throws IllegalStateException if it is closed, a number is not finite, or the bytes are more
   *     than an array can hold
   */
  public byte[] toBytes() {
    try (Lease lease = memory.lease();
        LayerState.Kept state = memory.state().hold()) {
      Parameter[] parameters = parameters();
      PartBytes bytes =
          PartBytes.allocate(
              number, W().shape().size(), b().shape().size(), state.kind(), steps(state));
      ByteBuffer into = bytes.numbers();
      for (Parameter parameter : parameters) {
        put(memory.parameters().of(parameter).storage(), into);
      }
      for (int moment = 0; moment < state.kind().moments(); moment++) {
        for (Parameter parameter : parameters) {
          put(state.of(parameter.index()).moment(moment), into);
        }
      }
      lease.requireIntact();
      return bytes.array();
    }
  }

  private int steps(LayerState.Kept state) {
    return state.of(parameters()[0].index()).steps()[0];
  }

  private void put(Storage storage, ByteBuffer into) {
    float[] piece = new float[(int) Math.min(storage.elements(), 1 << 20)];
    for (long done = 0; done < storage.elements(); done += piece.length) {
      int count = (int) Math.min(piece.length, storage.elements() - done);
      storage.getFloats(done, piece, 0, count);
      for (int i = 0; i < count; i++) {
        if (!Float.isFinite(piece[i])) {
          throw new IllegalStateException(
              this + ": element " + (done + i) + " is " + piece[i] + "; it is not saved");
        }
        into.putFloat(piece[i]);
      }
    }
  }

  /** Frees it as soon as no call uses it. */
  @Override
  public void close() {
    memory.close();
  }

  /** Which part it is: {@code class 7}, for instance. */
  @Override
  public String toString() {
    return number == CLASS_LEVEL ? "the class level" : "class " + number;
  }
}
