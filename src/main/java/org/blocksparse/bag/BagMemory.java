// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import java.util.stream.Stream;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.sparse.TableRows;
import org.blocksparse.internal.training.BagTable;
import org.blocksparse.internal.training.BlockedTensor;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.weights.ReadOnlyWeights;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * The memory of an embedding bag.
 *
 * @param state the optimizer state of the table
 */
record BagMemory(BagTable table, LayerState state) implements AutoCloseable {
  /** The position of the table in the optimizer state. */
  public static final int TABLE = 0;

  /** Creates a bag without optimizer state. */
  public BagMemory(BagTable table) {
    this(
        table,
        new LayerState(
            "layer", new BlockedTensor(table.rows().storage(), count(table.rows()), true)));
  }

  private static int count(TableRows rows) {
    return (int) rows.count();
  }

  /** Fills the table, uniform in [-1, 1] / features; frees the memory if that fails. */
  public void draw(long seed) {
    try {
      table.draw(seed, 1f / table.features());
    } catch (Throwable e) {
      close();
      throw e;
    }
  }

  private StoredWeights stored() {
    return new StoredWeights(type(), table.rows().storage(), table.rows().scales());
  }

  /** Returns a copy with its optimizer state; this is leased by the caller. */
  public BagMemory copy() {
    BagMemory copy = copy(type());
    try (LayerState.Kept kept = state.hold()) {
      copy.state.copyFrom(kept);
      return copy;
    } catch (Throwable e) {
      copy.close();
      throw e;
    }
  }

  /**
   * Returns a copy with a table of a type, without optimizer state; this is leased by the caller.
   *
   * @throws IllegalArgumentException if an element is not finite, or too large for the type
   * @throws IllegalStateException if the table would be rounded that has been rounded before
   */
  public BagMemory copy(WeightType type) {
    if (type != type() && isReadOnly() && type != WeightType.FLOAT32) {
      throw ReadOnlyWeights.roundedAlready(type(), type);
    }
    int features = table.features();
    // Each row is a block of one column, which has a scale of its own.
    StoredWeights copy =
        stored().as("table", type, vocabulary(), features, 1, table.engine().scheduler());
    try {
      TableRows rows =
          new TableRows(copy.elements(), 0, vocabulary(), features, type, copy.scales());
      return new BagMemory(new BagTable(table.engine(), rows, features, table.reduction()));
    } catch (Throwable e) {
      copy.close();
      throw e;
    }
  }

  /**
   * Returns a copy with more rows, which have no optimizer state yet.
   *
   * @param n how many, at least 1
   * @param values the new rows, leased by the caller; null: zeros
   * @throws IllegalArgumentException if there would be too many to count
   * @throws IllegalStateException if the table is of a type that is only read
   */
  public BagMemory grown(int n, Rows values) {
    if (isReadOnly()) {
      throw ReadOnlyWeights.notTrained("growth", type());
    }
    int before = vocabulary();
    if (n > GrowingArrays.MAX_LENGTH - before) {
      throw new IllegalArgumentException(
          "n: " + before + " rows and " + n + " more are more than 2^31 - 9");
    }
    int features = table.features();
    BagMemory grown = null;
    try (StorageLease lease = lease(new StorageLease());
        LayerState.Kept kept = state.hold()) {
      Storage elements = Storage.allocate((long) (before + n) * features);
      grown = withTable(new Rows(elements, before + n, features));
      elements.copyFrom(table.rows().storage());
      float[] row = new float[features];
      for (int r = 0; values != null && r < n; r++) {
        values.get(r, 0, row);
        elements.putFloats((long) (before + r) * features, row, 0, features);
      }
      grown.state.reset(kept.kind());
      for (int moment = 0; moment < kept.kind().moments(); moment++) {
        grown.state.of(TABLE).moment(moment).copyFrom(kept.of(TABLE).moment(moment));
      }
      int[] steps = kept.of(TABLE).steps();
      int[] grownSteps = new int[before + n];
      System.arraycopy(steps, 0, grownSteps, 0, steps.length);
      grown.state.of(TABLE).restoreSteps(grownSteps);
      lease.requireIntact();
      return grown;
    } catch (Throwable e) {
      if (grown != null) {
        grown.close();
      }
      throw e;
    }
  }

  /**
   * Returns this bag with another table of floats, which becomes its own, and without optimizer
   * state.
   */
  private BagMemory withTable(Rows rows) {
    try {
      return new BagMemory(
          new BagTable(table.engine(), new TableRows(rows), table.features(), table.reduction()));
    } catch (Throwable e) {
      rows.storage().close();
      throw e;
    }
  }

  /** Returns the bytes of the table. */
  public long bytes() {
    return stored().bytes(vocabulary(), table.features(), 1);
  }

  /** Returns all memory of the bag; null stands for none. */
  public Stream<Storage> storages() {
    return Stream.concat(Stream.of(table.rows().storage(), table.rows().scales()), state.memory());
  }

  /** Begins a step of training. */
  public LayerState.Step begin(Optimizer rule) {
    return state.begin(rule, table.engine().kernels());
  }

  /** Returns the number of rows of the table. */
  public int vocabulary() {
    return count(table.rows());
  }

  /** Returns the type of the stored table. */
  public WeightType type() {
    return table.rows().type();
  }

  /** Returns whether the table is of a type that is only read. */
  public boolean isReadOnly() {
    return type() != WeightType.FLOAT32;
  }

  /**
   * Adds the table to a lease.
   *
   * @throws IllegalStateException if it is closed; what was added before is released then
   */
  public <L extends StorageLease> L lease(L lease) {
    if (!lease.tryHold(table.rows().storage()) || !lease.tryHold(table.rows().scales())) {
      lease.close();
      throw new IllegalStateException("layer: the layer is closed");
    }
    return lease;
  }

  @Override
  public void close() {
    table.rows().storage().close();
    if (table.rows().scales() != null) {
      table.rows().scales().close();
    }
    state.close();
  }
}
