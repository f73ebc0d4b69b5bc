// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;

/**
 * Tensors over memory with a band of sentinels on both sides. {@link #check} finds writes there;
 * reads there return NaN, which poisons the result. The memory begins at an odd multiple of four
 * bytes, so that nothing can rely on alignment.
 */
public final class Guarded implements AutoCloseable {
  private static final int BAND = 67;
  private static final int SENTINEL = 0x7FC0DEAD;

  private record Memory(String name, ByteBuffer bytes) {}

  private final List<Memory> memories = new ArrayList<>();
  private final List<FloatTensor> tensors = new ArrayList<>();

  /** Returns a tensor with a copy of the values, closed with this. */
  public FloatTensor of(String name, float[] values, long... dims) {
    FloatTensor tensor =
        Backend.isNative() ? wrap(name, values, dims) : FloatTensor.of(values, dims);
    tensors.add(tensor);
    return tensor;
  }

  private FloatTensor wrap(String name, float[] values, long... dims) {
    ByteBuffer bytes =
        ByteBuffer.allocateDirect(4 * (values.length + 2 * BAND)).order(ByteOrder.nativeOrder());
    for (int i = 0; i < BAND; i++) {
      bytes.putInt(4 * i, SENTINEL);
      bytes.putInt(4 * (BAND + values.length + i), SENTINEL);
    }
    memories.add(new Memory(name, bytes));
    FloatBuffer floats = bytes.asFloatBuffer().slice(BAND, values.length);
    floats.put(0, values);
    return FloatTensor.wrap(floats, dims);
  }

  /** Returns a tensor full of NaN: for outputs whose content must not matter. */
  public FloatTensor nan(String name, long... dims) {
    int size = 1;
    for (long dim : dims) {
      size = Math.toIntExact(size * dim);
    }
    float[] values = new float[size];
    java.util.Arrays.fill(values, Float.NaN);
    return of(name, values, dims);
  }

  /** Fails if a sentinel was overwritten. */
  public void check() {
    for (Memory memory : memories) {
      int elements = memory.bytes.capacity() / 4 - 2 * BAND;
      for (int i = 0; i < BAND; i++) {
        check(memory, -1 - i, BAND - 1 - i);
        check(memory, elements + i, BAND + elements + i);
      }
    }
  }

  private static void check(Memory memory, int element, int at) {
    int found = memory.bytes.getInt(4 * at);
    if (found != SENTINEL) {
      throw new AssertionError(
          memory.name
              + ": element "
              + element
              + ", outside of the tensor, was overwritten with "
              + Float.intBitsToFloat(found)
              + " (0x"
              + Integer.toHexString(found)
              + ")");
    }
  }

  /** Checks the sentinels and closes the tensors. */
  @Override
  public void close() {
    check();
    tensors.forEach(FloatTensor::close);
  }
}
