// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.testing.WatchedKernels;
import org.junit.jupiter.api.Test;

/** The self-test finds one wrong element, zeros, and what is not written. */
final class SelfTestTest {
  /** The reference, with something done to what a kernel has written. */
  private static Map<String, Kernels> spoilt(String kernel, int output, Consumer<Storage> spoil) {
    return spoilt(kernel, output, true, spoil);
  }

  private static Map<String, Kernels> spoilt(
      String kernel, int output, boolean runs, Consumer<Storage> spoil) {
    Kernels kernels =
        WatchedKernels.of(
            Kernels.java(),
            (called, arguments, call) -> {
              boolean spoilt = called.equals(kernel);
              Object result = runs || !spoilt ? call.make() : null;
              if (spoilt) {
                spoil.accept(memory(arguments[output]));
              }
              return result;
            });
    return Map.of("spoilt", kernels);
  }

  private static Storage memory(Object written) {
    if (written instanceof Rows rows) {
      return rows.storage();
    }
    return written instanceof RoundedRows rows ? rows.storage() : ((Blocks) written).storage();
  }

  private static void change(Storage storage, long element) {
    storage.putFloat(element, storage.getFloat(element) + 1);
  }

  private static void assertWrong(List<String> failures, String... products) {
    assertEquals(5 * products.length, failures.size(), failures.toString());
    for (int i = 0; i < failures.size(); i++) {
      String expected = "spoilt: " + products[i % products.length] + " of Case[batch=";
      assertTrue(failures.get(i).startsWith(expected), failures.get(i));
    }
  }

  @Test
  void oneWrongElementOfAProduct() {
    assertWrong(
        SelfTest.failures(spoilt("blockGemm", 10, c -> change(c, c.elements() - 1))),
        "product",
        "transposed product");
    assertWrong(
        SelfTest.failures(spoilt("blockGemm", 10, c -> change(c, 0))),
        "product",
        "transposed product");
  }

  @Test
  void oneWrongElementOfAnOuterProduct() {
    assertWrong(
        SelfTest.failures(spoilt("blockOuter", 9, o -> change(o, o.elements() - 1))),
        "outer product");
  }

  @Test
  void oneWrongElementOfAPackedProduct() {
    assertWrongOfEachType("product", SelfTest.failures(spoilt("packedGemm", 9, c -> change(c, 0))));
  }

  @Test
  void wrongCodesAfterAnActivation() {
    assertWrongOfEachType(
        "activation",
        SelfTest.failures(spoilt("packedActivation", 10, to -> to.putInt(0, 0x01020304))));
  }

  private static void assertWrongOfEachType(String what, List<String> failures) {
    assertEquals(12, failures.size(), failures.toString());
    for (String type : List.of("INT8", "Q8_0", "Q4_0", "MXFP4")) {
      String expected = "spoilt: " + what + " of " + type + " of Case[batch=";
      assertEquals(3, failures.stream().filter(f -> f.startsWith(expected)).count(), type);
    }
  }

  @Test
  void whatIsNotWritten() {
    assertWrong(
        SelfTest.failures(spoilt("blockGemm", 10, false, c -> {})),
        "product",
        "transposed product");
    assertWrong(SelfTest.failures(spoilt("blockOuter", 9, false, o -> {})), "outer product");
  }

  @Test
  void zeros() {
    assertWrong(
        SelfTest.failures(spoilt("blockGemm", 10, c -> c.fill(0, c.elements(), 0))),
        "product",
        "transposed product");
    assertWrong(
        SelfTest.failures(spoilt("blockOuter", 9, o -> o.fill(0, o.elements(), 0))),
        "outer product");
  }

  @Test
  void nothingIsWrongWithTheReference() {
    assertEquals(List.of(), SelfTest.failures(spoilt("none", 0, storage -> {})));
  }
}
