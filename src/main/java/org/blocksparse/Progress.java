// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

/** Receives the progress of reading or writing a file. */
@FunctionalInterface
public interface Progress {
  /**
   * Called on the thread that reads or writes, every few megabytes and at the end. Its exceptions
   * end the work, as if it had not begun.
   *
   * @param done bytes that are done
   * @param total bytes that there are
   */
  void update(long done, long total);
}
