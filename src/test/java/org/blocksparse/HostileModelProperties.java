// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;

/**
 * Right files with random changes: whatever they are, a file is loaded, or refused with {@link
 * ModelFormatException}; nothing else is thrown, and the JVM lives. {@code
 * -Dtest.jvm.args="-Djqwik.tries.default=100000"} spends more on it.
 */
final class HostileModelProperties {
  private static byte[] right;
  private static Path file;

  @BeforeContainer
  static void save() throws IOException {
    file = Files.createTempFile("fuzzed", ".safetensors");
    try (HierarchicalSoftmax layer = ModelFileTest.layer()) {
      layer.save(file, SaveOptions.defaults().withOptimizerState());
    }
    right = Files.readAllBytes(file);
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

  @Property
  void isLoadedOrRefused(@ForAll("changes") List<Change> changes) throws IOException {
    byte[] bytes = right;
    for (Change change : changes) {
      int position = change.position() % (bytes.length + 1);
      int end = Math.min(bytes.length, position + change.removed());
      byte[] changed = new byte[bytes.length - (end - position) + change.added().length];
      System.arraycopy(bytes, 0, changed, 0, position);
      System.arraycopy(change.added(), 0, changed, position, change.added().length);
      System.arraycopy(bytes, end, changed, position + change.added().length, bytes.length - end);
      bytes = changed;
    }
    Files.write(file, bytes);
    for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.copyOnWrite())) {
      try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file, options);
          FloatTensor x = FloatTensor.zeros(1, layer.features());
          FloatTensor probabilities = layer.probabilities(x)) {
        layer.classes().output(layer.classes().classes() - 1, 0);
        probabilities.get(0, layer.outputs() - 1);
      } catch (ModelFormatException refused) {
        if (!refused.getMessage().contains(file.toString())) {
          throw refused;
        }
      }
    }
  }
}
