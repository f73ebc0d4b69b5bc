// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class SoftPoolTest {
  private static final int ROOM = 2 * Runtime.getRuntime().availableProcessors();

  @Test
  void aPoolHasRoomForTwoOfEachProcessor() {
    SoftPool<Integer> pool = new SoftPool<>();
    assertNull(pool.poll());
    Set<Integer> offered = new HashSet<>();
    for (int i = 0; i < ROOM; i++) {
      assertTrue(pool.offer(i));
      offered.add(i);
    }
    assertFalse(pool.offer(-1));
    Set<Integer> polled = new HashSet<>();
    for (int i = 0; i < ROOM; i++) {
      polled.add(pool.poll());
    }
    assertEquals(offered, polled);
    assertNull(pool.poll());
    assertTrue(pool.offer(7));
    assertEquals(7, pool.poll());
  }
}
