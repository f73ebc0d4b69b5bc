// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.io.IOException;
import java.util.List;
import java.util.function.UnaryOperator;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.io.HuggingFaceModel;

/**
 * Takes the parameters of a layer from matrices (out, in) of a model.
 *
 * @param names the names of the model, by those of Qwen without the prefix of the layer
 * @param fused whether the experts of a layer are one tensor
 * @param alternating whether outputs of a fused gate_up_proj alternate between gate and up
 * @param type the type of the weights of experts; that of a gate is float32
 */
record NamedExperts(
    HuggingFaceModel model,
    UnaryOperator<String> names,
    boolean fused,
    boolean alternating,
    Activation activation,
    ElementType type,
    Engine engine) {
  static final String GATE = "gate.weight";
  static final String SHARED_GATE = "shared_expert_gate.weight";
  static final String FUSED_FIRST = "experts.gate_up_proj";
  static final String FUSED_DOWN = "experts.down_proj";

  /** The rows and columns of a matrix that are transposed at a time. */
  private static final int TURNED_ROWS = 16;

  private static final int TURNED_COLUMNS = 1 << 10;

  /**
   * Returns a parameter of a layer, (iBlocks, oBlocks, in, out).
   *
   * @param name Wg, W1 or W2, or the same of the shared expert
   */
  BlockMatrix parameter(String name, Shape shape) throws IOException {
    boolean shared = name.startsWith(ExpertsParameters.SHARED);
    if (name.endsWith("Wg")) {
      return gate(names.apply(shared ? SHARED_GATE : GATE), shape);
    }
    boolean first = name.endsWith("W1");
    if (fused && !shared) {
      return fused(names.apply(first ? FUSED_FIRST : FUSED_DOWN), first && alternating, shape);
    }
    List<String> matrices =
        !first
            ? List.of("down_proj")
            : activation.isGated() ? List.of("gate_proj", "up_proj") : List.of("up_proj");
    return weights(matrices, shared, shape);
  }

  private FloatTensor gate(String name, Shape shape) throws IOException {
    FloatTensor Wg = FloatTensor.zeros(shape.toArray());
    try {
      int experts = (int) shape.dim(3);
      requireMatrix(name, experts, (int) shape.dim(2));
      turn(name, 0, experts, (int) shape.dim(2), Dense.from(Wg).storage(), experts, 0, false);
      return Wg;
    } catch (Throwable e) {
      Wg.close();
      throw e;
    }
  }

  /** Makes the only block of an expert. */
  private interface Expert {
    StoredWeights make(int expert) throws IOException;
  }

  private BlockMatrix each(Shape shape, Expert expert) throws IOException {
    int experts = (int) (shape.dim(0) * shape.dim(1));
    int in = (int) shape.dim(2);
    int sums = (int) shape.dim(3);
    WeightType stored = WeightType.of(type);
    StoredWeights all = StoredWeights.allocate(stored, experts, in, sums);
    try {
      for (int e = 0; e < experts; e++) {
        try (StoredWeights one = expert.make(e)) {
          all.putBlock(e, one, in, sums);
        }
      }
    } catch (Throwable e) {
      all.close();
      throw e;
    }
    return stored == WeightType.FLOAT32
        ? DenseFloats.dense(all.elements(), shape)
        : new StoredBlocks(all, shape, false);
  }

  /** Returns the weights of experts, from matrices side by side. */
  private BlockMatrix weights(List<String> matrices, boolean shared, Shape shape)
      throws IOException {
    int in = (int) shape.dim(2);
    int sums = (int) shape.dim(3);
    int out = sums / matrices.size();
    try (FloatTensor block = FloatTensor.zeros(in, sums)) {
      return each(
          shape,
          expert -> {
            String prefix = shared ? "shared_expert." : "experts." + expert + ".";
            List<String> tensors =
                matrices.stream().map(name -> names.apply(prefix + name + ".weight")).toList();
            for (String name : tensors) {
              requireMatrix(name, out, in);
            }
            if (isKept(tensors.get(0))) {
              return StoredBlocks.from(model.weights(tensors, 1, 1)).stored();
            }
            for (int i = 0; i < tensors.size(); i++) {
              Storage to = Dense.from(block).storage();
              turn(tensors.get(i), 0, out, in, to, sums, i * out, false);
            }
            return rounded(String.join(", ", tensors), block);
          });
    }
  }

  /** Returns the weights of experts from one tensor. */
  private BlockMatrix fused(String name, boolean alternate, Shape shape) throws IOException {
    int experts = (int) (shape.dim(0) * shape.dim(1));
    int in = (int) shape.dim(2);
    int sums = (int) shape.dim(3);
    requireShape(name, Shape.of(experts, sums, in));
    if (isKept(name)) {
      return alternate
          ? model.gateAndUp(name)
          : model.weights(List.of(name), (int) shape.dim(0), (int) shape.dim(1));
    }
    try (FloatTensor block = FloatTensor.zeros(in, sums)) {
      return each(
          shape,
          expert -> {
            Storage to = Dense.from(block).storage();
            turn(name, expert, sums, in, to, sums, 0, alternate);
            return rounded(name, block);
          });
    }
  }

  /** Returns whether the numbers are packed as they are. */
  private boolean isKept(String name) throws IOException {
    return type.isPacked() && model.info(name).type().equals(type.name());
  }

  private StoredWeights rounded(String name, FloatTensor block) throws FileFormatException {
    try {
      return StoredWeights.of(
          name,
          Dense.from(block).storage(),
          WeightType.of(type),
          1,
          (int) block.shape().dim(0),
          (int) block.shape().dim(1),
          engine.scheduler());
    } catch (IllegalArgumentException e) {
      throw new FileFormatException(model.path(), name, e.getMessage());
    }
  }

  private void requireMatrix(String name, int out, int in) throws IOException {
    Shape shape = model.info(name).shape();
    if (!shape.equals(Shape.of(out, in))) {
      throw new FileFormatException(
          model.path(), name, "expected (out, in) = (" + out + ", " + in + ") but was " + shape);
    }
  }

  private void requireShape(String name, Shape expected) throws IOException {
    Shape shape = model.info(name).shape();
    if (!shape.equals(expected)) {
      throw new FileFormatException(
          model.path(), name, "expected (experts, out, in) = " + expected + " but was " + shape);
    }
  }

  /**
   * Writes a matrix (out, in) as columns of a block, from one on.
   *
   * @param number the number of the matrix in its tensor
   * @param alternate whether rows alternate between the first half of the columns and the second
   */
  private void turn(
      String name,
      int number,
      int out,
      int in,
      Storage block,
      int columns,
      int first,
      boolean alternate)
      throws IOException {
    int step = alternate ? 2 : 1;
    try (FloatTensor matrix = model.floats(name, number);
        OperandLease lease = new OperandLease().of(name, matrix)) {
      Storage from = Dense.from(matrix).storage();
      int tasks = (out - 1) / TURNED_ROWS + 1;
      engine.run(
          tasks,
          (long) out * in,
          (begin, end) -> {
            float[] tile = new float[TURNED_ROWS * TURNED_COLUMNS];
            float[] line = new float[TURNED_ROWS];
            for (int task = begin; task < end; task++) {
              int row = task * TURNED_ROWS;
              int count = Math.min(TURNED_ROWS, out - row);
              for (int column = 0; column < in; column += TURNED_COLUMNS) {
                int width = Math.min(TURNED_COLUMNS, in - column);
                for (int r = 0; r < count; r++) {
                  from.getFloats((long) (row + r) * in + column, tile, r * width, width);
                }
                for (int c = 0; c < width; c++) {
                  long to = (long) (column + c) * columns + first + row / step;
                  for (int half = 0; half < step; half++) {
                    int length = 0;
                    for (int r = half; r < count; r += step) {
                      line[length++] = tile[r * width + c];
                    }
                    block.putFloats(to + (long) half * (out / 2), line, 0, length);
                  }
                }
              }
            }
          });
      from.requireIntact();
    }
  }
}
