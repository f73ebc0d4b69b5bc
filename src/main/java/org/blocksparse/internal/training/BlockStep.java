// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.training;

import java.util.stream.IntStream;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.weights.Blocks;

/**
 * A step of weights or biases of chosen blocks: the gradient of a block is computed, used and
 * dropped while it is in the cache, and unused blocks cost nothing. Plain gradient descent adds the
 * products straight to the parameters.
 *
 * <p>Several workers share a large block, in bands, unless its gradient is clipped, which requires
 * the length of the whole gradient. The bits do not depend on the workers.
 *
 * @param tensor the position of the tensor in the state
 */
public record BlockStep(Engine engine, LayerState.Step step, int tensor) {
  /**
   * Updates weights by the outer products of rows.
   *
   * @param w the weights, dense, as the state knows them
   */
  public void weights(OuterSchedule schedule, Rows x, Rows y, Blocks w) {
    if (schedule.blocks() == 0) {
      return;
    }
    if (step.isPlainDescent()) {
      step.keep();
      engine.outer(schedule, -step.rule().rate(), x, y, true, w);
      return;
    }
    if (step.isClipping()) {
      engine.outerBands(
          schedule,
          x,
          y,
          w,
          true,
          (block, row, rows, gradient) ->
              step.update(tensor, number(schedule, block, w), gradient));
      return;
    }
    long n = w.outSize();
    step.updateBands(
        tensor,
        IntStream.range(0, schedule.blocks()).map(block -> number(schedule, block, w)),
        bands ->
            engine.outerBands(
                schedule,
                x,
                y,
                w,
                false,
                (block, row, rows, gradient) ->
                    bands.update(number(schedule, block, w), row * n, rows * n, gradient)));
  }

  private static int number(OuterSchedule schedule, int block, Blocks w) {
    return schedule.xBlock(block) * w.outBlocks() + schedule.yBlock(block);
  }

  /**
   * Updates biases by the sums of the rows that were computed with them.
   *
   * @param b the biases, as the state knows them
   */
  public void biases(GemmSchedule schedule, Rows y, Rows b) {
    if (schedule.chunks() == 0) {
      return;
    }
    int n = (int) b.stride();
    if (step.isPlainDescent()) {
      step.keep();
      engine.sum(schedule, n, -step.rule().rate(), y, true, b);
    } else {
      engine.sums(schedule, (int) b.count(), n, y, (block, sum) -> step.update(tensor, block, sum));
    }
  }
}
