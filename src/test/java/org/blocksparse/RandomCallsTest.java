// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.InvocationTargetException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.blocksparse.testing.Budget;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.PublicCall;
import org.blocksparse.testing.PublicMethod;
import org.blocksparse.testing.RandomArguments;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every public method, with arguments chosen at random from what is right and what is not: whatever
 * it throws says what was wrong in words of ours, and has changed no tensor and no layer. New
 * methods take part by themselves; a new type of argument must be told to {@link RandomArguments}.
 */
@ExtendWith(Seeded.class)
final class RandomCallsTest {
  private static final int ROUNDS = Budget.of("blocksparse.random.rounds", 3, 300);
  private static final int CALLS_OF_A_ROUND = 8_000;
  private static final int TRIES_FOR_RIGHT_ONES = 200;

  @TempDir Path folder;

  /** One of each method and kind. */
  private final Map<String, String> flaws = new TreeMap<>();

  private final Map<PublicMethod, List<PublicCall>> rightCalls = new HashMap<>();
  private int succeeded;

  @Test
  void refusedMeansSaidAndUntouched(Data data) throws Exception {
    List<PublicMethod> methods = PublicMethod.all();
    for (int round = 0; round < ROUNDS; round++) {
      RandomArguments arguments =
          new RandomArguments(new SplittableRandom(data.below(Integer.MAX_VALUE)), folder);
      rightCalls.clear();
      for (PublicMethod called : methods) {
        findRightOnes(called, arguments);
      }
      for (int i = 0; i < CALLS_OF_A_ROUND; i++) {
        make(choose(arguments.oneOf(methods), arguments), arguments);
      }
    }
    assertEquals("", String.join("\n", flaws.values()));
    int calls = ROUNDS * CALLS_OF_A_ROUND;
    assertTrue(succeeded > calls / 5, () -> "only " + succeeded + " calls succeeded");
    assertTrue(succeeded < calls * 9 / 10, () -> succeeded + " calls succeeded: too few are wrong");
  }

  /** Some calls that succeed, of which one argument is changed then. */
  private void findRightOnes(PublicMethod called, RandomArguments arguments) {
    if (called.method().getName().equals("close")) {
      return;
    }
    for (Class<?> type : called.method().getParameterTypes()) {
      assertTrue(arguments.knows(type), () -> "no arguments for " + type);
    }
    List<PublicCall> right = new ArrayList<>();
    for (int i = 0; i < TRIES_FOR_RIGHT_ONES && right.size() < 3; i++) {
      PublicCall call = PublicCall.of(called, arguments);
      if (call.succeeds(arguments)) {
        right.add(call);
      }
    }
    rightCalls.put(called, right);
  }

  private PublicCall choose(PublicMethod called, RandomArguments arguments) {
    PublicCall call = PublicCall.of(called, arguments);
    List<PublicCall> right = rightCalls.getOrDefault(called, List.of());
    if (right.isEmpty() || arguments.below(5) == 0) {
      return call;
    }
    PublicCall known = arguments.oneOf(right);
    Object[] values = known.arguments().clone();
    for (int i = 0; i < values.length; i++) {
      if (arguments.below(values.length) == 0) {
        values[i] = call.arguments()[i];
      }
    }
    return new PublicCall(called, known.owner(), values);
  }

  private void make(PublicCall call, RandomArguments arguments) {
    boolean closes = call.called().method().getName().equals("close") && arguments.below(12) != 0;
    if (closes || !call.hasOwner()) {
      return;
    }
    IdentityHashMap<Object, float[]> before = numbers(call, arguments);
    try {
      call.makeAndKeep(arguments);
      succeeded++;
    } catch (InvocationTargetException e) {
      String flaw = PublicCall.flaw(e.getCause());
      if (flaw != null) {
        report(call, flaw);
      }
      IdentityHashMap<Object, float[]> after = numbers(call, arguments);
      // A step whose loss is not finite in W2 alone has changed other classes, as it says.
      if (!(e.getCause() instanceof ArithmeticException)) {
        before.forEach(
            (owner, values) -> {
              if (!Arrays.equals(values, after.get(owner))) {
                report(call, "changed " + owner + ", and threw " + e.getCause());
              }
            });
      }
    }
  }

  private void report(PublicCall call, String flaw) {
    flaws.putIfAbsent(
        call.called().toString() + flaw.replaceAll("[^A-Za-z].*", ""), call + ": " + flaw);
  }

  /**
   * The numbers of all tensors and of the layers that a call names, and some of those of the other
   * layers; of what is closed, none.
   */
  private static IdentityHashMap<Object, float[]> numbers(
      PublicCall call, RandomArguments arguments) {
    IdentityHashMap<Object, float[]> numbers = new IdentityHashMap<>();
    arguments.kept(FloatTensor.class).forEach(t -> numbers.put(t, values(t)));
    List<TwoLevelLayer> layers = new ArrayList<>(arguments.kept(HierarchicalSoftmax.class));
    layers.addAll(arguments.kept(LabelTree.class));
    for (TwoLevelLayer layer : layers) {
      boolean all = call.names(layer) && layer.weightType() == ElementType.FLOAT32;
      numbers.put(
          layer, all ? values(layer.W1(), layer.b1(), layer.W2(), layer.b2()) : values(layer.b2()));
    }
    List<LayerPart> parts = new ArrayList<>(arguments.kept(SoftmaxPart.class));
    parts.addAll(arguments.kept(LabelTreePart.class));
    for (LayerPart part : parts) {
      numbers.put(part, call.names(part) ? values(part.W(), part.b()) : values(part.b()));
    }
    for (EmbeddingBag bag : arguments.kept(EmbeddingBag.class)) {
      boolean floats = bag.weightType() == ElementType.FLOAT32;
      numbers.put(bag, floats ? values(bag.table()) : new float[0]);
    }
    return numbers;
  }

  private static float[] values(FloatTensor... tensors) {
    float[] all = new float[0];
    for (FloatTensor tensor : tensors) {
      if (!tensor.isClosed() && tensor.shape().size() < 1_000) {
        float[] values = tensor.toArray();
        all = all.length == 0 ? values : concatenation(all, values);
      }
    }
    return all;
  }

  private static float[] concatenation(float[] first, float[] second) {
    float[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }
}
