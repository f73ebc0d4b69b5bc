// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

/** Receives the bytes done and the bytes in all. Its exceptions end the work. */
@FunctionalInterface
public interface ByteProgress {
  void update(long done, long total);
}
