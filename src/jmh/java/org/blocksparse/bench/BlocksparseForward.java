// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.MixtureOfExpertsBuilder;
import org.blocksparse.experts.Routing;

/** {@link MixtureOfExperts} with a new routing in each call. */
final class BlocksparseForward implements MoeForward {
  private final MoeShape shape;
  private final MixtureOfExperts weights;
  private final Map<Integer, MixtureOfExperts> layers = new HashMap<>(); // by workers
  private FloatTensor x;
  private FloatTensor out;
  private FloatTensor gates;
  private IntTensor[] experts;

  /**
   * An engine on weights that become its own.
   *
   * @param weights whose workers do not matter
   */
  private BlocksparseForward(MoeShape shape, MixtureOfExperts weights) {
    this.shape = shape;
    this.weights = weights;
  }

  /**
   * An engine with weights of a type.
   *
   * @param floats which it is made of; if that is its type, they become its own
   */
  static BlocksparseForward of(MoeShape shape, MixtureOfExperts floats, ElementType type) {
    return new BlocksparseForward(
        shape, type == ElementType.FLOAT32 ? floats : floats.withWeights(type));
  }

  /** The layer in floats. */
  static MixtureOfExperts floats(MoeShape shape) {
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
    return builder(shape).build(Map.of("W1", W1, "W2", W2));
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

  private static MixtureOfExpertsBuilder builder(MoeShape shape) {
    return MixtureOfExperts.builder(shape.inputs, shape.hidden, shape.experts);
  }

  @Override
  public float[] prepare(int tokens) {
    closeBatch();
    x = FloatTensor.of(MoeNumbers.x(shape, tokens), tokens, shape.inputs);
    out = FloatTensor.zeros(tokens, shape.inputs);
    gates = FloatTensor.zeros(tokens, shape.top);
    gates.fill(1f / shape.top);
    experts =
        IntStream.range(0, MoeNumbers.ROUTINGS)
            .mapToObj(number -> MoeNumbers.routing(shape, number, tokens))
            .map(chosen -> IntTensor.of(chosen, tokens, shape.top))
            .toArray(IntTensor[]::new);
    call(layer(Runtime.getRuntime().availableProcessors()), 0);
    float[] first = new float[Math.min(tokens, MoeNumbers.CHECKED_TOKENS) * shape.inputs];
    out.asFloatBuffer().get(first);
    return first;
  }

  private MixtureOfExperts layer(int workers) {
    return layers.computeIfAbsent(
        workers,
        number ->
            builder(shape)
                .workers(Workers.of(ForkJoinPool.commonPool(), number))
                .build(weights.parameters()));
  }

  private void call(MixtureOfExperts layer, int number) {
    try (Routing routing = Routing.of(experts[number], gates, shape.experts)) {
      layer.apply(x, routing, out);
    }
  }

  @Override
  public long[] times(int workers, double seconds) {
    MixtureOfExperts layer = layer(workers);
    long end = System.nanoTime() + (long) (1e9 * seconds);
    LongStream.Builder times = LongStream.builder();
    int number = 0;
    do {
      long start = System.nanoTime();
      call(layer, number);
      times.add(System.nanoTime() - start);
      number = (number + 1) % MoeNumbers.ROUTINGS;
    } while (System.nanoTime() < end);
    return times.build().toArray();
  }

  private void closeBatch() {
    if (x != null) {
      x.close();
      out.close();
      gates.close();
      for (IntTensor each : experts) {
        each.close();
      }
    }
  }

  @Override
  public void close() {
    closeBatch();
    layers.values().forEach(MixtureOfExperts::close);
    weights.close();
  }
}
