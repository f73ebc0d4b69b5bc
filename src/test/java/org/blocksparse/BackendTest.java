// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.binding.NativeMemory;
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

  /** The self-test takes about a second, and its result cannot change. */
  @Test
  void selfTest_runsOnce() {
    assertSame(Backend.selfTest(), Backend.selfTest());
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
        Backend.isNative()
            ? Map.of("rounded inputs", roundedWords(), "packed weights", packedName())
            : Map.of(),
        facts(text, "rounded inputs", "packed weights"),
        text);
    assertFalse(text.contains("null"), text);
  }

  /** Returns the facts of these names, as {@link Backend#describe()} prints them. */
  private static Map<String, String> facts(String text, String... names) {
    Map<String, String> facts = new HashMap<>();
    text.lines()
        .forEach(
            line -> {
              for (String name : names) {
                if (line.startsWith(name + " ")) {
                  facts.put(name, line.substring(name.length()).strip());
                }
              }
            });
    return facts;
  }

  private static String roundedWords() {
    return NativeMemory.text(Blocksparse.blocksparse_rounded_words(isa()));
  }

  private static String packedName() {
    return NativeMemory.text(Blocksparse.blocksparse_packed_name(isa()));
  }

  private static int isa() {
    return NativeLibrary.isaOf(Backend.instructionSet());
  }
}
