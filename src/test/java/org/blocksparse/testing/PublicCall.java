// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import java.util.Set;

/** A public method with its arguments, and its owner unless it is static. */
public record PublicCall(PublicMethod called, Object owner, Object[] arguments) {
  /** The JVM's messages for arrays that do not fit. */
  private static final Set<String> OF_THE_HEAP =
      Set.of("Java heap space", "Requested array size exceeds VM limit");

  /**
   * Returns a call with arguments chosen at random; without an owner if nothing of its type is
   * kept.
   */
  public static PublicCall of(PublicMethod called, RandomArguments arguments) {
    Method method = called.method();
    boolean saves = method.getName().startsWith("save") || method.getName().startsWith("write");
    Object[] values = new Object[method.getParameterCount()];
    for (int i = 0; i < values.length; i++) {
      Class<?> type = called.parameterTypes()[i];
      values[i] =
          saves && type == Path.class
              ? arguments.fileToWrite()
              : arguments.of(type, method.getGenericParameterTypes()[i]);
    }
    Object owner = called.isStatic() ? null : arguments.owner(called.type(), called.targets());
    return new PublicCall(called, owner, values);
  }

  /** Returns whether the call can be made: there is an owner, or none is needed. */
  public boolean hasOwner() {
    return owner != null || called.isStatic();
  }

  /** Makes the call, and returns its result. */
  public Object make() throws InvocationTargetException {
    try {
      return called.method().invoke(owner, arguments);
    } catch (IllegalAccessException e) {
      throw new AssertionError(e);
    }
  }

  /** Makes the call; a resulting object of the library becomes an argument of later calls. */
  public void makeAndKeep(RandomArguments others) throws InvocationTargetException {
    Object result = make();
    if (result != null && PublicTypes.areIn(result.getClass())) {
      others.keep(result, called.targets());
    }
  }

  /** Makes the call if possible, like {@link #makeAndKeep}. Returns whether it succeeded. */
  public boolean succeeds(RandomArguments others) {
    try {
      if (hasOwner()) {
        makeAndKeep(others);
      }
      return hasOwner();
    } catch (InvocationTargetException e) {
      return false;
    }
  }

  /** Returns whether an object is the owner or an argument. */
  public boolean names(Object object) {
    return owner == object || Arrays.asList(arguments).contains(object);
  }

  /** Returns the flaw of a call's exception; null if it is ours and names the error. */
  public static String flaw(Throwable thrown) {
    String message = Objects.requireNonNullElse(thrown.getMessage(), "");
    boolean ofOurs =
        thrown instanceof IllegalArgumentException
            || thrown instanceof IllegalStateException
            || thrown.getClass() == IndexOutOfBoundsException.class
            || thrown instanceof NullPointerException
            || thrown instanceof UnsupportedOperationException
            || thrown.getClass() == ArithmeticException.class // the loss is NaN
            || thrown instanceof IOException
            || (thrown instanceof OutOfMemoryError
                && (message.startsWith("cannot ") || OF_THE_HEAP.contains(message)));
    boolean ofTheJvm =
        message.isEmpty()
            || message.startsWith("Cannot ")
            || message.startsWith("Index ")
            || message.startsWith("Range ")
            || message.contains(" out of bounds")
            || message.contains("overflow")
            || message.equals("/ by zero");
    return ofOurs && !ofTheJvm
        ? null
        : thrown + " in " + Arrays.stream(thrown.getStackTrace()).limit(3).toList();
  }

  @Override
  public String toString() {
    return called + ": " + Arrays.deepToString(arguments);
  }
}
