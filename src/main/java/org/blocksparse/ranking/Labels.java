// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;

import java.nio.charset.CharacterCodingException;
import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SafeTensorsWriter;

/**
 * The names of outputs: a map from ids to strings and back. A {@link
 * org.blocksparse.softmax.HierarchicalSoftmax} with names saves them in its file, and shows them in
 * its {@link Ranking}s and {@link org.blocksparse.softmax.Explanation}s.
 *
 * <p>Each name takes the memory of its letters and about eight bytes; there is no object per name.
 *
 * <p>Immutable.
 */
public final class Labels {
  private final NameTable table;

  private Labels(NameTable table) {
    this.table = table;
  }

  /** Those of a file; null of null. */
  static Labels ofOrNull(NameTable table) {
    return table == null ? null : new Labels(table);
  }

  /** As {@link #of(List)}. */
  public static Labels of(String... names) {
    return of(Arrays.asList(requireNonNull(names, "names")));
  }

  /**
   * Names of outputs 0, 1, 2 and so on.
   *
   * @throws IllegalArgumentException if two names are equal, if a name contains an unpaired
   *     surrogate, or if all names together have more than 2<sup>31</sup> - 9 bytes in UTF-8
   */
  public static Labels of(List<String> names) {
    int[] offsets = new int[requireNonNull(names, "names").size() + 1];
    byte[] text = new byte[(int) Math.min(16L * names.size(), 1 << 20)]; // and grows
    int i = 0;
    for (String name : names) {
      if (!SafeTensorsWriter.isText(requireNonNull(name, "names"))) {
        throw new IllegalArgumentException("names[" + i + "]: holds half of a pair of surrogates");
      }
      byte[] bytes = name.getBytes(UTF_8);
      long end = (long) offsets[i] + bytes.length;
      if (end > Integer.MAX_VALUE - 8) {
        throw new IllegalArgumentException("names: more than 2^31 - 9 bytes in UTF-8");
      }
      if (end > text.length) {
        text = Arrays.copyOf(text, (int) Math.min(Integer.MAX_VALUE - 8, 2 * end));
      }
      System.arraycopy(bytes, 0, text, offsets[i], bytes.length);
      offsets[++i] = (int) end;
    }
    NameTable table = NameTable.of(Arrays.copyOf(text, offsets[i]), offsets);
    int[] same = table.duplicate();
    if (same != null) {
      throw new IllegalArgumentException(
          "names[" + same[1] + "]: is the same as names[" + same[0] + "]");
    }
    return new Labels(table);
  }

  /** The number of names: outputs [0, size) have names. */
  public int size() {
    return table.size();
  }

  /**
   * The name of an output.
   *
   * @throws IndexOutOfBoundsException if the output has no name
   * @throws IllegalStateException if the name is from a mapped file, which is not checked, and is
   *     not valid text
   */
  public String name(int output) {
    if (output < 0 || output >= size()) {
      throw new IndexOutOfBoundsException(
          "output " + output + " has no name, those in [0, " + size() + ") have");
    }
    try {
      return table.name(output);
    } catch (CharacterCodingException e) {
      throw new IllegalStateException("labels: the name of output " + output + " is not UTF-8", e);
    }
  }

  /** The output that has a name; -1 if there is none. */
  public int output(String name) {
    return SafeTensorsWriter.isText(requireNonNull(name, "name"))
        ? table.find(name.getBytes(UTF_8))
        : -1; // getBytes would make a question mark of half a pair
  }

  /** All names, as a list that creates each string on access. */
  public List<String> names() {
    return new Names();
  }

  private final class Names extends AbstractList<String> {
    @Override
    public String get(int index) {
      return name(Objects.checkIndex(index, Labels.this.size()));
    }

    @Override
    public int size() {
      return Labels.this.size();
    }
  }

  /**
   * These names, and names of the outputs that follow.
   *
   * @throws IllegalArgumentException as {@link #of(List)}
   */
  public Labels with(String... more) {
    String[] all = names().toArray(new String[0]);
    String[] both = Arrays.copyOf(all, all.length + requireNonNull(more, "more").length);
    System.arraycopy(more, 0, both, all.length, more.length);
    return of(both);
  }

  /**
   * Checks that there are as many names as outputs, and returns these names.
   *
   * @throws IllegalArgumentException if there are more or fewer
   */
  Labels forAll(int outputs) {
    if (size() != outputs) {
      throw new IllegalArgumentException(
          "labels: expected " + outputs + " names but was " + size());
    }
    return this;
  }

  /**
   * The names of a layer.
   *
   * @throws IllegalStateException if the layer has no names (null)
   */
  static Labels orThrow(Labels ofLayer) {
    if (ofLayer == null) {
      throw new IllegalStateException("layer: has no labels; setLabels names its outputs");
    }
    return ofLayer;
  }

  /** The names in the form that files store. */
  NameTable table() {
    return table;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Labels that
        && Arrays.equals(table.offsets(), that.table.offsets())
        && Arrays.equals(table.text(), that.table.text());
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(table.text());
  }

  @Override
  public String toString() {
    return "Labels(" + size() + " names)";
  }
}
