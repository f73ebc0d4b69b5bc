// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.PriorityQueue;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.internal.training.TensorState;
import org.blocksparse.internal.weights.ReadOnlyWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * Makes new memory for a layer: a copy, or memory with other outputs. The result replaces the
 * argument, which is closed, except by {@link #copy}. Nothing is changed until everything new is
 * allocated. Time and memory are those of one copy of the layer.
 */
final class Growth {
  /** One additional slot is made for this many needed ones. */
  private static final int ROOM = 16;

  /** The parameters with a column for each slot. */
  private static final List<Parameter> OF_SLOTS = List.of(Parameter.W2, Parameter.B2);

  private final LayerMemory memory;
  private final ClassTable table;

  private Growth(LayerMemory memory) {
    memory.requireTrainable("growth");
    this.memory = memory;
    this.table = memory.table();
  }

  /** Returns a copy with weights of the type that they have. */
  public static LayerMemory copy(LayerMemory memory) {
    return copy(memory, memory.parameters().type());
  }

  /**
   * Returns a copy with weights of a type. Those of floats that are copied keep their optimizer
   * state.
   *
   * @throws IllegalArgumentException if a weight is not finite, or too large for the type
   * @throws IllegalStateException if weights would be rounded that have been rounded before
   */
  public static LayerMemory copy(LayerMemory memory, WeightType type) {
    WeightType own = memory.parameters().type();
    if (own != type && own != WeightType.FLOAT32 && type != WeightType.FLOAT32) {
      throw ReadOnlyWeights.roundedAlready(own, type);
    }
    boolean hasState = own == WeightType.FLOAT32 && type == WeightType.FLOAT32;
    return inNewMemory(
        memory,
        memory.table(),
        () -> memory.parameters().copy(type, memory.sizes(), memory.engine()),
        (state, parameters, newState) -> {
          if (hasState) {
            newState.copyFrom(state);
          }
        });
  }

  /**
   * Adds n outputs, to the classes that have the fewest.
   *
   * @param n at least 1
   */
  public static LayerMemory added(LayerMemory memory, int n) {
    return new Growth(memory).added(n, null);
  }

  /**
   * Adds an output for each row of x, to its likeliest class.
   *
   * @param x rows, at least one, all finite
   */
  public static LayerMemory added(LayerMemory memory, Rows x) {
    return new Growth(memory).added((int) x.count(), x);
  }

  private LayerMemory added(int n, Rows x) {
    int outputs = table.outputs();
    if (n > GrowingArrays.MAX_LENGTH - outputs) {
      throw new IllegalArgumentException(
          "n: " + outputs + " outputs and " + n + " more are more than 2^31 - 9");
    }
    int all = outputs + n;
    return placed(IntStream.range(outputs, all).toArray(), all, x);
  }

  /**
   * Gives new outputs the numbers of retired ones.
   *
   * @param outputs retired outputs of the layer
   * @throws IllegalArgumentException if one is not retired, or occurs twice
   */
  public static LayerMemory reused(LayerMemory memory, int... outputs) {
    ClassTable table = memory.table();
    BitSet seen = new BitSet();
    for (int i = 0; i < outputs.length; i++) {
      if (table.classOf()[outputs[i]] >= 0 || seen.get(outputs[i])) {
        throw new IllegalArgumentException(
            "outputs["
                + i
                + "] = "
                + outputs[i]
                + (seen.get(outputs[i]) ? " is there twice" : " is not retired"));
      }
      seen.set(outputs[i]);
    }
    return new Growth(memory).placed(outputs, table.outputs(), null);
  }

  /**
   * Gives outputs without a class their places.
   *
   * @param all the number of all outputs
   */
  private LayerMemory placed(int[] outputs, int all, Rows x) {
    int slots = slotsWith(outputs.length);
    int[] classes = x == null ? leastFull(outputs.length) : likeliest(x, slots);
    ClassTable after = withPlaces(outputs, classes, all, slots);
    return slots == table.slots() ? filled(after) : moved(after);
  }

  /**
   * Returns the room that classes need for more outputs: what they have, or more than is needed.
   */
  private int slotsWith(int more) {
    long needed = table.live() + (long) more;
    if (needed <= (long) table.classes() * table.slots()) {
      return table.slots();
    }
    long each = (needed - 1) / table.classes() + 1;
    return (int) Math.min(GrowingArrays.MAX_LENGTH, each + Math.max(1, each / ROOM));
  }

  /** Returns the assignment with each of some outputs as the next one of its class. */
  private ClassTable withPlaces(int[] outputs, int[] classes, int all, int slots) {
    int[] classOf = Arrays.copyOf(table.classOf(), all);
    int[] slotOf = Arrays.copyOf(table.slotOf(), all);
    int[] sizes = sizes();
    for (int i = 0; i < outputs.length; i++) {
      classOf[outputs[i]] = classes[i];
      slotOf[outputs[i]] = sizes[classes[i]]++;
    }
    return ClassTable.of(classOf, slotOf, table.classes(), slots);
  }

  private int[] sizes() {
    return IntStream.range(0, table.classes()).map(table::size).toArray();
  }

  /**
   * Returns a class for each of n outputs: always one that has the fewest, with the lowest number.
   */
  private int[] leastFull(int n) {
    PriorityQueue<Long> bySize = new PriorityQueue<>();
    for (int c = 0; c < table.classes(); c++) {
      bySize.add((long) table.size(c) << 32 | c);
    }
    int[] classes = new int[n];
    for (int i = 0; i < n; i++) {
      long least = bySize.remove();
      classes[i] = (int) least;
      bySize.add(least + (1L << 32));
    }
    return classes;
  }

  /** Returns the likeliest class with room for each row of x, row by row. */
  private int[] likeliest(Rows x, int slots) {
    try (StorageLease lease = memory.lease(new StorageLease());
        Workspace workspace = memory.softmax().borrowWorkspace()) {
      String shape = Dimensions.text(new long[] {x.count(), x.stride()});
      lease.hold("x", x.storage(), "the tensor %s is closed", shape);
      int[] sizes = sizes();
      int[] classes = new int[(int) x.count()];
      float[] logProbabilities = new float[sizes.length];
      int step = memory.softmax().rowsAtOnce();
      Rows byClass = null;
      for (int row = 0; row < classes.length; row++) {
        if (row % step == 0) {
          Rows next = x.slice(row, Math.min(step, classes.length - row));
          byClass = memory.softmax().classes(next, true, workspace);
        }
        byClass.get(row % step, 0, logProbabilities);
        int best = -1;
        for (int c = 0; c < sizes.length; c++) {
          if (sizes[c] < slots && (best < 0 || logProbabilities[c] > logProbabilities[best])) {
            best = c;
          }
        }
        classes[row] = best;
        sizes[best]++;
      }
      return classes;
    }
  }

  /** Fills slots that were empty, in place. */
  private LayerMemory filled(ClassTable after) {
    return inPlace(
        after,
        state -> {
          for (int c = 0; c < table.classes(); c++) {
            if (table.size(c) < after.size(c)) {
              for (Parameter parameter : OF_SLOTS) {
                state.of(parameter.index()).prepareToBegin(c, table.slots());
              }
            }
          }
        },
        (parameters, moments, state) -> {
          for (int c = 0; c < table.classes(); c++) {
            int begin = table.size(c);
            int end = after.size(c);
            if (begin < end) {
              for (Parameter parameter : OF_SLOTS) {
                state.of(parameter.index()).begin(c, begin, end);
              }
              for (SlotColumns parameter : parameters) {
                parameter.fillWithMean(c, begin, end);
              }
              for (SlotColumns moment : moments) {
                moment.clear(c, begin, end);
              }
            }
          }
        });
  }

  /** A change of slots. It cannot fail halfway: once it writes, it takes no memory. */
  private interface Change {
    void make(SlotColumns[] parameters, SlotColumns[] moments, LayerState.Kept state);
  }

  private LayerMemory inPlace(
      ClassTable after, Consumer<LayerState.Kept> preparation, Change change) {
    LayerMemory result = null;
    try (StorageLease lease = memory.leaseToTrain(new StorageLease());
        LayerState.Kept state = memory.state().hold()) {
      lease.requireIntact();
      result = memory.with(after);
      SlotColumns[] parameters = parameters();
      SlotColumns[] moments = moments(state);
      preparation.accept(state);
      change.make(parameters, moments, state);
    } catch (Throwable e) { // the lease throws one if a file has shrunk
      if (result != null) {
        result.closeTables();
      }
      throw e;
    }
    memory.closeTables();
    return result;
  }

  private SlotColumns columns(Parameter parameter, Storage storage) {
    return new SlotColumns(
        storage, parameter == Parameter.W2 ? memory.features() : 1, table.slots());
  }

  private SlotColumns[] parameters() {
    return OF_SLOTS.stream()
        .map(parameter -> columns(parameter, memory.parameters().of(parameter)))
        .toArray(SlotColumns[]::new);
  }

  /** Returns the moments that the optimizer keeps of them. */
  private SlotColumns[] moments(LayerState.Kept state) {
    List<SlotColumns> moments = new ArrayList<>();
    for (Parameter parameter : OF_SLOTS) {
      for (int moment = 0; moment < state.kind().moments(); moment++) {
        moments.add(columns(parameter, state.of(parameter.index()).moment(moment)));
      }
    }
    return moments.toArray(SlotColumns[]::new);
  }

  /**
   * Retires outputs, whose numbers are kept.
   *
   * @param outputs outputs of the layer
   * @throws IllegalArgumentException if none would be left
   */
  public static LayerMemory retired(LayerMemory memory, int... outputs) {
    return new Growth(memory).retired(outputs);
  }

  private LayerMemory retired(int[] outputs) {
    int[] classOf = table.classOf().clone();
    int[] slotOf = table.slotOf().clone();
    int[][] members = new int[table.classes()][];
    int[] sizes = sizes();
    int live = table.live();
    // The last output of a class moves into the gap, in place as well as in a copy.
    int[] movedTo = new int[outputs.length];
    int[] classes = new int[outputs.length];
    for (int i = 0; i < outputs.length; i++) {
      int c = classOf[outputs[i]];
      classes[i] = c;
      if (c < 0) {
        continue;
      }
      if (members[c] == null) {
        members[c] = table.members()[c].clone();
      }
      movedTo[i] = slotOf[outputs[i]];
      int last = members[c][--sizes[c]];
      members[c][movedTo[i]] = last;
      slotOf[last] = movedTo[i];
      classOf[outputs[i]] = ClassTable.RETIRED;
      slotOf[outputs[i]] = ClassTable.RETIRED;
      live--;
    }
    if (live == 0) {
      throw new IllegalArgumentException("outputs: none would be left");
    }
    if (Arrays.stream(sizes).anyMatch(size -> size == 0)) {
      return moved(withoutEmpty(classOf, slotOf, sizes, table.slots()));
    }
    ClassTable after = ClassTable.of(classOf, slotOf, table.classes(), table.slots());
    int[] left = sizes();
    return inPlace(
        after,
        state -> {},
        (parameters, moments, state) -> {
          for (int i = 0; i < outputs.length; i++) {
            if (classes[i] >= 0) {
              int c = classes[i];
              int to = movedTo[i];
              int last = --left[c];
              for (Parameter parameter : OF_SLOTS) {
                state.of(parameter.index()).moveColumn(c, last, to);
              }
              for (SlotColumns parameter : parameters) {
                parameter.move(c, last, to);
              }
              for (SlotColumns moment : moments) {
                moment.move(c, last, to);
              }
            }
          }
        });
  }

  /** Returns the same places with classes renumbered, so that no class is empty. */
  private static ClassTable withoutEmpty(int[] classOf, int[] slotOf, int[] sizes, int slots) {
    int[] numbers = new int[sizes.length];
    int count = 0;
    for (int c = 0; c < sizes.length; c++) {
      numbers[c] = sizes[c] == 0 ? -1 : count++;
    }
    int[] renumbered =
        Arrays.stream(classOf).map(c -> c < 0 ? ClassTable.RETIRED : numbers[c]).toArray();
    return ClassTable.of(renumbered, slotOf, count, slots);
  }

  /**
   * Moves the outputs to other classes.
   *
   * @throws IllegalArgumentException if the table is for another number of outputs, or if it has
   *     retired an output that is not retired here
   */
  public static LayerMemory reassigned(LayerMemory memory, ClassTable given) {
    ClassTable table = memory.table();
    if (given.outputs() != table.outputs()) {
      throw new IllegalArgumentException(
          "classes: expected an assignment of "
              + table.outputs()
              + " outputs but was one of "
              + given.outputs());
    }
    return new Growth(memory).moved(live(table, given));
  }

  /**
   * Returns the given outputs, without retired ones.
   *
   * @throws IllegalArgumentException if another is retired there
   */
  private static ClassTable live(ClassTable table, ClassTable given) {
    int[] classOf = given.classOf().clone();
    int[] slotOf = new int[classOf.length];
    Arrays.fill(slotOf, ClassTable.RETIRED); // as outputs without a class in the given table
    int[] sizes = new int[given.classes()];
    for (int c = 0; c < sizes.length; c++) {
      for (int output : given.members()[c]) {
        if (table.classOf()[output] < 0) {
          classOf[output] = ClassTable.RETIRED;
          slotOf[output] = ClassTable.RETIRED;
        } else {
          slotOf[output] = sizes[c]++;
        }
      }
    }
    for (int output = 0; output < classOf.length; output++) {
      if (classOf[output] < 0 && table.classOf()[output] >= 0) {
        throw new IllegalArgumentException(
            "classes: output " + output + " is retired there, but not in the layer");
      }
    }
    return withoutEmpty(classOf, slotOf, sizes, given.slots());
  }

  /** Fills new memory, and the optimizer's state for it. */
  private interface Content {
    void fill(LayerState.Kept old, SoftmaxStorage parameters, LayerState state);
  }

  private static LayerMemory inNewMemory(
      LayerMemory memory, ClassTable classes, Supplier<SoftmaxStorage> fresh, Content content) {
    LayerMemory result = null;
    try (StorageLease lease = memory.lease(new StorageLease());
        LayerState.Kept state = memory.state().hold()) {
      result = memory.with(classes, fresh.get());
      content.fill(state, result.parameters(), result.state());
      return result;
    } catch (Throwable e) {
      if (result != null) {
        result.close();
      }
      throw e;
    }
  }

  /** Moves everything into new memory. */
  private LayerMemory moved(ClassTable after) {
    Relocation relocation =
        new Relocation(memory.engine(), memory.link(), memory.features(), table, after);
    LayerMemory result =
        inNewMemory(
            memory,
            after,
            () ->
                SoftmaxStorage.zeros(
                    new SoftmaxSizes(memory.features(), after.classes(), after.slots())),
            (state, parameters, newState) -> {
              newState.reset(state.kind());
              relocation.parameters(memory.parameters(), parameters);
              for (int moment = 0; moment < state.kind().moments(); moment++) {
                relocation.moments(moments(state::of, moment), moments(newState::of, moment));
              }
              for (Parameter parameter : Parameter.values()) {
                TensorState old = state.of(parameter.index());
                TensorState fresh = newState.of(parameter.index());
                if (OF_SLOTS.contains(parameter)) {
                  relocation.steps(old, fresh);
                } else {
                  fresh.restoreSteps(old.steps());
                }
              }
            });
    memory.close();
    return result;
  }

  /** Returns one of the moments of all parameters. */
  private static SoftmaxStorage moments(IntFunction<TensorState> state, int moment) {
    return new SoftmaxStorage(
        state.apply(Parameter.W1.index()).moment(moment),
        state.apply(Parameter.B1.index()).moment(moment),
        state.apply(Parameter.W2.index()).moment(moment),
        state.apply(Parameter.B2.index()).moment(moment));
  }
}
