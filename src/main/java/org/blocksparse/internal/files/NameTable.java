// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.Objects.requireNonNull;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.blocksparse.ranking.Labels;

/**
 * Names by number, and numbers by name, in three arrays instead of an object for each.
 *
 * <p>Names are one UTF-8 text. They are found by binary search in an order that is computed once:
 * by hash, so that the text is rarely read, and for equal hashes by their bytes, so that no choice
 * of names makes a search slow. Files store all three unchanged. Immutable: nobody changes the
 * arrays.
 */
public final class NameTable implements Labels {
  private static final int PIECE = 1 << 13;

  private final byte[] text;

  /** Name i is bytes [offsets[i], offsets[i + 1]) of the text. */
  private final int[] offsets;

  /** The numbers of all names by hash, then by bytes. */
  private final int[] order;

  private NameTable(byte[] text, int[] offsets, int[] order) {
    this.text = text;
    this.offsets = offsets;
    this.order = order;
  }

  /** Returns the only implementation of labels; null for null. */
  public static NameTable from(Labels labels) {
    return (NameTable) labels;
  }

  /** Returns a table of names; see {@link Labels#of(List)}. */
  public static NameTable of(List<String> names) {
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
    NameTable table = of(Arrays.copyOf(text, offsets[i]), offsets);
    int[] same = table.duplicate();
    if (same != null) {
      throw new IllegalArgumentException(
          "names[" + same[1] + "]: is the same as names[" + same[0] + "]");
    }
    return table;
  }

  /**
   * Returns a table of names, in which duplicates are not looked for.
   *
   * @param offsets the offsets, from 0 to the length of the text, never falling
   */
  public static NameTable of(byte[] text, int[] offsets) {
    int count = offsets.length - 1;
    long[] keys = new long[count];
    for (int i = 0; i < count; i++) {
      keys[i] = (long) hash(text, offsets[i], offsets[i + 1]) << 32 | i;
    }
    Arrays.sort(keys);
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      order[i] = (int) keys[i];
    }
    NameTable table = new NameTable(text, offsets, order);
    for (int begin = 0; begin < count; ) {
      int end = begin + 1;
      while (end < count && keys[end] >> 32 == keys[begin] >> 32) {
        end++;
      }
      if (end - begin > 1) {
        table.sortByBytes(begin, end);
      }
      begin = end;
    }
    return table;
  }

  private void sortByBytes(int begin, int end) {
    Integer[] run = new Integer[end - begin];
    Arrays.setAll(run, i -> order[begin + i]);
    Arrays.sort(run, this::compareBytes);
    Arrays.setAll(run, i -> order[begin + i] = run[i]);
  }

  /**
   * Requires that offsets from a file fit a text of that many bytes, which need not be read yet.
   *
   * @throws MalformedException if they do not
   */
  public static void requireOffsets(int[] offsets, long textBytes) throws MalformedException {
    int before = 0;
    for (int i = 0; i < offsets.length; i++) {
      if (offsets[i] < before || (i == 0 && offsets[i] != 0)) {
        throw new MalformedException(
            "labels.offsets",
            "element " + i + " = " + offsets[i] + (i == 0 ? " is not 0" : " falls"));
      }
      before = offsets[i];
    }
    if (before != textBytes) {
      throw new MalformedException(
          "labels.offsets", "ends with " + before + ", the text with " + textBytes);
    }
  }

  /**
   * Returns a table from a file. Checks only that no access leaves the arrays.
   *
   * @param offsets the offsets, checked by {@link #requireOffsets}
   * @throws MalformedException if one might
   */
  public static NameTable read(byte[] text, int[] offsets, int[] order) throws MalformedException {
    for (int i = 0; i < order.length; i++) {
      if (order[i] < 0 || order[i] >= order.length) {
        throw new MalformedException(
            "labels.order", "element " + i + " = " + order[i] + " is no number of a name");
      }
    }
    return new NameTable(text, offsets, order);
  }

  /**
   * Checks that all names are valid texts, no two are equal, and all are found.
   *
   * @throws MalformedException if not
   */
  public void check() throws MalformedException {
    checkText();
    int hashBefore = 0;
    for (int i = 0; i < order.length; i++) {
      int hash = hash(order[i]);
      int compared = i == 0 ? -1 : Integer.compare(hashBefore, hash);
      if (compared == 0) {
        compared = compareBytes(order[i - 1], order[i]);
      }
      if (compared > 0) {
        throw new MalformedException("labels.order", "element " + i + " is out of order");
      }
      if (compared == 0) {
        throw new MalformedException(
            "labels.text", "names " + order[i - 1] + " and " + order[i] + " are the same");
      }
      hashBefore = hash;
    }
  }

  /** Checks that the text is UTF-8 as a whole, and no name begins within a letter. */
  private void checkText() throws MalformedException {
    CharsetDecoder decoder = UTF_8.newDecoder();
    ByteBuffer bytes = ByteBuffer.wrap(text);
    CharBuffer letters = CharBuffer.allocate(PIECE);
    CoderResult result;
    do {
      result = decoder.decode(bytes, letters.clear(), true);
    } while (result.isOverflow());
    int wrong = result.isError() ? bytes.position() : text.length;
    for (int i = 0; i < size(); i++) {
      boolean within = offsets[i] < text.length && (text[offsets[i]] & 0xC0) == 0x80;
      if (within || (offsets[i] <= wrong && wrong < offsets[i + 1])) {
        throw new MalformedException("labels.text", "name " + i + " is not UTF-8");
      }
    }
  }

  @Override
  public int size() {
    return offsets.length - 1;
  }

  @Override
  public String name(int output) {
    if (output < 0 || output >= size()) {
      throw new IndexOutOfBoundsException(
          "output " + output + " has no name, those in [0, " + size() + ") have");
    }
    try {
      return decode(output);
    } catch (CharacterCodingException e) {
      throw new IllegalStateException("labels: the name of output " + output + " is not UTF-8", e);
    }
  }

  private String decode(int number) throws CharacterCodingException {
    int begin = offsets[number];
    return UTF_8
        .newDecoder()
        .decode(ByteBuffer.wrap(text, begin, offsets[number + 1] - begin))
        .toString();
  }

  @Override
  public int output(String name) {
    return SafeTensorsWriter.isText(requireNonNull(name, "name"))
        ? find(name.getBytes(UTF_8))
        : -1; // getBytes would turn half of a surrogate pair into a question mark
  }

  @Override
  public List<String> names() {
    return new Names();
  }

  private final class Names extends AbstractList<String> {
    @Override
    public String get(int index) {
      return name(Objects.checkIndex(index, NameTable.this.size()));
    }

    @Override
    public int size() {
      return NameTable.this.size();
    }
  }

  @Override
  public Labels with(String... more) {
    String[] all = names().toArray(new String[0]);
    String[] both = Arrays.copyOf(all, all.length + requireNonNull(more, "more").length);
    System.arraycopy(more, 0, both, all.length, more.length);
    return of(Arrays.asList(both));
  }

  /**
   * Checks that there are as many names as outputs, and returns these names.
   *
   * @throws IllegalArgumentException if there are more or fewer
   */
  public NameTable forAll(int outputs) {
    if (size() != outputs) {
      throw new IllegalArgumentException(
          "labels: expected " + outputs + " names but was " + size());
    }
    return this;
  }

  /**
   * Returns the names of a layer.
   *
   * @throws IllegalStateException if the layer has no names (null)
   */
  public static Labels orThrow(Labels ofLayer) {
    if (ofLayer == null) {
      throw new IllegalStateException("layer: has no labels; setLabels names its outputs");
    }
    return ofLayer;
  }

  /** Returns the number of a name; -1 if there is none. */
  public int find(byte[] name) {
    int hash = hash(name, 0, name.length);
    int low = 0;
    int high = order.length;
    while (low < high) {
      int middle = (low + high) >>> 1;
      int compared = compare(order[middle], hash, name);
      if (compared == 0) {
        return order[middle];
      }
      if (compared < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return -1;
  }

  /** Returns two numbers of the same name, the smaller first; or null. */
  public int[] duplicate() {
    for (int i = 1; i < order.length; i++) {
      if (compareBytes(order[i - 1], order[i]) == 0) {
        int[] both = {order[i - 1], order[i]};
        Arrays.sort(both);
        return both;
      }
    }
    return null;
  }

  private int compare(int number, int hash, byte[] name) {
    int byHash = Integer.compare(hash(number), hash);
    return byHash != 0
        ? byHash
        : Arrays.compareUnsigned(text, offsets[number], offsets[number + 1], name, 0, name.length);
  }

  private int compareBytes(int number, int other) {
    return Arrays.compareUnsigned(
        text, offsets[number], offsets[number + 1], text, offsets[other], offsets[other + 1]);
  }

  private int hash(int number) {
    return hash(text, offsets[number], offsets[number + 1]);
  }

  /** Returns the 32-bit FNV-1a hash (Fowler, Noll and Vo) that files contain. */
  private static int hash(byte[] bytes, int begin, int end) {
    int hash = 0x811c9dc5;
    for (int i = begin; i < end; i++) {
      hash = (hash ^ (bytes[i] & 0xff)) * 0x01000193;
    }
    return hash;
  }

  /** Returns all names, one after the other; not to be changed. */
  public byte[] text() {
    return text;
  }

  /** Returns where names begin in the text, and the end of the last; not to be changed. */
  public int[] offsets() {
    return offsets;
  }

  /** Returns the order in which names are found; not to be changed. */
  public int[] order() {
    return order;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof NameTable that
        && Arrays.equals(offsets, that.offsets)
        && Arrays.equals(text, that.text);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(text);
  }

  @Override
  public String toString() {
    return "Labels(" + size() + " names)";
  }
}
