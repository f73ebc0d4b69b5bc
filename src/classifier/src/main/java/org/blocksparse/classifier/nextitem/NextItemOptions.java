// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static java.util.Objects.requireNonNull;

import java.util.List;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.training.TrainingOptions;

/** Options of training a {@link NextItem}. Immutable. */
public final class NextItemOptions {
  private static final NextItemOptions DEFAULTS =
      new NextItemOptions(TrainingOptions.defaults(), true, null, null);

  private final TrainingOptions learning;
  private final boolean ordered;

  /** Null: the last item of each sequence is held out. */
  private final List<Sequence> validation;

  /** Null: the default. */
  private final Double dropout;

  private NextItemOptions(
      TrainingOptions learning, boolean ordered, List<Sequence> validation, Double dropout) {
    this.learning = learning;
    this.ordered = ordered;
    this.validation = validation;
    this.dropout = dropout;
  }

  /** Sequences, whose last items are held out. */
  public static NextItemOptions defaults() {
    return DEFAULTS;
  }

  /**
   * Options that a classifier has, too: epochs, rate, smoothing, dimension, batch, classes,
   * patience, seed, workers, card, listener and stop; others do not matter.
   */
  public NextItemOptions withLearning(TrainingOptions value) {
    return new NextItemOptions(requireNonNull(value, "learning"), ordered, validation, dropout);
  }

  /** Baskets, in which the order of items means nothing. */
  public NextItemOptions withBaskets() {
    return new NextItemOptions(learning, false, validation, dropout);
  }

  /**
   * Held-out sequences, of which the last items are predicted. Without these, the last item of each
   * training sequence is held out, or one of ten baskets of two items or more; none if no other is
   * left to learn. What training held out itself is learned in a last training; these sequences
   * never are.
   */
  public NextItemOptions withValidation(List<Sequence> sequences) {
    return new NextItemOptions(learning, ordered, List.copyOf(sequences), dropout);
  }

  /**
   * The share of the vector of a history that each training step drops. Default: 0.5, and 0.7 where
   * it learns sequences in any order.
   *
   * @throws IllegalArgumentException unless it is in [0, 1)
   */
  public NextItemOptions withDropout(double share) {
    boolean isRoundedToOne = (float) share == 1; // a step takes a float
    if (!(share >= 0 && share < 1) || isRoundedToOne) {
      throw new IllegalArgumentException("dropout: expected a number in [0, 1) but was " + share);
    }
    return new NextItemOptions(learning, ordered, validation, share);
  }

  TrainingOptions learning() {
    return learning;
  }

  boolean ordered() {
    return ordered;
  }

  /** Null: a part of the training sequences is held out. */
  List<Sequence> validationOrNull() {
    return validation;
  }

  double dropout(double otherwise) {
    return dropout != null ? dropout : otherwise;
  }
}
