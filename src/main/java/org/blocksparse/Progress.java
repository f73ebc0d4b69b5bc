// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

/**
 * Receives the progress of reading or writing a file, or of training a {@link
 * org.blocksparse.linear.LinearLabelTree}.
 */
@FunctionalInterface
public interface Progress {
  /**
   * Called with a file on the thread that reads or writes, every few megabytes and at the end; in
   * training on the threads that train, one at a time. Its exceptions end the work, as if it had
   * not begun.
   *
   * @param done bytes, or units of work, that are done
   * @param total bytes, or units of work, that there are
   */
  void update(long done, long total);
}
