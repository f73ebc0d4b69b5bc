// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.io.UncheckedIOException;
import java.nio.file.Path;

/**
 * The common part of {@link FloatTensor} and {@link IntTensor}: a {@link Shape}, strides, and
 * off-heap memory with a lifetime.
 *
 * <h2>Lifetime</h2>
 *
 * <p>{@link #close} may be called any number of times, from any thread. It never takes memory from
 * an operation that is running: the memory goes when the last one that uses it has ended, and every
 * later use throws {@link IllegalStateException}. A tensor that is never closed is freed when it is
 * garbage.
 *
 * <p>A view ({@link FloatTensor#transposeBlocks}, {@link FloatTensor#reshape}) shares the memory of
 * the tensor it was made from, which it keeps reachable. Closing that tensor closes its views;
 * closing a view closes the view alone.
 *
 * <p>A tensor may be part of a mapped file ({@link
 * org.blocksparse.softmax.HierarchicalSoftmax#load(Path, org.blocksparse.io.LoadOptions)}). It may
 * be read-only then: every attempt to write it throws {@link IllegalStateException}. If the file
 * shrinks, operations that read it throw {@link UncheckedIOException}.
 *
 * <h2>Threads</h2>
 *
 * <p>Any number of threads may read a tensor. Writing one while others read or write it is a race
 * whose outcome is undefined, but it cannot corrupt any other memory.
 */
public sealed interface Tensor extends AutoCloseable permits FloatTensor, IntTensor {
  /** Returns the dimensions. */
  Shape shape();

  /** Returns whether this tensor, or the one that it is a view of, was closed. */
  boolean isClosed();

  /** Closes this tensor; see the class comment. Idempotent. */
  @Override
  void close();
}
