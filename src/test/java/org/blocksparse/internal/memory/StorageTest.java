// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is below all tensors. */
final class StorageTest {
  @ParameterizedTest
  @CsvSource({"0, 0", "0, 1", "3, 4095", "1, 4096", "2, 4097", "5, 20000"})
  void fillSetsWhatItIsToldAndNoMore(long offset, long count) {
    long elements = offset + count + 3;
    Storage storage = Storage.allocate(elements);
    storage.fill(offset, count, 7);
    for (long i = 0; i < elements; i++) {
      assertEquals(i >= offset && i < offset + count ? 7 : 0, storage.getFloat(i), "at " + i);
    }
    storage.close();
  }

  @Test
  void closingTwiceFreesNothingThatIsLeased() {
    long elements = 1 << 26; // 256 MB, none of which is touched: more than others free meanwhile
    long before = Storage.allocatedBytes();
    Storage storage = Storage.allocate(elements);
    assertTrue(storage.acquire());
    storage.close();
    storage.close();
    assertTrue(Storage.allocatedBytes() > before + elements, "it is freed");
    storage.release();
    assertTrue(storage.isFreed());
    assertTrue(Storage.allocatedBytes() < before + elements, "it is not freed");
  }

  @Test
  void aPieceThatCannotBeHadLeavesNoneOfTheOthers() {
    Scratch.freeIdle(); // what other tests have left, which the failure would free
    long before = Storage.allocatedBytes();
    try {
      Storage.allocateAll(1000, 1L << 60);
    } catch (OutOfMemoryError e) {
      assertTrue(Storage.allocatedBytes() <= before);
      return;
    }
    throw new AssertionError("there was enough memory");
  }
}
