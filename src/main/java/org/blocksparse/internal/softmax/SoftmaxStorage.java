// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.softmax;

import java.util.Arrays;
import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.BlockedTensor;
import org.blocksparse.internal.optimizer.LayerState;

/**
 * The memory of all parameters, or of gradients with respect to them.
 *
 * @param type what the weights are stored as; if not as floats, they are only read
 * @param w1Scales (classes), or null; see {@link WeightType#hasScales}
 * @param w2Scales (classes, slots), or null
 */
public record SoftmaxStorage(
    Storage w1,
    Storage b1,
    Storage w2,
    Storage b2,
    WeightType type,
    Storage w1Scales,
    Storage w2Scales) {

  /** Memory of floats. */
  public SoftmaxStorage(Storage w1, Storage b1, Storage w2, Storage b2) {
    this(w1, b1, w2, b2, WeightType.FLOAT32, null, null);
  }

  /** W1 as a block, to be multiplied by. */
  Blocks w1(SoftmaxSizes sizes) {
    return sizes.w1(w1).as(type, w1Scales);
  }

  /** W2 as a block for each class, to be multiplied by. */
  Blocks w2(SoftmaxSizes sizes) {
    return sizes.w2(w2).as(type, w2Scales);
  }

  /** The memory of one parameter. */
  public Storage of(Parameter parameter) {
    return switch (parameter) {
      case W1 -> w1;
      case B1 -> b1;
      case W2 -> w2;
      case B2 -> b2;
    };
  }

  /**
   * New optimizer state of all parameters, by their ordinals. The class level is one block, since
   * every step touches all of it; of W2 and b2 each class is a block.
   */
  public LayerState optimizerState(int classes) {
    return new LayerState(
        "layer",
        Arrays.stream(Parameter.values())
            .map(
                parameter ->
                    new BlockedTensor(
                        of(parameter), blocks(parameter, classes), parameter.isWeight()))
            .toArray(BlockedTensor[]::new));
  }

  private static int blocks(Parameter parameter, int classes) {
    return switch (parameter) {
      case W1, B1 -> 1;
      case W2, B2 -> classes;
    };
  }
}
