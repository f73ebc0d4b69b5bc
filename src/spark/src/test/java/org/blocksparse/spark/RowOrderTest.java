// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class RowOrderTest {
  @Test
  void positionsAreThoseOfHashesAndBatchesAreEvenSharesOfThem() {
    Random random = new Random(1);
    RowOrder order = new RowOrder(3, 1_000_003, true);
    for (int i = 0; i < 10_000; i++) {
      long hash = random.nextLong();
      int epoch = random.nextInt(100);
      long position = order.position(hash, epoch);
      assertEquals(hash, order.hash(position, epoch));
      BigInteger unsigned = new BigInteger(Long.toUnsignedString(position));
      assertEquals(
          unsigned.multiply(BigInteger.valueOf(order.batches())).shiftRight(64).intValueExact(),
          order.batch(position));
    }
    assertEquals(0, order.batch(0));
    assertEquals(order.batches() - 1, order.batch(-1));
  }

  @Test
  void epochsHaveOrdersOfTheirOwnUnlessThatIsNotWanted() {
    RowOrder reshuffled = new RowOrder(3, 10, true);
    assertNotEquals(reshuffled.position(7, 0), reshuffled.position(7, 1));
    assertEquals(4, reshuffled.orders(4));
    RowOrder one = new RowOrder(3, 10, false);
    assertEquals(one.position(7, 0), one.position(7, 1));
    assertEquals(1, one.orders(4));
    assertEquals(0, one.orders(0));
    assertTrue(one.position(7, 0) != new RowOrder(4, 10, false).position(7, 0));
  }
}
