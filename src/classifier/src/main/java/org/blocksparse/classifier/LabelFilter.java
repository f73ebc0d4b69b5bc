// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.BitSet;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.blocksparse.classifier.examples.LineParser;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;

/**
 * The labels that a {@link Classifier} may predict: all but some, such as items that a customer has
 * seen, or only some.
 *
 * <p>The result is exact: the ranking of all labels, without the excluded ones. Probabilities do
 * not change. Each call looks up all labels of its filter by name.
 *
 * <p>Labels that the model does not know have no effect; {@link #unknown} lists them. If {@link
 * #only} has no other, predictions throw {@link IllegalArgumentException}, since the names are
 * those of another model. {@link #without} never throws: a model cannot predict what it does not
 * know.
 *
 * <p>Immutable.
 */
public final class LabelFilter {
  private final Set<String> labels;
  private final boolean only;

  private LabelFilter(Collection<String> labels, boolean only) {
    this.labels = Set.copyOf(Check.noNulls("labels", labels));
    this.only = only;
  }

  /** Returns all labels but these. */
  public static LabelFilter without(Collection<String> labels) {
    return new LabelFilter(labels, false);
  }

  /** Allows these labels only; none if there are none. */
  public static LabelFilter only(Collection<String> labels) {
    return new LabelFilter(labels, true);
  }

  /**
   * Returns the labels of this filter that a model does not know, sorted.
   *
   * @param knows such as {@code classifier::knows}
   */
  public List<String> unknown(Predicate<String> knows) {
    return labels.stream().filter(knows.negate()).sorted().toList();
  }

  /** Returns whether all labels are allowed. */
  boolean isOfAll() {
    return labels.isEmpty() && !only;
  }

  /** Returns the outputs of a model that are allowed. */
  BitSet allowed(Labels known) {
    BitSet outputs = new BitSet(known.size());
    IntStream.of(named(known)).forEach(outputs::set);
    if (!only) {
      outputs.flip(0, known.size());
    }
    return outputs;
  }

  /** Returns the filter of the outputs of a model. */
  public Filter outputs(Labels known) {
    if (isOfAll()) {
      return Filter.without();
    }
    return only ? Filter.only(named(known)) : Filter.without(named(known));
  }

  /** Returns the outputs with the labels of this filter. */
  private int[] named(Labels known) {
    int[] outputs = labels.stream().mapToInt(known::output).filter(output -> output >= 0).toArray();
    if (only && outputs.length == 0 && !labels.isEmpty()) {
      throw new IllegalArgumentException(
          "filter: expected a label that the model knows, but it knows none of "
              + labels.size()
              + ", such as '"
              + LineParser.shown(labels.iterator().next())
              + "'");
    }
    return outputs;
  }

  @Override
  public String toString() {
    return "LabelFilter(" + (only ? "only " : "without ") + labels.size() + " labels)";
  }
}
