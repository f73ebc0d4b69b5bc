// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.nio.ByteBuffer;
import java.util.stream.IntStream;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.training.InitialWeights;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.internal.training.TensorState;

/**
 * The memory of a part of a layer, kept as a layer of its own: of one class, whose class level is
 * not used; or of classes of one output each, which are not used.
 *
 * @param number the number of the class, or {@link #CLASS_LEVEL}
 */
record PartMemory(int number, LayerMemory layer) implements AutoCloseable {
  /** The number of the class level; classes have numbers from 0 on. */
  public static final int CLASS_LEVEL = -1;

  /** Returns a part whose weights are zero. */
  private static PartMemory zeros(
      Engine engine, Link link, int number, int features, ClassTable classes) {
    ClassTable own;
    if (number == CLASS_LEVEL) {
      int[] classOf = IntStream.range(0, classes.classes()).toArray();
      own = ClassTable.inOrder(classOf, classOf.length, 1);
    } else {
      own = ClassTable.inOrder(new int[classes.size(number)], 1, classes.slots());
    }
    SoftmaxStorage parameters =
        SoftmaxStorage.zeros(new SoftmaxSizes(features, own.classes(), own.slots()));
    return new PartMemory(number, LayerMemory.owning(engine, link, features, own, parameters));
  }

  /** Returns the weights that a new layer has there. */
  public static PartMemory initial(
      Engine engine, Link link, int number, int features, ClassTable classes, long seed) {
    PartMemory part = zeros(engine, link, number, features, classes);
    long before =
        number == CLASS_LEVEL
            ? 0
            : (long) features * classes.classes() + number * ((long) features * classes.slots());
    int columns = number == CLASS_LEVEL ? classes.classes() : classes.slots();
    new InitialWeights(features, seed).fill(part.storage(part.weights()), before, columns);
    return part;
  }

  /** Returns the layer's parameters of this part, with their optimizer state. */
  public static PartMemory copyOf(LayerMemory from, int number, Engine engine) {
    from.requireTrainable("part");
    PartMemory part = zeros(engine, from.link(), number, from.features(), from.table());
    try (StorageLease lease = from.lease(new StorageLease());
        LayerState.Kept state = from.state().hold()) {
      int block = Math.max(number, 0);
      for (Parameter parameter : part.parameters()) {
        copyBlock(from.parameters().of(parameter), block, part.storage(parameter));
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
      int[] begun = source.begun(block);
      if (number == CLASS_LEVEL) {
        // The part needs no numbers of the outputs, only whether the layer's file has them.
        begun = from.of(Parameter.W2.index()).hasLaterColumns() ? new int[1] : null;
      }
      target.restoreBegun(0, begun == null ? null : begun.clone());
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

  private Parameter[] parameters() {
    return new Parameter[] {weights(), biases()};
  }

  /** Returns the parameter of the layer that the weights are. */
  public Parameter weights() {
    return number == CLASS_LEVEL ? Parameter.W1 : Parameter.W2;
  }

  /** Returns the parameter of the layer that the biases are. */
  public Parameter biases() {
    return number == CLASS_LEVEL ? Parameter.B1 : Parameter.B2;
  }

  private Storage storage(Parameter parameter) {
    return layer.parameters().of(parameter);
  }

  /** Runs this part of a pass. */
  public double[] run(TrainingPass pass) {
    return number == CLASS_LEVEL ? pass.runClassLevel() : pass.runOpenedClasses();
  }

  /**
   * Returns the part with its optimizer state.
   *
   * @throws IllegalStateException if it is closed, a number is not finite, or the bytes are more
   *     than an array can hold
   */
  public byte[] toBytes() {
    try (StorageLease lease = layer.lease(new StorageLease());
        LayerState.Kept state = layer.state().hold()) {
      Parameter[] parameters = parameters();
      int[] begun = state.of(parameters[0].index()).begun(0);
      PartBytes bytes =
          PartBytes.allocate(
              layer.link(),
              number,
              storage(weights()).elements(),
              storage(biases()).elements(),
              state.kind(),
              state.of(parameters[0].index()).steps()[0],
              begun == null ? new int[0] : begun);
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
    return number == CLASS_LEVEL ? "the class level" : "class " + number;
  }
}
