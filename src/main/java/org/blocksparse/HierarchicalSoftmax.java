// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.random.RandomGenerator;
import org.blocksparse.internal.layer.Growth;
import org.blocksparse.internal.layer.LayerContent;
import org.blocksparse.internal.layer.LoadSettings;
import org.blocksparse.internal.layer.ModelFile;
import org.blocksparse.internal.softmax.Candidates;
import org.blocksparse.internal.softmax.Link;

/**
 * A softmax over very many outputs, in two levels: first a softmax over classes of outputs, then
 * one over the outputs of a class (Goodman, 2001):
 *
 * <pre>{@code
 * P(output | x) = P(class | x) * P(output | class, x)
 *               = softmax(x W1 + b1)[class] * softmax(x W2[class] + b2[class])[slot]
 * }</pre>
 *
 * <p>With about as many classes as outputs in a class, training and scoring a target take about
 * {@code 2 * sqrt(outputs)} products of {@code features} numbers for each row instead of {@code
 * outputs}. The model is exact: its probabilities sum to one and need no sampling or correction.
 *
 * <p>{@link TwoLevelLayer} has what this layer shares with a {@link LabelTree}: shapes, names,
 * files, searches, growth; what a call costs, what threads may do, and the errors of all methods.
 * Targets are (batch) integers, the right output of each row, in [0, outputs). (Theano gives
 * probability to slots that no output lives in and cuts them off, so that rows sum to less than
 * one: {@link TheanoSoftmax} does as Theano does.)
 *
 * <p><b>Numbers.</b> Everything is computed in the log domain with the maximum subtracted, so
 * logits of any finite size give finite log probabilities and gradients. Log probabilities and
 * losses are right to 4 ulp of themselves at each level, however close to 0 they are, plus what the
 * rounding of the logits brings ({@link SparseBlockGemv}). So are probabilities and gradients. All
 * of what is made of exponentials is off by a further relative 2<sup>-24</sup> times the distance
 * of a logit from the largest of its level: a probability by a hundred ulp where it is 1e-29, and
 * likewise what a probability lacks to 1, its logarithm and its gradient, where it lacks that
 * little. Below 2<sup>-126</sup>, that of n outputs together is right to n / 2 times
 * 2<sup>-149</sup>.
 */
public final class HierarchicalSoftmax extends TwoLevelLayer<IntTensor> {
  HierarchicalSoftmax(LayerContent content) {
    super(content, TargetBatch::check);
  }

  /**
   * A builder of layers; everything else has defaults.
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
   * Loads what {@link #save(Path)} has written, or others as safetensors in the same way. The file
   * may come from anybody.
   *
   * @throws FileFormatException if the file does not hold a layer; it names the tensor and the
   *     reason
   * @throws IOException if the file cannot be read
   * @throws UnsupportedOperationException if it is to be mapped and cannot be; see {@link
   *     LoadOptions#mapped}
   */
  public static HierarchicalSoftmax load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = requireNonNull(options, "options").settings();
    return new HierarchicalSoftmax(
        FileFormatException.of(file, () -> ModelFile.load(file, settings, Link.SOFTMAX)));
  }

  // ------------------------------------------------------------------------------------ copies

  @Override
  public HierarchicalSoftmax copy() {
    return new HierarchicalSoftmax(content(Growth.copy(memory())));
  }

  @Override
  public HierarchicalSoftmax withWeights(ElementType type) {
    return new HierarchicalSoftmax(
        content(Growth.copy(memory(), requireNonNull(type, "type").ofLayer())));
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * The likeliest outputs of each row that together have at least the given probability ("top-p"),
   * as few as possible. Each counts as the largest probability whose logarithm is rounded to its
   * log probability, so that one of two equally likely outputs has half of the mass. Cost as {@link
   * #topK}.
   *
   * @param mass in (0, 1]
   * @throws IllegalArgumentException also if it is not
   */
  public Ranking topP(FloatTensor x, double mass) {
    return topP(x, mass, Filter.NONE);
  }

  /**
   * The same of the outputs that a filter allows: all of them if they have less than that, which
   * they cannot if the filter is {@link Filter#withRenormalization}. Errors as {@link
   * #topK(FloatTensor, int, Filter)}.
   */
  public Ranking topP(FloatTensor x, double mass, Filter filter) {
    inUnitInterval("mass", mass);
    return search("topP", x, filter, logAllowed -> Candidates.nucleus(mass, logAllowed));
  }

  /**
   * An output for each row, drawn from its distribution as it is; see {@link #sample(FloatTensor,
   * double, RandomGenerator, Filter)}.
   */
  public int[] sample(FloatTensor x, RandomGenerator random) {
    return sample(x, 1, random, Filter.NONE);
  }

  /**
   * An output for each row, drawn from the distribution of the outputs that a filter allows: a
   * class, then an output of that class. The draw repeats until the output is allowed.
   *
   * <p>Cost: F (C + S o), with o the classes that are opened: one, and one more for each draw that
   * the filter rejects. Memory as of {@link #topK(FloatTensor, int)}.
   *
   * @param temperature positive; 1 draws from the distribution as it is. Other values draw from it
   *     with the logits of both levels divided by the temperature: below 1 likely outputs get
   *     likelier still
   * @param random asked twice for each row and class that is opened
   * @param filter {@link Filter#without(int...) Filter.without()} allows all outputs
   * @throws IllegalArgumentException also if the temperature is not positive and finite, or the
   *     filter is for another batch or allows nothing in a row
   * @throws IndexOutOfBoundsException if the filter names an output that the layer lacks
   * @throws ArithmeticException if the probabilities of a row are not numbers, or the allowed
   *     outputs have no probability
   */
  public int[] sample(FloatTensor x, double temperature, RandomGenerator random, Filter filter) {
    return draw(x, temperature, random, filter);
  }
}
