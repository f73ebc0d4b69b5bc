// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.util.Objects;
import java.util.stream.Stream;
import org.blocksparse.internal.memory.Storage;

/**
 * The off-heap memory of a model: parameters, tables and optimizer state, without buffers of calls.
 * A closed model uses none.
 *
 * @param mappedBytes mapped bytes of a file, see {@link LoadOptions#mapped}. They take memory only
 *     after they are read, and all processes that map the file share them. With {@link
 *     LoadOptions#copyOnWrite}, written pages are private to this process, but still count as
 *     mapped
 * @param privateBytes bytes of this process alone
 */
public record MemoryUse(long mappedBytes, long privateBytes) {
  /** The use of some memory; null counts as none. */
  static MemoryUse of(Stream<Storage> memory) {
    return memory
        .filter(Objects::nonNull)
        .filter(storage -> !storage.isClosed())
        .map(
            storage -> {
              long bytes = Float.BYTES * storage.elements();
              return storage.mapping() == null ? new MemoryUse(0, bytes) : new MemoryUse(bytes, 0);
            })
        .reduce(new MemoryUse(0, 0), MemoryUse::plus);
  }

  /** The use of two models. */
  public MemoryUse plus(MemoryUse other) {
    requireNonNull(other, "other");
    return new MemoryUse(mappedBytes + other.mappedBytes, privateBytes + other.privateBytes);
  }
}
