// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.InvalidInput;

/** Arguments that optimizers, losses and workers reject. */
final class InvalidOptionInputTest extends InvalidInput {
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addNumbers(cases);
    return cases.stream();
  }

  private static void addNumbers(List<Case> cases) {
    float[] notPositive = {0, -0f, -1, Float.NaN, Float.POSITIVE_INFINITY};
    for (float value : notPositive) {
      String rate = "rate: expected a finite number > 0 but was " + value;
      add(cases, "sgd rate " + value, ARGUMENT, rate, w -> Optimizer.sgd(value));
      add(cases, "adagrad rate " + value, ARGUMENT, rate, w -> Optimizer.adagrad(value));
      add(cases, "adam rate " + value, ARGUMENT, rate, w -> Optimizer.adam(value));
      add(cases, "withRate " + value, ARGUMENT, rate, w -> Optimizer.sgd(1).withRate(value));
      add(
          cases,
          "epsilon " + value,
          ARGUMENT,
          "epsilon: expected a finite number > 0 but was " + value,
          w -> Optimizer.adam(1, 0.9f, 0.999f, value));
    }
    for (float value : new float[] {-0.1f, 1, 2, Float.NaN}) {
      String message = ": expected a number in [0, 1) but was " + value;
      add(
          cases,
          "beta1 " + value,
          ARGUMENT,
          "beta1" + message,
          w -> Optimizer.adam(1, value, 0, 1));
      add(
          cases,
          "beta2 " + value,
          ARGUMENT,
          "beta2" + message,
          w -> Optimizer.adam(1, 0, value, 1));
      add(
          cases,
          "smoothing " + value,
          ARGUMENT,
          "smoothing" + message,
          w -> Loss.mean().withSmoothing(value));
      add(
          cases,
          "dropout " + value,
          ARGUMENT,
          "dropout" + message,
          w -> Loss.mean().withDropout(value, 1));
    }
    for (float value : new float[] {-1, Float.NaN, Float.POSITIVE_INFINITY}) {
      add(
          cases,
          "decay " + value,
          ARGUMENT,
          "decay: expected a finite number >= 0 but was " + value,
          w -> Optimizer.sgd(1).withDecay(value));
    }
    for (float value : new float[] {0, -0f, -1, Float.NaN, Float.NEGATIVE_INFINITY}) {
      add(
          cases,
          "maxNorm " + value,
          ARGUMENT,
          "maxNorm: expected a number > 0 but was " + value,
          w -> Optimizer.sgd(1).withMaxNorm(value));
    }
    for (int outputs : new int[] {0, -1}) {
      String message = "outputs: expected at least 1 but was " + outputs;
      add(
          cases,
          "defaultCount " + outputs,
          ARGUMENT,
          message,
          w -> ClassAssignment.defaultCount(outputs));
    }
    add(cases, "loss rowWeights null", NULL, "rowWeights", w -> Loss.mean().withRowWeights(null));
    add(cases, "workers executor null", NULL, "executor", w -> Workers.of(null, 2));
    for (int workers : new int[] {0, -1}) {
      add(
          cases,
          "workers " + workers,
          ARGUMENT,
          "maxWorkers: expected at least 1 but was " + workers,
          w -> Workers.of(Runnable::run, workers));
    }
  }
}
