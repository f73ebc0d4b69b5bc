// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.Tensor;
import org.blocksparse.testing.Npz;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Arrays that NumPy wrote, and arrays that it can read. */
final class NumPyFilesTest {
  @TempDir Path folder;

  private static Path resource(String name) {
    try {
      return Path.of(NumPyFilesTest.class.getResource(name).toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  private static List<Path> resources(String name, String ending) throws IOException {
    try (Stream<Path> files = Files.list(resource(name))) {
      return files.filter(file -> file.toString().endsWith(ending)).sorted().toList();
    }
  }

  // Returns arrays written by NumPy 2.4.6 with numpy.lib.format.write_array: element [i, j, k] is
  // 100 i + 10 j + k, plus one half for floats.
  static Stream<Path> arrays() throws IOException {
    return resources("/npy", ".npy").stream()
        .filter(file -> file.getFileName().toString().matches(".*-(C|F)-v[123].npy"));
  }

  @ParameterizedTest
  @MethodSource("arrays")
  void typesOrdersAndVersions(Path file) throws IOException {
    boolean floats = file.getFileName().toString().startsWith("f");
    try (Tensor tensor = floats ? NpyFile.readFloats(file) : NpyFile.readInts(file)) {
      assertEquals(Shape.of(2, 3, 4), tensor.shape());
      for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 3; j++) {
          for (int k = 0; k < 4; k++) {
            int whole = 100 * i + 10 * j + k;
            if (tensor instanceof FloatTensor f) {
              assertEquals(whole + 0.5f, f.get(i, j, k));
            } else if (tensor instanceof IntTensor n) {
              assertEquals(whole, n.get(i, j, k));
            }
          }
        }
      }
    }
    FileFormatException otherType =
        assertThrows(
            FileFormatException.class,
            () -> (floats ? NpyFile.readInts(file) : NpyFile.readFloats(file)).close());
    assertTrue(otherType.reason().startsWith("expected "), otherType.getMessage());
  }

  @Test
  void allVersionsAndOrdersAreAmongTheFiles() throws IOException {
    String names = arrays().map(file -> file.getFileName().toString()).toList().toString();
    assertEquals(16, arrays().count());
    for (String wanted : List.of("v1", "v2", "v3", "big-F", "big-C", "little-F", "i8", "f8")) {
      assertTrue(names.contains(wanted), wanted);
    }
  }

  @Test
  void scalarsVectorsAndEmptyArrays() throws IOException {
    try (FloatTensor scalar = NpyFile.readFloats(resource("/npy/f4-scalar.npy"));
        IntTensor vector = NpyFile.readInts(resource("/npy/i8-vector.npy"));
        FloatTensor empty = NpyFile.readFloats(resource("/npy/f4-empty.npy"))) {
      assertEquals(1.5f, scalar.get());
      assertArrayEquals(new int[] {0, 1, 2, 3, 4}, vector.toArray());
      assertEquals(Shape.of(0, 3), empty.shape());
    }
  }

  /** A read takes 2^20 bytes at a time. */
  @Test
  void arraysOfMoreThanAPiece() throws IOException {
    int[] values = new int[(2 << 18) + 3];
    Arrays.setAll(values, i -> i);
    Path file = folder.resolve("long.npy");
    try (IntTensor written = IntTensor.of(values, values.length)) {
      NpyFile.write(file, written);
    }
    try (IntTensor read = NpyFile.readInts(file)) {
      assertArrayEquals(values, read.toArray());
    }
  }

  @Test
  void whatIsWrittenIsReadByBoth() throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("W", FloatTensor.of(new float[] {1, -2, 3.5f, 1e-30f, 5, 6}, 2, 3));
    tensors.put("nan", FloatTensor.of(new float[] {Float.NaN, Float.NEGATIVE_INFINITY}, 2));
    tensors.put("scalar", FloatTensor.of(new float[] {7}));
    tensors.put("target", IntTensor.of(new int[] {Integer.MIN_VALUE, 0, 7, 8}, 4, 1));
    Path file = folder.resolve("out.npy");
    for (Tensor wanted : tensors.values()) {
      NpyFile.write(file, wanted);
      byte[] once = Files.readAllBytes(file);
      Npz.Array other = Npz.parse(once);
      assertArrayEquals(wanted.shape().toArray(), other.shape());
      if (wanted instanceof FloatTensor floats) {
        try (FloatTensor actual = NpyFile.readFloats(file)) {
          assertEquals(wanted.shape(), actual.shape());
          assertArrayEquals(floats.toArray(), actual.toArray());
        }
        assertArrayEquals(floats.toArray(), other.floats());
      } else if (wanted instanceof IntTensor ints) {
        try (IntTensor actual = NpyFile.readInts(file)) {
          assertArrayEquals(ints.toArray(), actual.toArray());
        }
        assertArrayEquals(ints.toArray(), other.ints());
      }
      NpyFile.write(file, wanted);
      assertArrayEquals(once, Files.readAllBytes(file));
    }
    Path single = folder.resolve("one.npy");
    NpyFile.write(single, tensors.get("W"));
    // The header that NumPy itself writes for this array.
    assertEquals(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
        new String(Files.readAllBytes(single), 10, 118, ISO_8859_1).strip());
    try (FloatTensor W = NpyFile.readFloats(single)) {
      assertArrayEquals(((FloatTensor) tensors.get("W")).toArray(), W.toArray());
    }
    tensors.values().forEach(Tensor::close);
  }

  @Test
  void refusesToWriteWhatCannotBe() {
    try (FloatTensor tensor = FloatTensor.zeros(2, 3, 1, 2);
        FloatTensor transposed = tensor.transposeBlocks()) {
      Path file = folder.resolve("x.npy");
      assertThrows(IllegalArgumentException.class, () -> NpyFile.write(file, transposed));
      assertFalse(Files.exists(file));
    }
  }

  /** Written files are readable: NumPy's limit holds both ways. */
  @Test
  void moreThan32DimensionsAreNotWritten() throws IOException {
    long[] most = new long[32];
    Arrays.fill(most, 1);
    long[] more = Arrays.copyOf(most, 33);
    more[32] = 1;
    Path npy = folder.resolve("a.npy");
    try (FloatTensor fits = FloatTensor.zeros(most);
        FloatTensor large = FloatTensor.zeros(more)) {
      NpyFile.write(npy, fits);
      NpyFile.readFloats(npy).close();
      byte[] before = Files.readAllBytes(npy);
      IllegalArgumentException refused =
          assertThrows(IllegalArgumentException.class, () -> NpyFile.write(npy, large));
      assertTrue(refused.getMessage().contains("33 dimensions"), refused.getMessage());
      assertArrayEquals(before, Files.readAllBytes(npy));
    }
  }
}
