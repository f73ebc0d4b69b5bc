// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.FileFormatException;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.testing.Seed;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that hold no linear label tree are rejected by an exception that names the tensor. */
@Tag("xcheck")
final class LinearLabelTreeFileTest {
  private static final String GOLDEN = "linear-label-tree-0.1.safetensors";

  @TempDir Path folder;

  private Path file;

  @BeforeEach
  void save() throws IOException {
    file = folder.resolve("tree");
    try (SparseRows x = x();
        SparseRows targets =
            SparseRows.of(List.of(new int[] {0}, new int[] {1, 4}, new int[] {2}, new int[] {3}));
        LinearLabelTree tree = LinearLabelTree.builder(5, 5).clusterSize(2).train(x, targets)) {
      tree.save(file);
    }
  }

  /** Returns a file that an earlier commit wrote. */
  static byte[] golden(String name) throws IOException {
    try (InputStream in = LinearLabelTreeFileTest.class.getResourceAsStream("/golden/" + name)) {
      return in.readAllBytes();
    }
  }

  /** Files of earlier commits give the same answers, and are saved with the same bytes. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void goldenFilesAreRead(boolean mapped) throws IOException {
    Path golden = Files.write(folder.resolve("golden"), golden(GOLDEN));
    Path again = folder.resolve("again");
    try (SparseRows x = x();
        LinearLabelTree tree = LinearLabelTree.load(file);
        LinearLabelTree same =
            LinearLabelTree.load(golden, mapped ? LoadOptions.mapped() : LoadOptions.copied())) {
      Ranking expected = tree.topK(x, 5);
      Ranking found = same.topK(x, 5);
      for (int row = 0; row < x.rows(); row++) {
        assertArrayEquals(expected.outputs(row), found.outputs(row));
      }
      assertEquals(tree.weightCount(), same.weightCount());
      same.save(again);
    }
    assertArrayEquals(Files.readAllBytes(golden), Files.readAllBytes(again));
  }

  private static SparseRows x() {
    return SparseRows.of(
        List.of(new int[] {0, 1}, new int[] {1, 2}, new int[] {3}, new int[] {4, 0}));
  }

  /** Returns the begin and the end of a tensor in a file. */
  static int[] range(byte[] bytes, String tensor) {
    int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    String header = new String(bytes, 8, length, UTF_8);
    Matcher offsets =
        Pattern.compile(
                Pattern.quote("\"" + tensor + "\"") + ".*?\"data_offsets\":\\[(\\d+),(\\d+)]")
            .matcher(header);
    assertTrue(offsets.find(), header);
    int begin = 8 + length;
    return new int[] {
      begin + Integer.parseInt(offsets.group(1)), begin + Integer.parseInt(offsets.group(2))
    };
  }

  /**
   * Returns a file whose chunks have four bytes, as in files of more than 65,536 chunks: a mapped
   * one uses them where they lie.
   */
  static byte[] withIntChunks(String golden, String tensor) throws IOException {
    byte[] bytes = golden(golden);
    int[] range = range(bytes, tensor);
    int count = range[1] - range[0];
    int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    int first = range[0] - 8 - length;
    String header =
        Pattern.compile("\"data_offsets\":\\[(\\d+),(\\d+)]")
            .matcher(new String(bytes, 8, length, UTF_8))
            .replaceAll(
                offsets -> {
                  int begin = Integer.parseInt(offsets.group(1));
                  int end = Integer.parseInt(offsets.group(2));
                  return "\"data_offsets\":["
                      + (begin > first ? begin + 3 * count : begin)
                      + ","
                      + (begin >= first ? end + 3 * count : end)
                      + "]";
                })
            .replace(
                "\"" + tensor + "\":{\"dtype\":\"U8\"", "\"" + tensor + "\":{\"dtype\":\"I32\"")
            .stripTrailing();
    int padded = (header.length() + 63) / 64 * 64;
    ByteBuffer wide =
        ByteBuffer.allocate(8 + padded + bytes.length - 8 - length + 3 * count)
            .order(ByteOrder.LITTLE_ENDIAN);
    wide.putLong(padded).put((header + " ".repeat(padded - header.length())).getBytes(UTF_8));
    wide.put(bytes, 8 + length, first);
    for (int i = range[0]; i < range[1]; i++) {
      wide.putInt(bytes[i]);
    }
    return wide.put(bytes, range[1], bytes.length - range[1]).array();
  }

  /** Returns the bytes of a tensor. */
  static byte[] bytesOf(Path file, String tensor) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int[] range = range(bytes, tensor);
    return Arrays.copyOfRange(bytes, range[0], range[1]);
  }

  @ParameterizedTest
  @CsvSource({
    "tree.levels, 0, 1",
    "tree.levels, 1, 2",
    "tree.levels, 2, 1",
    "tree.levels, 2, 100",
    "tree.outputs, 0, 1",
    "tree.outputs, 1, 0",
    "tree.outputs, 2, -5",
    "tree.outputs, 1, 2000000000",
    "tree.labels, 0, 5",
    "tree.labels, 0, -1",
    "tree.begins, 0, 1",
    "tree.begins, 1, -1",
    "tree.begins, 1, 2000000000",
    "tree.chunks, 0, -1",
    "tree.chunks, 0, 5",
    "tree.columns, 0, -1",
    "tree.weights, 0, 2143289344",
    "tree.biases, 0, 2139095040",
    "tree.calibration, 0, 0",
    "tree.calibration, 1, 2143289344",
  })
  void wrongNumbersAreRefused(String tensor, int element, int value) throws IOException {
    byte[] bytes = withIntChunks(GOLDEN, "tree.chunks");
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(range(bytes, tensor)[0] + 4 * element, value);
    Files.write(file, bytes);
    FileFormatException refusal =
        assertThrows(FileFormatException.class, () -> LinearLabelTree.load(file));
    assertEquals(tensor, refusal.part());
  }

  @ParameterizedTest
  @CsvSource({
    "tree.sizes, 0, 255, false",
    "tree.sizes, 0, 1, true",
    "tree.chunks, 0, 5, false",
    "tree.chunks, 0, 5, true",
    "tree.columns, 0, 255, false",
  })
  void wrongBytesAreRefused(String tensor, int element, int value, boolean mapped)
      throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[range(bytes, tensor)[0] + element] = (byte) value;
    Files.write(file, bytes);
    LoadOptions options = mapped ? LoadOptions.mapped() : LoadOptions.copied();
    FileFormatException refusal =
        assertThrows(FileFormatException.class, () -> LinearLabelTree.load(file, options));
    assertEquals(tensor, refusal.part());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "tree.weights",
        "tree.columns",
        "tree.chunks",
        "tree.sizes",
        "tree.begins",
        "tree.labels",
        "tree.outputs",
        "tree.levels",
        "tree.biases",
        "tree.calibration"
      })
  void missingTensorsAreRefused(String tensor) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    String text = new String(bytes, ISO_8859_1);
    int at = text.indexOf("\"" + tensor + "\"");
    bytes[at + 1] = 'x';
    Files.write(file, bytes);
    for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
      FileFormatException refusal =
          assertThrows(FileFormatException.class, () -> LinearLabelTree.load(file, options));
      assertEquals(tensor, refusal.part());
    }
  }

  @Test
  void filesOfOtherLayersAreRefusedByEach() throws IOException {
    assertThrows(FileFormatException.class, () -> LabelTree.load(file));
    assertThrows(FileFormatException.class, () -> HierarchicalSoftmax.load(file));
    Path other = folder.resolve("other");
    try (LabelTree layer = LabelTree.builder(2, 3).build()) {
      layer.save(other);
    }
    assertThrows(FileFormatException.class, () -> LinearLabelTree.load(other));
  }

  @Test
  void optionsOfOtherLayersAreRefused() throws IOException {
    try (LinearLabelTree tree = LinearLabelTree.load(file);
        EmbeddingBag bag = EmbeddingBag.builder(2, 2).build()) {
      for (SaveOptions options :
          List.of(SaveOptions.defaults().withOptimizerState(), SaveOptions.defaults().with(bag))) {
        assertThrows(
            IllegalArgumentException.class, () -> tree.save(folder.resolve("new"), options));
      }
    }
  }

  /** Calls on a damaged mapped file end, and stay within their memory. */
  @Test
  void mappedFilesOfAnyContentCanBeUsed() throws IOException {
    byte[] right = withIntChunks(GOLDEN, "tree.chunks");
    SplittableRandom random = new SplittableRandom(Seed.value());
    try (SparseRows x = x()) {
      for (int round = 0; round < 90; round++) {
        byte[] bytes = right.clone();
        String tensor = new String[] {"tree.chunks", "tree.columns", "tree.weights"}[round % 3];
        int[] range = range(bytes, tensor);
        for (int i = 0; i < 4; i++) {
          bytes[random.nextInt(range[0], range[1])] = (byte) random.nextInt();
        }
        Path changed = Files.write(folder.resolve("changed" + round), bytes);
        try (LinearLabelTree tree = LinearLabelTree.load(changed, LoadOptions.mapped())) {
          assertEquals(4, tree.topK(x, 3).batch());
          try {
            LinearLabelTree.builder(5, 6).extend(tree, x, x).close();
          } catch (IllegalStateException e) {
            assertTrue(e.getMessage().startsWith("layer: tree."), e.getMessage());
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {-1, 65, Float.NaN})
  void inverseDocumentFrequenciesAreChecked(float wrong) throws IOException {
    try (SparseRows x = x();
        SparseRows targets =
            SparseRows.of(List.of(new int[] {0}, new int[] {1, 4}, new int[] {2}, new int[] {3}));
        LinearLabelTree tree = LinearLabelTree.builder(5, 5).tfIdf().train(x, targets)) {
      tree.save(file);
    }
    byte[] bytes = Files.readAllBytes(file);
    ByteBuffer.wrap(bytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putFloat(range(bytes, "tree.tfidf")[0] + 4, wrong);
    Files.write(file, bytes);
    for (LoadOptions options : List.of(LoadOptions.mapped(), LoadOptions.copied())) {
      FileFormatException e =
          assertThrows(FileFormatException.class, () -> LinearLabelTree.load(file, options));
      assertTrue(e.getMessage().contains("tree.tfidf: element 1"), e.getMessage());
    }
  }
}
