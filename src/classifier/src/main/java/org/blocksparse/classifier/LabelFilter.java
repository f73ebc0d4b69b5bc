// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.util.Objects.requireNonNull;
import static java.util.stream.Collectors.toUnmodifiableSet;

import java.util.BitSet;
import java.util.Collection;
import java.util.Set;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;

/**
 * The labels that a {@link Classifier} may predict: all but some, such as items that a customer has
 * seen, or only some.
 *
 * <p>The result is exact: the ranking of all labels, without the excluded ones. Probabilities do
 * not change. Labels that the model does not know have no effect. Each call looks up all labels of
 * its filter by name.
 *
 * <p>Immutable.
 */
public final class LabelFilter {
  private final Set<String> labels;
  private final boolean only;

  private LabelFilter(Collection<String> labels, boolean only) {
    this.labels =
        requireNonNull(labels, "labels").stream()
            .map(label -> requireNonNull(label, "labels"))
            .collect(toUnmodifiableSet());
    this.only = only;
  }

  /** All labels but these. */
  public static LabelFilter without(Collection<String> labels) {
    return new LabelFilter(labels, false);
  }

  /** These labels alone. */
  public static LabelFilter only(Collection<String> labels) {
    return new LabelFilter(labels, true);
  }

  /** The outputs of a model that are allowed. */
  BitSet allowed(Labels known) {
    BitSet outputs = new BitSet(known.size());
    labels.stream().mapToInt(known::output).filter(output -> output >= 0).forEach(outputs::set);
    if (!only) {
      outputs.flip(0, known.size());
    }
    return outputs;
  }

  /** The same for the outputs of a model, by their names. */
  public Filter outputs(Labels known) {
    if (labels.isEmpty() && !only) {
      return Filter.without();
    }
    int[] outputs = labels.stream().mapToInt(known::output).filter(output -> output >= 0).toArray();
    return only ? Filter.only(outputs) : Filter.without(outputs);
  }

  @Override
  public String toString() {
    return "LabelFilter(" + (only ? "only " : "without ") + labels.size() + " labels)";
  }
}
