// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;

/** Arguments that block-sparse products and their plans reject. */
final class InvalidProductInputTest extends InvalidOperationInput {
  private static final Operand Z = in("z", "(batch, iWin, iSize)", "batch iWin iSize");
  private static final Operand GRAD_Z = out(named("gradZ", Z));
  private static final Operand GRAD_GATE = out(named("gradGate", GATE));
  private static final Activation SILU = Activation.SILU;

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (Operand matrix : List.of(W, narrow(W))) {
      addWithPlan(cases, readingBlocks(matrix));
      addRaggedRows(cases, readingBlocks(matrix));
      readingBlocksByIndices(matrix).forEach(operation -> addAll(cases, operation, false));
      addOthers(cases, matrix);
    }
    addWithPlan(cases, WITH_PLAN);
    WITH_INDICES.forEach(operation -> addAll(cases, operation, false));
    addPlans(cases);
    addRaggedPlans(cases);
    addRaggedRows(cases, WITH_PLAN);
    addAlphas(cases);
    return cases.stream();
  }

  /** Returns the operations that read W, which may be of either kind. */
  private static List<Operation> readingBlocks(Operand matrix) {
    String of = " of " + matrix.kind();
    return List.of(
        new Operation(
            "Gemv.apply(plan)" + of,
            PLAN,
            List.of(matrix, H, O),
            w -> SparseBlockGemv.apply(w.f("o"), w.blocks("W"), w.f("h"), w.plan())),
        new Operation(
            "Gemv.applyInPlace(plan)" + of,
            PLAN,
            List.of(matrix, H, out(O)),
            w -> SparseBlockGemv.applyInPlace(w.blocks("W"), w.f("h"), w.plan(), w.f("o"))),
        new Operation(
            "Dot.apply(epilogue)" + of,
            PLAN,
            List.of(matrix, H),
            w -> SparseBlockDot.apply(w.blocks("W"), w.f("h"), w.plan(), Epilogue.none())),
        new Operation(
            "Dot.apply(bias)" + of,
            PLAN,
            List.of(matrix, B, H),
            w -> SparseBlockDot.apply(w.blocks("W"), w.f("h"), w.plan(), withBias(w))),
        new Operation(
            "Dot.apply(bias, out)" + of,
            PLAN,
            List.of(matrix, B, H, OUT),
            w -> SparseBlockDot.apply(w.blocks("W"), w.f("h"), w.plan(), withBias(w), w.f("out"))),
        new Operation(
            "Dot.gradH" + of,
            PLAN,
            List.of(matrix, GRAD_OUT),
            w -> SparseBlockDot.gradH(w.blocks("W"), w.f("gradOut"), w.plan())),
        gradH("overwrite", matrix, GradientOptions.overwrite()),
        gradH("add", matrix, GradientOptions.add(2)),
        gradZ("overwrite", matrix, GradientOptions.overwrite()),
        gradZ("add", matrix, GradientOptions.add(2)),
        gradZAndGate("overwrite", matrix, GradientOptions.overwrite()),
        gradZAndGate("add", matrix, GradientOptions.add(2)));
  }

  private static Epilogue withBias(World w) {
    return Epilogue.none().withBias(w.f("bias"));
  }

  private static Operation gradH(String how, Operand matrix, GradientOptions options) {
    return new Operation(
        "Dot.gradH(" + how + ") of " + matrix.kind(),
        PLAN,
        List.of(matrix, GRAD_OUT, GRAD_H),
        w -> gradH(w, options, "gradH"));
  }

  private static void gradH(World w, GradientOptions options, String gradient) {
    SparseBlockDot.gradH(w.blocks("W"), w.f("gradOut"), w.plan(), options, w.f(gradient));
  }

  private static Operation gradZ(String how, Operand matrix, GradientOptions options) {
    return new Operation(
        "Dot.gradH(" + how + ", activation) of " + matrix.kind(),
        PLAN,
        List.of(matrix, GRAD_OUT, Z, GRAD_Z),
        w -> gradH(w, options.withActivation(SILU, w.f("z")), "gradZ"));
  }

  private static Operation gradZAndGate(String how, Operand matrix, GradientOptions options) {
    return new Operation(
        "Dot.gradH(" + how + ", activation, gate) of " + matrix.kind(),
        PLAN,
        List.of(matrix, GRAD_OUT, Z, GRAD_Z, GATE, GRAD_GATE),
        w ->
            gradH(
                w,
                options.withActivation(SILU, w.f("z")).withGate(w.f("gate"), w.f("gradGate")),
                "gradZ"));
  }

  private static List<Operation> readingBlocksByIndices(Operand matrix) {
    String of = " of " + matrix.kind();
    return List.of(
        new Operation(
            "Gemv.apply" + of,
            List.of(),
            List.of(matrix, INPUT_IDX, OUTPUT_IDX, H, O),
            w ->
                SparseBlockGemv.apply(
                    w.f("o"), w.blocks("W"), w.f("h"), w.i("inputIdx"), w.i("outputIdx"))),
        new Operation(
            "Dot.apply" + of,
            List.of(),
            List.of(matrix, INPUT_IDX, OUTPUT_IDX, B, H),
            w ->
                SparseBlockDot.apply(
                    w.blocks("W"), w.f("h"), w.i("inputIdx"), w.f("bias"), w.i("outputIdx"))));
  }

  /** Adds arguments other than operands. */
  private static void addOthers(List<Case> cases, Operand matrix) {
    String of = " of " + matrix.kind();
    Operation fused = gradZ("overwrite", matrix, GradientOptions.overwrite());
    add(
        cases,
        "epilogue null" + of,
        NULL,
        "epilogue",
        prepared(fused, true),
        w -> SparseBlockDot.apply(w.blocks("W"), w.f("z"), w.plan(), null));
    add(
        cases,
        "epilogue null, out" + of,
        NULL,
        "epilogue",
        prepared(fused, true),
        w -> SparseBlockDot.apply(w.blocks("W"), w.f("z"), w.plan(), null, w.f("gradOut")));
    add(
        cases,
        "options null" + of,
        NULL,
        "options",
        prepared(fused, true),
        w -> gradH(w, null, "gradZ"));
    add(
        cases,
        "activation null" + of,
        NULL,
        "activation",
        prepared(fused, true),
        w -> gradH(w, GradientOptions.overwrite().withActivation(null, w.f("z")), "gradZ"));
    add(
        cases,
        "a gate without an activation" + of,
        ARGUMENT,
        "options: expected none withGate, as gradH without an activation takes no gate",
        prepared(gradZAndGate("add", matrix, GradientOptions.add(1)), true),
        w -> gradH(w, GradientOptions.overwrite().withGate(w.f("gate"), w.f("gradGate")), "gradZ"));
    for (float alpha : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
      String message = "alpha: expected a finite number but was " + alpha;
      add(
          cases,
          "gradH " + alpha + of,
          ARGUMENT,
          message,
          prepared(fused, true),
          w -> gradH(w, GradientOptions.add(alpha), "gradZ"));
      add(
          cases,
          "gradH with an activation " + alpha + of,
          ARGUMENT,
          message,
          prepared(fused, true),
          w -> gradH(w, GradientOptions.add(alpha).withActivation(SILU, w.f("z")), "gradZ"));
    }
  }

  private static final List<Operation> WITH_PLAN =
      List.of(
          new Operation(
              "Outer.apply(plan)",
              PLAN,
              List.of(OUTER, X, Y),
              w -> SparseBlockOuter.apply(w.f("o"), w.f("x"), w.f("y"), w.plan(), 1)),
          new Operation(
              "Outer.applyInPlace(plan)",
              PLAN,
              List.of(out(OUTER), X, Y),
              w -> SparseBlockOuter.applyInPlace(w.f("x"), w.f("y"), w.plan(), 1, w.f("o"))),
          new Operation(
              "Dot.gradW",
              PLAN,
              List.of(ranked(H), ranked(GRAD_OUT)),
              w -> SparseBlockDot.gradW(w.f("h"), w.f("gradOut"), w.plan())),
          new Operation(
              "Dot.gradB",
              PLAN,
              List.of(ranked(GRAD_OUT)),
              w -> SparseBlockDot.gradB(w.f("gradOut"), w.plan())),
          new Operation(
              "Dot.gradB(add)",
              PLAN,
              List.of(ranked(GRAD_OUT), GRAD_B),
              w ->
                  SparseBlockDot.gradB(
                      w.f("gradOut"), w.plan(), GradientOptions.add(1), w.f("gradB"))));

  private static final List<Operation> WITH_INDICES =
      List.of(
          new Operation(
              "Outer.apply",
              List.of(),
              List.of(OUTER, X_IDX, Y_IDX, X, Y),
              w ->
                  SparseBlockOuter.apply(
                      w.f("o"), w.f("x"), w.f("y"), w.i("xIdx"), w.i("yIdx"), 1)),
          new Operation(
              "BlockPlan.of",
              List.of("iBlocks", "oBlocks"),
              List.of(INPUT_IDX, OUTPUT_IDX),
              w -> BlockPlan.of(w.i("inputIdx"), w.i("outputIdx"), 8, 7)));

  private static void addPlans(List<Case> cases) {
    addMostBlocks(
        cases,
        "of floats",
        plan -> {
          try (FloatTensor none = FloatTensor.zeros(0, 0, 6, 5)) {
            SparseBlockDot.apply(none, none, plan, Epilogue.none().withBias(none));
          }
        });
    addMostBlocks(
        cases,
        "of 16 bits",
        plan -> {
          try (FloatTensor none = FloatTensor.zeros(0, 0, 6, 5);
              Weights narrow = Weights.of(none, ElementType.BFLOAT16)) {
            SparseBlockDot.apply(narrow, none, plan, Epilogue.none().withBias(none));
          }
        });
    add(
        cases,
        "dimension beyond BLAS",
        ARGUMENT,
        "W: a dimension of (2147483648, 0, 6, 5) is larger than 2^31 - 1, which BLAS cannot"
            + " address",
        w ->
            SparseBlockOuter.apply(
                w.f("t"), w.f("t"), w.f("t"), w.i("ints"), w.i("ints"), beyondBlas(w)));
    add(
        cases,
        "too many rows for one plan",
        ARGUMENT,
        "batch * iWin * oWin: 3200000000 pairs of rows and blocks are more than the 2^29 that one"
            + " plan can hold, in 4294967296 bytes for each schedule; split the batch",
        w -> {
          try (IntTensor wide = IntTensor.zeros(2, 40_000)) {
            BlockPlan.of(wide, wide, 1, 1);
          }
        });
    add(
        cases,
        "more rows without a window than a plan can hold",
        ARGUMENT,
        "batch * iWin * oWin: 2147483647 pairs of rows and blocks are more than the 2^29 that one"
            + " plan can hold, in 4294967296 bytes for each schedule; split the batch",
        w -> {
          try (IntTensor none = IntTensor.zeros(Integer.MAX_VALUE, 0)) {
            BlockPlan.of(none, none, 1, 1);
          }
        });
    for (String name : new String[] {"iBlocks", "oBlocks"}) {
      add(
          cases,
          "BlockPlan " + name,
          ARGUMENT,
          name + ": expected at least 0 but was -1",
          w ->
              BlockPlan.of(
                  w.i("ints"),
                  w.i("ints"),
                  name.equals("iBlocks") ? -1 : 8,
                  name.equals("oBlocks") ? -1 : 8));
    }
    add(
        cases,
        "plan.withWorkers(null)",
        NULL,
        "workers",
        w -> {
          try (BlockPlan plan = BlockPlan.of(w.i("ints"), w.i("ints"), 7, 7)) {
            plan.withWorkers(null);
          }
        });
  }

  /**
   * Adds a plan of more blocks than weights can have, which is rejected with the number of existing
   * blocks.
   */
  private static void addMostBlocks(List<Case> cases, String what, Consumer<BlockPlan> product) {
    int most = Integer.MAX_VALUE;
    add(
        cases,
        "a plan of the most blocks with weights " + what,
        ARGUMENT,
        "W: expected (iBlocks, oBlocks, iSize, oSize) = (2147483647, 2147483647, 6, 5)"
            + " but was (0, 0, 6, 5)",
        w -> {
          try (BlockPlan plan = BlockPlan.of(w.i("ints"), w.i("ints"), most, most)) {
            product.accept(plan);
          }
        });
  }

  /** Adds rows from which no ragged plan can be made, with the message for each. */
  private static void addRaggedPlans(List<Case> cases) {
    addRagged(cases, "inputs null", NULL, "inputs", () -> null, () -> rows(7), 8);
    addRagged(cases, "outputs null", NULL, "outputs", () -> rows(8), () -> null, 8);
    addRagged(
        cases,
        "iBlocks -1",
        ARGUMENT,
        "iBlocks: expected at least 0 but was -1",
        () -> rows(8),
        () -> rows(7),
        -1);
    addRagged(
        cases,
        "an index too large",
        BOUNDS,
        "inputs: index 7 of row 2 is outside [0, iBlocks = 7)",
        () -> rows(8),
        () -> rows(7),
        7);
    addRagged(
        cases,
        "an output too large",
        BOUNDS,
        "outputs: index 7 of row 2 is outside [0, oBlocks = 7)",
        () -> rows(8),
        () -> rows(8),
        8);
    addRagged(
        cases,
        "more rows",
        ARGUMENT,
        "outputs: expected 3 rows, as inputs have, but was 2",
        () -> rows(8),
        () -> SparseRows.of(List.of(new int[] {1}, new int[] {2})),
        8);
    for (boolean input : new boolean[] {true, false}) {
      Supplier<SparseRows> weighted =
          () -> SparseRows.of(new int[] {0, 0, 0, 1}, new int[] {1}, new float[] {2});
      addRagged(
          cases,
          (input ? "inputs" : "outputs") + " with values",
          ARGUMENT,
          (input ? "inputs" : "outputs")
              + ": expected rows without values but was SparseRows(3 rows, 1 weighted entries)",
          input ? weighted : () -> rows(8),
          input ? () -> rows(7) : weighted,
          8);
      Supplier<SparseRows> closed =
          () -> {
            SparseRows rows = rows(7);
            rows.close();
            return rows;
          };
      addRagged(
          cases,
          (input ? "inputs" : "outputs") + " closed",
          STATE,
          (input ? "inputs" : "outputs") + ": the SparseRows(3 rows, 6 entries) are closed",
          input ? closed : () -> rows(8),
          input ? () -> rows(7) : closed,
          8);
    }
    // 40,000 * 40,000, and samples without windows, which count as well.
    Supplier<SparseRows> wide = () -> SparseRows.of(new int[] {0, 0, 0, 40_000}, new int[40_000]);
    addRagged(
        cases,
        "too many pairs",
        ARGUMENT,
        "inputs, outputs: 1600000002 pairs of rows and blocks are more than the 2^29 that one"
            + " plan can hold, in 4294967296 bytes for each schedule; split the batch",
        wide,
        wide,
        8);
  }

  private static void addRagged(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      Supplier<SparseRows> inputs,
      Supplier<SparseRows> outputs,
      int iBlocks) {
    World world = new World().with("inputs", inputs).with("outputs", outputs);
    add(
        cases,
        "ragged plan: " + name,
        type,
        message,
        world,
        w -> BlockPlan.of(w.rows("inputs"), w.rows("outputs"), iBlocks, 7));
  }

  /** Throws while the arguments are made, instead of returning an alpha. */
  private static float beyondBlas(World w) {
    try (FloatTensor huge = FloatTensor.zeros(1L << 31, 0, 6, 5)) {
      SparseBlockGemv.apply(w.f("t"), huge, w.f("t"), w.i("ints"), w.i("ints"));
    }
    return 1;
  }

  private static void addAlphas(List<Case> cases) {
    float[] notFinite = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
    for (float alpha : notFinite) {
      String message = "alpha: expected a finite number but was " + alpha;
      for (boolean inPlace : new boolean[] {false, true}) {
        Operation outer = WITH_PLAN.get(0);
        World world = prepared(outer, true);
        add(
            cases,
            "Outer alpha " + alpha + (inPlace ? " in place" : ""),
            ARGUMENT,
            message,
            world,
            w -> {
              if (inPlace) {
                SparseBlockOuter.applyInPlace(w.f("x"), w.f("y"), w.plan(), alpha, w.f("o"));
              } else {
                SparseBlockOuter.apply(w.f("o"), w.f("x"), w.f("y"), w.plan(), alpha);
              }
            });
      }
      Operation gradB = WITH_PLAN.get(WITH_PLAN.size() - 1);
      add(
          cases,
          "gradB alpha " + alpha,
          ARGUMENT,
          message,
          prepared(gradB, true),
          w ->
              SparseBlockDot.gradB(
                  w.f("gradOut"), w.plan(), GradientOptions.add(alpha), w.f("gradB")));
    }
  }
}
