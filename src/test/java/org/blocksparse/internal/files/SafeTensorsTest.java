// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.blocksparse.Progress;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.testing.SafeTensorsOracle;
import org.blocksparse.testing.SafeTensorsOracle.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Files of any tensors, independent of layers: written block by block, and read by name. */
final class SafeTensorsTest {
  private static final SafeTensorsLayout LAYOUT =
      new SafeTensorsLayout()
          .add("labels", Dtype.U8, 5)
          .add("none", Dtype.F32, 0, 7)
          .add("pairs", Dtype.I32, 2, 3)
          .add("embedding", Dtype.F32, 4);

  private static final int DATA_BYTES = 5 + 24 + 16;

  @TempDir Path folder;

  private static SafeTensorsWriter writer(Progress progress) throws IOException {
    return new SafeTensorsWriter(LAYOUT, Map.of("key", "value"), progress);
  }

  private static ByteBuffer data() {
    ByteBuffer data = ByteBuffer.allocate(DATA_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    data.put(new byte[] {'h', 'e', 'l', 'l', 'o'});
    for (int i = 1; i <= 6; i++) {
      data.putInt(i);
    }
    for (int i = 1; i <= 4; i++) {
      data.putFloat(i / 2f);
    }
    return data.flip();
  }

  private Path write(int... blocks) throws IOException {
    Path file = folder.resolve("file");
    List<Long> done = new ArrayList<>();
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      SafeTensorsWriter writer = writer((bytes, total) -> done.add(total - bytes));
      writer.begin(channel);
      ByteBuffer data = data();
      for (int block : blocks) {
        data.limit(data.position() + block);
        writer.write(channel, data);
      }
      writer.end();
    }
    assertEquals(blocks.length, done.size());
    assertEquals(0, done.get(done.size() - 1));
    return file;
  }

  @Test
  void blocksNeedNotEndWithTensors() throws IOException {
    Path file = write(1, 10, 0, 30, DATA_BYTES - 41);
    // Another reader, based on the specification alone.
    Map<String, Tensor> tensors = new SafeTensorsOracle(file).tensors;
    assertEquals(0, tensors.get("labels").positionInFile() % 64);
    assertArrayEquals(new int[] {1, 2, 3, 4, 5, 6}, tensors.get("pairs").ints());
    assertArrayEquals(new float[] {0.5f, 1, 1.5f, 2}, tensors.get("embedding").floats());
  }

  @Test
  void theLargestArrayIsReadToItsEnd() {
    int length = Integer.MAX_VALUE - 8;
    int begin = 0;
    int pieces = 0;
    while (begin < length) {
      int end = SafeTensorsReader.pieceEnd(begin, length);
      assertTrue(begin < end && end <= length, begin + " to " + end);
      begin = end;
      pieces++;
    }
    assertEquals(2048, pieces);
  }

  /** A read takes 2^20 elements at a time. */
  @Test
  void tensorsOfMoreThanAPieceAreReadToTheirEnd() throws IOException {
    int size = (2 << 20) + 3;
    long[] dims = {size};
    int[] ints = new int[size];
    byte[] bytes = new byte[size];
    Storage floats = Storage.allocate(size);
    ByteBuffer bits = ByteBuffer.allocate(2 * size).order(ByteOrder.nativeOrder());
    for (int i = 0; i < size; i++) {
      ints[i] = i;
      bytes[i] = (byte) (i % 251);
      floats.putFloat(i, i);
      bits.putShort((short) (i % 1021)); // small numbers
    }
    Storage halves = Storage.allocate(size / 2 + 1);
    halves.putBytes(0, bits.array(), 2 * size);
    Path file = folder.resolve("long");
    List<TensorSource> tensors =
        List.of(
            TensorSource.floats("floats", dims, floats),
            TensorSource.ints("ints", ints),
            TensorSource.narrow("halves", Dtype.F16, dims, halves),
            TensorSource.bytes("bytes", bytes));
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      new SafeTensorsWriter(SafeTensorsLayout.of(tensors), Map.of(), (done, total) -> {})
          .writeAll(channel, tensors);
    }
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      assertArrayEquals(ints, reader.readInts(reader.entry("ints", Dtype.I32, size)));
      assertArrayEquals(bytes, reader.readBytes(reader.entry("bytes", Dtype.U8, size)));
      Storage readFloats = reader.readFloats(reader.entry("floats", Dtype.F32, size));
      Storage readHalves = reader.readNarrow(reader.entry("halves", Dtype.F16, size));
      for (int i = 0; i < size; i++) {
        if (readFloats.getFloat(i) != i || readHalves.getShort(i) != i % 1021) {
          throw new AssertionError("element " + i + " is another one");
        }
      }
      readFloats.close();
      readHalves.close();
    }
    floats.close();
    halves.close();
  }

  @Test
  void tensorsAreReadByName() throws IOException {
    // Aligned, since labels of five bytes would be refused before floats.
    Path file = folder.resolve("aligned");
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      List<TensorSource> tensors =
          List.of(
              TensorSource.ints("pairs", new int[] {1, -2, 3}),
              new TensorSource(
                  "made",
                  Dtype.F32,
                  new long[] {2, 2},
                  (begin, count, into) -> {
                    for (int i = 0; i < count; i++) {
                      into.putFloat(4 * i, (float) (begin + i));
                    }
                  }));
      new SafeTensorsWriter(
              SafeTensorsLayout.of(tensors), Map.of("key", "value"), (done, total) -> {})
          .writeAll(channel, tensors);
    }
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      assertEquals(Map.of("key", "value"), reader.metadata());
      assertArrayEquals(new int[] {1, -2, 3}, reader.readInts(reader.entry("pairs", Dtype.I32, 3)));
      Storage made = reader.readFloats(reader.entry("made", Dtype.F32, 2, 2));
      float[] values = new float[4];
      made.getFloats(0, values, 0, 4);
      assertArrayEquals(new float[] {0, 1, 2, 3}, values);
      assertThrows(MalformedException.class, () -> reader.entry("made", Dtype.F32, 4));
      assertThrows(MalformedException.class, () -> reader.entry("made", Dtype.I32, 2, 2));
      assertThrows(
          IllegalStateException.class,
          () -> reader.mapElements(reader.entry("made", Dtype.F32, 2, 2)));
    }
  }

  @Test
  void whatIsReadIsFreedUnlessItIsKept() throws IOException {
    Path file = folder.resolve("file");
    List<TensorSource> tensors =
        List.of(TensorSource.floats("a", new long[] {100}, Storage.allocate(100)));
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      new SafeTensorsWriter(SafeTensorsLayout.of(tensors), Map.of(), (done, total) -> {})
          .writeAll(channel, tensors);
    }
    for (boolean kept : new boolean[] {false, true}) {
      Storage storage;
      try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
        storage = reader.readFloats(reader.entry("a", Dtype.F32, 100));
        if (kept) {
          reader.keep();
        }
      }
      assertEquals(!kept, storage.isClosed());
      storage.close();
    }
  }

  @Test
  void noMoreTensorsThanCanBeReadAgain() throws IOException {
    SafeTensorsLayout layout = new SafeTensorsLayout();
    for (int number = 0; number < 65_536; number++) {
      layout.add(Integer.toString(number), Dtype.F32, 0);
    }
    Path file = folder.resolve("many");
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      new SafeTensorsWriter(layout, Map.of(), (done, total) -> {}).begin(channel);
    }
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      assertEquals(65_536, reader.entries().size());
    }
    layout.add("more", Dtype.F32, 0);
    assertRejects(
        "tensors: 65537 tensors are more than the limit of 65536",
        () -> new SafeTensorsWriter(layout, Map.of(), (done, total) -> {}));
  }

  @Test
  void noLongerNamesThanCanBeReadAgain() throws IOException {
    String longest = "n".repeat(2 << 20);
    Path file = folder.resolve("long");
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      SafeTensorsLayout layout = new SafeTensorsLayout().add(longest, Dtype.F32, 0);
      new SafeTensorsWriter(layout, Map.of(), (done, total) -> {}).begin(channel);
    }
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      assertEquals(longest, reader.entries().iterator().next().name());
    }
    SafeTensorsLayout longer = new SafeTensorsLayout().add(longest + "n", Dtype.F32, 0);
    assertRejects(
        "tensors: 2097153 letters of a name are more than the limit of 2097152",
        () -> new SafeTensorsWriter(longer, Map.of(), (done, total) -> {}));
  }

  @Test
  void asManyBytesAsWereTold() throws IOException {
    try (SeekableByteChannel channel =
        Files.newByteChannel(
            folder.resolve("file"), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      SafeTensorsWriter writer = writer((done, total) -> {});
      assertThrows(IllegalStateException.class, () -> writer.write(channel, data()));
      writer.begin(channel);
      writer.write(channel, data().limit(DATA_BYTES - 1));
      assertThrows(IllegalStateException.class, writer::end);
      assertThrows(
          IllegalStateException.class, () -> writer.write(channel, ByteBuffer.allocate(2)));
      writer.write(channel, ByteBuffer.allocate(1));
      writer.end();
    }
  }

  /** The second tensor comes first, and the others in pieces, from the last one on. */
  @Test
  void tensorsInAnotherOrder() throws IOException {
    Path inOrder = write(DATA_BYTES);
    Path file = folder.resolve("another order");
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      SafeTensorsWriter writer = writer((done, total) -> {});
      writer.begin(channel);
      writer.seek(channel, "pairs", 0);
      writer.write(channel, data().slice(5, 24));
      for (int begin = 12; begin >= 0; begin -= 4) {
        writer.seek(channel, "embedding", begin);
        writer.write(channel, data().slice(29 + begin, 4));
      }
      writer.seek(channel, "labels", 0);
      writer.write(channel, data().slice(0, 5));
      writer.end();
      assertRejects("no tensor label", () -> writer.seek(channel, "label", 0));
    }
    assertEquals(-1, Files.mismatch(inOrder, file));
  }

  /**
   * The tensors themselves begin at a multiple of 64 bytes; if their begin is unknown, the first
   * does.
   */
  @ParameterizedTest
  @CsvSource({"'', bytes", "ints, ints", "last, last", "unknown, bytes"})
  void theTensorThatIsToldIsAligned(String aligned, String expected) throws IOException {
    List<TensorSource> tensors =
        List.of(
            TensorSource.bytes("bytes", new byte[64 + 8]),
            TensorSource.ints("ints", new int[3]),
            TensorSource.ints("last", new int[1]));
    SafeTensorsLayout layout =
        aligned.isEmpty() ? SafeTensorsLayout.of(tensors) : SafeTensorsLayout.of(tensors, aligned);
    Path file = folder.resolve("aligned");
    try (SeekableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      new SafeTensorsWriter(layout, Map.of(), (done, total) -> {}).writeAll(channel, tensors);
    }
    Map<String, Tensor> read = new SafeTensorsOracle(file).tensors;
    assertEquals(3, read.size());
    read.forEach(
        (name, tensor) ->
            assertEquals(name.equals(expected), tensor.positionInFile() % 64 == 0, name));
  }
}
