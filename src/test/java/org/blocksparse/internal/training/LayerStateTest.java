// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.training;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.memory.Storage;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The state of a layer of two tensors, of three and of two blocks. */
final class LayerStateTest {
  private static final Optimizer ADAM = Optimizer.adam(0.5f);
  private static final Optimizer SGD = Optimizer.sgd(0.5f);

  private final Kernels kernels = KernelChoice.kernels();
  private final Storage weights = Storage.allocate(12);
  private final Storage biases = Storage.allocate(2);
  private final Storage gradient = Storage.allocate(4);
  private final LayerState state =
      new LayerState(
          "layer", new BlockedTensor(weights, 3, true), new BlockedTensor(biases, 2, false));

  @AfterEach
  void close() {
    state.close();
    weights.close();
    biases.close();
    gradient.close();
  }

  @Test
  void blocksAreCountedAndUpdatedOnTheirOwn() {
    gradient.fill(0, 4, 1);
    try (LayerState.Step step = state.begin(ADAM, kernels)) {
      step.update(0, 1, gradient);
      step.update(0, 1, gradient);
      step.update(0, 2, gradient);
      step.update(1, 0, gradient);
    }
    assertArrayEquals(new int[] {0, 2, 1}, state.of(0).steps());
    assertArrayEquals(new int[] {1, 0}, state.of(1).steps());
    // With a constant gradient, each step of Adam has the length of the rate.
    float[] expected = {0, 0, 0, 0, -1, -1, -1, -1, -0.5f, -0.5f, -0.5f, -0.5f};
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], weights.getFloat(i), 1e-6, "weight " + i);
    }
    assertEquals(-0.5f, biases.getFloat(0), 1e-6);
    assertEquals(0, biases.getFloat(1));
  }

  @Test
  void weightsDecayAndBiasesDoNot() {
    weights.fill(0, 12, 8);
    biases.fill(0, 2, 8);
    try (LayerState.Step step = state.begin(SGD.withDecay(0.5f), kernels)) {
      step.update(0, 0, gradient);
      step.update(1, 0, gradient);
    }
    assertEquals(6, weights.getFloat(0));
    assertEquals(8, weights.getFloat(4));
    assertEquals(8, biases.getFloat(0));
  }

  @Test
  void aStepWithoutUpdatesChangesNothing() {
    gradient.fill(0, 4, 1);
    try (LayerState.Step step = state.begin(ADAM, kernels)) {
      step.update(0, 1, gradient);
    }
    Storage moment = state.of(0).moment(0);
    long before = Storage.allocatedBytes();
    try (LayerState.Step step = state.begin(SGD, kernels)) {
      assertSame(SGD, step.rule());
    }
    try (LayerState.Step step = state.begin(Optimizer.adagrad(0.5f), kernels)) {
      assertFalse(step.isPlainDescent());
      assertTrue(Storage.allocatedBytes() > before);
    }
    assertTrue(Storage.allocatedBytes() <= before);
    assertEquals(Optimizer.Kind.ADAM, state.kind());
    assertSame(moment, state.of(0).moment(0));
    assertFalse(moment.isClosed());
    assertArrayEquals(new int[] {0, 1, 0}, state.of(0).steps());
  }

  @Test
  void theFirstUpdateByAnotherRuleDropsWhatWasKept() {
    try (LayerState.Step step = state.begin(ADAM, kernels)) {
      step.update(0, 1, gradient);
    }
    Storage moment = state.of(0).moment(0);
    try (LayerState.Step step = state.begin(SGD, kernels)) {
      step.keep();
    }
    assertEquals(Optimizer.Kind.SGD, state.kind());
    assertTrue(moment.isClosed());
    assertArrayEquals(new int[3], state.of(0).steps());
  }

  /** By then, Adam's corrections are 1. */
  @Test
  void stepsAreCountedAsFarAsAnIntCan() {
    state.reset(Optimizer.Kind.ADAM);
    state.of(0).restoreSteps(new int[] {Integer.MAX_VALUE, Integer.MAX_VALUE - 1, 0});
    gradient.fill(0, 4, 1);
    try (LayerState.Step step = state.begin(ADAM, kernels)) {
      for (int block = 0; block < 3; block++) {
        step.update(0, block, gradient);
      }
    }
    int[] most = {Integer.MAX_VALUE, Integer.MAX_VALUE, 1};
    assertArrayEquals(most, state.of(0).steps());
  }

  @Test
  void closingWaitsForAStep() {
    Storage moment;
    try (LayerState.Step step = state.begin(ADAM, kernels)) {
      step.update(0, 0, gradient);
      moment = state.of(0).moment(0);
      state.close();
      step.update(0, 0, gradient);
    }
    assertTrue(moment.isClosed());
    assertFails(
        IllegalStateException.class,
        "layer: the layer is closed",
        () -> state.begin(ADAM, kernels));
  }

  /** A rule of another kind has begun, with new memory that holds nothing yet. */
  @Test
  void closingWaitsForAStepOfAnotherRuleThatHasNotUpdatedYet() {
    for (Optimizer rule : List.of(SGD, Optimizer.adagrad(0.5f))) {
      LayerState closing = new LayerState("layer", new BlockedTensor(weights, 3, true));
      long before = Storage.allocatedBytes();
      try (LayerState.Step step = closing.begin(ADAM, kernels)) {
        step.update(0, 0, gradient);
      }
      assertTrue(Storage.allocatedBytes() > before);
      try (LayerState.Step step = closing.begin(rule, kernels)) {
        closing.close();
        step.update(0, 0, gradient);
      }
      assertEquals(before, Storage.allocatedBytes(), rule::toString);
    }
  }

  /** A held state, as for a file or a copy, keeps its content, whatever happens to the state. */
  @Test
  void whatIsHeldStaysAsItWas() {
    gradient.fill(0, 4, 1);
    try (LayerState.Step step = state.begin(ADAM, kernels)) {
      step.update(0, 1, gradient);
    }
    Storage moment = state.of(0).moment(0);
    try (LayerState.Kept kept = state.hold()) {
      state.reset(Optimizer.Kind.ADAGRAD);
      assertEquals(Optimizer.Kind.ADAGRAD, state.kind());
      assertEquals(Optimizer.Kind.ADAM, kept.kind());
      assertSame(moment, kept.of(0).moment(0));
      assertArrayEquals(new int[] {0, 1, 0}, kept.of(0).steps());
      assertTrue(moment.isClosed());
      assertFalse(moment.isFreed());
    }
    assertTrue(moment.isFreed());
  }

  @Test
  void whatIsClosedIsNeitherHeldNorReset() {
    state.close();
    String expected = "layer: the layer is closed";
    assertFails(IllegalStateException.class, expected, state::hold);
    assertFails(IllegalStateException.class, expected, () -> state.reset(Optimizer.Kind.ADAM));
  }

  private void assertNeeds(Optimizer rule, boolean isClipping, boolean isPlainDescent) {
    try (LayerState.Step step = state.begin(rule, kernels)) {
      assertEquals(isClipping, step.isClipping(), rule::toString);
      assertEquals(isPlainDescent, step.isPlainDescent(), rule::toString);
    }
  }

  @Test
  void whatRulesNeed() {
    assertNeeds(SGD, false, true);
    assertNeeds(SGD.withDecay(1), false, false);
    assertNeeds(SGD.withMaxNorm(Float.MAX_VALUE), true, false);
    assertNeeds(ADAM, false, false);
    for (Optimizer.Kind kind : Optimizer.Kind.values()) {
      assertEquals(kind == Optimizer.Kind.ADAM, kind.countsSteps());
    }
  }
}
