// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.function.BiConsumer;
import org.blocksparse.internal.Kernels;

/** Kernels of which a test is told what is called. */
public final class WatchedKernels {
  private WatchedKernels() {}

  /**
   * The same kernels.
   *
   * @param listener gets the name and the arguments of each call before it is made
   */
  public static Kernels of(Kernels kernels, BiConsumer<String, Object[]> listener) {
    return (Kernels)
        Proxy.newProxyInstance(
            Kernels.class.getClassLoader(),
            new Class<?>[] {Kernels.class},
            (proxy, method, arguments) -> {
              listener.accept(method.getName(), arguments == null ? new Object[0] : arguments);
              try {
                return method.invoke(kernels, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
