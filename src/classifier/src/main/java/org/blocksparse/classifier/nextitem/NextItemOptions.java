// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.blocksparse.classifier.examples.EventColumns;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.examples.SequenceFormat;
import org.blocksparse.classifier.examples.SequenceReader;
import org.blocksparse.classifier.training.TrainingOptions;

/** Options of training a {@link NextItem}. Immutable. */
public final class NextItemOptions {
  private static final NextItemOptions DEFAULTS =
      new NextItemOptions(
          TrainingOptions.defaults(),
          SequenceFormat.SEQUENCES,
          EventColumns.defaults(),
          null,
          null,
          null,
          null);

  private final TrainingOptions learning;
  private final SequenceFormat format;
  private final EventColumns columns;

  /** Null: training has events of any time. */
  private final Double until;

  /** Null: a user has one sequence. */
  private final Duration sessionGap;

  /** Null: the last item of each sequence is held out. */
  private final List<Sequence> validation;

  /** Null: the default. */
  private final Double dropout;

  private NextItemOptions(
      TrainingOptions learning,
      SequenceFormat format,
      EventColumns columns,
      Double until,
      Duration sessionGap,
      List<Sequence> validation,
      Double dropout) {
    this.learning = learning;
    this.format = format;
    this.columns = columns;
    this.until = until;
    this.sessionGap = sessionGap;
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
    return new NextItemOptions(
        requireNonNull(value, "learning"), format, columns, until, sessionGap, validation, dropout);
  }

  /**
   * The format of the sequences, by default {@link SequenceFormat#SEQUENCES}. In {@link
   * SequenceFormat#BASKETS}, the order of items means nothing. The model keeps the format, in which
   * the command reads further input.
   */
  public NextItemOptions withFormat(SequenceFormat value) {
    return new NextItemOptions(
        learning, requireNonNull(value, "format"), columns, until, sessionGap, validation, dropout);
  }

  /**
   * The columns of events, by default with the usual names. The model keeps them, and the command
   * reads further events by them.
   */
  public NextItemOptions withColumns(EventColumns value) {
    return new NextItemOptions(
        learning, format, requireNonNull(value, "columns"), until, sessionGap, validation, dropout);
  }

  /**
   * The time before which all events are. The model keeps it, so that no test has events that
   * training had.
   *
   * @throws IllegalArgumentException unless it is finite
   */
  public NextItemOptions withUntil(double time) {
    if (!Double.isFinite(time)) {
      throw new IllegalArgumentException("until: expected a finite number but was " + time);
    }
    return new NextItemOptions(learning, format, columns, time, sessionGap, validation, dropout);
  }

  /**
   * The gap that ends a sequence of a user's events, as in {@link SequenceReader#withSessionGap}.
   * The model keeps it, and the command reads further events by it.
   *
   * @throws IllegalArgumentException unless the gap is in [1, 99999999999] whole seconds
   */
  public NextItemOptions withSessionGap(Duration gap) {
    SequenceReader.of(SequenceFormat.EVENTS).withSessionGap(gap); // has the check
    return new NextItemOptions(learning, format, columns, until, gap, validation, dropout);
  }

  /**
   * Held-out sequences, of which the last items are predicted. Without these, the last item of each
   * training sequence is held out, or one of ten baskets of two items or more; none if no other is
   * left to learn. What training held out itself is learned in a last training; these sequences
   * never are. Of an empty list, nothing is held out.
   *
   * @throws IllegalArgumentException if there are sequences, and none has two items
   */
  public NextItemOptions withValidation(List<Sequence> sequences) {
    if (!sequences.isEmpty() && sequences.stream().allMatch(s -> s.known() == 0)) {
      throw new IllegalArgumentException(
          "validation: expected a sequence with two items or more, the last of which is predicted");
    }
    return new NextItemOptions(
        learning, format, columns, until, sessionGap, List.copyOf(sequences), dropout);
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
    return new NextItemOptions(learning, format, columns, until, sessionGap, validation, share);
  }

  TrainingOptions learning() {
    return learning;
  }

  SequenceFormat format() {
    return format;
  }

  EventColumns columns() {
    return columns;
  }

  /** Whether the order of items means something. */
  boolean ordered() {
    return format != SequenceFormat.BASKETS;
  }

  OptionalDouble until() {
    return until == null ? OptionalDouble.empty() : OptionalDouble.of(until);
  }

  Optional<Duration> sessionGap() {
    return Optional.ofNullable(sessionGap);
  }

  /** Null: a part of the training sequences is held out. */
  List<Sequence> validationOrNull() {
    return validation;
  }

  double dropout(double otherwise) {
    return dropout != null ? dropout : otherwise;
  }
}
