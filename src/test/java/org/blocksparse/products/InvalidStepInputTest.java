// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.Optimizer;

/** Arguments that gradients into existing tensors, steps and optimizer states reject. */
final class InvalidStepInputTest extends InvalidOperationInput {
  private static final Optimizer ADAM = Optimizer.adam(1);

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addWithPlan(cases, OPERATIONS);
    addRaggedRows(cases, OPERATIONS);
    addSteps(cases);
    return cases.stream();
  }

  /** Returns the state of a tensor; an empty state if the tensor is the invalid argument. */
  private static OptimizerState state(FloatTensor tensor) {
    try {
      return OptimizerState.of(tensor);
    } catch (RuntimeException e) {
      return OptimizerState.of();
    }
  }

  private static final List<Operation> OPERATIONS =
      List.of(
          new Operation(
              "Dot.gradW(out)",
              PLAN,
              List.of(GRAD_W, H, GRAD_OUT),
              w ->
                  SparseBlockDot.gradW(
                      w.f("h"),
                      w.f("gradOut"),
                      w.plan(),
                      GradientOptions.overwrite(),
                      w.f("gradW"))),
          new Operation(
              "Dot.clearGradW",
              PLAN,
              List.of(GRAD_W),
              w -> SparseBlockDot.clearGradW(w.plan(), w.f("gradW"))),
          new Operation(
              "Dot.gradB(out)",
              PLAN,
              List.of(ranked(GRAD_OUT), GRAD_B),
              w ->
                  SparseBlockDot.gradB(
                      w.f("gradOut"), w.plan(), GradientOptions.overwrite(), w.f("gradB"))),
          new Operation(
              "Dot.clearGradB",
              PLAN,
              List.of(ranked(GRAD_B)),
              w -> SparseBlockDot.clearGradB(w.plan(), w.f("gradB"))),
          new Operation(
              "Dot.stepW",
              PLAN,
              List.of(out(W), H, GRAD_OUT),
              w ->
                  SparseBlockDot.stepW(
                      w.f("h"), w.f("gradOut"), w.plan(), ADAM, w.f("W"), state(w.f("W")))),
          new Operation(
              "Dot.stepB",
              PLAN,
              List.of(ranked(GRAD_OUT), out(B)),
              w ->
                  SparseBlockDot.stepB(
                      w.f("gradOut"), w.plan(), ADAM, w.f("bias"), state(w.f("bias")))),
          new Operation(
              "InputBias.gradBias(gate)",
              PLAN,
              List.of(ranked(GRAD_OUT), optional(GATE), out(named("gradBias", BIAS))),
              w ->
                  InputBias.gradBias(
                      w.f("gradOut"),
                      w.f("gate"),
                      w.plan(),
                      GradientOptions.overwrite(),
                      w.f("gradBias"))),
          new Operation(
              "InputBias.gradBias",
              PLAN,
              List.of(ranked(GRAD_OUT)),
              w -> InputBias.gradBias(w.f("gradOut"), null, w.plan())),
          new Operation(
              "InputBias.gradBias(add)",
              PLAN,
              List.of(ranked(GRAD_OUT), out(named("gradBias", BIAS))),
              w ->
                  InputBias.gradBias(
                      w.f("gradOut"), null, w.plan(), GradientOptions.add(2), w.f("gradBias"))),
          new Operation(
              "InputBias.clearGradBias",
              PLAN,
              List.of(ranked(out(named("gradBias", BIAS)))),
              w -> InputBias.clearGradBias(w.plan(), w.f("gradBias"))),
          new Operation(
              "InputBias.gradGate",
              PLAN,
              List.of(ranked(GRAD_OUT), BIAS, out(named("gradGate", GATE))),
              w ->
                  InputBias.gradGate(
                      w.f("bias"),
                      w.f("gradOut"),
                      w.plan(),
                      GradientOptions.overwrite(),
                      w.f("gradGate"))),
          new Operation(
              "InputBias.gradGate(add)",
              PLAN,
              List.of(ranked(GRAD_OUT), BIAS, out(named("gradGate", GATE))),
              w ->
                  InputBias.gradGate(
                      w.f("bias"),
                      w.f("gradOut"),
                      w.plan(),
                      GradientOptions.add(2),
                      w.f("gradGate"))),
          new Operation(
              "InputBias.step",
              PLAN,
              List.of(ranked(GRAD_OUT), optional(GATE), out(BIAS)),
              w ->
                  InputBias.step(
                      w.f("gradOut"),
                      w.f("gate"),
                      w.plan(),
                      ADAM,
                      w.f("bias"),
                      state(w.f("bias")))));

  private static Operation withPlan(String name) {
    return OPERATIONS.stream().filter(o -> o.name().equals(name)).findFirst().orElseThrow();
  }

  private static void addStep(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      Consumer<World> call) {
    add(cases, "stepW: " + name, type, message, prepared(withPlan("Dot.stepW"), true), call);
  }

  private static void addSteps(List<Case> cases) {
    addStep(
        cases,
        "optimizer null",
        NULL,
        "optimizer",
        w ->
            SparseBlockDot.stepW(
                w.f("h"), w.f("gradOut"), w.plan(), null, w.f("W"), state(w.f("W"))));
    addStep(
        cases,
        "state null",
        NULL,
        "state",
        w -> SparseBlockDot.stepW(w.f("h"), w.f("gradOut"), w.plan(), ADAM, w.f("W"), null));
    addStep(
        cases,
        "state of others",
        ARGUMENT,
        "state: was not made for W, FloatTensor(8, 7, 6, 5)",
        w ->
            SparseBlockDot.stepW(
                w.f("h"), w.f("gradOut"), w.plan(), ADAM, w.f("W"), OptimizerState.of()));
    addStep(
        cases,
        "state closed",
        STATE,
        "state: the state is closed",
        w -> {
          OptimizerState state = OptimizerState.of(w.f("W"));
          state.close();
          SparseBlockDot.stepW(w.f("h"), w.f("gradOut"), w.plan(), ADAM, w.f("W"), state);
        });
    addStep(
        cases,
        "state of a view",
        ARGUMENT,
        "tensors[0]: expected a contiguous tensor but (7, 8, 5, 6) is a transposed view",
        w -> OptimizerState.of(w.f("W").transposeBlocks()));
    addStep(
        cases,
        "state of a tensor twice",
        ARGUMENT,
        "tensors[1]: shares memory with tensors[0]",
        w -> OptimizerState.of(w.f("W"), w.f("W").reshape(8, 210)));
    addStep(
        cases,
        "state of another rank",
        ARGUMENT,
        "tensors[1]: expected (iBlocks, oBlocks, iSize, oSize) for weights or (blocks, size) for"
            + " biases but was (2, 4, 6)",
        w -> OptimizerState.of(w.f("W"), w.f("h")));
    addStep(cases, "state of null", NULL, "tensors[0]", w -> OptimizerState.of((FloatTensor) null));
    addStep(
        cases,
        "state of too many blocks",
        ARGUMENT,
        "tensors[0]: (65536, 65536, 0, 5) has more than the 2^31 - 1 blocks that can be counted",
        w -> {
          try (FloatTensor many = FloatTensor.zeros(1 << 16, 1 << 16, 0, 5)) {
            OptimizerState.of(many);
          }
        });
    addRefusedOptions(cases);
    for (float alpha : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
      String message = "alpha: expected a finite number but was " + alpha;
      add(
          cases,
          "InputBias.gradBias " + alpha,
          ARGUMENT,
          message,
          prepared(withPlan("InputBias.gradBias(add)"), true),
          w ->
              InputBias.gradBias(
                  w.f("gradOut"), null, w.plan(), GradientOptions.add(alpha), w.f("gradBias")));
    }
    add(
        cases,
        "BlockPlan.dense: negative",
        ARGUMENT,
        "batch: expected at least 0 but was -1",
        w -> BlockPlan.dense(-1));
    add(
        cases,
        "BlockPlan.dense: too many",
        ARGUMENT,
        "batch * iWin * oWin: 536870913 pairs of rows and blocks are more than the 2^29 that one"
            + " plan can hold, in 4294967296 bytes for each schedule; split the batch",
        w -> BlockPlan.dense((1 << 29) + 1));
  }

  /** Gradients without an activation reject one, and a gate. */
  private static void addRefusedOptions(List<Case> cases) {
    Map<String, BiConsumer<World, GradientOptions>> plain =
        Map.of(
            "gradW",
            (w, o) -> SparseBlockDot.gradW(w.f("h"), w.f("gradOut"), w.plan(), o, w.f("gradW")),
            "gradB",
            (w, o) -> SparseBlockDot.gradB(w.f("gradOut"), w.plan(), o, w.f("gradB")),
            "gradBias",
            (w, o) -> InputBias.gradBias(w.f("gradOut"), null, w.plan(), o, w.f("bias")),
            "gradGate",
            (w, o) -> InputBias.gradGate(w.f("bias"), w.f("gradOut"), w.plan(), o, w.f("gate")));
    Operation all =
        new Operation("all", PLAN, List.of(H, GRAD_OUT, GRAD_W, GRAD_B, out(BIAS), GATE), w -> {});
    plain.forEach(
        (name, gradient) -> {
          add(
              cases,
              name + ": options null",
              NULL,
              "options",
              prepared(all, true),
              w -> gradient.accept(w, null));
          add(
              cases,
              name + ": options with an activation",
              ARGUMENT,
              "options: expected none withActivation, as "
                  + name
                  + " takes none from options, but was RELU",
              prepared(all, true),
              w ->
                  gradient.accept(
                      w, GradientOptions.add(1).withActivation(Activation.RELU, w.f("h"))));
          add(
              cases,
              name + ": options with a gate",
              ARGUMENT,
              "options: expected none withGate, as " + name + " takes no gate",
              prepared(all, true),
              w -> gradient.accept(w, GradientOptions.add(1).withGate(w.f("gate"), w.f("gate"))));
        });
  }
}
