// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.Workers;

/** Gives tests in other packages workers over kernels of their choice. */
public final class KernelWorkers {
  private KernelWorkers() {}

  /** Returns the common workers over these kernels. */
  public static Workers of(Kernels kernels) {
    return of(Workers.common(), kernels);
  }

  /** Returns the same threads over these kernels. */
  public static Workers of(Workers workers, Kernels kernels) {
    return Engine.from(workers).with(kernels);
  }
}
