// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.internal.tensors.Check;

/**
 * The rows of one side of a plan, one for each block that a sample selects: those of h, of the
 * output, or of their gradients.
 *
 * @param side the index tensor that selects the blocks if each sample selects its own number
 * @param batch the number of samples
 * @param window the number of rows of each sample, or {@link #RAGGED}
 * @param count the number of all rows
 */
record SelectedRows(String side, int batch, int window, int count) {
  static final int RAGGED = -1;

  /** Returns whether each sample has its own number of rows. */
  boolean isRagged() {
    return window == RAGGED;
  }

  /** Returns the shape of a tensor of these rows, of {@code size} elements each. */
  Shape shape(long size) {
    return Shape.of(dimensions(size));
  }

  private long[] dimensions(long size) {
    return isRagged() ? new long[] {count, size} : new long[] {batch, window, size};
  }

  /**
   * Requires that a tensor has the shape of these rows, of {@code size} elements each.
   *
   * @param words the names of its dimensions where samples have equally many rows: "(batch, iWin,
   *     iSize)", for instance
   */
  void require(String name, FloatTensor tensor, String words, long size) {
    Check.shape(name, tensor, wordsOf(words), dimensions(size));
  }

  /** Returns the shape of a tensor with a number for each of these rows. */
  Shape shape() {
    return isRagged() ? Shape.of(count) : Shape.of(batch, window);
  }

  /**
   * Requires that a tensor has one element for each of these rows; words as for rows, without the
   * size.
   */
  void requireElements(String name, FloatTensor tensor, String words) {
    if (isRagged()) {
      Check.shape(name, tensor, "(entries of " + side + ")", count);
    } else {
      Check.shape(name, tensor, words, batch, window);
    }
  }

  /** Requires that a tensor has the shape of these rows, of any size. Returns the size. */
  long requireAnySize(String name, FloatTensor tensor, String words) {
    int rank = isRagged() ? 2 : 3;
    Check.rank(name, tensor, wordsOf(words), rank);
    long size = tensor.shape().dim(rank - 1);
    require(name, tensor, words, size);
    return size;
  }

  private String wordsOf(String words) {
    return isRagged() ? "(entries of " + side + words.substring(words.lastIndexOf(',')) : words;
  }
}
