// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.reflect.Executable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
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
import org.blocksparse.testing.PublicMethods;
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

  private final Map<Executable, List<Call>> rightCalls = new HashMap<>();
  private int succeeded;

  /** A method with its arguments, and the object that has it unless it is static. */
  private record Call(Method method, Object owner, Object[] arguments) {
    Object make() throws IllegalAccessException, InvocationTargetException {
      return method.invoke(owner, arguments);
    }

    boolean names(Object layer) {
      return owner == layer || Arrays.asList(arguments).contains(layer);
    }

    @Override
    public String toString() {
      return method.getDeclaringClass().getSimpleName()
          + "."
          + method.getName()
          + Arrays.deepToString(arguments);
    }
  }

  @Test
  void refusedMeansSaidAndUntouched(Data data) throws Exception {
    List<Method> methods = PublicMethods.all();
    for (int round = 0; round < ROUNDS; round++) {
      RandomArguments arguments =
          new RandomArguments(new SplittableRandom(data.below(Integer.MAX_VALUE)), folder);
      rightCalls.clear();
      for (Method method : methods) {
        findRightOnes(method, arguments);
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
  private void findRightOnes(Method method, RandomArguments arguments)
      throws IllegalAccessException {
    if (method.getName().equals("close")) {
      return;
    }
    for (Class<?> type : method.getParameterTypes()) {
      assertTrue(arguments.knows(type), () -> "no arguments for " + type);
    }
    List<Call> right = new ArrayList<>();
    for (int i = 0; i < TRIES_FOR_RIGHT_ONES && right.size() < 3; i++) {
      Call call = fresh(method, arguments);
      try {
        if (call.owner != null || Modifier.isStatic(method.getModifiers())) {
          keep(call.make(), arguments);
          right.add(call);
        }
      } catch (InvocationTargetException e) {
        // Not one of them.
      }
    }
    rightCalls.put(method, right);
  }

  private static Call fresh(Method method, RandomArguments arguments) {
    boolean saves = method.getName().startsWith("save") || method.getName().startsWith("write");
    Object[] values = new Object[method.getParameterCount()];
    for (int i = 0; i < values.length; i++) {
      Class<?> type = method.getParameterTypes()[i];
      values[i] =
          saves && type == Path.class
              ? arguments.fileToWrite()
              : arguments.of(type, method.getGenericParameterTypes()[i]);
    }
    Object owner =
        Modifier.isStatic(method.getModifiers())
            ? null
            : arguments.of(method.getDeclaringClass(), null);
    return new Call(method, owner, values);
  }

  private Call choose(Method method, RandomArguments arguments) {
    Call call = fresh(method, arguments);
    List<Call> right = rightCalls.getOrDefault(method, List.of());
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
    return new Call(method, known.owner, values);
  }

  private void make(Call call, RandomArguments arguments) throws IllegalAccessException {
    boolean closes = call.method.getName().equals("close") && arguments.below(12) != 0;
    if (closes || (call.owner == null && !Modifier.isStatic(call.method.getModifiers()))) {
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
        call.method.toString() + flaw.replaceAll("[^A-Za-z].*", ""), call + ": " + flaw);
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
    for (HierarchicalSoftmax layer : arguments.kept(HierarchicalSoftmax.class)) {
      boolean all = call.names(layer) && layer.weightType() == ElementType.FLOAT32;
      numbers.put(
          layer, all ? values(layer.W1(), layer.b1(), layer.W2(), layer.b2()) : values(layer.b2()));
    }
    for (LabelTree tree : arguments.kept(LabelTree.class)) {
      boolean all = call.names(tree) && tree.weightType() == ElementType.FLOAT32;
      numbers.put(
          tree, all ? values(tree.W1(), tree.b1(), tree.W2(), tree.b2()) : values(tree.b2()));
    }
    for (SoftmaxPart part : arguments.kept(SoftmaxPart.class)) {
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
