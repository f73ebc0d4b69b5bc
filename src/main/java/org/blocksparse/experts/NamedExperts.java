// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import java.io.IOException;
import java.util.List;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * Takes the parameters of a layer from matrices (out, in) with names.
 *
 * @param type of the weights of experts; that of a gate is float32
 */
record NamedExperts(ExpertTensors tensors, Activation activation, ElementType type, Engine engine) {
  private static final String GATE = "gate.weight";
  private static final String SHARED_GATE = "shared_expert_gate.weight";

  /** Rows and columns of a matrix that are turned at a time. */
  private static final int TURNED_ROWS = 16;

  private static final int TURNED_COLUMNS = 1 << 10;

  /**
   * A parameter of a layer, (iBlocks, oBlocks, in, out).
   *
   * @param name Wg, W1 or W2, or the same of the shared expert
   */
  BlockMatrix parameter(String name, Shape shape) throws IOException {
    boolean shared = name.startsWith(ExpertsParameters.SHARED);
    if (name.endsWith("Wg")) {
      return gate(shared ? SHARED_GATE : GATE, shape);
    }
    List<String> matrices =
        name.endsWith("W2")
            ? List.of("down_proj")
            : activation.isGated() ? List.of("gate_proj", "up_proj") : List.of("up_proj");
    return weights(matrices, shared, shape);
  }

  private FloatTensor gate(String name, Shape shape) throws IOException {
    FloatTensor Wg = FloatTensor.zeros(shape.toArray());
    try {
      int experts = (int) shape.dim(3);
      turn(name, experts, (int) shape.dim(2), Dense.from(Wg).storage(), experts, 0);
      return Wg;
    } catch (Throwable e) {
      Wg.close();
      throw e;
    }
  }

  /** Weights of experts, of matrices side by side. */
  private BlockMatrix weights(List<String> matrices, boolean shared, Shape shape)
      throws IOException {
    int experts = (int) (shape.dim(0) * shape.dim(1));
    int in = (int) shape.dim(2);
    int sums = (int) shape.dim(3);
    int out = sums / matrices.size();
    WeightType stored = WeightType.of(type);
    StoredWeights all = StoredWeights.allocate(stored, experts, in, sums);
    try (FloatTensor block = FloatTensor.zeros(in, sums)) {
      for (int expert = 0; expert < experts; expert++) {
        String prefix = shared ? "shared_expert." : "experts." + expert + ".";
        for (int i = 0; i < matrices.size(); i++) {
          String name = prefix + matrices.get(i) + ".weight";
          turn(name, out, in, Dense.from(block).storage(), sums, i * out);
        }
        String name = prefix + String.join(", ", matrices) + ".weight";
        try (StoredWeights one =
            StoredWeights.of(
                name, Dense.from(block).storage(), stored, 1, in, sums, engine.scheduler())) {
          all.putBlock(expert, one, in, sums);
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

  /** Writes a matrix (out, in) as columns of a block of so many, from one on. */
  private void turn(String name, int out, int in, Storage block, int columns, int first)
      throws IOException {
    try (FloatTensor matrix = matrix(name);
        OperandLease lease = new OperandLease().of(name, matrix)) {
      Shape shape = matrix.shape();
      if (shape.dim(shape.rank() - 2) != out || shape.dim(shape.rank() - 1) != in) {
        throw new IllegalArgumentException(
            name + ": expected (out, in) = (" + out + ", " + in + ") but was " + shape);
      }
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
                  for (int r = 0; r < count; r++) {
                    line[r] = tile[r * width + c];
                  }
                  long to = (long) (column + c) * columns + first + row;
                  block.putFloats(to, line, 0, count);
                }
              }
            }
          });
      from.requireIntact();
    }
  }

  /** A matrix as floats, (out, in) or (1, 1, out, in), which the caller closes. */
  private FloatTensor matrix(String name) throws IOException {
    BlockMatrix found = tensors.get(name);
    if (found == null) {
      throw new IllegalArgumentException("tensors: expected " + name + " but there is none");
    }
    try {
      Shape shape = found.shape();
      boolean isMatrix =
          shape.rank() == 2 || (shape.rank() == 4 && shape.dim(0) * shape.dim(1) == 1);
      if (!isMatrix) {
        throw new IllegalArgumentException(
            name + ": expected (out, in) or (1, 1, out, in) but was " + shape);
      }
      if (found instanceof FloatTensor floats) {
        Dense.from(floats).requireContiguous(name);
        return floats;
      }
      try (Weights weights = (Weights) found) {
        return weights.widened();
      }
    } catch (Throwable e) {
      found.close();
      throw e;
    }
  }
}
