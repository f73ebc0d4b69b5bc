// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import java.util.List;
import org.blocksparse.internal.files.NameTable;

/**
 * The names of outputs: a map from ids to strings and back. A {@link
 * org.blocksparse.softmax.HierarchicalSoftmax} with names saves them in its file, and shows them in
 * its {@link Ranking}s and {@link org.blocksparse.softmax.Explanation}s.
 *
 * <p>Each name takes the memory of its letters and about eight bytes; there is no object per name.
 *
 * <p>Immutable.
 */
public sealed interface Labels permits NameTable {
  /** See {@link #of(List)}. */
  static Labels of(String... names) {
    return of(Arrays.asList(requireNonNull(names, "names")));
  }

  /**
   * Returns names of outputs 0, 1, 2 and so on.
   *
   * @throws IllegalArgumentException if two names are equal, if a name contains an unpaired
   *     surrogate, or if all names together have more than 2<sup>31</sup> - 9 bytes in UTF-8
   */
  static Labels of(List<String> names) {
    return NameTable.of(names);
  }

  /** Returns the number of names: outputs [0, size) have names. */
  int size();

  /**
   * Returns the name of an output.
   *
   * @throws IndexOutOfBoundsException if the output has no name
   * @throws IllegalStateException if the name is from a mapped file, which is not checked, and is
   *     not valid text
   */
  String name(int output);

  /** Returns the output that has a name; -1 if there is none. */
  int output(String name);

  /** Returns all names, as a list that creates each string on access. */
  List<String> names();

  /**
   * Returns these names, and names of the outputs that follow.
   *
   * @throws IllegalArgumentException as {@link #of(List)}
   */
  Labels with(String... more);
}
