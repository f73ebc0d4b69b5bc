// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.Arrays;
import java.util.Objects;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.tensors.Check;

/**
 * The dimensions of a dense tensor, outermost first. A dimension may be 0: the tensor is then
 * empty. The number of elements is bounded by 2<sup>61</sup> - 1, so that no size in bytes
 * overflows.
 *
 * <p>Immutable.
 */
public final class Shape {
  private final long[] dims;
  private final long size;

  private Shape(long[] dims) {
    this.dims = dims;
    this.size = Dimensions.size(dims, 1);
  }

  /**
   * Returns a shape of the given dimensions; none at all gives the shape of a single number.
   *
   * @throws IllegalArgumentException if a dimension is negative, or if there are too many elements
   */
  public static Shape of(long... dims) {
    return new Shape(Objects.requireNonNull(dims, "dims").clone());
  }

  /** Returns the number of dimensions. */
  public int rank() {
    return dims.length;
  }

  /**
   * Returns the size of one dimension.
   *
   * @throws IndexOutOfBoundsException if {@code axis} is outside [0, rank)
   */
  public long dim(int axis) {
    return dims[Check.index("axis", axis, "rank", dims.length)];
  }

  /** Returns the number of elements: the product of all dimensions. */
  public long size() {
    return size;
  }

  /** Returns the dimensions in a new array. */
  public long[] toArray() {
    return dims.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Shape shape && Arrays.equals(dims, shape.dims);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(dims);
  }

  /** Returns the dimensions in parentheses, {@code (2, 4, 6)} for instance. */
  @Override
  public String toString() {
    return Dimensions.text(dims);
  }
}
