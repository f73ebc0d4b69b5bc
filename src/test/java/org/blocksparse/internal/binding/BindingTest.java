// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.binding;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The generated binding, against each function of the C interface. */
final class BindingTest {
  /** Functions that return texts, for messages and reports. */
  private static final Set<String> TEXTS =
      Set.of(
          "blocksparse_isa_name",
          "blocksparse_openblas_config",
          "blocksparse_openblas_core",
          "blocksparse_openblas_file",
          "blocksparse_packed_name",
          "blocksparse_path_words",
          "blocksparse_rounded_words",
          "blocksparse_status_name");

  /**
   * Kernels take addresses as numbers: for an object, generated code calls the JVM without checking
   * the result, and on a full heap, or at the end of a stack, there is none.
   */
  @Test
  void kernelsAreGivenNumbersOnly() {
    Set<String> givingObjects = new TreeSet<>();
    int kernels = 0;
    for (Method method : Blocksparse.class.getDeclaredMethods()) {
      if (Modifier.isNative(method.getModifiers())) {
        for (Class<?> type : method.getParameterTypes()) {
          assertTrue(type.isPrimitive(), method::toString);
        }
        kernels++;
        if (!method.getReturnType().isPrimitive()) {
          givingObjects.add(method.getName());
        }
      }
    }
    assertTrue(kernels > 30, kernels + " functions");
    assertEquals(new TreeSet<>(TEXTS), givingObjects);
  }
}
