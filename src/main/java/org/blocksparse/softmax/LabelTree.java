// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.kernels.Link;
import org.blocksparse.internal.weights.ReadOnlyWeights;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.io.LoadOptions;

/**
 * A two-level probabilistic label tree for extreme multi-label classification: each row has any
 * number of labels, out of very many (Jasinska et al., 2016; Wydmuch et al., 2018). For exactly one
 * label per row, use {@link HierarchicalSoftmax}. Labels are the outputs of this layer; a class is
 * a group of outputs.
 *
 * <pre>{@code
 * P(output | x) = P(class | x) * P(output | class, x)
 *               = sigmoid(x W1 + b1)[class] * sigmoid(x W2[class] + b2[class])[slot]
 * }</pre>
 *
 * <p>P(class) is the probability that at least one of its outputs is present. P(output | class) is
 * conditional on that. Each output has an independent probability, so probabilities do not sum to
 * one.
 *
 * <p><b>Training.</b> Each row trains the scores of all classes (W1): the target of a class is 1 if
 * it contains a target of the row, else 0. The row also trains all outputs (W2) of the classes
 * whose target is 1. The loss of a row is the sum of the binary cross entropies of these decisions:
 * -log sigmoid(z) if present, else -log(1 - sigmoid(z)), for the logit z. A row without targets
 * trains only the class level. A step does not read the W2 of classes without a target in the
 * batch, so it costs as much as a softmax step with as many targets.
 *
 * <p>See {@link TwoLevelLayer} for the parts that this layer shares with the softmax: shapes,
 * names, files, searches, growth, cost, thread safety and exceptions.
 *
 * <p><b>Targets</b> are {@link SparseRows}, (batch) rows of outputs in [0, outputs), in any order;
 * repeats count once, and values of entries are ignored. A call that trains or computes a loss
 * takes at most 2<sup>29</sup> entries. The choice of classes matters more than for a softmax: put
 * labels that occur together into one class ({@link ClassAssignment#clustered}), so that a step
 * reads few classes.
 *
 * <p><b>Numbers.</b> Logits of any finite size give finite log probabilities and losses. Each level
 * adds an error of at most 6 ulp to a log probability, and 4 ulp to a probability or gradient, near
 * 0 and near 1 alike. Rounded logits add to this ({@link
 * org.blocksparse.products.SparseBlockGemv}). NaN in one row of x does not affect other rows.
 */
public final class LabelTree extends TwoLevelLayer<SparseRows> {
  LabelTree(LayerContent content) {
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
  public static LayerBuilder<SparseRows, LabelTree> builder(int features, int outputs) {
    return new LayerBuilder<>(Link.LOGISTIC, features, outputs, LabelTree::new, TargetBatch::check);
  }

  /** Loads a layer into memory; see {@link #load(Path, LoadOptions)}. */
  public static LabelTree load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads a file that {@link #save(Path)} wrote, or that another program wrote in the same format.
   * It is safe to load untrusted files. Errors as {@link HierarchicalSoftmax#load(Path,
   * LoadOptions)}; a file that holds a softmax is rejected, too.
   */
  public static LabelTree load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = LoadSettings.from(requireNonNull(options, "options"));
    return new LabelTree(Reading.of(file, () -> ModelFile.load(file, settings, Link.LOGISTIC)));
  }

  // ------------------------------------------------------------------------------------ copies

  @Override
  public LabelTree copy() {
    return new LabelTree(content(Growth.copy(memory())));
  }

  @Override
  public LabelTree withWeights(ElementType type) {
    return new LabelTree(
        content(
            Growth.copy(
                memory(), ReadOnlyWeights.ofLayer(WeightType.of(requireNonNull(type, "type"))))));
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * Returns the log probabilities of given outputs; each row may list any number of them.
   *
   * @param targets (batch) rows, each entry in [0, outputs); repeats are allowed
   * @return (entries), in the order of the entries
   */
  public FloatTensor logProbabilitiesOf(FloatTensor x, SparseRows targets) {
    return scores(x, targets, true);
  }

  /**
   * Returns the probabilities of given outputs; as {@link #logProbabilitiesOf(FloatTensor,
   * SparseRows)}.
   */
  public FloatTensor probabilitiesOf(FloatTensor x, SparseRows targets) {
    return scores(x, targets, false);
  }
}
