// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal;

import java.util.EnumMap;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * The intermediate results of one call on a two-level softmax. Memory grows to what the largest
 * call needed and is used again by the next one.
 */
public final class Workspace implements AutoCloseable {
  /** What the memory is for. */
  public enum Use {
    /** (batch, classes): logits, probabilities or gradients of the classes. */
    CLASSES,
    /** (rows, slots): the same of the outputs in the opened class of each row. */
    SLOTS,
    /** (batch): loss of the class. */
    CLASS_LOSS,
    /** (batch): loss within the class. */
    SLOT_LOSS,
    /** (batch): weight of each row in the loss. */
    WEIGHTS,
    /** (batch) integers: the class of each target. */
    CLASS_TARGETS,
    /** (batch) integers: the slot of each target. */
    SLOT_TARGETS,
    /** (features, classes): gradient with respect to W1. */
    GRAD_W1,
    /** (classes): gradient with respect to b1. */
    GRAD_B1,
    /** (rows): factor or summand of each row's softmax. */
    SCALE
  }

  /** Workspaces that wait for the next call; one for each that ran at the same time. */
  public static final class Pool {
    private final Queue<Workspace> idle = new ConcurrentLinkedQueue<>();
    private volatile boolean closed;

    /** A workspace for one call, which closes it. */
    public Workspace borrow() {
      Workspace workspace = idle.poll();
      return workspace != null ? workspace : new Workspace(this);
    }

    private void giveBack(Workspace workspace) {
      idle.add(workspace);
      if (closed) {
        close();
      }
    }

    /** Frees what is idle now, and what is given back later. */
    public void close() {
      closed = true;
      for (Workspace workspace = idle.poll(); workspace != null; workspace = idle.poll()) {
        workspace.memory.values().forEach(Storage::close);
      }
    }
  }

  private final Pool pool;
  private final Map<Use, Storage> memory = new EnumMap<>(Use.class);

  private Workspace(Pool pool) {
    this.pool = pool;
  }

  /** Memory of at least the given size, whose content is undefined. */
  public Storage get(Use use, long elements) {
    Storage storage = memory.get(use);
    if (storage == null || storage.elements() < elements) {
      if (storage != null) {
        storage.close();
      }
      storage = Storage.allocate(elements);
      memory.put(use, storage);
    }
    return storage;
  }

  /** Gives the workspace back to its pool. */
  @Override
  public void close() {
    pool.giveBack(this);
  }
}
