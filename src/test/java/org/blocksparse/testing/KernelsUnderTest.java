// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.ArrayList;
import java.util.List;
import org.blocksparse.internal.JavaKernels;
import org.blocksparse.internal.Kernels;
import org.blocksparse.internal.KernelsProvider;
import org.blocksparse.internal.NativeKernels;
import org.blocksparse.internal.binding.Blocksparse;

/** Every kind of kernels that this machine can run: what a contract has to hold for. */
public record KernelsUnderTest(String name, Kernels kernels) {
  /**
   * The Java reference and, with the native library, each instruction set with each way to
   * multiply.
   */
  public static List<KernelsUnderTest> all() {
    List<KernelsUnderTest> all = new ArrayList<>();
    all.add(new KernelsUnderTest("java", new JavaKernels()));
    if (KernelsProvider.nativeLibraryLoaded()) {
      for (int isa = 0; KernelsProvider.name(isa) != null; isa++) {
        if (Blocksparse.blocksparse_isa_supported(isa) != 0) {
          for (Kernels.Path path : Kernels.Path.values()) {
            all.add(
                new KernelsUnderTest(
                    KernelsProvider.name(isa) + " " + path, new NativeKernels(isa, path)));
          }
        }
      }
    }
    return all;
  }

  /** Runs a test on these kernels. */
  public void run(Runnable test) {
    KernelsProvider.override(kernels);
    try {
      test.run();
    } finally {
      KernelsProvider.override(null);
    }
  }

  @Override
  public String toString() {
    return name;
  }
}
