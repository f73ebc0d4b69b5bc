///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT
//JAVA 22+

import java.lang.foreign.*;
import org.blocksparse.*;

class WrapSegment {
  public static void main(String[] args) {
    try (var arena = Arena.ofShared()) {
      MemorySegment segment = arena.allocate(4 * 6, 64);
      segment.setAtIndex(ValueLayout.JAVA_FLOAT, 5, 9);
      try (var tensor = wrap(segment, 2, 3)) {
        System.out.println(tensor.get(1, 2)); // 9.0
        tensor.set(4, 0, 1);
        System.out.println(segment.getAtIndex(ValueLayout.JAVA_FLOAT, 1)); // 4.0
      }
      // A matrix of a model in bfloat16, (out, in) = (2, 3), is weights of 3 inputs and 2 outputs.
      MemorySegment model = arena.allocate(2 * 6, 64);
      model.setAtIndex(ValueLayout.JAVA_SHORT, 5, (short) 0x40e0);
      try (var rows = wrap(model, ElementType.BFLOAT16, 1, 1, 2, 3);
          var floats = rows.transposeBlocks().widened()) {
        System.out.println(floats.get(0, 0, 2, 1)); // 7.0
      }
    }
  }

  static FloatTensor wrap(MemorySegment segment, long... dims) {
    if (!segment.isNative() || segment.isReadOnly() || !segment.scope().isAlive()) {
      throw new IllegalArgumentException("segment: expected native memory, writable and open");
    }
    return FloatTensor.wrapAddress(segment.address(), segment.byteSize(), segment, dims);
  }

  static Weights wrap(MemorySegment segment, ElementType type, long... dims) {
    if (!segment.isNative() || !segment.scope().isAlive()) {
      throw new IllegalArgumentException("segment: expected native memory, open");
    }
    return Weights.wrapAddress(segment.address(), segment.byteSize(), segment, type, dims);
  }
}
