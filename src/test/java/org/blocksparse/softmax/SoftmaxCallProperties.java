// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.Tensor;
import org.blocksparse.Workers;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.LayerParameters;

/**
 * Calls of a layer in any order, a third of them wrong in one operand. A wrong one throws what the
 * documentation says and writes nothing; a right one gives the same bits as a twin does that has
 * never seen a wrong one. So not even the state of an optimizer has changed.
 */
final class SoftmaxCallProperties {
  private static final List<KernelsUnderTest> KERNELS = KernelsUnderTest.all();
  private static final int CALLS = 12;

  /** The operands of calls. */
  private enum Operand {
    X,
    OUT,
    TARGETS,
    CANDIDATES,
    K,
    SHARE,
    TEMPERATURE,
    RANDOM,
    OUTPUT,
    LOSS,
    OPTIMIZER,
    GRAD_X
  }

  private interface Body {
    Object of(HierarchicalSoftmax layer, Call call);
  }

  /** Every method that computes. */
  @SuppressWarnings("ImmutableEnumChecker") // nobody changes them
  private enum Method {
    PROBABILITIES((layer, c) -> layer.probabilities(c.x), Operand.X),
    LOG_PROBABILITIES((layer, c) -> layer.logProbabilities(c.x), Operand.X),
    PROBABILITIES_INTO(
        (layer, c) -> {
          layer.probabilities(c.x, c.out);
          return c.out.toArray();
        },
        Operand.X,
        Operand.OUT),
    LOG_PROBABILITIES_INTO(
        (layer, c) -> {
          layer.logProbabilities(c.x, c.out);
          return c.out.toArray();
        },
        Operand.X,
        Operand.OUT),
    PROBABILITIES_OF_TARGETS(
        (layer, c) -> layer.probabilitiesOf(c.x, c.targets), Operand.X, Operand.TARGETS),
    LOG_PROBABILITIES_OF_TARGETS(
        (layer, c) -> layer.logProbabilitiesOf(c.x, c.targets), Operand.X, Operand.TARGETS),
    LOG_PROBABILITIES_OF(
        (layer, c) -> layer.logProbabilitiesOf(c.x, c.candidates), Operand.X, Operand.CANDIDATES),
    TOP_K((layer, c) -> layer.topK(c.x, c.k), Operand.X, Operand.K),
    TOP_P((layer, c) -> layer.topP(c.x, c.share), Operand.X, Operand.SHARE),
    AT_LEAST((layer, c) -> layer.atLeast(c.x, c.share), Operand.X, Operand.SHARE),
    SAMPLE(
        (layer, c) -> layer.sample(c.x, c.temperature, c.random(), Filter.without()),
        Operand.X,
        Operand.TEMPERATURE,
        Operand.RANDOM),
    EXPLAIN((layer, c) -> layer.explain(c.x, c.output).toString(), Operand.X, Operand.OUTPUT),
    LOSS(
        (layer, c) -> layer.loss(c.x, c.targets, c.loss), Operand.X, Operand.TARGETS, Operand.LOSS),
    LOSSES(
        (layer, c) -> layer.losses(c.x, c.targets, c.loss),
        Operand.X,
        Operand.TARGETS,
        Operand.LOSS),
    GRADIENTS(
        (layer, c) -> layer.gradients(c.x, c.targets, c.loss),
        Operand.X,
        Operand.TARGETS,
        Operand.LOSS),
    STEP(
        (layer, c) -> {
          double loss = layer.step(c.x, c.targets, c.loss, c.optimizer, c.gradX);
          return loss + " " + (c.gradX == null ? "" : Arrays.toString(c.gradX.toArray()));
        },
        Operand.X,
        Operand.TARGETS,
        Operand.LOSS,
        Operand.OPTIMIZER,
        Operand.GRAD_X);

    final Body body;
    final List<Operand> operands;

    Method(Body body, Operand... operands) {
      this.body = body;
      this.operands = List.of(operands);
    }
  }

  /** The operands of one call, right at first. */
  private static final class Call implements AutoCloseable {
    private static final float UNTOUCHED = 7;

    final Method method;
    final HierarchicalSoftmax layer;
    final Data data;
    final int batch;
    final long seed;
    final FloatTensor weights;
    FloatTensor x;
    FloatTensor out;
    FloatTensor gradX;
    IntTensor targets;
    IntTensor candidates;
    Loss loss;
    Optimizer optimizer;
    int k;
    int output;
    double share;
    double temperature;
    boolean randomIsMissing;

    /** An output that shares memory with an input. */
    FloatTensor alias;

    Call(HierarchicalSoftmax layer, Data data) {
      this.layer = layer;
      this.data = data;
      // Half of the calls are steps: the state of an optimizer shows in the next but one.
      method = data.below(2) == 0 ? Method.STEP : data.oneOf(Method.values());
      batch = method == Method.EXPLAIN ? 1 : 1 + data.below(6);
      seed = data.below(1000);
      int outputs = layer.outputs();
      x = floats(batch, layer.features());
      out = untouched(batch, outputs);
      gradX = data.below(3) == 0 ? null : untouched(batch, layer.features());
      weights = floats(batch);
      int[] chosen = data.indices(batch, outputs);
      boolean ignoring = method.operands.contains(Operand.LOSS) && data.below(2) == 0;
      if (ignoring) {
        chosen[data.below(batch)] = -1;
      }
      targets = IntTensor.of(chosen, batch);
      candidates = IntTensor.of(data.indices(batch * 3L, outputs), batch, 3);
      loss = data.below(2) == 0 ? Loss.mean() : Loss.sum();
      loss = ignoring ? loss.withIgnored(-1) : loss;
      loss = data.below(2) == 0 ? loss.withSmoothing(data.between(0, 0.9f)) : loss;
      loss = data.below(2) == 0 ? loss.withRowWeights(weights) : loss;
      optimizer =
          switch (data.below(3)) {
            case 0 -> Optimizer.sgd(0.01f);
            case 1 -> Optimizer.adagrad(0.01f).withDecay(0.1f);
            default -> Optimizer.adam(0.01f).withMaxNorm(0.5f);
          };
      k = 1 + data.below(outputs + 2);
      output = data.below(outputs);
      share = data.between(0.001f, 1);
      temperature = data.between(0.2f, 3);
    }

    private FloatTensor floats(long... shape) {
      return FloatTensor.of(data.floats(Numbers.GAUSSIAN, Shape.of(shape).size()), shape);
    }

    private static FloatTensor untouched(long... shape) {
      FloatTensor tensor = FloatTensor.zeros(shape);
      tensor.fill(UNTOUCHED);
      return tensor;
    }

    RandomGenerator random() {
      return randomIsMissing ? null : new SplittableRandom(seed);
    }

    /** The call on a layer: what it returns, as arrays. */
    Object on(HierarchicalSoftmax on) {
      Object result = method.body.of(on, this);
      if (result instanceof FloatTensor tensor) {
        try (tensor) {
          return tensor.toArray();
        }
      }
      if (result instanceof SoftmaxGradients g) {
        try (g) {
          return new Object[] {
            g.loss(),
            g.x().toArray(),
            g.W1().toArray(),
            g.b1().toArray(),
            g.W2().toArray(),
            g.b2().toArray()
          };
        }
      }
      if (result instanceof Ranking ranking) {
        Object[] rows = new Object[ranking.batch()];
        Arrays.setAll(rows, ranking::outputs);
        return rows;
      }
      return result;
    }

    /** Makes the loss NaN; false if the call is no step, or no row of it counts. */
    boolean poisonLossOfStep() {
      boolean poisoned =
          method == Method.STEP && Arrays.stream(targets.toArray()).anyMatch(target -> target >= 0);
      if (poisoned) {
        x.fill(Float.NaN);
        alias = gradX; // whose content is undefined now
      }
      return poisoned;
    }

    /** Makes one operand wrong; returns what the call must throw. */
    Class<? extends Exception> invalidate() {
      Operand operand = method.operands.get(data.below(method.operands.size()));
      switch (operand) {
        case X -> {
          long features = layer.features();
          return invalidateTensor(
              replacement -> x = replace(x, replacement),
              x,
              new long[][] {{batch, features + 1}, {batch * features}, {batch, features, 1}});
        }
        case OUT -> {
          if (Backend.isNative() && data.below(4) == 0) {
            long size = (long) batch * layer.outputs();
            if (size <= layer.W2().shape().size()) {
              out.close();
              out =
                  FloatTensor.wrap(
                      layer.W2().asFloatBuffer().slice(0, (int) size), batch, layer.outputs());
              alias = out;
              return IllegalArgumentException.class;
            }
          }
          return invalidateTensor(
              replacement -> out = replace(out, replacement),
              out,
              new long[][] {{batch, layer.outputs() + 1}, {batch + 1, layer.outputs()}});
        }
        case GRAD_X -> {
          if (gradX == null || data.below(4) == 0) {
            if (gradX != null) {
              gradX.close();
            }
            gradX = x.reshape(batch, layer.features());
            alias = gradX;
            return IllegalArgumentException.class;
          }
          if (data.below(2) == 0) {
            gradX.close();
            return IllegalStateException.class;
          }
          gradX = replace(gradX, untouched(batch + 1, layer.features()));
          return IllegalArgumentException.class;
        }
        case TARGETS -> {
          return invalidateIndices(replacement -> targets = replace(targets, replacement), targets);
        }
        case CANDIDATES -> {
          return invalidateIndices(
              replacement -> candidates = replace(candidates, replacement), candidates);
        }
        case K -> k = -data.below(3);
        case SHARE -> share = pick(0, -0.5, 1.0001, Double.NaN, Double.POSITIVE_INFINITY);
        case TEMPERATURE -> temperature = pick(0, -1, Double.NaN, Double.POSITIVE_INFINITY);
        case RANDOM -> {
          randomIsMissing = true;
          return NullPointerException.class;
        }
        case OUTPUT -> {
          output = data.below(2) == 0 ? layer.outputs() + data.below(3) : -1 - data.below(3);
          return IndexOutOfBoundsException.class;
        }
        case OPTIMIZER -> {
          optimizer = null;
          return NullPointerException.class;
        }
        case LOSS -> {
          return invalidateLoss();
        }
      }
      return IllegalArgumentException.class;
    }

    private double pick(double... values) {
      return values[data.below(values.length)];
    }

    private Class<? extends Exception> invalidateLoss() {
      switch (data.below(3)) {
        case 0 -> {
          loss = null;
          return NullPointerException.class;
        }
        case 1 -> {
          weights.set(data.below(2) == 0 ? Float.NaN : Float.NEGATIVE_INFINITY, data.below(batch));
          loss = loss.withRowWeights(weights);
          return IllegalArgumentException.class;
        }
        default -> {
          weights.close();
          loss = loss.withRowWeights(weights);
          return IllegalStateException.class;
        }
      }
    }

    private interface Replacement<T> {
      void by(T tensor);
    }

    private static <T extends Tensor> T replace(T old, T tensor) {
      old.close();
      return tensor;
    }

    private Class<? extends Exception> invalidateTensor(
        Replacement<FloatTensor> replacement, FloatTensor tensor, long[][] wrong) {
      switch (data.below(3)) {
        case 0 -> {
          replacement.by(null);
          return NullPointerException.class;
        }
        case 1 -> {
          tensor.close();
          return IllegalStateException.class;
        }
        default -> {
          replacement.by(untouched(wrong[data.below(wrong.length)]));
          return IllegalArgumentException.class;
        }
      }
    }

    private Class<? extends Exception> invalidateIndices(
        Replacement<IntTensor> replacement, IntTensor tensor) {
      int[] values = tensor.toArray();
      switch (data.below(4)) {
        case 0 -> {
          replacement.by(null);
          return NullPointerException.class;
        }
        case 1 -> {
          tensor.close();
          return IllegalStateException.class;
        }
        case 2 -> {
          replacement.by(IntTensor.of(values, 1, 1, values.length));
          return IllegalArgumentException.class;
        }
        default -> {
          int far = data.below(2) == 0 ? data.below(3) : data.below(1 << 30);
          int at = data.below(values.length);
          values[at] = data.below(2) == 0 ? layer.outputs() + far : -2 - far;
          replacement.by(IntTensor.of(values, tensor.shape().toArray()));
          return IndexOutOfBoundsException.class;
        }
      }
    }

    /** Tensors that a refused call must not have written, but parameters, tested elsewhere. */
    void assertNothingWritten() {
      for (FloatTensor tensor : new FloatTensor[] {out, gradX}) {
        if (tensor != null && !tensor.isClosed() && tensor != alias) {
          for (float value : tensor.toArray()) {
            assertEquals(UNTOUCHED, value, method + " wrote");
          }
        }
      }
    }

    @Override
    public void close() {
      for (Tensor tensor : new Tensor[] {x, out, gradX, targets, candidates, weights}) {
        if (tensor != null) {
          tensor.close();
        }
      }
    }
  }

  private static HierarchicalSoftmax layer(Workers workers, int features, int[] classOf) {
    return HierarchicalSoftmax.builder(features, classOf.length)
        .classes(ClassAssignment.of(classOf))
        .workers(workers)
        .seed(5)
        .build();
  }

  @Provide
  Arbitrary<KernelsUnderTest> kernels() {
    return Arbitraries.of(KERNELS);
  }

  @Property
  void wrongCallsChangeNothing(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll @IntRange(min = 1, max = 9) int features,
      @ForAll @IntRange(min = 1, max = 6) int classes,
      @ForAll @IntRange(max = 20) int more,
      @ForAll long seed) {
    Data data = new Data(seed);
    check(
        kernels.workers(), features, classOf(classes, more, data), data, call -> call.invalidate());
  }

  @Property
  void stepsWithoutALossChangeNothing(
      @ForAll("kernels") KernelsUnderTest kernels,
      @ForAll @IntRange(min = 1, max = 9) int features,
      @ForAll @IntRange(min = 1, max = 6) int classes,
      @ForAll @IntRange(max = 20) int more,
      @ForAll long seed) {
    Data data = new Data(seed);
    check(
        kernels.workers(),
        features,
        classOf(classes, more, data),
        data,
        call -> call.poisonLossOfStep() ? ArithmeticException.class : call.invalidate());
  }

  private static int[] classOf(int classes, int more, Data data) {
    int[] classOf = new int[classes + more];
    for (int o = 0; o < classOf.length; o++) {
      classOf[o] = o < classes ? o : data.below(classes);
    }
    return classOf;
  }

  private static void check(
      Workers workers, int features, int[] classOf, Data data, Mistake mistake) {
    try (HierarchicalSoftmax layer = layer(workers, features, classOf);
        HierarchicalSoftmax twin = layer(workers, features, classOf)) {
      for (int number = 0; number < CALLS; number++) {
        try (Call call = new Call(layer, data)) {
          if (data.below(3) == 0) {
            assertRefused(layer, call, mistake);
          } else {
            Object[] expected = {call.on(twin)};
            assertArrayEquals(expected, new Object[] {call.on(layer)}, call.method.toString());
          }
        }
      }
      LayerParameters.of(twin).assertSame("twin", layer);
      layer.close();
      try (Call call = new Call(twin, data)) {
        assertThrows(IllegalStateException.class, () -> call.on(layer), call.method.toString());
      }
    }
  }

  /** Makes a call wrong, and returns what it must throw. */
  private interface Mistake {
    Class<? extends Exception> in(Call call);
  }

  private static void assertRefused(HierarchicalSoftmax layer, Call call, Mistake mistake) {
    LayerParameters before = LayerParameters.of(layer);
    Class<? extends Exception> expected = mistake.in(call);
    Exception thrown =
        assertThrows(expected, () -> call.on(layer), () -> call.method + ": " + expected);
    assertNotNull(thrown.getMessage(), call.method.toString());
    before.assertSame(call.method + " wrote: " + thrown, layer);
    call.assertNothingWritten();
  }
}
