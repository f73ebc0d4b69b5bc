// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.blocksparse.internal.KernelsProvider;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What the library says of itself. */
@Tag("xcheck")
final class BackendTest {
  @Test
  void selfTest_findsEveryKernelExact() {
    assertEquals(List.of(), Backend.selfTest());
  }

  @Test
  void describe_namesEveryKernelAndWhatIsInUse() {
    String text = Backend.describe();
    for (String kernels : KernelsProvider.available().keySet()) {
      assertTrue(text.contains(kernels), kernels + " in:\n" + text);
    }
    assertTrue(text.contains(Backend.reason()), text);
    assertTrue(text.contains(Backend.instructionSet()), text);
    assertEquals(
        Backend.isNative(),
        text.lines().anyMatch(line -> line.matches("rounded inputs +(AMX|register tiles), .*")),
        text);
    assertFalse(text.contains("null"), text);
  }
}
