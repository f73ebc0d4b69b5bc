// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.Backend;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Workers;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.KernelWorkers;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seeded;
import org.blocksparse.testing.WatchedKernels;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Layers of packed experts, which have a kernel of their own: it gives the bits of the separate
 * products, activations and gates, on all kernels and for each type.
 */
@ExtendWith(Seeded.class)
final class PackedExpertsTest {
  private record Sizes(int batch, int inputs, int hidden, int outputs, int experts, int k) {}

  private static final Sizes[] SIZES = {
    new Sizes(1, 40, 70, 33, 3, 2),
    new Sizes(0, 3, 2, 3, 3, 1),
    new Sizes(130, 32, 24, 16, 2, 1) // more rows of an expert than one tile holds
  };

  static Stream<Arguments> kernelsAndTypes() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(
            kernels ->
                Stream.of(ElementType.values())
                    .filter(ElementType::isPacked)
                    .map(type -> Arguments.of(kernels, type)));
  }

  /** AMX tiles of consecutive rows add up bfloat16 in another order. */
  private static float delta(KernelsUnderTest kernels, ElementType type) {
    boolean byTiles =
        type == ElementType.PACKED_BFLOAT16 && kernels.kernels().products().readsRowsInOrder();
    return byTiles ? 0.02f : 0;
  }

  private static MixtureOfExperts packed(
      Data data,
      Sizes s,
      Activation activation,
      boolean biases,
      ElementType type,
      Workers workers) {
    MixtureOfExpertsBuilder builder =
        MixtureOfExperts.builder(s.inputs(), s.hidden(), s.experts())
            .outputs(s.outputs())
            .activation(activation)
            .workers(workers);
    Map<String, FloatTensor> parameters = MixtureOfExpertsTest.parameters(data, builder, biases);
    try (MixtureOfExperts layer = builder.build(parameters)) {
      return layer.withWeights(type);
    }
  }

  /** Returns samples with random experts, one of which may get no row, and gates of any sign. */
  private static Routing routing(Data data, Sizes s) {
    try (IntTensor experts =
            IntTensor.of(data.indices((long) s.batch() * s.k(), s.experts()), s.batch(), s.k());
        FloatTensor gates =
            FloatTensor.of(
                data.floats(Numbers.GAUSSIAN, (long) s.batch() * s.k()), s.batch(), s.k())) {
      return Routing.of(experts, gates, s.experts());
    }
  }

  private static FloatTensor rows(Data data, Sizes s) {
    float[] values = data.floats(Numbers.GAUSSIAN, (long) s.batch() * s.inputs());
    return FloatTensor.of(values, s.batch(), s.inputs());
  }

  /** Returns the mixture by public parts, with floats between the products. */
  private static float[] byParts(
      MixtureOfExperts layer, FloatTensor x, Routing routing, Workers workers) {
    BlockPlan up = routing.toExperts().withWorkers(workers);
    BlockPlan down = routing.fromExperts().withWorkers(workers);
    return byParts(layer, x, routing, up, down);
  }

  private static float[] byParts(
      MixtureOfExperts layer, FloatTensor x, Routing routing, BlockPlan up, BlockPlan down) {
    Map<String, BlockMatrix> all = layer.parameters();
    Epilogue first = Epilogue.none().withActivation(layer.activation()).withGate(routing.gates());
    Epilogue second = Epilogue.none();
    if (all.containsKey("b1")) {
      first = first.withBias((FloatTensor) all.get("b1"));
      second = second.withInputBias((FloatTensor) all.get("b2"), routing.gates());
    }
    FloatTensor rows = PlanRows.inputs(up, x);
    try (FloatTensor a = SparseBlockDot.apply(all.get("W1"), rows, up, first);
        FloatTensor out = SparseBlockDot.apply(all.get("W2"), a, down, second)) {
      return out.toArray();
    }
  }

  /**
   * Rows between the products have the format of the second product, whatever the first one reads.
   */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void secondWeightsMayBeOfAnotherType(KernelsUnderTest kernels, ElementType type, Data data) {
    Sizes s = new Sizes(20, 64, 96, 33, 3, 2);
    Workers workers = kernels.workers();
    for (ElementType other : ElementType.values()) {
      if (!other.isPacked() || other == type) {
        continue;
      }
      try (MixtureOfExperts first = packed(data, s, Activation.SWIGLU, true, type, workers);
          MixtureOfExperts second = packed(data, s, Activation.SWIGLU, true, other, workers)) {
        Map<String, BlockMatrix> both = new HashMap<>(first.parameters());
        both.put("W2", second.parameters().get("W2"));
        try (MixtureOfExperts layer =
                MixtureOfExperts.builder(s.inputs(), s.hidden(), s.experts())
                    .outputs(s.outputs())
                    .activation(Activation.SWIGLU)
                    .workers(workers)
                    .build(both);
            Routing routing = routing(data, s);
            FloatTensor x = rows(data, s);
            FloatTensor out = FloatTensor.zeros(s.batch(), s.outputs())) {
          out.fill(Float.NaN);
          layer.apply(x, routing, out);
          assertArrayEquals(byParts(layer, x, routing, workers), out.toArray(), "" + other);
        }
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void areTheirParts(KernelsUnderTest kernels, ElementType type, Data data) {
    for (Sizes s : SIZES) {
      for (Activation activation : Activation.values()) {
        Workers workers = kernels.workers();
        try (MixtureOfExperts layer = packed(data, s, activation, true, type, workers);
            Routing routing = routing(data, s);
            FloatTensor x = rows(data, s);
            FloatTensor out = FloatTensor.zeros(s.batch(), s.outputs())) {
          out.fill(Float.NaN);
          layer.apply(x, routing, out);
          float delta = delta(kernels, type);
          float[] parts = byParts(layer, x, routing, workers);
          for (int i = 0; i < parts.length; i++) {
            assertEquals(
                parts[i], out.get(i / s.outputs(), i % s.outputs()), delta, s + " " + activation);
          }
          if (type == ElementType.INT8) {
            layer.withInputBits(16).apply(x, routing, out);
            BlockPlan up = routing.toExperts().withWorkers(workers).withInputBits(16);
            BlockPlan down = routing.fromExperts().withWorkers(workers).withInputBits(16);
            assertArrayEquals(
                byParts(layer, x, routing, up, down), out.toArray(), s + " " + activation);
          }
        }
      }
    }
  }

  /** A shared expert with its own type is a layer of its own, whose output is added. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void addASharedExpert(KernelsUnderTest kernels, ElementType type, Data data) {
    Sizes s = new Sizes(9, 40, 70, 33, 3, 2);
    MixtureOfExpertsBuilder builder =
        MixtureOfExperts.builder(s.inputs(), s.hidden(), s.experts())
            .outputs(s.outputs())
            .gatedShared(50)
            .workers(kernels.workers());
    MixtureOfExpertsBuilder alone =
        MixtureOfExperts.builder(s.inputs(), 50, TopKGate.SIGMOID)
            .outputs(s.outputs())
            .workers(kernels.workers());
    Map<String, FloatTensor> parameters = MixtureOfExpertsTest.parameters(data, builder, true);
    Map<String, BlockMatrix> ofShared = new HashMap<>();
    try (MixtureOfExperts floats = builder.build(parameters);
        MixtureOfExperts layer = floats.withWeights(type);
        MixtureOfExperts other = floats.withWeights(type);
        FloatTensor x =
            FloatTensor.of(data.floats(Numbers.GAUSSIAN, 9L * 40), s.batch(), s.inputs());
        Routing routing = routing(data, s);
        FloatTensor out = FloatTensor.zeros(s.batch(), s.outputs())) {
      other
          .parameters()
          .forEach(
              (name, parameter) -> {
                if (name.startsWith("shared.")) {
                  ofShared.put(name.substring("shared.".length()), parameter);
                }
              });
      out.fill(Float.NaN);
      layer.apply(x, routing, out);
      float[] experts = byParts(layer, x, routing, kernels.workers());
      try (MixtureOfExperts shared = alone.build(ofShared);
          FloatTensor added = shared.apply(x)) {
        for (int i = 0; i < experts.length; i++) {
          float expected = experts[i] + added.get(i / s.outputs(), i % s.outputs());
          assertEquals(expected, out.get(i / s.outputs(), i % s.outputs()), 1e-5, "element " + i);
        }
      }
    }
  }

  /** AMX tiles read copies of rows in order; with copies, other kernels give the same bits. */
  @Test
  void copiesOfRowsChangeNoBits(Data data) {
    Sizes s = new Sizes(70, 40, 33, 20, 3, 2);
    AtomicInteger products = new AtomicInteger();
    Kernels reading =
        WatchedKernels.of(
            KernelChoice.kernels(),
            (kernel, arguments, call) -> {
              if (kernel.equals("packedActivation")
                  && arguments[0].toString().contains("BYTES, count=140")) {
                products.incrementAndGet();
              }
              return kernel.equals("readsRowsInOrder") ? (Object) true : call.make();
            });
    Workers workers = Workers.callingThread();
    try (MixtureOfExperts layer =
            packed(data, s, Activation.SWIGLU, true, ElementType.INT8, workers);
        MixtureOfExperts copying =
            MixtureOfExperts.builder(s.inputs(), s.hidden(), s.experts())
                .outputs(s.outputs())
                .workers(KernelWorkers.of(workers, reading))
                .build(layer.parameters());
        Routing routing = routing(data, s);
        FloatTensor x =
            FloatTensor.of(data.floats(Numbers.GAUSSIAN, 70L * 40), s.batch(), s.inputs());
        FloatTensor expected = FloatTensor.zeros(s.batch(), s.outputs());
        FloatTensor actual = FloatTensor.zeros(s.batch(), s.outputs())) {
      for (int bits : new int[] {8, 16}) {
        layer.withInputBits(bits).apply(x, routing, expected);
        copying.withInputBits(bits).apply(x, routing, actual);
        assertArrayEquals(expected.toArray(), actual.toArray(), bits + " bits");
      }
      assertTrue(products.get() >= 2, "no product has read copies");
    }
  }

  /** All kernels give the bits of the reference, except for sums of bfloat16 by tiles. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void areThoseOfTheReference(KernelsUnderTest kernels, ElementType type, Data data) {
    Sizes s = new Sizes(20, 64, 50, 40, 4, 3);
    try (MixtureOfExperts layer = packed(data, s, Activation.RELU, false, type, kernels.workers());
        MixtureOfExperts reference =
            MixtureOfExperts.builder(s.inputs(), s.hidden(), s.experts())
                .outputs(s.outputs())
                .activation(Activation.RELU)
                .workers(KernelsUnderTest.all().get(0).workers())
                .build(layer.parameters());
        Routing routing = routing(data, s);
        FloatTensor x =
            FloatTensor.of(data.floats(Numbers.GAUSSIAN, 20L * 64), s.batch(), s.inputs());
        FloatTensor expected = FloatTensor.zeros(s.batch(), s.outputs());
        FloatTensor out = FloatTensor.zeros(s.batch(), s.outputs())) {
      reference.apply(x, routing, expected);
      layer.apply(x, routing, out);
      assertArrayEquals(expected.toArray(), out.toArray(), delta(kernels, type));
    }
  }

  /** A capacity drops pairs; the rest is added up in the same order by any number of workers. */
  @Test
  void bitsDoNotDependOnTheWorkers(Data data) {
    TopKGate gate = TopKGate.of(5, 2).withCapacity(40);
    MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(96, 300, gate).outputs(250);
    Map<String, FloatTensor> parameters = MixtureOfExpertsTest.parameters(data, builder, true);
    ForkJoinPool pool = new ForkJoinPool(3);
    try (MixtureOfExperts floats = builder.build(parameters);
        MixtureOfExperts layer = floats.withWeights(ElementType.Q4_0);
        FloatTensor x = FloatTensor.of(data.floats(Numbers.GAUSSIAN, 120L * 96), 120, 96);
        Routing routing = layer.route(x);
        FloatTensor out = FloatTensor.zeros(120, 250)) {
      assertTrue(routing.dropped() > 0);
      float[] expected = byParts(layer, x, routing, Workers.callingThread());
      for (int workers = 1; workers <= 4; workers++) {
        MixtureOfExperts copy = layer.withWeights(ElementType.Q4_0); // closed with the other
        try (MixtureOfExperts same =
            builder.workers(Workers.of(pool, workers)).build(copy.parameters())) {
          same.apply(x, routing, out);
          assertArrayEquals(expected, out.toArray(), workers + " workers");
        }
      }
    } finally {
      pool.shutdown();
    }
  }

  /** More pairs than are kept between the products at a time, also for one expert. */
  @Test
  void addUpWhatIsTakenInParts(Data data) {
    assumeTrue(Backend.isNative(), "the Java kernels are slow");
    Sizes s = new Sizes(3500, 32, 1024, 16, 3, 2); // 9 MB
    Workers workers = Workers.callingThread();
    try (MixtureOfExperts layer =
            packed(data, s, Activation.RELU, false, ElementType.Q8_0, workers);
        Routing routing = routing(data, s);
        FloatTensor x =
            FloatTensor.of(data.floats(Numbers.GAUSSIAN, 3500L * 32), s.batch(), s.inputs());
        FloatTensor out = FloatTensor.zeros(s.batch(), s.outputs())) {
      out.fill(Float.NaN);
      layer.apply(x, routing, out);
      assertArrayEquals(byParts(layer, x, routing, workers), out.toArray());
    }
  }

  /** The bound on memory for 1024 tokens of Qwen's shapes, besides weights and result. */
  @Test
  void memoryOfManyTokens() {
    assumeTrue(Backend.isNative(), "the Java kernels are slow");
    MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(2048, 768, 8);
    try (MixtureOfExperts floats = builder.build();
        MixtureOfExperts layer = floats.withWeights(ElementType.Q4_0);
        IntTensor experts =
            IntTensor.of(IntStream.range(0, 1024 * 8).map(i -> i % 8).toArray(), 1024, 8);
        FloatTensor gates = FloatTensor.zeros(1024, 8);
        FloatTensor x = FloatTensor.zeros(1024, 2048);
        FloatTensor out = FloatTensor.zeros(1024, 2048)) {
      long before = FloatTensor.allocatedBytes();
      try (Routing routing = Routing.of(experts, gates, 8)) {
        layer.apply(x, routing, out);
      }
      long taken = FloatTensor.allocatedBytes() - before;
      assertTrue(taken < 20_000_000, () -> taken + " bytes");
    }
  }

  @Test
  void haveNoGradients() {
    try (MixtureOfExperts floats = MixtureOfExperts.builder(3, 2, TopKGate.of(4, 2)).build();
        MixtureOfExperts layer = floats.withWeights(ElementType.Q8_0);
        FloatTensor x = FloatTensor.zeros(1, 3);
        FloatTensor out = FloatTensor.zeros(1, 3)) {
      assertFails(
          IllegalStateException.class,
          "forward: expected weights that have gradients, but they are packed; take apply",
          () -> layer.forward(x, out));
    }
  }
}
