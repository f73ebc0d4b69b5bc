// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.List;
import org.blocksparse.internal.Kernels;
import org.blocksparse.internal.KernelsProvider;

/** Every kind of kernels that this machine can run: what a contract has to hold for. */
public record KernelsUnderTest(String name, Kernels kernels) {
  /**
   * The Java reference and, with the native library, each instruction set with each way to
   * multiply.
   */
  public static List<KernelsUnderTest> all() {
    return KernelsProvider.available().entrySet().stream()
        .map(kernels -> new KernelsUnderTest(kernels.getKey(), kernels.getValue()))
        .toList();
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
