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
 */
public record MemoryUse(long mappedBytes, long privateBytes) {
  /** The use of two models. */
  public MemoryUse plus(MemoryUse other) {
    requireNonNull(other, "other");
    return new MemoryUse(mappedBytes + other.mappedBytes, privateBytes + other.privateBytes);
  }
}
