// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.Ranking;

/**
 * The bridge to DJL of src/doc/files.md: embeddings of a PyTorch model in, the likeliest outputs
 * out.
 */
final class DjlBridge {
  private DjlBridge() {}

  // example: djl
  static Ranking topK(NDArray embeddings, HierarchicalSoftmax softmax, int k) {
    try (FloatTensor x = wrap(embeddings)) {
      return softmax.topK(x, k);
    }
  }

  /** The array's own memory where PyTorch has it in order; to be closed before the array is. */
  static FloatTensor wrap(NDArray array) {
    if (array.getDataType() != DataType.FLOAT32) {
      throw new IllegalArgumentException("array: expected FLOAT32 but was " + array.getDataType());
    }
    ByteBuffer memory = array.toByteBuffer(true).order(ByteOrder.nativeOrder());
    return FloatTensor.wrap(memory, array.getShape().getShape());
  }

  // end of example
}
