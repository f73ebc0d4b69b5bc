// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.blocksparse.testing.Failures.assertFails;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.ToDoubleFunction;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Workers;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.ExpertsOracle;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Gradients and steps of a layer of experts. */
@ExtendWith(Seeded.class)
final class ExpertsTrainingTest {
  private static final int BATCH = 7;
  private static final int INPUTS = 4;
  private static final int HIDDEN = 5;
  private static final int OUTPUTS = 3;

  /** The step is so small that no number is likely to cross the kink of its activation. */
  private static final double STEP = 1e-7;

  private static MixtureOfExpertsBuilder builder(Activation activation) {
    return MixtureOfExperts.builder(INPUTS, HIDDEN, TopKGate.of(4, 2))
        .outputs(OUTPUTS)
        .activation(activation);
  }

  private static Map<String, FloatTensor> like(MixtureOfExperts layer, float value) {
    Map<String, FloatTensor> tensors = new LinkedHashMap<>();
    layer
        .parameters()
        .forEach(
            (name, parameter) -> {
              FloatTensor tensor = FloatTensor.zeros(parameter.shape());
              tensor.fill(value);
              tensors.put(name, tensor);
            });
    return tensors;
  }

  /**
   * Compares a gradient with differences of the loss of an oracle in float64, around a parameter.
   */
  private static void assertGradient(
      String name, ExpertsOracle oracle, ToDoubleFunction<ExpertsOracle> loss, float[] gradient) {
    for (int i = 0; i < gradient.length; i++) {
      double difference =
          loss.applyAsDouble(oracle.moved(name, i, STEP))
              - loss.applyAsDouble(oracle.moved(name, i, -STEP));
      assertEquals(difference / (2 * STEP), gradient[i], 2e-5, name + " " + i);
    }
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void gradientsAreThoseOfTheDefinition(Activation activation, Data data) {
    gradientsAreThoseOfTheDefinition(builder(activation), data);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void gradientsOfASharedExpertAsWell(boolean gated, Data data) {
    MixtureOfExpertsBuilder builder = builder(Activation.SWIGLU);
    gradientsAreThoseOfTheDefinition(gated ? builder.gatedShared(2) : builder.shared(2), data);
  }

  private static void gradientsAreThoseOfTheDefinition(MixtureOfExpertsBuilder builder, Data data) {
    float[] rows = data.floats(Numbers.GAUSSIAN, BATCH * INPUTS);
    float[] gradOut = data.floats(Numbers.GAUSSIAN, BATCH * OUTPUTS);
    for (boolean biases : new boolean[] {false, true}) {
      try (MixtureOfExperts layer =
              builder.build(MixtureOfExpertsTest.parameters(data, builder, biases));
          FloatTensor x = FloatTensor.of(rows, BATCH, INPUTS);
          FloatTensor out = FloatTensor.zeros(BATCH, OUTPUTS);
          FloatTensor grad = FloatTensor.of(gradOut, BATCH, OUTPUTS);
          FloatTensor gradX = FloatTensor.zeros(BATCH, INPUTS);
          ExpertsPass pass = layer.forward(x, out)) {
        assertArrayEquals(layer.apply(x).toArray(), out.toArray(), "the output");
        Map<String, FloatTensor> gradients = like(layer, 0);
        gradX.fill(Float.NaN);
        pass.backward(grad, GradientOptions.overwrite(), gradients, gradX);
        ExpertsOracle oracle = MixtureOfExpertsTest.oracle(layer, 2);
        double[] wide = ExpertsOracle.widened(rows);
        int[] chosen = oracle.route(wide).experts();
        gradients.forEach(
            (name, gradient) ->
                assertGradient(
                    name,
                    oracle,
                    other -> other.loss(wide, other.regated(wide, chosen), gradOut),
                    gradient.toArray()));
        float[] ofX = gradX.toArray();
        for (int i = 0; i < ofX.length; i++) {
          double[] moved = wide.clone();
          moved[i] += STEP;
          double above = oracle.loss(moved, oracle.regated(moved, chosen), gradOut);
          moved[i] -= 2 * STEP;
          double below = oracle.loss(moved, oracle.regated(moved, chosen), gradOut);
          assertEquals((above - below) / (2 * STEP), ofX[i], 2e-5, "x " + i);
        }
        Map<String, FloatTensor> added = like(layer, 1);
        FloatTensor addedX = FloatTensor.of(new float[ofX.length], BATCH, INPUTS);
        pass.backward(grad, GradientOptions.add(-0.5f), added, addedX);
        added.forEach(
            (name, sum) -> {
              float[] once = gradients.get(name).toArray();
              float[] sums = sum.toArray();
              for (int i = 0; i < sums.length; i++) {
                assertEquals(1 - 0.5 * once[i], sums[i], 1e-5, name + " added " + i);
              }
            });
        float[] halves = addedX.toArray();
        for (int i = 0; i < halves.length; i++) {
          assertEquals(-0.5 * ofX[i], halves[i], 1e-5, "x added " + i);
        }
        pass.clear(gradients);
        gradients.forEach(
            (name, gradient) ->
                assertArrayEquals(new float[gradient.toArray().length], gradient.toArray(), name));
      }
    }
  }

  /** The gradient of the caller's gates, which its own gate learns from. */
  @Test
  void givesTheGradientOfGatesToTheCaller(Data data) {
    MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(INPUTS, HIDDEN, 4).outputs(OUTPUTS);
    float[] rows = data.floats(Numbers.GAUSSIAN, BATCH * INPUTS);
    float[] gradOut = data.floats(Numbers.GAUSSIAN, BATCH * OUTPUTS);
    float[] gates = data.floats(Numbers.GAUSSIAN, BATCH * 2);
    int[] chosen = data.indices(BATCH * 2, 4);
    try (MixtureOfExperts layer =
            builder.build(MixtureOfExpertsTest.parameters(data, builder, true));
        FloatTensor x = FloatTensor.of(rows, BATCH, INPUTS);
        FloatTensor out = FloatTensor.zeros(BATCH, OUTPUTS);
        FloatTensor grad = FloatTensor.of(gradOut, BATCH, OUTPUTS);
        Routing routing =
            Routing.of(IntTensor.of(chosen, BATCH, 2), FloatTensor.of(gates, BATCH, 2), 4);
        ExpertsPass pass = layer.forward(x, routing, out)) {
      assertThrows(IllegalStateException.class, pass::gradGates);
      pass.backward(grad, GradientOptions.overwrite(), Map.of(), null);
      float[] ofGates = pass.gradGates().toArray();
      ExpertsOracle oracle = MixtureOfExpertsTest.oracle(layer, 2);
      double[] wide = ExpertsOracle.widened(rows);
      for (int i = 0; i < ofGates.length; i++) {
        double[] one = new double[ofGates.length];
        one[i] = 1; // the loss is linear in the gates
        double slope = oracle.loss(wide, new ExpertsOracle.Chosen(chosen, one), gradOut);
        assertEquals(slope, ofGates[i], 1e-5, "gate " + i);
      }
    }
  }

  /** Composes a step from the public parts, as callers had to write it. */
  private static void composedStep(
      MixtureOfExperts layer,
      FloatTensor x,
      FloatTensor gradOut,
      Optimizer optimizer,
      OptimizerState state,
      FloatTensor gradX) {
    Map<String, BlockMatrix> all = layer.parameters();
    FloatTensor Wg = (FloatTensor) all.get("Wg");
    FloatTensor bg = (FloatTensor) all.get("bg");
    FloatTensor W1 = (FloatTensor) all.get("W1");
    FloatTensor b1 = (FloatTensor) all.get("b1");
    FloatTensor W2 = (FloatTensor) all.get("W2");
    FloatTensor b2 = (FloatTensor) all.get("b2");
    FloatTensor rows = x.reshape(BATCH, 1, INPUTS);
    FloatTensor gradY = gradOut.reshape(BATCH, 1, OUTPUTS);
    TopKGate gate = layer.gate();
    BlockPlan dense = BlockPlan.dense(BATCH);
    FloatTensor logits =
        SparseBlockDot.apply(Wg, rows, dense, Epilogue.none().withBias(bg)).reshape(BATCH, 4);
    Routing to = gate.route(logits);
    FloatTensor z = FloatTensor.zeros(BATCH, 2, 2 * HIDDEN);
    Epilogue f =
        Epilogue.none().withBias(b1).withActivation(Activation.SWIGLU, z).withGate(to.gates());
    FloatTensor a = SparseBlockDot.apply(W1, rows, to.toExperts(), f);
    FloatTensor gradZ = FloatTensor.zeros(z.shape());
    FloatTensor gradGates = FloatTensor.zeros(BATCH, 2);
    GradientOptions through =
        GradientOptions.overwrite()
            .withActivation(Activation.SWIGLU, z)
            .withGate(to.gates(), gradGates);
    SparseBlockDot.gradH(W2, gradY, to.fromExperts(), through, gradZ);
    InputBias.gradGate(b2, gradY, to.fromExperts(), GradientOptions.add(1), gradGates);
    gate.gradient(to, gradGates, logits);
    FloatTensor gradLogits = logits.reshape(BATCH, 1, 4);
    FloatTensor ofX = gradX.reshape(BATCH, 1, INPUTS);
    SparseBlockDot.gradH(W1, gradZ, to.toExperts(), GradientOptions.overwrite(), ofX);
    SparseBlockDot.gradH(Wg, gradLogits, dense, GradientOptions.add(1), ofX);
    SparseBlockDot.stepW(rows, gradLogits, dense, optimizer, Wg, state);
    SparseBlockDot.stepB(gradLogits, dense, optimizer, bg, state);
    SparseBlockDot.stepW(rows, gradZ, to.toExperts(), optimizer, W1, state);
    SparseBlockDot.stepB(gradZ, to.toExperts(), optimizer, b1, state);
    SparseBlockDot.stepW(a, gradY, to.fromExperts(), optimizer, W2, state);
    InputBias.step(gradY, to.gates(), to.fromExperts(), optimizer, b2, state);
  }

  private static void assertEqual(MixtureOfExperts expected, MixtureOfExperts actual) {
    expected
        .parameters()
        .forEach(
            (name, parameter) ->
                assertArrayEquals(
                    ((FloatTensor) parameter).toArray(),
                    ((FloatTensor) actual.parameters().get(name)).toArray(),
                    name));
  }

  @Test
  void stepsAreThoseOfTheParts(Data data) {
    for (Optimizer optimizer :
        List.of(
            Optimizer.sgd(0.1f),
            Optimizer.adagrad(0.1f).withMaxNorm(0.5f),
            Optimizer.adam(0.01f).withDecay(0.1f))) {
      MixtureOfExpertsBuilder builder =
          MixtureOfExperts.builder(INPUTS, HIDDEN, TopKGate.of(4, 2).withBalancing(0.1f))
              .outputs(OUTPUTS)
              .biases()
              .seed(5);
      try (MixtureOfExperts layer = builder.build();
          MixtureOfExperts parts = builder.build();
          FloatTensor out = FloatTensor.zeros(BATCH, OUTPUTS);
          FloatTensor gradX = FloatTensor.zeros(BATCH, INPUTS);
          FloatTensor expectedX = FloatTensor.zeros(BATCH, INPUTS);
          OptimizerState state =
              OptimizerState.of(parts.parameters().values().toArray(new FloatTensor[0]))) {
        for (int step = 0; step < 3; step++) {
          float[] rows = data.floats(Numbers.GAUSSIAN, BATCH * INPUTS);
          try (FloatTensor x = FloatTensor.of(rows, BATCH, INPUTS);
              FloatTensor gradOut =
                  FloatTensor.of(data.floats(Numbers.GAUSSIAN, BATCH * OUTPUTS), BATCH, OUTPUTS)) {
            try (ExpertsPass pass = layer.forward(x, out)) {
              assertTrue(pass.routing().balancingLoss() > 0);
              pass.step(gradOut, optimizer, gradX);
            }
            composedStep(parts, x, gradOut, optimizer, state, expectedX);
          }
          assertEqual(parts, layer);
          assertArrayEquals(expectedX.toArray(), gradX.toArray());
        }
      }
    }
  }

  /** A step of SGD subtracts the gradients of all parameters, those of a shared expert as well. */
  @Test
  void stepsSubtractTheGradient(Data data) {
    TopKGate gate = TopKGate.of(4, 2).withSigmoid().withChoiceBias(1, 0, 0, -1).withScales(2.5f);
    MixtureOfExpertsBuilder builder =
        MixtureOfExperts.builder(INPUTS, HIDDEN, gate).outputs(OUTPUTS).gatedShared(3);
    float[] rows = data.floats(Numbers.GAUSSIAN, BATCH * INPUTS);
    float[] ofOut = data.floats(Numbers.GAUSSIAN, BATCH * OUTPUTS);
    try (MixtureOfExperts layer = builder.biases().seed(3).build();
        MixtureOfExperts stepped = layer.copy();
        FloatTensor x = FloatTensor.of(rows, BATCH, INPUTS);
        FloatTensor out = FloatTensor.zeros(BATCH, OUTPUTS);
        FloatTensor gradOut = FloatTensor.of(ofOut, BATCH, OUTPUTS);
        FloatTensor gradX = FloatTensor.zeros(BATCH, INPUTS);
        FloatTensor steppedX = FloatTensor.zeros(BATCH, INPUTS);
        ExpertsPass pass = layer.forward(x, out);
        ExpertsPass step = stepped.forward(x, out)) {
      Map<String, FloatTensor> gradients = like(layer, 0);
      pass.backward(gradOut, GradientOptions.overwrite(), gradients, gradX);
      step.step(gradOut, Optimizer.sgd(0.1f), steppedX);
      assertArrayEquals(gradX.toArray(), steppedX.toArray());
      assertTrue(gradients.containsKey("shared.Wg"));
      gradients.forEach(
          (name, gradient) -> {
            float[] before = ((FloatTensor) layer.parameters().get(name)).toArray();
            float[] after = ((FloatTensor) stepped.parameters().get(name)).toArray();
            for (int i = 0; i < before.length; i++) {
              assertEquals(before[i] - 0.1f * gradient.toArray()[i], after[i], 1e-6, name);
            }
          });
      assertThrows(
          IllegalStateException.class,
          () -> step.backward(gradOut, GradientOptions.overwrite(), Map.of(), gradX));
    }
  }

  /** Experts without rows do not move, and dropped pairs have no gradient. */
  @Test
  void expertsWithoutRowsStayAsTheyAre(Data data) {
    MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(INPUTS, HIDDEN, 4);
    try (MixtureOfExperts layer =
            builder.build(MixtureOfExpertsTest.parameters(data, builder, true));
        FloatTensor x = FloatTensor.of(data.floats(Numbers.GAUSSIAN, INPUTS), 1, INPUTS);
        FloatTensor out = FloatTensor.zeros(1, INPUTS);
        Routing routing =
            Routing.of(
                IntTensor.of(new int[] {2, 2}, 1, 2),
                FloatTensor.of(new float[] {1, -2}, 1, 2),
                4);
        ExpertsPass pass = layer.forward(x, routing, out)) {
      Map<String, float[]> before = new LinkedHashMap<>();
      layer.parameters().forEach((name, p) -> before.put(name, ((FloatTensor) p).toArray()));
      pass.step(x, Optimizer.adam(0.1f).withDecay(0.1f));
      before.forEach(
          (name, values) -> {
            float[] after = ((FloatTensor) layer.parameters().get(name)).toArray();
            int block = values.length / 4;
            for (int e = 0; e < 4; e++) {
              assertEquals(
                  e != 2,
                  Arrays.equals(
                      values, e * block, (e + 1) * block, after, e * block, (e + 1) * block),
                  name + " of expert " + e);
            }
          });
    }
  }

  @Test
  void bitsDoNotDependOnTheWorkers(Data data) {
    float[] rows = data.floats(Numbers.GAUSSIAN, 201 * 24);
    MixtureOfExperts[] layers = new MixtureOfExperts[2];
    for (int i = 0; i < 2; i++) {
      Workers workers = i == 0 ? Workers.callingThread() : Workers.of(ForkJoinPool.commonPool(), 5);
      layers[i] =
          MixtureOfExperts.builder(24, 40, TopKGate.of(6, 2)).biases().workers(workers).build();
      try (FloatTensor x = FloatTensor.of(rows, 201, 24);
          FloatTensor out = FloatTensor.zeros(201, 24);
          ExpertsPass pass = layers[i].forward(x, out)) {
        pass.step(out, Optimizer.adam(0.01f), null);
      }
    }
    assertEqual(layers[0], layers[1]);
    layers[0].close();
    layers[1].close();
  }

  /** An empty batch, and a batch of which all but two pairs are dropped. */
  @Test
  void edgesOfBatches(Data data) {
    TopKGate gate = TopKGate.of(3, 2).withCapacity(1);
    for (int batch : new int[] {0, 1, 9}) {
      try (MixtureOfExperts layer = MixtureOfExperts.builder(4, 5, gate).biases().build();
          FloatTensor x = FloatTensor.of(data.floats(Numbers.GAUSSIAN, batch * 4L), batch, 4);
          FloatTensor out = FloatTensor.zeros(batch, 4);
          FloatTensor gradX = FloatTensor.zeros(batch, 4);
          ExpertsPass pass = layer.forward(x, out)) {
        pass.step(x, Optimizer.sgd(0.1f), gradX);
        for (float value : gradX.toArray()) {
          assertTrue(Float.isFinite(value));
        }
        assertEquals(2L * batch - pass.gradGates().shape().size(), pass.routing().dropped());
      }
    }
  }

  /** After a step, the buffers of a pass no longer match the parameters. */
  @Test
  void aPassIsForOneStep(Data data) {
    Optimizer sgd = Optimizer.sgd(0.1f);
    try (MixtureOfExperts layer = MixtureOfExperts.builder(4, 5, TopKGate.of(3, 2)).build();
        FloatTensor x = FloatTensor.of(data.floats(Numbers.GAUSSIAN, 12), 3, 4);
        FloatTensor out = FloatTensor.zeros(3, 4);
        FloatTensor gradX = FloatTensor.zeros(3, 4);
        ExpertsPass pass = layer.forward(x, out)) {
      pass.backward(out, GradientOptions.overwrite(), Map.of(), gradX);
      pass.step(out, sgd);
      float[] after = ((FloatTensor) layer.parameters().get("W1")).toArray();
      String reason = "pass: its step has changed the parameters; call forward for another pass";
      assertFails(IllegalStateException.class, reason, () -> pass.step(out, sgd));
      assertFails(
          IllegalStateException.class,
          reason,
          () -> pass.backward(out, GradientOptions.overwrite(), Map.of(), gradX));
      assertArrayEquals(after, ((FloatTensor) layer.parameters().get("W1")).toArray());
      pass.clear(Map.of());
      assertEquals(6, pass.gradGates().shape().size());
    }
  }

  @Test
  void refusesBeforeAnythingHasChanged(Data data) {
    float[] rows = data.floats(Numbers.GAUSSIAN, 2 * INPUTS);
    try (MixtureOfExperts layer =
            MixtureOfExperts.builder(INPUTS, HIDDEN, TopKGate.of(4, 2)).seed(1).build();
        MixtureOfExperts before =
            MixtureOfExperts.builder(INPUTS, HIDDEN, TopKGate.of(4, 2)).seed(1).build();
        FloatTensor x = FloatTensor.of(rows, 2, INPUTS);
        FloatTensor out = FloatTensor.zeros(2, INPUTS);
        FloatTensor other = FloatTensor.zeros(2, INPUTS);
        FloatTensor gradOut = FloatTensor.zeros(2, INPUTS)) {
      Optimizer adam = Optimizer.adam(0.1f);
      ExpertsPass pass = layer.forward(x, out);
      gradOut.set(Float.NaN, 1, 2);
      assertRejects("gradOut[1, 2] = NaN is not finite", () -> pass.step(gradOut, adam));
      assertRejects(
          "gradX: shares memory with gradOut; an output must not overlap an input",
          () -> pass.step(out, adam, out));
      GradientOptions once = GradientOptions.overwrite();
      assertRejects(
          "gradients: \"W3\" is none of the parameters [Wg, W1, W2]",
          () -> pass.backward(out, once, Map.of("W3", gradOut), null));
      assertRejects(
          "W1: expected the shape of the parameter = (1, 4, 4, 10) but was (2, 4)",
          () -> pass.backward(out, once, Map.of("W1", gradOut), null));
      try (Routing ungated = TopKGate.of(4, 1).route(FloatTensor.zeros(2, 4));
          ExpertsPass foreign = layer.forward(x, ungated, out)) {
        assertRejects(
            "gradients: Wg has none, as the routing is not of the layer's gate",
            () -> foreign.backward(out, once, Map.of("Wg", FloatTensor.zeros(1, 1, 4, 4)), null));
      }
      try (IntTensor chosen = IntTensor.zeros(2, 1);
          FloatTensor nan = FloatTensor.of(new float[] {1, Float.NaN}, 2, 1);
          Routing given = Routing.of(chosen, nan, 4);
          ExpertsPass foreign = layer.forward(x, given, other)) {
        assertRejects("gates[1, 0] = NaN is not finite", () -> foreign.step(out, adam));
      }
      x.set(Float.POSITIVE_INFINITY, 0, 1);
      assertRejects("x[0, 1] = Infinity is not finite", () -> pass.step(out, adam));
      pass.close();
      pass.close();
      assertFails(
          IllegalStateException.class, "pass: the pass is closed", () -> pass.step(out, adam));
      assertEqual(before, layer);
      assertFalse(layer.parameters().get("W1").isClosed());
    }
  }

  /**
   * Wherever a forward pass fails, it frees its memory, and that of the shared expert's routing.
   */
  @Test
  void aFailedForwardPassKeepsNothing() {
    int batch = 256;
    int inputs = 128;
    AtomicInteger left = new AtomicInteger();
    Executor failing =
        task -> {
          if (left.decrementAndGet() == 0) {
            throw new LinkageError("planned");
          }
        };
    try (MixtureOfExperts layer =
            MixtureOfExperts.builder(inputs, 64, TopKGate.of(64, 2))
                .gatedShared(64)
                .workers(Workers.of(failing, 2))
                .build();
        FloatTensor x = FloatTensor.zeros(batch, inputs);
        FloatTensor out = FloatTensor.zeros(batch, inputs)) {
      layer.forward(x, out).close();
      int products = -left.get();
      assertTrue(products >= 5, "gate, two products of experts, two of the shared expert");
      long before = FloatTensor.allocatedBytes();
      for (int product = 1; product <= products; product++) {
        left.set(product);
        assertThrows(LinkageError.class, () -> layer.forward(x, out));
        assertTrue(FloatTensor.allocatedBytes() <= before, "product " + product);
      }
    }
  }
}
