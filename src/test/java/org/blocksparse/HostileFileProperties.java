// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * Right files with random changes: whatever they are, a file is read, or refused with {@link
 * FileFormatException}; nothing else is thrown, and the JVM lives. {@code
 * -Dtest.jvm.args="-Djqwik.tries.default=100000"} spends more on it.
 */
final class HostileFileProperties {
  private static byte[] rightModel;
  private static byte[] rightArchive;
  private static byte[] rightArray;
  private static Path file;

  @BeforeContainer
  static void save() throws IOException {
    file = Files.createTempFile("fuzzed", ".safetensors");
    try (HierarchicalSoftmax layer = ModelFileTest.layer()) {
      layer.retire(9);
      layer.setLabels(Labels.of("a", "b", "ab", "é", "日本", "f", "g", "h", "i", "j", "k"));
      layer.save(file, SaveOptions.defaults().withOptimizerState());
    }
    rightModel = Files.readAllBytes(file);
    try (FloatTensor tensor = FloatTensor.zeros(3, 2)) {
      NpzFile.write(file, Map.of("W", tensor));
      rightArchive = Files.readAllBytes(file);
      NpyFile.write(file, tensor);
      rightArray = Files.readAllBytes(file);
    }
  }

  @AfterContainer
  static void delete() throws IOException {
    Files.delete(file);
  }

  /** Bytes that take the place of others from a position on. */
  record Change(int position, int removed, byte[] added) {}

  /** What breaks parsers: pieces of JSON, limits of numbers, and any bytes. */
  private static final List<String> PIECES =
      List.of(
          "{",
          "}",
          "[",
          "]",
          "\"",
          ",",
          ":",
          "-",
          ".",
          "e9",
          "0",
          "1",
          "3",
          "9223372036854775807",
          "18446744073709551616",
          "null",
          "true",
          "\\u0000",
          "\"W1\"",
          "\"shape\"",
          "[0]",
          "F64",
          "BOOL",
          "\u0000",
          "\u00ff",
          "\u007f");

  @Provide
  Arbitrary<List<Change>> changes() {
    Arbitrary<byte[]> pieces =
        Arbitraries.of(PIECES).map(piece -> piece.getBytes(StandardCharsets.ISO_8859_1));
    Arbitrary<byte[]> bytes = Arbitraries.bytes().array(byte[].class).ofMaxSize(8);
    return Combinators.combine(
            Arbitraries.integers().between(0, 5000),
            Arbitraries.integers().between(0, 40),
            Arbitraries.oneOf(pieces, bytes))
        .as(Change::new)
        .list()
        .ofMinSize(1)
        .ofMaxSize(4);
  }

  private static void writeChanged(byte[] right, List<Change> changes) throws IOException {
    byte[] bytes = right;
    for (Change change : changes) {
      int position = change.position() % (bytes.length + 1);
      int end = Math.min(bytes.length, position + change.removed());
      ByteBuffer changed =
          ByteBuffer.allocate(bytes.length - (end - position) + change.added().length);
      changed.put(bytes, 0, position).put(change.added()).put(bytes, end, bytes.length - end);
      bytes = changed.array();
    }
    Files.write(file, bytes);
  }

  private interface Action {
    void run() throws IOException;
  }

  private static void succeedsOrIsRefused(Action action) throws IOException {
    try {
      action.run();
    } catch (FileFormatException refused) {
      if (!refused.file().equals(file)) {
        throw refused;
      }
    }
  }

  /** In a file that is mapped, a name may be no text. */
  private static void askFor(Labels labels) {
    for (int output = 0; output < labels.size(); output++) {
      try {
        int found = labels.output(labels.name(output));
        assertTrue(found < labels.size());
      } catch (IllegalStateException e) {
        assertTrue(e.getMessage().endsWith("is not UTF-8"), e.getMessage());
      }
    }
  }

  @Property
  void modelsAreLoadedOrRefused(@ForAll("changes") List<Change> changes) throws IOException {
    writeChanged(rightModel, changes);
    for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.copyOnWrite())) {
      succeedsOrIsRefused(
          () -> {
            try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, options);
                FloatTensor x = FloatTensor.zeros(1, layer.features());
                FloatTensor probabilities = layer.probabilities(x)) {
              layer.assignment().output(layer.classCount() - 1, 0);
              probabilities.get(0, layer.outputs() - 1);
              if (layer.hasLabels()) {
                askFor(layer.labels());
              }
            }
          });
    }
  }

  @Property
  void archivesAreReadOrRefused(@ForAll("changes") List<Change> changes) throws IOException {
    writeChanged(rightArchive, changes);
    succeedsOrIsRefused(
        () -> {
          try (NpzFile npz = NpzFile.open(file)) {
            for (String name : npz.names()) {
              succeedsOrIsRefused(() -> npz.floats(name).close());
              succeedsOrIsRefused(() -> npz.ints(name).close());
            }
          }
        });
  }

  @Property
  void arraysAreReadOrRefused(@ForAll("changes") List<Change> changes) throws IOException {
    writeChanged(rightArray, changes);
    succeedsOrIsRefused(() -> NpyFile.readFloats(file).close());
    succeedsOrIsRefused(() -> NpyFile.readInts(file).close());
  }
}
