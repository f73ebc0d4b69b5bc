// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.ArrayList;
import org.blocksparse.internal.memory.StackRoom;
import org.blocksparse.internal.memory.Storage;

/** Keeps the memory of an operation's operands from going while the operation runs. */
final class Lease implements AutoCloseable {
  private final ArrayList<Storage> held = new ArrayList<>(8);

  Lease() {
    StackRoom.require();
  }

  /**
   * Adds a tensor; null is allowed and does nothing.
   *
   * @throws IllegalStateException if it is closed; what was added before is released then
   */
  Lease of(String name, Tensor tensor) {
    if (tensor != null) {
      try {
        held.ensureCapacity(held.size() + 1); // what is acquired below is held for certain
        tensor.acquire(name);
        held.add(tensor.storage());
      } catch (Throwable e) { // a full heap as well
        close();
        throw e;
      }
    }
    return this;
  }

  /** Adds all of them, by their own names; as above. */
  Lease of(SoftmaxParameters parameters) {
    return of("W1", parameters.W1())
        .of("b1", parameters.b1())
        .of("W2", parameters.W2())
        .of("b2", parameters.b2());
  }

  /** Takes over a lease that the caller has taken. */
  void adopt(Storage storage) {
    held.add(storage);
  }

  /**
   * Ends all leases.
   *
   * @throws java.io.UncheckedIOException if an operand was part of a file that has shrunk
   */
  @Override
  public void close() {
    try {
      held.forEach(Tensor::requireIntact);
    } finally {
      held.forEach(Storage::release);
      held.clear();
    }
  }
}
