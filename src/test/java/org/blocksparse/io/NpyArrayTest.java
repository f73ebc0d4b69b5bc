// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.io.NpyArray.Kind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Arrays of NumPy as streams of bytes. */
final class NpyArrayTest {
  /**
   * Returns an array of version 2.0, with a header of that many spaces, and elements of zero bytes.
   */
  private static byte[] array(String type, int count, int spaces, int dataBytes) {
    return array(
        "{'descr': '"
            + type
            + "', 'fortran_order': False, 'shape': ("
            + count
            + ",), }"
            + " ".repeat(spaces),
        dataBytes);
  }

  private static byte[] array(String text, int dataBytes) {
    ByteBuffer bytes =
        ByteBuffer.allocate(12 + text.length() + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    bytes.put((byte) 0x93).put("NUMPY".getBytes(ISO_8859_1)).put((byte) 2).put((byte) 0);
    return bytes.putInt(text.length()).put(text.getBytes(ISO_8859_1)).array();
  }

  private static NpyArray read(byte[] array, Kind kind) throws IOException {
    return NpyArray.read(new ByteArrayInputStream(array), "a", kind, claimed -> {});
  }

  private static String refused(byte[] array, Kind kind) {
    long before = Storage.allocatedBytes();
    MalformedException refused = assertThrows(MalformedException.class, () -> read(array, kind));
    assertTrue(Storage.allocatedBytes() <= before, "memory stays");
    return refused.getMessage();
  }

  @ParameterizedTest
  @CsvSource({
    "<i4, FLOATS, float32 or float64 but was int32",
    ">i8, FLOATS, float32 or float64 but was int64",
    "<f4, INTS, int32 or int64 but was float32",
    "=f8, INTS, int32 or int64 but was float64",
  })
  void anotherTypeIsTold(String type, Kind kind, String told) {
    assertEquals("a: expected " + told, refused(array(type, 3, 0, 24), kind));
  }

  @ParameterizedTest
  @CsvSource({"<f4, 5, 19, 4", "<f8, 5, 39, 4", "<f4, 5, 0, 0", "<f8, 1000000, 7999992, 999999"})
  void elementsThatAreMissingAreTold(String type, int count, int dataBytes, int first) {
    assertEquals(
        "a: ends before element " + first + " of " + count,
        refused(array(type, count, 0, dataBytes), Kind.FLOATS));
  }

  /** Python's literals may have these forms, and writers other than NumPy use them. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (1,)}",
        "{\"descr\":'<f4','shape':(1,),\"fortran_order\":True,}",
      })
  void bothKindsOfQuotes(String text) throws IOException {
    NpyArray read = read(array(text, 4), Kind.FLOATS);
    assertEquals(0, read.storage().getFloat(0));
    read.storage().close();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4\", 'fortran_order': False, 'shape': (1,)}",
        "{'descr': \"<f4, 'fortran_order': False, 'shape': (1,)}",
        "{descr: '<f4', 'fortran_order': False, 'shape': (1,)}",
      })
  void quotesThatAreNoPairAreRefused(String text) {
    assertEquals(
        "a: has a header that is no dictionary: " + text, refused(array(text, 4), Kind.FLOATS));
  }

  @Test
  void whatComesAfterTheElementsIsRefused() {
    assertEquals("a: goes on after its 2 elements", refused(array("<f4", 2, 0, 9), Kind.FLOATS));
  }

  /** A header has at most 10,000 bytes. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void headersOfTheGreatestLength(int more) throws IOException {
    int text = array("<f4", 1, 0, 0).length - 12;
    byte[] array = array("<f4", 1, 10_000 - text + more, 4);
    if (more == 0) {
      NpyArray read = read(array, Kind.FLOATS);
      assertEquals(0, read.storage().getFloat(0));
      read.storage().close();
    } else {
      assertEquals("a: has a header of 10001 bytes, more than 10000", refused(array, Kind.FLOATS));
    }
  }
}
