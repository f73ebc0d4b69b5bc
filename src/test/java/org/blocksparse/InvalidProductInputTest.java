// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.blocksparse.testing.InvalidInput;

/**
 * What the block-sparse products and their plans refuse.
 *
 * <p>Most cases are generated from a table of operands, in the order in which they are checked:
 * each is made null, closed, a view of something closed, of another rank, larger and smaller in
 * each dimension; each index is made too small and too large; each output overlaps each input by
 * one element.
 */
final class InvalidProductInputTest extends InvalidInput {
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addWithPlan(cases);
    WITH_INDICES.forEach(operation -> addAll(cases, operation, false));
    addPlans(cases);
    addRaggedPlans(cases);
    addRaggedRows(cases);
    addAlphas(cases);
    return cases.stream();
  }

  private static final Map<String, Integer> DIMS =
      Map.ofEntries(
          Map.entry("batch", 2),
          Map.entry("iBlocks", 8),
          Map.entry("oBlocks", 7),
          Map.entry("iSize", 6),
          Map.entry("oSize", 5),
          Map.entry("iWin", 4),
          Map.entry("oWin", 3),
          Map.entry("features", 6),
          Map.entry("classes", 4),
          Map.entry("slots", 3),
          Map.entry("n", 9));

  /**
   * An operand.
   *
   * @param words its dimensions as messages name them
   * @param dims the same, by the names of {@link #DIMS}
   * @param rankFirst whether the rank is looked at before the dimensions
   */
  private record Operand(
      String name, String words, List<String> dims, Kind kind, boolean rankFirst) {
    long[] shape() {
      return dims.stream().mapToLong(DIMS::get).toArray();
    }
  }

  private enum Kind {
    INPUT,
    OUTPUT,
    INDEX
  }

  /**
   * An operation.
   *
   * @param bound the dimensions that are known before the first operand is looked at
   */
  private record Operation(
      String name, List<String> bound, List<Operand> operands, Consumer<World> call) {}

  private static Operand in(String name, String words, String dims) {
    return new Operand(name, words, List.of(dims.split(" ")), Kind.INPUT, false);
  }

  private static Operand ranked(Operand o) {
    return new Operand(o.name, o.words, o.dims, o.kind, true);
  }

  private static Operand out(Operand o) {
    return new Operand(o.name, o.words, o.dims, Kind.OUTPUT, o.rankFirst);
  }

  private static Operand index(String name, String words, String dims) {
    return new Operand(name, words, List.of(dims.split(" ")), Kind.INDEX, false);
  }

  private static final Operand W =
      ranked(in("W", "(iBlocks, oBlocks, iSize, oSize)", "iBlocks oBlocks iSize oSize"));
  private static final Operand OUTER =
      ranked(in("o", "(xBlocks, yBlocks, xSize, ySize)", "iBlocks oBlocks iSize oSize"));
  private static final Operand H = in("h", "(batch, iWin, iSize)", "batch iWin iSize");
  private static final Operand B = in("b", "(oBlocks, oSize)", "oBlocks oSize");
  private static final Operand O = in("o", "(batch, oWin, oSize)", "batch oWin oSize");
  private static final Operand OUT = out(in("out", "(batch, oWin, oSize)", "batch oWin oSize"));
  private static final Operand GRAD_OUT = in("gradOut", "(batch, oWin, oSize)", "batch oWin oSize");
  private static final Operand GRAD_H =
      out(in("gradH", "(batch, iWin, iSize)", "batch iWin iSize"));
  private static final Operand X = in("x", "(batch, xWin, xSize)", "batch iWin iSize");
  private static final Operand Y = in("y", "(batch, yWin, ySize)", "batch oWin oSize");
  private static final Operand INPUT_IDX =
      ranked(index("inputIdx", "(batch, window)", "batch iWin"));
  private static final Operand OUTPUT_IDX =
      ranked(index("outputIdx", "(batch, window)", "batch oWin"));
  private static final Operand X_IDX = ranked(index("xIdx", "(batch, window)", "batch iWin"));
  private static final Operand Y_IDX = ranked(index("yIdx", "(batch, window)", "batch oWin"));
  private static final List<String> PLAN = List.of("batch", "iBlocks", "oBlocks", "iWin", "oWin");

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

  /** What is checked first and fails, or null: the rule of all messages about shapes. */
  private static String failure(Operation operation, Map<String, long[]> shapes) {
    Map<String, Long> bound = new HashMap<>();
    operation.bound.forEach(dim -> bound.put(dim, (long) DIMS.get(dim)));
    for (Operand operand : operation.operands) {
      long[] shape = shapes.get(operand.name);
      boolean rankIsRight = shape.length == operand.dims.size();
      if (!rankIsRight && operand.rankFirst) {
        return operand.name + ": expected " + operand.words + " but was " + Shape.of(shape);
      }
      long[] expected = new long[operand.dims.size()];
      for (int axis = 0; axis < expected.length; axis++) {
        String dim = operand.dims.get(axis);
        if (rankIsRight) {
          bound.putIfAbsent(dim, shape[axis]);
        }
        expected[axis] = bound.get(dim);
      }
      if (!Arrays.equals(expected, shape)) {
        return operand.name
            + ": expected "
            + operand.words
            + " = "
            + Shape.of(expected)
            + " but was "
            + Shape.of(shape);
      }
    }
    return null;
  }

  private static void addWithPlan(List<Case> cases) {
    for (Operation operation : WITH_PLAN) {
      addAll(cases, operation, true);
      add(
          cases,
          operation.name + ": plan null",
          NULL,
          "plan",
          world(operation, shapes(operation)),
          operation.call);
      World closed = world(operation, shapes(operation));
      closed.with("plan", InvalidProductInputTest::plan).fault(w -> w.close("plan"));
      add(
          cases,
          operation.name + ": plan closed",
          STATE,
          "plan: the plan is closed",
          closed,
          operation.call);
    }
  }

  private static BlockPlan plan() {
    try (IntTensor inputIdx = indices(8, 2, 4);
        IntTensor outputIdx = indices(7, 2, 3)) {
      return BlockPlan.of(inputIdx, outputIdx, 8, 7);
    }
  }

  private static Map<String, long[]> shapes(Operation operation) {
    Map<String, long[]> shapes = new HashMap<>();
    operation.operands.forEach(operand -> shapes.put(operand.name, operand.shape()));
    return shapes;
  }

  private static World world(Operation operation, Map<String, long[]> shapes) {
    World world = new World();
    for (Operand operand : operation.operands) {
      long[] shape = shapes.get(operand.name);
      world.with(
          operand.name,
          () -> operand.kind == Kind.INDEX ? indices(indexBound(operand), shape) : floats(shape));
    }
    return world;
  }

  private static int indexBound(Operand operand) {
    return operand.dims.contains("iWin") ? 8 : 7;
  }

  private static void addAll(List<Case> cases, Operation operation, boolean plan) {
    for (Operand operand : operation.operands) {
      addNullAndClosed(cases, operation, operand, plan);
      long[] right = operand.shape();
      boolean matrixIsAllowed = operation.name.equals("Dot.apply") && operand.name.equals("h");
      if (!matrixIsAllowed) {
        addShape(cases, operation, operand, plan, Arrays.copyOf(right, right.length - 1));
      }
      long[] longer = Arrays.copyOf(right, right.length + 1);
      longer[right.length] = 1;
      addShape(cases, operation, operand, plan, longer);
      for (int axis = 0; axis < right.length; axis++) {
        for (long dim : new long[] {right[axis] + 1, right[axis] - 1, 0}) {
          long[] wrong = right.clone();
          wrong[axis] = dim;
          addShape(cases, operation, operand, plan, wrong);
        }
      }
      if (operand.kind == Kind.INDEX) {
        addIndices(cases, operation, operand);
      }
      if (operand.kind == Kind.OUTPUT) {
        addOverlaps(cases, operation, operand, plan);
      }
    }
  }

  private static World prepared(Operation operation, boolean plan) {
    World world = world(operation, shapes(operation));
    if (plan) {
      world.with("plan", InvalidProductInputTest::plan);
    }
    return world;
  }

  private static void addNullAndClosed(
      List<Case> cases, Operation operation, Operand operand, boolean plan) {
    World missing = prepared(operation, plan);
    missing.fault(w -> w.replace(operand.name, null));
    add(
        cases,
        operation.name + ": " + operand.name + " null",
        NULL,
        operand.name,
        missing,
        operation.call);
    String message = operand.name + ": the tensor " + Shape.of(operand.shape()) + " is closed";
    World closed = prepared(operation, plan);
    closed.fault(w -> w.close(operand.name));
    add(
        cases,
        operation.name + ": " + operand.name + " closed",
        STATE,
        message,
        closed,
        operation.call);
    if (operand.kind != Kind.INDEX) {
      World view = prepared(operation, plan);
      view.fault(w -> w.replace(operand.name, w.f(operand.name).reshape(operand.shape())));
      add(
          cases,
          operation.name + ": " + operand.name + " a view of a closed tensor",
          STATE,
          message,
          view,
          operation.call);
    }
  }

  private static void addShape(
      List<Case> cases, Operation operation, Operand operand, boolean plan, long[] shape) {
    Map<String, long[]> shapes = shapes(operation);
    shapes.put(operand.name, shape);
    String message = failure(operation, shapes);
    // Where there is no plan, fewer blocks make indices wrong instead of shapes: see addIndices.
    boolean fewerBlocks =
        !plan
            && operand.dims.size() == 4
            && shape.length == 4
            && (shape[0] < operand.shape()[0] || shape[1] < operand.shape()[1]);
    if (message == null || fewerBlocks) {
      return;
    }
    World world = world(operation, shapes);
    if (plan) {
      world.with("plan", InvalidProductInputTest::plan);
    }
    add(
        cases,
        operation.name + ": " + operand.name + " " + Shape.of(shape),
        ARGUMENT,
        message,
        world,
        operation.call);
  }

  private static void addIndices(List<Case> cases, Operation operation, Operand operand) {
    long[] shape = operand.shape();
    int bound = indexBound(operand);
    String boundName =
        (operand.name.startsWith("x")
            ? "xBlocks"
            : operand.name.startsWith("y")
                ? "yBlocks"
                : operand.name.startsWith("i") ? "iBlocks" : "oBlocks");
    for (int row = 0; row < shape[0]; row++) {
      for (int column = 0; column < shape[1]; column++) {
        for (int index : new int[] {-1, bound, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
          long r = row;
          long c = column;
          World world = prepared(operation, false);
          world.fault(w -> w.i(operand.name).set(index, r, c));
          add(
              cases,
              operation.name + ": " + operand.name + "[" + r + ", " + c + "] = " + index,
              BOUNDS,
              operand.name
                  + "["
                  + r
                  + ", "
                  + c
                  + "] = "
                  + index
                  + " is outside [0, "
                  + boundName
                  + " = "
                  + bound
                  + ")",
              world,
              operation.call);
        }
      }
    }
  }

  /** The output begins with the last element of the input. */
  private static void addOverlaps(
      List<Case> cases, Operation operation, Operand output, boolean plan) {
    if (!Backend.isNative()) {
      return;
    }
    for (Operand input : operation.operands) {
      if (input.kind != Kind.INPUT) {
        continue;
      }
      World world = prepared(operation, plan);
      world.fault(
          w -> {
            long inputSize = Shape.of(input.shape()).size();
            long outputSize = Shape.of(output.shape()).size();
            FloatBuffer buffer =
                ByteBuffer.allocateDirect((int) (4 * (inputSize + outputSize - 1)))
                    .order(ByteOrder.nativeOrder())
                    .asFloatBuffer();
            w.replace(
                input.name, FloatTensor.wrap(buffer.slice(0, (int) inputSize), input.shape()));
            w.replace(
                output.name,
                FloatTensor.wrap(
                    buffer.slice((int) inputSize - 1, (int) outputSize), output.shape()));
          });
      add(
          cases,
          operation.name + ": " + output.name + " overlaps " + input.name,
          ARGUMENT,
          output.name
              + ": shares memory with "
              + input.name
              + "; an output must not overlap an input",
          world,
          operation.call);
    }
  }

  private static void addPlans(List<Case> cases) {
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
        "plan.on(null)",
        NULL,
        "workers",
        w -> {
          try (BlockPlan plan = BlockPlan.of(w.i("ints"), w.i("ints"), 7, 7)) {
            plan.on(null);
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

  /** Three samples that select 3, 0 and 3 of the blocks, the last one among them. */
  private static SparseRows rows(int blocks) {
    return SparseRows.of(new int[] {0, 3, 3, 6}, new int[] {0, 2, 2, 5, blocks - 1, 1});
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

  /** Every operation with a ragged plan refuses rows that are not its own. */
  private static void addRaggedRows(List<Case> cases) {
    for (Operation operation : WITH_PLAN) {
      for (Operand operand : operation.operands) {
        boolean input = operand.dims.contains("iWin");
        if (!input && !operand.dims.contains("oWin")) {
          continue;
        }
        String size = operand.words.substring(operand.words.lastIndexOf(' ') + 1);
        String words = "(entries of " + (input ? "inputs, " : "outputs, ") + size;
        long last = DIMS.get(input ? "iSize" : "oSize");
        for (long[] wrong : new long[][] {{5, last}, {7, last}, {2, 3, last}}) {
          World world = new World();
          for (Operand other : operation.operands) {
            boolean rows = other.dims.contains("iWin") || other.dims.contains("oWin");
            long[] right = other.shape();
            long[] shape = other == operand ? wrong : rows ? new long[] {6, right[2]} : right;
            world.with(other.name, () -> floats(shape));
          }
          world.with("plan", InvalidProductInputTest::raggedPlan);
          boolean rankOnly = operand.rankFirst && wrong.length == 3;
          add(
              cases,
              operation.name + ", ragged: " + operand.name + " " + Shape.of(wrong),
              ARGUMENT,
              operand.name
                  + ": expected "
                  + words
                  + (rankOnly ? "" : " = " + Shape.of(6, last))
                  + " but was "
                  + Shape.of(wrong),
              world,
              operation.call);
        }
      }
    }
  }

  private static BlockPlan raggedPlan() {
    try (SparseRows inputs = rows(8);
        SparseRows outputs = rows(7)) {
      return BlockPlan.of(inputs, outputs, 8, 7);
    }
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
