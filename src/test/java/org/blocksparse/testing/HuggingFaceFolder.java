// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/** A small model as Hugging Face publishes it, for calls of all methods. */
public final class HuggingFaceFolder {
  private HuggingFaceFolder() {}

  /**
   * Writes a matrix of ones, (3, 3), or of two alternating outputs, and a layer of three experts of
   * Mixtral, 3 -> 3 -> 3; beside them, by the names of Qwen.
   */
  public static Path write(Path folder, String matrix, boolean alternating, int layer)
      throws IOException {
    SafeTensorsBytes tensors = new SafeTensorsBytes();
    if (alternating) {
      tensors.put(matrix + "_blocks", "U8", new byte[32], 2, 1, 16);
      tensors.put(matrix + "_scales", "U8", new byte[] {127, 127}, 2, 1);
    } else {
      ones(tensors, matrix);
    }
    for (String prefix : new String[] {"", "model.layers." + layer + ".block_sparse_moe."}) {
      ones(tensors, prefix + "gate.weight");
      for (int e = 0; e < 3; e++) {
        String expert = prefix + "experts." + e + ".";
        ones(tensors, expert + (prefix.isEmpty() ? "gate_proj.weight" : "w1.weight"));
        ones(tensors, expert + (prefix.isEmpty() ? "up_proj.weight" : "w3.weight"));
        ones(tensors, expert + (prefix.isEmpty() ? "down_proj.weight" : "w2.weight"));
      }
    }
    tensors.write(folder.resolve("model.safetensors"));
    Files.writeString(
        folder.resolve("config.json"), "{\"model_type\": \"mixtral\", \"num_experts_per_tok\": 2}");
    return folder;
  }

  private static void ones(SafeTensorsBytes tensors, String name) {
    float[] ones = new float[9];
    Arrays.fill(ones, 1);
    tensors.floats(name, "F32", ones, 3, 3);
  }
}
