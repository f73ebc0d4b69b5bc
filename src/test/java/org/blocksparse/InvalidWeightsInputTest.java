// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** What products of weights that are only read refuse: as those of floats, in the same words. */
final class InvalidWeightsInputTest extends InvalidOperationInput {
  private static final Operand NARROW = narrow(W);
  private static final Operand Z = in("z", "(batch, iWin, iSize)", "batch iWin iSize");
  private static final Operand GRAD_Z = out(named("gradZ", Z));
  private static final Operand GRAD_GATE = out(named("gradGate", GATE));
  private static final Activation SILU = Activation.SILU;

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addWithPlan(cases, WITH_PLAN);
    addRaggedRows(cases, WITH_PLAN);
    WITH_INDICES.forEach(operation -> addAll(cases, operation, false));
    addOthers(cases);
    return cases.stream();
  }

  private static final List<Operation> WITH_PLAN =
      List.of(
          new Operation(
              "Gemv.apply(plan, Weights)",
              PLAN,
              List.of(NARROW, H, O),
              w -> SparseBlockGemv.apply(w.f("o"), w.weights("W"), w.f("h"), w.plan())),
          new Operation(
              "Gemv.applyInPlace(plan, Weights)",
              PLAN,
              List.of(NARROW, H, out(O)),
              w -> SparseBlockGemv.applyInPlace(w.weights("W"), w.f("h"), w.plan(), w.f("o"))),
          new Operation(
              "Dot.apply(plan, Weights)",
              PLAN,
              List.of(NARROW, H, B),
              w -> SparseBlockDot.apply(w.weights("W"), w.f("h"), w.f("b"), w.plan())),
          new Operation(
              "Dot.apply(plan, Weights, out)",
              PLAN,
              List.of(NARROW, H, B, OUT),
              w -> SparseBlockDot.apply(w.weights("W"), w.f("h"), w.f("b"), w.plan(), w.f("out"))),
          new Operation(
              "Dot.apply(epilogue, Weights)",
              PLAN,
              List.of(NARROW, H),
              w -> SparseBlockDot.apply(w.weights("W"), w.f("h"), w.plan(), Epilogue.none())),
          new Operation(
              "Dot.apply(epilogue, Weights, out)",
              PLAN,
              List.of(NARROW, named("bias", B), H, OUT),
              w ->
                  SparseBlockDot.apply(
                      w.weights("W"),
                      w.f("h"),
                      w.plan(),
                      Epilogue.none().withBias(w.f("bias")),
                      w.f("out"))),
          new Operation(
              "Dot.gradH(Weights)",
              PLAN,
              List.of(NARROW, GRAD_OUT),
              w -> SparseBlockDot.gradH(w.weights("W"), w.f("gradOut"), w.plan())),
          new Operation(
              "Dot.gradH(Weights, out)",
              PLAN,
              List.of(NARROW, GRAD_OUT, GRAD_H),
              w -> SparseBlockDot.gradH(w.weights("W"), w.f("gradOut"), w.plan(), w.f("gradH"))),
          new Operation(
              "Dot.addGradH(Weights)",
              PLAN,
              List.of(NARROW, GRAD_OUT, GRAD_H),
              w ->
                  SparseBlockDot.addGradH(
                      w.weights("W"), w.f("gradOut"), w.plan(), 2, w.f("gradH"))),
          new Operation(
              "Dot.gradH(Weights, activation)",
              PLAN,
              List.of(NARROW, GRAD_OUT, Z, GRAD_Z),
              w ->
                  SparseBlockDot.gradH(
                      w.weights("W"), w.f("gradOut"), w.plan(), SILU, w.f("z"), w.f("gradZ"))),
          new Operation(
              "Dot.gradH(Weights, activation, gate)",
              PLAN,
              List.of(NARROW, GRAD_OUT, Z, GRAD_Z, GATE, GRAD_GATE),
              w ->
                  SparseBlockDot.gradH(
                      w.weights("W"),
                      w.f("gradOut"),
                      w.plan(),
                      SILU,
                      w.f("z"),
                      w.f("gate"),
                      w.f("gradZ"),
                      w.f("gradGate"))),
          new Operation(
              "Dot.addGradH(Weights, activation)",
              PLAN,
              List.of(NARROW, GRAD_OUT, Z, GRAD_Z),
              w ->
                  SparseBlockDot.addGradH(
                      w.weights("W"), w.f("gradOut"), w.plan(), SILU, w.f("z"), 2, w.f("gradZ"))),
          new Operation(
              "Dot.addGradH(Weights, activation, gate)",
              PLAN,
              List.of(NARROW, GRAD_OUT, Z, GRAD_Z, GATE, GRAD_GATE),
              w ->
                  SparseBlockDot.addGradH(
                      w.weights("W"),
                      w.f("gradOut"),
                      w.plan(),
                      SILU,
                      w.f("z"),
                      w.f("gate"),
                      2,
                      w.f("gradZ"),
                      w.f("gradGate"))));

  private static final List<Operation> WITH_INDICES =
      List.of(
          new Operation(
              "Gemv.apply(Weights)",
              List.of(),
              List.of(NARROW, INPUT_IDX, OUTPUT_IDX, H, O),
              w ->
                  SparseBlockGemv.apply(
                      w.f("o"), w.weights("W"), w.f("h"), w.i("inputIdx"), w.i("outputIdx"))),
          new Operation(
              "Gemv.applyInPlace(Weights)",
              List.of(),
              List.of(NARROW, INPUT_IDX, OUTPUT_IDX, H, out(O)),
              w ->
                  SparseBlockGemv.applyInPlace(
                      w.weights("W"), w.f("h"), w.i("inputIdx"), w.i("outputIdx"), w.f("o"))),
          new Operation(
              "Dot.apply(Weights)",
              List.of(),
              List.of(NARROW, INPUT_IDX, OUTPUT_IDX, H, B),
              w ->
                  SparseBlockDot.apply(
                      w.weights("W"), w.f("h"), w.i("inputIdx"), w.f("b"), w.i("outputIdx"))));

  private static Operation operation(String name) {
    return WITH_PLAN.stream().filter(o -> o.name().equals(name)).findFirst().orElseThrow();
  }

  /** What is no tensor. */
  private static void addOthers(List<Case> cases) {
    Operation product = operation("Dot.apply(epilogue, Weights, out)");
    add(
        cases,
        "epilogue null",
        NULL,
        "epilogue",
        prepared(product, true),
        w -> SparseBlockDot.apply(w.weights("W"), w.f("h"), w.plan(), (Epilogue) null));
    Operation fused = operation("Dot.addGradH(Weights, activation)");
    add(
        cases,
        "activation null",
        NULL,
        "activation",
        prepared(fused, true),
        w ->
            SparseBlockDot.gradH(
                w.weights("W"), w.f("gradOut"), w.plan(), null, w.f("z"), w.f("gradZ")));
    for (float alpha : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
      String message = "alpha: expected a finite number but was " + alpha;
      add(
          cases,
          "addGradH " + alpha,
          ARGUMENT,
          message,
          prepared(fused, true),
          w ->
              SparseBlockDot.addGradH(
                  w.weights("W"), w.f("gradOut"), w.plan(), alpha, w.f("gradZ")));
      add(
          cases,
          "addGradH with an activation " + alpha,
          ARGUMENT,
          message,
          prepared(fused, true),
          w ->
              SparseBlockDot.addGradH(
                  w.weights("W"), w.f("gradOut"), w.plan(), SILU, w.f("z"), alpha, w.f("gradZ")));
    }
  }
}
