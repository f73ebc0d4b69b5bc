// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.internal.softmax.Link;

/**
 * Several outputs out of very many, each there or not: a probabilistic label tree of two levels
 * (Jasinska et al., 2016; Wydmuch et al., 2018). Where exactly one output is right, {@link
 * HierarchicalSoftmax} is the layer.
 *
 * <pre>{@code
 * P(output | x) = P(class | x) * P(output | class, x)
 *               = sigmoid(x W1 + b1)[class] * sigmoid(x W2[class] + b2[class])[slot]
 * }</pre>
 *
 * <p>P(class) is the probability that at least one output of the class is there, and P(output |
 * class) that of the output given so. Each output has a probability of its own, whatever the others
 * have: they do not sum to one.
 *
 * <p><b>Training.</b> A row trains all classes, which are there if a target of the row lives in
 * them; and of the classes that are there all outputs. Each of these decisions has the loss -log
 * sigmoid(z) if what it is about is there, -log(1 - sigmoid(z)) if not, with z its logit. The loss
 * of a row is the sum over its decisions: the binary cross entropy of the tree, which is the
 * negative log likelihood of what is there where the decisions of a row are independent. A row
 * without targets trains the classes alone. Classes without a target in the batch are not touched,
 * so that a step takes as long as that of a softmax with as many targets.
 *
 * <p>{@link TwoLevelLayer} has what this layer shares with the softmax: shapes, names, files,
 * searches, growth; what a call costs, what threads may do, and the errors of all methods.
 *
 * <p><b>Targets</b> are {@link SparseRows}, (batch) rows of outputs in [0, outputs), in any order;
 * repeats count once, and values of entries do not matter. A call that trains or tells a loss takes
 * at most 2<sup>29</sup> entries. Classes matter more here than for a softmax: what occurs together
 * should be in one class ({@link ClassAssignment#clustered}), so that rows open few classes.
 *
 * <p><b>Numbers.</b> Logits of any finite size give finite log probabilities and losses. Each level
 * has its own error of at most 6 ulp in a log probability and 4 ulp in a probability or a gradient,
 * near 0 and near 1 alike, and what the rounding of the logits brings ({@link SparseBlockGemv}). A
 * NaN in x stays in its row.
 */
public final class LabelTree extends TwoLevelLayer {
  LabelTree(LayerContent content) {
    super(content);
  }

  /**
   * A builder of layers; everything else has defaults.
   *
   * @param features the size of a row of x
   * @param outputs how many outputs there are
   * @throws IllegalArgumentException unless both are at least 1 and no more than an array can hold,
   *     2<sup>31</sup> - 9
   */
  public static LabelTreeBuilder builder(int features, int outputs) {
    return new LabelTreeBuilder(features, outputs);
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
    return ModelFile.load(file, options, Link.LOGISTIC, LabelTree::new);
  }

  // ------------------------------------------------------------------------------------ copies

  @Override
  public LabelTree copy() {
    return new LabelTree(content(Growth.copy(memory())));
  }

  @Override
  public LabelTree withWeights(ElementType type) {
    return new LabelTree(content(Growth.copy(memory(), requireNonNull(type, "type"))));
  }

  // -------------------------------------------------------------------------------- prediction

  /**
   * The same of as many outputs as each row names.
   *
   * @param targets (batch) rows, each entry in [0, outputs); repeats are allowed
   * @return (entries), in the order of the entries
   */
  public FloatTensor logProbabilitiesOf(FloatTensor x, SparseRows targets) {
    return prediction().of(x, targets, true);
  }

  /**
   * The probabilities of given outputs; as {@link #logProbabilitiesOf(FloatTensor, SparseRows)}.
   */
  public FloatTensor probabilitiesOf(FloatTensor x, SparseRows targets) {
    return prediction().of(x, targets, false);
  }

  // ---------------------------------------------------------------------------------- training

  /** The mean of the losses of the rows; 0 for no rows. */
  public double loss(FloatTensor x, SparseRows targets) {
    return loss(x, targets, Loss.mean());
  }

  /**
   * The loss that a {@link #step} would report, without a step.
   *
   * @param loss without smoothing and without an ignored target; a row whose weight is 0 has no
   *     loss and no gradient, and what x holds there does not matter
   * @throws IllegalArgumentException also if the loss has what is only for single targets
   */
  public double loss(FloatTensor x, SparseRows targets, Loss loss) {
    return training().loss(x, targets, loss);
  }

  /** The loss of each row, (batch): the sum over its decisions. */
  public FloatTensor losses(FloatTensor x, SparseRows targets) {
    return losses(x, targets, Loss.sum());
  }

  /**
   * What each row adds to a loss, (batch): with {@link Loss#sum} the loss of each row, not reduced.
   *
   * <p>Cost: F (C + S d), with d the different classes of a row's targets; these classes.
   */
  public FloatTensor losses(FloatTensor x, SparseRows targets, Loss loss) {
    return training().losses(x, targets, loss);
  }

  /** The gradients of the mean of the losses of the rows. */
  public SoftmaxGradients gradients(FloatTensor x, SparseRows targets) {
    return gradients(x, targets, Loss.mean());
  }

  /**
   * The gradients of a loss with respect to x and all parameters, dense: a tensor of the size of W2
   * is made. For training use {@link #step}, which never makes it.
   *
   * <p>Cost: 3 F (C + S d), and to clear C F S; the classes of the targets.
   */
  public SoftmaxGradients gradients(FloatTensor x, SparseRows targets, Loss loss) {
    return training().gradients(x, targets, loss);
  }

  /** A step of training on the mean of the losses of the rows, without a gradient for x. */
  public double step(FloatTensor x, SparseRows targets, Optimizer optimizer) {
    return step(x, targets, Loss.mean(), optimizer, null);
  }

  /** A step of training on the mean of the losses of the rows. */
  public double step(FloatTensor x, SparseRows targets, Optimizer optimizer, FloatTensor gradX) {
    return step(x, targets, Loss.mean(), optimizer, requireNonNull(gradX, "gradX"));
  }

  /** A step of training, without a gradient for x. */
  public double step(FloatTensor x, SparseRows targets, Loss loss, Optimizer optimizer) {
    return step(x, targets, loss, optimizer, null);
  }

  /**
   * A step of training: loss, gradients and update of all parameters in one go, class by class,
   * while each block of W2 is in the cache. Only the classes of the targets are touched, and no
   * gradient of the size of W2 is ever made: time and memory do not depend on the number of outputs
   * in other classes. If no row has a weight other than 0, nothing is changed but {@link #steps}.
   *
   * <p>Cost: 3 F (C + S d), or 2 F (C + S d) without gradX, with d the different classes of a row's
   * targets; these classes, which are read and written once. With gradX, memory of F d for each row
   * is kept for later calls.
   *
   * @param x (batch, features); must not share memory with a parameter
   * @param targets (batch) rows
   * @param loss as {@link #loss(FloatTensor, SparseRows, Loss)}
   * @param optimizer the rule; its state is kept by this layer, and is dropped when a step with
   *     another rule is made
   * @param gradX (batch, features) receives the gradient with respect to x as it was before the
   *     step, or null; must not share memory with x or a parameter
   * @return the loss before the step
   * @throws ArithmeticException if the loss is not finite; what has been changed then is as told at
   *     {@link HierarchicalSoftmax#step(FloatTensor, IntTensor, Loss, Optimizer, FloatTensor)}
   */
  public double step(
      FloatTensor x, SparseRows targets, Loss loss, Optimizer optimizer, FloatTensor gradX) {
    double value = training().step(x, targets, loss, optimizer, gradX, nextStep());
    countStep();
    return value;
  }
}
