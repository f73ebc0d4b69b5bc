// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.util.ArrayList;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.memory.Scratch;

/**
 * Closes tensors and keeps references to them: together they exceed direct memory. Then asks for
 * more than is free besides memory that is waiting for reuse.
 */
public final class ClosedTensorsProgram {
  private ClosedTensorsProgram() {}

  public static void main(String[] args) {
    List<FloatTensor> closed = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      FloatTensor tensor = FloatTensor.zeros(1 << 20);
      tensor.fill(1);
      tensor.close();
      closed.add(tensor);
    }
    if (closed.stream().filter(FloatTensor::isClosed).count() != 40) {
      throw new IllegalStateException("not all are closed");
    }
    Scratch.borrow(1 << 22).close();
    FloatTensor.zeros(6 << 20).close();
    System.out.println("lives on");
  }
}
