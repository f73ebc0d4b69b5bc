// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

final class PackingTest {
  @Test
  void theClassLevelIsAloneAndLongClassesAreSpread() {
    Packing packing = Packing.of(new long[] {5, 90, 50, 45, 0}, 3);
    assertEquals(3, packing.numPartitions());
    assertEquals(List.of(-1), packing.parts(0));
    assertEquals(List.of(0, 1, 4), packing.parts(1)); // 95 and one class without rows
    assertEquals(List.of(2, 3), packing.parts(2)); // 95
    assertEquals(1, packing.getPartition(new RowKey(1, 77)));
  }

  @Test
  void thereAreNoMorePartitionsThanParts() {
    assertEquals(List.of(-1, 0, 1), Packing.of(new long[] {3, 4}, 1).parts(0));
    Packing most = Packing.of(new long[] {3, 4}, 64);
    assertEquals(3, most.numPartitions());
    assertEquals(List.of(1), most.parts(1));
    assertEquals(List.of(0), most.parts(2));
  }
}
