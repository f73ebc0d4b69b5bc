// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.blocksparse.internal.binding.NativeLibrary;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The storage below all tensors. */
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
    Scratch.freeIdle(); // frees what other tests have left, which the failure would free
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
      // Memory wrapped by another owner, from the element on where the second begins.
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

  /** Java sees memory through buffers of 2^28 elements of four bytes. */
  private static final long MEET = 1L << 28;

  /** The tensor reserves address space; physical memory is used only where it is written. */
  @Test
  void whereTwoBuffersMeet() {
    assumeTrue(NativeLibrary.isLoaded(), "direct buffers are limited to the size of the heap");
    Storage storage = Storage.allocate(MEET + 10_000);
    float[] floats = {1, 2, 3, 4, 5, 6, 7};
    storage.putFloats(MEET - 3, floats, 1, 6);
    float[] gotten = new float[9];
    storage.getFloats(MEET - 3, gotten, 2, 6);
    assertArrayEquals(new float[] {0, 0, 2, 3, 4, 5, 6, 7, 0}, gotten);
    for (int i = 0; i < 6; i++) {
      assertEquals(floats[i + 1], storage.getFloat(MEET - 3 + i));
    }
    int[] ints = {11, 12, 13, 14, 15};
    storage.putInts(MEET - 2, ints, 0, 5);
    assertEquals(13, storage.getInt(MEET));
    int[] read = new int[5];
    storage.getInts(MEET - 2, read, 0, 5);
    assertArrayEquals(ints, read);
    byte[] bytes = {-1, -2, -3, -4, -5, -6, -7};
    storage.putBytes(4 * MEET - 3, bytes, 7);
    byte[] back = new byte[7];
    storage.getBytes(4 * MEET - 3, back, 7);
    assertArrayEquals(bytes, back);
    for (int i = 0; i < 7; i++) {
      assertEquals(bytes[i], storage.getByte(4 * MEET - 3 + i));
    }
    storage.putInt(MEET - 1, 0x20001);
    storage.putInt(MEET, 0x40003);
    int[] shorts = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++) { // from the end if the destination is higher
      int expected = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN ? i : i ^ 1;
      assertEquals(shorts[expected], storage.getShort(2 * MEET - 2 + i));
    }
    storage.close();
  }

  @ParameterizedTest
  @CsvSource({"-5000, 10000", "-4096, 4096", "-4096, 4097", "-1, 3", "-3, 6000", "0, 5000"})
  void fillGoesOnWhereTwoBuffersMeet(long offset, long count) {
    assumeTrue(NativeLibrary.isLoaded(), "direct buffers are limited to the size of the heap");
    Storage storage = Storage.allocate(MEET + 10_000);
    storage.fill(MEET + offset, count, 7);
    for (long i = offset - 2; i < offset + count + 2; i++) {
      assertEquals(i >= offset && i < offset + count ? 7 : 0, storage.getFloat(MEET + i), "" + i);
    }
    storage.close();
  }

  @Test
  void wrappedMemoryOfTwoBuffers() {
    assumeTrue(NativeLibrary.isLoaded(), "there is no address");
    Storage storage = Storage.allocate(MEET + 3);
    storage.putFloat(MEET - 1, 5);
    storage.putFloat(MEET, 6);
    storage.putFloat(MEET + 2, 7);
    Storage wrapped = Storage.wrap("wrapped", storage.address(0), MEET + 3, storage);
    assertEquals(MEET + 3, wrapped.elements());
    assertEquals(5, wrapped.getFloat(MEET - 1));
    assertEquals(6, wrapped.getFloat(MEET));
    assertEquals(7, wrapped.getFloat(MEET + 2));
    assertThrows(IndexOutOfBoundsException.class, () -> wrapped.getFloat(MEET + 3));
    storage.close();
  }

  @Test
  void copiesAreOfAllElements() {
    Storage from = Storage.allocate(5);
    Storage to = Storage.allocate(5);
    for (int i = 0; i < 5; i++) {
      from.putFloat(i, i + 1);
    }
    to.copyFrom(from);
    to.copyFrom(from); // the positions are unchanged
    for (int i = 0; i < 5; i++) {
      assertEquals(i + 1, to.getFloat(i));
    }
    from.close();
    to.close();
  }

  @Test
  void whatIsLeasedIsNotFreedBeforeItIsReleased() {
    Storage storage = Storage.allocate(1);
    assertTrue(storage.acquire());
    assertFalse(storage.isClosed());
    assertFalse(storage.isFreed());
    storage.close();
    assertTrue(storage.isClosed());
    assertFalse(storage.isFreed());
    assertFalse(storage.acquire());
    storage.release();
    assertTrue(storage.isFreed());
  }

  @Test
  void exportedMemoryStaysUntilItsBufferIsGarbage() {
    Storage storage = Storage.allocate(4);
    storage.putFloat(3, 9);
    ByteBuffer buffer = storage.export(4);
    assertEquals(16, buffer.remaining());
    storage.close();
    assertEquals(9, buffer.getFloat(12));
    assertEquals(storage.address(0) == 0, storage.isFreed());
    Reference.reachabilityFence(buffer);
  }
}
