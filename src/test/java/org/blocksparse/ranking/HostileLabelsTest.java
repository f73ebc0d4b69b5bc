// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.files.LabelsFile;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SafeTensorsLayout;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.SafeTensorsWriter;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.programs.RefusedFilesProgram;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Malformed names in model files. */
final class HostileLabelsTest {
  private static final String[] NAMES = {"ant", "bee", "cow"};

  @TempDir Path folder;

  /** The bytes of a valid file, to be changed. */
  private static final class Bytes {
    byte[] all;

    Bytes(byte[] all) {
      this.all = all;
    }

    private int header() {
      return (int) ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    }

    private int begin(String tensor) {
      String header = new String(all, 8, header(), ISO_8859_1);
      String entry = header.substring(header.indexOf("\"" + tensor + "\""));
      return 8
          + header()
          + Integer.parseInt(entry.replaceAll("(?s)^.*?\"data_offsets\":\\[(\\d+),.*$", "$1"));
    }

    void set(String tensor, int element, int value) {
      ByteBuffer.wrap(all)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putInt(begin(tensor) + 4 * element, value);
    }

    int get(String tensor, int element) {
      return ByteBuffer.wrap(all)
          .order(ByteOrder.LITTLE_ENDIAN)
          .getInt(begin(tensor) + 4 * element);
    }

    void setText(int element, int value) {
      all[begin("labels.text") + element] = (byte) value;
    }

    /** Replaces a part of the header by another of the same length. */
    void header(String from, String to) {
      String text = new String(all, ISO_8859_1);
      assertTrue(text.contains(from), from + " is not in the header");
      assertEquals(from.length(), to.length());
      all = text.replace(from, to).getBytes(ISO_8859_1);
    }

    /** Replaces a part of the header; the tensors stay where they are. */
    void headerOfAnotherLength(String from, String to) {
      String header = new String(all, 8, header(), ISO_8859_1);
      assertTrue(header.contains(from), from + " is not in " + header);
      String replaced = header.replace(from, to).stripTrailing();
      byte[] padded = (replaced + " ".repeat(-replaced.length() & 7)).getBytes(ISO_8859_1);
      int data = all.length - 8 - header();
      all =
          ByteBuffer.allocate(8 + padded.length + data)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(padded.length)
              .put(padded)
              .put(all, 8 + header(), data)
              .array();
    }
  }

  private Path write(Consumer<Bytes> change) throws IOException {
    Path file = folder.resolve("model");
    try (HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(2, 3).labels(Labels.of(NAMES)).build()) {
      layer.save(file);
    }
    Bytes bytes = new Bytes(Files.readAllBytes(file));
    change.accept(bytes);
    Files.write(file, bytes.all);
    return file;
  }

  private static Arguments of(String part, String reason, Consumer<Bytes> change) {
    return Arguments.of(part, reason, change);
  }

  static Stream<Arguments> dangerous() {
    String offsets = "labels.offsets";
    String order = "labels.order";
    return Stream.of(
        of(offsets, "element 0 = 1 is not 0", b -> b.set(offsets, 0, 1)),
        of(offsets, "element 0 = -1 is not 0", b -> b.set(offsets, 0, -1)),
        of(offsets, "element 2 = 2 falls", b -> b.set(offsets, 2, 2)),
        of(offsets, "element 2 = -2147483648 falls", b -> b.set(offsets, 2, Integer.MIN_VALUE)),
        of(offsets, "element 3 = 9 falls", b -> b.set(offsets, 2, Integer.MAX_VALUE)),
        of(offsets, "ends with 10, the text with 9", b -> b.set(offsets, 3, 10)),
        of(offsets, "ends with 8, the text with 9", b -> b.set(offsets, 3, 8)),
        of(order, "element 1 = 3 is no number", b -> b.set(order, 1, 3)),
        of(order, "element 1 = -1 is no number", b -> b.set(order, 1, -1)),
        of(
            offsets,
            "expected I32 with 1 dimensions but was F32",
            b -> b.header("labels.offsets\":{\"dtype\":\"I", "labels.offsets\":{\"dtype\":\"F")),
        of(
            "labels.text",
            "expected U8 with 1 dimensions but was I8",
            b -> b.header("labels.text\":{\"dtype\":\"U", "labels.text\":{\"dtype\":\"I")),
        of("labels.text", "is missing", b -> b.header("labels.text", "labels.next")),
        of(order, "is missing", b -> b.header("labels.order", "labels.older")));
  }

  @ParameterizedTest
  @MethodSource("dangerous")
  void refusedHoweverItIsLoaded(String part, String reason, Consumer<Bytes> change)
      throws IOException {
    Path file = write(change);
    for (LoadOptions options :
        List.of(LoadOptions.copied(), LoadOptions.mapped(), LoadOptions.copyOnWrite())) {
      assertRefused(file, options, part, reason);
    }
  }

  private static void assertRefused(Path file, LoadOptions options, String part, String reason) {
    long before = FloatTensor.allocatedBytes();
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(file, options));
    assertTrue(refused.getMessage().contains(part), refused.getMessage());
    assertTrue(refused.getMessage().contains(reason), refused.getMessage());
    assertTrue(FloatTensor.allocatedBytes() <= before, "memory was kept");
  }

  /** 100 MB of text that no offset covers. */
  @Tag("packaged")
  @Test
  void aTextThatIsRefusedIsNotRead() throws IOException {
    int bytes = 100_000_000;
    Path file =
        write(
            b -> {
              int begin = b.begin("labels.text") - 8 - b.header();
              String right = "\"shape\":[9],\"data_offsets\":[" + begin + "," + (begin + 9) + "]}}";
              String wrong = right.replace("[9]", "[" + bytes + "]");
              wrong = wrong.replace("," + (begin + 9), "," + (begin + bytes));
              b.headerOfAnotherLength(right, wrong);
            });
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.allocate(1), channel.size() + bytes - 10);
    }
    ChildJvm.Result result =
        new ChildJvm(folder.resolve("cache"))
            .option("-Xmx64m")
            .property("blocksparse.backend", Backend.isNative() ? "native" : "java")
            .run(RefusedFilesProgram.class, RefusedFilesProgram.MODEL, file.toString());
    assertEquals(0, result.exit(), result.toString());
  }

  @Test
  void moreNamesThanOutputs() throws IOException {
    Path file = folder.resolve("names");
    List<TensorSource> tensors = new ArrayList<>();
    LabelsFile.add(NameTable.from(Labels.of(NAMES)), tensors);
    try (WritableByteChannel channel =
        Files.newByteChannel(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      new SafeTensorsWriter(SafeTensorsLayout.of(tensors), Map.of(), (done, total) -> {})
          .writeAll(channel, tensors);
    }
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      NameTable read = LabelsFile.orNull(reader, NAMES.length).read(reader, true);
      assertEquals(Labels.of(NAMES), read);
      MalformedException refused =
          assertThrows(MalformedException.class, () -> LabelsFile.orNull(reader, NAMES.length - 1));
      assertTrue(refused.getMessage().contains("has 3 names for 2 outputs"), refused.toString());
    }
  }

  static Stream<Arguments> wrong() {
    String order = "labels.order";
    return Stream.of(
        of(
            order,
            "is out of order",
            b -> {
              int first = b.get(order, 0);
              b.set(order, 0, b.get(order, 1));
              b.set(order, 1, first);
            }),
        of("labels.text", "are the same", b -> b.set(order, 1, b.get(order, 0))),
        of("labels.text", "name 1 is not UTF-8", b -> b.setText(4, 0xff)),
        of("labels.text", "name 2 is not UTF-8", b -> b.setText(8, 0xc3)),
        // Each name is half of a letter; the text is valid only as a whole.
        of(
            "labels.text",
            "name 1 is not UTF-8",
            b -> {
              b.setText(2, 0xc3);
              b.setText(3, 0xa9);
            }));
  }

  /**
   * A harmless flaw is rejected where everything is checked; in a mapped file, it is reported when
   * the name is read.
   */
  @ParameterizedTest
  @MethodSource("wrong")
  void refusedWhenAllIsChecked(String part, String reason, Consumer<Bytes> change)
      throws IOException {
    Path file = write(change);
    assertRefused(file, LoadOptions.copied(), part, reason);
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      int told = 0;
      for (int output = 0; output < 3; output++) {
        int found = layer.labels().output(NAMES[output]);
        assertTrue(found == -1 || found == output, NAMES[output] + " is " + found);
        try {
          assertEquals(NAMES[output], layer.labels().name(output));
        } catch (IllegalStateException e) {
          assertEquals("labels: the name of output " + output + " is not UTF-8", e.getMessage());
          told++;
        }
      }
      assertEquals(reason.contains("UTF-8"), told > 0);
    }
  }
}
