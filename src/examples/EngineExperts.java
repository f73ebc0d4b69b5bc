///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.*;
import java.nio.file.*;
import java.util.*;
import org.blocksparse.*;
import org.blocksparse.experts.*;
import org.blocksparse.io.*;

class EngineExperts {
  public static void main(String[] args) throws IOException {
    Path file = Files.write(Files.createTempFile("model", ".gguf"), small());
    float[] rows = new float[3 * 32]; // the hidden states of three tokens
    Arrays.fill(rows, 1 / 32f);
    try (var model = GgufFile.open(file);
        var experts = MixtureOfExperts.of(model, 0); // those of block 0
        var x = FloatTensor.of(rows, 3, experts.inputs());
        var out = experts.apply(x)) {
      System.out.println(Math.round(1000 * out.get(2, 5))); // 731
      System.out.println(experts.gate()); // TopKGate(1 of 2)
    }
    Files.delete(file);
  }

  /** Block 0 of a model like Mixtral: two experts of Q8_0, 32 -> 32 -> 32, and their gate. */
  static byte[] small() {
    ByteBuffer bytes = ByteBuffer.allocate(1 << 14).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put("GGUF".getBytes()).putInt(3).putLong(4).putLong(2); // tensors and keys
    text(text(bytes, "general.architecture").putInt(8), "llama"); // a string
    text(bytes, "llama.expert_used_count").putInt(4).putInt(1); // a number
    tensor(bytes, "gate_inp", 2).putLong(32).putLong(2).putInt(0).putLong(0); // F32
    long begin = 2 * 32 * 4;
    for (String name : new String[] {"gate_exps", "up_exps", "down_exps"}) {
      tensor(bytes, name, 3).putLong(32).putLong(32).putLong(2).putInt(8).putLong(begin); // Q8_0
      begin += 2 * 32 * 34;
    }
    bytes.position((bytes.position() + 31) / 32 * 32 + 2 * 32 * 4); // the gate likes both
    for (int row = 0; row < 3 * 2 * 32; row++) {
      bytes.putShort((short) (row < 2 * 2 * 32 ? 0x3c00 : 0x2800)); // 1, of down 1/32
      for (int i = 0; i < 32; i++) {
        bytes.put((byte) 1);
      }
    }
    return bytes.array();
  }

  static ByteBuffer tensor(ByteBuffer bytes, String name, int dimensions) {
    return text(bytes, "blk.0.ffn_" + name + ".weight").putInt(dimensions);
  }

  static ByteBuffer text(ByteBuffer bytes, String text) {
    return bytes.putLong(text.length()).put(text.getBytes());
  }
}
