// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.blocksparse.Backend;
import org.blocksparse.Shape;

/**
 * The rows of a table of wrong arguments for an operation on blocks: each operand is made null,
 * closed, a view of something closed, of another rank, larger and smaller in each dimension; each
 * index is made too small and too large; each output is read-only, and overlaps each input by one
 * element.
 */
public final class WrongOperands {
  private static final Map<String, Integer> SIZES =
      Map.of("batch", 2, "iBlocks", 8, "oBlocks", 7, "iSize", 6, "oSize", 5, "iWin", 4, "oWin", 3);

  private static final List<String> OF_PLAN =
      List.of("batch", "iBlocks", "oBlocks", "iWin", "oWin");

  /** The dimensions of operands, as messages name them. */
  private static final Map<String, String> DIMENSIONS =
      Map.ofEntries(
          Map.entry("W", "iBlocks, oBlocks, iSize, oSize"),
          Map.entry("gradW", "iBlocks, oBlocks, iSize, oSize"),
          Map.entry("o/outer", "xBlocks, yBlocks, xSize, ySize"),
          Map.entry("h", "batch, iWin, iSize"),
          Map.entry("z", "batch, iWin, iSize"),
          Map.entry("gradH", "batch, iWin, iSize"),
          Map.entry("gradZ", "batch, iWin, iSize"),
          Map.entry("x", "batch, xWin, xSize"),
          Map.entry("y", "batch, yWin, ySize"),
          Map.entry("o", "batch, oWin, oSize"),
          Map.entry("out", "batch, oWin, oSize"),
          Map.entry("gradOut", "batch, oWin, oSize"),
          Map.entry("bias", "oBlocks, oSize"),
          Map.entry("gradB", "oBlocks, oSize"),
          Map.entry("bias/input", "iBlocks, oSize"),
          Map.entry("gradBias", "iBlocks, oSize"),
          Map.entry("gate", "batch, iWin"),
          Map.entry("gradGate", "batch, iWin"),
          Map.entry("inputIdx", "batch, window"),
          Map.entry("outputIdx", "batch, window"),
          Map.entry("xIdx", "batch, window"),
          Map.entry("yIdx", "batch, window"));

  /**
   * An operand.
   *
   * @param words its dimensions as messages name them
   * @param dims the same, by the names of {@link #SIZES}
   * @param rankFirst whether the rank is looked at before the dimensions
   */
  private record Operand(
      String name, String words, List<String> dims, String type, boolean rankFirst, String mark) {

    /**
     * Reads an operand: {@code ^} before a name checks the rank first, {@code !} behind it marks an
     * output, {@code ?} one that may be null, {@code ~} weights of 16 bits.
     */
    static Operand of(String text) {
      String mark = text.replaceAll("[\\w/^]", "");
      String key = text.replaceAll("[\\^!?~]", "");
      String name = key.replaceAll("/.*", "");
      String words = DIMENSIONS.get(key);
      boolean isIndex = name.endsWith("Idx");
      String window = name.startsWith("i") || name.startsWith("x") ? "iWin" : "oWin";
      String dims = words.replace("window", window).replaceAll("\\bx", "i").replaceAll("\\by", "o");
      return new Operand(
          name,
          "(" + words + ")",
          List.of(dims.split(", ")),
          isIndex ? "IntTensor" : mark.equals("~") ? "Weights" : "FloatTensor",
          isIndex || text.startsWith("^") || words.split(", ").length == 4,
          mark);
    }

    long[] shape() {
      return dims.stream().mapToLong(SIZES::get).toArray();
    }

    boolean isOutput() {
      return mark.equals("!");
    }

    int indexBound() {
      return SIZES.get(dims.contains("iWin") ? "iBlocks" : "oBlocks");
    }

    String made(long[] shape) {
      String maker =
          switch (type) {
            case "IntTensor" -> "indices(" + indexBound() + ", ";
            case "Weights" -> "weights(";
            default -> "floats(";
          };
      return type + " " + name + " = " + maker + text(shape) + "); ";
    }
  }

  private final List<Operand> operands;
  private final boolean hasPlan;
  private final String call;
  private final Consumer<String> rows;

  private WrongOperands(
      List<Operand> operands, boolean hasPlan, String call, Consumer<String> rows) {
    this.operands = operands;
    this.hasPlan = hasPlan;
    this.call = call;
    this.rows = rows;
  }

  /** Adds the rows of a line {@code operands [plan] NAME... -> call}. */
  public static void addRows(String line, Consumer<String> rows) {
    String[] parts = line.split(" -> ", -1);
    List<String> names = new ArrayList<>(List.of(parts[0].split(" ")));
    names.remove(0);
    boolean hasPlan = names.remove("plan");
    List<Operand> operands = names.stream().map(Operand::of).toList();
    new WrongOperands(operands, hasPlan, parts[1], rows).addAll();
  }

  private static String text(long[] shape) {
    return Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining(", "));
  }

  private Map<String, long[]> shapes() {
    Map<String, long[]> shapes = new HashMap<>();
    operands.forEach(operand -> shapes.put(operand.name, operand.shape()));
    return shapes;
  }

  private void add(Map<String, long[]> shapes, String plan, String fault, String thrown) {
    String made = operands.stream().map(o -> o.made(shapes.get(o.name))).reduce("", String::concat);
    rows.accept(made + plan + fault + call + " throws " + thrown);
  }

  private void add(String fault, String thrown) {
    add(shapes(), hasPlan ? "BlockPlan plan = plan(); " : "", fault, thrown);
  }

  private void addAll() {
    if (hasPlan) {
      add(shapes(), "BlockPlan plan = null; ", "", "NULL plan");
      add("plan.close(); ", "STATE plan: the plan is closed");
      operands.forEach(this::addRaggedRows);
    }
    for (Operand operand : operands) {
      addNullAndClosed(operand);
      addShapes(operand);
      if (operand.type.equals("IntTensor")) {
        addIndices(operand);
      }
      if (operand.isOutput()) {
        addReadOnly(operand);
      }
      if (operand.isOutput() && Backend.isNative()) {
        addOverlaps(operand);
      }
    }
  }

  private void addNullAndClosed(Operand operand) {
    String name = operand.name;
    if (!operand.mark.equals("?")) {
      add(name + " = null; ", "NULL " + name);
    }
    Shape shape = Shape.of(operand.shape());
    String closed =
        "STATE "
            + name
            + (operand.type.equals("Weights")
                ? ": the weights " + shape + " are closed"
                : ": the tensor " + shape + " is closed");
    add(name + ".close(); ", closed);
    if (operand.type.equals("FloatTensor")) {
      String view = "FloatTensor view = %1$s.reshape(%2$s); %1$s.close(); %1$s = view; ";
      add(view.formatted(name, text(operand.shape())), closed);
    }
  }

  private void addShapes(Operand operand) {
    long[] right = operand.shape();
    if (!operand.type.equals("Weights")) { // which always have four dimensions
      boolean matrixIsAllowed =
          !hasPlan && call.startsWith("SparseBlockDot.apply") && operand.name.equals("h");
      if (!matrixIsAllowed) {
        addShape(operand, Arrays.copyOf(right, right.length - 1));
      }
      long[] longer = Arrays.copyOf(right, right.length + 1);
      longer[right.length] = 1;
      addShape(operand, longer);
    }
    for (int axis = 0; axis < right.length; axis++) {
      for (long dim : new long[] {right[axis] + 1, right[axis] - 1, 0}) {
        long[] wrong = right.clone();
        wrong[axis] = dim;
        addShape(operand, wrong);
      }
    }
  }

  private void addShape(Operand operand, long[] shape) {
    Map<String, long[]> shapes = shapes();
    shapes.put(operand.name, shape);
    String message = failure(shapes);
    // Without a plan, fewer blocks make indices invalid instead of shapes: see addIndices.
    boolean fewerBlocks =
        !hasPlan
            && operand.dims.size() == 4
            && shape.length == 4
            && (shape[0] < operand.shape()[0] || shape[1] < operand.shape()[1]);
    if (message != null && !fewerBlocks) {
      add(shapes, hasPlan ? "BlockPlan plan = plan(); " : "", "", "ARGUMENT " + message);
    }
  }

  /** Returns the first check that fails, or null: the rule for all messages about shapes. */
  private String failure(Map<String, long[]> shapes) {
    Map<String, Long> bound = new HashMap<>();
    if (hasPlan) {
      OF_PLAN.forEach(dim -> bound.put(dim, (long) SIZES.get(dim)));
    }
    for (Operand operand : operands) {
      long[] shape = shapes.get(operand.name);
      boolean rankIsRight = shape.length == operand.dims.size();
      String expected = operand.name + ": expected " + operand.words;
      if (!rankIsRight && operand.rankFirst) {
        return expected + " but was " + Shape.of(shape);
      }
      long[] right = new long[operand.dims.size()];
      for (int axis = 0; axis < right.length; axis++) {
        String dim = operand.dims.get(axis);
        if (rankIsRight) {
          bound.putIfAbsent(dim, shape[axis]);
        }
        right[axis] = bound.get(dim);
      }
      if (!Arrays.equals(right, shape)) {
        return expected + " = " + Shape.of(right) + " but was " + Shape.of(shape);
      }
    }
    return null;
  }

  private void addIndices(Operand operand) {
    int bound = operand.indexBound();
    String blocks = operand.name.charAt(0) + "Blocks";
    for (long row = 0; row < operand.shape()[0]; row++) {
      for (long column = 0; column < operand.shape()[1]; column++) {
        for (int index : new int[] {-1, bound, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
          add(
              "%s.set(%d, %d, %d); ".formatted(operand.name, index, row, column),
              "BOUNDS %s[%d, %d] = %d is outside [0, %s = %d)"
                  .formatted(operand.name, row, column, index, blocks, bound));
        }
      }
    }
  }

  private void addReadOnly(Operand output) {
    add(
        "%s = mapped(%s); ".formatted(output.name, text(output.shape())),
        "STATE %s: %s is mapped read-only from FOLDER/mapped; to change it, load the file with"
                .formatted(output.name, Shape.of(output.shape()))
            + " LoadOptions.copyOnWrite() or copied()");
  }

  /** Lets the output begin with the last element of each input. */
  private void addOverlaps(Operand output) {
    for (Operand input : operands) {
      if (input.isOutput() || !input.type.equals("FloatTensor")) {
        continue;
      }
      long inputSize = Shape.of(input.shape()).size();
      long outputSize = Shape.of(output.shape()).size();
      add(
          "FloatTensor both = floats(%d); %s = part(both, 0, %s); %s = part(both, %d, %s); "
              .formatted(
                  inputSize + outputSize - 1,
                  input.name,
                  text(input.shape()),
                  output.name,
                  inputSize - 1,
                  text(output.shape())),
          "ARGUMENT %s: shares memory with %s; an output must not overlap an input"
              .formatted(output.name, input.name));
    }
  }

  /** Adds numbers of rows other than those of a ragged plan. */
  private void addRaggedRows(Operand operand) {
    boolean isInput = operand.dims.contains("iWin");
    if (!isInput && !operand.dims.contains("oWin")) {
      return;
    }
    boolean isGate = operand.dims.size() == 2; // a number for each row
    long last = SIZES.get(isInput ? "iSize" : "oSize");
    String size = operand.words.substring(operand.words.lastIndexOf(','));
    String words = "(entries of " + (isInput ? "inputs" : "outputs") + (isGate ? ")" : size);
    long[][] wrong =
        isGate
            ? new long[][] {{5}, {7}, {2, 3}}
            : new long[][] {{5, last}, {7, last}, {2, 3, last}};
    for (long[] rows : wrong) {
      Map<String, long[]> shapes = shapes();
      for (Operand other : operands) {
        if (other.dims.contains("iWin") || other.dims.contains("oWin")) {
          long[] right = other.shape();
          shapes.put(other.name, right.length == 3 ? new long[] {6, right[2]} : new long[] {6});
        }
      }
      shapes.put(operand.name, rows);
      boolean rankOnly = operand.rankFirst && rows.length == 3;
      String right = rankOnly ? "" : " = " + (isGate ? Shape.of(6) : Shape.of(6, last));
      add(
          shapes,
          "BlockPlan plan = ragged(); ",
          "",
          "ARGUMENT %s: expected %s%s but was %s"
              .formatted(operand.name, words, right, Shape.of(rows)));
    }
  }
}
