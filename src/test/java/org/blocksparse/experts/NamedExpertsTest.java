// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.io.GgufFile;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.NamedTensors;
import org.blocksparse.io.TensorFile;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Layers made of matrices (out, in) that have names, and of W1 as two. */
@ExtendWith(Seeded.class)
final class NamedExpertsTest {
  private static final int EXPERTS = 3;
  private static final int INPUTS = 37;
  private static final int HIDDEN = 16;
  private static final int OUTPUTS = 5;
  private static final int SHARED_HIDDEN = 24;

  @TempDir private Path folder;

  /** A model's matrices, by the names that are asked for. */
  private static Map<String, FloatTensor> matrices(Data data) {
    Map<String, FloatTensor> all = new LinkedHashMap<>();
    all.put("gate.weight", floats(data, EXPERTS, INPUTS));
    for (int e = 0; e < EXPERTS; e++) {
      all.put("experts." + e + ".gate_proj.weight", floats(data, HIDDEN, INPUTS));
      all.put("experts." + e + ".up_proj.weight", floats(data, HIDDEN, INPUTS));
      all.put("experts." + e + ".down_proj.weight", floats(data, OUTPUTS, HIDDEN));
    }
    all.put("shared_expert_gate.weight", floats(data, 1, INPUTS));
    all.put("shared_expert.gate_proj.weight", floats(data, SHARED_HIDDEN, INPUTS));
    all.put("shared_expert.up_proj.weight", floats(data, SHARED_HIDDEN, INPUTS));
    all.put("shared_expert.down_proj.weight", floats(data, OUTPUTS, SHARED_HIDDEN));
    return all;
  }

  private static FloatTensor floats(Data data, long... dims) {
    return FloatTensor.of(data.floats(Numbers.GAUSSIAN, Shape.of(dims).size()), dims);
  }

  /** The function may not keep what it returns: it is closed. */
  private static ExpertTensors copies(Map<String, FloatTensor> all) {
    return name -> all.containsKey(name) ? DenseFloats.from(all.get(name)).copy(name) : null;
  }

  /** The same numbers by the names of the layer: gate and up each by itself, or as one. */
  private static Map<String, FloatTensor> parameters(Map<String, FloatTensor> all, boolean halves) {
    Map<String, FloatTensor> made = new HashMap<>();
    made.put("Wg", turned(all, 1, 1, "gate"));
    made.put("W2", turned(all, EXPERTS, 1, "experts.#.down_proj"));
    if (halves) {
      made.put("W1.gate", turned(all, 1, EXPERTS, "experts.#.gate_proj"));
      made.put("W1.up", turned(all, 1, EXPERTS, "experts.#.up_proj"));
    } else {
      made.put("W1", turned(all, 1, EXPERTS, "experts.#.gate_proj", "experts.#.up_proj"));
    }
    made.put("shared.Wg", turned(all, 1, 1, "shared_expert_gate"));
    made.put("shared.W1", turned(all, 1, 1, "shared_expert.gate_proj", "shared_expert.up_proj"));
    made.put("shared.W2", turned(all, 1, 1, "shared_expert.down_proj"));
    return made;
  }

  /** Blocks (in, out) of matrices side by side, whose names have the expert's number for #. */
  private static FloatTensor turned(
      Map<String, FloatTensor> all, int iBlocks, int oBlocks, String... names) {
    Shape shape = all.get(names[0].replace('#', '0') + ".weight").shape();
    int out = (int) shape.dim(0);
    int in = (int) shape.dim(1);
    FloatTensor blocks = FloatTensor.zeros(iBlocks, oBlocks, in, (long) out * names.length);
    for (int e = 0; e < iBlocks * oBlocks; e++) {
      for (int part = 0; part < names.length; part++) {
        FloatTensor matrix = all.get(names[part].replace("#", "" + e) + ".weight");
        for (int i = 0; i < out * in; i++) {
          int o = i / in;
          float value = matrix.get(o, i % in);
          blocks.set(value, iBlocks == 1 ? 0 : e, oBlocks == 1 ? 0 : e, i % in, part * out + o);
        }
      }
    }
    return blocks;
  }

  private static MixtureOfExpertsBuilder builder() {
    return MixtureOfExperts.builder(INPUTS, HIDDEN, TopKGate.of(EXPERTS, 2))
        .outputs(OUTPUTS)
        .gatedShared(SHARED_HIDDEN);
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
    assertEquals(expected.weightType(), actual.weightType());
    assertEquals(expected.parameters().keySet(), actual.parameters().keySet());
    expected
        .parameters()
        .forEach(
            (name, parameter) ->
                assertArrayEquals(floats(parameter), floats(actual.parameters().get(name)), name));
  }

  /** A layer of a type has the weights of the layer of floats in that type. */
  @ParameterizedTest
  @EnumSource(ElementType.class)
  void takesMatricesByTheirNames(ElementType type, Data data) throws IOException {
    Map<String, FloatTensor> all = matrices(data);
    try (MixtureOfExperts floats = builder().build(parameters(all, false));
        MixtureOfExperts expected = floats.withWeights(type)) {
      long before = FloatTensor.allocatedBytes();
      try (MixtureOfExperts layer = builder().build(copies(all), type)) {
        assertEqual(expected, layer);
        boolean trained = layer.parameters().get("W1") instanceof FloatTensor;
        assertEquals(type == ElementType.FLOAT32, trained);
      }
      assertTrue(FloatTensor.allocatedBytes() <= before, "memory is kept");
    }
  }

  @Test
  void takesFilesOfAnyFloats(Data data) throws IOException {
    Map<String, FloatTensor> all = matrices(data);
    for (ElementType type :
        new ElementType[] {ElementType.FLOAT32, ElementType.FLOAT16, ElementType.BFLOAT16}) {
      NamedTensors named = NamedTensors.none();
      Map<String, FloatTensor> rounded = new HashMap<>();
      for (Map.Entry<String, FloatTensor> entry : all.entrySet()) {
        Shape shape = entry.getValue().shape();
        FloatTensor blocks = entry.getValue().reshape(1, 1, shape.dim(0), shape.dim(1));
        Weights narrow = Weights.of(blocks, type);
        rounded.put(entry.getKey(), FloatTensor.of(narrow.widened().toArray(), shape.toArray()));
        named =
            type == ElementType.FLOAT32
                ? named.with("mlp." + entry.getKey(), entry.getValue())
                : named.with("mlp." + entry.getKey(), narrow);
      }
      Path path = folder.resolve("model.safetensors");
      TensorFile.save(path, named);
      for (LoadOptions options : new LoadOptions[] {LoadOptions.copied(), LoadOptions.mapped()}) {
        try (TensorFile file = TensorFile.open(path, options);
            MixtureOfExperts expected = builder().build(copies(rounded), type);
            MixtureOfExperts layer = builder().build(name -> file.weights("mlp." + name), type)) {
          assertEqual(expected, layer);
          FileFormatException missing =
              assertThrows(FileFormatException.class, () -> builder().build(file::weights, type));
          assertEquals("gate.weight", missing.part());
        }
      }
    }
  }

  @Test
  void withoutAGateAndWithOneMatrixOnTheWayIn(Data data) throws IOException {
    Map<String, FloatTensor> all = matrices(data);
    all.keySet().removeIf(name -> name.contains("gate"));
    try (MixtureOfExperts layer =
        MixtureOfExperts.builder(INPUTS, HIDDEN, EXPERTS)
            .outputs(OUTPUTS)
            .activation(Activation.RELU)
            .shared(SHARED_HIDDEN)
            .build(copies(all), ElementType.FLOAT32)) {
      assertThrows(IllegalStateException.class, layer::gate);
      assertEquals(HIDDEN, layer.parameters().get("W1").shape().dim(3));
      assertEquals(SHARED_HIDDEN, layer.parameters().get("shared.W1").shape().dim(3));
    }
  }

  /** Matrices by the names of Qwen and DeepSeek are the layer that a file of llama.cpp has. */
  @ParameterizedTest
  @ValueSource(strings = {"qwen2moe", "deepseek2-v3"})
  void isTheLayerOfLlamaCpp(String model) throws IOException {
    Path path = Path.of("src/test/resources/gguf/experts-" + model + ".gguf");
    try (GgufFile file = GgufFile.open(path);
        MixtureOfExperts expected = MixtureOfExperts.of(file, 1)) {
      MixtureOfExpertsBuilder builder =
          MixtureOfExperts.builder(expected.inputs(), expected.hidden(), expected.gate());
      int hidden = (int) expected.parameters().get("shared.W2").shape().dim(2);
      boolean isGated = expected.parameters().containsKey("shared.Wg");
      builder = isGated ? builder.gatedShared(hidden) : builder.shared(hidden);
      try (MixtureOfExperts layer =
          builder.build(name -> ofLlamaCpp(file, name), ElementType.FLOAT32)) {
        assertEqual(expected, layer);
      }
    }
  }

  private static FloatTensor ofLlamaCpp(GgufFile file, String name) throws IOException {
    String[] parts = name.split("[.]", -1);
    String matrix = parts[parts.length - 2].replace("_proj", "");
    String tensor =
        switch (parts[0]) {
          case "gate" -> "gate_inp";
          case "shared_expert_gate" -> "gate_inp_shexp";
          case "shared_expert" -> matrix + "_shexp";
          default -> matrix + "_exps";
        };
    try (FloatTensor all = file.floats("blk.1.ffn_" + tensor + ".weight")) {
      Shape shape = all.shape();
      if (shape.rank() < 3) {
        return FloatTensor.of(all.toArray(), shape.size() / last(shape), last(shape));
      }
      int size = (int) (shape.dim(1) * last(shape));
      float[] one = new float[size];
      all.get((long) Integer.parseInt(parts[1]) * size, one, 0, size);
      return FloatTensor.of(one, shape.dim(1), last(shape));
    }
  }

  private static long last(Shape shape) {
    return shape.dim(shape.rank() - 1);
  }

  private static void refused(Map<String, FloatTensor> all, String message) {
    long before = FloatTensor.allocatedBytes();
    assertEquals(
        message,
        assertThrows(
                IllegalArgumentException.class,
                () -> builder().build(copies(all), ElementType.BFLOAT16))
            .getMessage());
    assertTrue(FloatTensor.allocatedBytes() <= before, "memory is kept");
  }

  @Test
  void namesTheTensorThatIsWrong(Data data) {
    for (String name : matrices(data).keySet()) {
      Map<String, FloatTensor> all = matrices(data);
      all.remove(name);
      refused(all, "tensors: expected " + name + " but there is none");
    }
    Map<String, FloatTensor> all = matrices(data);
    all.put("experts.2.up_proj.weight", floats(data, INPUTS, HIDDEN));
    refused(all, "experts.2.up_proj.weight: expected (out, in) = (16, 37) but was (37, 16)");
    all = matrices(data);
    all.put("experts.0.down_proj.weight", floats(data, OUTPUTS, INPUTS));
    refused(all, "experts.0.down_proj.weight: expected (out, in) = (5, 16) but was (5, 37)");
    all = matrices(data);
    all.put("gate.weight", floats(data, EXPERTS + 1, INPUTS));
    refused(all, "gate.weight: expected (out, in) = (3, 37) but was (4, 37)");
    all = matrices(data);
    all.put("experts.1.gate_proj.weight", floats(data, HIDDEN * INPUTS));
    refused(all, "experts.1.gate_proj.weight: expected (out, in) or (1, 1, out, in) but was (592)");
    all = matrices(data);
    all.put("shared_expert_gate.weight", floats(data, 2, INPUTS));
    refused(all, "shared_expert_gate.weight: expected (out, in) = (1, 37) but was (2, 37)");
    all = matrices(data);
    all.put("shared_expert.down_proj.weight", floats(data, OUTPUTS, HIDDEN));
    refused(all, "shared_expert.down_proj.weight: expected (out, in) = (5, 24) but was (5, 16)");
  }

  @Test
  void refusesBiasesAndHiddenSizesThatDoNotFit() {
    ExpertTensors none = name -> null;
    MixtureOfExpertsBuilder biased = builder().biases();
    assertThrows(IllegalStateException.class, () -> biased.build(none, ElementType.FLOAT32));
    MixtureOfExpertsBuilder large = MixtureOfExperts.builder(1, 1 << 30, 1);
    MixtureOfExpertsBuilder shared = builder().shared(1 << 30);
    for (MixtureOfExpertsBuilder wrong : new MixtureOfExpertsBuilder[] {large, shared}) {
      for (Executable build :
          new Executable[] {wrong::build, () -> wrong.build(none, ElementType.FLOAT32)}) {
        assertEquals(
            "hidden: expected at most 2^30 - 1 with SWIGLU but was 1073741824",
            assertThrows(IllegalArgumentException.class, build).getMessage());
      }
    }
  }

  // -------------------------------------------------------------------------- W1 as two tensors

  @ParameterizedTest
  @EnumSource(ElementType.class)
  void gateAndUpMayBeTwo(ElementType type, Data data) {
    Map<String, FloatTensor> all = matrices(data);
    FloatTensor ofBoth = floats(data, EXPERTS, 2 * HIDDEN);
    FloatTensor ofGate = FloatTensor.zeros(EXPERTS, HIDDEN);
    FloatTensor ofUp = FloatTensor.zeros(EXPERTS, HIDDEN);
    for (int i = 0; i < EXPERTS * HIDDEN; i++) {
      ofGate.set(ofBoth.get(i / HIDDEN, i % HIDDEN), i / HIDDEN, i % HIDDEN);
      ofUp.set(ofBoth.get(i / HIDDEN, HIDDEN + i % HIDDEN), i / HIDDEN, i % HIDDEN);
    }
    Map<String, BlockMatrix> whole = new HashMap<>(parameters(all, false));
    Map<String, BlockMatrix> halves = new HashMap<>(parameters(all, true));
    whole.put("b1", ofBoth);
    halves.put("b1.gate", ofGate);
    halves.put("b1.up", ofUp);
    if (type != ElementType.FLOAT32) {
      for (String name : new String[] {"W1.gate", "W1.up"}) {
        halves.put(name, Weights.of((FloatTensor) halves.get(name), type));
      }
      whole.put("W1", Weights.of((FloatTensor) whole.get("W1"), type));
    }
    try (MixtureOfExperts expected = builder().build(whole);
        MixtureOfExperts layer = builder().build(halves)) {
      assertEqual(expected, layer);
      assertTrue(halves.get("W1.gate").isClosed() && ofUp.isClosed());
    }
  }

  @Test
  void halvesMayBeTransposedViews(Data data) {
    Map<String, FloatTensor> all = matrices(data);
    Map<String, BlockMatrix> halves = new HashMap<>(parameters(all, true));
    try (MixtureOfExperts expected = builder().build(parameters(all, false))) {
      for (String name : new String[] {"W1.gate", "W1.up"}) {
        FloatTensor floats = (FloatTensor) halves.get(name);
        float[] turned = floats.transposeBlocks().toArray();
        Weights outIn =
            Weights.of(FloatTensor.of(turned, EXPERTS, 1, HIDDEN, INPUTS), ElementType.FLOAT32);
        halves.put(name, outIn.transposeBlocks());
      }
      try (MixtureOfExperts layer = builder().build(halves)) {
        assertEqual(expected, layer);
      }
    }
  }

  private static void refused(String message, Activation activation, Map<String, BlockMatrix> p) {
    assertEquals(
        message,
        assertThrows(
                IllegalArgumentException.class,
                () -> MixtureOfExperts.builder(2, 2, 1).activation(activation).build(p))
            .getMessage());
    p.values().forEach(parameter -> assertTrue(!parameter.isClosed()));
  }

  @Test
  void refusesHalvesThatDoNotFit() {
    FloatTensor whole = FloatTensor.zeros(1, 1, 2, 4);
    FloatTensor gate = FloatTensor.zeros(1, 1, 2, 2);
    FloatTensor up = FloatTensor.zeros(1, 1, 2, 2);
    FloatTensor W2 = FloatTensor.zeros(1, 1, 2, 2);
    Activation swiglu = Activation.SWIGLU;
    refused("parameters: expected W1.up (1, 1, 2, 2)", swiglu, Map.of("W1.gate", gate, "W2", W2));
    refused(
        "parameters: W1 is given beside its halves; leave it or them out",
        swiglu,
        Map.of("W1.gate", gate, "W1.up", up, "W1", whole, "W2", W2));
    refused(
        "parameters: W1 has halves, which RELU does not use; give one",
        Activation.RELU,
        Map.of("W1.gate", gate, "W1.up", up, "W2", W2));
    refused(
        "W1.up: shares memory with W1.gate",
        swiglu,
        Map.of("W1.gate", gate, "W1.up", gate, "W2", W2));
    refused(
        "parameters: expected b1.up beside its other half",
        swiglu,
        Map.of("W1", whole, "W2", W2, "b1.gate", FloatTensor.zeros(1, 2)));
    Weights half = Weights.of(up, ElementType.FLOAT16);
    refused(
        "W1.up: expected the type and layout of " + gate + " but was " + half,
        swiglu,
        Map.of("W1.gate", gate, "W1.up", half, "W2", W2));
    refused(
        "W1.gate: expected a multiple of 16 outputs, as packed weights have side by side, but was"
            + " 2",
        swiglu,
        Map.of(
            "W1.gate", Weights.of(gate, ElementType.Q8_0),
            "W1.up", Weights.of(up, ElementType.Q8_0),
            "W2", W2));
  }
}
