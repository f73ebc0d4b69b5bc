// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.FloatBuffer;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Dense;
import org.junit.jupiter.api.Test;

/** Reading and writing elements of tensors. */
final class TensorTest {
  private static final float[] FLOATS = {1, -2, 3.5f, Float.NaN, 1e-40f, 6};
  private static final int[] INTS = {1, -2, Integer.MAX_VALUE, Integer.MIN_VALUE, 0, 6};

  private static final Map<String, Consumer<FloatTensor>> OF_FLOATS =
      Map.of(
          "get", t -> t.get(1, 2),
          "set", t -> t.set(3, 1, 2),
          "copyFrom", t -> t.copyFrom(new float[6]),
          "put", t -> t.put(1, FLOATS, 0, 2),
          "get range", t -> t.get(1, new float[3], 0, 2),
          "fill", t -> t.fill(3),
          "toArray", FloatTensor::toArray,
          "reshape", t -> t.reshape(3, 2),
          "transposeBlocks", t -> t.reshape(1, 1, 2, 3).transposeBlocks());

  private static final Map<String, Consumer<IntTensor>> OF_INTS =
      Map.of(
          "get", t -> t.get(1, 2),
          "set", t -> t.set(3, 1, 2),
          "copyFrom", t -> t.copyFrom(new int[6]),
          "put", t -> t.put(1, INTS, 0, 2),
          "get range", t -> t.get(1, new int[3], 0, 2),
          "toArray", IntTensor::toArray);

  @Test
  void floats() {
    try (FloatTensor tensor = FloatTensor.zeros(2, 3)) {
      assertArrayEquals(new float[6], tensor.toArray());
      tensor.copyFrom(FLOATS);
      assertArrayEquals(FLOATS, tensor.toArray());
      for (int i = 0; i < 6; i++) {
        assertEquals(FLOATS[i], tensor.get(i / 3, i % 3));
      }
      tensor.set(8, 1, 0);
      assertEquals(8, tensor.get(1, 0));
      tensor.put(2, FLOATS, 4, 2);
      assertArrayEquals(new float[] {1, -2, 1e-40f, 6, 1e-40f, 6}, tensor.toArray());
      float[] some = {7, 7, 7, 7};
      tensor.get(0, some, 1, 2);
      assertArrayEquals(new float[] {7, 1, -2, 7}, some);
      tensor.fill(9);
      assertArrayEquals(new float[] {9, 9, 9, 9, 9, 9}, tensor.toArray());
    }
    try (FloatTensor tensor = FloatTensor.of(FLOATS, 3, 2)) {
      assertEquals(Shape.of(3, 2), tensor.shape());
      assertArrayEquals(FLOATS, tensor.toArray());
    }
  }

  @Test
  void integers() {
    try (IntTensor tensor = IntTensor.zeros(2, 3)) {
      assertArrayEquals(new int[6], tensor.toArray());
      tensor.copyFrom(INTS);
      assertArrayEquals(INTS, tensor.toArray());
      for (int i = 0; i < 6; i++) {
        assertEquals(INTS[i], tensor.get(i / 3, i % 3));
      }
      tensor.set(8, 1, 0);
      assertEquals(8, tensor.get(1, 0));
      tensor.put(2, INTS, 4, 2);
      assertArrayEquals(new int[] {1, -2, 0, 6, 0, 6}, tensor.toArray());
      int[] some = {7, 7, 7, 7};
      tensor.get(0, some, 1, 2);
      assertArrayEquals(new int[] {7, 1, -2, 7}, some);
    }
    try (IntTensor tensor = IntTensor.of(INTS, 3, 2)) {
      assertEquals(Shape.of(3, 2), tensor.shape());
      assertArrayEquals(INTS, tensor.toArray());
    }
  }

  @Test
  void viewsShareTheirElements() {
    float[] values = new float[2 * 3 * 4 * 5];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    try (FloatTensor tensor = FloatTensor.of(values, 2, 3, 4, 5);
        FloatTensor flat = tensor.reshape(6, 20);
        FloatTensor turned = tensor.transposeBlocks();
        FloatTensor back = turned.transposeBlocks()) {
      assertEquals(Shape.of(3, 2, 5, 4), turned.shape());
      assertArrayEquals(values, flat.toArray());
      assertArrayEquals(values, back.toArray());
      float[] ofTurned = turned.toArray();
      int at = 0;
      for (int j = 0; j < 3; j++) {
        for (int i = 0; i < 2; i++) {
          for (int q = 0; q < 5; q++) {
            for (int p = 0; p < 4; p++, at++) {
              assertEquals(tensor.get(i, j, p, q), ofTurned[at]);
              assertEquals(tensor.get(i, j, p, q), turned.get(j, i, q, p));
            }
          }
        }
      }
      turned.set(-1, 2, 1, 4, 3);
      assertEquals(-1, tensor.get(1, 2, 3, 4));
      assertEquals(-1, flat.get(5, 19));
      FloatBuffer buffer = flat.asFloatBuffer();
      assertEquals(values.length, buffer.remaining());
      buffer.put(1, -2);
      assertEquals(-2, tensor.get(0, 0, 0, 1));
    }
  }

  /** An operation ends its leases: otherwise the memory would never be freed. */
  @Test
  void whatIsClosedAfterAnOperationIsFreedAtOnce() {
    assertFreed(OF_FLOATS, () -> FloatTensor.of(FLOATS, 2, 3));
    assertFreed(OF_INTS, () -> IntTensor.of(INTS, 2, 3));
  }

  private static <T extends Tensor> void assertFreed(
      Map<String, Consumer<T>> operations, Supplier<T> tensors) {
    operations.forEach(
        (name, operation) -> {
          T tensor = tensors.get();
          Storage storage = Dense.from(tensor).storage();
          operation.accept(tensor);
          assertFalse(storage.isFreed(), name);
          tensor.close();
          assertTrue(storage.isFreed(), name);
        });
  }

  @Test
  void shapesAreTheirDimensions() {
    assertEquals(Shape.of(2, 3), Shape.of(2, 3));
    assertEquals(Shape.of(2, 3).hashCode(), Shape.of(2, 3).hashCode());
    for (Shape other : new Shape[] {Shape.of(3, 2), Shape.of(6), Shape.of(2, 3, 1), Shape.of()}) {
      assertNotEquals(Shape.of(2, 3), other);
      assertNotEquals(Shape.of(2, 3).hashCode(), other.hashCode());
    }
    assertNotEquals(Shape.of(2, 3), "(2, 3)");
    assertEquals("(2, 3)", Shape.of(2, 3).toString());
  }
}
