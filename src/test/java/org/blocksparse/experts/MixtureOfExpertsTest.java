// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ForkJoinPool;
import java.util.stream.IntStream;
import org.blocksparse.Activation;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.Workers;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.ExpertsOracle;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A whole layer of experts against its definition in float64, token by token. */
@ExtendWith(Seeded.class)
final class MixtureOfExpertsTest {
  private record Sizes(int batch, int inputs, int hidden, int outputs, int experts, int k) {}

  private static final List<Sizes> SIZES =
      List.of(
          new Sizes(1, 1, 1, 1, 1, 1),
          new Sizes(7, 5, 3, 11, 4, 2),
          new Sizes(0, 3, 2, 3, 3, 1),
          new Sizes(41, 13, 17, 13, 7, 3));

  /** Returns random parameters of a layer, so small that rounding hides no error. */
  static Map<String, FloatTensor> parameters(
      Data data, MixtureOfExpertsBuilder builder, boolean biases) {
    Map<String, FloatTensor> all = new LinkedHashMap<>();
    builder
        .shapes(biases)
        .forEach(
            (name, shape) -> {
              float[] values = data.floats(Numbers.GAUSSIAN, shape.size());
              double root = shape.rank() == 4 ? Math.sqrt(shape.dim(2)) : 2;
              for (int i = 0; i < values.length; i++) {
                values[i] /= (float) root;
              }
              all.put(name, FloatTensor.of(values, shape.toArray()));
            });
    return all;
  }

  static ExpertsOracle oracle(MixtureOfExperts layer, int k) {
    Map<String, double[]> values = new HashMap<>();
    layer
        .parameters()
        .forEach(
            (name, parameter) ->
                values.put(name, ExpertsOracle.widened(((FloatTensor) parameter).toArray())));
    return new ExpertsOracle(
        layer.inputs(),
        layer.hidden(),
        layer.outputs(),
        layer.experts(),
        k,
        layer.activation(),
        values);
  }

  private static void assertNear(double[] expected, FloatTensor actual) {
    float[] values = actual.toArray();
    assertEquals(expected.length, values.length);
    double largest = Arrays.stream(expected).map(Math::abs).max().orElse(0);
    for (int i = 0; i < values.length; i++) {
      assertEquals(expected[i], values[i], 2e-6 * (1 + largest), "element " + i);
    }
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void isItsDefinition(Activation activation, Data data) {
    for (Sizes s : SIZES) {
      for (boolean biases : new boolean[] {false, true}) {
        TopKGate gate = TopKGate.of(s.experts(), s.k());
        MixtureOfExpertsBuilder builder =
            MixtureOfExperts.builder(s.inputs(), s.hidden(), gate)
                .outputs(s.outputs())
                .activation(activation);
        float[] rows = data.floats(Numbers.GAUSSIAN, (long) s.batch() * s.inputs());
        try (MixtureOfExperts layer = builder.build(parameters(data, builder, biases));
            FloatTensor x = FloatTensor.of(rows, s.batch(), s.inputs());
            FloatTensor out = layer.apply(x)) {
          ExpertsOracle oracle = oracle(layer, s.k());
          double[] wide = ExpertsOracle.widened(rows);
          assertNear(oracle.apply(wide, oracle.route(wide)), out);
          assertEquals(Shape.of(s.batch(), s.outputs()), out.shape());
          assertArrayEquals(rows, x.toArray(), "x is left as it is");
          try (Routing routing = layer.route(x);
              FloatTensor again = FloatTensor.zeros(out.shape())) {
            again.fill(Float.NaN);
            layer.apply(x, routing, again);
            assertArrayEquals(out.toArray(), again.toArray(), "its own routing");
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void addsASharedExpert(boolean gated, Data data) {
    for (Sizes s : SIZES) {
      MixtureOfExpertsBuilder builder =
          MixtureOfExperts.builder(s.inputs(), s.hidden(), TopKGate.of(s.experts(), s.k()))
              .outputs(s.outputs());
      builder = gated ? builder.gatedShared(s.hidden() + 2) : builder.shared(s.hidden() + 2);
      float[] rows = data.floats(Numbers.GAUSSIAN, (long) s.batch() * s.inputs());
      try (MixtureOfExperts layer = builder.build(parameters(data, builder, gated));
          FloatTensor x = FloatTensor.of(rows, s.batch(), s.inputs());
          FloatTensor out = layer.apply(x)) {
        ExpertsOracle oracle = oracle(layer, s.k());
        double[] wide = ExpertsOracle.widened(rows);
        assertNear(oracle.apply(wide, oracle.route(wide)), out);
        FloatTensor W2 = (FloatTensor) layer.parameters().get("shared.W2");
        assertEquals(Shape.of(1, 1, s.hidden() + 2, s.outputs()), W2.shape());
        assertThrows(IllegalArgumentException.class, () -> layer.apply(x, W2));
      }
    }
  }

  /** A layer of one expert needs neither a gate nor a routing. */
  @Test
  void theOnlyExpertGetsAllRows(Data data) {
    MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(5, 3, 1).outputs(2);
    float[] rows = data.floats(Numbers.GAUSSIAN, 4 * 5);
    try (MixtureOfExperts layer = builder.build(parameters(data, builder, true));
        FloatTensor x = FloatTensor.of(rows, 4, 5);
        FloatTensor out = layer.apply(x)) {
      double[] ones = {1, 1, 1, 1};
      ExpertsOracle.Chosen all = new ExpertsOracle.Chosen(new int[4], ones);
      assertNear(oracle(layer, 1).apply(ExpertsOracle.widened(rows), all), out);
    }
  }

  /**
   * A caller's routing: an expert twice for a row, one without rows, gates of any size and sign.
   */
  @Test
  void takesTheRoutingOfTheCaller(Data data) {
    MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(5, 3, 4).outputs(2);
    int[] chosen = {2, 2, 0, 2, 0, 0, 3, 2}; // no row has expert 1
    float[] gates = data.floats(Numbers.GAUSSIAN, chosen.length);
    float[] rows = data.floats(Numbers.GAUSSIAN, 4 * 5);
    try (MixtureOfExperts layer = builder.build(parameters(data, builder, true));
        FloatTensor x = FloatTensor.of(rows, 4, 5);
        FloatTensor factors = FloatTensor.of(gates, 4, 2);
        IntTensor experts = IntTensor.of(chosen, 4, 2);
        Routing routing = Routing.of(experts, factors, 4);
        FloatTensor out = FloatTensor.zeros(4, 2)) {
      factors.fill(Float.NaN); // it was copied
      layer.apply(x, routing, out);
      assertNear(
          oracle(layer, 2)
              .apply(
                  ExpertsOracle.widened(rows),
                  new ExpertsOracle.Chosen(chosen, ExpertsOracle.widened(gates))),
          out);
      assertArrayEquals(new int[] {3, 0, 4, 1}, routing.loads());
      assertThrows(IllegalStateException.class, routing::probabilities);
    }
  }

  /** Integers are exact in any order of the sums. */
  @Test
  void wholeNumbersAreExactInBandsAsWell(Data data) {
    int hidden = 1 << 16; // makes 32 pairs a band
    int batch = 37;
    MixtureOfExpertsBuilder builder =
        MixtureOfExperts.builder(1, hidden, 5).outputs(3).activation(Activation.RELU);
    Map<String, FloatTensor> all = new HashMap<>();
    builder
        .shapes(true)
        .forEach(
            (name, shape) ->
                all.put(
                    name,
                    FloatTensor.of(
                        data.floats(Numbers.SMALL_INTEGERS, shape.size()), shape.toArray())));
    int[] chosen = data.indices(batch * 3L, 4); // no row has expert 4
    Arrays.fill(chosen, 0, 60, 2); // a row that is split
    float[] rows = data.floats(Numbers.SMALL_INTEGERS, batch);
    float[] gates = new float[chosen.length];
    IntStream.range(0, gates.length).forEach(i -> gates[i] = data.below(3) - 1);
    try (MixtureOfExperts layer = builder.build(all);
        FloatTensor x = FloatTensor.of(rows, batch, 1);
        FloatTensor factors = FloatTensor.of(gates, batch, 3);
        IntTensor experts = IntTensor.of(chosen, batch, 3);
        Routing routing = Routing.of(experts, factors, 5);
        FloatTensor out = FloatTensor.zeros(batch, 3)) {
      out.fill(Float.NaN);
      assertTrue(routing.bands(32).count() > 3);
      layer.apply(x, routing, out);
      double[] expected =
          oracle(layer, 3)
              .apply(
                  ExpertsOracle.widened(rows),
                  new ExpertsOracle.Chosen(chosen, ExpertsOracle.widened(gates)));
      assertArrayEquals(expected, ExpertsOracle.widened(out.toArray()));
    }
  }

  /** Dropped pairs have no output; a row whose pairs are all dropped gets 0. */
  @Test
  void capacityDropsPairs(Data data) {
    TopKGate gate = TopKGate.of(3, 2).withCapacity(2);
    MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(4, 5, gate);
    float[] rows = data.floats(Numbers.GAUSSIAN, 9 * 4);
    try (MixtureOfExperts layer = builder.build(parameters(data, builder, true));
        FloatTensor x = FloatTensor.of(rows, 9, 4);
        Routing routing = layer.route(x);
        FloatTensor out = layer.apply(x)) {
      ExpertsOracle oracle = oracle(layer, 2);
      double[] wide = ExpertsOracle.widened(rows);
      ExpertsOracle.Chosen all = oracle.route(wide);
      double[] gates = all.gates().clone();
      for (int pair = 0; pair < gates.length; pair++) {
        gates[pair] = routing.isDropped(pair / 2, pair % 2) ? 0 : gates[pair];
      }
      assertTrue(routing.dropped() > 0);
      assertNear(oracle.apply(wide, new ExpertsOracle.Chosen(all.experts(), gates)), out);
    }
  }

  @Test
  void bitsDoNotDependOnTheWorkers(Data data) {
    float[] rows = data.floats(Numbers.GAUSSIAN, 301 * 24);
    float[][] results = new float[2][];
    for (int i = 0; i < 2; i++) {
      Workers workers = i == 0 ? Workers.callingThread() : Workers.of(ForkJoinPool.commonPool(), 5);
      try (MixtureOfExperts layer =
              MixtureOfExperts.builder(24, 40, TopKGate.of(6, 2))
                  .biases()
                  .workers(workers)
                  .seed(3)
                  .build();
          FloatTensor x = FloatTensor.of(rows, 301, 24);
          FloatTensor out = layer.apply(x)) {
        results[i] = out.toArray();
      }
    }
    assertArrayEquals(results[0], results[1]);
  }

  @Test
  void equalSeedsGiveEqualLayers() {
    MixtureOfExpertsBuilder builder = MixtureOfExperts.builder(6, 24, TopKGate.of(4, 2)).biases();
    try (MixtureOfExperts a = builder.seed(7).build();
        MixtureOfExperts b = builder.build();
        MixtureOfExperts c = builder.seed(8).build()) {
      a.parameters()
          .forEach(
              (name, parameter) -> {
                float[] values = ((FloatTensor) parameter).toArray();
                float[] equal = ((FloatTensor) b.parameters().get(name)).toArray();
                float[] other = ((FloatTensor) c.parameters().get(name)).toArray();
                assertArrayEquals(values, equal, name);
                boolean weights = parameter.shape().rank() == 4;
                assertEquals(weights, !Arrays.equals(values, other), name);
                double bound = weights ? 1 / Math.sqrt(parameter.shape().dim(2)) : 0;
                double largest = 0;
                for (float value : values) {
                  largest = Math.max(largest, Math.abs(value));
                }
                assertTrue(largest <= (float) bound, name);
                assertTrue(largest >= 0.8 * bound, name);
              });
      assertEquals(
          List.of("Wg", "bg", "W1", "b1", "W2", "b2"), List.copyOf(a.parameters().keySet()));
    }
  }

  /** A row with NaN has a NaN output, and no other row has. */
  @Test
  void nanStaysInItsRow(Data data) {
    float[] rows = data.floats(Numbers.GAUSSIAN, 5 * 6);
    rows[2 * 6 + 1] = Float.NaN;
    try (MixtureOfExperts layer = MixtureOfExperts.builder(6, 8, TopKGate.of(3, 2)).build();
        FloatTensor x = FloatTensor.of(rows, 5, 6);
        FloatTensor out = layer.apply(x)) {
      float[] values = out.toArray();
      for (int i = 0; i < values.length; i++) {
        assertEquals(i / 6 == 2, Float.isNaN(values[i]), "element " + i);
      }
    }
  }

  /** Memory between the products of many rows is bounded. */
  @Test
  void memoryBetweenTheProductsIsBounded() {
    try (MixtureOfExperts layer =
            MixtureOfExperts.builder(4, 512, TopKGate.of(8, 4)).outputs(4).build();
        FloatTensor x = FloatTensor.zeros(3000, 4);
        FloatTensor out = FloatTensor.zeros(3000, 4)) {
      long before = FloatTensor.allocatedBytes();
      layer.apply(x, out); // 49 MB of z, and 25 MB of its activation
      long taken = FloatTensor.allocatedBytes() - before;
      assertTrue(taken < 20 << 20, () -> taken + " bytes");
    }
  }
}
