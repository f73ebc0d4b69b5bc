// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.nio.ByteBuffer;
import org.blocksparse.internal.layer.InitialWeights;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.LayerState;
import org.blocksparse.internal.optimizer.TensorState;
import org.blocksparse.internal.softmax.Link;
import org.blocksparse.internal.softmax.Parameter;
import org.blocksparse.internal.softmax.TrainingPass;

/**
 * The memory of a {@link LayerPart}, which lives in a layer of its own: of one class, whose class
 * level is not used; or of classes of one output each, which are not used.
 *
 * @param number of the class, or {@link LayerPart#CLASS_LEVEL}
 */
record PartMemory(int number, LayerMemory layer) implements AutoCloseable {
  /** Weights of zero. */
  private static PartMemory zeros(
      Link link, int number, int features, ClassAssignment classes, Workers workers) {
    ClassAssignment own;
    if (number == LayerPart.CLASS_LEVEL) {
      own = ClassAssignment.contiguous(classes.classCount(), classes.classCount());
    } else {
      int size = classes.size(Check.index("number", number, "classes", classes.classCount()));
      own = ClassAssignment.of(new int[size], inOrder(size), 1, classes.slots());
    }
    SoftmaxParameters parameters = SoftmaxParameters.zeros(features, own.classCount(), own.slots());
    return new PartMemory(number, LayerMemory.owning(features, own, workers, parameters, link));
  }

  private static int[] inOrder(int size) {
    int[] slots = new int[size];
    for (int slot = 0; slot < size; slot++) {
      slots[slot] = slot;
    }
    return slots;
  }

  /** The weights that a new layer has there. */
  static PartMemory initial(
      Link link, int number, int features, ClassAssignment classes, long seed, Workers workers) {
    PartMemory part = zeros(link, number, features, classes, workers);
    long before =
        number == LayerPart.CLASS_LEVEL
            ? 0
            : (long) features * classes.classCount() + number * ((long) features * classes.slots());
    new InitialWeights(features, seed)
        .fill(part.W().storage(), before, (int) part.b().shape().size());
    return part;
  }

  /** What a layer has there, with its optimizer state. */
  static PartMemory copyOf(TwoLevelLayer layer, int number, Workers workers) {
    requireNonNull(workers, "workers");
    LayerMemory from = requireNonNull(layer, "layer").memory();
    from.requireTrainable("part");
    PartMemory part = zeros(from.link(), number, from.features(), from.assignment(), workers);
    try (Lease lease = from.lease();
        LayerState.Kept state = from.state().hold()) {
      int block = Math.max(number, 0);
      for (Parameter parameter : part.parameters()) {
        copyBlock(from.parameters().of(parameter).storage(), block, part.storage(parameter));
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
    LayerState to = layer.state();
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
    return number == LayerPart.CLASS_LEVEL
        ? new Parameter[] {Parameter.W1, Parameter.B1}
        : new Parameter[] {Parameter.W2, Parameter.B2};
  }

  private Storage storage(Parameter parameter) {
    return layer.parameters().of(parameter).storage();
  }

  FloatTensor W() {
    return layer.parameters().of(parameters()[0]);
  }

  FloatTensor b() {
    return layer.parameters().of(parameters()[1]);
  }

  /** How the part makes steps. */
  Training training() {
    return new Training(
        layer,
        number == LayerPart.CLASS_LEVEL
            ? TrainingPass::runClassLevel
            : TrainingPass::runOpenedClasses);
  }

  /** See {@link LayerPart#toBytes}. */
  byte[] toBytes() {
    try (Lease lease = layer.lease();
        LayerState.Kept state = layer.state().hold()) {
      Parameter[] parameters = parameters();
      PartBytes bytes =
          PartBytes.allocate(
              layer.link(),
              number,
              W().shape().size(),
              b().shape().size(),
              state.kind(),
              state.of(parameters[0].index()).steps()[0]);
      ByteBuffer into = bytes.numbers();
      for (Parameter parameter : parameters) {
        put(storage(parameter), into);
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

  @Override
  public void close() {
    layer.close();
  }

  @Override
  public String toString() {
    return number == LayerPart.CLASS_LEVEL ? "the class level" : "class " + number;
  }
}
