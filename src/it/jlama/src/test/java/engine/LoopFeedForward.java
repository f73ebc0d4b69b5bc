// SPDX-License-Identifier: Apache-2.0
package engine;

import com.github.tjake.jlama.model.functions.FeedForward;
import com.github.tjake.jlama.safetensors.WeightLoader;
import com.github.tjake.jlama.tensor.AbstractTensor;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * The experts of a Mixtral layer by the formula, in float64.
 *
 * @param isGated or the chosen experts are summed without the gate's probabilities
 */
record LoopFeedForward(
    WeightLoader weights,
    String prefix,
    int experts,
    boolean isGated,
    IntFunction<AbstractTensor> results)
    implements FeedForward {

  @Override
  public AbstractTensor forward(
      AbstractTensor input, Optional<Consumer<List<AbstractTensor>>> reducer) {
    AbstractTensor<?, ?> x = input;
    AbstractTensor<?, ?> result = results.apply(x.shape().first());
    for (int row = 0; row < x.shape().first(); row++) {
      double[] output = output(values(x, row));
      for (int i = 0; i < output.length; i++) {
        result.set((float) output[i], row, i);
      }
    }
    return result;
  }

  private double[] output(double[] x) {
    double[] logits = product("gate", x);
    int[] chosen =
        IntStream.range(0, experts)
            .boxed()
            .sorted(Comparator.comparingDouble(e -> -logits[e]))
            .limit(Checkpoint.PER_TOKEN)
            .mapToInt(e -> e)
            .toArray();
    double sum = IntStream.of(chosen).mapToDouble(e -> Math.exp(logits[e])).sum();
    double[] output = new double[x.length];
    for (int e : chosen) {
      double[] gate = product("experts." + e + ".w1", x);
      double[] up = product("experts." + e + ".w3", x);
      for (int i = 0; i < up.length; i++) {
        up[i] *= gate[i] / (1 + Math.exp(-gate[i]));
      }
      double[] down = product("experts." + e + ".w2", up);
      for (int i = 0; i < output.length; i++) {
        output[i] += (isGated ? Math.exp(logits[e]) / sum : 1) * down[i];
      }
    }
    return output;
  }

  private double[] product(String name, double[] x) {
    AbstractTensor<?, ?> matrix = weights.load(prefix + name + ".weight");
    double[] product = new double[matrix.shape().first()];
    for (int row = 0; row < product.length; row++) {
      double[] values = values(matrix, row);
      for (int i = 0; i < x.length; i++) {
        product[row] += values[i] * x[i];
      }
    }
    return product;
  }

  private static double[] values(AbstractTensor<?, ?> matrix, int row) {
    return IntStream.range(0, matrix.shape().last()).mapToDouble(i -> matrix.get(row, i)).toArray();
  }
}
