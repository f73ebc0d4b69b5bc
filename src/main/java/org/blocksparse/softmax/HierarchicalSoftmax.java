// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.random.RandomGenerator;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.search.Candidates;
import org.blocksparse.internal.search.FilterLists;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.weights.ReadOnlyWeights;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;

/**
 * A softmax over very many outputs, in two levels: first a softmax over classes of outputs, then
 * one over the outputs of a class (Goodman, 2001):
 *
 * <pre>{@code
 * P(output | x) = P(class | x) * P(output | class, x)
 *               = softmax(x W1 + b1)[class] * softmax(x W2[class] + b2[class])[slot]
 * }</pre>
 *
 * <p>With about sqrt(outputs) classes, training or scoring a target takes about {@code 2 *
 * sqrt(outputs)} dot products of {@code features} numbers per row, where a dense softmax takes
 * {@code outputs}. Probabilities are normalized by construction: training needs no sampled softmax
 * and no correction. A class here is a group of outputs, not a label.
 *
 * <p>See {@link TwoLevelLayer} for the parts that this layer shares with {@link LabelTree}: shapes,
 * names, files, searches, growth, cost, thread safety and exceptions. Targets have the shape
 * (batch): one output per row, in [0, outputs). In Theano's h_softmax, all classes have the same
 * number of slots. It also gives probability to slots without an output, so its rows sum to less
 * than one; {@link TheanoSoftmax} reproduces this.
 *
 * <p><b>Numbers.</b> Everything is computed in the log domain with the maximum subtracted, so
 * logits of any finite size give finite log probabilities and gradients. Each level adds an error
 * of at most 4 ulp, besides the error from rounded logits ({@link
 * org.blocksparse.products.SparseBlockGemv}). Probabilities and gradients have another error, from
 * exponentials: a relative error of 2<sup>-24</sup> times the difference between the largest logit
 * of the level and the logit of the class or output. For example, a probability of 1e-29 can be off
 * by 100 ulp. A log probability or loss has the second error only where the probability is near 1.
 * Its size is then the sum of the other probabilities, and it has their errors. If the
 * probabilities of n outputs sum to less than 2<sup>-126</sup>, they are subnormal floats, and the
 * absolute error of their sum is at most n / 2 times 2<sup>-149</sup>.
 */
public final class HierarchicalSoftmax extends TwoLevelLayer<IntTensor> {
  HierarchicalSoftmax(LayerContent content) {
    super(content, TargetBatch::check);
  }

  /**
   * Returns a builder; all other settings have defaults.
   *
   * @param features the size of a row of x
   * @param outputs how many outputs there are
   * @throws IllegalArgumentException unless both are at least 1 and no more than an array can hold,
   *     2<sup>31</sup> - 9
   */
  public static LayerBuilder<IntTensor, HierarchicalSoftmax> builder(int features, int outputs) {
    return new LayerBuilder<>(
        Link.SOFTMAX, features, outputs, HierarchicalSoftmax::new, TargetBatch::check);
  }

  /** Loads a layer into memory; see {@link #load(Path, LoadOptions)}. */
  public static HierarchicalSoftmax load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads a file that {@link #save(Path)} wrote, or that another program wrote in the same format.
   * It is safe to load untrusted files.
   *
   * @throws FileFormatException if the file does not hold a layer; the message names the tensor and
   *     the reason
   * @throws IOException if the file cannot be read
   * @throws UnsupportedOperationException if the file cannot be mapped as the options ask; see
   *     {@link LoadOptions#mapped}
   */
  public static HierarchicalSoftmax load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = LoadSettings.from(requireNonNull(options, "options"));
    return new HierarchicalSoftmax(
        Reading.of(file, () -> ModelFile.load(file, settings, Link.SOFTMAX)));
  }

  // ------------------------------------------------------------------------------------ copies

  @Override
  public HierarchicalSoftmax copy() {
    return new HierarchicalSoftmax(content(Growth.copy(memory())));
  }

  @Override
  public HierarchicalSoftmax withWeights(ElementType type) {
    return new HierarchicalSoftmax(
        content(
            Growth.copy(
                memory(), ReadOnlyWeights.ofLayer(WeightType.of(requireNonNull(type, "type"))))));
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * Returns the top-p outputs: for each row, the smallest set of most probable outputs whose
   * probabilities sum to at least {@code mass}. Log probabilities are rounded, so each output
   * counts with the largest probability that rounds to its log probability. So of two equally
   * probable outputs, one suffices for a mass of 0.5. Cost as {@link #topK}.
   *
   * @param mass in (0, 1]
   * @throws IllegalArgumentException also if {@code mass} is not in (0, 1]
   */
  public Ranking topP(FloatTensor x, double mass) {
    return topP(x, mass, FilterLists.NONE);
  }

  /**
   * Searches as {@link #topP(FloatTensor, double)} does, among the outputs that a filter allows. It
   * returns all of them if their probabilities sum to less than {@code mass}; this cannot happen
   * with {@link Filter#withRenormalization}. It throws what {@link #topK(FloatTensor, int, Filter)}
   * does.
   */
  public Ranking topP(FloatTensor x, double mass, Filter filter) {
    Check.inUnitInterval("mass", mass);
    return search("topP", x, filter, logAllowed -> Candidates.nucleus(mass, logAllowed));
  }

  /**
   * Samples one output per row, at temperature 1; see {@link #sample(FloatTensor, double,
   * RandomGenerator, Filter)}.
   */
  public int[] sample(FloatTensor x, RandomGenerator random) {
    return sample(x, 1, random, FilterLists.NONE);
  }

  /**
   * Samples one output per row from the distribution of the outputs that a filter allows: first a
   * class, then an output of it. If the filter rejects the output, the method draws again; that
   * class then has only the probability of its allowed outputs.
   *
   * <p>Cost: F (C + S o) multiply-adds per row, with F features, C classes and S outputs in the
   * largest class; o is one plus the number of rejected draws. Memory as {@link #topK(FloatTensor,
   * int)}.
   *
   * @param temperature positive; divides the logits of both levels. 1 samples from the model's
   *     distribution; below 1, the distribution becomes sharper
   * @param random called twice per draw: for the class, and for the output
   * @param filter {@link Filter#without(int...) Filter.without()} allows all outputs
   * @throws IllegalArgumentException also if the temperature is not positive and finite, or the
   *     filter is for another batch size or allows no output for one of the rows
   * @throws IndexOutOfBoundsException if the filter lists an output that the layer does not have
   * @throws ArithmeticException if the probabilities of a row are NaN, or those of all allowed
   *     outputs are 0
   */
  public int[] sample(FloatTensor x, double temperature, RandomGenerator random, Filter filter) {
    return draw(x, temperature, random, filter);
  }
}
