// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import org.blocksparse.internal.memory.GrowingArrays;

/**
 * A tensor of a safetensors file.
 *
 * @param typeName its type as the file names it
 * @param begin the offset of its first byte in the data of the file
 * @param bytes the bytes of its elements
 */
public record TensorEntry(String name, String typeName, long[] dims, long begin, long bytes) {
  /** Returns a tensor of a type that this library knows. */
  static TensorEntry of(String name, Dtype type, long[] dims, long begin) {
    int elementBytes = type.bytes();
    long size = Dimensions.size(dims, elementBytes);
    return new TensorEntry(name, type.name(), dims, begin, size * elementBytes);
  }

  /** Returns the tensor under another name. */
  TensorEntry named(String other) {
    return new TensorEntry(other, typeName, dims, begin, bytes);
  }

  /** Returns the type of the tensor. */
  public Dtype type() {
    return Dtype.named(typeName);
  }

  /** Returns the number of its elements; of {@link Dtype#OTHER}, of its bytes. */
  public long size() {
    return bytes / type().bytes();
  }

  /** Returns where it ends, as {@link #begin}. */
  long end() {
    return begin + bytes;
  }

  /** Returns type and dimensions, for messages. */
  String text() {
    return MalformedException.excerpt(typeName) + " " + Dimensions.text(dims);
  }

  /** Returns a dimension of a layer, as builders allow it. */
  public int dimension(int axis) throws MalformedException {
    long dim = dims[axis];
    if (dim < 1 || dim > GrowingArrays.MAX_LENGTH) {
      throw new MalformedException(
          name, "dimension " + axis + " of " + Dimensions.text(dims) + " is 0 or too large");
    }
    return (int) dim;
  }
}
