// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.softmax.Workspace.Use;
import org.junit.jupiter.api.Test;

final class WorkspaceTest {
  private static Workspace.Pool pool() {
    return new Workspace.Pool(GemmSchedule::dense);
  }

  /** Memory freed to make room must not be handed out if there is still no room. */
  @Test
  void memoryThatCannotBeHadLeavesNoFreedMemoryBehind() {
    Workspace.Pool pool = pool();
    try (Workspace workspace = pool.borrow()) {
      Storage first = workspace.get(Use.SLOTS, 100);
      assertThrows(OutOfMemoryError.class, () -> workspace.get(Use.SLOTS, 1L << 50));
      Storage second = workspace.get(Use.SLOTS, 50);
      assertNotSame(first, second);
      assertFalse(second.isClosed(), "freed memory");
    }
    pool.close();
  }

  @Test
  void schedulesAreMadeOnceAndTheOldestIsFreed() {
    Workspace.Pool pool = pool();
    try (Workspace workspace = pool.borrow()) {
      List<Storage> packed = new ArrayList<>();
      for (int rows = 1; rows <= 5; rows++) {
        packed.add(workspace.dense(rows).packed());
        packed.add(workspace.denseOuter(rows).packed());
        packed.add(workspace.grid(rows).packed());
        assertSame(workspace.dense(rows), workspace.dense(rows));
        assertEquals(rows, workspace.dense(rows).rows());
      }
      for (int i = 0; i < packed.size(); i++) {
        assertEquals(i < 3, packed.get(i).isClosed(), "schedule " + i);
      }
    }
    pool.close();
  }

  @Test
  void aClosedPoolFreesWhatIsIdleAndWhatComesBackLater() {
    Workspace.Pool pool = pool();
    Workspace late = pool.borrow();
    Workspace idle = pool.borrow();
    List<Storage> ofIdle = use(idle);
    List<Storage> ofLate = use(late);
    idle.close();
    pool.close();
    ofIdle.forEach(storage -> assertTrue(storage.isClosed()));
    ofLate.forEach(storage -> assertFalse(storage.isClosed(), "in use"));
    late.close();
    ofLate.forEach(storage -> assertTrue(storage.isClosed()));
  }

  /** Many simultaneous calls leave few workspaces behind. */
  @Test
  void idleWorkspacesAreBoundedByProcessors() {
    int most = 2 * Runtime.getRuntime().availableProcessors();
    Workspace.Pool pool = pool();
    List<Workspace> borrowed = new ArrayList<>();
    List<Storage> memory = new ArrayList<>();
    for (int call = 0; call < 5 * most; call++) {
      Workspace workspace = pool.borrow();
      borrowed.add(workspace);
      memory.add(workspace.get(Use.CLASSES, 10));
    }
    borrowed.forEach(Workspace::close);
    assertEquals(most, memory.stream().filter(storage -> !storage.isClosed()).count());
    pool.close();
    memory.forEach(storage -> assertTrue(storage.isClosed()));
  }

  private static List<Storage> use(Workspace workspace) {
    return List.of(
        workspace.get(Use.CLASSES, 10),
        workspace.dense(3).packed(),
        workspace.denseOuter(3).packed(),
        workspace.grid(3).packed());
  }
}
