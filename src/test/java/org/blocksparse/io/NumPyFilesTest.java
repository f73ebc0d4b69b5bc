// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
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
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.Tensor;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.Npz;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
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

  /** The time at which an archive is written leaves no trace in it. */
  @Test
  void equalTensorsGiveEqualArchives() throws IOException {
    Path file = folder.resolve("timeless.npz");
    try (FloatTensor tensor = FloatTensor.zeros(1)) {
      NpzFile.write(file, Map.of("a", tensor));
    }
    ZipEntry timeless = new ZipEntry("a.npy");
    timeless.setTime(0);
    try (ZipFile zip = new ZipFile(file.toFile())) {
      assertEquals(timeless.getTimeLocal(), zip.getEntry("a.npy").getTimeLocal());
    }
  }

  @Test
  void compressedArchives() throws IOException {
    try (NpzFile npz = NpzFile.open(resource("/npy/compressed.npz"));
        FloatTensor W = npz.floats("W");
        IntTensor target = npz.ints("target")) {
      assertEquals(Set.of("W", "target"), npz.names());
      assertEquals(123.5f, W.get(1, 2, 3));
      assertArrayEquals(new int[] {0, 1, 2}, target.toArray());
    }
  }

  /** Arrays of the goldens that hold integers. */
  private static final Set<String> WHOLE_NUMBERS =
      Set.of("classOf", "inputIdx", "nOutputs", "outputIdx", "target", "targetOffsets", "targets");

  @Test
  void goldensAreReadAsTheOtherReaderReadsThem() throws IOException {
    List<Path> files = resources("/conformance", ".npz");
    assertFalse(files.isEmpty());
    int arrays = 0;
    for (Path file : files) {
      Npz other = Npz.read(file);
      try (NpzFile npz = NpzFile.open(file)) {
        for (String name : npz.names()) {
          Npz.Array wanted = other.get(name);
          if (WHOLE_NUMBERS.contains(name)) {
            try (IntTensor tensor = npz.ints(name)) {
              assertArrayEquals(wanted.shape(), tensor.shape().toArray());
              assertArrayEquals(wanted.ints(), tensor.toArray());
            }
          } else {
            try (FloatTensor tensor = npz.floats(name)) {
              assertArrayEquals(wanted.shape(), tensor.shape().toArray());
              assertArrayEquals(wanted.floats(), tensor.toArray());
            }
          }
          arrays++;
        }
      }
    }
    assertTrue(arrays > 50, "only " + arrays);
  }

  @Test
  void parametersFromNumPyAreTrained() throws IOException {
    try (NpzFile npz = NpzFile.open(resource("/conformance/h_softmax-square.npz"));
        FloatTensor x = npz.floats("x");
        IntTensor targets = npz.ints("target");
        IntTensor nOutputs = npz.ints("nOutputs");
        FloatTensor wanted = npz.floats("loss");
        FloatTensor W2 = npz.floats("W2");
        HierarchicalSoftmax layer =
            HierarchicalSoftmax.builder((int) x.shape().dim(1), nOutputs.toArray()[0])
                .classes((int) W2.shape().dim(0))
                .build(npz.floats("W1"), npz.floats("b1"), W2, npz.floats("b2"))) {
      double loss = layer.step(x, targets, Optimizer.sgd(0.5f));
      assertEquals(wanted.toArray()[0], loss, 1e-5);
      for (int step = 0; step < 20; step++) {
        layer.step(x, targets, Optimizer.sgd(0.5f));
      }
      assertTrue(layer.loss(x, targets) < loss / 2);
    }
  }

  /** Written files are not compressed, and so are read at the rate of the disk. */
  @Test
  void archivesAreNotCompressed() throws IOException {
    Path file = folder.resolve("zeros.npz");
    try (FloatTensor zeros = FloatTensor.zeros(100_000)) {
      NpzFile.write(file, Map.of("zeros", zeros));
      assertTrue(Files.size(file) > zeros.shape().size() * Float.BYTES);
    }
  }

  @Test
  void whatIsWrittenIsReadByBoth() throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("W", FloatTensor.of(new float[] {1, -2, 3.5f, 1e-30f, 5, 6}, 2, 3));
    tensors.put("nan", FloatTensor.of(new float[] {Float.NaN, Float.NEGATIVE_INFINITY}, 2));
    tensors.put("scalar", FloatTensor.of(new float[] {7}));
    tensors.put("target", IntTensor.of(new int[] {Integer.MIN_VALUE, 0, 7, 8}, 4, 1));
    Path file = folder.resolve("out.npz");
    NpzFile.write(file, tensors);
    Npz other = Npz.read(file);
    try (NpzFile npz = NpzFile.open(file)) {
      assertEquals(tensors.keySet(), npz.names());
      for (String name : List.of("W", "nan", "scalar")) {
        FloatTensor wanted = (FloatTensor) tensors.get(name);
        try (FloatTensor actual = npz.floats(name)) {
          assertEquals(wanted.shape(), actual.shape());
          assertArrayEquals(wanted.toArray(), actual.toArray());
        }
        assertArrayEquals(wanted.toArray(), other.get(name).floats());
        assertArrayEquals(wanted.shape().toArray(), other.get(name).shape());
      }
      try (IntTensor target = npz.ints("target")) {
        assertArrayEquals(((IntTensor) tensors.get("target")).toArray(), target.toArray());
      }
      assertArrayEquals(((IntTensor) tensors.get("target")).toArray(), other.get("target").ints());
    }
    byte[] once = Files.readAllBytes(file);
    NpzFile.write(file, tensors);
    assertArrayEquals(once, Files.readAllBytes(file));
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
      Path file = folder.resolve("x.npz");
      for (String name : List.of("", "a/b", "..", "C:x", "a\\b", "a\nb")) {
        assertThrows(
            IllegalArgumentException.class, () -> NpzFile.write(file, Map.of(name, tensor)), name);
      }
      assertThrows(
          IllegalArgumentException.class, () -> NpzFile.write(file, Map.of("W", transposed)));
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
    Path npz = folder.resolve("a.npz");
    try (FloatTensor fits = FloatTensor.zeros(most);
        FloatTensor large = FloatTensor.zeros(more)) {
      NpyFile.write(npy, fits);
      NpyFile.readFloats(npy).close();
      byte[] before = Files.readAllBytes(npy);
      for (Executable write :
          List.<Executable>of(
              () -> NpyFile.write(npy, large), () -> NpzFile.write(npz, Map.of("a", large)))) {
        IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, write);
        assertTrue(refused.getMessage().contains("33 dimensions"), refused.getMessage());
      }
      assertArrayEquals(before, Files.readAllBytes(npy));
      assertFalse(Files.exists(npz));
    }
  }

  /** Closing an archive during a read of another thread makes it closed, not damaged. */
  @Test
  void archivesThatAreClosedMeanwhile() throws Exception {
    Path file = folder.resolve("large.npz");
    try (FloatTensor tensor = FloatTensor.zeros(1 << 16)) {
      NpzFile.write(file, Map.of("a", tensor));
    }
    for (int round = 0; round < 40; round++) {
      NpzFile npz = NpzFile.open(file);
      CountDownLatch reading = new CountDownLatch(1);
      CompletableFuture<Void> closing =
          CompletableFuture.runAsync(
              () -> {
                await(reading);
                assertDoesNotThrow(npz::close);
              });
      IllegalStateException closed =
          assertThrows(
              IllegalStateException.class,
              () -> {
                while (true) {
                  npz.floats("a").close();
                  reading.countDown();
                }
              });
      assertEquals("file: the file is closed", closed.getMessage());
      closing.get();
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }
}
