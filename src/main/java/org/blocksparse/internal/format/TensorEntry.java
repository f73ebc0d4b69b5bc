// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.format;

/**
 * A tensor of a safetensors file.
 *
 * @param begin where it begins, in bytes from where the data of the file begins
 * @param size the number of its elements
 */
public record TensorEntry(String name, Dtype type, long[] dims, long begin, long size) {
  /** The bytes of its elements. */
  public long bytes() {
    return size * type.bytes();
  }

  /** Where it ends, as {@link #begin}. */
  long end() {
    return begin + bytes();
  }

  /** Type and dimensions, as they are told in messages. */
  String text() {
    return type + " " + Dimensions.text(dims);
  }
}
