// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.List;
import org.blocksparse.Tensor;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.TensorState;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.softmax.TwoLevelLayer;

/** The state of an object that later calls depend on, without closed memory. */
public final class Snapshot {
  /** As many ranks as metrics of random calls have. */
  private static final int RANKS = 8;

  /** More elements than tensors of random calls have. */
  private static final int MOST_ELEMENTS = 1_000;

  private Snapshot() {}

  /** Returns the bits of all elements, as an object with equality; null if the tensor is closed. */
  public static Object of(Tensor tensor) {
    return tensor.isClosed() ? null : bits(Reachable.of(Storage.class, tensor).get(0));
  }

  /**
   * Returns the whole state: memory and numbers, the state of the optimizer, counters and caches.
   */
  public static Object of(Object object) {
    List<Object> all = new ArrayList<>();
    Reachable.of(Storage.class, object).forEach(memory -> all.add(bits(memory)));
    Reachable.of(float[].class, object)
        .forEach(floats -> all.add(FloatBuffer.wrap(floats.clone())));
    Reachable.of(int[].class, object).forEach(ints -> all.add(IntBuffer.wrap(ints.clone())));
    Reachable.of(byte[].class, object).forEach(bytes -> all.add(ByteBuffer.wrap(bytes.clone())));
    for (LayerState state : Reachable.of(LayerState.class, object)) {
      all.add(state.kind());
      for (TensorState ofTensor : Reachable.of(TensorState.class, state)) {
        all.add(IntBuffer.wrap(ofTensor.steps()));
        Reachable.of(Storage.class, ofTensor).forEach(memory -> all.add(bits(memory)));
      }
    }
    if (object instanceof TwoLevelLayer<?> layer) {
      all.add(layer.steps());
      all.add(layer.assignment());
      all.add(layer.hasLabels() ? layer.labels() : null);
    } else if (object instanceof LayerPart<?> part) {
      all.add(bytes(part));
    } else if (object instanceof Metrics metrics) {
      addMetrics(metrics, all);
    }
    return all;
  }

  private static Object bits(Storage memory) {
    if (memory.elements() > MOST_ELEMENTS || !memory.acquire()) {
      return null;
    }
    try {
      int[] bits = new int[(int) memory.elements()];
      memory.getInts(0, bits, 0, bits.length);
      return IntBuffer.wrap(bits);
    } finally {
      memory.release();
    }
  }

  /** Returns the bytes of a part with the number of its steps, which nothing else shows. */
  private static Object bytes(LayerPart<?> part) {
    try {
      return ByteBuffer.wrap(part.toBytes());
    } catch (IllegalStateException e) {
      return null; // the part is closed, or not finite
    }
  }

  private static void addMetrics(Metrics metrics, List<Object> all) {
    all.add(metrics.rows());
    all.add(metrics.rowsWithoutLabels());
    for (int k = 1; k <= RANKS; k++) {
      try {
        all.add(List.of(metrics.precision(k), metrics.recall(k), metrics.ndcg(k)));
      } catch (IllegalArgumentException e) {
        return; // the rank exceeds those that it counts
      }
    }
  }
}
