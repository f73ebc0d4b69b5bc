// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.blocksparse.Optimizer;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.search.ClassTable;
import org.blocksparse.internal.training.BlockedTensor;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.TensorState;
import org.junit.jupiter.api.Test;

final class RelocationTest {
  private static final int[] WAS_IN = {0, 0, 1, 1, 2, 2, 3, 3};

  private static TensorState state() {
    LayerState state = new LayerState("layer", new BlockedTensor(Storage.allocate(8), 4, false));
    state.reset(Optimizer.Kind.ADAM);
    return state.of(0);
  }

  /** Each output is corrected by its own steps, in any class. */
  @Test
  void outputsTakeTheirStepsAlong() {
    ClassTable from =
        new ClassTable(
            WAS_IN,
            new int[] {0, 1, 0, 1, 0, 1, 0, 1},
            new int[][] {{0, 1}, {2, 3}, {4, 5}, {6, 7}},
            2);
    ClassTable to =
        new ClassTable(
            new int[] {0, 1, 0, 2, 1, 2, 3, 3},
            new int[] {0, 0, 1, 0, 1, 1, 0, 1},
            new int[][] {{0, 2}, {1, 4}, {3, 5}, {6, 7}},
            2);
    Relocation relocation =
        new Relocation(KernelChoice.engine(Scheduler.common()), Link.SOFTMAX, 1, from, to);
    for (int[] steps : new int[][] {{7, 0, 5, 0}, {7, 4, 1, 9}, {0, 0, 0, 0}}) {
      TensorState old = state();
      old.restoreSteps(steps);
      old.prepareToBegin(0, 2);
      old.begin(0, 1, 2);
      TensorState there = state();
      relocation.steps(old, there);
      for (int output = 0; output < 8; output++) {
        int own = output == 1 ? 0 : steps[WAS_IN[output]];
        assertEquals(
            own, there.steps(to.classOf()[output], to.slotOf()[output]), "output " + output);
      }
    }
  }
}
