// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.blocksparse.internal.Access.TENSORS;
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
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.NamedTensors;
import org.blocksparse.io.TensorFile;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Layers made of matrices (out, in) that have names, and of W1 as two. */
@ExtendWith(Seeded.class)
final class NamedExpertsTest {
  private static final int EXPERTS = 3;
  private static final int INPUTS = 37;
  private static final int HIDDEN = 16;
  private static final int OUTPUTS = 5;

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
    return all;
  }

  private static FloatTensor floats(Data data, long... dims) {
    return FloatTensor.of(data.floats(Numbers.GAUSSIAN, Shape.of(dims).size()), dims);
  }

  /** The function may not keep what it returns: it is closed. */
  private static ExpertTensors copies(Map<String, FloatTensor> all) {
    return name -> all.containsKey(name) ? TENSORS.copy(all.get(name), name) : null;
  }

  /** The same numbers by the names of the layer: gate and up each by itself, or as one. */
  private static Map<String, FloatTensor> parameters(Map<String, FloatTensor> all, boolean halves) {
    FloatTensor gate = FloatTensor.zeros(1, EXPERTS, INPUTS, HIDDEN);
    FloatTensor up = FloatTensor.zeros(1, EXPERTS, INPUTS, HIDDEN);
    FloatTensor both = FloatTensor.zeros(1, EXPERTS, INPUTS, 2 * HIDDEN);
    FloatTensor down = FloatTensor.zeros(EXPERTS, 1, HIDDEN, OUTPUTS);
    FloatTensor Wg = FloatTensor.zeros(1, 1, INPUTS, EXPERTS);
    for (int e = 0; e < EXPERTS; e++) {
      for (int i = 0; i < INPUTS; i++) {
        Wg.set(all.get("gate.weight").get(e, i), 0, 0, i, e);
        for (int j = 0; j < HIDDEN; j++) {
          float ofGate = all.get("experts." + e + ".gate_proj.weight").get(j, i);
          float ofUp = all.get("experts." + e + ".up_proj.weight").get(j, i);
          gate.set(ofGate, 0, e, i, j);
          up.set(ofUp, 0, e, i, j);
          both.set(ofGate, 0, e, i, j);
          both.set(ofUp, 0, e, i, HIDDEN + j);
        }
      }
      for (int j = 0; j < HIDDEN; j++) {
        for (int o = 0; o < OUTPUTS; o++) {
          down.set(all.get("experts." + e + ".down_proj.weight").get(o, j), e, 0, j, o);
        }
      }
    }
    return halves
        ? Map.of("W1.gate", gate, "W1.up", up, "W2", down, "Wg", Wg)
        : Map.of("W1", both, "W2", down, "Wg", Wg);
  }

  private static MixtureOfExpertsBuilder builder() {
    return MixtureOfExperts.builder(INPUTS, HIDDEN, TopKGate.of(EXPERTS, 2)).outputs(OUTPUTS);
  }

  private static MixtureOfExperts layer(ExpertTensors tensors, ElementType type)
      throws IOException {
    return MixtureOfExperts.of(tensors, EXPERTS, TopKGate.of(EXPERTS, 2), Activation.SWIGLU, type);
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
      try (MixtureOfExperts layer = layer(copies(all), type)) {
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
            MixtureOfExperts expected = layer(copies(rounded), type);
            MixtureOfExperts layer = layer(name -> file.weights("mlp." + name), type)) {
          assertEqual(expected, layer);
          FileFormatException missing =
              assertThrows(FileFormatException.class, () -> layer(file::weights, type));
          assertEquals("experts.0.up_proj.weight", missing.part());
        }
      }
    }
  }

  @Test
  void withoutAGateAndWithOneMatrixOnTheWayIn(Data data) throws IOException {
    Map<String, FloatTensor> all = matrices(data);
    all.remove("gate.weight");
    all.keySet().removeIf(name -> name.contains("gate_proj"));
    try (MixtureOfExperts layer =
        MixtureOfExperts.of(copies(all), EXPERTS, null, Activation.RELU, ElementType.FLOAT32)) {
      assertThrows(IllegalStateException.class, layer::gate);
      assertEquals(HIDDEN, layer.parameters().get("W1").shape().dim(3));
      assertEquals(OUTPUTS, layer.outputs());
    }
  }

  private static void refused(Map<String, FloatTensor> all, String message) {
    long before = FloatTensor.allocatedBytes();
    assertEquals(
        message,
        assertThrows(IllegalArgumentException.class, () -> layer(copies(all), ElementType.BFLOAT16))
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
    assertEquals(
        "gate: expected one of 4 experts but was one of 3",
        assertThrows(
                IllegalArgumentException.class,
                () ->
                    MixtureOfExperts.of(
                        name -> null, 4, TopKGate.of(3, 2), Activation.SWIGLU, ElementType.FLOAT32))
            .getMessage());
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
