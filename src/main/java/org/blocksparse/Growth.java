// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.PriorityQueue;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.memory.HeapRoom;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.LayerState;
import org.blocksparse.internal.optimizer.TensorState;
import org.blocksparse.internal.softmax.ClassTable;
import org.blocksparse.internal.softmax.Parameter;
import org.blocksparse.internal.softmax.Relocation;
import org.blocksparse.internal.softmax.SlotColumns;
import org.blocksparse.internal.softmax.SoftmaxStorage;

/**
 * Copies of a layer's memory, and the same with other outputs. What is returned takes the place of
 * what was given, which is closed, except by {@link #copy}. Until all that is new has its memory,
 * nothing is changed.
 */
final class Growth {
  /** Of the slots that are needed, those that are made in addition. */
  private static final int ROOM = 16;

  /** What has a column for each slot. */
  private static final List<Parameter> OF_SLOTS = List.of(Parameter.W2, Parameter.B2);

  private final LayerMemory memory;
  private final ClassTable table;

  private Growth(LayerMemory memory) {
    memory.requireTrainable("growth");
    this.memory = memory;
    this.table = memory.assignment().table();
  }

  static LayerMemory copy(LayerMemory memory) {
    return copy(memory, memory.parameters().type());
  }

  /** With weights of a type. Only those of floats have optimizer state, which floats keep. */
  static LayerMemory copy(LayerMemory memory, ElementType type) {
    return type == ElementType.FLOAT32 && memory.parameters().narrow() == null
        ? copied(memory)
        : memory.withWeights(type);
  }

  static LayerMemory added(LayerMemory memory, int n) {
    return new Growth(memory).added(n, null);
  }

  static LayerMemory added(LayerMemory memory, FloatTensor x) {
    int n = new Prediction(memory).checkX(x);
    if (n == 0) {
      throw new IllegalArgumentException("x: expected at least 1 row but was " + x.shape());
    }
    try (Lease lease = new Lease().of("x", x)) {
      Check.finite("x", KernelOperands.rows(x));
    }
    return new Growth(memory).added(n, x);
  }

  private LayerMemory added(int n, FloatTensor x) {
    Check.atLeast(1, "n", n);
    int outputs = table.outputs();
    if (n > Check.LARGEST_ARRAY - outputs) {
      throw new IllegalArgumentException(
          "n: " + outputs + " outputs and " + n + " more are more than 2^31 - 9");
    }
    int all = outputs + n;
    return placed(
        ClassAssignment.tables(all, () -> IntStream.range(outputs, all).toArray()), all, x);
  }

  static LayerMemory reused(LayerMemory memory, int... outputs) {
    ClassTable table = memory.assignment().table();
    Check.indices("outputs", requireNonNull(outputs, "outputs"), 0, "outputs", table.outputs());
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
   * Gives outputs that live nowhere their places.
   *
   * @param all how many there are, with those that live
   */
  private LayerMemory placed(int[] outputs, int all, FloatTensor x) {
    int slots = slotsWith(outputs.length);
    int[] classes =
        x == null
            ? ClassAssignment.tables(all, () -> leastFull(outputs.length))
            : likeliest(x, slots);
    ClassAssignment after =
        ClassAssignment.tables(all, () -> withPlaces(outputs, classes, all, slots));
    return slots == table.slots() ? filled(after) : moved(after);
  }

  /** The room that classes need for more outputs: what they have, or more than is needed. */
  private int slotsWith(int more) {
    long needed = table.live() + (long) more;
    if (needed <= (long) table.classes() * table.slots()) {
      return table.slots();
    }
    long each = (needed - 1) / table.classes() + 1;
    return (int) Math.min(Check.LARGEST_ARRAY, each + Math.max(1, each / ROOM));
  }

  /** The assignment once each of some outputs is the next one of its class. */
  private ClassAssignment withPlaces(int[] outputs, int[] classes, int all, int slots) {
    int[] classOf = Arrays.copyOf(table.classOf(), all);
    int[] slotOf = Arrays.copyOf(table.slotOf(), all);
    int[] sizes = sizes();
    for (int i = 0; i < outputs.length; i++) {
      classOf[outputs[i]] = classes[i];
      slotOf[outputs[i]] = sizes[classes[i]]++;
    }
    return ClassAssignment.of(classOf, slotOf, table.classes(), slots);
  }

  private int[] sizes() {
    return IntStream.range(0, table.classes()).map(table::size).toArray();
  }

  /** A class for each of n outputs: always one that has the fewest, with the lowest number. */
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

  /** For each row of x the likeliest class with room, row by row. */
  private int[] likeliest(FloatTensor x, int slots) {
    return memory.compute(
        x,
        (rows, workspace) -> {
          Rows byClass = memory.softmax().classes(rows, true, workspace);
          int[] sizes = sizes();
          int[] classes = HeapRoom.ints((int) rows.count(), "classes of outputs");
          float[] logProbabilities = new float[sizes.length];
          for (int row = 0; row < classes.length; row++) {
            byClass.get(row, 0, logProbabilities);
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
        });
  }

  /** Fills slots that were empty, in place. */
  private LayerMemory filled(ClassAssignment after) {
    return inPlace(
        after,
        (parameters, moments) -> {
          for (int c = 0; c < table.classes(); c++) {
            int begin = table.size(c);
            int end = after.size(c);
            if (begin < end) {
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

  /** What becomes of slots. Nothing can end it in the middle: it takes no memory once it writes. */
  private interface Change {
    void make(SlotColumns[] parameters, SlotColumns[] moments);
  }

  private LayerMemory inPlace(ClassAssignment after, Change change) {
    LayerMemory result = null;
    try (Lease lease = memory.leaseToTrain();
        LayerState.Kept state = memory.state().hold()) {
      lease.requireIntact();
      result = memory.with(after);
      change.make(parameters(), moments(state));
    } catch (Throwable e) { // the lease ends with one if a file has shrunk
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
        .map(parameter -> columns(parameter, memory.parameters().of(parameter).storage()))
        .toArray(SlotColumns[]::new);
  }

  /** What the optimizer keeps of them. */
  private SlotColumns[] moments(LayerState.Kept state) {
    List<SlotColumns> moments = new ArrayList<>();
    for (Parameter parameter : OF_SLOTS) {
      for (int moment = 0; moment < state.kind().moments(); moment++) {
        moments.add(columns(parameter, state.of(parameter.index()).moment(moment)));
      }
    }
    return moments.toArray(SlotColumns[]::new);
  }

  static LayerMemory retired(LayerMemory memory, int... outputs) {
    int all = memory.assignment().outputs();
    Check.indices("outputs", requireNonNull(outputs, "outputs"), 0, "outputs", all);
    return new Growth(memory).retired(outputs);
  }

  private LayerMemory retired(int[] outputs) {
    int[] classOf = table.classOf().clone();
    int[] slotOf = table.slotOf().clone();
    int[][] members = new int[table.classes()][];
    int[] sizes = sizes();
    int live = table.live();
    // Of each class, the last output moves into the gap: what is moved where is the same in place.
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
      classOf[outputs[i]] = ClassAssignment.RETIRED;
      slotOf[outputs[i]] = ClassAssignment.RETIRED;
      live--;
    }
    if (live == 0) {
      throw new IllegalArgumentException("outputs: none would be left");
    }
    if (Arrays.stream(sizes).anyMatch(size -> size == 0)) {
      return moved(withoutEmpty(classOf, slotOf, sizes, table.slots()));
    }
    ClassAssignment after = ClassAssignment.of(classOf, slotOf, table.classes(), table.slots());
    return inPlace(
        after,
        (parameters, moments) -> {
          int[] left = sizes();
          for (int i = 0; i < outputs.length; i++) {
            if (classes[i] >= 0) {
              int c = classes[i];
              int to = movedTo[i];
              int last = --left[c];
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

  /** The same places in classes that are numbered anew, without those that have no outputs. */
  private static ClassAssignment withoutEmpty(int[] classOf, int[] slotOf, int[] sizes, int slots) {
    int[] numbers = new int[sizes.length];
    int count = 0;
    for (int c = 0; c < sizes.length; c++) {
      numbers[c] = sizes[c] == 0 ? -1 : count++;
    }
    int[] renumbered =
        Arrays.stream(classOf).map(c -> c < 0 ? ClassAssignment.RETIRED : numbers[c]).toArray();
    return ClassAssignment.of(renumbered, slotOf, count, slots);
  }

  static LayerMemory reassigned(LayerMemory memory, ClassAssignment classes) {
    ClassTable given = requireNonNull(classes, "classes").table();
    ClassTable table = memory.assignment().table();
    if (given.outputs() != table.outputs()) {
      throw new IllegalArgumentException(
          "classes: expected an assignment of "
              + table.outputs()
              + " outputs but was one of "
              + given.outputs());
    }
    ClassAssignment after = ClassAssignment.tables(given.outputs(), () -> live(table, given));
    return new Growth(memory).moved(after);
  }

  /**
   * What was given, without those outputs that are retired.
   *
   * @throws IllegalArgumentException if another is retired there
   */
  private static ClassAssignment live(ClassTable table, ClassTable given) {
    int[] classOf = given.classOf().clone();
    int[] slotOf = new int[classOf.length];
    Arrays.fill(slotOf, ClassAssignment.RETIRED); // as those that are nowhere in what was given
    int[] sizes = new int[given.classes()];
    for (int c = 0; c < sizes.length; c++) {
      for (int output : given.members()[c]) {
        if (table.classOf()[output] < 0) {
          classOf[output] = ClassAssignment.RETIRED;
          slotOf[output] = ClassAssignment.RETIRED;
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

  /** What new memory is filled with, from what an optimizer keeps as well. */
  private interface Content {
    void fill(LayerState.Kept old, SoftmaxStorage parameters, LayerState state);
  }

  private static LayerMemory inNewMemory(
      LayerMemory memory, ClassAssignment classes, Content content) {
    LayerMemory result = null;
    try (Lease lease = memory.lease();
        LayerState.Kept state = memory.state().hold()) {
      SoftmaxParameters fresh =
          SoftmaxParameters.zeros(memory.features(), classes.classCount(), classes.slots());
      result = memory.with(classes, fresh);
      result.state().reset(state.kind());
      content.fill(state, fresh.storage(), result.state());
      return result;
    } catch (Throwable e) {
      if (result != null) {
        result.close();
      }
      throw e;
    }
  }

  private static LayerMemory copied(LayerMemory memory) {
    SoftmaxStorage from = memory.parameters().storage();
    return inNewMemory(
        memory,
        memory.assignment(),
        (state, parameters, newState) -> {
          for (Parameter parameter : Parameter.values()) {
            parameters.of(parameter).copyFrom(from.of(parameter));
            TensorState old = state.of(parameter.index());
            TensorState fresh = newState.of(parameter.index());
            for (int moment = 0; moment < state.kind().moments(); moment++) {
              fresh.moment(moment).copyFrom(old.moment(moment));
            }
            fresh.restoreSteps(old.steps());
          }
        });
  }

  /** Moves everything into new memory. */
  private LayerMemory moved(ClassAssignment after) {
    Relocation relocation =
        ClassAssignment.tables(
            after.outputs(),
            () ->
                new Relocation(
                    memory.softmax().engine(),
                    memory.link(),
                    memory.features(),
                    table,
                    after.table()));
    LayerMemory result =
        inNewMemory(
            memory,
            after,
            (state, parameters, newState) -> {
              relocation.parameters(memory.parameters().storage(), parameters);
              for (int moment = 0; moment < state.kind().moments(); moment++) {
                relocation.moments(moments(state::of, moment), moments(newState::of, moment));
              }
              for (Parameter parameter : Parameter.values()) {
                int[] steps = state.of(parameter.index()).steps();
                newState
                    .of(parameter.index())
                    .restoreSteps(OF_SLOTS.contains(parameter) ? relocation.steps(steps) : steps);
              }
            });
    memory.close();
    return result;
  }

  /** One of the moments of all parameters. */
  private static SoftmaxStorage moments(IntFunction<TensorState> state, int moment) {
    return new SoftmaxStorage(
        state.apply(Parameter.W1.index()).moment(moment),
        state.apply(Parameter.B1.index()).moment(moment),
        state.apply(Parameter.W2.index()).moment(moment),
        state.apply(Parameter.B2.index()).moment(moment));
  }
}
