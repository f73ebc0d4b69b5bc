// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.kernels.KernelChoice;
import org.blocksparse.internal.kernels.Kernels;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The library's report about itself. */
@Tag("xcheck")
final class BackendTest {
  @Test
  void selfTest_findsEveryKernelExact() {
    assertEquals(List.of(), Backend.selfTest());
  }

  @Test
  void describe_namesEveryKernelAndWhatIsInUse() {
    String text = Backend.describe();
    List<String> selfTest =
        text.lines()
            .filter(line -> line.startsWith("self-test "))
            .flatMap(line -> Stream.of(line.replaceAll("^self-test +|: exact$", "").split(", ")))
            .toList();
    for (Map.Entry<String, Kernels> kernels : KernelChoice.available().entrySet()) {
      boolean inUse = KernelChoice.kernels().mayUseBlas() || !kernels.getValue().mayUseBlas();
      assertEquals(inUse, selfTest.contains(kernels.getKey()), kernels.getKey() + " in:\n" + text);
    }
    assertTrue(text.contains(NativeLibrary.reason()), text);
    assertTrue(text.contains(Backend.instructionSet()), text);
    assertEquals(
        Backend.isNative(),
        text.lines()
            .anyMatch(line -> line.matches("rounded inputs +(AMX|AVX512-BF16|register tiles).*")),
        text);
    assertEquals(
        Backend.isNative(),
        text.lines()
            .anyMatch(line -> line.matches("packed weights +(avx|neon|portable)[0-9a-z-]*")),
        text);
    assertFalse(text.contains("null"), text);
  }
}
