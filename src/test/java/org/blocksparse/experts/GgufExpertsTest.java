// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.io.GgufFile;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.ExpertsOracle;
import org.blocksparse.testing.GgufBytes;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Experts that are loaded from files of llama.cpp. */
@ExtendWith(Seeded.class)
final class GgufExpertsTest {
  private static final int EXPERTS = 3;
  private static final int INPUTS = 64;
  private static final int HIDDEN = 32;
  private static final int BATCH = 5;

  @TempDir private Path folder;

  /** Tensors of small numbers, by name; dimensions are innermost first. */
  private record Tensor(float[] values, long... dims) {}

  private static Tensor tensor(Data data, float scale, long... dims) {
    long size = 1;
    for (long dim : dims) {
      size *= dim;
    }
    float[] values = data.floats(Numbers.GAUSSIAN, size);
    for (int i = 0; i < values.length; i++) {
      values[i] *= scale;
    }
    return new Tensor(values, dims);
  }

  private static Map<String, Tensor> tensors(Data data, boolean biases) {
    Map<String, Tensor> all = new LinkedHashMap<>();
    all.put("gate_inp.weight", tensor(data, 0.1f, INPUTS, EXPERTS));
    all.put("gate_exps.weight", tensor(data, 0.1f, INPUTS, HIDDEN, EXPERTS));
    all.put("up_exps.weight", tensor(data, 0.1f, INPUTS, HIDDEN, EXPERTS));
    all.put("down_exps.weight", tensor(data, 0.1f, HIDDEN, INPUTS, EXPERTS));
    if (biases) {
      all.put("gate_inp.bias", tensor(data, 1, EXPERTS));
      all.put("gate_exps.bias", tensor(data, 1, HIDDEN, EXPERTS));
      all.put("up_exps.bias", tensor(data, 1, HIDDEN, EXPERTS));
      all.put("down_exps.bias", tensor(data, 1, INPUTS, EXPERTS));
    }
    return all;
  }

  /** Writes a file with block 2, whose experts are F32 or, by ggml's blocks of 32, Q8_0. */
  private Path write(Map<String, Tensor> tensors, boolean q8) throws IOException {
    return write(Map.of(), tensors, q8);
  }

  private Path write(Map<String, Object> metadata, Map<String, Tensor> tensors, boolean q8)
      throws IOException {
    GgufBytes header = GgufBytes.of(tensors.size(), metadata.size());
    metadata.forEach((key, value) -> put(header, key, value));
    GgufBytes content = new GgufBytes();
    for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
      boolean narrow = q8 && entry.getKey().endsWith("exps.weight");
      content.aligned(32);
      int type = narrow ? GgufBytes.Q8_0 : GgufBytes.F32;
      long offset = content.bytes().length;
      String name = entry.getKey();
      String full = name.startsWith("exp_") || name.startsWith("pre_") ? name : "ffn_" + name;
      header.tensor("blk.2." + full, type, offset, entry.getValue().dims());
      float[] values = entry.getValue().values();
      for (int begin = 0; begin < values.length; begin += 32) {
        if (narrow) {
          content.raw(0, 0x20); // 2^-7 as a float16
        }
        for (int i = begin; i < Math.min(values.length, begin + 32); i++) {
          if (narrow) {
            content.raw(Math.round(values[i] * 128) & 0xff);
          } else {
            content.ints(Float.floatToRawIntBits(values[i]));
          }
        }
      }
    }
    header.aligned(32);
    return Files.write(folder.resolve("experts.gguf"), header.raw(content.bytes()).bytes());
  }

  private static void put(GgufBytes header, String key, Object value) {
    if (value instanceof String text) {
      header.key(key, GgufBytes.STRING).text(text);
    } else if (value instanceof Boolean yes) {
      header.key(key, GgufBytes.BOOL).raw(yes ? 1 : 0);
    } else if (value instanceof Float number) {
      header.key(key, GgufBytes.FLOAT32).ints(Float.floatToRawIntBits(number));
    } else if (value instanceof int[] numbers) {
      header.key(key, GgufBytes.ARRAY).ints(GgufBytes.UINT32).longs(numbers.length).ints(numbers);
    } else {
      header.key(key, GgufBytes.UINT32).ints((int) value);
    }
  }

  /** Returns a matrix (out, in) as (in, out), for each expert. */
  private static double[] turned(float[] values, int out, int in, boolean q8) {
    double[] turned = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      int expert = i / (out * in);
      int o = i / in % out;
      double value = q8 ? Math.round(values[i] * 128) / 128.0 : values[i];
      turned[(expert * in + i % in) * out + o] = value;
    }
    return turned;
  }

  /** Returns the rows of two arrays side by side. */
  private static double[] sideBySide(double[] a, double[] b, int size) {
    double[] both = new double[2 * a.length];
    for (int i = 0; i < a.length; i++) {
      both[i / size * 2 * size + i % size] = a[i];
      both[(i / size * 2 + 1) * size + i % size] = b[i];
    }
    return both;
  }

  private static ExpertsOracle oracle(
      Map<String, Tensor> t, Activation activation, boolean biases, boolean q8) {
    Map<String, double[]> p = new HashMap<>();
    p.put("Wg", turned(t.get("gate_inp.weight").values(), EXPERTS, INPUTS, false));
    double[] gate = turned(t.get("gate_exps.weight").values(), HIDDEN, INPUTS, q8);
    double[] up = turned(t.get("up_exps.weight").values(), HIDDEN, INPUTS, q8);
    p.put("W1", sideBySide(gate, up, HIDDEN));
    p.put("W2", turned(t.get("down_exps.weight").values(), INPUTS, HIDDEN, q8));
    if (biases) {
      p.put("bg", ExpertsOracle.widened(t.get("gate_inp.bias").values()));
      p.put(
          "b1",
          sideBySide(
              ExpertsOracle.widened(t.get("gate_exps.bias").values()),
              ExpertsOracle.widened(t.get("up_exps.bias").values()),
              HIDDEN));
      p.put("b2", ExpertsOracle.widened(t.get("down_exps.bias").values()));
    }
    return new ExpertsOracle(INPUTS, HIDDEN, INPUTS, EXPERTS, 2, activation, p);
  }

  private static MixtureOfExperts layer(Path file, Activation activation) throws IOException {
    try (GgufFile gguf = GgufFile.open(file)) {
      return MixtureOfExperts.of(gguf, 2, TopKGate.of(EXPERTS, 2), activation);
    }
  }

  @Test
  void hasTheOutputOfItsTensors(Data data) throws IOException {
    float[] rows = data.floats(Numbers.GAUSSIAN, BATCH * INPUTS);
    double[] wide = ExpertsOracle.widened(rows);
    for (boolean q8 : new boolean[] {false, true}) {
      for (boolean biases : new boolean[] {false, true}) {
        Activation activation = biases ? Activation.CLAMPED_SWIGLU : Activation.SWIGLU;
        Map<String, Tensor> tensors = tensors(data, biases);
        ExpertsOracle oracle = oracle(tensors, activation, biases, q8);
        double[] expected = oracle.apply(wide, oracle.route(wide));
        try (MixtureOfExperts layer = layer(write(tensors, q8), activation);
            FloatTensor x = FloatTensor.of(rows, BATCH, INPUTS);
            FloatTensor out = layer.apply(x)) {
          assertEquals(q8 ? ElementType.Q8_0 : ElementType.FLOAT32, layer.weightType());
          float[] values = out.toArray();
          for (int i = 0; i < values.length; i++) {
            assertEquals(expected[i], values[i], q8 ? 0.05 : 1e-5, "element " + i);
          }
        }
      }
    }
  }

  /** The dense layer of Gemma 4, beside its experts, becomes one expert that gets every row. */
  @Test
  void denseLayersAreOneExpert(Data data) throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("gate.weight", tensor(data, 0.1f, INPUTS, HIDDEN));
    tensors.put("up.weight", tensor(data, 0.1f, INPUTS, HIDDEN));
    tensors.put("down.weight", tensor(data, 0.1f, HIDDEN, INPUTS));
    double[] gate = turned(tensors.get("gate.weight").values(), HIDDEN, INPUTS, false);
    double[] up = turned(tensors.get("up.weight").values(), HIDDEN, INPUTS, false);
    double[] down = turned(tensors.get("down.weight").values(), INPUTS, HIDDEN, false);
    Map<String, double[]> parameters =
        Map.of("Wg", new double[INPUTS], "W1", sideBySide(gate, up, HIDDEN), "W2", down);
    Activation activation = Activation.GEGLU_TANH;
    ExpertsOracle oracle = new ExpertsOracle(INPUTS, HIDDEN, INPUTS, 1, 1, activation, parameters);
    float[] rows = data.floats(Numbers.GAUSSIAN, BATCH * INPUTS);
    double[] wide = ExpertsOracle.widened(rows);
    double[] expected = oracle.apply(wide, oracle.route(wide));
    List<String> first = List.of("blk.2.ffn_gate.weight", "blk.2.ffn_up.weight");
    List<String> second = List.of("blk.2.ffn_down.weight");
    try (GgufFile file = GgufFile.open(write(tensors, false));
        MixtureOfExperts layer =
            MixtureOfExperts.builder(INPUTS, HIDDEN, 1)
                .activation(activation)
                .build(Map.of("W1", file.weights(first, 1, 1), "W2", file.weights(second, 1, 1)));
        FloatTensor x = FloatTensor.of(rows, BATCH, INPUTS);
        FloatTensor out = layer.apply(x)) {
      float[] values = out.toArray();
      for (int i = 0; i < values.length; i++) {
        assertEquals(expected[i], values[i], 1e-5, "element " + i);
      }
    }
  }

  /** A model of Q4_K_M has weights of both types, and a file of the layer keeps them. */
  @Test
  void superblocksKeepTheirTypes(Data data) throws IOException {
    int size = 256;
    int k4 = 2 * size * 144;
    int k6 = 2 * size * 210;
    GgufBytes bytes =
        GgufBytes.of(3, 0)
            .tensor("blk.0.ffn_gate_exps.weight", 12, 0, size, size, 2)
            .tensor("blk.0.ffn_up_exps.weight", 12, k4, size, size, 2)
            .tensor("blk.0.ffn_down_exps.weight", 14, 2L * k4, size, size, 2)
            .aligned(32);
    int[] content = data.indices(2 * k4 + k6, 256);
    for (int at = 0; at < 2 * k4; at += 144) {
      content[at] = content[at + 2] = 0; // both scales are 2^-12
      content[at + 1] = content[at + 3] = 0x0c;
    }
    for (int at = 2 * k4; at < content.length; at += 210) {
      content[at + 208] = 0; // 2^-14
      content[at + 209] = 0x04;
    }
    Path file = Files.write(folder.resolve("superblocks.gguf"), bytes.raw(content).bytes());
    float[] rows = data.floats(Numbers.GAUSSIAN, (long) BATCH * size);
    try (GgufFile gguf = GgufFile.open(file);
        MixtureOfExperts layer = MixtureOfExperts.of(gguf, 0, null, Activation.SWIGLU);
        FloatTensor gate = gguf.floats("blk.0.ffn_gate_exps.weight");
        FloatTensor up = gguf.floats("blk.0.ffn_up_exps.weight");
        FloatTensor down = gguf.floats("blk.0.ffn_down_exps.weight");
        MixtureOfExperts exact =
            MixtureOfExperts.builder(size, size, 2)
                .build(
                    Map.of(
                        "W1.gate", turned(gate, 1, 2, size),
                        "W1.up", turned(up, 1, 2, size),
                        "W2", turned(down, 2, 1, size)));
        FloatTensor x = FloatTensor.of(rows, BATCH, size);
        IntTensor chosen = IntTensor.of(new int[] {0, 1, 1, 0, 1}, BATCH, 1);
        FloatTensor ones = FloatTensor.of(new float[] {1, 1, 1, 1, 1}, BATCH, 1);
        Routing routing = Routing.of(chosen, ones, 2);
        FloatTensor expected = FloatTensor.zeros(BATCH, size);
        FloatTensor actual = FloatTensor.zeros(BATCH, size)) {
      assertEquals(ElementType.Q4_K, layer.weightType());
      assertEquals("Weights(2, 1, 256, 256) of Q6_K", layer.parameters().get("W2").toString());
      Path saved = folder.resolve("layer.safetensors");
      layer.save(saved);
      try (MixtureOfExperts loaded = MixtureOfExperts.load(saved, LoadOptions.mapped());
          FloatTensor again = FloatTensor.zeros(BATCH, size)) {
        layer.apply(x, routing, actual);
        loaded.apply(x, routing, again);
        assertArrayEquals(actual.toArray(), again.toArray());
      }
      exact.apply(x, routing, expected);
      layer.apply(x, routing, actual);
      double error = 0;
      double all = 0;
      for (int i = 0; i < BATCH * size; i++) {
        float value = expected.get(i / size, i % size);
        all += value * value;
        error += Math.pow(value - actual.get(i / size, i % size), 2);
      }
      assertTrue(Math.sqrt(error / all) < 0.02, Math.sqrt(error / all) + " of the output");
    }
  }

  /** Returns matrices (out, in) as blocks (in, out). */
  private static FloatTensor turned(FloatTensor m, int iBlocks, int oBlocks, int size) {
    FloatTensor blocks = FloatTensor.of(m.toArray(), oBlocks, iBlocks, size, size);
    return FloatTensor.of(blocks.transposeBlocks().toArray(), iBlocks, oBlocks, size, size);
  }

  @Test
  void routingOfTheCallerNeedsNoGate(Data data) throws IOException {
    Map<String, Tensor> tensors = tensors(data, false);
    tensors.remove("gate_inp.weight");
    try (GgufFile gguf = GgufFile.open(write(tensors, true));
        MixtureOfExperts layer = MixtureOfExperts.of(gguf, 2, null, Activation.SWIGLU)) {
      assertThrows(IllegalStateException.class, layer::gate);
      assertEquals(EXPERTS, layer.experts());
    }
  }

  static Stream<Path> fixtures() throws IOException {
    try (Stream<Path> files = Files.list(Path.of("src/test/resources/gguf"))) {
      return files
          .filter(file -> file.getFileName().toString().startsWith("experts-"))
          .sorted()
          .toList()
          .stream();
    }
  }

  /**
   * One call loads the experts of each architecture; their output equals that of ggml's own graph.
   */
  @ParameterizedTest
  @MethodSource("fixtures")
  void haveTheOutputOfGgml(Path file) throws IOException {
    try (GgufFile gguf = GgufFile.open(file);
        MixtureOfExperts layer = MixtureOfExperts.of(gguf, 1);
        FloatTensor x = gguf.floats("x");
        FloatTensor expected = gguf.floats("expected");
        FloatTensor out = layer.apply(x)) {
      float[] wanted = expected.toArray();
      double largest = 0;
      for (float value : wanted) {
        largest = Math.max(largest, Math.abs(value));
      }
      // No term is larger than this: one rounding each, and those of gates and activation.
      double bound = (layer.inputs() + layer.hidden() + 16) * 0x1p-24 * largest;
      if (layer.activation() == Activation.GEGLU_TANH) {
        bound += 0x1p-10 * largest; // ggml rounds GELU and its input to float16
      }
      if (layer.weightType() == ElementType.Q8_0) {
        bound += largest / 254; // both round rows, to 1/254 of the largest element or less
      }
      for (int i = 0; i < wanted.length; i++) {
        assertEquals(wanted[i], out.toArray()[i], bound, layer + ", element " + i);
      }
    }
  }

  @Test
  void knowTheGateOfEachArchitecture() throws IOException {
    Map<String, String> gates = new TreeMap<>();
    for (Path file : fixtures().toList()) {
      try (GgufFile gguf = GgufFile.open(file);
          MixtureOfExperts layer = MixtureOfExperts.of(gguf, 1)) {
        String name = file.getFileName().toString();
        gates.put(
            name.substring("experts-".length(), name.length() - ".gguf".length()),
            layer.gate() + " " + layer.activation());
      }
    }
    String deepseek = "TopKGate(3 of 8 in 2 of 4 groups, ";
    Map<String, String> wanted = new TreeMap<>();
    wanted.put("deepseek2-v2", deepseek + "not renormalized, scaled) SWIGLU");
    wanted.put("deepseek2-v3", deepseek + "sigmoid, choice bias, scaled) SWIGLU");
    wanted.put("gemma4", "TopKGate(3 of 8, scaled) GEGLU_TANH");
    wanted.put("glm4moe", "TopKGate(3 of 8, sigmoid, choice bias, scaled) SWIGLU");
    wanted.put("gpt-oss", "TopKGate(3 of 8) CLAMPED_SWIGLU");
    wanted.put("llama", "TopKGate(3 of 8) SWIGLU");
    wanted.put("olmoe", "TopKGate(3 of 8, not renormalized) SWIGLU");
    wanted.put("qwen2moe", "TopKGate(3 of 8, not renormalized) SWIGLU");
    wanted.put("qwen3moe", "TopKGate(3 of 8) SWIGLU");
    wanted.put("qwen3moe-q8_0", "TopKGate(3 of 8) SWIGLU");
    assertEquals(wanted, gates);
  }

  /** Returns the keys of a model of this test, and others. */
  private static Map<String, Object> keys(Object... others) {
    Map<String, Object> keys = new LinkedHashMap<>();
    keys.put("general.architecture", "llama");
    keys.put("llama.expert_used_count", 2);
    for (int i = 0; i < others.length; i += 2) {
      if (others[i + 1] == null) {
        keys.remove(others[i]);
      } else {
        keys.put((String) others[i], others[i + 1]);
      }
    }
    return keys;
  }

  /** Keys may be lists with an element for each block, and override the defaults. */
  @Test
  void keysMayBeOfEachBlock(Data data) throws IOException {
    Map<String, Object> keys =
        keys(
            "llama.expert_used_count",
            new int[] {0, 1, 3},
            "llama.expert_count",
            EXPERTS,
            "llama.expert_weights_norm",
            false,
            "llama.expert_gating_func",
            2,
            "llama.expert_weights_scale",
            2f,
            "llama.expert_group_count",
            1);
    Map<String, Tensor> tensors = tensors(data, false);
    tensors.put("down_exps.scale", new Tensor(new float[] {1, -2, 0.5f}, EXPERTS));
    try (GgufFile gguf = GgufFile.open(write(keys, tensors, true));
        MixtureOfExperts layer = MixtureOfExperts.of(gguf, 2)) {
      assertEquals("TopKGate(3 of 3, sigmoid, not renormalized, scaled)", layer.gate().toString());
      assertArrayEquals(new float[] {2, -4, 1}, layer.gate().gating().scales());
      assertEquals(Activation.SWIGLU, layer.activation());
    }
  }

  private void refused(Map<String, Object> keys, Map<String, Tensor> tensors, String message)
      throws IOException {
    Path file = write(keys, tensors, false);
    long before = FloatTensor.allocatedBytes();
    try (GgufFile gguf = GgufFile.open(file)) {
      FileFormatException thrown =
          assertThrows(FileFormatException.class, () -> MixtureOfExperts.of(gguf, 2));
      String text = thrown.getMessage();
      assertTrue(text.startsWith(file + ": " + message), () -> message + "\n" + text);
    }
    assertTrue(FloatTensor.allocatedBytes() <= before, "memory is kept");
  }

  @Test
  void namesTheKeyThatIsWrong(Data data) throws IOException {
    Map<String, Tensor> tensors = tensors(data, false);
    String remedy =
        "; or pass the gate and the activation: MixtureOfExperts.of(file, block, gate,"
            + " activation)";
    String known =
        "[deepseek2, gemma4, glm4moe, gpt-oss, llama, olmoe, qwen2moe, qwen35moe, qwen3moe, qwen3next,"
            + " qwen3vlmoe]";
    String architecture = "general.architecture: expected one of " + known + " but ";
    refused(keys("general.architecture", null), tensors, architecture + "is missing" + remedy);
    refused(keys("general.architecture", "grok"), tensors, architecture + "was grok" + remedy);
    refused(keys("general.architecture", 7), tensors, architecture + "was 7");
    String used = "llama.expert_used_count";
    String wrong = used + ": expected a number from 1 to 3 but ";
    refused(keys(used, null), tensors, wrong + "is missing" + remedy);
    refused(keys(used, 0), tensors, wrong + "was 0");
    refused(keys(used, 4), tensors, wrong + "was 4");
    refused(keys(used, -1), tensors, wrong + "was 4294967295");
    refused(keys(used, "2"), tensors, wrong + "was 2");
    refused(keys(used, new int[] {2, 2}), tensors, wrong + "is missing");
    refused(
        keys("llama.expert_count", 4),
        tensors,
        "llama.expert_count: expected 3, as the tensors have, but was 4");
    refused(
        keys("llama.embedding_length", 63),
        tensors,
        "llama.embedding_length: expected 64, as the tensors have, but was 63");
    refused(
        keys("llama.expert_gating_func", 4),
        tensors,
        "llama.expert_gating_func: expected 1 (softmax), 2 (sigmoid) or 3 (softmax of the chosen)"
            + " but was 4; pass a routing to each call");
    refused(
        keys("llama.expert_weights_norm", 1),
        tensors,
        "llama.expert_weights_norm: expected true or false but was 1");
    refused(
        keys("llama.expert_weights_scale", Float.NaN),
        tensors,
        "llama.expert_weights_scale: expected a finite float but was NaN");
    refused(
        keys("llama.expert_weights_scale", 2),
        tensors,
        "llama.expert_weights_scale: expected a finite float but was 2");
    refused(
        keys("llama.expert_group_count", 2, "llama.expert_group_used_count", 1),
        tensors,
        "llama.expert_group_count: groups, used: expected a divisor of experts = 3");
    refused(
        keys("llama.expert_group_count", 3),
        tensors,
        "llama.expert_group_used_count: expected a number from 1 to 3 but is missing");
    refused(
        keys("llama.expert_shared_count", 1), tensors, "blk.2.ffn_down_shexp.weight: is missing");
  }

  @Test
  void namesTheTensorThatContradicts(Data data) throws IOException {
    Map<String, Tensor> tensors = tensors(data, false);
    tensors.put("exp_probs_b.bias", tensor(data, 1, EXPERTS));
    refused(
        keys(),
        tensors,
        "llama.expert_gating_func: is missing, but the gate has exp_probs_b; or pass the gate");
    tensors.put("exp_probs_b.bias", tensor(data, 1, EXPERTS + 1));
    refused(
        keys("llama.expert_gating_func", 2),
        tensors,
        "blk.2.exp_probs_b.bias: expected (3) but was (4)");
    for (String name : new String[] {"gate_exps.scale", "gate_inp.more", "down_chexps.weight"}) {
      tensors = tensors(data, false);
      tensors.put(name, tensor(data, 1, EXPERTS));
      refused(keys(), tensors, "blk.2.ffn_" + name + ": is not known to this library; to leave");
    }
    tensors = tensors(data, false);
    tensors.put("down_exps.scale", new Tensor(new float[] {1, Float.NaN, 1}, EXPERTS));
    refused(keys(), tensors, "blk.2.ffn_down_exps.scale: element 1 is NaN");
    tensors.put("down_exps.scale", new Tensor(new float[] {1, 1e30f, 1}, EXPERTS));
    refused(
        keys("llama.expert_weights_scale", 1e30f),
        tensors,
        "blk.2.ffn_down_exps.scale: element 1 times the scale of the gate is infinite");
    tensors = tensors(data, true);
    tensors.put("down_exps.scale", tensor(data, 1, EXPERTS));
    refused(
        keys(), tensors, "blk.2.ffn_down_exps.scale: is beside blk.2.ffn_down_exps.bias, which");
    refused(
        keys("general.architecture", "qwen2moe", "qwen2moe.expert_used_count", 2),
        tensors(data, false),
        "blk.2.ffn_down_shexp.weight: is missing");
    Map<String, Object> gemma =
        keys("general.architecture", "gemma4", "gemma4.expert_used_count", 2);
    tensors = tensors(data, false);
    refused(gemma, tensors, "blk.2.ffn_gate_inp.scale: is missing");
    tensors.put("gate_inp.scale", tensor(data, 1, INPUTS));
    refused(gemma, tensors, "blk.2.pre_ffw_norm_2.weight: is missing");
    tensors.put("pre_ffw_norm_2.weight", new Tensor(new float[INPUTS], INPUTS));
    refused(gemma, tensors, "blk.2.pre_ffw_norm_2.weight: element 0 is too small to divide by: 0");
    tensors = tensors(data, false);
    tensors.put("down_shexp.weight", tensor(data, 1, HIDDEN, INPUTS));
    refused(keys(), tensors, "blk.2.ffn_gate_shexp.weight: is missing");
    tensors.put("gate_shexp.weight", tensor(data, 1, INPUTS, HIDDEN));
    tensors.put("up_shexp.weight", tensor(data, 1, INPUTS, HIDDEN));
    refused(
        keys("llama.expert_shared_feed_forward_length", 31),
        tensors,
        "llama.expert_shared_feed_forward_length: expected 32, as the tensors have, but was 31");
    tensors.put("up_shexp.weight", tensor(data, 1, INPUTS, HIDDEN + 1));
    refused(keys(), tensors, "blk.2.ffn_up_shexp.weight: expected (32, 64) but was (33, 64)");
    tensors.put("down_shexp.weight", tensor(data, 1, HIDDEN, INPUTS + 1));
    refused(keys(), tensors, "blk.2.ffn_down_shexp.weight: expected (64, 32) but was (65, 32)");
  }

  private void refused(Map<String, Tensor> tensors, String message) throws IOException {
    Path file = write(tensors, false);
    long before = FloatTensor.allocatedBytes();
    FileFormatException thrown =
        assertThrows(FileFormatException.class, () -> layer(file, Activation.SWIGLU));
    assertTrue(thrown.getMessage().contains(message), thrown::getMessage);
    assertTrue(FloatTensor.allocatedBytes() <= before, "memory is kept");
  }

  @Test
  void namesTheBlocksThatThereAre(Data data) throws IOException {
    GgufBytes many = GgufBytes.of(12, 0);
    for (int block = 0; block < 12; block++) {
      many.tensor("blk." + 2 * block + ".ffn_down_exps.weight", GgufBytes.F32, 0, 0);
    }
    Map<Path, String> files =
        Map.of(
            write(tensors(data, false), false),
            "; there are experts in blk.2",
            Files.write(folder.resolve("many.gguf"), many.aligned(32).bytes()),
            "; there are experts in blk.0, blk.2, blk.4, blk.6, blk.8, blk.10, blk.12, blk.14 ..."
                + " blk.22",
            Files.write(folder.resolve("none.gguf"), GgufBytes.of(0, 0).aligned(32).bytes()),
            "; the file has no experts");
    for (Map.Entry<Path, String> file : files.entrySet()) {
      try (GgufFile gguf = GgufFile.open(file.getKey())) {
        FileFormatException thrown =
            assertThrows(
                FileFormatException.class,
                () -> MixtureOfExperts.of(gguf, 7, null, Activation.SWIGLU));
        String wanted = ": blk.7.ffn_gate_exps.weight: is missing" + file.getValue();
        assertTrue(thrown.getMessage().endsWith(wanted), thrown::getMessage);
      }
    }
  }

  @Test
  void namesTheTensorThatIsWrong(Data data) throws IOException {
    for (String name : tensors(data, false).keySet()) {
      Map<String, Tensor> tensors = tensors(data, false);
      tensors.remove(name);
      refused(tensors, "blk.2.ffn_" + name + ": ");
    }
    Map<String, Tensor> tensors = tensors(data, true);
    tensors.put("down_exps.weight", tensor(data, 1, INPUTS, HIDDEN, EXPERTS));
    refused(tensors, "blk.2.ffn_down_exps.weight: expected (3, 32, 32) but was (3, 32, 64)");
    tensors = tensors(data, true);
    tensors.put("up_exps.bias", tensor(data, 1, HIDDEN, EXPERTS + 1));
    refused(tensors, "blk.2.ffn_up_exps.bias: expected (3, 32) but was (4, 32)");
    tensors = tensors(data, true);
    tensors.put("gate_inp.weight", tensor(data, 1, EXPERTS, INPUTS));
    refused(tensors, "blk.2.ffn_gate_inp.weight: expected (3, 64) but was (64, 3)");
    for (long[] dims : new long[][] {{0, HIDDEN, EXPERTS}, {INPUTS, 0, EXPERTS}}) {
      tensors = tensors(data, false);
      tensors.put("gate_exps.weight", new Tensor(new float[0], dims));
      tensors.put("up_exps.weight", new Tensor(new float[0], dims));
      refused(tensors, "blk.2.ffn_gate_exps.weight: expected (experts, out, in) but was (3, ");
    }
    tensors = tensors(data, false);
    tensors.put("gate_up_exps.weight", tensor(data, 1, INPUTS, 3, EXPERTS));
    refused(
        tensors,
        "blk.2.ffn_gate_up_exps.weight: expected (experts, even out, in) but was (3, 3, 64)");
    Path file = write(tensors(data, false), false);
    try (GgufFile gguf = GgufFile.open(file)) {
      assertRejects(
          "gate: expected one of 3 experts, as the file has, but was one of 4",
          () -> MixtureOfExperts.of(gguf, 2, TopKGate.of(4, 2), Activation.SWIGLU));
    }
  }
}
