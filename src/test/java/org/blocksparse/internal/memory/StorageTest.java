// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

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

  @ParameterizedTest
  @ValueSource(longs = {1L << 58, 1L << 59, (1L << 61) - 1})
  void moreThanCanBeAddressedIsNamed(long elements) {
    OutOfMemoryError refused =
        assertThrows(OutOfMemoryError.class, () -> Storage.allocate(elements));
    assertTrue(
        refused.getMessage().startsWith("cannot allocate " + 4 * elements), refused::toString);
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

  @ParameterizedTest
  @CsvSource({
    "0, 4, 0, 4, true",
    "0, 4, 3, 1, true",
    "3, 1, 0, 4, true",
    "0, 4, 4, 4, false",
    "4, 4, 0, 4, false",
    "2, 0, 0, 8, false",
    "0, 8, 2, 0, false"
  })
  void overlapsAreElementsInCommon(long a, long ofA, long b, long ofB, boolean expected) {
    Storage whole = Storage.allocate(8);
    assertEquals(expected, Storage.overlap(whole, a, ofA, whole, b, ofB));
    if (whole.address(0) != 0) {
      // What others have wrapped: from the element on where the second begins.
      Storage wrapped = Storage.wrap("wrapped", whole.address(b), 8 - b, whole);
      assertEquals(expected, Storage.overlap(whole, a, ofA, wrapped, 0, ofB));
      assertEquals(expected, Storage.overlap(wrapped, 0, ofB, whole, a, ofA));
    }
    Storage other = Storage.allocate(8);
    assertFalse(Storage.overlap(whole, a, ofA, other, b, ofB));
    other.close();
    whole.close();
  }

  @Test
  void elementsOfAllSizesAreThoseOfTheSameBytes() {
    Storage storage = Storage.allocate(3);
    ByteBuffer bytes = ByteBuffer.allocate(12).order(ByteOrder.nativeOrder());
    for (int i = 0; i < 12; i++) {
      bytes.put(i, (byte) (-5 * i));
    }
    storage.putBytes(0, bytes.array(), 12);
    for (int i = 0; i < 12; i++) {
      assertEquals(bytes.get(i), storage.getByte(i));
    }
    for (int i = 0; i < 6; i++) {
      assertEquals(bytes.getShort(2 * i), storage.getShort(i));
    }
    int[] ints = new int[4];
    storage.getInts(1, ints, 2, 2);
    for (int i = 0; i < 3; i++) {
      assertEquals(bytes.getInt(4 * i), storage.getInt(i));
      assertEquals(i == 0 ? 0 : bytes.getInt(4 * i), ints[i + 1]);
    }
    byte[] some = new byte[12];
    storage.getBytes(5, some, 6);
    for (int i = 0; i < 12; i++) {
      assertEquals(i < 6 ? bytes.get(5 + i) : 0, some[i]);
    }
    storage.close();
  }
}
