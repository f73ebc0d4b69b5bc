// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

/**
 * The off-heap memory of a model: parameters, tables and optimizer state, without buffers of calls.
 * A closed model uses none.
 *
 * @param mappedBytes mapped bytes of a file, see {@link org.blocksparse.io.LoadOptions#mapped}.
 *     They take memory only after they are read, and all processes that map the file share them.
 *     With {@link org.blocksparse.io.LoadOptions#copyOnWrite}, written pages are private to this
 *     process, but still count as mapped
 * @param privateBytes bytes of this process alone
 * @param hits experts that a call found in an {@link org.blocksparse.experts.ExpertCache}
 * @param misses experts that a call had to read
 * @param bytesRead bytes of weights that were read for such calls
 */
public record MemoryUse(
    long mappedBytes, long privateBytes, long hits, long misses, long bytesRead) {
  /** Creates the use of a model without a cache. */
  public MemoryUse(long mappedBytes, long privateBytes) {
    this(mappedBytes, privateBytes, 0, 0, 0);
  }

  /** Returns the sum of the uses of two models. */
  public MemoryUse plus(MemoryUse other) {
    requireNonNull(other, "other");
    return new MemoryUse(
        mappedBytes + other.mappedBytes,
        privateBytes + other.privateBytes,
        hits + other.hits,
        misses + other.misses,
        bytesRead + other.bytesRead);
  }
}
