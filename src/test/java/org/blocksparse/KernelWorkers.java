// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.Kernels;

/** Lets tests in other packages have workers over kernels of their choice. */
public final class KernelWorkers {
  private KernelWorkers() {}

  /** The common workers over these kernels. */
  public static Workers of(Kernels kernels) {
    return Workers.common().with(kernels);
  }
}
