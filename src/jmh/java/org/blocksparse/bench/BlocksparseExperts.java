// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Map;
import java.util.stream.IntStream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.Routing;

/**
 * {@link MixtureOfExperts} with a new routing in each call:
 *
 * <pre>{@code BlocksparseExperts SHAPE TYPE}</pre>
 */
public final class BlocksparseExperts extends ExpertsEngine {
  private final MoeShape shape;
  private final MixtureOfExperts layer;
  private FloatTensor x;
  private FloatTensor out;
  private FloatTensor gates;
  private IntTensor[] experts;

  BlocksparseExperts(MoeShape shape, ElementType type, Workers workers) {
    this.shape = shape;
    MixtureOfExperts floats = floats(shape, workers);
    if (type == ElementType.FLOAT32) {
      layer = floats;
      return;
    }
    try (floats) {
      layer = floats.withWeights(type);
    }
  }

  /** Returns the layer in floats. */
  private static MixtureOfExperts floats(MoeShape shape, Workers workers) {
    int inputs = shape.inputs;
    int hidden = shape.hidden;
    FloatTensor W1 = FloatTensor.zeros(1, shape.experts, inputs, 2L * hidden);
    FloatTensor W2 = FloatTensor.zeros(shape.experts, 1, hidden, inputs);
    for (int e = 0; e < MoeNumbers.DISTINCT; e++) {
      float[] first = new float[inputs * 2 * hidden];
      float[] gate = MoeNumbers.weights(shape, MoeNumbers.Matrix.GATE, e);
      float[] up = MoeNumbers.weights(shape, MoeNumbers.Matrix.UP, e);
      float[] down = MoeNumbers.weights(shape, MoeNumbers.Matrix.DOWN, e);
      float[] second = new float[hidden * inputs];
      transpose(gate, inputs, first, 0, 2 * hidden);
      transpose(up, inputs, first, hidden, 2 * hidden);
      transpose(down, hidden, second, 0, inputs);
      for (int same = e; same < shape.experts; same += MoeNumbers.DISTINCT) {
        W1.put((long) same * first.length, first, 0, first.length);
        W2.put((long) same * second.length, second, 0, second.length);
      }
    }
    return MixtureOfExperts.builder(inputs, hidden, shape.experts)
        .workers(workers)
        .build(Map.of("W1", W1, "W2", W2));
  }

  /** Writes weights (outputs, inputs) as columns of rows of that size. */
  private static void transpose(float[] weights, int inputs, float[] to, int column, int row) {
    IntStream.range(0, inputs)
        .parallel()
        .forEach(
            i -> {
              for (int o = 0; o < weights.length / inputs; o++) {
                to[i * row + column + o] = weights[o * inputs + i];
              }
            });
  }

  @Override
  void prepare(int tokens) {
    x = FloatTensor.of(MoeNumbers.x(shape, tokens), tokens, shape.inputs);
    out = FloatTensor.zeros(tokens, shape.inputs);
    gates = FloatTensor.zeros(tokens, shape.top);
    gates.fill(1f / shape.top);
    experts =
        IntStream.range(0, MoeNumbers.ROUTINGS)
            .mapToObj(number -> MoeNumbers.routing(shape, number, tokens))
            .map(chosen -> IntTensor.of(chosen, tokens, shape.top))
            .toArray(IntTensor[]::new);
  }

  @Override
  void call(int routing) {
    try (Routing made = Routing.of(experts[routing], gates, shape.experts)) {
      layer.apply(x, made, out);
    }
  }

  @Override
  float[] firstOutputs() {
    call(0);
    int rows = Math.min((int) x.shape().dim(0), MoeNumbers.CHECKED_TOKENS);
    float[] first = new float[rows * shape.inputs];
    out.get(0, first, 0, first.length);
    return first;
  }

  /** Answers lines of the standard input. */
  public static void main(String[] args) throws Exception {
    new BlocksparseExperts(
            MoeShape.valueOf(args[0]), ElementType.valueOf(args[1]), Workers.common())
        .serve();
  }
}
