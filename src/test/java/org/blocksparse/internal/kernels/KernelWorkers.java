// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.Workers;

/** Lets tests in other packages have workers over kernels of their choice. */
public final class KernelWorkers {
  private KernelWorkers() {}

  /** The common workers over these kernels. */
  public static Workers of(Kernels kernels) {
    return of(Workers.common(), kernels);
  }

  /** The same threads over these kernels. */
  public static Workers of(Workers workers, Kernels kernels) {
    return Engine.from(workers).with(kernels);
  }
}
