// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.util.ArrayList;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.softmax.Parameter;

/** Keeps the memory of an operation's operands from going while the operation runs. */
final class Lease implements AutoCloseable {
  private final ArrayList<Storage> held = new ArrayList<>(8);

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

  /**
   * Adds weights that are only read; null is allowed and does nothing.
   *
   * @throws IllegalStateException if they are closed; what was added before is released then
   */
  Lease of(String name, Weights weights) {
    if (weights != null) {
      try {
        hold(name, weights, weights.elements());
        if (weights.scales() != null) {
          hold(name, weights, weights.scales());
        }
      } catch (Throwable e) {
        close();
        throw e;
      }
    }
    return this;
  }

  private void hold(String name, Weights weights, Storage storage) {
    if (!tryHold(storage)) {
      throw new IllegalStateException(name + ": the weights " + weights.shape() + " are closed");
    }
  }

  /**
   * Adds a tensor that the operation writes; null is allowed and does nothing. All of them are
   * added before the first is written.
   *
   * @throws IllegalStateException if it is closed, or mapped read-only from a file; what was added
   *     before is released then
   */
  Lease writing(String name, Tensor tensor) {
    of(name, tensor);
    if (tensor != null) {
      try {
        tensor.requireWritable(name);
      } catch (Throwable e) {
        close();
        throw e;
      }
    }
    return this;
  }

  /** Adds all of them, by their own names, to be read. */
  Lease of(SoftmaxParameters parameters) {
    for (Parameter parameter : Parameter.values()) {
      of(parameter.label(), parameters.of(parameter));
    }
    SoftmaxWeights narrow = parameters.narrow();
    return narrow == null ? this : of("W1", narrow.W1()).of("W2", narrow.W2());
  }

  /** Adds all of them, by their own names, to be written. */
  Lease writing(SoftmaxParameters parameters) {
    for (Parameter parameter : Parameter.values()) {
      writing(parameter.label(), parameters.of(parameter));
    }
    return this;
  }

  /**
   * Adds memory, if it is not closed; null is allowed and does nothing. If the heap is full, what
   * was added before is released.
   *
   * @return false if it is closed; what was added before is still held
   */
  boolean tryHold(Storage storage) {
    if (storage == null) {
      return true;
    }
    try {
      held.ensureCapacity(held.size() + 1); // what is acquired below is held for certain
    } catch (Throwable e) {
      close();
      throw e;
    }
    return storage.acquire() && held.add(storage);
  }

  /**
   * What was read of all of them is what was once in their files, if there are any.
   *
   * @throws java.io.UncheckedIOException if a file has shrunk meanwhile
   */
  void requireIntact() {
    held.forEach(Tensor::requireIntact);
  }

  /**
   * Ends all leases.
   *
   * @throws java.io.UncheckedIOException if an operand was part of a file that has shrunk
   */
  @Override
  public void close() {
    try {
      requireIntact();
    } finally {
      held.forEach(Storage::release);
      held.clear();
    }
  }
}
