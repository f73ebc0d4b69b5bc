// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.Ranking;

/** The README's bridge to DJL: embeddings of a PyTorch model in, the likeliest outputs out. */
final class DjlBridge {
  private DjlBridge() {}

  /**
   * The array's own memory as a tensor, to be used while the array is open. An array that is not
   * contiguous must become so first.
   */
  static FloatTensor view(NDArray array) {
    ByteBuffer memory = array.toByteBuffer(true).order(ByteOrder.nativeOrder());
    return FloatTensor.wrap(memory, array.getShape().getShape());
  }

  /** Fails when a write through the tensor does not reach PyTorch, or the answers differ. */
  public static void main(String[] args) {
    try (NDManager manager = NDManager.newBaseManager("PyTorch");
        HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(8, 100).build()) {
      NDArray embeddings = manager.randomNormal(new Shape(4, 8));
      try (FloatTensor x = view(embeddings);
          FloatTensor copy = FloatTensor.of(embeddings.toFloatArray(), 4, 8)) {
        Ranking shared = softmax.topK(x, 5);
        Ranking copied = softmax.topK(copy, 5);
        for (int row = 0; row < shared.batch(); row++) {
          require(Arrays.equals(shared.outputs(row), copied.outputs(row)), "other answers");
        }
        x.set(42, 3, 7);
        require(embeddings.getFloat(3, 7) == 42, "the memory is not shared");
      }
    }
    System.out.println("DJL: shared memory, same answers");
  }

  private static void require(boolean condition, String otherwise) {
    if (!condition) {
      throw new IllegalStateException(otherwise);
    }
  }
}
