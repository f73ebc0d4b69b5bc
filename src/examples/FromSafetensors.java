///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.*;
import java.util.*;
import org.blocksparse.*;
import org.blocksparse.experts.*;
import org.blocksparse.io.*;

class FromSafetensors {
  static final String LAYER = "model.layers.5.mlp.";
  static final String CONFIG =
      """
      {"model_type": "qwen2_moe", "num_experts_per_tok": 1, "norm_topk_prob": true}
      """;

  public static void main(String[] args) throws IOException {
    Path folder = Files.createTempDirectory("model");
    Path config = Files.writeString(folder.resolve("config.json"), CONFIG);
    Path file = folder.resolve("model.safetensors");
    TensorFile.save(file, small());
    try (var model = HuggingFaceModel.open(folder);
        var experts = MixtureOfExperts.of(model, 5, ElementType.Q8_0); // those of layer 5
        var token = FloatTensor.zeros(1, 32);
        var out = FloatTensor.zeros(1, 32)) {
      System.out.println(experts.experts() + " of " + experts.weightType()); // 2 of Q8_0
      token.fill(1 / 32f);
      experts.apply(token, out);
      System.out.println(Math.round(1000 * out.get(0, 5))); // 1462
    }
    for (Path path : List.of(config, file, folder)) {
      Files.delete(path);
    }
  }

  /** A layer of a model: two experts, 32 -> 32 -> 32, a shared one, 32 -> 64 -> 32, and gates. */
  static Map<String, FloatTensor> small() {
    Map<String, FloatTensor> all = new TreeMap<>();
    all.put(LAYER + "gate.weight", filled(1, 2, 32));
    for (int expert = 0; expert < 2; expert++) {
      String prefix = LAYER + "experts." + expert;
      all.put(prefix + ".gate_proj.weight", filled(1, 32, 32));
      all.put(prefix + ".up_proj.weight", filled(1, 32, 32));
      all.put(prefix + ".down_proj.weight", filled(1 / 32f, 32, 32));
    }
    all.put(LAYER + "shared_expert_gate.weight", filled(0, 1, 32));
    all.put(LAYER + "shared_expert.gate_proj.weight", filled(1, 64, 32));
    all.put(LAYER + "shared_expert.up_proj.weight", filled(1, 64, 32));
    all.put(LAYER + "shared_expert.down_proj.weight", filled(1 / 32f, 32, 64));
    return all;
  }

  static FloatTensor filled(float value, long... dims) {
    FloatTensor tensor = FloatTensor.zeros(dims);
    tensor.fill(value);
    return tensor;
  }
}
