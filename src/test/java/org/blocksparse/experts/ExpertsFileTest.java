// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.blocksparse.testing.Failures.assertFails;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.Optimizer;
import org.blocksparse.Weights;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Seed;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** A layer of experts in files, and with weights of fewer bits. */
@ExtendWith(Seeded.class)
public final class ExpertsFileTest {
  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void nameTheFile() {
    file = folder.resolve("experts.safetensors");
  }

  public static MixtureOfExperts layer() {
    TopKGate gate =
        TopKGate.of(3, 2).withBalancing(0.25f).withoutRenormalization().withCapacity(100);
    return MixtureOfExperts.builder(4, 6, gate)
        .outputs(5)
        .activation(Activation.CLAMPED_SWIGLU)
        .gatedShared(2)
        .biases()
        .seed(9)
        .build();
  }

  private static void train(MixtureOfExperts layer, Optimizer optimizer, int steps) {
    for (int step = 0; step < steps; step++) {
      float[] rows = new float[7 * 4];
      for (int i = 0; i < rows.length; i++) {
        rows[i] = (float) Math.sin(i * i + step);
      }
      try (FloatTensor x = FloatTensor.of(rows, 7, 4);
          FloatTensor out = FloatTensor.zeros(7, 5);
          ExpertsPass pass = layer.forward(x, out)) {
        pass.step(out, optimizer);
      }
    }
  }

  private static float[] applied(MixtureOfExperts layer, float... rows) {
    try (FloatTensor x = FloatTensor.of(rows, rows.length / layer.inputs(), layer.inputs());
        FloatTensor out = layer.apply(x)) {
      return out.toArray();
    }
  }

  private static void assertEqual(MixtureOfExperts expected, MixtureOfExperts actual) {
    assertEquals(expected.parameters().keySet(), actual.parameters().keySet());
    expected
        .parameters()
        .forEach(
            (name, parameter) ->
                assertArrayEquals(floats(parameter), floats(actual.parameters().get(name)), name));
  }

  private static float[] floats(BlockMatrix parameter) {
    if (parameter instanceof Weights weights) {
      try (FloatTensor widened = weights.widened()) {
        return widened.toArray();
      }
    }
    return ((FloatTensor) parameter).toArray();
  }

  @Test
  void whatIsSavedIsLoaded() throws IOException {
    try (MixtureOfExperts layer = layer()) {
      train(layer, Optimizer.adam(0.1f), 2);
      layer.save(file, SaveOptions.defaults().withMetadata(Map.of("name", "of a test")));
      try (MixtureOfExperts loaded = MixtureOfExperts.load(file)) {
        assertEqual(layer, loaded);
        assertEquals(layer.toString(), loaded.toString());
        assertEquals(Activation.CLAMPED_SWIGLU, loaded.activation());
        assertEquals(layer.gate().toString(), loaded.gate().toString());
        assertEquals(Map.of("name", "of a test"), loaded.metadata());
        assertEquals(ElementType.FLOAT32, loaded.weightType());
      }
    }
  }

  /** The numbers of a gate are text in the file: each is restored bit by bit. */
  @Test
  void numbersOfTheGateComeBack() throws IOException {
    SplittableRandom random = new SplittableRandom(Seed.value());
    for (int i = 0; i < 300; i++) {
      float weight =
          Float.intBitsToFloat(random.nextInt(Float.floatToIntBits(Float.MAX_VALUE) + 1));
      int capacity = (int) random.nextLong(1, 1L << random.nextInt(1, 32));
      int experts = random.nextInt(1, 6);
      TopKGate gate =
          TopKGate.of(experts, random.nextInt(1, experts + 1))
              .withBalancing(i == 0 ? Float.MIN_VALUE : i == 1 ? Float.MAX_VALUE : weight)
              .withCapacity(capacity)
              .withScales(i % 2 == 0 ? weight : -weight);
      try (MixtureOfExperts layer = MixtureOfExperts.builder(1, 1, gate).build()) {
        layer.save(file);
      }
      try (MixtureOfExperts loaded = MixtureOfExperts.load(file)) {
        assertEquals(gate.toString(), loaded.gate().toString(), Seed.howToRepeat());
        assertArrayEquals(gate.gating().scales(), loaded.gate().gating().scales());
      }
    }
  }

  private static TopKGate kinds() {
    return TopKGate.of(4, 2)
        .withSigmoid()
        .withGroups(2, 1)
        .withChoiceBias(1, -2, 3e-30f, 0)
        .withScales(2.5f);
  }

  @Test
  void kindsOfGatesComeBack() throws IOException {
    TopKGate gate = kinds();
    try (MixtureOfExperts layer = MixtureOfExperts.builder(1, 1, gate).build()) {
      layer.save(file);
      try (MixtureOfExperts loaded = MixtureOfExperts.load(file)) {
        assertEquals(
            "TopKGate(2 of 4 in 1 of 2 groups, sigmoid, choice bias, scaled)", gate.toString());
        assertEquals(gate.toString(), loaded.gate().toString());
        assertArrayEquals(gate.gating().choiceBias(), loaded.gate().gating().choiceBias());
        assertArrayEquals(applied(layer, -2, 0, 3), applied(loaded, -2, 0, 3));
      }
    }
  }

  @Test
  void aLayerWithoutGateAndBiasesAsWell() throws IOException {
    try (MixtureOfExperts layer = MixtureOfExperts.builder(4, 6, 3).build()) {
      layer.save(file);
      try (MixtureOfExperts loaded = MixtureOfExperts.load(file)) {
        assertEqual(layer, loaded);
        assertEquals(Set.of("W1", "W2"), loaded.parameters().keySet());
        assertThrows(IllegalStateException.class, loaded::gate);
      }
    }
  }

  /** Training continues as if it had not been interrupted; without the state it begins anew. */
  @ParameterizedTest
  @CsvSource({"true, true", "true, false", "false, false"})
  void trainingGoesOn(boolean withState, boolean mapped) throws IOException {
    Optimizer adam = Optimizer.adam(0.05f);
    LoadOptions options = mapped ? LoadOptions.copyOnWrite() : LoadOptions.copied();
    try (MixtureOfExperts layer = layer()) {
      train(layer, adam, 2);
      layer.save(
          file, withState ? SaveOptions.defaults().withOptimizerState() : SaveOptions.defaults());
      try (MixtureOfExperts loaded = MixtureOfExperts.load(file, options)) {
        train(layer, adam, 2);
        train(loaded, adam, 2);
        if (withState) {
          assertEqual(layer, loaded);
        } else {
          assertTrue(
              !Arrays.equals(
                  floats(layer.parameters().get("W1")), floats(loaded.parameters().get("W1"))));
        }
      }
      try (MixtureOfExperts again = MixtureOfExperts.load(file, options.withoutOptimizerState())) {
        train(again, adam, 1); // the file is unchanged
      }
    }
  }

  @Test
  void mappedLayersAreOnlyRead(Data data) throws IOException {
    float[] rows = data.floats(Numbers.GAUSSIAN, 5 * 4);
    try (MixtureOfExperts layer = layer()) {
      layer.save(file);
      try (MixtureOfExperts mapped = MixtureOfExperts.load(file, LoadOptions.mapped())) {
        assertArrayEquals(applied(layer, rows), applied(mapped, rows));
        IllegalStateException refused =
            assertThrows(IllegalStateException.class, () -> train(mapped, Optimizer.sgd(0.1f), 1));
        assertTrue(refused.getMessage().startsWith("W1: "), refused.getMessage());
        assertEqual(layer, mapped);
      }
    }
  }

  /**
   * Returns the error bound of an output by the types of weights and rows, for layers of this size.
   */
  private static float error(ElementType type) {
    return switch (type) {
      case FLOAT32 -> 0;
      case FLOAT16 -> 1e-3f;
      case BFLOAT16, PACKED_BFLOAT16, INT8, Q8_0 -> 0.03f;
      case Q6_K -> 0.1f;
      case Q5_K, Q5_1 -> 0.3f;
      case Q4_0, MXFP4, Q4_K, IQ4_NL, IQ4_XS -> 0.6f;
      case Q2_K -> 2;
    };
  }

  @ParameterizedTest
  @EnumSource(ElementType.class)
  void weightsOfFewerBits(ElementType type, Data data) throws IOException {
    float[] rows = data.floats(Numbers.GAUSSIAN, 5 * 4);
    try (MixtureOfExperts layer = layer();
        MixtureOfExperts narrow = layer.withWeights(type);
        MixtureOfExperts widened = narrow.withWeights(ElementType.FLOAT32)) {
      assertEquals(type, narrow.weightType());
      boolean rounds = type.isPacked() || type == ElementType.BFLOAT16;
      assertArrayEquals(applied(widened, rows), applied(narrow, rows), rounds ? 0.03f : 1e-5f);
      assertArrayEquals(applied(layer, rows), applied(narrow, rows), error(type));
      savedAndLoaded(narrow, rows);
      if (type != ElementType.FLOAT32) {
        assertThrows(IllegalStateException.class, () -> train(narrow, Optimizer.sgd(0.1f), 1));
        ElementType another = type == ElementType.INT8 ? ElementType.FLOAT16 : ElementType.INT8;
        assertThrows(IllegalStateException.class, () -> narrow.withWeights(another));
        try (MixtureOfExperts copy = narrow.withWeights(type)) {
          assertEqual(narrow, copy);
          assertArrayEquals(applied(narrow, rows), applied(copy, rows));
        }
      }
    }
  }

  private void savedAndLoaded(MixtureOfExperts narrow, float... rows) throws IOException {
    narrow.save(file);
    for (LoadOptions options : new LoadOptions[] {LoadOptions.copied(), LoadOptions.mapped()}) {
      try (MixtureOfExperts loaded = MixtureOfExperts.load(file, options)) {
        assertEquals(narrow.weightType(), loaded.weightType());
        assertEqual(narrow, loaded);
        assertArrayEquals(applied(narrow, rows), applied(loaded, rows));
      }
    }
  }

  /** The rounded rows are the input of a layer without rounding, where nothing else is rounded. */
  @Test
  void rowsAreRoundedAsTheWeightsAre(Data data) {
    float[] rows = data.floats(Numbers.GAUSSIAN, 20 * 4);
    try (MixtureOfExperts layer = layer();
        MixtureOfExperts narrow = layer.withWeights(ElementType.BFLOAT16);
        MixtureOfExperts widened = narrow.withWeights(ElementType.FLOAT32);
        MixtureOfExperts exact = narrow.withInputBits(32)) {
      float[] expected = applied(exact, rows);
      float[] rounded = applied(narrow, rows);
      assertArrayEquals(applied(widened, rows), expected, 1e-5f);
      assertArrayEquals(expected, rounded, 0.03f);
      assertFalse(Arrays.equals(expected, rounded));
      exact.close();
      assertThrows(IllegalStateException.class, () -> applied(narrow, rows));
    }
  }

  @Test
  void bitsOfInputsAreThoseOfTheWeights() {
    try (MixtureOfExperts layer = layer();
        MixtureOfExperts bytes = layer.withWeights(ElementType.INT8);
        MixtureOfExperts halfBytes = layer.withWeights(ElementType.Q4_0)) {
      bytes.withInputBits(8);
      bytes.withInputBits(16);
      halfBytes.withInputBits(8);
      layer.withInputBits(32);
      assertFails(
          IllegalStateException.class,
          "withInputBits: "
              + bytes.parameters().get("W1")
              + " is not multiplied by inputs of 32 bits; BlockPlan lists those of each type of"
              + " weights",
          () -> bytes.withInputBits(32));
      assertThrows(IllegalStateException.class, () -> halfBytes.withInputBits(16));
      assertThrows(IllegalStateException.class, () -> layer.withInputBits(8));
      assertRejects("bits: expected 8, 16 or 32 but was 4", () -> bytes.withInputBits(4));
    }
  }

  /** Views in the layout of other libraries' files. */
  @Test
  void transposedViewsAreCopiedInOrder(Data data) throws IOException {
    float[] rows = data.floats(Numbers.GAUSSIAN, 5 * 2);
    try (FloatTensor W1 = FloatTensor.of(data.floats(Numbers.GAUSSIAN, 3 * 6 * 2), 3, 1, 6, 2);
        FloatTensor W2 = FloatTensor.of(data.floats(Numbers.GAUSSIAN, 3 * 3 * 2), 1, 3, 2, 3);
        Weights first = Weights.of(W1, ElementType.BFLOAT16);
        Weights second = Weights.of(W2, ElementType.BFLOAT16);
        MixtureOfExperts layer =
            MixtureOfExperts.builder(2, 3, TopKGate.of(3, 2))
                .build(
                    Map.of(
                        "W1", first.transposeBlocks(),
                        "W2", second.transposeBlocks(),
                        "Wg", FloatTensor.zeros(1, 1, 2, 3)))) {
      assertRejects(
          "W1: Weights(1, 3, 2, 6) of BFLOAT16 is a transposed view; save what"
              + " withWeights(BFLOAT16) returns, which is none",
          () -> layer.save(file));
      try (MixtureOfExperts copy = layer.withWeights(ElementType.BFLOAT16)) {
        assertEqual(layer, copy);
        assertArrayEquals(applied(layer, rows), applied(copy.withInputBits(32), rows), 1e-5f);
        savedAndLoaded(copy, rows);
        assertPackedIs(copy, layer.withWeights(ElementType.PACKED_BFLOAT16));
        assertPackedIs(copy, copy.withWeights(ElementType.PACKED_BFLOAT16));
      }
    }
  }

  private static void assertPackedIs(MixtureOfExperts expected, MixtureOfExperts packed) {
    try (packed) {
      assertEquals(ElementType.PACKED_BFLOAT16, packed.weightType());
      for (String name : List.of("W1", "W2")) {
        try (FloatTensor those = ((Weights) expected.parameters().get(name)).widened();
            FloatTensor these = ((Weights) packed.parameters().get(name)).widened()) {
          assertArrayEquals(those.toArray(), these.toArray(), name);
        }
      }
      assertThrows(IllegalStateException.class, () -> packed.withInputBits(32));
      assertThrows(IllegalStateException.class, () -> packed.withInputBits(8));
      assertThrows(IllegalStateException.class, () -> packed.withWeights(ElementType.BFLOAT16));
    }
  }

  @Test
  void countsItsMemory() throws IOException {
    long weights = 4L * (3 * 4 * 12 + 3 * 6 * 5 + 4 * 4 + 2 * 5);
    long others = 4L * (4 * 3 + 3 + 3 * 12 + 3 * 5 + 4 + 1 + 4 + 5);
    long scales = 4L * (3 * 12 + 3 * 5 + 4 + 5);
    MixtureOfExperts layer = layer();
    try (layer;
        MixtureOfExperts bytes = layer.withWeights(ElementType.INT8)) {
      assertEquals(new MemoryUse(0, weights + others), layer.memoryUse());
      assertEquals(new MemoryUse(0, 4 * 2 * 512 + others + scales), bytes.memoryUse());
      layer.save(file);
      try (MixtureOfExperts mapped = MixtureOfExperts.load(file, LoadOptions.mapped())) {
        assertEquals(new MemoryUse(weights, others), mapped.memoryUse());
      }
      train(layer, Optimizer.adam(0.1f), 1);
      assertTrue(layer.memoryUse().privateBytes() >= 3 * (weights + others));
    }
    assertEquals(new MemoryUse(0, 0), layer.memoryUse());
  }

  /** Changes in the header of a valid file, and the message for each. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "SWIGLU\"|SWIGLX\"|__metadata__: blocksparse.activation is none: CLAMPED_SWIGLX",
        "MixtureOfExperts|MixtureOfExpertz|__metadata__: blocksparse.layer is no layer:",
        "gate.k\":\"2|gate.k\":\"4|__metadata__: blocksparse.gate.k is no number from 1 to 3:",
        "gate.k\":\"2|gate.k\":\"0|__metadata__: blocksparse.gate.k is no number from 1 to 3:",
        "gate.capacity\":\"100|gate.capacity\":\"-10|__metadata__: blocksparse.gate.capacity is no",
        "\"false\"|\"falsy\"|__metadata__: blocksparse.gate.renormalized is neither true nor"
            + " false:",
        "balancing\":\"0.25|balancing\":\"0x25|__metadata__: blocksparse.gate.balancing is no"
            + " finite",
        "[1,3,4,12]|[3,1,4,12]|W1: expected the shape (1, 1, 4, 12) but was (3, 1, 4, 12)",
        "[1,3,4,12]|[1,3,2,24]|W1: expected the shape (1, 3, 2, 12) but was (1, 3, 2, 24)",
        "[3,1,6,5]|[1,3,6,5]|W2: expected the shape (3, 1, 6, 5) but was (1, 3, 6, 5)",
        "[3,12]|[12,3]|b1:",
        "[1,1,4,4]|[1,4,4,1]|shared.W1: expected the shape (1, 1, 4, 4) but was (1, 4, 4, 1)",
        "[1,1,2,5]|[1,1,5,2]|shared.W1: expected the shape (1, 1, 4, 10) but was (1, 1, 4, 4)",
        "[1,1,4,1]|[1,1,1,4]|shared.Wg:",
        "\"Wg\"|\"Wh\"|Wg:",
        "format\":\"1|format\":\"2|__metadata__: blocksparse.format is"
      })
  void refusesWhatIsWrong(String from, String to, String message) throws IOException {
    refuses(layer(), from, to, message);
  }

  /** Changes in the metadata of a gate, and the message for each. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "sigmoid\":\"true|sigmoid\":\"True|sigmoid is neither true nor false: True",
        "groups\":\"2|groups\":\"3|groups does not divide the experts",
        "groups\":\"2|groups\":\"4|groups does not divide the experts, or has fewer",
        "groups\":\"2|groups\":\"5|groups is no number from 1 to 4: 5",
        "groups.used\":\"1|groups.used\":\"3|groups.used is no number from 1 to 2: 3",
        "1.0 -2.0|1.0 -2.x|choice.bias has no finite number at 1: -2.x",
        "1.0 -2.0|1.0 9E39|choice.bias has no finite number at 1: 9E39",
        "1.0 -2.0|1.0_-2.0|choice.bias has no finite number at 0: 1.0_-2.0",
        "2.5 2.5|2.51234|scales has 2 numbers, not 4"
      })
  void refusesWrongGates(String from, String to, String message) throws IOException {
    refuses(
        MixtureOfExperts.builder(1, 1, kinds()).build(),
        from,
        to,
        "__metadata__: blocksparse.gate." + message);
  }

  private void refuses(MixtureOfExperts right, String from, String to, String message)
      throws IOException {
    try (MixtureOfExperts layer = right) {
      layer.save(file);
    }
    byte[] bytes = Files.readAllBytes(file);
    int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    String header = new String(bytes, 8, length, ISO_8859_1);
    assertTrue(header.contains(from), header);
    byte[] changed = header.replace(from, to).getBytes(ISO_8859_1);
    assertEquals(length, changed.length);
    System.arraycopy(changed, 0, bytes, 8, length);
    Files.write(file, bytes);
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> MixtureOfExperts.load(file));
    assertTrue(
        refused.getMessage().contains(": " + message), () -> message + ": " + refused.getMessage());
  }

  @Test
  void filesOfOtherLayersAreToldApart() throws IOException {
    try (MixtureOfExperts layer = layer();
        HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(3, 4).build();
        EmbeddingBag bag = EmbeddingBag.builder(3, 4).build()) {
      layer.save(file);
      String message =
          assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(file))
              .getMessage();
      assertTrue(
          message.endsWith("is of a MixtureOfExperts; MixtureOfExperts.load loads it"), message);
      assertThrows(
          IllegalArgumentException.class, () -> layer.save(file, SaveOptions.defaults().with(bag)));
      softmax.save(file);
      message =
          assertThrows(FileFormatException.class, () -> MixtureOfExperts.load(file)).getMessage();
      assertTrue(
          message.endsWith("is of a HierarchicalSoftmax; HierarchicalSoftmax.load loads it"),
          message);
    }
  }

  private byte[] fileOf(MixtureOfExperts layer) throws IOException {
    Path file = folder.resolve("of");
    SaveOptions plain = SaveOptions.defaults();
    boolean isTrained = layer.weightType() == ElementType.FLOAT32;
    layer.save(file, isTrained ? plain.withOptimizerState() : plain);
    return Files.readAllBytes(file);
  }

  /**
   * The copy has parameters of any type, the state, the gate and the metadata; it continues, and
   * outlives the layer.
   */
  @ParameterizedTest
  @EnumSource(ElementType.class)
  void aCopyGoesOnAsTheLayerDoes(ElementType type) throws IOException {
    Path file = folder.resolve("experts");
    float[] rows = new float[5 * 32];
    Arrays.fill(rows, 0.5f);
    try (MixtureOfExperts made =
            MixtureOfExperts.builder(32, 32, TopKGate.of(3, 2)).shared(48).biases().build();
        FloatTensor x = FloatTensor.of(rows, 5, 32)) {
      step(made, x);
      SaveOptions options = SaveOptions.defaults().withMetadata(Map.of("language", "en"));
      if (type == ElementType.FLOAT32) {
        made.save(file, options.withOptimizerState());
      } else {
        try (MixtureOfExperts narrow = made.withWeights(type)) {
          narrow.save(file, options);
        }
      }
      try (MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped());
          MixtureOfExperts copy = layer.copy();
          FloatTensor out = layer.apply(x);
          FloatTensor ofCopy = copy.apply(x)) {
        assertEquals(0, copy.memoryUse().mappedBytes());
        assertEquals(type, copy.weightType());
        byte[] before = fileOf(copy);
        assertArrayEquals(fileOf(layer), before);
        assertArrayEquals(out.toArray(), ofCopy.toArray());
      }
      if (type == ElementType.FLOAT32) {
        try (MixtureOfExperts layer = MixtureOfExperts.load(file);
            MixtureOfExperts copy = layer.copy()) {
          byte[] before = fileOf(copy);
          step(layer, x);
          assertArrayEquals(before, fileOf(copy), "it is its own");
          step(copy, x);
          assertArrayEquals(fileOf(layer), fileOf(copy));
          layer.close();
          step(copy, x);
          assertThrows(IllegalStateException.class, layer::copy);
        }
      }
    }
  }

  private static void step(MixtureOfExperts layer, FloatTensor x) {
    try (FloatTensor out = FloatTensor.zeros(x.shape());
        ExpertsPass pass = layer.forward(x, out)) {
      pass.step(x, Optimizer.adam(0.1f));
    }
  }
}
