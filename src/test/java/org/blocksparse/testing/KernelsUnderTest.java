// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.blocksparse.KernelWorkers;
import org.blocksparse.Workers;
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

  /** Each instruction set once, for what does not multiply: there, the ways to do so are one. */
  public static Collection<KernelsUnderTest> instructionSets() {
    Map<String, KernelsUnderTest> bySet = new LinkedHashMap<>();
    all().forEach(kernels -> bySet.putIfAbsent(kernels.kernels.instructionSet(), kernels));
    return bySet.values();
  }

  /** The common workers over these kernels: for plans, layers, and all else that takes workers. */
  public Workers workers() {
    return KernelWorkers.of(kernels);
  }

  @Override
  public String toString() {
    return name;
  }
}
