// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Tensor;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** Files of named tensors, read and used in place. */
final class TensorFileTest {
  @TempDir private Path folder;
  private Path file;

  @BeforeEach
  void name() {
    file = folder.resolve("tensors.safetensors");
  }

  private static final float[] WEIGHTS = {1, -2.5f, 3e-40f, Float.MAX_VALUE, -0f, 6};

  private void save() throws IOException {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put("W", FloatTensor.of(WEIGHTS, 1, 1, 2, 3));
    tensors.put("\u00e4.\"name\".0", FloatTensor.of(new float[] {7}, 1));
    tensors.put("classes", IntTensor.of(new int[] {Integer.MIN_VALUE, 5, -1}, 3, 1));
    tensors.put("nothing", FloatTensor.zeros(0, 4));
    tensors.put("deep", FloatTensor.zeros(new long[32]));
    TensorFile.save(file, NamedTensors.of(tensors).withMetadata(Map.of("epoch", "3")));
    tensors.values().forEach(Tensor::close);
  }

  /** Files of other formats are named in the message, by all readers of this format. */
  @Test
  void otherFormatsAreRecognized() throws IOException {
    Map<String, String> kinds =
        Map.of(
            "GGUF\3\0\0\0",
            "a GGUF file of llama.cpp, which GgufFile reads",
            "\u0093NUMPY\1\0",
            "a file of NumPy, which NpyFile reads",
            "PK\3\4\24\0\0\0",
            "a ZIP archive: NumPy's .npz, or a file of PyTorch");
    for (Map.Entry<String, String> kind : kinds.entrySet()) {
      Files.write(file, kind.getKey().repeat(9).getBytes(StandardCharsets.ISO_8859_1));
      for (LoadOptions options : options()) {
        for (Executable load :
            List.<Executable>of(
                () -> HierarchicalSoftmax.load(file, options),
                () -> LabelTree.load(file, options),
                () -> LinearLabelTree.load(file, options),
                () -> EmbeddingBag.load(file, options),
                () -> MixtureOfExperts.load(file, options),
                () -> TensorFile.open(file, options))) {
          FileFormatException refusal = assertThrows(FileFormatException.class, load);
          String wanted = "header: expected a safetensors file, but it is " + kind.getValue();
          assertTrue(refusal.getMessage().endsWith(wanted), refusal.getMessage());
        }
      }
    }
  }

  private static List<LoadOptions> options() {
    return List.of(LoadOptions.copied(), LoadOptions.mapped(), LoadOptions.copyOnWrite());
  }

  @Test
  void whatWasSavedIsThere() throws IOException {
    save();
    for (LoadOptions options : options()) {
      List<Tensor> read = new ArrayList<>();
      try (TensorFile tensors = TensorFile.open(file, options)) {
        assertEquals(
            List.of("W", "\u00e4.\"name\".0", "classes", "nothing", "deep"),
            List.copyOf(tensors.names()));
        assertEquals(Map.of("epoch", "3"), tensors.metadata());
        read.add(tensors.floats("W"));
        read.add(tensors.ints("classes"));
        read.add(tensors.floats("\u00e4.\"name\".0"));
        read.add(tensors.floats("nothing"));
        read.add(tensors.floats("W"));
      }
      // The tensors outlive the file.
      assertEquals("FloatTensor(1, 1, 2, 3)", read.get(0).toString());
      assertArrayEquals(WEIGHTS, ((FloatTensor) read.get(0)).toArray());
      assertArrayEquals(new int[] {Integer.MIN_VALUE, 5, -1}, ((IntTensor) read.get(1)).toArray());
      assertEquals("IntTensor(3, 1)", read.get(1).toString());
      assertArrayEquals(new float[] {7}, ((FloatTensor) read.get(2)).toArray());
      assertEquals("FloatTensor(0, 4)", read.get(3).toString());
      // They outlive each other, too.
      read.get(0).close();
      assertArrayEquals(WEIGHTS, ((FloatTensor) read.get(4)).toArray());
      read.forEach(Tensor::close);
    }
  }

  @Test
  void mappedTensorsAreReadOnlyUnlessTheyAreCopiedOnWrite() throws IOException {
    save();
    try (TensorFile mapped = TensorFile.open(file, LoadOptions.mapped());
        FloatTensor W = mapped.floats("W")) {
      assertTrue(
          assertThrows(IllegalStateException.class, () -> W.set(1, 0, 0, 0, 0))
              .getMessage()
              .contains("is mapped read-only from"));
    }
    try (TensorFile mapped = TensorFile.open(file, LoadOptions.copyOnWrite());
        FloatTensor W = mapped.floats("W");
        FloatTensor other = mapped.floats("\u00e4.\"name\".0")) {
      W.set(42, 0, 0, 0, 0);
      other.set(43, 0);
      assertEquals(42, W.get(0, 0, 0, 0));
      W.close();
      try (FloatTensor same = mapped.floats("W")) {
        assertEquals(42, same.get(0, 0, 0, 0), "the same memory each time");
      }
    }
    try (TensorFile anew = TensorFile.open(file, LoadOptions.copyOnWrite());
        FloatTensor W = anew.floats("W")) {
      assertArrayEquals(WEIGHTS, W.toArray());
    }
    try (TensorFile again = TensorFile.open(file);
        FloatTensor W = again.floats("W")) {
      assertArrayEquals(WEIGHTS, W.toArray());
    }
  }

  /** A product with weights in a mapped file, at any multiple of four bytes. */
  @Test
  void mappedWeightsMultiply() throws IOException {
    try (FloatTensor odd = FloatTensor.zeros(1);
        FloatTensor W = FloatTensor.of(new float[] {1, 2, 3, 4, 5, 6}, 1, 1, 2, 3)) {
      Map<String, FloatTensor> tensors = new LinkedHashMap<>();
      tensors.put("odd", odd);
      tensors.put("W", W);
      TensorFile.save(file, tensors);
    }
    try (TensorFile tensors = TensorFile.open(file, LoadOptions.mapped());
        FloatTensor W = tensors.floats("W");
        FloatTensor h = FloatTensor.of(new float[] {1, 10}, 1, 1, 2);
        FloatTensor b = FloatTensor.zeros(1, 3);
        IntTensor zero = IntTensor.zeros(1, 1);
        FloatTensor out = SparseBlockDot.apply(W, h, zero, b, zero)) {
      assertArrayEquals(new float[] {41, 52, 63}, out.toArray());
    }
  }

  @Test
  void anInterruptOfOneReaderDoesNotCloseTheFileForTheOthers() throws IOException {
    save();
    try (TensorFile tensors = TensorFile.open(file)) {
      Thread.currentThread().interrupt();
      assertThrows(IOException.class, () -> tensors.floats("W"));
      assertTrue(Thread.interrupted(), "the interrupt is lost");
      try (FloatTensor W = tensors.floats("W")) {
        assertArrayEquals(WEIGHTS, W.toArray());
      }
    }
  }

  @Test
  void filesOfLayersCanBeRead() throws IOException {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(3, 10).classes(2).build()) {
      layer.save(file);
      try (TensorFile tensors = TensorFile.open(file);
          FloatTensor W1 = tensors.floats("W1")) {
        assertEquals(Set.of("W2", "W1", "b1", "b2", "classOf", "slotOf"), tensors.names());
        assertArrayEquals(layer.W1().toArray(), W1.toArray());
        assertEquals(Map.of(), tensors.metadata());
      }
    }
  }

  @Test
  void whatIsNotThereIsTold() throws IOException {
    save();
    for (LoadOptions options : options()) {
      long before = FloatTensor.allocatedBytes();
      TensorFile tensors = TensorFile.open(file, options);
      assertEquals("b", refused(() -> tensors.floats("b")).part());
      assertEquals(
          "is missing; there are W, \u00e4.\"name\".0, classes, nothing, deep",
          refused(() -> tensors.floats("b")).reason());
      assertEquals(
          "is missing; did you mean classes? there are W, \u00e4.\"name\".0, classes, nothing,"
              + " deep",
          refused(() -> tensors.ints("Class")).reason());
      assertEquals(
          "expected F32 but was I32 (3, 1)", refused(() -> tensors.floats("classes")).reason());
      assertEquals(
          "expected I32 but was F32 (1, 1, 2, 3)", refused(() -> tensors.ints("W")).reason());
      assertThrows(NullPointerException.class, () -> tensors.floats(null));
      tensors.close();
      tensors.close();
      assertFails(
          IllegalStateException.class, "file: the file is closed", () -> tensors.floats("W"));
      assertTrue(FloatTensor.allocatedBytes() <= before, "memory was kept");
    }
    Files.write(file, new byte[100]);
    assertEquals("header", refused(() -> TensorFile.open(file)).part());
  }

  /**
   * Memory is freed at once, not when the file is closed, which may be after many more requests.
   */
  @Test
  void whatIsRefusedIsFreedAtOnce() throws IOException {
    save();
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putFloat((int) (Long.BYTES + bytes.getLong(0)), Float.NaN); // W comes first
    Files.write(file, bytes.array());
    try (TensorFile tensors = TensorFile.open(file)) {
      long before = FloatTensor.allocatedBytes();
      assertTrue(refused(() -> tensors.floats("W")).reason().endsWith("is NaN"));
      assertTrue(FloatTensor.allocatedBytes() <= before, "memory was kept");
    }
  }

  @Test
  void aFileOfNothing() throws IOException {
    Files.write(file, new byte[] {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'});
    for (LoadOptions options : options()) {
      try (TensorFile tensors = TensorFile.open(file, options)) {
        assertEquals(Set.of(), tensors.names());
        assertEquals(Map.of(), tensors.metadata());
      }
    }
  }

  private interface Reading {
    Object read() throws IOException;
  }

  private static FileFormatException refused(Reading reading) {
    return assertThrows(FileFormatException.class, reading::read);
  }

  @Test
  void whatCannotBeSavedLeavesTheOldFile() throws IOException {
    save();
    byte[] old = Files.readAllBytes(file);
    try (FloatTensor W = FloatTensor.zeros(1, 2, 2, 2);
        FloatTensor nan = FloatTensor.of(new float[] {1, Float.NaN}, 2)) {
      Path to = file;
      assertThrows(IllegalArgumentException.class, () -> TensorFile.save(to, Map.of("\ud800", W)));
      assertThrows(IllegalStateException.class, () -> TensorFile.save(to, Map.of("nan", nan)));
    }
    assertArrayEquals(old, Files.readAllBytes(file));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(1, files.count(), "nothing else is left");
    }
  }
}
