// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static java.util.Objects.requireNonNull;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Consumer;
import org.blocksparse.classifier.examples.EventColumns;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.examples.SequenceFormat;
import org.blocksparse.classifier.examples.SequenceReader;
import org.blocksparse.classifier.training.TrainingOptions;

/** Options of training a {@link NextItem}. Immutable. */
public final class NextItemOptions {
  private static final NextItemOptions DEFAULTS = new NextItemOptions();

  private TrainingOptions learning = TrainingOptions.defaults();
  private SequenceFormat format = SequenceFormat.SEQUENCES;
  private EventColumns columns = EventColumns.defaults();

  /** Null: training has events of any time. */
  private Double until;

  /** Null: a user has one sequence. */
  private Duration sessionGap;

  /** Null: the last item of each sequence is held out. */
  private List<Sequence> validation;

  /** Null: the default. */
  private Double dropout;

  private Map<String, String> itemTexts = Map.of();

  private NextItemOptions() {}

  /** A copy with a change. */
  private NextItemOptions with(Consumer<NextItemOptions> change) {
    NextItemOptions changed = new NextItemOptions();
    changed.learning = learning;
    changed.format = format;
    changed.columns = columns;
    changed.until = until;
    changed.sessionGap = sessionGap;
    changed.validation = validation;
    changed.dropout = dropout;
    changed.itemTexts = itemTexts;
    change.accept(changed);
    return changed;
  }

  /** Returns options for sequences, whose last items are held out. */
  public static NextItemOptions defaults() {
    return DEFAULTS;
  }

  /**
   * Sets the options that a classifier has, too: epochs, rate, dimension, seed, workers, card,
   * listener and stop; others do not matter.
   */
  public NextItemOptions withLearning(TrainingOptions value) {
    requireNonNull(value, "learning");
    return with(options -> options.learning = value);
  }

  /**
   * Sets the format of the sequences, by default {@link SequenceFormat#SEQUENCES}. In {@link
   * SequenceFormat#BASKETS}, the order of items means nothing. The model keeps the format, in which
   * the command reads further input.
   */
  public NextItemOptions withFormat(SequenceFormat value) {
    requireNonNull(value, "format");
    return with(options -> options.format = value);
  }

  /**
   * Sets the columns of events, by default with the usual names. The model keeps them, and the
   * command reads further events by them.
   */
  public NextItemOptions withColumns(EventColumns value) {
    requireNonNull(value, "columns");
    return with(options -> options.columns = value);
  }

  /**
   * Sets the time before which all events are. The model keeps it, so that no test has events that
   * training had.
   *
   * @throws IllegalArgumentException unless it is finite
   */
  public NextItemOptions withUntil(double time) {
    if (!Double.isFinite(time)) {
      throw new IllegalArgumentException("until: expected a finite number but was " + time);
    }
    return with(options -> options.until = time);
  }

  /**
   * Sets the gap that ends a sequence of a user's events, as in {@link
   * SequenceReader#withSessionGap}. The model keeps it, and the command reads further events by it.
   *
   * @throws IllegalArgumentException unless the gap is in [1, 99999999999] whole seconds
   */
  public NextItemOptions withSessionGap(Duration gap) {
    SequenceReader.of(SequenceFormat.EVENTS).withSessionGap(gap); // has the check
    return with(options -> options.sessionGap = gap);
  }

  /**
   * Sets held-out sequences, whose last items are predicted. Without these, the last item of each
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
    List<Sequence> copy = List.copyOf(sequences);
    return with(options -> options.validation = copy);
  }

  /**
   * Sets the share of the vector of a history that each training step drops. Default: 0.5, and 0.7
   * where it learns sequences in any order.
   *
   * @throws IllegalArgumentException unless it is in [0, 1)
   */
  public NextItemOptions withDropout(double share) {
    boolean isRoundedToOne = (float) share == 1; // a step takes a float
    if (!(share >= 0 && share < 1) || isRoundedToOne) {
      throw new IllegalArgumentException("dropout: expected a number in [0, 1) but was " + share);
    }
    return with(options -> options.dropout = share);
  }

  /**
   * Sets texts of items, such as titles or attributes; an item that no sequence has is ignored. The
   * score gets a further part, the similarity of an item's text to those of the history. Its weight
   * is the best one on held-out items. It is 0 unless texts gain more than a standard error: the
   * model then is that without texts, bit by bit.
   *
   * <p>Words weigh by TF-IDF, and texts are compared by cosine. Each item has the {@value
   * TextSimilarities#MOST_SIMILAR} most similar ones. The model keeps these, but no text.
   */
  public NextItemOptions withItemTexts(Map<String, String> texts) {
    Map<String, String> copy = Map.copyOf(requireNonNull(texts, "itemTexts"));
    return with(options -> options.itemTexts = copy);
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

  /** Returns whether the order of items means something. */
  boolean ordered() {
    return format != SequenceFormat.BASKETS;
  }

  OptionalDouble until() {
    return until == null ? OptionalDouble.empty() : OptionalDouble.of(until);
  }

  Optional<Duration> sessionGap() {
    return Optional.ofNullable(sessionGap);
  }

  /** Returns the validation sequences; null if a part of the training sequences is held out. */
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
