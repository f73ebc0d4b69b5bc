// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Workers;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** A gate against its definition in float64, and its gradient against differences of it. */
@ExtendWith(Seeded.class)
final class TopKGateTest {
  private static final double U = 0x1p-24;

  @SuppressWarnings("ArrayRecordComponent")
  private record Variant(
      boolean sigmoid,
      boolean renormalized,
      float[] choiceBias,
      int groups,
      int used,
      float[] scales) {
    static Variant of(boolean renormalized) {
      return new Variant(false, renormalized, null, 1, 1, null);
    }

    double scale(int expert) {
      return scales == null ? 1 : scales[expert];
    }

    TopKGate on(TopKGate plain) {
      TopKGate gate = sigmoid ? plain.withSigmoid() : plain;
      gate = renormalized ? gate : gate.withoutRenormalization();
      gate = choiceBias == null ? gate : gate.withChoiceBias(choiceBias);
      gate = scales == null ? gate : gate.withScales(scales);
      return gate.withGroups(groups, used);
    }
  }

  /**
   * The definition: the k best by sorting all logits, then the kept pairs by walking choice by
   * choice.
   */
  @SuppressWarnings("ArrayRecordComponent")
  private record Oracle(double[] logits, int experts, int k, Variant variant, int capacity) {
    int batch() {
      return logits.length / experts;
    }

    double[] probabilities(int sample) {
      double[] p = new double[experts];
      double sum = 0;
      for (int e = 0; e < experts; e++) {
        double exp = Math.exp(logits[sample * experts + e]);
        p[e] = variant.sigmoid() ? exp / (1 + exp) : exp;
        sum += p[e];
      }
      if (variant.sigmoid()) {
        return p;
      }
      for (int e = 0; e < experts; e++) {
        p[e] /= sum;
      }
      return p;
    }

    int[] chosen(int sample) {
      double[] score = probabilities(sample);
      for (int e = 0; e < experts && variant.choiceBias() != null; e++) {
        score[e] += variant.choiceBias()[e];
      }
      int size = experts / variant.groups();
      List<Integer> used =
          IntStream.range(0, variant.groups())
              .boxed()
              .sorted(Comparator.comparingDouble(group -> -ofGroup(score, group * size, size)))
              .limit(variant.used())
              .toList();
      return IntStream.range(0, experts)
          .filter(e -> used.contains(e / size))
          .boxed()
          .sorted(Comparator.comparingDouble(e -> -score[e]))
          .limit(k)
          .mapToInt(Integer::intValue)
          .toArray();
    }

    private static double ofGroup(double[] score, int begin, int size) {
      double[] sorted = Arrays.copyOfRange(score, begin, begin + size);
      Arrays.sort(sorted);
      return sorted[size - 1] + (size == 1 ? 0 : sorted[size - 2]);
    }

    boolean[][] kept() {
      boolean[][] kept = new boolean[batch()][k];
      int[] taken = new int[experts];
      for (int choice = 0; choice < k; choice++) {
        for (int sample = 0; sample < batch(); sample++) {
          kept[sample][choice] = taken[chosen(sample)[choice]]++ < capacity;
        }
      }
      return kept;
    }

    /** Returns the gates of the kept pairs, with choices made for other logits. */
    double[] gates(int[][] chosen, boolean[][] kept) {
      List<Double> gates = new ArrayList<>();
      for (int sample = 0; sample < batch(); sample++) {
        double[] p = probabilities(sample);
        double sum =
            variant.renormalized() ? Arrays.stream(chosen[sample]).mapToDouble(e -> p[e]).sum() : 1;
        for (int choice = 0; choice < k; choice++) {
          if (kept[sample][choice]) {
            int e = chosen[sample][choice];
            gates.add(variant.scale(e) * p[e] / sum);
          }
        }
      }
      return gates.stream().mapToDouble(Double::doubleValue).toArray();
    }

    double balancing(int[][] chosen, double weight) {
      double[] f = new double[experts];
      double[] mean = new double[experts];
      for (int sample = 0; sample < batch(); sample++) {
        double[] p = probabilities(sample);
        for (int e = 0; e < experts; e++) {
          mean[e] += p[e] / batch();
        }
        for (int e : chosen[sample]) {
          f[e] += 1.0 / (batch() * k);
        }
      }
      double sum = 0;
      for (int e = 0; e < experts; e++) {
        sum += f[e] * mean[e];
      }
      return weight * experts * sum;
    }

    int[][] allChosen() {
      return IntStream.range(0, batch()).mapToObj(this::chosen).toArray(int[][]::new);
    }
  }

  private record Sizes(int batch, int experts, int k, int capacity) {}

  private static final List<Sizes> SIZES =
      List.of(
          new Sizes(1, 1, 1, 9),
          new Sizes(5, 4, 2, 99),
          new Sizes(7, 3, 3, 99),
          new Sizes(31, 7, 1, 4),
          new Sizes(64, 16, 2, 8),
          new Sizes(9, 2, 2, 1),
          new Sizes(0, 3, 2, 5));

  private static double[] toDouble(float[] values) {
    double[] doubles = new double[values.length];
    Arrays.setAll(doubles, i -> values[i]);
    return doubles;
  }

  @Test
  void isItsDefinition(Data data) {
    for (Sizes s : SIZES) {
      for (boolean limited : new boolean[] {false, true}) {
        for (boolean renormalized : new boolean[] {true, false}) {
          isItsDefinition(s, Variant.of(renormalized), limited, data);
        }
      }
    }
  }

  /** The variants of DeepSeek V2 and V3, GLM, Kimi and Gemma, and all of them at once. */
  @Test
  void variantsAreTheirDefinition(Data data) {
    for (Sizes s : SIZES) {
      float[] bias = data.floats(Numbers.GAUSSIAN, s.experts());
      float[] scales = data.floats(Numbers.GAUSSIAN, s.experts());
      int groups = s.experts() % 4 == 0 ? 4 : 1;
      int used = groups == 1 ? 1 : Math.max(2, groups * s.k() / s.experts());
      float[] same = new float[s.experts()];
      Arrays.fill(same, 2.5f);
      for (Variant variant :
          List.of(
              new Variant(true, true, null, 1, 1, null),
              new Variant(true, false, bias, 1, 1, null),
              new Variant(false, false, null, groups, used, same),
              new Variant(true, true, bias, groups, used, same),
              new Variant(false, true, bias, groups, used, scales))) {
        isItsDefinition(s, variant, false, data);
        isItsDefinition(s, variant, true, data);
      }
    }
  }

  private static void isItsDefinition(Sizes s, Variant variant, boolean limited, Data data) {
    float[] logits = data.floats(Numbers.GAUSSIAN, (long) s.batch() * s.experts());
    int capacity = limited ? s.capacity() : Integer.MAX_VALUE;
    Oracle oracle = new Oracle(toDouble(logits), s.experts(), s.k(), variant, capacity);
    TopKGate gate = variant.on(TopKGate.of(s.experts(), s.k())).withBalancing(0.5f);
    gate = limited ? gate.withCapacity(s.capacity()) : gate;
    try (FloatTensor tensor = FloatTensor.of(logits, s.batch(), s.experts());
        Routing routing = gate.route(tensor)) {
      check(s, oracle, gate, routing, data);
    }
  }

  /** Sigmoids that are so small that normalization would divide 0 by 0. */
  @Test
  void smallSigmoidsAreDividedByASmallNumber() {
    float inf = Float.POSITIVE_INFINITY;
    float[] logits = {-inf, -inf, -20, -30, inf, 0};
    TopKGate gate = TopKGate.of(2, 2).withSigmoid();
    try (FloatTensor tensor = FloatTensor.of(logits, 3, 2);
        Routing routing = gate.route(tensor);
        FloatTensor ones = FloatTensor.of(new float[] {1, 0, 1, 0, 1, 0}, 3, 2);
        FloatTensor gradLogits = FloatTensor.zeros(3, 2)) {
      double p = 1 / (1 + Math.exp(20));
      float[] gates = routing.gates().toArray();
      assertArrayEquals(new float[] {0, 0}, Arrays.copyOf(gates, 2));
      assertEquals(p * 0x1p14, gates[2], 1e-10);
      assertArrayEquals(new float[] {2 / 3f, 1 / 3f}, Arrays.copyOfRange(gates, 4, 6));
      gate.gradient(routing, ones, gradLogits);
      assertEquals(p * 0x1p14, gradLogits.toArray()[2], 1e-10); // the divisor is constant
      assertEquals(0, gradLogits.toArray()[3]);
    }
  }

  private static void check(Sizes s, Oracle oracle, TopKGate gate, Routing routing, Data data) {
    int[][] chosen = oracle.allChosen();
    boolean[][] kept = oracle.kept();
    int dropped = 0;
    int[] loads = new int[s.experts()];
    for (int sample = 0; sample < s.batch(); sample++) {
      for (int choice = 0; choice < s.k(); choice++) {
        assertEquals(chosen[sample][choice], routing.experts().get(sample, choice));
        assertEquals(kept[sample][choice], !routing.isDropped(sample, choice));
        dropped += kept[sample][choice] ? 0 : 1;
        loads[chosen[sample][choice]]++;
      }
      double[] p = oracle.probabilities(sample);
      for (int e = 0; e < s.experts(); e++) {
        assertEquals(p[e], routing.probabilities().get(sample, e), 2 * U * p[e]);
      }
    }
    assertEquals(dropped, routing.dropped());
    assertArrayEquals(loads, routing.loads());
    double[] gates = oracle.gates(chosen, kept);
    float[] actual = routing.gates().toArray();
    assertEquals(gates.length, actual.length);
    for (int g = 0; g < gates.length; g++) {
      assertEquals(gates[g], actual[g], 4 * U * Math.abs(gates[g]), "gate " + g);
    }
    double balancing = s.batch() == 0 ? 0 : oracle.balancing(chosen, 0.5);
    assertEquals(balancing, routing.balancingLoss(), 1e-6);
    gradient(s, oracle, gate, routing, data);
  }

  private static void gradient(Sizes s, Oracle oracle, TopKGate gate, Routing routing, Data data) {
    int[][] chosen = oracle.allChosen();
    boolean[][] kept = oracle.kept();
    float[] weights = data.floats(Numbers.GAUSSIAN, routing.gates().shape().size());
    float[] nan = new float[oracle.logits().length];
    Arrays.fill(nan, Float.NaN);
    try (FloatTensor gradGates = FloatTensor.of(weights, routing.gates().shape().toArray());
        FloatTensor gradLogits = FloatTensor.of(nan, s.batch(), s.experts())) {
      gate.gradient(routing, gradGates, gradLogits);
      float[] actual = gradLogits.toArray();
      double[] logits = oracle.logits();
      for (int i = 0; i < logits.length; i++) {
        double step = 1e-5;
        double before = logits[i];
        logits[i] = before + step;
        double above = loss(oracle, chosen, kept, weights);
        logits[i] = before - step;
        double below = loss(oracle, chosen, kept, weights);
        logits[i] = before;
        assertEquals((above - below) / (2 * step), actual[i], 2e-6, s + " at " + i);
      }
    }
  }

  private static double loss(Oracle oracle, int[][] chosen, boolean[][] kept, float[] weights) {
    double[] gates = oracle.gates(chosen, kept);
    double loss = oracle.balancing(chosen, 0.5);
    for (int g = 0; g < gates.length; g++) {
      loss += weights[g] * gates[g];
    }
    return loss;
  }

  /**
   * A sample goes to its experts, which return it unchanged: the output is the sum of its gates
   * times it.
   */
  @Test
  void plansLeadToTheExpertsAndBack() {
    float[] logits = {3, 2, 1, 3, 1, 2, 9, 0, 8};
    long before = Long.MAX_VALUE;
    for (int capacity : new int[] {3, 2, 3, 2}) {
      TopKGate gate = TopKGate.of(3, 2);
      boolean limited = capacity == 2;
      gate = limited ? gate.withCapacity(capacity) : gate;
      try (FloatTensor tensor = FloatTensor.of(logits, 3, 3);
          Routing routing = gate.route(tensor);
          FloatTensor up = FloatTensor.of(new float[] {1, 2, 3}, 1, 3, 1, 1);
          FloatTensor down = FloatTensor.of(new float[] {1, 1, 1}, 3, 1, 1, 1);
          FloatTensor x = FloatTensor.of(new float[] {1, 10, 100}, 3, 1);
          FloatTensor b = FloatTensor.zeros(3, 1);
          FloatTensor none = FloatTensor.zeros(1, 1);
          FloatTensor h =
              SparseBlockDot.apply(
                  up,
                  limited ? x : x.reshape(3, 1, 1),
                  routing.toExperts(),
                  Epilogue.none().withBias(b));
          FloatTensor out =
              SparseBlockDot.apply(
                  down, h, routing.fromExperts(), Epilogue.none().withBias(none))) {
        // Expert 0, 1, 2 multiplies by 1, 2, 3. The third sample finds expert 0 full.
        assertArrayEquals(new float[] {3, 40, limited ? 300 : 400}, out.toArray());
        assertEquals(limited ? 1 : 0, routing.dropped());
        assertEquals(limited ? "(5)" : "(3, 2)", routing.gates().shape().toString());
        assertEquals(limited, routing.isDropped(2, 0));
        assertFalse(routing.isDropped(2, 1));
        assertEquals(
            "Routing(3 samples, "
                + (limited ? "TopKGate(2 of 3, capacity = 2), 1" : "TopKGate(2 of 3), 0")
                + " dropped)",
            routing.toString());
      }
      assertTrue(FloatTensor.allocatedBytes() <= before, "a closed routing holds memory");
      before = limited ? FloatTensor.allocatedBytes() : before; // products keep their buffers
    }
  }

  @Test
  void equalLogitsGoToTheLowerNumber_andNaNToItsOwnSampleOnly() {
    float[] logits = {1, 1, 1, 1, 1, Float.NaN, 2, 1, 0, 0, 5, 5, -1, -0f, 0, 0};
    try (FloatTensor tensor = FloatTensor.of(logits, 4, 4);
        Routing routing = TopKGate.of(4, 2).route(tensor)) {
      assertArrayEquals(new int[] {0, 1, 1, 2, 2, 3, 1, 2}, routing.experts().toArray());
      float[] gates = routing.gates().toArray();
      assertArrayEquals(new float[] {0.5f, 0.5f}, Arrays.copyOfRange(gates, 0, 2));
      assertTrue(Float.isNaN(gates[2]) && Float.isNaN(gates[3]));
      assertArrayEquals(new float[] {0.5f, 0.5f}, Arrays.copyOfRange(gates, 4, 6));
    }
  }

  @Test
  void infinitiesMakeGatesNaNOfTheirOwnSampleOnly() {
    float inf = Float.POSITIVE_INFINITY;
    float[] logits = {1, 2, 1, inf, -inf, -inf, -inf, 1};
    try (FloatTensor tensor = FloatTensor.of(logits, 4, 2);
        Routing routing = TopKGate.of(2, 2).route(tensor)) {
      float[] gates = routing.gates().toArray();
      assertEquals(1, gates[0] + gates[1], 1e-6);
      for (int i = 2; i < 6; i++) {
        assertTrue(Float.isNaN(gates[i]), "gate " + i);
      }
      assertArrayEquals(new float[] {1, 0}, Arrays.copyOfRange(gates, 6, 8));
    }
  }

  /** Logits whose exponentials would overflow. */
  @Test
  void hugeLogitsAreNoTrouble() {
    float[] logits = {1e38f, -1e38f, 3e38f, -3e38f};
    try (FloatTensor tensor = FloatTensor.of(logits, 1, 4);
        Routing routing = TopKGate.of(4, 2).route(tensor)) {
      assertArrayEquals(new int[] {2, 0}, routing.experts().toArray());
      assertArrayEquals(new float[] {1, 0}, routing.gates().toArray());
    }
  }

  @Test
  void bitsDoNotDependOnTheWorkers(Data data) {
    var executor = Executors.newFixedThreadPool(4);
    float[] logits = data.floats(Numbers.GAUSSIAN, 20_000 * 16);
    float[] grads = data.floats(Numbers.GAUSSIAN, 20_000 * 2);
    try (FloatTensor tensor = FloatTensor.of(logits, 20_000, 16);
        FloatTensor gradGates = FloatTensor.of(grads, 20_000, 2)) {
      List<float[]> results = new ArrayList<>();
      for (Workers workers : List.of(Workers.callingThread(), Workers.of(executor, 4))) {
        TopKGate gate = TopKGate.of(16, 2).withBalancing(0.01f).withWorkers(workers);
        try (Routing routing = gate.route(tensor);
            FloatTensor gradLogits = FloatTensor.zeros(20_000, 16)) {
          gate.gradient(routing, gradGates, gradLogits);
          results.add(routing.gates().toArray());
          results.add(gradLogits.toArray());
          results.add(new float[] {(float) routing.balancingLoss()});
        }
      }
      for (int i = 0; i < 3; i++) {
        assertArrayEquals(results.get(i), results.get(i + 3));
      }
    } finally {
      executor.shutdown();
    }
  }

  /** The bias selects the improbable expert, whose probability is 0 as a float. */
  @Test
  void gatesOfImprobableExpertsAreNumbers() {
    try (FloatTensor logits = FloatTensor.of(new float[] {200, 0}, 1, 2);
        Routing routing = TopKGate.of(2, 1).withChoiceBias(-2, 0).route(logits)) {
      assertEquals(1, routing.experts().get(0, 0));
      assertEquals(0, routing.gates().get(0, 0));
    }
  }
}
