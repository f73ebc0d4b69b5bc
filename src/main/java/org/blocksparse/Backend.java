// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.List;
import org.blocksparse.internal.backend.BackendReport;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.backend.SelfTest;
import org.blocksparse.internal.binding.NativeLibrary;

/**
 * Reports which kernels run, and why, with a remedy for each problem. {@code java -cp ...
 * org.blocksparse.Backend} prints the report for the class path of an application. Add it to a bug
 * report.
 *
 * <p>System properties, read when the library is first used:
 *
 * <ul>
 *   <li>{@code -Dblocksparse.backend=native|java} forces a backend. By default native code runs
 *       where its jar is present, and plain Java where it is not.
 *   <li>{@code -Dblocksparse.isa=portable|neon|avx2|avx512} caps the instruction set.
 *   <li>{@code -Dblocksparse.path=tile|blas} forces a way to multiply: our register tiles, or
 *       OpenBLAS on gathered rows. By default it is the faster for each product, as measured.
 *   <li>{@code -Dblocksparse.openblas.threads=keep} keeps OpenBLAS's number of threads. By default
 *       it is set to 1 for the whole process, where OpenBLAS may be called: Java's threads do the
 *       work.
 * </ul>
 *
 * <p><b>Registers of AMX.</b> On Linux, a processor with AMX needs the kernel's permission for each
 * process. The library requests it for products with {@linkplain org.blocksparse.products.BlockPlan
 * rounded inputs}, for packed weights, and so for packed experts, when they are first computed, and
 * in {@link #selfTest} and {@link #describe}. The permission lasts for the life of the process:
 * each signal frame may need 8 KB more stack, and Linux refuses smaller stacks for signals from
 * then on. If Linux refuses the registers, other instructions are used.
 */
public final class Backend {
  private Backend() {}

  /**
   * Returns whether native kernels run.
   *
   * @throws UnsatisfiedLinkError if they should but cannot; the message names the remedy
   */
  public static boolean isNative() {
    return NativeLibrary.isLoaded();
  }

  /**
   * Returns the instruction set of the kernels, {@code avx512} for instance, or {@code java}.
   *
   * @throws UnsatisfiedLinkError if native kernels should run but cannot
   */
  public static String instructionSet() {
    return KernelChoice.kernels().instructionSet();
  }

  /**
   * Runs a few exact products through every kind of kernels that this machine can execute, in about
   * a second; through OpenBLAS, whose number of threads is set for the whole process, only where
   * products may run on it anyway. The first call runs them, and later ones return its result.
   *
   * @return what was wrong, naming the kernels; empty if all is well
   * @throws UnsatisfiedLinkError if native kernels should run but cannot
   */
  public static List<String> selfTest() {
    return SelfTest.failures();
  }

  /**
   * Returns all of the above and what it depends on, a line for each fact; lines that begin with an
   * arrow name the remedy for the one before. The first call runs {@link #selfTest}. Never fails: a
   * library that does not load is a fact, too.
   */
  public static String describe() {
    return BackendReport.make().toString();
  }

  /**
   * Prints {@link #describe}; exits with 1 if the native library does not load or a kernel errs.
   */
  public static void main(String[] args) {
    BackendReport report = BackendReport.make();
    System.out.print(report);
    if (!report.isGood()) {
      System.exit(1);
    }
  }
}
