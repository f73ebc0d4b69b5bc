// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Weights;
import org.blocksparse.io.GgufFile;
import org.blocksparse.io.HuggingFaceModel;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.SafeTensorsBytes;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Experts that are loaded from models of Hugging Face. The layers that ggml computes, in files of
 * llama.cpp, are written by the names of transformers: the layers are equal to the bit.
 */
@ExtendWith(Seeded.class)
final class HuggingFaceExpertsTest {
  private static final int LAYER = 1;

  @TempDir private Path folder;

  private final SafeTensorsBytes tensors = new SafeTensorsBytes();
  private final Map<String, Object> config = new TreeMap<>();

  /** Writes the folder: tensors, and config.json. */
  private void write() throws IOException {
    tensors.write(folder.resolve("model.safetensors"));
    Files.writeString(
        folder.resolve("config.json"),
        config.entrySet().stream()
            .map(entry -> '"' + entry.getKey() + "\": " + json(entry.getValue()))
            .collect(Collectors.joining(", ", "{", "}")));
  }

  private static String json(Object value) {
    return value instanceof String text && !text.startsWith("{") ? '"' + text + '"' : "" + value;
  }

  private void put(String name, String type, float[] values, long... dims) {
    tensors.floats(name, type, values, dims);
  }

  /** Returns a tensor of a file of llama.cpp. */
  private static float[] of(GgufFile file, String name) throws IOException {
    try (FloatTensor floats = file.floats("blk.1." + name)) {
      return floats.toArray();
    }
  }

  private static boolean has(GgufFile file, String name) {
    return file.tensors().containsKey("blk.1." + name);
  }

  private static long[] dims(GgufFile file, String name) {
    return file.tensors().get("blk.1." + name).shape().toArray();
  }

  /** Writes a layer of a file of llama.cpp, which is not of gpt-oss, by the names of a model. */
  private void translate(GgufFile file, String root, String modelType) throws IOException {
    Architecture.Names names = Architecture.ofModelType(modelType).names();
    String prefix = root + "layers.1.";
    long[] gate = dims(file, "ffn_gate_inp.weight");
    put(prefix + names.of("gate.weight"), "F32", of(file, "ffn_gate_inp.weight"), gate);
    int experts = (int) gate[0];
    if (names.isFused()) {
      for (String part : new String[] {"gate_up", "down"}) {
        String tensor = "ffn_" + part + "_exps.weight";
        String name = prefix + "experts." + part + "_proj";
        put(name, "F32", of(file, tensor), dims(file, tensor));
      }
      put(prefix + "router.scale", "F32", of(file, "ffn_gate_inp.scale"), gate[1]);
      put(prefix + "router.per_expert_scale", "F32", of(file, "ffn_down_exps.scale"), experts);
      put(
          prefix + "pre_feedforward_layernorm_2.weight",
          "F32",
          of(file, "pre_ffw_norm_2.weight"),
          gate[1]);
      return;
    }
    for (String part : new String[] {"gate", "up", "down"}) {
      String tensor = "ffn_" + part + "_exps.weight";
      long[] dims = dims(file, tensor);
      float[] all = of(file, tensor);
      for (int e = 0; e < experts; e++) {
        float[] one = new float[all.length / experts];
        System.arraycopy(all, e * one.length, one, 0, one.length);
        String name = names.of("experts." + e + "." + part + "_proj.weight");
        put(prefix + name, "F32", one, dims[1], dims[2]);
      }
      String shared = "ffn_" + part + "_shexp.weight";
      if (has(file, shared)) {
        String name = names.of("shared_expert." + part + "_proj.weight");
        put(prefix + name, "F32", of(file, shared), dims(file, shared));
      }
    }
    if (has(file, "ffn_gate_inp_shexp.weight")) {
      String name = names.of("shared_expert_gate.weight");
      put(prefix + name, "F32", of(file, "ffn_gate_inp_shexp.weight"), 1, gate[1]);
    }
    if (has(file, "exp_probs_b.bias")) {
      String name = names.of("gate.e_score_correction_bias");
      put(prefix + name, "F32", of(file, "exp_probs_b.bias"), experts);
    }
  }

  private static GgufFile fixture(String name) throws IOException {
    return GgufFile.open(Path.of("src/test/resources/gguf/experts-" + name + ".gguf"));
  }

  /** Sets the keys of config.json, which a file of llama.cpp has by other names. */
  private void configure(GgufFile file, String modelType) throws IOException {
    Map<String, Object> keys = file.metadata();
    String architecture = keys.get("general.architecture") + ".";
    config.put("model_type", modelType);
    Map<String, String> others = new LinkedHashMap<>();
    others.put("embedding_length", "hidden_size");
    others.put(
        "expert_used_count", modelType.equals("gemma4") ? "top_k_experts" : "num_experts_per_tok");
    others.put("expert_feed_forward_length", "moe_intermediate_size");
    others.put("expert_count", "num_experts");
    others.put("expert_shared_count", "n_shared_experts");
    others.put("expert_group_count", "n_group");
    others.put("expert_group_used_count", "topk_group");
    others.put("expert_weights_scale", "routed_scaling_factor");
    others.put("expert_weights_norm", "norm_topk_prob");
    others.forEach(
        (gguf, key) -> {
          if (keys.containsKey(architecture + gguf)) {
            config.put(key, keys.get(architecture + gguf));
          }
        });
  }

  private static float[] floats(BlockMatrix parameter) {
    if (parameter instanceof FloatTensor floats) {
      return floats.toArray();
    }
    try (FloatTensor widened = ((Weights) parameter).widened()) {
      return widened.toArray();
    }
  }

  private static void assertEqual(MixtureOfExperts expected, MixtureOfExperts actual) {
    assertEquals(expected.toString(), actual.toString());
    if (expected.gate().gating().scales() != null) {
      assertArrayEquals(expected.gate().gating().scales(), actual.gate().gating().scales());
    }
    if (expected.gate().gating().choiceBias() != null) {
      assertArrayEquals(expected.gate().gating().choiceBias(), actual.gate().gating().choiceBias());
    }
    assertEquals(expected.parameters().keySet(), actual.parameters().keySet());
    expected
        .parameters()
        .forEach(
            (name, parameter) ->
                assertArrayEquals(floats(parameter), floats(actual.parameters().get(name)), name));
  }

  @ParameterizedTest
  @CsvSource({
    "llama, mixtral, model., ",
    "qwen3moe, qwen3_moe, model., true",
    "qwen2moe, qwen2_moe, model., false",
    "olmoe, olmoe, model., false",
    "deepseek2-v3, deepseek_v3, model., true",
    "deepseek2-v3, kimi_k2, language_model.model., true",
    "glm4moe, glm4_moe, model., true",
    "gemma4, gemma4, model.language_model., "
  })
  void areTheLayersOfLlamaCpp(String name, String modelType, String root, String norm)
      throws IOException {
    try (GgufFile file = fixture(name);
        MixtureOfExperts expected = MixtureOfExperts.of(file, LAYER)) {
      translate(file, root, modelType);
      configure(file, modelType);
      if (norm != null) {
        config.put("norm_topk_prob", Boolean.valueOf(norm));
      }
      if (!root.equals("model.")) {
        // For a model of several kinds of input, the keys of its text model count.
        String ofText =
            config.entrySet().stream()
                .map(entry -> '"' + entry.getKey() + "\": " + json(entry.getValue()))
                .collect(Collectors.joining(", ", "{", "}"));
        config.clear();
        config.put("model_type", "other");
        config.put("text_config", ofText);
      }
      write();
      try (HuggingFaceModel model = HuggingFaceModel.open(folder);
          MixtureOfExperts layer = MixtureOfExperts.of(model, LAYER, ElementType.FLOAT32);
          MixtureOfExperts packed = MixtureOfExperts.of(model, LAYER, ElementType.Q8_0);
          MixtureOfExperts rounded = layer.withWeights(ElementType.Q8_0)) {
        assertEqual(expected, layer);
        assertEqual(rounded, packed);
        assertEquals(ElementType.Q8_0, packed.weightType());
      }
    }
  }

  /** Qwen 3 Next is Qwen 2 with renormalized gates, in files of llama.cpp as well. */
  @Test
  void qwen3NextHasASharedExpert() throws IOException {
    try (GgufFile file = fixture("qwen2moe");
        MixtureOfExperts expected = MixtureOfExperts.of(file, LAYER)) {
      translate(file, "model.", "qwen3_next");
      configure(file, "qwen3_next");
      config.put("norm_topk_prob", true);
      write();
      try (HuggingFaceModel model = HuggingFaceModel.open(folder);
          MixtureOfExperts layer = MixtureOfExperts.of(model, LAYER, ElementType.FLOAT32)) {
        assertEquals(expected.toString().replace(", not renormalized", ""), layer.toString());
        assertTrue(expected.toString().contains(", not renormalized"));
      }
    }
  }

  /** gpt-oss: MXFP4 is kept in its type, outputs alternate, and so do their biases. */
  @Test
  void gptOssIsKept(Data data) throws IOException {
    int experts = 4;
    int inputs = 64;
    int hidden = 32;
    String prefix = "model.layers.1.mlp.";
    byte[] first = bytes(data.indices((long) experts * 2 * hidden * inputs / 2, 256));
    byte[] firstScales = bytes(data.indices((long) experts * 2 * hidden * 2, 5), 120);
    byte[] second = bytes(data.indices((long) experts * inputs * hidden / 2, 256));
    byte[] secondScales = bytes(data.indices((long) experts * inputs, 5), 120);
    tensors.put(prefix + "experts.gate_up_proj_blocks", "U8", first, experts, 64, 2, 16);
    tensors.put(prefix + "experts.gate_up_proj_scales", "U8", firstScales, experts, 64, 2);
    tensors.put(prefix + "experts.down_proj_blocks", "U8", second, experts, 64, 1, 16);
    tensors.put(prefix + "experts.down_proj_scales", "U8", secondScales, experts, 64, 1);
    float[] b1 = data.floats(Numbers.SMALL_INTEGERS, (long) experts * 64);
    float[] b2 = data.floats(Numbers.SMALL_INTEGERS, (long) experts * 64);
    float[] bg = data.floats(Numbers.SMALL_INTEGERS, experts);
    put(prefix + "experts.gate_up_proj_bias", "BF16", b1, experts, 64);
    put(prefix + "experts.down_proj_bias", "BF16", b2, experts, 64);
    put(prefix + "router.weight", "BF16", new float[experts * inputs], experts, inputs);
    put(prefix + "router.bias", "BF16", bg, experts);
    config.put("model_type", "gpt_oss");
    config.put("num_experts_per_tok", 2);
    config.put("num_local_experts", experts);
    config.put("swiglu_limit", 7.0);
    config.put("hidden_act", "silu");
    write();
    try (HuggingFaceModel model = HuggingFaceModel.open(folder);
        MixtureOfExperts layer = MixtureOfExperts.of(model, 1, ElementType.MXFP4);
        MixtureOfExperts exact = MixtureOfExperts.of(model, 1, ElementType.FLOAT32);
        FloatTensor W1 = model.floats(prefix + "experts.gate_up_proj");
        FloatTensor W2 = model.floats(prefix + "experts.down_proj")) {
      assertEquals("TopKGate(2 of 4)", layer.gate().toString());
      assertEquals("CLAMPED_SWIGLU", layer.activation().toString());
      assertEqual(exact, layer);
      FloatTensor blocks = (FloatTensor) exact.parameters().get("W1");
      FloatTensor down = (FloatTensor) exact.parameters().get("W2");
      FloatTensor bias = (FloatTensor) exact.parameters().get("b1");
      for (int e = 0; e < experts; e++) {
        for (int o = 0; o < 64; o++) {
          int inFile = o < hidden ? 2 * o : 2 * (o - hidden) + 1;
          assertEquals(b1[e * 64 + inFile], bias.get(e, o));
          for (int i = 0; i < inputs; i++) {
            assertEquals(W1.get(e, inFile, i), blocks.get(0, e, i, o));
          }
          for (int i = 0; i < hidden; i++) {
            assertEquals(W2.get(e, o, i), down.get(e, 0, i, o));
          }
        }
      }
      assertArrayEquals(b2, floats(exact.parameters().get("b2")));
      assertArrayEquals(bg, floats(exact.parameters().get("bg")));
    }
  }

  private static byte[] bytes(int[] values) {
    return bytes(values, 0);
  }

  private static byte[] bytes(int[] values, int plus) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (values[i] + plus);
    }
    return bytes;
  }

  /** Replaces a matrix by one of FP8, or of 4 bits with float16 scales. */
  private void quantize(String name, boolean fp8, Data data, int rows, int columns) {
    tensors.remove(name);
    if (fp8) {
      tensors.put(name, "F8_E4M3", bytes(data.indices((long) rows * columns, 126)), rows, columns);
      put(name + "_scale_inv", "F32", new float[] {0.003f}, 1, 1);
      return;
    }
    int words = (columns + 7) / 8;
    int groups = columns % 32 == 0 ? columns / 32 : 1;
    tensors.ints(
        name + "_packed", data.indices((long) rows * words, Integer.MAX_VALUE), rows, words);
    float[] scales = new float[rows * groups];
    int[] eighths = data.indices(scales.length, 8);
    for (int i = 0; i < scales.length; i++) {
      scales[i] = (8 + eighths[i]) * 0x1p-8f;
    }
    put(name + "_scale", "BF16", scales, rows, groups);
    tensors.longs(name + "_shape", rows, columns);
  }

  /** DeepSeek V3 with FP8, and Kimi K2 with 4 bits, which are kept. */
  @ParameterizedTest
  @CsvSource({"true", "false"})
  void quantizedExpertsAreExact(boolean fp8, Data data) throws IOException {
    try (GgufFile file = fixture("deepseek2-v3")) {
      translate(file, "model.", "deepseek_v3");
      configure(file, "deepseek_v3");
      long[] up = dims(file, "ffn_up_exps.weight");
      for (int e = 0; e < up[0]; e++) {
        String prefix = "model.layers.1.mlp.experts." + e + ".";
        quantize(prefix + "gate_proj.weight", fp8, data, (int) up[1], (int) up[2]);
        quantize(prefix + "up_proj.weight", fp8, data, (int) up[1], (int) up[2]);
        quantize(prefix + "down_proj.weight", fp8, data, (int) up[2], (int) up[1]);
      }
    }
    write();
    try (HuggingFaceModel model = HuggingFaceModel.open(folder);
        MixtureOfExperts exact = MixtureOfExperts.of(model, LAYER, ElementType.FLOAT32);
        MixtureOfExperts rounded = MixtureOfExperts.of(model, LAYER, ElementType.Q8_0);
        MixtureOfExperts expected = exact.withWeights(ElementType.Q8_0)) {
      assertEqual(expected, rounded);
      FloatTensor W1 = (FloatTensor) exact.parameters().get("W1");
      FloatTensor W2 = (FloatTensor) exact.parameters().get("W2");
      int hidden = exact.hidden();
      try (FloatTensor gate = model.floats("model.layers.1.mlp.experts.2.gate_proj.weight");
          FloatTensor up = model.floats("model.layers.1.mlp.experts.2.up_proj.weight");
          FloatTensor down = model.floats("model.layers.1.mlp.experts.2.down_proj.weight")) {
        for (int i = 0; i < hidden; i++) {
          assertEquals(gate.get(i, 3), W1.get(0, 2, 3, i));
          assertEquals(up.get(i, 3), W1.get(0, 2, 3, hidden + i));
          assertEquals(down.get(3, i), W2.get(2, 0, i, 3));
        }
      }
      if (!fp8) {
        try (MixtureOfExperts kept = MixtureOfExperts.of(model, LAYER, ElementType.Q4_0)) {
          assertArrayEquals(W1.toArray(), floats(kept.parameters().get("W1")));
          assertArrayEquals(W2.toArray(), floats(kept.parameters().get("W2")));
        }
      }
    }
  }

  private void refused(String message) throws IOException {
    write();
    try (HuggingFaceModel model = HuggingFaceModel.open(folder)) {
      long before = FloatTensor.allocatedBytes();
      FileFormatException thrown =
          assertThrows(
              FileFormatException.class,
              () -> MixtureOfExperts.of(model, LAYER, ElementType.FLOAT32));
      String text = thrown.getMessage();
      assertTrue(text.startsWith(folder + ": " + message), () -> message + "\n" + text);
      assertTrue(FloatTensor.allocatedBytes() <= before, "memory is kept");
    }
  }

  private void refusedKey(String key, Object value, String message) throws IOException {
    Object before = config.remove(key);
    if (value != null) {
      config.put(key, value);
    }
    refused("config.json: " + key + ": " + message);
    config.remove(key);
    if (before != null) {
      config.put(key, before);
    }
  }

  @Test
  void namesTheKeyThatIsWrong() throws IOException {
    int experts;
    try (GgufFile file = fixture("deepseek2-v3")) {
      translate(file, "model.", "deepseek_v3");
      configure(file, "deepseek_v3");
      experts = (int) dims(file, "ffn_gate_inp.weight")[0];
    }
    String models =
        "[deepseek_v3, gemma4, gemma4_text, glm4_moe, gpt_oss, kimi_k2, mixtral, olmoe,"
            + " qwen2_moe, qwen3_moe, qwen3_next]";
    refusedKey("model_type", "llama", "expected one of " + models + " but was llama; or build it");
    refusedKey("model_type", null, "expected one of " + models + " but is missing; or build it");
    refusedKey("num_experts_per_tok", 0, "expected a number from 1 to " + experts + " but was 0");
    refusedKey("num_experts_per_tok", 99, "expected a number from 1 to " + experts);
    refusedKey("num_experts_per_tok", "2", "expected a number from 1 to 8 but was 2");
    refusedKey("num_experts_per_tok", null, "expected a number from 1 to 8 but is missing; or");
    refusedKey("norm_topk_prob", 1, "expected true or false but was 1");
    refusedKey("norm_topk_prob", null, "expected true or false but is missing; or");
    refusedKey("routed_scaling_factor", "1", "expected a finite number but was 1");
    refusedKey("routed_scaling_factor", 1e300, "expected a finite number but was 1.0E300");
    refusedKey("routed_scaling_factor", 0, "expected a finite number but was 0");
    refusedKey("scoring_func", "softmax", "expected sigmoid but was softmax; or build it");
    refusedKey("topk_method", "greedy", "expected noaux_tc but was greedy; or build it");
    refusedKey("hidden_act", "gelu", "expected silu but was gelu; or build it");
    refusedKey("swiglu_limit", 7.0, "expected 7.0, as of gpt-oss, but was 7.0");
    refusedKey("hidden_size", 7, "expected ");
    refusedKey("moe_intermediate_size", 7, "expected ");
    refusedKey("n_routed_experts", 7, "expected 8, as the tensors have, but was 7");
    refusedKey("n_group", 3, "groups, used: expected a divisor of experts = 8");
    refusedKey("n_group", 0, "expected a number from 1 to 8 but was 0");
    refusedKey("topk_group", null, "expected a number from 1 to 4 but is missing; or");
    config.remove("model_type");
    config.put("text_config", 7);
    refused("config.json: model_type: expected one of ");
  }

  @Test
  void namesTheTensorThatIsWrong(Data data) throws IOException {
    try (GgufFile file = fixture("deepseek2-v3")) {
      translate(file, "model.", "deepseek_v3");
      configure(file, "deepseek_v3");
    }
    String prefix = "model.layers.1.mlp.";
    put(prefix + "gate.more", "F32", new float[1], 1);
    refused(prefix + "gate.more: is not known to this library; or build it from its matrices");
    tensors.remove(prefix + "gate.more");
    config.put("n_shared_experts", 0);
    refused(prefix + "shared_experts.");
    config.put("n_shared_experts", 1);
    float[] bias = data.floats(Numbers.SMALL_INTEGERS, 7);
    put(prefix + "gate.e_score_correction_bias", "F32", bias, 7);
    refused(prefix + "gate.e_score_correction_bias: expected (8) but was (7)");
    tensors.remove(prefix + "gate.e_score_correction_bias");
    refused(prefix + "gate.e_score_correction_bias: is missing");
    put(prefix + "gate.weight", "F32", new float[8], 8);
    refused(prefix + "gate.weight: expected 2 dimensions but was (8)");
    tensors.remove(prefix + "gate.weight");
    refused(prefix + "gate.weight: is missing; the files have no experts");
    put("model.layers.3.mlp.gate.weight", "F32", new float[8], 8);
    put("model.layers.12.mlp.gate.weight", "F32", new float[8], 8);
    refused(prefix + "gate.weight: is missing; there are experts in layers 3 to 12");
  }

  /** Plain tensors of gpt-oss have another order, which their shapes do not show. */
  @Test
  void refusesGptOssThatIsNotAsPublished() throws IOException {
    String prefix = "model.layers.1.mlp.";
    put(prefix + "router.weight", "F32", new float[8], 2, 4);
    put(prefix + "router.bias", "F32", new float[2], 2);
    put(prefix + "experts.gate_up_proj", "F32", new float[32], 2, 4, 4);
    config.put("model_type", "gpt_oss");
    config.put("num_experts_per_tok", 1);
    refused(prefix + "experts.gate_up_proj: expected MXFP4, as gpt-oss was published, but was");
    put(prefix + "experts.gate_up_proj", "F32", new float[24], 2, 3, 4);
    refused(prefix + "experts.gate_up_proj: expected (experts, even out, in) but out is 3");
    config.put("swiglu_limit", 8.0);
    refused("config.json: swiglu_limit: expected 7.0, as of gpt-oss, but was 8.0");
  }

  /** Each architecture has a name in at least one kind of files, and no name occurs twice. */
  @Test
  void theTableOfArchitecturesIsThatOfThePage() throws IOException {
    long names =
        Stream.of(Architecture.ggufNames(), Architecture.modelTypes())
            .mapToLong(all -> all.size())
            .sum();
    assertEquals(11 + 11, names);
    String page = Files.readString(Path.of("src/doc/experts.md"));
    for (String name : Architecture.ggufNames()) {
      assertTrue(Architecture.ofGguf(name) != null, name);
      assertTrue(page.contains('`' + name + '`'), () -> name + " is not on the page");
    }
    for (String name : Architecture.modelTypes()) {
      assertTrue(Architecture.ofModelType(name) != null, name);
      assertTrue(page.contains('`' + name + '`'), () -> name + " is not on the page");
    }
  }

  @ParameterizedTest
  @CsvSource({"Q8_0, 0.005", "BFLOAT16, 0.0017", "INT8, 0.007", "Q6_K, 0.02"})
  void roundingOfFp8(ElementType type, double expected, Data data) throws IOException {
    double relative = errorOfFp8(type, data, 0.0101f, 0.01f, 0.0099f, 0.0102f);
    assertEquals(expected, relative, 0.25 * expected);
  }

  /** Files whose {@code scale_fmt} is {@code ue8m0} have such scales. */
  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16", "PACKED_BFLOAT16"})
  void fp8WithPowersOfTwoIsKept(ElementType type, Data data) throws IOException {
    assertEquals(0, errorOfFp8(type, data, 0x1p-7f, 0x1p-6f, 0x1p-9f, 0x1p-8f));
  }

  /**
   * Returns the error of weights of FP8 with Gaussian values, relative to their root mean square.
   */
  private double errorOfFp8(ElementType type, Data data, float... scales) throws IOException {
    int size = 256;
    float[] values = data.floats(Numbers.GAUSSIAN, (long) size * size);
    byte[] codes = new byte[values.length];
    for (int i = 0; i < codes.length; i++) {
      codes[i] = e4m3(values[i] * 100);
    }
    for (String name : new String[] {"gate_proj", "up_proj", "down_proj"}) {
      String full = "experts.0." + name + ".weight";
      tensors.put(full, "F8_E4M3", codes, size, size);
      put(full + "_scale_inv", "F32", scales, 2, 2);
    }
    write();
    MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(size, size, 1);
    try (HuggingFaceModel model = HuggingFaceModel.open(folder);
        MixtureOfExperts exact = builder.build(model, name -> name, ElementType.FLOAT32);
        MixtureOfExperts rounded = builder.build(model, name -> name, type)) {
      float[] W2 = floats(exact.parameters().get("W2"));
      float[] near = floats(rounded.parameters().get("W2"));
      double error = 0;
      double all = 0;
      for (int i = 0; i < W2.length; i++) {
        error += Math.pow(W2[i] - near[i], 2);
        all += Math.pow(W2[i], 2);
      }
      return Math.sqrt(error / all);
    }
  }

  /** Returns the code of E4M3 that is nearest to a number. */
  private static byte e4m3(float value) {
    int exponent = Math.max(-6, Math.getExponent(value));
    long fraction = Math.round(Math.abs(value) / Math.scalb(1.0, exponent - 3));
    long code = exponent == -6 ? fraction : ((exponent + 6L) << 3) + fraction;
    return (byte) (Math.min(126, code) | (value < 0 ? 128 : 0));
  }
}
