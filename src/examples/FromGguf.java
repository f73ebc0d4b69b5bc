///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.*;
import java.nio.file.*;
import org.blocksparse.*;
import org.blocksparse.io.*;
import org.blocksparse.products.*;

class FromGguf {
  public static void main(String[] args) throws IOException {
    Path file = Files.write(Files.createTempFile("model", ".gguf"), small());
    try (var model = GgufFile.open(file);
        var W = model.weights("blk.0.ffn_up.weight");
        var h = FloatTensor.of(new float[64], 2, 1, 32); // two rows of 32 numbers
        var plan = BlockPlan.dense(2)) {
      System.out.println(model.metadata()); // {general.architecture=llama}
      System.out.println(model.tensors().keySet()); // [blk.0.ffn_up.weight]
      System.out.println(W); // Weights(1, 1, 32, 2) of Q8_0
      h.set(1, 1, 0, 3); // input 3 of row 1
      try (var out = SparseBlockDot.apply(W, h, plan, Epilogue.none())) {
        System.out.println(out.get(1, 0, 0) + " and " + out.get(1, 0, 1)); // 3.0 and 1.5
      }
    }
    Files.delete(file);
  }

  /** A model of one matrix of Q8_0, (out, in) = (2, 32). */
  static byte[] small() {
    ByteBuffer bytes = ByteBuffer.allocate(256).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put("GGUF".getBytes()).putInt(3).putLong(1).putLong(1); // a tensor and a key
    text(bytes, "general.architecture").putInt(8); // a string
    text(bytes, "llama");
    text(bytes, "blk.0.ffn_up.weight").putInt(2).putLong(32).putLong(2);
    bytes.putInt(8).putLong(0); // Q8_0, at the beginning of the data
    bytes.position((bytes.position() + 31) / 32 * 32);
    for (short scale : new short[] {0x3c00, 0x3800}) { // 1 and 0.5
      bytes.putShort(scale);
      for (byte i = 0; i < 32; i++) {
        bytes.put(i);
      }
    }
    return bytes.array();
  }

  static ByteBuffer text(ByteBuffer bytes, String text) {
    return bytes.putLong(text.length()).put(text.getBytes());
  }
}
