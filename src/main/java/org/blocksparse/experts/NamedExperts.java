// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.blocksparse.internal.Access.TENSORS;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.Check;
import org.blocksparse.internal.OperandLease;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.StoredWeights;
import org.blocksparse.internal.kernels.WeightType;
import org.blocksparse.internal.memory.Storage;

/** Takes a layer from matrices (out, in) with names: those of each expert, and of the gate. */
record NamedExperts(ExpertTensors tensors, int experts) {
  private static final String UP = "up_proj";
  private static final String DOWN = "down_proj";
  private static final String GATE = "gate.weight";

  /** Rows and columns of a matrix that are turned at a time. */
  private static final int TURNED_ROWS = 16;

  private static final int TURNED_COLUMNS = 1 << 10;

  /** The layer; gate may be null. */
  MixtureOfExperts layer(TopKGate gate, Activation activation, ElementType type)
      throws IOException {
    List<String> first = activation.isGated() ? List.of("gate_proj", UP) : List.of(UP);
    Map<String, BlockMatrix> made = new LinkedHashMap<>();
    try (FloatTensor up = matrix(name(0, UP));
        FloatTensor down = matrix(name(0, DOWN))) {
      int hidden = rows(up);
      int inputs = columns(up);
      int outputs = rows(down);
      Check.dimension("hidden", hidden);
      made.put("W1", weights(first, type, hidden, inputs, 1, experts));
      made.put("W2", weights(List.of(DOWN), type, outputs, hidden, experts, 1));
      MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(inputs, hidden, experts);
      if (gate != null) {
        FloatTensor Wg = FloatTensor.zeros(1, 1, inputs, experts);
        made.put("Wg", Wg);
        turn(GATE, experts, inputs, TENSORS.storage(Wg), experts, 0);
        builder = MixtureOfExperts.builder(inputs, hidden, gate);
      }
      return builder.outputs(outputs).activation(activation).build(made);
    } catch (Throwable e) {
      made.values().forEach(BlockMatrix::close);
      throw e;
    }
  }

  private static String name(int expert, String matrix) {
    return "experts." + expert + "." + matrix + ".weight";
  }

  private static int rows(FloatTensor matrix) {
    return (int) matrix.shape().dim(matrix.shape().rank() - 2);
  }

  private static int columns(FloatTensor matrix) {
    return (int) matrix.shape().dim(matrix.shape().rank() - 1);
  }

  /** Weights (iBlocks, oBlocks, in, out) of the experts, of matrices (out, in) side by side. */
  private BlockMatrix weights(
      List<String> matrices, ElementType type, int out, int in, int iBlocks, int oBlocks)
      throws IOException {
    int sums = Math.multiplyExact(out, matrices.size());
    WeightType stored = TENSORS.stored(type);
    Engine engine = TENSORS.engine(Workers.common());
    StoredWeights all = StoredWeights.allocate(stored, experts, in, sums);
    try (FloatTensor block = FloatTensor.zeros(in, sums)) {
      for (int expert = 0; expert < experts; expert++) {
        for (int i = 0; i < matrices.size(); i++) {
          turn(name(expert, matrices.get(i)), out, in, TENSORS.storage(block), sums, i * out);
        }
        String name = name(expert, String.join(", ", matrices));
        try (StoredWeights one =
            StoredWeights.of(name, TENSORS.storage(block), stored, 1, in, sums, engine)) {
          all.putBlock(expert, one, in, sums);
        }
      }
    } catch (Throwable e) {
      all.close();
      throw e;
    }
    Shape shape = Shape.of(iBlocks, oBlocks, in, sums);
    return stored == WeightType.FLOAT32
        ? TENSORS.floats(all.elements(), shape)
        : TENSORS.weights(all, shape, false);
  }

  /** Writes a matrix (out, in) as columns of a block of so many, from one on. */
  private void turn(String name, int out, int in, Storage block, int columns, int first)
      throws IOException {
    try (FloatTensor matrix = matrix(name);
        OperandLease lease = new OperandLease().of(name, matrix)) {
      if (rows(matrix) != out || columns(matrix) != in) {
        throw new IllegalArgumentException(
            name + ": expected (out, in) = (" + out + ", " + in + ") but was " + matrix.shape());
      }
      Storage from = TENSORS.storage(matrix);
      int tasks = (out - 1) / TURNED_ROWS + 1;
      TENSORS
          .engine(Workers.common())
          .run(
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
        TENSORS.requireContiguous(floats, name);
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
