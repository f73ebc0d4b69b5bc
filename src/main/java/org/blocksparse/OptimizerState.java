// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.Arrays;
import org.blocksparse.internal.Kernels;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.softmax.TwoLevelSoftmax;

/**
 * What an optimiser remembers of each parameter of a layer. Memory is taken when a rule is first
 * used: none for gradient descent, that of the parameters for Adagrad, twice that for Adam.
 */
final class OptimizerState {
  private final Storage[] parameters;
  private final long[] stepsOfClass;
  private long stepsOfClassLevel;
  private Optimizer.Rule rule = Optimizer.Rule.SGD;

  /** Of W1, b1, W2 and b2, for each thing that the rule remembers of them. */
  private Storage[] remembered = {};

  private boolean closed;

  OptimizerState(TwoLevelSoftmax.Parameters parameters, int classes) {
    this.parameters =
        new Storage[] {parameters.w1(), parameters.b1(), parameters.w2(), parameters.b2()};
    this.stepsOfClass = new long[classes];
  }

  /**
   * The update that a step with the given optimiser makes. The lease keeps what is remembered from
   * going before the step has ended, if the layer is closed meanwhile.
   */
  synchronized TwoLevelSoftmax.Update update(
      TwoLevelSoftmax softmax, Optimizer optimizer, Lease lease) {
    if (closed) {
      throw new IllegalStateException("layer: the layer is closed");
    }
    if (optimizer.rule() != rule) {
      reset(optimizer.rule());
    }
    Storage[] held = remembered;
    hold(held, lease);
    float rate = optimizer.rate();
    float decay = optimizer.decay();
    Kernels kernels = softmax.kernels();
    return switch (rule) {
      case SGD ->
          decay == 0 && !optimizer.isClipping()
              ? softmax.descend(rate)
              : softmax.apply(
                  (parameter, classNumber, offset, count, gradient) ->
                      kernels.sgd(
                          count,
                          rate,
                          scale(kernels, optimizer, count, gradient),
                          decayOf(parameter, decay),
                          gradient,
                          parameters[parameter],
                          offset));
      case ADAGRAD ->
          softmax.apply(
              (parameter, classNumber, offset, count, gradient) ->
                  kernels.adagrad(
                      count,
                      rate,
                      scale(kernels, optimizer, count, gradient),
                      decayOf(parameter, decay),
                      optimizer.epsilon(),
                      gradient,
                      held[parameter],
                      parameters[parameter],
                      offset));
      case ADAM ->
          softmax.apply(
              (parameter, classNumber, offset, count, gradient) ->
                  kernels.adam(
                      count,
                      rate,
                      scale(kernels, optimizer, count, gradient),
                      decayOf(parameter, decay),
                      optimizer.beta1(),
                      optimizer.beta2(),
                      optimizer.epsilon(),
                      step(parameter, classNumber),
                      gradient,
                      held[parameter],
                      held[parameters.length + parameter],
                      parameters[parameter],
                      offset));
    };
  }

  /** What a gradient is multiplied by so that it is not longer than allowed. */
  private static float scale(Kernels kernels, Optimizer optimizer, long count, Storage gradient) {
    if (!optimizer.isClipping()) {
      return 1;
    }
    float norm = kernels.norm(count, gradient);
    return norm > optimizer.maxNorm() ? optimizer.maxNorm() / norm : 1;
  }

  /** Weights decay, biases do not. */
  private static float decayOf(int parameter, float decay) {
    return parameter % 2 == 0 ? decay : 0;
  }

  /** The number of this step for a block; weights come before biases and count it. */
  private long step(int parameter, int classNumber) {
    if (classNumber < 0) {
      return parameter == 0 ? ++stepsOfClassLevel : stepsOfClassLevel;
    }
    return parameter == 2 ? ++stepsOfClass[classNumber] : stepsOfClass[classNumber];
  }

  private static void hold(Storage[] storages, Lease lease) {
    for (Storage storage : storages) {
      if (!storage.acquire()) {
        throw new AssertionError("closed only with the layer, or for another rule");
      }
      lease.adopt(storage);
    }
  }

  private void reset(Optimizer.Rule newRule) {
    free();
    // Should there be no memory for the new rule, nothing is remembered.
    remembered = new Storage[0];
    rule = Optimizer.Rule.SGD;
    Arrays.fill(stepsOfClass, 0);
    stepsOfClassLevel = 0;
    long[] elements = new long[newRule.memories() * parameters.length];
    Arrays.setAll(elements, i -> parameters[i % parameters.length].elements());
    remembered = Storage.allocateAll(elements);
    rule = newRule;
  }

  // ------------------------------------------------------------------------------- for files

  Optimizer.Rule rule() {
    return rule;
  }

  long stepsOfClassLevel() {
    return stepsOfClassLevel;
  }

  /**
   * The steps of each class. From 2^31 on Adam corrects by nothing, so that larger are not needed.
   */
  int[] stepsOfClass() {
    return Arrays.stream(stepsOfClass)
        .mapToInt(steps -> (int) Math.min(steps, Integer.MAX_VALUE))
        .toArray();
  }

  /** What is remembered of W1, b1, W2 and b2. */
  Storage[] remembered(int memory) {
    int begin = memory * parameters.length;
    return Arrays.copyOfRange(remembered, begin, begin + parameters.length);
  }

  /** Begins anew with what was remembered elsewhere; the caller fills {@link #remembered}. */
  void restore(Optimizer.Rule oldRule, long oldStepsOfClassLevel, int[] oldStepsOfClass) {
    reset(oldRule);
    stepsOfClassLevel = oldStepsOfClassLevel;
    Arrays.setAll(stepsOfClass, c -> oldStepsOfClass[c]);
  }

  synchronized void close() {
    closed = true;
    free();
  }

  private void free() {
    for (Storage storage : remembered) {
      storage.close();
    }
  }
}
