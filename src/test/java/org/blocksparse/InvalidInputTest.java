// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Everything that the public API refuses: the exception, its whole message, that no operand was
 * written and that no memory was kept.
 *
 * <p>Cases of operations on tensors are generated from a table of their operands, in the order in
 * which they are checked: each is made null, closed, a view of something closed, of another rank,
 * larger and smaller in each dimension; each index is made too small and too large; each output
 * overlaps each input by one element.
 */
final class InvalidInputTest {
  private static int count;

  /** A call that must fail; the tensors it names are in {@code world}. */
  record Case(
      String name,
      Class<? extends Throwable> type,
      String message,
      World world,
      Consumer<World> call) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** The tensors of a case, made when it runs. */
  static final class World {
    private final List<Consumer<World>> makers = new ArrayList<>();
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final List<Runnable> faults = new ArrayList<>();
    private BlockPlan plan;

    void make() {
      makers.forEach(maker -> maker.accept(this));
      faults.forEach(Runnable::run);
    }

    void close() {
      tensors
          .values()
          .forEach(
              tensor -> {
                if (tensor != null) {
                  tensor.close();
                }
              });
      if (plan != null) {
        plan.close();
      }
    }

    FloatTensor f(String name) {
      return (FloatTensor) tensors.get(name);
    }

    IntTensor i(String name) {
      return (IntTensor) tensors.get(name);
    }

    BlockPlan plan() {
      return plan;
    }
  }

  // ------------------------------------------------------------------ operations on tensors

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
              w -> SparseBlockGemv.applyInPlace(w.f("o"), w.f("W"), w.f("h"), w.plan())),
          new Operation(
              "Outer.apply(plan)",
              PLAN,
              List.of(OUTER, X, Y),
              w -> SparseBlockOuter.apply(w.f("o"), w.f("x"), w.f("y"), w.plan(), 1)),
          new Operation(
              "Outer.applyInPlace(plan)",
              PLAN,
              List.of(out(OUTER), X, Y),
              w -> SparseBlockOuter.applyInPlace(w.f("o"), w.f("x"), w.f("y"), w.plan(), 1)),
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
                      w.f("o"), w.f("W"), w.f("h"), w.i("inputIdx"), w.i("outputIdx"))),
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
                      w.f("o"), w.f("x"), w.f("y"), w.i("xIdx"), w.i("yIdx"), 1)),
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
      cases.add(
          new Case(
              operation.name + ": plan null",
              NullPointerException.class,
              "plan",
              world(operation, shapes(operation)),
              operation.call));
      World closed = world(operation, shapes(operation));
      closed.makers.add(InvalidInputTest::makePlan);
      closed.faults.add(() -> closed.plan.close());
      cases.add(
          new Case(
              operation.name + ": plan closed",
              IllegalStateException.class,
              "plan: the plan is closed",
              closed,
              operation.call));
    }
  }

  private static void makePlan(World world) {
    try (IntTensor inputIdx = indices(8, 2, 4);
        IntTensor outputIdx = indices(7, 2, 3)) {
      world.plan = BlockPlan.of(inputIdx, outputIdx, 8, 7);
    }
  }

  private static IntTensor indices(int bound, long... shape) {
    int[] values = new int[(int) Shape.of(shape).size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % bound;
    }
    return IntTensor.of(values, shape);
  }

  /** What tensors of the running case lie in; it outlives their closing. */
  private static final List<ByteBuffer> MEMORY = new ArrayList<>();

  private static FloatTensor floats(long... shape) {
    int size = (int) Shape.of(shape).size();
    if (!Backend.isNative()) {
      return FloatTensor.zeros(shape);
    }
    ByteBuffer bytes = ByteBuffer.allocateDirect(4 * size).order(ByteOrder.nativeOrder());
    for (int i = 0; i < size; i++) {
      bytes.putFloat(4 * i, i + 1);
    }
    MEMORY.add(bytes);
    return FloatTensor.wrap(bytes, shape);
  }

  private static List<byte[]> content() {
    return MEMORY.stream()
        .map(
            buffer -> {
              byte[] bytes = new byte[buffer.capacity()];
              buffer.get(0, bytes);
              return bytes;
            })
        .toList();
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
      world.makers.add(
          w ->
              w.tensors.put(
                  operand.name,
                  operand.kind == Kind.INDEX
                      ? indices(indexBound(operand), shape)
                      : floats(shape)));
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
      world.makers.add(InvalidInputTest::makePlan);
    }
    return world;
  }

  private static void addNullAndClosed(
      List<Case> cases, Operation operation, Operand operand, boolean plan) {
    World missing = prepared(operation, plan);
    missing.faults.add(
        () -> {
          missing.tensors.get(operand.name).close();
          missing.tensors.put(operand.name, null);
        });
    cases.add(
        new Case(
            operation.name + ": " + operand.name + " null",
            NullPointerException.class,
            operand.name,
            missing,
            operation.call));
    String message = operand.name + ": the tensor " + Shape.of(operand.shape()) + " is closed";
    World closed = prepared(operation, plan);
    closed.faults.add(() -> closed.tensors.get(operand.name).close());
    cases.add(
        new Case(
            operation.name + ": " + operand.name + " closed",
            IllegalStateException.class,
            message,
            closed,
            operation.call));
    if (operand.kind != Kind.INDEX) {
      World view = prepared(operation, plan);
      view.faults.add(
          () -> {
            FloatTensor owner = view.f(operand.name);
            view.tensors.put(operand.name, owner.reshape(operand.shape()));
            owner.close();
          });
      cases.add(
          new Case(
              operation.name + ": " + operand.name + " a view of a closed tensor",
              IllegalStateException.class,
              message,
              view,
              operation.call));
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
      world.makers.add(InvalidInputTest::makePlan);
    }
    cases.add(
        new Case(
            operation.name + ": " + operand.name + " " + Shape.of(shape),
            IllegalArgumentException.class,
            message,
            world,
            operation.call));
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
          world.faults.add(() -> world.i(operand.name).set(index, r, c));
          cases.add(
              new Case(
                  operation.name + ": " + operand.name + "[" + r + ", " + c + "] = " + index,
                  IndexOutOfBoundsException.class,
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
                  operation.call));
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
      world.makers.add(
          w -> {
            long inputSize = Shape.of(input.shape()).size();
            long outputSize = Shape.of(output.shape()).size();
            FloatBuffer buffer =
                ByteBuffer.allocateDirect((int) (4 * (inputSize + outputSize - 1)))
                    .order(ByteOrder.nativeOrder())
                    .asFloatBuffer();
            w.tensors
                .put(input.name, FloatTensor.wrap(buffer.slice(0, (int) inputSize), input.shape()))
                .close();
            w.tensors
                .put(
                    output.name,
                    FloatTensor.wrap(
                        buffer.slice((int) inputSize - 1, (int) outputSize), output.shape()))
                .close();
          });
      cases.add(
          new Case(
              operation.name + ": " + output.name + " overlaps " + input.name,
              IllegalArgumentException.class,
              output.name
                  + ": shares memory with "
                  + input.name
                  + "; an output must not overlap an input",
              world,
              operation.call));
    }
  }

  // -------------------------------------------------------------------------- other methods

  private static void add(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      Consumer<World> call) {
    World world = new World();
    world.makers.add(w -> w.tensors.put("t", floats(2, 3)));
    world.makers.add(w -> w.tensors.put("blocks", floats(2, 3, 4, 5)));
    world.makers.add(w -> w.tensors.put("ints", indices(7, 2, 3)));
    world.makers.add(w -> w.tensors.put("view", w.f("blocks").transposeBlocks()));
    world.makers.add(w -> w.tensors.put("closed", floats(2, 3)));
    world.makers.add(w -> w.tensors.put("closedBlocks", floats(2, 3, 4, 5)));
    world.makers.add(w -> w.tensors.put("closedInts", indices(7, 2, 3)));
    world.faults.add(
        () -> {
          world.tensors.get("closed").close();
          world.tensors.get("closedBlocks").close();
          world.tensors.get("closedInts").close();
        });
    cases.add(new Case(name, type, message, world, call));
  }

  private static final Class<IllegalArgumentException> ARGUMENT = IllegalArgumentException.class;
  private static final Class<IndexOutOfBoundsException> BOUNDS = IndexOutOfBoundsException.class;
  private static final Class<NullPointerException> NULL = NullPointerException.class;
  private static final Class<IllegalStateException> STATE = IllegalStateException.class;

  private static void addShapes(List<Case> cases) {
    add(cases, "Shape.of(null)", NULL, "dims", w -> Shape.of((long[]) null));
    for (int axis = 0; axis < 3; axis++) {
      long[] dims = {2, 3, 4};
      dims[axis] = -1;
      String message =
          "shape: dimension "
              + axis
              + " of "
              + Arrays.toString(dims).replace('[', '(').replace(']', ')')
              + " is negative";
      add(cases, "Shape.of " + axis, ARGUMENT, message, w -> Shape.of(dims));
      add(cases, "FloatTensor.zeros " + axis, ARGUMENT, message, w -> FloatTensor.zeros(dims));
      add(cases, "IntTensor.zeros " + axis, ARGUMENT, message, w -> IntTensor.zeros(dims));
      add(cases, "reshape " + axis, ARGUMENT, message, w -> w.f("t").reshape(dims));
    }
    long[][] tooLarge = {
      {1L << 61},
      {1L << 31, 1L << 31},
      {Long.MAX_VALUE, 2},
      {3, Long.MAX_VALUE / 2, 1},
      {1L << 32, 1L << 32, 1L << 32}
    };
    for (long[] dims : tooLarge) {
      String shape = Arrays.toString(dims).replace('[', '(').replace(']', ')');
      String message = "shape: " + shape + " has too many elements";
      add(cases, "Shape.of" + shape, ARGUMENT, message, w -> Shape.of(dims));
      add(cases, "FloatTensor.zeros" + shape, ARGUMENT, message, w -> FloatTensor.zeros(dims));
      add(cases, "IntTensor.zeros" + shape, ARGUMENT, message, w -> IntTensor.zeros(dims));
    }
    for (int axis : new int[] {-1, 2}) {
      add(
          cases,
          "Shape.dim " + axis,
          BOUNDS,
          "Index " + axis + " out of bounds for length 2",
          w -> Shape.of(2, 3).dim(axis));
    }
  }

  private static void addTensors(List<Case> cases) {
    add(cases, "zeros(null)", NULL, "dims", w -> FloatTensor.zeros((long[]) null));
    add(cases, "zeros((Shape) null)", NULL, "shape", w -> FloatTensor.zeros((Shape) null));
    add(cases, "of(null)", NULL, "values", w -> FloatTensor.of(null, 2));
    add(cases, "IntTensor.of(null)", NULL, "values", w -> IntTensor.of(null, 2));
    String length = "values: expected 6 elements but was 5";
    add(cases, "of length", ARGUMENT, length, w -> FloatTensor.of(new float[5], 2, 3));
    add(cases, "IntTensor.of length", ARGUMENT, length, w -> IntTensor.of(new int[5], 2, 3));
    add(cases, "copyFrom length", ARGUMENT, length, w -> w.f("t").copyFrom(new float[5]));
    add(cases, "ints copyFrom length", ARGUMENT, length, w -> w.i("ints").copyFrom(new int[5]));
    add(cases, "copyFrom null", NULL, "values", w -> w.f("t").copyFrom(null));
    add(cases, "ints copyFrom null", NULL, "values", w -> w.i("ints").copyFrom(null));
    add(cases, "put null", NULL, "values", w -> w.f("t").put(0, null, 0, 1));
    add(cases, "get null", NULL, "values", w -> w.f("t").get(0, null, 0, 1));
    add(cases, "get index null", NULL, "index", w -> w.f("t").get((long[]) null));
    add(cases, "ints get index null", NULL, "index", w -> w.i("ints").get((long[]) null));
    long[][] wrongRank = {{}, {1}, {1, 1, 1}};
    for (long[] index : wrongRank) {
      String message = "index: expected 2 indices for shape (2, 3) but got " + index.length;
      add(cases, "get rank " + index.length, ARGUMENT, message, w -> w.f("t").get(index));
      add(cases, "set rank " + index.length, ARGUMENT, message, w -> w.f("t").set(9, index));
      add(cases, "ints get rank " + index.length, ARGUMENT, message, w -> w.i("ints").get(index));
      add(
          cases,
          "ints set rank " + index.length,
          ARGUMENT,
          message,
          w -> w.i("ints").set(9, index));
    }
    long[] dims = {2, 3};
    for (int axis = 0; axis < 2; axis++) {
      for (long value : new long[] {-1, dims[axis], Long.MAX_VALUE, Long.MIN_VALUE}) {
        long[] index = {0, 0};
        index[axis] = value;
        String message = "index[" + axis + "] = " + value + " is outside [0, " + dims[axis] + ")";
        String name = " " + axis + " " + value;
        add(cases, "get" + name, BOUNDS, message, w -> w.f("t").get(index));
        add(cases, "set" + name, BOUNDS, message, w -> w.f("t").set(9, index));
        add(cases, "ints get" + name, BOUNDS, message, w -> w.i("ints").get(index));
        add(cases, "ints set" + name, BOUNDS, message, w -> w.i("ints").set(9, index));
      }
    }
    Object[][] ranges = {
      {-1L, 0, 1, "Range [-1, -1 + 1) out of bounds for length 6"},
      {6L, 0, 1, "Range [6, 6 + 1) out of bounds for length 6"},
      {5L, 0, 2, "Range [5, 5 + 2) out of bounds for length 6"},
      {
        Long.MAX_VALUE,
        0,
        1,
        "Range [" + Long.MAX_VALUE + ", " + Long.MAX_VALUE + " + 1) out of bounds for length 6"
      },
      {0L, -1, 1, "Range [-1, -1 + 1) out of bounds for length 4"},
      {0L, 4, 1, "Range [4, 4 + 1) out of bounds for length 4"},
      {0L, 0, -1, "Range [0, 0 + -1) out of bounds for length 4"},
      {0L, 1, Integer.MAX_VALUE, "Range [1, 1 + 2147483647) out of bounds for length 4"}
    };
    for (Object[] range : ranges) {
      long offset = (long) range[0];
      int start = (int) range[1];
      int size = (int) range[2];
      String message = (String) range[3];
      String name = " " + offset + ", " + start + ", " + size;
      add(
          cases,
          "put" + name,
          BOUNDS,
          message,
          w -> w.f("t").put(offset, new float[4], start, size));
      add(
          cases,
          "get" + name,
          BOUNDS,
          message,
          w -> w.f("t").get(offset, new float[4], start, size));
    }
    Map<String, Consumer<FloatTensor>> contiguousOnly =
        Map.of(
            "copyFrom", t -> t.copyFrom(new float[120]),
            "put", t -> t.put(0, new float[1], 0, 1),
            "get", t -> t.get(0, new float[1], 0, 1),
            "fill", t -> t.fill(1),
            "asByteBuffer", FloatTensor::asByteBuffer,
            "reshape", t -> t.reshape(120));
    contiguousOnly.forEach(
        (method, call) ->
            add(
                cases,
                method + " of a transposed view",
                ARGUMENT,
                method + ": expected a contiguous tensor but (3, 2, 5, 4) is a transposed view",
                w -> call.accept(w.f("view"))));
    Map<String, Consumer<FloatTensor>> ofMatrix =
        Map.of(
            "copyFrom", t -> t.copyFrom(new float[6]),
            "put", t -> t.put(0, new float[1], 0, 1),
            "get range", t -> t.get(0, new float[1], 0, 1),
            "get", t -> t.get(0, 0),
            "set", t -> t.set(1, 0, 0),
            "fill", t -> t.fill(1),
            "asByteBuffer", FloatTensor::asByteBuffer,
            "asFloatBuffer", FloatTensor::asFloatBuffer,
            "toArray", FloatTensor::toArray,
            "reshape", t -> t.reshape(6));
    ofMatrix.forEach(
        (method, call) ->
            add(
                cases,
                method + " of a closed tensor",
                STATE,
                "tensor: the tensor (2, 3) is closed",
                w -> call.accept(w.f("closed"))));
    Map<String, Consumer<IntTensor>> ofInts =
        Map.of(
            "copyFrom", t -> t.copyFrom(new int[6]),
            "get", t -> t.get(0, 0),
            "set", t -> t.set(1, 0, 0),
            "toArray", IntTensor::toArray);
    ofInts.forEach(
        (method, call) ->
            add(
                cases,
                "ints " + method + " of a closed tensor",
                STATE,
                "tensor: the tensor (2, 3) is closed",
                w -> call.accept(w.i("closedInts"))));
    add(
        cases,
        "transposeBlocks of a closed tensor",
        STATE,
        "tensor: the tensor (2, 3, 4, 5) is closed",
        w -> w.f("closedBlocks").transposeBlocks());
    add(
        cases,
        "transposeBlocks rank",
        ARGUMENT,
        "transposeBlocks: expected (iBlocks, oBlocks, iSize, oSize) but was (2, 3)",
        w -> w.f("t").transposeBlocks());
    add(
        cases,
        "reshape size",
        ARGUMENT,
        "reshape: expected 6 elements but was 8",
        w -> w.f("t").reshape(2, 4));
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
        "batch * iWin * oWin: 3200000000 rows are more than the 2^31 - 1 that one call can take;"
            + " split the batch",
        w -> {
          try (IntTensor wide = IntTensor.zeros(2, 40_000)) {
            BlockPlan.of(wide, wide, 1, 1);
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

  /** Not an alpha: throws while the arguments are made. */
  private static float beyondBlas(World w) {
    try (FloatTensor huge = FloatTensor.zeros(1L << 31, 0, 6, 5)) {
      SparseBlockGemv.apply(w.f("t"), huge, w.f("t"), w.i("ints"), w.i("ints"));
    }
    return 1;
  }

  private static void addWraps(List<Case> cases) {
    String expected = "buffer: expected a direct, writable buffer in native byte order but was";
    ByteOrder foreign =
        ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN
            ? ByteOrder.BIG_ENDIAN
            : ByteOrder.LITTLE_ENDIAN;
    ByteBuffer direct = ByteBuffer.allocateDirect(28).order(ByteOrder.nativeOrder());
    add(cases, "wrap(null)", NULL, "buffer", w -> FloatTensor.wrap((FloatBuffer) null, 1));
    add(cases, "wrap bytes null", NULL, "buffer", w -> FloatTensor.wrap((ByteBuffer) null, 1));
    add(cases, "wrap pointer null", NULL, "pointer", w -> FloatTensor.wrap((FloatPointer) null, 1));
    add(
        cases,
        "wrap heap",
        ARGUMENT,
        expected + " on the heap",
        w -> FloatTensor.wrap(FloatBuffer.allocate(6), 2, 3));
    add(
        cases,
        "wrap read-only",
        ARGUMENT,
        expected + " read-only",
        w -> FloatTensor.wrap(direct.asFloatBuffer().asReadOnlyBuffer(), 7));
    add(
        cases,
        "wrap bytes read-only",
        ARGUMENT,
        expected + " read-only",
        w -> FloatTensor.wrap(direct.asReadOnlyBuffer().order(ByteOrder.nativeOrder()), 7));
    add(
        cases,
        "wrap foreign order",
        ARGUMENT,
        expected + " in " + foreign,
        w -> FloatTensor.wrap(direct.duplicate().order(foreign).asFloatBuffer(), 7));
    add(
        cases,
        "wrap bytes foreign order",
        ARGUMENT,
        expected + " in " + foreign,
        w -> FloatTensor.wrap(direct.duplicate().order(foreign), 7));
    add(
        cases,
        "wrap length",
        ARGUMENT,
        "buffer: expected 6 elements but was 7",
        w -> FloatTensor.wrap(direct.asFloatBuffer(), 2, 3));
    add(
        cases,
        "wrap bytes length",
        ARGUMENT,
        "buffer (bytes): expected 24 elements but was 28",
        w -> FloatTensor.wrap(direct.duplicate().order(ByteOrder.nativeOrder()), 2, 3));
    add(
        cases,
        "wrap misaligned",
        ARGUMENT,
        "buffer: expected an address that is a multiple of 4",
        w -> FloatTensor.wrap(direct.slice(2, 24).order(ByteOrder.nativeOrder()), 2, 3));
    if (Backend.isNative()) {
      add(
          cases,
          "wrap null pointer",
          ARGUMENT,
          "pointer: expected memory but was a null pointer",
          w -> FloatTensor.wrap(new FloatPointer((FloatPointer) null), 1));
      add(
          cases,
          "wrap pointer length",
          ARGUMENT,
          "pointer: expected 6 elements but was 7",
          w -> {
            try (FloatPointer pointer = new FloatPointer(7)) {
              FloatTensor.wrap(pointer, 2, 3);
            }
          });
    }
  }

  private static void addAddresses(List<Case> cases) {
    Object owner = new Object();
    for (long bad : new long[] {0, 1, 2, 7, -2}) {
      add(
          cases,
          "wrapAddress " + bad,
          ARGUMENT,
          "address: expected a multiple of 4 that is not 0 but was " + bad,
          w -> FloatTensor.wrapAddress(bad, 4, owner, 1));
    }
    add(cases, "wrapAddress owner", NULL, "owner", w -> FloatTensor.wrapAddress(64, 4, null, 1));
    add(
        cases,
        "wrapAddress dims",
        NULL,
        "dims",
        w -> FloatTensor.wrapAddress(64, 4, owner, (long[]) null));
    add(
        cases,
        "wrapAddress size",
        ARGUMENT,
        "shape: (4611686018427387904, 4) has too many elements",
        w -> FloatTensor.wrapAddress(64, 4, owner, 1L << 62, 4));
  }

  private static void addNumbers(List<Case> cases) {
    float[] notFinite = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
    for (float alpha : notFinite) {
      String message = "alpha: expected a finite number but was " + alpha;
      for (boolean inPlace : new boolean[] {false, true}) {
        Operation outer = WITH_PLAN.get(2);
        World world = prepared(outer, true);
        cases.add(
            new Case(
                "Outer alpha " + alpha + (inPlace ? " in place" : ""),
                ARGUMENT,
                message,
                world,
                w -> {
                  if (inPlace) {
                    SparseBlockOuter.applyInPlace(w.f("o"), w.f("x"), w.f("y"), w.plan(), alpha);
                  } else {
                    SparseBlockOuter.apply(w.f("o"), w.f("x"), w.f("y"), w.plan(), alpha);
                  }
                }));
      }
      Operation addGradB = WITH_PLAN.get(WITH_PLAN.size() - 1);
      cases.add(
          new Case(
              "addGradB alpha " + alpha,
              ARGUMENT,
              message,
              prepared(addGradB, true),
              w -> SparseBlockDot.addGradB(w.f("gradOut"), w.plan(), alpha, w.f("b"))));
    }
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
          w -> Loss.mean().smoothing(value));
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
    for (int batch : new int[] {0, -1}) {
      add(
          cases,
          "fastestClasses " + batch,
          ARGUMENT,
          "batch: expected at least 1 but was " + batch,
          w -> builder().fastestClasses(batch));
    }
    add(cases, "loss weights null", NULL, "weights", w -> Loss.mean().weights(null));
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

  private static void addClasses(List<Case> cases) {
    for (int nClasses : new int[] {0, -1, 6}) {
      String message = "nClasses: expected a number in [1, outputs = 5] but was " + nClasses;
      String name = "nClasses " + nClasses;
      add(
          cases,
          "contiguous " + name,
          ARGUMENT,
          message,
          w -> ClassAssignment.contiguous(5, nClasses));
      add(
          cases,
          "byFrequency " + name,
          ARGUMENT,
          message,
          w -> ClassAssignment.byFrequency(new long[5], nClasses));
      add(
          cases,
          "bySquareRoot " + name,
          ARGUMENT,
          message,
          w -> ClassAssignment.bySquareRootOfFrequency(new long[5], nClasses));
      add(
          cases,
          "builder " + name,
          ARGUMENT,
          message,
          w -> HierarchicalSoftmax.builder(3, 5).classes(nClasses));
    }
    String noOutputs = "outputs: expected at least 1 but was ";
    add(cases, "contiguous none", ARGUMENT, noOutputs + 0, w -> ClassAssignment.contiguous(0, 1));
    add(cases, "contiguous -3", ARGUMENT, noOutputs + -3, w -> ClassAssignment.contiguous(-3, 1));
    add(cases, "of none", ARGUMENT, noOutputs + 0, w -> ClassAssignment.of());
    add(
        cases,
        "byFrequency none",
        ARGUMENT,
        noOutputs + 0,
        w -> ClassAssignment.byFrequency(new long[0], 1));
    add(cases, "of null", NULL, "classOf", w -> ClassAssignment.of((int[]) null));
    add(cases, "byFrequency null", NULL, "counts", w -> ClassAssignment.byFrequency(null, 1));
    add(
        cases,
        "bySquareRoot null",
        NULL,
        "counts",
        w -> ClassAssignment.bySquareRootOfFrequency(null, 1));
    for (int bad : new int[] {-1, 3, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
      add(
          cases,
          "of class " + bad,
          ARGUMENT,
          "classOf[1] = " + bad + " is outside [0, outputs = 3)",
          w -> ClassAssignment.of(0, bad, 1));
    }
    add(
        cases,
        "of a class without outputs",
        ARGUMENT,
        "classes: class 1 has no outputs",
        w -> ClassAssignment.of(0, 2, 2));
    add(
        cases,
        "negative count",
        ARGUMENT,
        "counts[2] = -5 is negative",
        w -> ClassAssignment.byFrequency(new long[] {1, 2, -5}, 1));
    add(
        cases,
        "negative count for square roots",
        ARGUMENT,
        "counts[0] = -1 is negative",
        w -> ClassAssignment.bySquareRootOfFrequency(new long[] {-1, 2}, 1));
    add(cases, "clustered null", NULL, "vectors", w -> ClassAssignment.clustered(null, 1, 0));
    add(
        cases,
        "clustered rank",
        ARGUMENT,
        "vectors: expected (outputs, dimensions) but was (2, 3, 4, 5)",
        w -> ClassAssignment.clustered(w.f("blocks"), 1, 0));
    add(
        cases,
        "clustered closed",
        STATE,
        "vectors: the tensor (2, 3) is closed",
        w -> ClassAssignment.clustered(w.f("closed"), 1, 0));
    for (int nClasses : new int[] {0, -1, 3}) {
      add(
          cases,
          "clustered nClasses " + nClasses,
          ARGUMENT,
          "nClasses: expected a number in [1, outputs = 2] but was " + nClasses,
          w -> ClassAssignment.clustered(w.f("t"), nClasses, 0));
    }
    ClassAssignment three = ClassAssignment.of(0, 0, 1);
    for (int bad : new int[] {-1, 3}) {
      String message = "Index " + bad + " out of bounds for length 3";
      add(cases, "classOf " + bad, BOUNDS, message, w -> three.classOf(bad));
      add(cases, "slotOf " + bad, BOUNDS, message, w -> three.slotOf(bad));
    }
    for (int bad : new int[] {-1, 2}) {
      String message = "Index " + bad + " out of bounds for length 2";
      add(cases, "size " + bad, BOUNDS, message, w -> three.size(bad));
      add(cases, "output of class " + bad, BOUNDS, message, w -> three.output(bad, 0));
    }
    add(
        cases,
        "output in an empty slot",
        BOUNDS,
        "Index 1 out of bounds for length 1",
        w -> three.output(1, 1));
  }

  // ------------------------------------------------------------------------------- the layer

  /** 9 outputs in 4 classes of up to 3 slots. */
  private static HierarchicalSoftmaxBuilder builder() {
    return HierarchicalSoftmax.builder(6, 9).classes(ClassAssignment.of(0, 0, 0, 1, 1, 2, 2, 2, 3));
  }

  private static World layerWorld() {
    World world = new World();
    world.makers.add(w -> w.tensors.put("W1", floats(6, 4)));
    world.makers.add(w -> w.tensors.put("b1", floats(4)));
    world.makers.add(w -> w.tensors.put("W2", floats(4, 6, 3)));
    world.makers.add(w -> w.tensors.put("b2", floats(4, 3)));
    world.makers.add(w -> w.tensors.put("x", floats(2, 6)));
    world.makers.add(w -> w.tensors.put("gradX", floats(2, 6)));
    world.makers.add(w -> w.tensors.put("out", floats(2, 9)));
    world.makers.add(w -> w.tensors.put("weights", floats(2)));
    world.makers.add(w -> w.tensors.put("targets", indices(9, 2)));
    return world;
  }

  private static HierarchicalSoftmax layer(World w) {
    return builder().build(w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"));
  }

  private interface LayerCall {
    void run(HierarchicalSoftmax layer, World world);
  }

  private static void addLayerCase(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      Consumer<World> fault,
      LayerCall call) {
    World world = layerWorld();
    world.faults.add(() -> fault.accept(world));
    cases.add(
        new Case(
            "layer " + name,
            type,
            message,
            world,
            w -> {
              try (HierarchicalSoftmax layer = layer(w)) {
                call.run(layer, w);
              }
            }));
  }

  /** A tensor that a method writes: null, of wrong shapes, closed. */
  private static void addOutputCases(
      List<Case> cases, String name, String words, Shape right, long[][] wrong, LayerCall call) {
    addLayerCase(cases, name + " null", NULL, name, w -> replace(w, name, null), call);
    for (long[] dims : wrong) {
      addLayerCase(
          cases,
          name + " " + Shape.of(dims),
          ARGUMENT,
          name + ": expected " + words + " = " + right + " but was " + Shape.of(dims),
          w -> replace(w, name, floats(dims)),
          call);
    }
    addLayerCase(
        cases,
        name + " closed",
        STATE,
        name + ": the tensor " + right + " is closed",
        w -> w.f(name).close(),
        call);
  }

  private static void replace(World w, String name, Tensor tensor) {
    w.tensors.put(name, tensor).close();
  }

  private static void addLayers(List<Case> cases) {
    for (int bad : new int[] {0, -1}) {
      String message = ": expected at least 1 but was " + bad;
      add(
          cases,
          "features " + bad,
          ARGUMENT,
          "features" + message,
          w -> HierarchicalSoftmax.builder(bad, 1));
      add(
          cases,
          "outputs " + bad,
          ARGUMENT,
          "outputs" + message,
          w -> HierarchicalSoftmax.builder(1, bad));
    }
    add(cases, "classes null", NULL, "classes", w -> builder().classes((ClassAssignment) null));
    add(cases, "workers null", NULL, "workers", w -> builder().workers(null));
    add(
        cases,
        "classes of others",
        ARGUMENT,
        "classes: expected an assignment of 9 outputs but was one of 8",
        w -> builder().classes(ClassAssignment.contiguous(8, 2)));

    Map<String, String> parameters =
        Map.of(
            "W1", "(features, classes)",
            "b1", "(classes)",
            "W2", "(classes, features, slots)",
            "b2", "(classes, slots)");
    Map<String, long[]> shapes =
        Map.of(
            "W1",
            new long[] {6, 4},
            "b1",
            new long[] {4},
            "W2",
            new long[] {4, 6, 3},
            "b2",
            new long[] {4, 3});
    parameters.forEach(
        (name, words) -> {
          addLayerCase(
              cases, name + " null", NULL, name, w -> replace(w, name, null), (layer, w) -> {});
          long[] right = shapes.get(name);
          List<long[]> wrong = new ArrayList<>();
          wrong.add(Arrays.copyOf(right, right.length - 1));
          wrong.add(Arrays.copyOf(right, right.length + 1));
          for (int axis = 0; axis < right.length; axis++) {
            for (int change : new int[] {-1, 1}) {
              long[] dims = right.clone();
              dims[axis] += change;
              wrong.add(dims);
            }
          }
          for (long[] dims : wrong) {
            String message =
                name
                    + ": expected "
                    + words
                    + " = "
                    + Shape.of(right)
                    + " but was "
                    + Shape.of(dims);
            addLayerCase(
                cases,
                name + " " + Shape.of(dims),
                ARGUMENT,
                message,
                w -> replace(w, name, floats(dims)),
                (layer, w) -> {});
            World world = layerWorld();
            world.faults.add(() -> replace(world, name, floats(dims)));
            cases.add(
                new Case(
                    "hSoftmax " + name + " " + Shape.of(dims),
                    ARGUMENT,
                    message,
                    world,
                    w -> hSoftmax(w, null)));
          }
          World closed = layerWorld();
          closed.faults.add(() -> closed.tensors.get(name).close());
          cases.add(
              new Case(
                  "hSoftmax " + name + " closed",
                  STATE,
                  name + ": the tensor " + Shape.of(right) + " is closed",
                  closed,
                  w -> hSoftmax(w, null)));
        });

    Map<String, LayerCall> withX = new LinkedHashMap<>();
    withX.put("probabilities", (layer, w) -> layer.probabilities(w.f("x")));
    withX.put("logProbabilities", (layer, w) -> layer.logProbabilities(w.f("x")));
    withX.put("probabilities into", (layer, w) -> layer.probabilities(w.f("x"), w.f("out")));
    withX.put("logProbabilities into", (layer, w) -> layer.logProbabilities(w.f("x"), w.f("out")));
    withX.put("topK", (layer, w) -> layer.topK(w.f("x"), 2));
    withX.put("topP", (layer, w) -> layer.topP(w.f("x"), 0.5));
    withX.put("atLeast", (layer, w) -> layer.atLeast(w.f("x"), 0.5));
    withX.put("sample", (layer, w) -> layer.sample(w.f("x"), new SplittableRandom(1)));
    withX.put(
        "logProbabilitiesOf",
        (layer, w) -> {
          try (IntTensor candidates = indices(9, 2, 3)) {
            layer.logProbabilitiesOf(w.f("x"), candidates);
          }
        });
    Map<String, LayerCall> withTargets = new LinkedHashMap<>();
    withTargets.put(
        "probabilities of targets", (layer, w) -> layer.probabilities(w.f("x"), w.i("targets")));
    withTargets.put(
        "logProbabilities of targets",
        (layer, w) -> layer.logProbabilities(w.f("x"), w.i("targets")));
    withTargets.put("loss", (layer, w) -> layer.loss(w.f("x"), w.i("targets")));
    withTargets.put("losses", (layer, w) -> layer.losses(w.f("x"), w.i("targets"), Loss.sum()));
    withTargets.put("gradients", (layer, w) -> layer.gradients(w.f("x"), w.i("targets")));
    withTargets.put("step", (layer, w) -> layer.step(w.f("x"), w.i("targets"), Optimizer.sgd(1)));
    withTargets.put(
        "step with gradX",
        (layer, w) -> layer.step(w.f("x"), w.i("targets"), Optimizer.sgd(1), w.f("gradX")));
    withTargets.put(
        "step with Adam",
        (layer, w) -> layer.step(w.f("x"), w.i("targets"), Optimizer.adam(1), w.f("gradX")));
    Map<String, LayerCall> all = new LinkedHashMap<>(withX);
    all.putAll(withTargets);
    all.forEach(
        (name, call) -> {
          addLayerCase(cases, name + ": x null", NULL, "x", w -> replace(w, "x", null), call);
          for (long[] dims : new long[][] {{12}, {2, 6, 1}}) {
            addLayerCase(
                cases,
                name + ": x " + Shape.of(dims),
                ARGUMENT,
                "x: expected (batch, features) but was " + Shape.of(dims),
                w -> replace(w, "x", floats(dims)),
                call);
          }
          for (long features : new long[] {5, 7, 0}) {
            addLayerCase(
                cases,
                name + ": features " + features,
                ARGUMENT,
                "x: expected (batch, features) = (2, 6) but was (2, " + features + ")",
                w -> replace(w, "x", floats(2, features)),
                call);
          }
          addLayerCase(
              cases,
              name + ": x closed",
              STATE,
              "x: the tensor (2, 6) is closed",
              w -> w.f("x").close(),
              call);
          addLayerCase(
              cases,
              name + ": layer closed",
              STATE,
              "layer: the tensor (6, 4) is closed",
              w -> {},
              (layer, w) -> {
                layer.close();
                call.run(layer, w);
              });
        });
    withTargets.forEach(
        (name, call) -> {
          addLayerCase(
              cases,
              name + ": targets null",
              NULL,
              "targets",
              w -> replace(w, "targets", null),
              call);
          for (long[] dims : new long[][] {{1}, {3}, {2, 1}, {}}) {
            addLayerCase(
                cases,
                name + ": targets " + Shape.of(dims),
                ARGUMENT,
                "targets: expected (batch) = (2) but was " + Shape.of(dims),
                w -> replace(w, "targets", indices(9, dims)),
                call);
          }
          addLayerCase(
              cases,
              name + ": targets closed",
              STATE,
              "targets: the tensor (2) is closed",
              w -> w.i("targets").close(),
              call);
          for (int row = 0; row < 2; row++) {
            for (int target : new int[] {-1, 9, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
              int r = row;
              addLayerCase(
                  cases,
                  name + ": targets[" + r + "] = " + target,
                  BOUNDS,
                  "targets[" + r + "] = " + target + " is outside [0, outputs = 9)",
                  w -> w.i("targets").set(target, r),
                  call);
            }
          }
        });

    // What only some methods have.
    LayerCall step =
        (layer, w) -> layer.step(w.f("x"), w.i("targets"), Optimizer.sgd(1), w.f("gradX"));
    addOutputCases(
        cases,
        "gradX",
        "(batch, features)",
        Shape.of(2, 6),
        new long[][] {{1, 6}, {2, 5}, {12}, {2, 6, 1}},
        step);
    String shares = "; an output must not overlap an input";
    addLayerCase(
        cases,
        "gradX is x",
        ARGUMENT,
        "gradX: shares memory with x" + shares,
        w -> {},
        (layer, w) -> layer.step(w.f("x"), w.i("targets"), Optimizer.sgd(1), w.f("x")));
    addLayerCase(
        cases,
        "gradX is b2",
        ARGUMENT,
        "gradX: shares memory with b2" + shares,
        w -> {},
        (layer, w) ->
            layer.step(w.f("x"), w.i("targets"), Optimizer.sgd(1), w.f("b2").reshape(2, 6)));
    LayerCall into = (layer, w) -> layer.probabilities(w.f("x"), w.f("out"));
    addOutputCases(
        cases,
        "out",
        "(batch, outputs)",
        Shape.of(2, 9),
        new long[][] {{1, 9}, {2, 8}, {2, 12}, {18}, {2, 9, 1}},
        into);
    for (String name : Backend.isNative() ? List.of("W1", "W2") : List.<String>of()) {
      addLayerCase(
          cases,
          "out is " + name,
          ARGUMENT,
          "out: shares memory with " + name + shares,
          w -> {},
          (layer, w) ->
              layer.logProbabilities(
                  w.f("x"), FloatTensor.wrap(w.f(name).asFloatBuffer().slice(0, 18), 2, 9)));
    }
    addLayerCase(
        cases,
        "optimizer null",
        NULL,
        "optimizer",
        w -> {},
        (layer, w) -> layer.step(w.f("x"), w.i("targets"), null));
    addLayerCase(
        cases,
        "loss null",
        NULL,
        "loss",
        w -> {},
        (layer, w) -> layer.gradients(w.f("x"), w.i("targets"), null));
    addLayerCase(
        cases,
        "loss of losses null",
        NULL,
        "loss",
        w -> {},
        (layer, w) -> layer.losses(w.f("x"), w.i("targets"), null));
    LayerCall weighted =
        (layer, w) ->
            layer.step(
                w.f("x"),
                w.i("targets"),
                Loss.mean().weights(w.f("weights")),
                Optimizer.sgd(1),
                null);
    for (long[] dims : new long[][] {{1}, {3}, {2, 1}}) {
      addLayerCase(
          cases,
          "weights " + Shape.of(dims),
          ARGUMENT,
          "weights: expected (batch) = (2) but was " + Shape.of(dims),
          w -> replace(w, "weights", floats(dims)),
          weighted);
    }
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      addLayerCase(
          cases,
          "weight " + bad,
          ARGUMENT,
          "weights[1]: expected a finite number but was " + bad,
          w -> w.f("weights").set(bad, 1),
          weighted);
    }
    addLayerCase(
        cases,
        "weights closed",
        STATE,
        "weights: the tensor (2) is closed",
        w -> w.f("weights").close(),
        weighted);
    for (int k : new int[] {0, -1}) {
      addLayerCase(
          cases,
          "topK " + k,
          ARGUMENT,
          "k: expected at least 1 but was " + k,
          w -> {},
          (layer, w) -> layer.topK(w.f("x"), k));
    }
    for (double bad : new double[] {0, -0.5, 1.5, Double.NaN}) {
      String message = ": expected a number in (0, 1] but was " + bad;
      addLayerCase(
          cases,
          "topP " + bad,
          ARGUMENT,
          "mass" + message,
          w -> {},
          (layer, w) -> layer.topP(w.f("x"), bad));
      addLayerCase(
          cases,
          "atLeast " + bad,
          ARGUMENT,
          "probability" + message,
          w -> {},
          (layer, w) -> layer.atLeast(w.f("x"), bad));
    }
    for (double bad : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
      addLayerCase(
          cases,
          "temperature " + bad,
          ARGUMENT,
          "temperature: expected a finite number > 0 but was " + bad,
          w -> {},
          (layer, w) -> layer.sample(w.f("x"), bad, new SplittableRandom(1)));
    }
    addLayerCase(
        cases, "random null", NULL, "random", w -> {}, (layer, w) -> layer.sample(w.f("x"), null));
    for (int bad : new int[] {-1, 9}) {
      addLayerCase(
          cases,
          "candidate " + bad,
          BOUNDS,
          "candidates[1, 2] = " + bad + " is outside [0, outputs = 9)",
          w -> {},
          (layer, w) -> {
            try (IntTensor candidates = indices(9, 2, 3)) {
              candidates.set(bad, 1, 2);
              layer.logProbabilitiesOf(w.f("x"), candidates);
            }
          });
    }
    addExplanations(cases);
    addHSoftmax(cases);
  }

  private static void addExplanations(List<Case> cases) {
    LayerCall explain = (layer, w) -> layer.explain(w.f("x"), 0);
    addLayerCase(cases, "explain: x null", NULL, "x", w -> replace(w, "x", null), explain);
    for (long[] dims : new long[][] {{2, 6}, {1, 5}, {6}, {0, 6}, {1, 6, 1}}) {
      addLayerCase(
          cases,
          "explain: x " + Shape.of(dims),
          ARGUMENT,
          "x: expected (1, features) = (1, 6) but was " + Shape.of(dims),
          w -> replace(w, "x", floats(dims)),
          explain);
    }
    addLayerCase(
        cases,
        "explain: x closed",
        STATE,
        "x: the tensor (1, 6) is closed",
        w -> {
          replace(w, "x", floats(1, 6));
          w.f("x").close();
        },
        explain);
    for (int bad : new int[] {-1, 9, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
      addLayerCase(
          cases,
          "explain output " + bad,
          BOUNDS,
          "output[0] = " + bad + " is outside [0, outputs = 9)",
          w -> replace(w, "x", floats(1, 6)),
          (layer, w) -> layer.explain(w.f("x"), bad));
    }
    LayerCall candidates = (layer, w) -> layer.logProbabilitiesOf(w.f("x"), w.i("targets"));
    for (long[] dims : new long[][] {{2}, {2, 3, 1}}) {
      addLayerCase(
          cases,
          "candidates " + Shape.of(dims),
          ARGUMENT,
          "candidates: expected (batch, n) but was " + Shape.of(dims),
          w -> replace(w, "targets", indices(9, dims)),
          candidates);
    }
    addLayerCase(
        cases,
        "candidates of another batch",
        ARGUMENT,
        "candidates: expected (batch, n) = (2, 4) but was (3, 4)",
        w -> replace(w, "targets", indices(9, 3, 4)),
        candidates);
    addLayerCase(
        cases, "candidates null", NULL, "candidates", w -> replace(w, "targets", null), candidates);
    addLayerCase(
        cases,
        "candidates closed",
        STATE,
        "candidates: the tensor (2, 4) is closed",
        w -> {
          replace(w, "targets", indices(9, 2, 4));
          w.i("targets").close();
        },
        candidates);
    for (int bad : new int[] {-1, 2}) {
      String message = "Index " + bad + " out of bounds for length 2";
      Map<String, Consumer<Ranking>> ofRows =
          Map.of(
              "size", ranking -> ranking.size(bad),
              "output", ranking -> ranking.output(bad, 0),
              "logProbability", ranking -> ranking.logProbability(bad, 0),
              "probability", ranking -> ranking.probability(bad, 0),
              "outputs", ranking -> ranking.outputs(bad),
              "openedClasses", ranking -> ranking.openedClasses(bad));
      Map<String, Consumer<Ranking>> ofRanks =
          Map.of(
              "output", ranking -> ranking.output(1, bad),
              "logProbability", ranking -> ranking.logProbability(1, bad),
              "probability", ranking -> ranking.probability(1, bad));
      for (Map<String, Consumer<Ranking>> calls : List.of(ofRows, ofRanks)) {
        calls.forEach(
            (name, call) ->
                addLayerCase(
                    cases,
                    "ranking " + name + " " + bad,
                    BOUNDS,
                    message,
                    w -> {},
                    (layer, w) -> call.accept(layer.topK(w.f("x"), 2))));
      }
    }
  }

  private static FloatTensor hSoftmax(World w, IntTensor target) {
    return TheanoSoftmax.apply(
        w.f("x"), 2, 12, 4, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), target);
  }

  private static void addHSoftmax(List<Case> cases) {
    for (String name : new String[] {"x", "W1", "b1", "W2", "b2"}) {
      World world = layerWorld();
      world.faults.add(() -> replace(world, name, null));
      cases.add(new Case("hSoftmax " + name + " null", NULL, name, world, w -> hSoftmax(w, null)));
    }
    for (int bad : new int[] {0, -1}) {
      String message = ": expected at least 1 but was " + bad;
      cases.add(
          new Case(
              "hSoftmax nClasses " + bad,
              ARGUMENT,
              "nClasses" + message,
              layerWorld(),
              w ->
                  TheanoSoftmax.apply(
                      w.f("x"), 2, 12, bad, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null)));
      cases.add(
          new Case(
              "hSoftmax nOutputsPerClass " + bad,
              ARGUMENT,
              "nOutputsPerClass" + message,
              layerWorld(),
              w ->
                  TheanoSoftmax.apply(
                      w.f("x"), 2, 12, 4, bad, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null)));
    }
    for (int bad : new int[] {0, 13, -1}) {
      cases.add(
          new Case(
              "hSoftmax nOutputs " + bad,
              ARGUMENT,
              "nOutputs: expected a number in [1, nClasses * nOutputsPerClass = 12] but was " + bad,
              layerWorld(),
              w ->
                  TheanoSoftmax.apply(
                      w.f("x"), 2, bad, 4, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null)));
    }
    for (int bad : new int[] {1, 3}) {
      cases.add(
          new Case(
              "hSoftmax batchSize " + bad,
              ARGUMENT,
              "x: expected (batchSize, features) = (" + bad + ", 6) but was (2, 6)",
              layerWorld(),
              w ->
                  TheanoSoftmax.apply(
                      w.f("x"), bad, 12, 4, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null)));
    }
    for (int bad : new int[] {-1, 12}) {
      World world = layerWorld();
      world.faults.add(() -> world.i("targets").set(bad, 1));
      cases.add(
          new Case(
              "hSoftmax target " + bad,
              BOUNDS,
              "target[1] = " + bad + " is outside [0, nOutputs = 12)",
              world,
              w -> hSoftmax(w, w.i("targets"))));
    }
    World wrong = layerWorld();
    wrong.faults.add(() -> replace(wrong, "targets", indices(9, 3)));
    cases.add(
        new Case(
            "hSoftmax target (3)",
            ARGUMENT,
            "target: expected (batchSize) = (2) but was (3)",
            wrong,
            w -> hSoftmax(w, w.i("targets"))));
  }

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addWithPlan(cases);
    WITH_INDICES.forEach(operation -> addAll(cases, operation, false));
    addShapes(cases);
    addTensors(cases);
    addWraps(cases);
    addAddresses(cases);
    addNumbers(cases);
    addClasses(cases);
    addLayers(cases);
    return cases.stream();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void refused(Case given) {
    MEMORY.clear();
    long bytesBefore = FloatTensor.allocatedBytes();
    World world = given.world;
    world.make();
    try {
      List<byte[]> before = content();
      Throwable thrown = assertThrows(Throwable.class, () -> given.call.accept(world));
      assertEquals(
          given.type + ": " + given.message, thrown.getClass() + ": " + thrown.getMessage());
      List<byte[]> after = content();
      for (int i = 0; i < before.size(); i++) {
        assertArrayEquals(before.get(i), after.get(i), "tensor " + i + " was written");
      }
    } finally {
      world.close();
    }
    // Less is possible: the garbage of earlier tests.
    long kept = FloatTensor.allocatedBytes() - bytesBefore;
    assertTrue(kept <= 0, kept + " bytes were kept");
    count++;
  }

  /** Scratch is kept from the first operation on; no case shall be blamed for it. */
  @BeforeAll
  static void takeScratch() {
    try (FloatTensor x = FloatTensor.zeros(2, 6);
        HierarchicalSoftmax layer = builder().build()) {
      layer.topK(x, 2);
    }
  }

  @AfterAll
  static void tellCount() {
    System.out.println(count + " cases of invalid input were refused as they should");
  }
}
