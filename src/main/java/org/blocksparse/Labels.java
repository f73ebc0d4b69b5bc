// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;

import java.nio.charset.CharacterCodingException;
import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.blocksparse.internal.format.NameTable;
import org.blocksparse.internal.format.SafeTensorsWriter;

/**
 * The names of outputs: strings by number, and numbers by string. A {@link HierarchicalSoftmax}
 * that has them saves them in its file, and shows them in its {@link Ranking}s and {@link
 * Explanation}s.
 *
 * <p>A million names take as much memory as their letters and eight bytes each; there is no object
 * for each of them.
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
   * @throws IllegalArgumentException if two are the same, if one is no text since it holds half of
   *     a pair of surrogates, or if together they have more than 2<sup>31</sup> - 9 bytes in UTF-8
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

  /** How many there are: outputs [0, size) have names. */
  public int size() {
    return table.size();
  }

  /**
   * The name of an output.
   *
   * @throws IndexOutOfBoundsException if it has none
   * @throws IllegalStateException if it is from a mapped file, which is not checked, and no text
   */
  public String name(int output) {
    try {
      return table.name(requireNamed(output));
    } catch (CharacterCodingException e) {
      throw new IllegalStateException("labels: the name of output " + output + " is not UTF-8", e);
    }
  }

  private int requireNamed(int output) {
    if (output < 0 || output >= size()) {
      throw new IndexOutOfBoundsException(
          "output " + output + " has no name, those in [0, " + size() + ") have");
    }
    return output;
  }

  /** The output that has a name; -1 if there is none. */
  public int output(String name) {
    return SafeTensorsWriter.isText(requireNonNull(name, "name"))
        ? table.find(name.getBytes(UTF_8))
        : -1; // getBytes would make a question mark of half a pair
  }

  /** All names, as a list that makes each string when it is asked for. */
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
   * These, and names of the outputs that follow.
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
   * These, but with another name for an output that has one: what has its number now, for instance,
   * when it was {@linkplain TwoLevelLayer#reuse reused}.
   *
   * @throws IndexOutOfBoundsException if the output has no name
   * @throws IllegalArgumentException as {@link #of(List)}
   */
  public Labels withName(int output, String name) {
    requireNonNull(name, "name");
    String[] all = names().toArray(new String[0]);
    all[requireNamed(output)] = name;
    return of(all);
  }

  /**
   * These, for that many outputs.
   *
   * @throws IllegalArgumentException if there are more
   */
  Labels forAtMost(int outputs) {
    if (size() > outputs) {
      throw new IllegalArgumentException(
          "labels: expected at most " + outputs + " names but was " + size());
    }
    return this;
  }

  /**
   * Those of a layer.
   *
   * @throws IllegalStateException if it has none: they are null
   */
  static Labels orThrow(Labels ofLayer) {
    if (ofLayer == null) {
      throw new IllegalStateException("layer: has no labels");
    }
    return ofLayer;
  }

  /** The names as they are in files. */
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
