// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.blocksparse.SparseRows;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.testing.Data;

/**
 * A filter of any kind, or several of them, and the outputs that it allows in each row.
 *
 * @param rows the rows of the filter, which must be closed
 */
public record RandomFilter(Filter filter, List<SparseRows> rows, BitSet[] allowed)
    implements AutoCloseable {
  /** Returns a random filter of outputs with these classes. */
  public static RandomFilter of(ClassAssignment assignment, int batch, Data data) {
    RandomFilter filter = one(assignment, batch, data);
    for (int more = data.oneOf(0, 0, 0, 1, 1, 2); more > 0; more--) {
      filter = filter.and(one(assignment, batch, data));
    }
    return filter;
  }

  private enum Kind {
    LIST,
    BITS,
    ROWS
  }

  private static RandomFilter one(ClassAssignment assignment, int batch, Data data) {
    boolean only = data.below(2) == 0;
    Kind kind = data.oneOf(Kind.LIST, Kind.BITS, Kind.ROWS, Kind.ROWS);
    int[][] lists = new int[batch][];
    int[] shared = list(assignment, data);
    BitSet[] allowed = new BitSet[batch];
    for (int row = 0; row < batch; row++) {
      lists[row] = kind == Kind.ROWS ? list(assignment, data) : shared;
      allowed[row] = bits(lists[row]);
      if (!only) {
        allowed[row].flip(0, assignment.outputs());
      }
    }
    return switch (kind) {
      case LIST ->
          new RandomFilter(only ? Filter.only(shared) : Filter.without(shared), List.of(), allowed);
      case BITS ->
          new RandomFilter(
              only ? Filter.only(bits(shared)) : Filter.without(bits(shared)), List.of(), allowed);
      case ROWS -> {
        SparseRows rows = SparseRows.of(Arrays.asList(lists));
        yield new RandomFilter(
            only ? Filter.only(rows) : Filter.without(rows), List.of(rows), allowed);
      }
    };
  }

  private static BitSet bits(int[] outputs) {
    BitSet bits = new BitSet();
    Arrays.stream(outputs).forEach(bits::set);
    return bits;
  }

  /** Returns single outputs, whole classes or everything: in any order, with repeats. */
  private static int[] list(ClassAssignment assignment, Data data) {
    List<Integer> outputs = new ArrayList<>();
    int pieces = data.oneOf(0, 1, 3, 10, 100);
    for (int i = 0; i < pieces; i++) {
      if (data.below(4) > 0) {
        outputs.add(data.below(assignment.outputs()));
      } else {
        int c = data.below(assignment.classCount());
        for (int slot = assignment.size(c) - 1; slot >= 0; slot--) {
          outputs.add(assignment.output(c, slot));
        }
      }
    }
    if (data.below(12) == 0) {
      for (int output = 0; output < assignment.outputs(); output++) {
        outputs.add(output);
      }
    }
    return outputs.stream().mapToInt(Integer::intValue).toArray();
  }

  private RandomFilter and(RandomFilter other) {
    List<SparseRows> all = new ArrayList<>(rows);
    all.addAll(other.rows);
    for (int row = 0; row < allowed.length; row++) {
      allowed[row].and(other.allowed[row]);
    }
    return new RandomFilter(filter.and(other.filter), all, allowed);
  }

  /** Returns all allowed outputs of a row, in the order of {@code sorted}. */
  public int[] of(int row, int[] sorted) {
    return Arrays.stream(sorted).filter(allowed[row]::get).toArray();
  }

  /** Returns the number of classes that can be opened. */
  public int classes(ClassAssignment assignment, int row) {
    return (int) allowed[row].stream().map(assignment::classOf).distinct().count();
  }

  @Override
  public void close() {
    rows.forEach(SparseRows::close);
  }
}
