// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.util.ArrayList;
import java.util.List;

/** Keeps the memory of an operation's operands alive while the operation runs. */
public class StorageLease implements AutoCloseable {
  private final List<Storage> held = new ArrayList<>(8);

  /** Memory that must stay, but is not read. */
  private final List<Storage> unread = new ArrayList<>(0);

  /**
   * Adds memory, if it is not closed; null is allowed and does nothing.
   *
   * @return false if it is closed; what was added before is still held
   */
  public final boolean tryHold(Storage storage) {
    return storage == null || (storage.acquire() && held.add(storage));
  }

  /** Holds memory as {@link #tryHold} does, but memory that the operation does not read. */
  protected final boolean tryHoldUnread(Storage storage) {
    return storage.acquire() && unread.add(storage);
  }

  /**
   * Adds memory; null is allowed and does nothing.
   *
   * @param name the name of the operand, for messages
   * @param refusal the message if it is closed, with %s for the shape: {@code "the tensor %s is
   *     closed"}
   * @throws IllegalStateException if it is closed; what was added before is released then
   */
  public final void hold(String name, Storage storage, String refusal, Object shape) {
    if (!tryHold(storage)) {
      close();
      throw new IllegalStateException(name + ": " + refusal.replace("%s", shape.toString()));
    }
  }

  /**
   * Requires that memory may be written, before the first operand is.
   *
   * @throws IllegalStateException if it is mapped read-only from a file; what was added before is
   *     released then
   */
  public final void requireWritable(String name, Storage storage, Object shape) {
    try {
      storage.requireWritable(name, shape);
    } catch (IllegalStateException e) {
      close();
      throw e;
    }
  }

  /**
   * Checks that the bytes read of all of them were in their files, if there are any.
   *
   * @throws java.io.UncheckedIOException if a file has shrunk meanwhile
   */
  public final void requireIntact() {
    held.forEach(Storage::requireIntact);
  }

  /**
   * Ends all leases.
   *
   * @throws java.io.UncheckedIOException if an operand was part of a file that has shrunk
   */
  @Override
  public final void close() {
    try {
      requireIntact();
    } finally {
      held.forEach(Storage::release);
      held.clear();
      unread.forEach(Storage::release);
      unread.clear();
    }
  }
}
