// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

final class PartRowsTest {
  /** The rows exceed the heap buffers, so that some are in a file. */
  @Test
  void rowsComeBackWhereverTheyAreAndInTheOrderOfTheEpoch() throws IOException {
    int features = 20_000;
    int count = 600; // rows of 80 kB, every third sparse
    RowOrder order = new RowOrder(1, 7, true);
    try (PartRows rows = new PartRows(features)) {
      for (int i = 0; i < count; i++) {
        rows.add(i - 300, EncodedRow.of(new int[] {i}, i, features(i, features)));
      }
      rows.end();
      int[] ordered = rows.order(order, 2);
      assertArrayEquals(
          IntStream.range(0, count).toArray(), IntStream.of(ordered).sorted().toArray());
      for (int i = 0; i < count; i++) {
        if (i > 0) {
          assertEquals(
              -1,
              Long.compareUnsigned(
                  order.position(rows.hash(ordered[i - 1]), 2),
                  order.position(rows.hash(ordered[i]), 2)));
        }
        ByteBuffer row = rows.row(ordered[i]);
        assertArrayEquals(new int[] {ordered[i]}, EncodedRow.labels(row));
        assertEquals(ordered[i], EncodedRow.weight(row));
        float[] x = new float[features];
        EncodedRow.features(row, x, 0, features);
        assertArrayEquals(features(ordered[i], features), x);
      }
    }
  }

  /** The rows share a hash, so that their content orders them, to its last byte. */
  @Test
  void rowsHaveAnyNumberOfLabels() throws IOException {
    int[][] labels = {{}, {5}, {0}, {0, 5}, {1, 2, 3, Integer.MAX_VALUE - 8}};
    for (int[] set : labels) {
      List<byte[]> encoded = new ArrayList<>();
      for (int last = 1; last <= 5; last++) {
        encoded.add(EncodedRow.of(set, 0.5f, new float[] {1, 2, 3, last}));
        encoded.add(EncodedRow.of(set, 0.5f, new float[] {0, 0, 0, last}));
      }
      List<List<Float>> ordered = ordered(encoded, set);
      assertEquals(10, Set.copyOf(ordered).size());
      Collections.reverse(encoded);
      assertEquals(ordered, ordered(encoded, set));
    }
  }

  /** Returns the first and the last feature of each row. */
  private static List<List<Float>> ordered(List<byte[]> encoded, int[] labels) throws IOException {
    try (PartRows rows = new PartRows(4)) {
      for (byte[] row : encoded) {
        rows.add(-3, row);
      }
      rows.end();
      List<List<Float>> ordered = new ArrayList<>();
      for (int r = 0; r < rows.count(); r++) {
        ByteBuffer row = rows.row(r);
        float[] x = new float[4];
        EncodedRow.features(row, x, 0, 4);
        assertArrayEquals(labels, EncodedRow.labels(row));
        assertEquals(0.5f, EncodedRow.weight(row));
        ordered.add(List.of(x[0], x[3]));
      }
      return ordered;
    }
  }

  /** In a file with holes, a full disk is detected too late. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void theFileHasNoHoles() throws IOException {
    byte[] row = EncodedRow.of(new int[] {1}, 1, features(1, 1 << 18)); // a row of 1 MiB
    try (PartRows rows = new PartRows(1 << 18)) {
      for (int i = 0; i < 34; i++) {
        rows.add(i, row);
      }
      Path files = Path.of("/proc/" + ProcessHandle.current().pid() + "/fd");
      Process stat =
          new ProcessBuilder("stat", "-L", "-c", "%b %B %s", ofRows(files).toString()).start();
      long[] told =
          Arrays.stream(
                  new String(stat.getInputStream().readAllBytes(), US_ASCII).strip().split(" "))
              .mapToLong(Long::parseLong)
              .toArray();
      assertTrue(told[0] * told[1] >= told[2], Arrays.toString(told));
    }
  }

  @Test
  void aThreadThatIsInterruptedIsNotToldThatThereIsNoRoom() throws IOException {
    byte[] row = EncodedRow.of(new int[] {1}, 1, features(1, 1 << 18)); // a row of 1 MiB
    Thread adding = Thread.currentThread();
    Thread interrupting = new Thread(() -> interruptInWrite(adding));
    try (PartRows rows = new PartRows(1 << 18)) {
      interrupting.start();
      assertThrows(
          ClosedByInterruptException.class,
          () -> {
            for (int i = 0; i < 500; i++) {
              rows.add(i, row);
            }
          });
    } finally {
      interrupting.interrupt();
      Thread.interrupted();
    }
  }

  private static void interruptInWrite(Thread adding) {
    while (!Thread.currentThread().isInterrupted()) {
      if (Arrays.stream(adding.getStackTrace()).anyMatch(PartRowsTest::isWrite)) {
        adding.interrupt();
        return;
      }
    }
  }

  private static boolean isWrite(StackTraceElement frame) {
    return frame.getClassName().equals(PartRows.class.getName())
        && frame.getMethodName().equals("write");
  }

  /** Returns the open file of rows, though its name is deleted. */
  private static Path ofRows(Path files) throws IOException {
    try (Stream<Path> all = Files.list(files)) {
      return all.filter(PartRowsTest::isOfRows).findFirst().orElseThrow();
    }
  }

  private static boolean isOfRows(Path file) {
    try {
      return Files.readSymbolicLink(file).toString().contains("blocksparse-rows");
    } catch (IOException e) {
      return false; // closed in the meantime
    }
  }

  private static float[] features(int row, int features) {
    float[] x = new float[features];
    Random random = new Random(row);
    for (int f = 0; f < (row % 3 == 0 ? 10 : features); f++) {
      x[f] = random.nextFloat() - 0.5f;
    }
    return x;
  }

  @Test
  void rowsOfOneHashGoByWhatTheyAre() throws IOException {
    byte[][] some = new byte[4][];
    for (int i = 0; i < some.length; i++) {
      some[i] = EncodedRow.of(new int[] {i / 2}, 1, new float[] {i, 1}); // two of each label
    }
    RowOrder order = new RowOrder(1, 1, false);
    int[][] comings = {{0, 1, 2, 3, 3}, {3, 1, 3, 0, 2}};
    String first = null;
    for (int[] coming : comings) {
      try (PartRows rows = new PartRows(2)) {
        rows.add(-5, some[1]);
        for (int i : coming) {
          rows.add(9, some[i]);
        }
        rows.add(11, some[0]);
        rows.end();
        StringBuilder all = new StringBuilder();
        for (int row : rows.order(order, 0)) {
          float[] x = new float[2];
          EncodedRow.features(rows.row(row), x, 0, 2);
          all.append(rows.hash(row)).append(':').append((int) x[0]).append(' ');
        }
        assertEquals(7, rows.count());
        first = first == null ? all.toString() : first;
        assertEquals(first, all.toString());
      }
    }
  }

  /** The rows are anywhere in the part: the lowest, the highest, all, and some between others. */
  @Test
  void eachOfTheRowsOfOneHashHasItsTurn() throws IOException {
    for (int count = 1; count <= 8; count++) {
      for (int first = 0; first < count; first++) {
        for (int last = first; last < count; last++) {
          try (PartRows rows = new PartRows(1)) {
            for (int row = 0; row < count; row++) {
              long hash = row < first || row > last ? row : first;
              rows.add(hash - 4, EncodedRow.of(new int[] {row}, 1, new float[] {row}));
            }
            rows.end();
            int[] ordered = rows.order(new RowOrder(1, 1, true), 0);
            assertArrayEquals(
                IntStream.range(0, count).toArray(),
                IntStream.of(ordered).sorted().toArray(),
                "rows " + first + " to " + last + " of " + count);
          }
        }
      }
    }
  }

  @Test
  void sparseAndDenseRowsOfTheSameNumbersAreOne() {
    float[] mostlyZero = {0, 0, -0f, 3, 0};
    byte[] row = EncodedRow.of(new int[] {2}, 0.5f, mostlyZero);
    float[] x = new float[5];
    EncodedRow.features(ByteBuffer.wrap(row), x, 0, 5);
    assertArrayEquals(mostlyZero, x);
    assertEquals(row.length, EncodedRow.length(ByteBuffer.wrap(row), 5));
    assertEquals(12 + 8 * 2, row.length);
    assertEquals(12 + 4 * 2, EncodedRow.of(new int[] {2}, 0.5f, new float[] {1, 0}).length);
  }
}
