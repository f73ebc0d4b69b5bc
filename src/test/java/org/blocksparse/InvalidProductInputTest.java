// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** What the block-sparse products and their plans refuse. */
final class InvalidProductInputTest extends InvalidOperationInput {
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addWithPlan(cases, WITH_PLAN);
    WITH_INDICES.forEach(operation -> addAll(cases, operation, false));
    addPlans(cases);
    addRaggedPlans(cases);
    addRaggedRows(cases, WITH_PLAN);
    addAlphas(cases);
    return cases.stream();
  }

  private static final List<Operation> WITH_PLAN =
      List.of(
          new Operation(
              "Gemv.apply(plan)",
              PLAN,
              List.of(W, H, O),
              w -> SparseBlockGemv.apply(w.f("o"), w.f("W"), w.f("h"), w.plan())),
          new Operation(
              "Gemv.applyInPlace(plan)",
              PLAN,
              List.of(W, H, out(O)),
              w -> SparseBlockGemv.applyInPlace(w.f("W"), w.f("h"), w.plan(), w.f("o"))),
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
              "Dot.apply(plan)",
              PLAN,
              List.of(W, H, B),
              w -> SparseBlockDot.apply(w.f("W"), w.f("h"), w.f("b"), w.plan())),
          new Operation(
              "Dot.apply(plan, out)",
              PLAN,
              List.of(W, H, B, OUT),
              w -> SparseBlockDot.apply(w.f("W"), w.f("h"), w.f("b"), w.plan(), w.f("out"))),
          new Operation(
              "Dot.gradH",
              PLAN,
              List.of(W, GRAD_OUT),
              w -> SparseBlockDot.gradH(w.f("W"), w.f("gradOut"), w.plan())),
          new Operation(
              "Dot.gradH(out)",
              PLAN,
              List.of(W, GRAD_OUT, GRAD_H),
              w -> SparseBlockDot.gradH(w.f("W"), w.f("gradOut"), w.plan(), w.f("gradH"))),
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
              "Dot.addGradB",
              PLAN,
              List.of(ranked(GRAD_OUT), out(B)),
              w -> SparseBlockDot.addGradB(w.f("gradOut"), w.plan(), 1, w.f("b"))));

  private static final List<Operation> WITH_INDICES =
      List.of(
          new Operation(
              "Gemv.apply",
              List.of(),
              List.of(W, INPUT_IDX, OUTPUT_IDX, H, O),
              w ->
                  SparseBlockGemv.apply(
                      w.f("o"), w.f("W"), w.f("h"), w.i("inputIdx"), w.i("outputIdx"))),
          new Operation(
              "Gemv.applyInPlace",
              List.of(),
              List.of(W, INPUT_IDX, OUTPUT_IDX, H, out(O)),
              w ->
                  SparseBlockGemv.applyInPlace(
                      w.f("W"), w.f("h"), w.i("inputIdx"), w.i("outputIdx"), w.f("o"))),
          new Operation(
              "Outer.apply",
              List.of(),
              List.of(OUTER, X_IDX, Y_IDX, X, Y),
              w ->
                  SparseBlockOuter.apply(
                      w.f("o"), w.f("x"), w.f("y"), w.i("xIdx"), w.i("yIdx"), 1)),
          new Operation(
              "Outer.applyInPlace",
              List.of(),
              List.of(out(OUTER), X_IDX, Y_IDX, X, Y),
              w ->
                  SparseBlockOuter.applyInPlace(
                      w.f("x"), w.f("y"), w.i("xIdx"), w.i("yIdx"), 1, w.f("o"))),
          new Operation(
              "Dot.apply",
              List.of(),
              List.of(W, INPUT_IDX, OUTPUT_IDX, H, B),
              w ->
                  SparseBlockDot.apply(
                      w.f("W"), w.f("h"), w.i("inputIdx"), w.f("b"), w.i("outputIdx"))),
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
            SparseBlockDot.apply(none, none, none, plan);
          }
        });
    addMostBlocks(
        cases,
        "of 16 bits",
        plan -> {
          try (FloatTensor none = FloatTensor.zeros(0, 0, 6, 5);
              Weights narrow = Weights.of(none, ElementType.BFLOAT16)) {
            SparseBlockDot.apply(narrow, none, none, plan);
          }
        });
    add(
        cases,
        "dimension beyond BLAS",
        ARGUMENT,
        "W: a dimension of (2147483648, 0, 6, 5) is larger than 2^31 - 1, which BLAS cannot address",
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

  /** A plan of more blocks than there can be weights of is refused with those that there are. */
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

  /** Rows that a ragged plan is made from, and what it says of them. */
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
    // 40,000 * 40,000, and samples without windows that count all the same.
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

  /** Not an alpha: throws while the arguments are made. */
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
        Operation outer = WITH_PLAN.get(2);
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
      Operation addGradB = WITH_PLAN.get(WITH_PLAN.size() - 1);
      add(
          cases,
          "addGradB alpha " + alpha,
          ARGUMENT,
          message,
          prepared(addGradB, true),
          w -> SparseBlockDot.addGradB(w.f("gradOut"), w.plan(), alpha, w.f("b")));
    }
  }
}
