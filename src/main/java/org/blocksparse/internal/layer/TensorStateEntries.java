// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.layer;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.blocksparse.internal.UpdateRule;
import org.blocksparse.internal.format.Dtype;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.format.SafeTensorsReader;
import org.blocksparse.internal.format.TensorEntry;
import org.blocksparse.internal.format.TensorSource;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.optimizer.LayerState;
import org.blocksparse.internal.optimizer.TensorState;

/**
 * The optimizer state of one tensor in a file, by the names of {@link ModelNames}.
 *
 * @param steps null if the rule does not count them
 */
record TensorStateEntries(UpdateRule.Kind rule, List<TensorEntry> moments, TensorEntry steps) {
  /**
   * Adds what is kept of a tensor to a file.
   *
   * @param state of the layer or the tensor, which is leased
   * @param tensor the position of the tensor in the state
   * @param name of the tensor
   */
  static void add(
      LayerState state,
      int tensor,
      String name,
      long[] dims,
      StorageLease lease,
      List<TensorSource> sources) {
    UpdateRule.Kind rule = state.kind();
    for (int moment = 0; moment < rule.moments(); moment++) {
      sources.add(moment(state, tensor, moment, name, dims, lease));
    }
    if (rule.countsSteps()) {
      sources.add(TensorSource.ints(ModelNames.steps(name), state.of(tensor).steps()));
    }
  }

  /** One moment of a tensor, for a file; it is held by the lease. */
  static TensorSource moment(
      LayerState state, int tensor, int moment, String name, long[] dims, StorageLease lease) {
    Storage storage = state.of(tensor).moment(moment);
    if (!lease.tryHold(storage)) {
      throw state.closed();
    }
    return TensorSource.floats(ModelNames.moment(moment, name), dims, storage);
  }

  /**
   * Finds what a file has of a tensor.
   *
   * @param blocks of the tensor
   * @throws MalformedException if something of it is missing, or has another shape
   */
  static TensorStateEntries of(
      SafeTensorsReader reader, UpdateRule.Kind rule, String name, long[] dims, long blocks)
      throws MalformedException {
    List<TensorEntry> moments = new ArrayList<>();
    for (int moment = 0; moment < rule.moments(); moment++) {
      moments.add(reader.entry(ModelNames.moment(moment, name), Dtype.F32, dims));
    }
    TensorEntry steps =
        rule.countsSteps() ? reader.entry(ModelNames.steps(name), Dtype.I32, blocks) : null;
    return new TensorStateEntries(rule, moments, steps);
  }

  /** The entries to read. */
  long bytes() {
    return moments.stream().mapToLong(TensorEntry::bytes).sum()
        + (steps == null ? 0 : steps.bytes());
  }

  /** Reads it. */
  void restore(SafeTensorsReader reader, LayerState state, int tensor) throws IOException {
    state.reset(rule);
    TensorState target = state.of(tensor);
    if (steps != null) {
      target.restoreSteps(ModelFile.readSteps(reader, steps));
    }
    for (int moment = 0; moment < moments.size(); moment++) {
      reader.readFloats(
          moments.get(moment), target.moment(moment), ModelFile.values(moment, moments.size()));
    }
  }
}
