// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_FLOAT32;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_PATH_AUTO;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_gemm_scratch_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_outer_scratch_f32;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.blocksparse.Workers;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.kernels.KernelWorkers;
import org.blocksparse.internal.kernels.Kernels;

/** Every kind of kernels that this machine can run, each of which must meet the contracts. */
public record KernelsUnderTest(String name, Kernels kernels) {
  private static final List<KernelsUnderTest> ALL =
      KernelChoice.available().entrySet().stream()
          .map(kernels -> new KernelsUnderTest(kernels.getKey(), kernels.getValue()))
          .toList();

  /**
   * Returns the Java reference and, with the native library, the tiles of each instruction set,
   * OpenBLAS, and the choices between the two.
   */
  public static List<KernelsUnderTest> all() {
    return ALL;
  }

  /**
   * Returns the kernels that differ in products with blocks of a size: all but the choices that are
   * always tiles there.
   */
  public static List<KernelsUnderTest> forBlocks(long size1, long size2) {
    return ALL.stream()
        .filter(kernels -> !kernels.isChoice() || kernels.mayChooseBlas(size1, size2))
        .toList();
  }

  /** Returns the choices that may be OpenBLAS for products with blocks of a size. */
  public static List<KernelsUnderTest> choicesForBlocks(long size1, long size2) {
    return forBlocks(size1, size2).stream().filter(KernelsUnderTest::isChoice).toList();
  }

  /** Returns each instruction set once, for operations without OpenBLAS: bags, narrow weights. */
  public static Collection<KernelsUnderTest> instructionSets() {
    Map<String, KernelsUnderTest> bySet = new LinkedHashMap<>();
    ALL.forEach(kernels -> bySet.putIfAbsent(kernels.kernels.instructionSet(), kernels));
    return bySet.values();
  }

  private boolean isChoice() {
    return kernels.mayUseBlas() && !name.equals("OpenBLAS");
  }

  /** Returns whether the choice may be OpenBLAS: only then do products have scratch. */
  private boolean mayChooseBlas(long size1, long size2) {
    int isa = NativeLibrary.isaOf(kernels.instructionSet());
    int m = Math.toIntExact(size1);
    int n = Math.toIntExact(size2);
    return blocksparse_outer_scratch_f32(isa, BLOCKSPARSE_PATH_AUTO, m, n)
            + blocksparse_gemm_scratch_f32(isa, BLOCKSPARSE_PATH_AUTO, BLOCKSPARSE_FLOAT32, m, n, 0)
        > 0;
  }

  /**
   * Returns the common workers over these kernels: for plans, layers, and all else that takes
   * workers.
   */
  public Workers workers() {
    return KernelWorkers.of(kernels);
  }

  @Override
  public String toString() {
    return name;
  }
}
