// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.blocksparse.internal.kernels.BlockProduct;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.OuterProduct;
import org.blocksparse.internal.kernels.PackedActivation;
import org.blocksparse.internal.kernels.PackedProduct;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.WeightType;
import org.blocksparse.testing.WatchedKernels;
import org.junit.jupiter.api.Test;

/** The self-test finds one wrong element, zeros, and missing writes. */
final class SelfTestTest {
  /** Returns the reference kernels, one of which spoils its result. */
  private static Map<String, Kernels> spoilt(String kernel, Consumer<Storage> spoil) {
    return spoilt(kernel, true, spoil);
  }

  private static Map<String, Kernels> spoilt(String kernel, boolean runs, Consumer<Storage> spoil) {
    Kernels kernels =
        WatchedKernels.of(
            Kernels.java(),
            (called, arguments, call) -> {
              boolean spoilt = called.equals(kernel);
              Object result = runs || !spoilt ? call.make() : null;
              if (spoilt) {
                spoil.accept(memory(arguments[0]));
              }
              return result;
            });
    return Map.of("spoilt", kernels);
  }

  private static Storage memory(Object written) {
    if (written instanceof BlockProduct product) {
      return product.c().rows().storage();
    }
    if (written instanceof PackedProduct product) {
      return product.c().rows().storage();
    }
    if (written instanceof PackedActivation activation) {
      return activation.to().storage();
    }
    return ((OuterProduct) written).o().storage();
  }

  private static void change(Storage storage, long element) {
    storage.putFloat(element, storage.getFloat(element) + 1);
  }

  private static final String[] PRODUCTS = {
    "product",
    "transposed product",
    "product of FLOAT16",
    "product of BFLOAT16",
    "product with rounded inputs"
  };

  private static void assertWrong(List<String> failures, String... products) {
    assertEquals(6 * products.length, failures.size(), failures.toString());
    for (int i = 0; i < failures.size(); i++) {
      String expected = "spoilt: " + products[i % products.length] + " of Case[batch=";
      assertTrue(failures.get(i).startsWith(expected), failures.get(i));
    }
  }

  @Test
  void oneWrongElementOfAProduct() {
    assertWrong(SelfTest.failures(spoilt("blockGemm", c -> change(c, c.elements() - 1))), PRODUCTS);
    assertWrong(SelfTest.failures(spoilt("blockGemm", c -> change(c, 0))), PRODUCTS);
  }

  @Test
  void oneWrongElementOfAnOuterProduct() {
    assertWrong(
        SelfTest.failures(spoilt("blockOuter", o -> change(o, o.elements() - 1))), "outer product");
  }

  @Test
  void oneWrongElementOfAPackedProduct() {
    assertWrongOfEachType("product", SelfTest.failures(spoilt("packedGemm", c -> change(c, 0))));
  }

  @Test
  void wrongCodesAfterAnActivation() {
    assertWrongOfEachType(
        "activation",
        SelfTest.failures(spoilt("packedActivation", to -> to.putInt(0, 0x01020304))));
  }

  private static void assertWrongOfEachType(String what, List<String> failures) {
    List<String> types =
        List.of(
            "PACKED_BFLOAT16",
            "INT8",
            "Q8_0",
            "Q4_0",
            "MXFP4",
            "Q4_K",
            "Q6_K",
            "Q5_K",
            "Q2_K",
            "Q5_1",
            "IQ4_NL",
            "IQ4_XS");
    assertEquals(4 * types.size(), failures.size(), failures.toString());
    for (String type : types) {
      String expected = "spoilt: " + what + " of " + type + " of Case[batch=";
      assertEquals(4, failures.stream().filter(f -> f.startsWith(expected)).count(), type);
    }
  }

  /** Kernels for many rows, such as tiles, run in each kind of product; see packed/dispatch.cpp. */
  @Test
  void kernelsForManyRowsAreRun() {
    for (WeightType type : WeightType.values()) {
      Map<String, Kernels> kernels =
          Map.of(
              "spoilt",
              WatchedKernels.of(
                  Kernels.java(),
                  (called, arguments, call) -> {
                    Object result = call.make();
                    if (called.equals("packedGemm") || called.equals("blockGemm")) {
                      boolean isPacked = arguments[0] instanceof PackedProduct;
                      GemmSchedule schedule =
                          isPacked
                              ? ((PackedProduct) arguments[0]).schedule()
                              : ((BlockProduct) arguments[0]).schedule();
                      Blocks w =
                          isPacked
                              ? ((PackedProduct) arguments[0]).w()
                              : ((BlockProduct) arguments[0]).w();
                      if (w.type() == type
                          && schedule.rows() >= 24 * w.inBlocks() * w.outBlocks()) {
                        change(memory(arguments[0]), 0);
                      }
                    }
                    return result;
                  }));
      boolean isTested = type != WeightType.INT8; // rows of tables, which products do not read
      assertEquals(isTested, !SelfTest.failures(kernels).isEmpty(), type.toString());
    }
  }

  @Test
  void whatIsNotWritten() {
    assertWrong(SelfTest.failures(spoilt("blockGemm", false, c -> {})), PRODUCTS);
    assertWrong(SelfTest.failures(spoilt("blockOuter", false, o -> {})), "outer product");
  }

  @Test
  void zeros() {
    assertWrong(SelfTest.failures(spoilt("blockGemm", c -> c.fill(0, c.elements(), 0))), PRODUCTS);
    assertWrong(
        SelfTest.failures(spoilt("blockOuter", o -> o.fill(0, o.elements(), 0))), "outer product");
  }

  @Test
  void nothingIsWrongWithTheReference() {
    assertEquals(List.of(), SelfTest.failures(spoilt("none", storage -> {})));
  }
}
