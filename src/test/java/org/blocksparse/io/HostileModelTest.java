// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Progress;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.programs.InterruptedProgram;
import org.blocksparse.programs.RefusedFilesProgram;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.ModelFileTest;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Malformed model files: each ends in one exception that names the file, the tensor and the reason.
 */
final class HostileModelTest {
  @TempDir Path folder;

  /** A small, valid file in parts. */
  private record Parts(String header, byte[] data) {
    byte[] bytes() {
      byte[] text = header.getBytes(UTF_8);
      return ByteBuffer.allocate(8 + text.length + data.length)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putLong(text.length)
          .put(text)
          .put(data)
          .array();
    }

    static Parts of(byte[] bytes) {
      int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
      return new Parts(
          new String(bytes, 8, length, UTF_8), Arrays.copyOfRange(bytes, 8 + length, bytes.length));
    }
  }

  private static byte[] rightFile() {
    try {
      Path file = Files.createTempFile("right", ".safetensors");
      try (HierarchicalSoftmax layer = ModelFileTest.layer()) {
        layer.save(file, SaveOptions.defaults().withOptimizerState());
        return Files.readAllBytes(file);
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static final byte[] RIGHT = rightFile();

  /** Returns a change of the header's text. */
  private static UnaryOperator<byte[]> header(String from, String to) {
    return right -> {
      Parts parts = Parts.of(right);
      assertTrue(parts.header().contains(from), () -> from + " is not in " + parts.header());
      return new Parts(parts.header().replace(from, to), parts.data()).bytes();
    };
  }

  private static Arguments header(String name, String part, String reason, String from, String to) {
    return bytes(name, part, reason, header(from, to));
  }

  /** Returns a change of the bytes of a tensor, as ints, at an element. */
  private static Arguments element(
      String name, String part, String reason, String tensor, int element, int value) {
    return bytes(name, part, reason, right -> changeElement(right, tensor, element, value));
  }

  private static byte[] changeElement(byte[] right, String tensor, int element, int value) {
    String header = Parts.of(right).header();
    String entry = header.substring(header.indexOf("\"" + tensor + "\""));
    int begin = Integer.parseInt(entry.replaceAll("(?s)^.*?\"data_offsets\":\\[(\\d+),.*$", "$1"));
    ByteBuffer.wrap(right)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putInt(8 + header.length() + begin + 4 * element, value);
    return right;
  }

  private static Arguments bytes(
      String name, String part, String reason, UnaryOperator<byte[]> change) {
    return Arguments.of(name, part, reason, change);
  }

  private static UnaryOperator<byte[]> length(long value) {
    return right -> {
      ByteBuffer.wrap(right).order(ByteOrder.LITTLE_ENDIAN).putLong(0, value);
      return right;
    };
  }

  private static Arguments retired(String count, String part, String reason) {
    String steps = "\"blocksparse.steps\"";
    String added = "\"blocksparse.retired\":\"" + count + "\",";
    String aligned = added + " ".repeat(3 - (added.length() + 3) % 4);
    return header("retired: " + count, part, reason, steps, aligned + steps);
  }

  /** Returns one field more than an object may have tensors or strings. */
  private static String numbered(String value) {
    return IntStream.rangeClosed(0, 1 << 16)
        .mapToObj(number -> "\"n" + number + "\"" + value)
        .collect(joining(","));
  }

  static Stream<Arguments> cases() {
    String w1 = "\"W1\":{\"dtype\":\"F32\",\"shape\":[5,3],\"data_offsets\":[360,420]}";
    return Stream.of(
        bytes("empty", "", "", right -> new byte[0]),
        bytes("seven bytes", "header", "only 7 bytes", right -> Arrays.copyOf(right, 7)),
        bytes("no header", "header", "length 0", length(0)),
        bytes("header beyond the file", "header", "does not fit", length(1 << 20)),
        bytes("negative header", "header", "18446744073709551615", length(-1)),
        bytes("huge header", "header", "does not fit", length(Long.MAX_VALUE)),
        bytes("header of all bytes", "header", "does not fit", r -> length(r.length).apply(r)),
        bytes("one byte too long", "header", "does not fit", r -> length(r.length - 7).apply(r)),
        bytes("cut header", "header", "does not fit", right -> Arrays.copyOf(right, 100)),
        bytes("cut data", "slotOf", "holds only", r -> Arrays.copyOf(r, r.length - 20)),
        bytes(
            "data cut off",
            "W2",
            "holds only",
            right -> Arrays.copyOf(right, 8 + Parts.of(right).header().length())),
        bytes(
            "more data",
            "header",
            "4 bytes of the file are no tensor's",
            r -> Arrays.copyOf(r, r.length + 4)),
        header(
            "a string that is too long",
            "__metadata__",
            "has a string beyond Latin-1 of more than 2097152 letters",
            "\"__metadata__\":{",
            "\"__metadata__\":{\"long\":\"" + "a".repeat(2 << 20) + "\u0100\","),
        header(
            "a name that is too long",
            "header",
            "is beyond the limits: Name length (%d)".formatted((2 << 20) + 1),
            "\"__metadata__\":{",
            "\"__metadata__\":{\"" + "a".repeat((2 << 20) + 1) + "\":\"\","),
        bytes(
            "two objects",
            "header",
            "goes on after its end",
            right -> {
              Parts parts = Parts.of(right);
              return new Parts(parts.header() + "{}", parts.data()).bytes();
            }),
        header("deep", "W1", "no list", "\"shape\":[5,3]", "\"shape\":" + "{\"a\":".repeat(2000)),
        header(
            "deep lists",
            "W1",
            "not a whole number",
            "\"shape\":[5,3]",
            "\"shape\":" + "[".repeat(100000)),
        bytes(
            "not UTF-8",
            "header",
            "is not UTF-8",
            right -> {
              right[12] = (byte) 0xC0;
              return right;
            }),
        header(
            "too many tensors",
            "header",
            "more than 65536 tensors",
            w1,
            numbered(":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}") + "," + w1),
        header(
            "too many bytes",
            "W1",
            "too many bytes",
            w1,
            w1.replace("F32", "F64").replace("[5,3]", "[2305843009213693951]")),
        header("many dimensions", "W1", "more than 64", "[5,3]", "[" + "1,".repeat(64) + "15]"),
        header("half of a character", "header", "no text", "\"b1\":{", "\"\\ud800\":{"),
        header(
            "too much metadata",
            "__metadata__",
            "more than 65536 keys",
            "\"blocksparse.format\"",
            numbered(":\"\"") + ",\"blocksparse.format\""),
        element("not finite", "W1", "element 4 is NaN", "W1", 4, 0x7fc00000),
        element("infinite", "b2", "element 0 is -Infinity", "b2", 0, 0xff800000),
        element("class out of range", "classOf", "classOf[3] = 3", "classOf", 3, 3),
        element("negative class", "classOf", "classOf[3] = -1", "classOf", 3, -1),
        element("slot out of range", "classOf", "slotOf[0] = 6", "slotOf", 0, 6),
        element("negative slot", "classOf", "slotOf[0] = -1", "slotOf", 0, -1),
        element("a slot twice", "classOf", "not a permutation", "slotOf", 3, 0),
        bytes(
            "retired, but not told",
            "classOf",
            "1 outputs are retired, which should be 0",
            right -> changeElement(changeElement(right, "classOf", 10, -1), "slotOf", 10, -1)),
        bytes(
            "half retired",
            "classOf",
            "classOf[10] = -1",
            right -> changeElement(right, "classOf", 10, -1)),
        retired("1", "classOf", "0 outputs are retired, which should be 1"),
        retired("9", "classOf", "2 outputs cannot be in 3 classes"),
        retired("999999999999999999", "classOf", "-999999999999999988 outputs cannot be"),
        retired("-1", "__metadata__", "blocksparse.retired is not a number"),
        element("a crowded class", "classOf", "7 outputs in 6 slots", "classOf", 1, 2),
        element("negative steps", "optimizer.steps", "negative", "optimizer.steps", 1, -7),
        element("a step less", "optimizer.steps", "negative", "optimizer.steps", 2, -1),
        header(
            "half a character",
            "__metadata__",
            "no text",
            "\"blocksparse.steps\":\"0\"",
            "\"blocksparse.steps\":\"0\",\"x\":\"\\ud800\""));
  }

  /** Changes of the header's text: a name, the part and the reason that are given, from, to. */
  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '\'',
      emptyValue = "",
      nullValues = "null",
      textBlock =
          """
          not JSON | header | is not JSON | "shape" | shape
          not an object | header | begin with { | {"__metadata__" | ["__metadata__"
          unknown field | W1 | unknown field | "W1":{"dtype":"F32","shape":[5,3],"data_offsets":[360,420]} | "W1":{"dtype":"F32","shape":[5,3],"data_offsets":[360,420],"x":1}
          duplicate name | header | Duplicate | "b1":{ | "W1":{
          duplicate field | header | Duplicate | "shape":[5,3] | "shape":[5,3],"shape":[5,3]
          a string in place of a tensor | W1 | is not an object | "W1":{"dtype":"F32","shape":[5,3],"data_offsets":[360,420]} | "W1":"F32"
          missing tensor | b1 | is missing | "b1":{ | "b3":{
          missing dtype | W1 | no dtype | "W1":{"dtype":"F32", | "W1":{
          missing shape | W1 | no shape | "shape":[5,3], |
          missing offsets | W1 | no two data_offsets | ,"data_offsets":[360,420] |
          one offset | W1 | no two data_offsets | [360,420] | [360]
          three offsets | W1 | more than 2 | [360,420] | [360,420,480]
          dtype of a number | W1 | dtype is not a string | "W1":{"dtype":"F32", | "W1":{"dtype":32,
          unknown dtype | W1 | but was F33 (5, 3) | "W1":{"dtype":"F32" | "W1":{"dtype":"F33"
          wrong dtype | W1 | expected F32 | "W1":{"dtype":"F3 | "W1":{"dtype":"I3
          dtype of another size | W1 | 30 bytes | "W1":{"dtype":"F32" | "W1":{"dtype":"F16"
          wrong rank | W1 | 2 dimensions | [5,3] | [15]
          transposed | b1 | expected (5) | [5,3] | [3,5]
          overflow | W1 | too many elements | [5,3] | [4294967296,4294967296]
          overflow to the right size | W1 | too many elements | [5,3] | [9223372036854775807,3,2]
          negative dimension | W1 | negative | [5,3] | [-5,-3]
          a dimension above 2^63 | W1 | above 2^63 | [5,3] | [9223372036854775808,0]
          a fraction | W1 | not a whole number | [5,3] | [5.0,3]
          no features | W1 | 0 or too large | "W1":{"dtype":"F32","shape":[5,3] | "W1":{"dtype":"F32","shape":[0,3],"data_offsets":[360,360]},"pad":{"dtype":"U8","shape":[60]
          backwards | W1 | end before they begin | [360,420] | [420,360]
          out of range | W1 | holds only | [360,420] | [99000,99060]
          far out of range | W1 | holds only | [360,420] | [9223372036854775744,9223372036854775804]
          negative offset | W1 | negative | [360,420] | [-60,0]
          overlap | W1 | overlaps | [360,420] | [356,416]
          gap | W1 | gap | [360,420] | [364,424]
          no metadata | __metadata__ | no blocksparse.format | "blocksparse.format" | "format"
          metadata in a list | __metadata__ | is not an object | "__metadata__":{ | "__metadata__":[],"W0":{
          metadata of numbers | __metadata__ | not a string | "blocksparse.format":"1" | "blocksparse.format":1
          a later format | __metadata__ | this library reads 1 | "blocksparse.format":"1" | "blocksparse.format":"2"
          steps | __metadata__ | blocksparse.steps | "blocksparse.steps":"0" | "blocksparse.steps":"-1"
          more steps than can be counted | __metadata__ | blocksparse.steps is more than 2^63 - 1 | "blocksparse.steps":"0" | "blocksparse.steps":"9223372036854775808"
          unknown rule | __metadata__ | no rule | "SGD" | "LBFGS"
          state that is not there | optimizer.first.W1 | is missing | "SGD" | "ADAM"
          """)
  void headersAreRefused(String name, String part, String reason, String from, String to)
      throws IOException {
    isRefused(name, part, reason, header(from, to == null ? "" : to));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  void isRefused(String name, String part, String reason, UnaryOperator<byte[]> change)
      throws IOException {
    Path file = folder.resolve("hostile");
    Files.write(file, change.apply(RIGHT.clone()));
    for (LoadOptions options : all()) {
      long before = FloatTensor.allocatedBytes();
      FileFormatException refused =
          assertThrows(
              FileFormatException.class, () -> HierarchicalSoftmax.load(file, options).close());
      assertEquals(file, refused.file());
      assertTrue(refused.part().contains(part), refused.getMessage());
      assertTrue(refused.reason().contains(reason), refused.getMessage());
      assertTrue(FloatTensor.allocatedBytes() - before < 1 << 20, "memory was kept");
    }
  }

  private static List<LoadOptions> all() {
    return List.of(LoadOptions.copied(), LoadOptions.mapped(), LoadOptions.copyOnWrite());
  }

  @Test
  void onlyCopyingLooksAtAllOfW2() throws IOException {
    byte[] bytes = RIGHT.clone();
    int data = 8 + Parts.of(bytes).header().length();
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putFloat(data, Float.NaN);
    Path file = folder.resolve("nan");
    Files.write(file, bytes);
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(file));
    assertEquals("W2", refused.part());
    HierarchicalSoftmax.load(file, LoadOptions.mapped()).close();
  }

  /** Reads a file. */
  private interface Reader {
    void read(Path file) throws IOException;
  }

  static Stream<Arguments> readers() {
    Map<String, Reader> readers = new TreeMap<>();
    Map<String, LoadOptions> ways =
        Map.of("copied", LoadOptions.copied(), "mapped", LoadOptions.mapped());
    ways.forEach(
        (way, options) -> {
          readers.put("softmax, " + way, file -> HierarchicalSoftmax.load(file, options).close());
          readers.put("tree, " + way, file -> LabelTree.load(file, options).close());
          readers.put("bag, " + way, file -> EmbeddingBag.load(file, options).close());
          readers.put("tensors, " + way, file -> TensorFile.open(file, options).close());
        });
    readers.put("floats", file -> NpyFile.readFloats(file).close());
    readers.put("ints", file -> NpyFile.readInts(file).close());
    readers.put("GGUF", file -> GgufFile.open(file).close());
    readers.put("model of others", file -> HuggingFaceModel.open(file).close());
    return readers.entrySet().stream().map(e -> Arguments.of(e.getKey(), e.getValue()));
  }

  /** Opening it would wait for a writer without end. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("readers")
  @DisabledOnOs(OS.WINDOWS)
  void aPipeIsNotOpened(String name, Reader reader) throws Exception {
    Path pipe = folder.resolve("pipe");
    Process made = new ProcessBuilder("mkfifo", pipe.toString()).inheritIO().start();
    assumeTrue(made.waitFor() == 0, "there can be no pipe here");
    FileFormatException refused = assertThrows(FileFormatException.class, () -> reader.read(pipe));
    assertTrue(refused.reason().contains("not a regular file"), refused.getMessage());
  }

  /** Returns invalid states of an optimizer, with which the next step would make NaN. */
  static Stream<Arguments> hostileStates() {
    int minusOne = Float.floatToIntBits(-1);
    int tiny = Float.floatToIntBits(-Float.MIN_VALUE);
    int nan = Float.floatToIntBits(Float.NaN);
    return Stream.of(
        Arguments.of(Optimizer.adagrad(0.1f), "optimizer.first.b1", minusOne, "negative"),
        Arguments.of(Optimizer.adagrad(0.1f), "optimizer.first.W2", tiny, "negative"),
        Arguments.of(Optimizer.adagrad(0.1f), "optimizer.first.W1", nan, "NaN"),
        Arguments.of(Optimizer.adam(0.1f), "optimizer.second.W1", minusOne, "negative"),
        Arguments.of(Optimizer.adam(0.1f), "optimizer.second.b2", tiny, "negative"),
        Arguments.of(Optimizer.adam(0.1f), "optimizer.first.b2", nan, "NaN"));
  }

  @ParameterizedTest
  @MethodSource("hostileStates")
  void hostileStatesAreRefused(Optimizer optimizer, String tensor, int bits, String reason)
      throws IOException {
    Path file = folder.resolve("state");
    saveTrained(optimizer, file);
    byte[] changed = changeElement(Files.readAllBytes(file), tensor, 1, bits);
    Files.write(file, changed);
    for (LoadOptions options : all()) {
      long before = FloatTensor.allocatedBytes();
      FileFormatException refused =
          assertThrows(
              FileFormatException.class, () -> HierarchicalSoftmax.load(file, options).close());
      assertEquals(tensor, refused.part());
      assertTrue(refused.reason().contains("element 1"), refused.getMessage());
      assertTrue(refused.reason().contains(reason), refused.getMessage());
      assertTrue(FloatTensor.allocatedBytes() <= before, "memory was kept");
    }
  }

  @Test
  void firstMomentsMayBeNegative() throws IOException {
    Path file = folder.resolve("state");
    saveTrained(Optimizer.adam(0.1f), file);
    byte[] changed =
        changeElement(Files.readAllBytes(file), "optimizer.first.b1", 1, Float.floatToIntBits(-1));
    Files.write(file, changed);
    HierarchicalSoftmax.load(file).close();
  }

  private static void saveTrained(Optimizer optimizer, Path file) throws IOException {
    try (HierarchicalSoftmax layer = ModelFileTest.layer();
        FloatTensor x = ModelFileTest.x(2);
        IntTensor targets = IntTensor.of(new int[] {3, 8}, 2)) {
      layer.step(x, targets, optimizer);
      layer.save(file, SaveOptions.defaults().withOptimizerState());
    }
  }

  /** The text of the file is not logged in full. */
  @Test
  void aLongTextIsNotEchoed() throws IOException {
    Path file = folder.resolve("long");
    Parts right = Parts.of(RIGHT);
    for (String header :
        List.of(
            right.header().replace("format\":\"1\"", "format\":\"" + "2".repeat(1_000_000) + '"'),
            right.header().replace("steps\":\"0\"", "steps\":\"" + "2".repeat(1_000_000) + '"'),
            right.header().replace("\"SGD\"", '"' + "X".repeat(1_000_000) + '"'),
            right.header().replace("\"W1\"", '"' + "/".repeat(1_000_000) + '"'),
            right.header().replace("\"F32\"", '"' + "F".repeat(1_000_000) + '"'))) {
      Files.write(file, new Parts(header, right.data()).bytes());
      FileFormatException refused =
          assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(file));
      assertTrue(refused.getMessage().length() < 1000, refused.getMessage().length() + " chars");
    }
  }

  /** Copying works; in place, the floats of the file would lie at odd addresses. */
  @Test
  void onlyAlignedFilesAreMapped() throws IOException {
    Path file = folder.resolve("odd");
    Parts right = Parts.of(RIGHT);
    Files.write(file, new Parts(right.header() + " ", right.data()).bytes());
    HierarchicalSoftmax.load(file).close();
    for (LoadOptions options : List.of(LoadOptions.mapped(), LoadOptions.copyOnWrite())) {
      FileFormatException refused =
          assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(file, options));
      assertTrue(refused.reason().contains("multiple of 4"), refused.getMessage());
      assertTrue(refused.reason().contains("copied()"), refused.getMessage());
    }
  }

  @Test
  void anInterruptIsNoBadFile() throws IOException {
    Path file = folder.resolve("right");
    Files.write(file, RIGHT);
    Progress interrupting = (done, total) -> Thread.currentThread().interrupt();
    assertThrows(
        ClosedByInterruptException.class,
        () -> HierarchicalSoftmax.load(file, LoadOptions.copied().withProgress(interrupting)));
    assertTrue(Thread.interrupted());
    Thread.currentThread().interrupt();
    assertThrows(ClosedByInterruptException.class, () -> HierarchicalSoftmax.load(file));
    assertTrue(Thread.interrupted());
  }

  /** See {@link InterruptedProgram}. */
  @Tag("packaged")
  @ParameterizedTest
  @ValueSource(strings = {"native", "java"})
  void anInterruptDoesNoHarmToAMappedModel(String backend) {
    assumeTrue(Backend.isNative() || backend.equals("java"));
    ChildJvm.Result result =
        new ChildJvm(folder.resolve("cache"))
            .property("blocksparse.backend", backend)
            .run(InterruptedProgram.class, folder.resolve("model").toString());
    assertEquals(0, result.exit(), result.toString());
  }

  /** A file whose size has just changed is another file, and not invalid for that. */
  @Test
  void aFileThatIsReplacedWhileItIsMappedIsNoBadFile() throws Exception {
    Path file = folder.resolve("model");
    AtomicBoolean done = new AtomicBoolean();
    try (HierarchicalSoftmax small = HierarchicalSoftmax.builder(4, 20).build();
        HierarchicalSoftmax large = HierarchicalSoftmax.builder(64, 20_000).build()) {
      small.save(file);
      Thread saver =
          new Thread(
              () -> {
                while (!done.get()) {
                  assertDoesNotThrow(() -> large.save(file));
                  assertDoesNotThrow(() -> small.save(file));
                }
              });
      saver.start();
      try {
        for (int load = 0; load < 200; load++) {
          HierarchicalSoftmax.load(file, LoadOptions.mapped()).close();
        }
      } finally {
        done.set(true);
        saver.join();
      }
    }
  }

  /** See {@link RefusedFilesProgram}. */
  @Tag("packaged")
  @ParameterizedTest
  @EnumSource(RefusedFilesProgram.Kind.class)
  void whatIsRefusedCostsLittleMemory(RefusedFilesProgram.Kind kind) throws IOException {
    Path file = folder.resolve("large");
    kind.write(file);
    ChildJvm.Result result =
        new ChildJvm(folder.resolve("cache"))
            .option("-Xmx64m")
            .property("blocksparse.backend", Backend.isNative() ? "native" : "java")
            .run(RefusedFilesProgram.class, kind.name(), file.toString());
    assertEquals(0, result.exit(), result.toString());
    Files.delete(file);
  }
}
