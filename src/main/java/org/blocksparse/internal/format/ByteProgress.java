// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.format;

/** Is told how many bytes of how many are done. What it throws ends the work. */
@FunctionalInterface
public interface ByteProgress {
  void update(long done, long total);
}
