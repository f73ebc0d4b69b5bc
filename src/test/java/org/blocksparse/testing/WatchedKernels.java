// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.function.BiConsumer;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.ProductKernels;
import org.blocksparse.internal.kernels.RowKernels;

/** Kernels that report their calls to a test. */
public final class WatchedKernels {
  private WatchedKernels() {}

  /** The call of a kernel. */
  public interface Call {
    /** Makes the call. */
    Object make() throws Throwable;
  }

  /** A test's replacement of a call. */
  public interface Interceptor {
    /** Receives the name and the arguments of a call, and returns the result for its caller. */
    Object intercept(String kernel, Object[] arguments, Call call) throws Throwable;
  }

  /**
   * Returns the same kernels with a listener.
   *
   * @param listener gets the name and the arguments of each call before it is made
   */
  public static Kernels of(Kernels kernels, BiConsumer<String, Object[]> listener) {
    return of(
        kernels,
        (kernel, arguments, call) -> {
          listener.accept(kernel, arguments);
          return call.make();
        });
  }

  /** Returns kernels each of whose calls goes through an interceptor. */
  public static Kernels of(Kernels kernels, Interceptor interceptor) {
    return new Kernels(
        kernels.instructionSet(),
        kernels.path(),
        kernels.mayUseBlas(),
        watched(ProductKernels.class, kernels.products(), interceptor),
        watched(RowKernels.class, kernels.rows(), interceptor));
  }

  private static <T> T watched(Class<T> type, T kernels, Interceptor interceptor) {
    return type.cast(
        Proxy.newProxyInstance(
            type.getClassLoader(),
            new Class<?>[] {type},
            (proxy, method, arguments) -> {
              Object[] given = arguments == null ? new Object[0] : arguments;
              return interceptor.intercept(
                  method.getName(),
                  given,
                  () -> {
                    try {
                      return method.invoke(kernels, given);
                    } catch (InvocationTargetException e) {
                      throw e.getCause();
                    }
                  });
            }));
  }
}
