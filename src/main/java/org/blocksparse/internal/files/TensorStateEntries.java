// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.TensorState;

/**
 * The optimizer state of one tensor in a file, by the names of {@link ModelNames}.
 *
 * @param steps null if the rule does not count them
 */
public record TensorStateEntries(
    Optimizer.Kind rule, List<TensorEntry> moments, TensorEntry steps) {
  /**
   * Adds what is kept of a tensor to a file.
   *
   * @param state the state of the layer or the tensor, which is leased
   * @param tensor the position of the tensor in the state
   * @param name the name of the tensor
   */
  public static void add(
      LayerState state,
      int tensor,
      String name,
      long[] dims,
      StorageLease lease,
      List<TensorSource> sources) {
    Optimizer.Kind rule = state.kind();
    for (int moment = 0; moment < rule.moments(); moment++) {
      sources.add(moment(state, tensor, moment, name, dims, lease));
    }
    if (rule.countsSteps()) {
      sources.add(TensorSource.ints(ModelNames.steps(name), state.of(tensor).steps()));
    }
  }

  /** Returns one moment of a tensor, for a file; the lease holds it. */
  public static TensorSource moment(
      LayerState state, int tensor, int moment, String name, long[] dims, StorageLease lease) {
    Storage storage = state.of(tensor).moment(moment);
    if (!lease.tryHold(storage)) {
      throw state.closed();
    }
    return TensorSource.floats(ModelNames.moment(moment, name), dims, storage);
  }

  /**
   * Finds the state of a tensor in a file.
   *
   * @param blocks the blocks of the tensor
   * @throws MalformedException if something of it is missing, or has another shape
   */
  public static TensorStateEntries of(
      SafeTensorsReader reader, Optimizer.Kind rule, String name, long[] dims, long blocks)
      throws MalformedException {
    List<TensorEntry> moments = new ArrayList<>();
    for (int moment = 0; moment < rule.moments(); moment++) {
      moments.add(reader.entry(ModelNames.moment(moment, name), Dtype.F32, dims));
    }
    TensorEntry steps =
        rule.countsSteps() ? reader.entry(ModelNames.steps(name), Dtype.I32, blocks) : null;
    return new TensorStateEntries(rule, moments, steps);
  }

  /** Returns the bytes of the entries to read. */
  public long bytes() {
    return moments.stream().mapToLong(TensorEntry::bytes).sum()
        + (steps == null ? 0 : steps.bytes());
  }

  /** Reads it. */
  public void restore(SafeTensorsReader reader, LayerState state, int tensor) throws IOException {
    state.reset(rule);
    TensorState target = state.of(tensor);
    if (steps != null) {
      target.restoreSteps(readSteps(reader, steps));
    }
    for (int moment = 0; moment < moments.size(); moment++) {
      reader.readFloats(moments.get(moment), target.moment(moment), values(moment, moments.size()));
    }
  }

  /** Returns how many steps each block has taken. */
  public static int[] readSteps(SafeTensorsReader reader, TensorEntry entry) throws IOException {
    int[] steps = reader.readInts(entry);
    for (int i = 0; i < steps.length; i++) {
      if (steps[i] < 0) {
        throw new MalformedException(
            entry.name(), "element " + i + " = " + steps[i] + " is negative");
      }
    }
    return steps;
  }

  /** Returns the values that a moment may have, given how many a rule keeps. */
  public static SafeTensorsReader.Values values(int moment, int moments) {
    // The last moment, Adagrad's only one, consists of squares, whose root a step takes.
    return moment == moments - 1
        ? SafeTensorsReader.Values.FINITE_AND_NOT_NEGATIVE
        : SafeTensorsReader.Values.FINITE;
  }
}
