// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.weights.GgmlType;

/**
 * A tensor of a GGUF file.
 *
 * @param typeName its type, by ggml's name
 * @param dims outermost first, the reverse of the order in the file
 * @param position its first byte in the file
 * @param bytes the bytes of its elements; of {@link GgmlType#OTHER}, what it may have at most
 */
record GgufEntry(
    String name, GgmlType type, String typeName, long[] dims, long position, long bytes) {
  /** Returns the end of the tensor in the file. */
  long end() {
    return position + bytes;
  }

  /** Returns type and dimensions, for messages. */
  public String text() {
    return typeName + " " + Dimensions.text(dims);
  }
}
