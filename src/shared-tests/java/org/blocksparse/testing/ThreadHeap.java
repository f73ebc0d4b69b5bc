// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** The heap allocation of the calling thread. */
public final class ThreadHeap {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private ThreadHeap() {}

  /** Returns the bytes allocated so far, including those that were freed. */
  public static long taken() {
    return THREADS.getThreadAllocatedBytes(Thread.currentThread().getId());
  }
}
