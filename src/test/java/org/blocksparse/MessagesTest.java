// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Mistakes of new users, and the message for each: argument, expected, found, remedy. */
final class MessagesTest {
  private static final SparseRows NO_ROWS = SparseRows.of(new int[] {0}, new int[0]);

  static Stream<Arguments> mistakes() {
    return Stream.of(
        mistake(
            "weights without rows",
            () -> SparseWeights.of(NO_ROWS, 3),
            IllegalArgumentException.class,
            "weights: expected at least 1 row but was 0"),
        mistake(
            "similarities to no rows",
            () -> SparseWeights.ofRows(NO_ROWS, 3),
            IllegalArgumentException.class,
            "rows: expected at least 1 row but was 0"),
        mistake(
            "labels before setLabels",
            MessagesTest::labelsOfNoLabels,
            IllegalStateException.class,
            "layer: has no labels; setLabels names its outputs"));
  }

  private static void labelsOfNoLabels() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(2, 3).build()) {
      layer.labels();
    }
  }

  private static Arguments mistake(
      String name, Executable call, Class<? extends Throwable> type, String message) {
    return arguments(name, call, type, message);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("mistakes")
  void haveAMessage(String name, Executable call, Class<Throwable> type, String message) {
    assertEquals(message, assertThrows(type, call, name).getMessage());
  }

  /** The beginning of a fastText file, read as the length of a header, is a meaningless number. */
  @Test
  void aModelOfFastTextIsNamed(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("model.bin");
    ByteBuffer bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    Files.write(file, bytes.putInt(793712314).putInt(12).array());
    assertEquals(
        file
            + ": header: expected a safetensors file, but it is a model of fastText, which the"
            + " classifier reads",
        assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(file)).getMessage());
  }

  @Test
  void outputsThatTheHeapCannotHoldAreRefusedByTheirNumber() {
    long heap = Runtime.getRuntime().maxMemory();
    assumeTrue(heap < 8_000_000_000L);
    assertEquals(
        "outputs: the classes of 2000000000 outputs take 8000000000 bytes of the Java heap, which"
            + " has "
            + heap
            + "; java -Xmx sets its size",
        assertThrows(
                OutOfMemoryError.class,
                () -> HierarchicalSoftmax.builder(300_000, 2_000_000_000).build())
            .getMessage());
  }
}
