// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.blocksparse.testing.InvalidInput;
import org.bytedeco.javacpp.FloatPointer;

/** Arguments that {@link Shape}, {@link FloatTensor} and {@link IntTensor} reject. */
final class InvalidTensorInputTest extends InvalidInput {
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addShapes(cases);
    addTensors(cases);
    addWraps(cases);
    addAddresses(cases);
    return cases.stream();
  }

  private static void addShapes(List<Case> cases) {
    add(cases, "Shape.of(null)", NULL, "dims", w -> Shape.of((long[]) null));
    for (int axis = 0; axis < 3; axis++) {
      long[] dims = {2, 3, 4};
      dims[axis] = -1;
      String message =
          "shape: dimension "
              + axis
              + " of "
              + Arrays.toString(dims).replace('[', '(').replace(']', ')')
              + " is negative";
      add(cases, "Shape.of " + axis, ARGUMENT, message, w -> Shape.of(dims));
      add(cases, "FloatTensor.zeros " + axis, ARGUMENT, message, w -> FloatTensor.zeros(dims));
      add(cases, "IntTensor.zeros " + axis, ARGUMENT, message, w -> IntTensor.zeros(dims));
      add(cases, "reshape " + axis, ARGUMENT, message, w -> w.f("t").reshape(dims));
    }
    long[][] tooLarge = {
      {1L << 61},
      {1L << 31, 1L << 31},
      {Long.MAX_VALUE, 2},
      {3, Long.MAX_VALUE / 2, 1},
      {1L << 32, 1L << 32, 1L << 32}
    };
    for (long[] dims : tooLarge) {
      String shape = Arrays.toString(dims).replace('[', '(').replace(']', ')');
      String message = "shape: " + shape + " has too many elements";
      add(cases, "Shape.of" + shape, ARGUMENT, message, w -> Shape.of(dims));
      add(cases, "FloatTensor.zeros" + shape, ARGUMENT, message, w -> FloatTensor.zeros(dims));
      add(cases, "IntTensor.zeros" + shape, ARGUMENT, message, w -> IntTensor.zeros(dims));
    }
    for (int axis : new int[] {-1, 2}) {
      add(
          cases,
          "Shape.dim " + axis,
          BOUNDS,
          "axis: " + axis + " is outside [0, rank = 2)",
          w -> Shape.of(2, 3).dim(axis));
    }
  }

  private static void addTensors(List<Case> cases) {
    add(cases, "zeros(null)", NULL, "dims", w -> FloatTensor.zeros((long[]) null));
    add(cases, "zeros((Shape) null)", NULL, "shape", w -> FloatTensor.zeros((Shape) null));
    add(cases, "of(null)", NULL, "values", w -> FloatTensor.of(null, 2));
    add(cases, "IntTensor.of(null)", NULL, "values", w -> IntTensor.of(null, 2));
    String length = "values: expected 6 elements but was 5";
    add(cases, "of length", ARGUMENT, length, w -> FloatTensor.of(new float[5], 2, 3));
    add(cases, "IntTensor.of length", ARGUMENT, length, w -> IntTensor.of(new int[5], 2, 3));
    add(cases, "copyFrom length", ARGUMENT, length, w -> w.f("t").copyFrom(new float[5]));
    add(cases, "ints copyFrom length", ARGUMENT, length, w -> w.i("ints").copyFrom(new int[5]));
    add(cases, "copyFrom null", NULL, "values", w -> w.f("t").copyFrom(null));
    add(cases, "ints copyFrom null", NULL, "values", w -> w.i("ints").copyFrom(null));
    add(cases, "put null", NULL, "values", w -> w.f("t").put(0, null, 0, 1));
    add(cases, "get null", NULL, "values", w -> w.f("t").get(0, null, 0, 1));
    add(cases, "get index null", NULL, "index", w -> w.f("t").get((long[]) null));
    add(cases, "ints get index null", NULL, "index", w -> w.i("ints").get((long[]) null));
    long[][] wrongRank = {{}, {1}, {1, 1, 1}};
    for (long[] index : wrongRank) {
      String message = "index: expected 2 indices for shape (2, 3) but got " + index.length;
      add(cases, "get rank " + index.length, ARGUMENT, message, w -> w.f("t").get(index));
      add(cases, "set rank " + index.length, ARGUMENT, message, w -> w.f("t").set(9, index));
      add(cases, "ints get rank " + index.length, ARGUMENT, message, w -> w.i("ints").get(index));
      add(
          cases,
          "ints set rank " + index.length,
          ARGUMENT,
          message,
          w -> w.i("ints").set(9, index));
    }
    long[] dims = {2, 3};
    for (int axis = 0; axis < 2; axis++) {
      for (long value : new long[] {-1, dims[axis], Long.MAX_VALUE, Long.MIN_VALUE}) {
        long[] index = {0, 0};
        index[axis] = value;
        String message = "index[" + axis + "] = " + value + " is outside [0, " + dims[axis] + ")";
        String name = " " + axis + " " + value;
        add(cases, "get" + name, BOUNDS, message, w -> w.f("t").get(index));
        add(cases, "set" + name, BOUNDS, message, w -> w.f("t").set(9, index));
        add(cases, "ints get" + name, BOUNDS, message, w -> w.i("ints").get(index));
        add(cases, "ints set" + name, BOUNDS, message, w -> w.i("ints").set(9, index));
      }
    }
    Object[][] ranges = {
      {-1L, 0, 1, "offset = -1, length = 1: outside [0, elements = 6)"},
      {6L, 0, 1, "offset = 6, length = 1: outside [0, elements = 6)"},
      {5L, 0, 2, "offset = 5, length = 2: outside [0, elements = 6)"},
      {Long.MAX_VALUE, 0, 1, "offset = 9223372036854775807, length = 1: outside [0, elements = 6)"},
      {0L, -1, 1, "start = -1, length = 1: outside [0, array length = 4)"},
      {0L, 4, 1, "start = 4, length = 1: outside [0, array length = 4)"},
      {0L, 0, -1, "start = 0, length = -1: outside [0, array length = 4)"},
      {0L, 1, Integer.MAX_VALUE, "start = 1, length = 2147483647: outside [0, array length = 4)"}
    };
    for (Object[] range : ranges) {
      long offset = (long) range[0];
      int start = (int) range[1];
      int size = (int) range[2];
      String message = (String) range[3];
      String name = " " + offset + ", " + start + ", " + size;
      add(
          cases,
          "put" + name,
          BOUNDS,
          message,
          w -> w.f("t").put(offset, new float[4], start, size));
      add(
          cases,
          "get" + name,
          BOUNDS,
          message,
          w -> w.f("t").get(offset, new float[4], start, size));
      add(
          cases,
          "ints put" + name,
          BOUNDS,
          message,
          w -> w.i("ints").put(offset, new int[4], start, size));
      add(
          cases,
          "ints get" + name,
          BOUNDS,
          message,
          w -> w.i("ints").get(offset, new int[4], start, size));
    }
    Map<String, Consumer<FloatTensor>> contiguousOnly =
        new TreeMap<>(
            Map.of(
                "copyFrom", t -> t.copyFrom(new float[120]),
                "put", t -> t.put(0, new float[1], 0, 1),
                "get", t -> t.get(0, new float[1], 0, 1),
                "fill", t -> t.fill(1),
                "asByteBuffer", FloatTensor::asByteBuffer,
                "reshape", t -> t.reshape(120)));
    contiguousOnly.forEach(
        (method, call) ->
            add(
                cases,
                method + " of a transposed view",
                ARGUMENT,
                method + ": expected a contiguous tensor but (3, 2, 5, 4) is a transposed view",
                w -> call.accept(w.f("view"))));
    Map<String, Consumer<FloatTensor>> ofMatrix =
        new TreeMap<>(
            Map.of(
                "copyFrom", t -> t.copyFrom(new float[6]),
                "put", t -> t.put(0, new float[1], 0, 1),
                "get range", t -> t.get(0, new float[1], 0, 1),
                "get", t -> t.get(0, 0),
                "set", t -> t.set(1, 0, 0),
                "fill", t -> t.fill(1),
                "asByteBuffer", FloatTensor::asByteBuffer,
                "asFloatBuffer", FloatTensor::asFloatBuffer,
                "toArray", FloatTensor::toArray,
                "reshape", t -> t.reshape(6)));
    ofMatrix.forEach(
        (method, call) ->
            add(
                cases,
                method + " of a closed tensor",
                STATE,
                "tensor: the tensor (2, 3) is closed",
                w -> call.accept(w.f("closed"))));
    Map<String, Consumer<IntTensor>> ofInts =
        new TreeMap<>(
            Map.of(
                "copyFrom", t -> t.copyFrom(new int[6]),
                "put", t -> t.put(0, new int[1], 0, 1),
                "get range", t -> t.get(0, new int[1], 0, 1),
                "get", t -> t.get(0, 0),
                "set", t -> t.set(1, 0, 0),
                "toArray", IntTensor::toArray));
    ofInts.forEach(
        (method, call) ->
            add(
                cases,
                "ints " + method + " of a closed tensor",
                STATE,
                "tensor: the tensor (2, 3) is closed",
                w -> call.accept(w.i("closedInts"))));
    add(
        cases,
        "transposeBlocks of a closed tensor",
        STATE,
        "tensor: the tensor (2, 3, 4, 5) is closed",
        w -> w.f("closedBlocks").transposeBlocks());
    add(
        cases,
        "transposeBlocks rank",
        ARGUMENT,
        "transposeBlocks: expected (iBlocks, oBlocks, iSize, oSize) but was (2, 3)",
        w -> w.f("t").transposeBlocks());
    add(
        cases,
        "reshape size",
        ARGUMENT,
        "reshape: expected 6 elements but was 8",
        w -> w.f("t").reshape(2, 4));
  }

  private static void addWraps(List<Case> cases) {
    String expected = "buffer: expected a direct, writable buffer in native byte order but was";
    ByteOrder foreign =
        ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN
            ? ByteOrder.BIG_ENDIAN
            : ByteOrder.LITTLE_ENDIAN;
    ByteBuffer direct = ByteBuffer.allocateDirect(28).order(ByteOrder.nativeOrder());
    add(cases, "wrap(null)", NULL, "buffer", w -> FloatTensor.wrap((FloatBuffer) null, 1));
    add(cases, "wrap bytes null", NULL, "buffer", w -> FloatTensor.wrap((ByteBuffer) null, 1));
    add(cases, "wrap pointer null", NULL, "pointer", w -> FloatTensor.wrap((FloatPointer) null, 1));
    add(
        cases,
        "wrap heap",
        ARGUMENT,
        expected + " on the heap",
        w -> FloatTensor.wrap(FloatBuffer.allocate(6), 2, 3));
    add(
        cases,
        "wrap read-only",
        ARGUMENT,
        expected + " read-only",
        w -> FloatTensor.wrap(direct.asFloatBuffer().asReadOnlyBuffer(), 7));
    add(
        cases,
        "wrap bytes read-only",
        ARGUMENT,
        expected + " read-only",
        w -> FloatTensor.wrap(direct.asReadOnlyBuffer().order(ByteOrder.nativeOrder()), 7));
    add(
        cases,
        "wrap foreign order",
        ARGUMENT,
        expected + " in " + foreign,
        w -> FloatTensor.wrap(direct.duplicate().order(foreign).asFloatBuffer(), 7));
    add(
        cases,
        "wrap bytes foreign order",
        ARGUMENT,
        expected + " in " + foreign,
        w -> FloatTensor.wrap(direct.duplicate().order(foreign), 7));
    add(
        cases,
        "wrap length",
        ARGUMENT,
        "buffer: expected 6 elements but was 7",
        w -> FloatTensor.wrap(direct.asFloatBuffer(), 2, 3));
    add(
        cases,
        "wrap bytes length",
        ARGUMENT,
        "buffer (bytes): expected 24 elements but was 28",
        w -> FloatTensor.wrap(direct.duplicate().order(ByteOrder.nativeOrder()), 2, 3));
    add(
        cases,
        "wrap misaligned",
        ARGUMENT,
        "buffer: expected an address that is a multiple of 4",
        w -> FloatTensor.wrap(direct.slice(2, 24).order(ByteOrder.nativeOrder()), 2, 3));
    if (Backend.isNative()) {
      add(
          cases,
          "wrap null pointer",
          ARGUMENT,
          "pointer: expected memory but was a null pointer",
          w -> FloatTensor.wrap(new FloatPointer((FloatPointer) null), 1));
      add(
          cases,
          "wrap pointer length",
          ARGUMENT,
          "pointer: expected 6 elements but was 7",
          w -> {
            try (FloatPointer pointer = new FloatPointer(7)) {
              FloatTensor.wrap(pointer, 2, 3);
            }
          });
    }
  }

  private static void addAddresses(List<Case> cases) {
    Object owner = new Object();
    for (long bad : new long[] {0, 1, 2, 7, -2}) {
      add(
          cases,
          "wrapAddress " + bad,
          ARGUMENT,
          "address: expected a multiple of 4 that is not 0 but was " + bad,
          w -> FloatTensor.wrapAddress(bad, 4, owner, 1));
    }
    add(cases, "wrapAddress owner", NULL, "owner", w -> FloatTensor.wrapAddress(64, 4, null, 1));
    add(
        cases,
        "wrapAddress dims",
        NULL,
        "dims",
        w -> FloatTensor.wrapAddress(64, 4, owner, (long[]) null));
    add(
        cases,
        "wrapAddress size",
        ARGUMENT,
        "shape: (4611686018427387904, 4) has too many elements",
        w -> FloatTensor.wrapAddress(64, 4, owner, 1L << 62, 4));
  }
}
