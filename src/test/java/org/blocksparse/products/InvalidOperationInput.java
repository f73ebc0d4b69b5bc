// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.blocksparse.Backend;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;
import org.blocksparse.testing.InvalidInput;

/**
 * A table of operations on blocks and their operands, in the order in which they are checked, and
 * the invalid variants of each: each operand is made null, closed, a view of something closed, of
 * another rank, larger and smaller in each dimension; each index is made too small and too large;
 * each output overlaps each input by one element.
 */
abstract class InvalidOperationInput extends InvalidInput {
  static final Map<String, Integer> DIMS =
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
   * @param optional whether it may be null
   */
  record Operand(
      String name,
      String words,
      List<String> dims,
      Kind kind,
      boolean rankFirst,
      boolean optional) {
    long[] shape() {
      return dims.stream().mapToLong(DIMS::get).toArray();
    }
  }

  enum Kind {
    INPUT,
    OUTPUT,
    INDEX,
    /** {@link Weights}, which have no views and share no memory. */
    WEIGHTS
  }

  /**
   * An operation.
   *
   * @param bound the dimensions that are known before the first operand is looked at
   */
  record Operation(String name, List<String> bound, List<Operand> operands, Consumer<World> call) {}

  static Operand in(String name, String words, String dims) {
    return new Operand(name, words, List.of(dims.split(" ")), Kind.INPUT, false, false);
  }

  static Operand ranked(Operand o) {
    return new Operand(o.name, o.words, o.dims, o.kind, true, o.optional);
  }

  static Operand narrow(Operand o) {
    return new Operand(o.name, o.words, o.dims, Kind.WEIGHTS, o.rankFirst, o.optional);
  }

  static Operand out(Operand o) {
    return new Operand(o.name, o.words, o.dims, Kind.OUTPUT, o.rankFirst, o.optional);
  }

  static Operand named(String name, Operand o) {
    return new Operand(name, o.words, o.dims, o.kind, o.rankFirst, o.optional);
  }

  static Operand optional(Operand o) {
    return new Operand(o.name, o.words, o.dims, o.kind, o.rankFirst, true);
  }

  static Operand index(String name, String words, String dims) {
    return new Operand(name, words, List.of(dims.split(" ")), Kind.INDEX, false, false);
  }

  static final Operand W =
      ranked(in("W", "(iBlocks, oBlocks, iSize, oSize)", "iBlocks oBlocks iSize oSize"));
  static final Operand OUTER =
      ranked(in("o", "(xBlocks, yBlocks, xSize, ySize)", "iBlocks oBlocks iSize oSize"));
  static final Operand H = in("h", "(batch, iWin, iSize)", "batch iWin iSize");
  static final Operand B = in("bias", "(oBlocks, oSize)", "oBlocks oSize");
  static final Operand O = in("o", "(batch, oWin, oSize)", "batch oWin oSize");
  static final Operand OUT = out(in("out", "(batch, oWin, oSize)", "batch oWin oSize"));
  static final Operand GRAD_OUT = in("gradOut", "(batch, oWin, oSize)", "batch oWin oSize");
  static final Operand GRAD_H = out(in("gradH", "(batch, iWin, iSize)", "batch iWin iSize"));
  static final Operand GRAD_W =
      out(ranked(in("gradW", "(iBlocks, oBlocks, iSize, oSize)", "iBlocks oBlocks iSize oSize")));
  static final Operand GRAD_B = out(named("gradB", B));
  static final Operand BIAS = in("bias", "(iBlocks, oSize)", "iBlocks oSize");
  static final Operand GATE = in("gate", "(batch, iWin)", "batch iWin");
  static final Operand X = in("x", "(batch, xWin, xSize)", "batch iWin iSize");
  static final Operand Y = in("y", "(batch, yWin, ySize)", "batch oWin oSize");
  static final Operand INPUT_IDX = ranked(index("inputIdx", "(batch, window)", "batch iWin"));
  static final Operand OUTPUT_IDX = ranked(index("outputIdx", "(batch, window)", "batch oWin"));
  static final Operand X_IDX = ranked(index("xIdx", "(batch, window)", "batch iWin"));
  static final Operand Y_IDX = ranked(index("yIdx", "(batch, window)", "batch oWin"));
  static final List<String> PLAN = List.of("batch", "iBlocks", "oBlocks", "iWin", "oWin");

  /** Returns the first check that fails, or null: the rule for all messages about shapes. */
  static String failure(Operation operation, Map<String, long[]> shapes) {
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

  static void addWithPlan(List<Case> cases, List<Operation> operations) {
    for (Operation operation : operations) {
      addAll(cases, operation, true);
      add(
          cases,
          operation.name + ": plan null",
          NULL,
          "plan",
          world(operation, shapes(operation)),
          operation.call);
      World closed = world(operation, shapes(operation));
      closed.with("plan", InvalidOperationInput::plan).fault(w -> w.close("plan"));
      add(
          cases,
          operation.name + ": plan closed",
          STATE,
          "plan: the plan is closed",
          closed,
          operation.call);
    }
  }

  static BlockPlan plan() {
    try (IntTensor inputIdx = indices(8, 2, 4);
        IntTensor outputIdx = indices(7, 2, 3)) {
      return BlockPlan.of(inputIdx, outputIdx, 8, 7);
    }
  }

  static Map<String, long[]> shapes(Operation operation) {
    Map<String, long[]> shapes = new HashMap<>();
    operation.operands.forEach(operand -> shapes.put(operand.name, operand.shape()));
    return shapes;
  }

  static World world(Operation operation, Map<String, long[]> shapes) {
    World world = new World();
    for (Operand operand : operation.operands) {
      long[] shape = shapes.get(operand.name);
      world.with(operand.name, () -> make(operand, shape));
    }
    return world;
  }

  private static AutoCloseable make(Operand operand, long[] shape) {
    return switch (operand.kind) {
      case INDEX -> indices(indexBound(operand), shape);
      case WEIGHTS -> {
        try (FloatTensor floats = FloatTensor.zeros(shape)) {
          yield Weights.of(floats, ElementType.FLOAT16);
        }
      }
      case INPUT, OUTPUT -> floats(shape);
    };
  }

  static int indexBound(Operand operand) {
    return operand.dims.contains("iWin") ? 8 : 7;
  }

  static void addAll(List<Case> cases, Operation operation, boolean plan) {
    for (Operand operand : operation.operands) {
      addNullAndClosed(cases, operation, operand, plan);
      long[] right = operand.shape();
      boolean matrixIsAllowed =
          !plan && operation.name.startsWith("Dot.apply") && operand.name.equals("h");
      boolean ofAnyRank = operand.kind != Kind.WEIGHTS;
      if (ofAnyRank && !matrixIsAllowed) {
        addShape(cases, operation, operand, plan, Arrays.copyOf(right, right.length - 1));
      }
      if (ofAnyRank) {
        long[] longer = Arrays.copyOf(right, right.length + 1);
        longer[right.length] = 1;
        addShape(cases, operation, operand, plan, longer);
      }
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

  static World prepared(Operation operation, boolean plan) {
    World world = world(operation, shapes(operation));
    if (plan) {
      world.with("plan", InvalidOperationInput::plan);
    }
    return world;
  }

  static void addNullAndClosed(
      List<Case> cases, Operation operation, Operand operand, boolean plan) {
    if (!operand.optional) {
      World missing = prepared(operation, plan);
      missing.fault(w -> w.replace(operand.name, null));
      add(
          cases,
          operation.name + ": " + operand.name + " null",
          NULL,
          operand.name,
          missing,
          operation.call);
    }
    Shape shape = Shape.of(operand.shape());
    String message =
        operand.name
            + (operand.kind == Kind.WEIGHTS
                ? ": the weights " + shape + " are closed"
                : ": the tensor " + shape + " is closed");
    World closed = prepared(operation, plan);
    closed.fault(w -> w.close(operand.name));
    add(
        cases,
        operation.name + ": " + operand.name + " closed",
        STATE,
        message,
        closed,
        operation.call);
    if (operand.kind == Kind.INPUT || operand.kind == Kind.OUTPUT) {
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

  static void addShape(
      List<Case> cases, Operation operation, Operand operand, boolean plan, long[] shape) {
    Map<String, long[]> shapes = shapes(operation);
    shapes.put(operand.name, shape);
    String message = failure(operation, shapes);
    // Without a plan, fewer blocks make indices invalid instead of shapes: see addIndices.
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
      world.with("plan", InvalidOperationInput::plan);
    }
    add(
        cases,
        operation.name + ": " + operand.name + " " + Shape.of(shape),
        ARGUMENT,
        message,
        world,
        operation.call);
  }

  static void addIndices(List<Case> cases, Operation operation, Operand operand) {
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

  /** Lets the output begin with the last element of the input. */
  static void addOverlaps(List<Case> cases, Operation operation, Operand output, boolean plan) {
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

  /** Returns three samples that select 3, 0 and 3 of the blocks, including the last one. */
  static SparseRows rows(int blocks) {
    return SparseRows.of(new int[] {0, 3, 3, 6}, new int[] {0, 2, 2, 5, blocks - 1, 1});
  }

  /** Every operation with a ragged plan rejects numbers of rows other than its own. */
  static void addRaggedRows(List<Case> cases, List<Operation> operations) {
    for (Operation operation : operations) {
      for (Operand operand : operation.operands) {
        boolean input = operand.dims.contains("iWin");
        if (!input && !operand.dims.contains("oWin")) {
          continue;
        }
        boolean numbers = operand.dims.size() == 2; // a number for each row: a gate
        String size = operand.words.substring(operand.words.lastIndexOf(','));
        String words = "(entries of " + (input ? "inputs" : "outputs") + (numbers ? ")" : size);
        long last = DIMS.get(input ? "iSize" : "oSize");
        for (long[] wrong :
            numbers
                ? new long[][] {{5}, {7}, {2, 3}}
                : new long[][] {{5, last}, {7, last}, {2, 3, last}}) {
          World world = new World();
          for (Operand other : operation.operands) {
            boolean rows = other.dims.contains("iWin") || other.dims.contains("oWin");
            long[] right = other.shape();
            long[] ofRows = right.length == 3 ? new long[] {6, right[2]} : new long[] {6};
            long[] shape = other.equals(operand) ? wrong : rows ? ofRows : right;
            world.with(other.name, () -> make(other, shape));
          }
          world.with("plan", InvalidOperationInput::raggedPlan);
          boolean rankOnly = operand.rankFirst && wrong.length == 3;
          add(
              cases,
              operation.name + ", ragged: " + operand.name + " " + Shape.of(wrong),
              ARGUMENT,
              operand.name
                  + ": expected "
                  + words
                  + (rankOnly ? "" : " = " + (numbers ? Shape.of(6) : Shape.of(6, last)))
                  + " but was "
                  + Shape.of(wrong),
              world,
              operation.call);
        }
      }
    }
  }

  static BlockPlan raggedPlan() {
    try (SparseRows inputs = rows(8);
        SparseRows outputs = rows(7)) {
      return BlockPlan.of(inputs, outputs, 8, 7);
    }
  }
}
