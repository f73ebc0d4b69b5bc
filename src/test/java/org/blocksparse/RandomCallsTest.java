// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.blocksparse.testing.Budget;
import org.blocksparse.testing.Data;
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

  private final Map<PublicMethod, List<Call>> rightCalls = new HashMap<>();
  private int succeeded;

  /** A method with its arguments, and the object that has it unless it is static. */
  private record Call(PublicMethod called, Object owner, Object[] arguments) {
    Object make() throws IllegalAccessException, InvocationTargetException {
      return called.method().invoke(owner, arguments);
    }

    boolean names(Object layer) {
      return owner == layer || Arrays.asList(arguments).contains(layer);
    }

    @Override
    public String toString() {
      return called + ": " + Arrays.deepToString(arguments);
    }
  }

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
  private void findRightOnes(PublicMethod called, RandomArguments arguments)
      throws IllegalAccessException {
    if (called.method().getName().equals("close")) {
      return;
    }
    for (Class<?> type : called.method().getParameterTypes()) {
      assertTrue(arguments.knows(type), () -> "no arguments for " + type);
    }
    List<Call> right = new ArrayList<>();
    for (int i = 0; i < TRIES_FOR_RIGHT_ONES && right.size() < 3; i++) {
      Call call = fresh(called, arguments);
      try {
        if (call.owner != null || called.isStatic()) {
          keep(call.make(), arguments);
          right.add(call);
        }
      } catch (InvocationTargetException e) {
        // Not one of them.
      }
    }
    rightCalls.put(called, right);
  }

  private static Call fresh(PublicMethod called, RandomArguments arguments) {
    Method method = called.method();
    boolean saves = method.getName().startsWith("save") || method.getName().startsWith("write");
    Object[] values = new Object[method.getParameterCount()];
    for (int i = 0; i < values.length; i++) {
      Class<?> type = method.getParameterTypes()[i];
      values[i] =
          saves && type == Path.class
              ? arguments.fileToWrite()
              : arguments.of(type, method.getGenericParameterTypes()[i]);
    }
    Object owner = called.isStatic() ? null : arguments.of(called.type(), null);
    return new Call(called, owner, values);
  }

  private Call choose(PublicMethod called, RandomArguments arguments) {
    Call call = fresh(called, arguments);
    List<Call> right = rightCalls.getOrDefault(called, List.of());
    if (right.isEmpty() || arguments.below(5) == 0) {
      return call;
    }
    Call known = arguments.oneOf(right);
    Object[] values = known.arguments.clone();
    for (int i = 0; i < values.length; i++) {
      if (arguments.below(values.length) == 0) {
        values[i] = call.arguments[i];
      }
    }
    return new Call(called, known.owner, values);
  }

  private void make(Call call, RandomArguments arguments) throws IllegalAccessException {
    boolean closes = call.called.method().getName().equals("close") && arguments.below(12) != 0;
    if (closes || (call.owner == null && !call.called.isStatic())) {
      return;
    }
    IdentityHashMap<Object, float[]> before = numbers(call, arguments);
    try {
      keep(call.make(), arguments);
      succeeded++;
    } catch (InvocationTargetException e) {
      String flaw = flaw(e.getCause());
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

  private void report(Call call, String flaw) {
    flaws.putIfAbsent(
        call.called.toString() + flaw.replaceAll("[^A-Za-z].*", ""), call + ": " + flaw);
  }

  private static void keep(Object result, RandomArguments arguments) {
    if (result != null && result.getClass().getPackage() == Backend.class.getPackage()) {
      arguments.keep(result);
    }
  }

  /** What is wrong with an exception; null if nothing is. */
  private static String flaw(Throwable thrown) {
    boolean ofOurs =
        thrown instanceof IllegalArgumentException
            || thrown instanceof IllegalStateException
            || thrown.getClass() == IndexOutOfBoundsException.class
            || thrown instanceof NullPointerException
            || thrown instanceof UnsupportedOperationException
            || thrown.getClass() == ArithmeticException.class // a loss that is no number
            || thrown instanceof IOException
            || thrown instanceof OutOfMemoryError;
    String message = Objects.requireNonNullElse(thrown.getMessage(), "");
    boolean ofTheJvm =
        message.isEmpty()
            || message.startsWith("Cannot ")
            || message.startsWith("Index ")
            || message.startsWith("Range ")
            || message.contains(" out of bounds")
            || message.contains("overflow")
            || message.contains("Requested array size")
            || message.equals("/ by zero");
    return ofOurs && !ofTheJvm
        ? null
        : thrown + " in " + Arrays.stream(thrown.getStackTrace()).limit(3).toList();
  }

  /**
   * The numbers of all tensors and of the layers that a call names, and some of those of the other
   * layers; of what is closed, none.
   */
  private static IdentityHashMap<Object, float[]> numbers(Call call, RandomArguments arguments) {
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
