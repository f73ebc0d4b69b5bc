// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.internal.layer.Growth;
import org.blocksparse.internal.layer.LayerContent;
import org.blocksparse.internal.layer.LoadSettings;
import org.blocksparse.internal.layer.ModelFile;
import org.blocksparse.internal.softmax.Link;

/**
 * A probabilistic label tree of two levels, for any number of outputs out of very many (Jasinska et
 * al., 2016; Wydmuch et al., 2018). For exactly one output, use {@link HierarchicalSoftmax}.
 *
 * <pre>{@code
 * P(output | x) = P(class | x) * P(output | class, x)
 *               = sigmoid(x W1 + b1)[class] * sigmoid(x W2[class] + b2[class])[slot]
 * }</pre>
 *
 * <p>P(class) is the probability that at least one output of the class is present, P(output |
 * class) that of the output given that. Each output has a probability of its own; they do not sum
 * to one.
 *
 * <p><b>Training.</b> A row trains all classes, which are present if a target of the row is in
 * them, and all outputs of the classes that are present. Each of these decisions has the loss -log
 * sigmoid(z) if it is present, else -log(1 - sigmoid(z)), with z its logit. The loss of a row is
 * the sum over its decisions, the binary cross entropy of the tree. A row without targets trains
 * the level of classes alone. Classes without a target in the batch are not touched, so a step
 * takes as long as that of a softmax with as many targets.
 *
 * <p>{@link TwoLevelLayer} has what this layer shares with the softmax: shapes, names, files,
 * searches, growth; what a call costs, what threads may do, and the errors of all methods.
 *
 * <p><b>Targets</b> are {@link SparseRows}, (batch) rows of outputs in [0, outputs), in any order;
 * repeats count once, and values of entries do not matter. A call that trains or computes a loss
 * takes at most 2<sup>29</sup> entries. Classes matter more here than for a softmax: labels that
 * occur together should be in one class ({@link ClassAssignment#clustered}), so that rows open few
 * classes.
 *
 * <p><b>Numbers.</b> Logits of any finite size give finite log probabilities and losses. Each level
 * has its own error of at most 6 ulp in a log probability and 4 ulp in a probability or a gradient,
 * near 0 and near 1 alike, and what the rounding of the logits brings ({@link SparseBlockGemv}). A
 * NaN in x stays in its row.
 */
public final class LabelTree extends TwoLevelLayer<SparseRows> {
  LabelTree(LayerContent content) {
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
  public static LayerBuilder<SparseRows, LabelTree> builder(int features, int outputs) {
    return new LayerBuilder<>(Link.LOGISTIC, features, outputs, LabelTree::new, TargetBatch::check);
  }

  /** Loads a layer into memory; see {@link #load(Path, LoadOptions)}. */
  public static LabelTree load(Path file) throws IOException {
    return load(file, LoadOptions.copied());
  }

  /**
   * Loads what {@link #save(Path)} has written, or others as safetensors in the same way. The file
   * may come from anybody. Errors as of {@link HierarchicalSoftmax#load(Path, LoadOptions)}; a
   * softmax is refused, too.
   */
  public static LabelTree load(Path file, LoadOptions options) throws IOException {
    requireNonNull(file, "file");
    LoadSettings settings = requireNonNull(options, "options").settings();
    return new LabelTree(
        FileFormatException.of(file, () -> ModelFile.load(file, settings, Link.LOGISTIC)));
  }

  // ------------------------------------------------------------------------------------ copies

  @Override
  public LabelTree copy() {
    return new LabelTree(content(Growth.copy(memory())));
  }

  @Override
  public LabelTree withWeights(ElementType type) {
    return new LabelTree(content(Growth.copy(memory(), requireNonNull(type, "type").ofLayer())));
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * The same of as many outputs as each row names.
   *
   * @param targets (batch) rows, each entry in [0, outputs); repeats are allowed
   * @return (entries), in the order of the entries
   */
  public FloatTensor logProbabilitiesOf(FloatTensor x, SparseRows targets) {
    return scores(x, targets, true);
  }

  /**
   * The probabilities of given outputs; as {@link #logProbabilitiesOf(FloatTensor, SparseRows)}.
   */
  public FloatTensor probabilitiesOf(FloatTensor x, SparseRows targets) {
    return scores(x, targets, false);
  }
}
