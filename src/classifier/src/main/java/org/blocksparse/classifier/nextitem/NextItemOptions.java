// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.List;
import java.util.Map;
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
          null,
          Map.of());

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

  private final Map<String, String> itemTexts;

  private NextItemOptions(
      TrainingOptions learning,
      SequenceFormat format,
      EventColumns columns,
      Double until,
      Duration sessionGap,
      List<Sequence> validation,
      Double dropout,
      Map<String, String> itemTexts) {
    this.learning = learning;
    this.format = format;
    this.columns = columns;
    this.until = until;
    this.sessionGap = sessionGap;
    this.validation = validation;
    this.dropout = dropout;
    this.itemTexts = itemTexts;
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
        requireNonNull(value, "learning"),
        format,
        columns,
        until,
        sessionGap,
        validation,
        dropout,
        itemTexts);
  }

  /**
   * The format of the sequences, by default {@link SequenceFormat#SEQUENCES}. In {@link
   * SequenceFormat#BASKETS}, the order of items means nothing. The model keeps the format, in which
   * the command reads further input.
   */
  public NextItemOptions withFormat(SequenceFormat value) {
    return new NextItemOptions(
        learning,
        requireNonNull(value, "format"),
        columns,
        until,
        sessionGap,
        validation,
        dropout,
        itemTexts);
  }

  /**
   * The columns of events, by default with the usual names. The model keeps them, and the command
   * reads further events by them.
   */
  public NextItemOptions withColumns(EventColumns value) {
    return new NextItemOptions(
        learning,
        format,
        requireNonNull(value, "columns"),
        until,
        sessionGap,
        validation,
        dropout,
        itemTexts);
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
    return new NextItemOptions(
        learning, format, columns, time, sessionGap, validation, dropout, itemTexts);
  }

  /**
   * The gap that ends a sequence of a user's events, as in {@link SequenceReader#withSessionGap}.
   * The model keeps it, and the command reads further events by it.
   *
   * @throws IllegalArgumentException unless the gap is in [1, 99999999999] whole seconds
   */
  public NextItemOptions withSessionGap(Duration gap) {
    SequenceReader.of(SequenceFormat.EVENTS).withSessionGap(gap); // has the check
    return new NextItemOptions(
        learning, format, columns, until, gap, validation, dropout, itemTexts);
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
        learning, format, columns, until, sessionGap, List.copyOf(sequences), dropout, itemTexts);
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
    return new NextItemOptions(
        learning, format, columns, until, sessionGap, validation, share, itemTexts);
  }

  /**
   * Texts of items, such as titles or attributes; an item that no sequence has is ignored. The
   * score gets a further part, the similarity of an item's text to those of the history. Its weight
   * is the best one on held-out items. It is 0 unless texts gain more than a standard error: the
   * model then is that without texts, bit by bit.
   *
   * <p>Words weigh by TF-IDF, and texts are compared by cosine. Each item has the {@value
   * TextSimilarities#MOST_SIMILAR} most similar ones. The model keeps these, but no text.
   */
  public NextItemOptions withItemTexts(Map<String, String> texts) {
    return new NextItemOptions(
        learning,
        format,
        columns,
        until,
        sessionGap,
        validation,
        dropout,
        Map.copyOf(requireNonNull(texts, "itemTexts")));
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

  Map<String, String> itemTexts() {
    return itemTexts;
  }

  double dropout(double otherwise) {
    return dropout != null ? dropout : otherwise;
  }
}
