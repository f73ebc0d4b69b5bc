// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.io.HuggingFaceModel;
import org.blocksparse.io.TensorFile;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.SafeTensorsBytes;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Layers made of named matrices (out, in), with W1 as one tensor or as two. */
@ExtendWith(Seeded.class)
final class NamedExpertsTest {
  private static final int EXPERTS = 3;
  private static final int INPUTS = 37;
  private static final int HIDDEN = 16;
  private static final int OUTPUTS = 5;
  private static final int SHARED_HIDDEN = 24;

  @TempDir private Path folder;

  /** Returns a model's matrices, by the requested names. */
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

  private HuggingFaceModel model(Map<String, FloatTensor> all) throws IOException {
    Path path = folder.resolve("matrices.safetensors");
    TensorFile.save(path, all);
    return HuggingFaceModel.open(path);
  }

  private static MixtureOfExperts built(
      MixtureOfExpertsBuilder builder, HuggingFaceModel model, ElementType type)
      throws IOException {
    return builder.build(model, UnaryOperator.identity(), type);
  }

  /** Returns the same numbers by the names of the layer: gate and up separate, or as one. */
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

  /**
   * Returns blocks (in, out) of matrices side by side, whose names have the expert's number for #.
   */
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

  /** A layer of a type has the weights of a layer of floats converted to that type. */
  @ParameterizedTest
  @EnumSource(ElementType.class)
  void takesMatricesByTheirNames(ElementType type, Data data) throws IOException {
    Map<String, FloatTensor> all = matrices(data);
    try (HuggingFaceModel model = model(all);
        MixtureOfExperts floats = builder().build(parameters(all, false));
        MixtureOfExperts expected = floats.withWeights(type)) {
      long before = FloatTensor.allocatedBytes();
      try (MixtureOfExperts layer = built(builder(), model, type)) {
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
      SafeTensorsBytes named = new SafeTensorsBytes();
      Map<String, FloatTensor> rounded = new HashMap<>();
      String inFile = type.name().replace("FLOAT", "F");
      for (Map.Entry<String, FloatTensor> entry : all.entrySet()) {
        Shape shape = entry.getValue().shape();
        FloatTensor blocks = entry.getValue().reshape(1, 1, shape.dim(0), shape.dim(1));
        float[] narrow = Weights.of(blocks, type).widened().toArray();
        rounded.put(entry.getKey(), FloatTensor.of(narrow, shape.toArray()));
        named.floats("mlp." + entry.getKey(), inFile, narrow, shape.toArray());
      }
      Path path = named.write(folder.resolve("model.safetensors"));
      try (HuggingFaceModel model = HuggingFaceModel.open(path);
          HuggingFaceModel exact = model(rounded);
          MixtureOfExperts expected = built(builder(), exact, type);
          MixtureOfExperts layer = builder().build(model, name -> "mlp." + name, type)) {
        assertEqual(expected, layer);
        FileFormatException missing =
            assertThrows(FileFormatException.class, () -> built(builder(), model, type));
        assertEquals("gate.weight", missing.part());
      }
    }
  }

  @Test
  void withoutAGateAndWithOneMatrixOnTheWayIn(Data data) throws IOException {
    Map<String, FloatTensor> all = matrices(data);
    all.keySet().removeIf(name -> name.contains("gate"));
    MixtureOfExpertsBuilder builder =
        MixtureOfExperts.builder(INPUTS, HIDDEN, EXPERTS)
            .outputs(OUTPUTS)
            .activation(Activation.RELU)
            .shared(SHARED_HIDDEN);
    try (HuggingFaceModel model = model(all);
        MixtureOfExperts layer = built(builder, model, ElementType.FLOAT32)) {
      assertThrows(IllegalStateException.class, layer::gate);
      assertEquals(HIDDEN, layer.parameters().get("W1").shape().dim(3));
      assertEquals(SHARED_HIDDEN, layer.parameters().get("shared.W1").shape().dim(3));
    }
  }

  private void refused(Map<String, FloatTensor> all, String message) throws IOException {
    try (HuggingFaceModel model = model(all)) {
      long before = FloatTensor.allocatedBytes();
      FileFormatException thrown =
          assertThrows(
              FileFormatException.class, () -> built(builder(), model, ElementType.BFLOAT16));
      String text = thrown.getMessage();
      assertTrue(text.startsWith(model.path() + ": " + message), () -> message + "\n" + text);
      assertTrue(FloatTensor.allocatedBytes() <= before, "memory is kept");
    }
  }

  @Test
  void namesTheTensorThatIsWrong(Data data) throws IOException {
    for (String name : matrices(data).keySet()) {
      Map<String, FloatTensor> all = matrices(data);
      all.remove(name);
      refused(all, name + ": is missing");
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
    refused(all, "experts.1.gate_proj.weight: expected (out, in) = (16, 37) but was (592)");
    all = matrices(data);
    all.put("shared_expert_gate.weight", floats(data, 2, INPUTS));
    refused(all, "shared_expert_gate.weight: expected (out, in) = (1, 37) but was (2, 37)");
    all = matrices(data);
    all.put("shared_expert.down_proj.weight", floats(data, OUTPUTS, HIDDEN));
    refused(all, "shared_expert.down_proj.weight: expected (out, in) = (5, 24) but was (5, 16)");
    all = matrices(data);
    all.get("experts.1.down_proj.weight").set(3.4e38f, 1, 2);
    refused(all, "experts.1.down_proj.weight: ");
  }

  @Test
  void refusesBiasesAndHiddenSizesThatDoNotFit(Data data) throws IOException {
    MixtureOfExpertsBuilder biased = builder().biases();
    MixtureOfExpertsBuilder large = MixtureOfExperts.builder(1, 1 << 30, 1);
    MixtureOfExpertsBuilder shared = builder().shared(1 << 30);
    try (HuggingFaceModel model = model(matrices(data))) {
      assertThrows(IllegalStateException.class, () -> built(biased, model, ElementType.FLOAT32));
      for (MixtureOfExpertsBuilder wrong : new MixtureOfExpertsBuilder[] {large, shared}) {
        for (Executable build :
            new Executable[] {wrong::build, () -> built(wrong, model, ElementType.FLOAT32)}) {
          assertRejects("hidden: expected at most 2^30 - 1 with SWIGLU but was 1073741824", build);
        }
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
    assertRejects(message, () -> MixtureOfExperts.builder(2, 2, 1).activation(activation).build(p));
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
