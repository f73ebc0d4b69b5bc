// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.blocksparse.internal.binding.Blocksparse.blocksparse_may_use_blas;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_path_words;

import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.binding.NativeMemory;

/**
 * The few primitives of all operations, on checked operands: ranges of the chunks of a schedule, on
 * the calling thread. The C header ({@code native/include/blocksparse/blocksparse.h}) describes
 * each, operand by operand, at the function of the same name.
 *
 * <p>Implementations keep no state and may be called from any number of threads.
 *
 * @param instructionSet {@code avx512} for instance, or {@code java}
 * @param path which products run on what, in words
 * @param mayUseBlas whether a product may run on OpenBLAS
 */
public record Kernels(
    String instructionSet,
    String path,
    boolean mayUseBlas,
    ProductKernels products,
    RowKernels rows) {

  /** The ways to compute a product; the reference kernels have only one. */
  public enum Path {
    AUTO(Blocksparse.BLOCKSPARSE_PATH_AUTO),
    BLAS(Blocksparse.BLOCKSPARSE_PATH_BLAS),
    TILE(Blocksparse.BLOCKSPARSE_PATH_TILE);

    private final int code;

    Path(int code) {
      this.code = code;
    }
  }

  /**
   * Returns the reference, which the native kernels are tested against and which runs where there
   * is no native library.
   */
  public static Kernels java() {
    return new Kernels(
        "java", "plain loops", false, new JavaProductKernels(), new JavaRowKernels());
  }

  /**
   * Returns the kernels of the native library for an instruction set that this processor has.
   *
   * @param isa one of the header's {@code blocksparse_isa}
   */
  public static Kernels ofNative(int isa, Path path) {
    return new Kernels(
        NativeLibrary.isaName(isa),
        NativeMemory.text(blocksparse_path_words(isa, path.code)),
        blocksparse_may_use_blas(isa, path.code) != 0,
        new NativeProductKernels(isa, path.code),
        new NativeRowKernels(isa));
  }
}
