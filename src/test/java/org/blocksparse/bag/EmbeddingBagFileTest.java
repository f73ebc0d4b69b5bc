// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static org.blocksparse.testing.Failures.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.blocksparse.Backend;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Progress;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag.Mode;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** An embedding bag in files: alone, with its optimizer state, with the softmax behind it. */
final class EmbeddingBagFileTest {
  private static final int VOCABULARY = 37;
  private static final int FEATURES = 6;

  @TempDir Path folder;
  private Path file;

  @BeforeEach
  void nameTheFile() {
    file = folder.resolve("bag.safetensors");
  }

  private static EmbeddingBag bag(Mode mode) {
    return EmbeddingBag.builder(VOCABULARY, FEATURES).mode(mode).seed(3).build();
  }

  private static SparseRows rows() {
    return SparseRows.of(List.of(new int[] {1, 36, 1}, new int[] {0, 7}));
  }

  private static void train(EmbeddingBag bag, Optimizer optimizer, int steps) {
    try (SparseRows rows = rows();
        FloatTensor gradOut = FloatTensor.zeros(2, FEATURES)) {
      for (int step = 0; step < steps; step++) {
        gradOut.fill(0.1f * step - 0.05f);
        bag.step(rows, gradOut, optimizer);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void whatIsSaved_isLoaded(Mode mode) throws IOException {
    try (EmbeddingBag bag = bag(mode)) {
      bag.save(file, SaveOptions.defaults().withMetadata(Map.of("language", "de")));
      try (EmbeddingBag loaded = EmbeddingBag.load(file)) {
        assertEquals(mode, loaded.mode());
        assertEquals(Map.of("language", "de"), loaded.metadata());
        assertEquals(bag.table().shape(), loaded.table().shape());
        assertArrayEquals(bag.table().toArray(), loaded.table().toArray());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"SGD", "ADAGRAD", "ADAM"})
  void trainingGoesOn_asIfItHadNotEnded(String rule) throws IOException {
    Optimizer optimizer =
        switch (rule) {
          case "SGD" -> Optimizer.sgd(0.1f);
          case "ADAGRAD" -> Optimizer.adagrad(0.1f);
          default -> Optimizer.adam(0.1f);
        };
    try (EmbeddingBag bag = bag(Mode.MEAN)) {
      train(bag, optimizer, 5);
      bag.save(file, SaveOptions.defaults().withOptimizerState());
      try (EmbeddingBag loaded = EmbeddingBag.load(file)) {
        train(bag, optimizer, 3);
        train(loaded, optimizer, 3);
        assertArrayEquals(bag.table().toArray(), loaded.table().toArray());
      }
      bag.save(file);
      try (EmbeddingBag forgetful = EmbeddingBag.load(file)) {
        train(bag, optimizer, 3);
        train(forgetful, optimizer, 3);
        assertEquals(
            rule.equals("SGD"), Arrays.equals(bag.table().toArray(), forgetful.table().toArray()));
      }
    }
  }

  @Test
  void mapped_isReadOnly_andCopyOnWriteIsNot() throws IOException {
    assumeTrue(Backend.isNative());
    try (EmbeddingBag bag = bag(Mode.SUM);
        SparseRows rows = rows();
        FloatTensor gradOut = FloatTensor.zeros(2, FEATURES);
        FloatTensor out = bag.apply(rows)) {
      bag.save(file);
      byte[] before = Files.readAllBytes(file);
      try (EmbeddingBag mapped = EmbeddingBag.load(file, LoadOptions.mapped());
          FloatTensor same = mapped.apply(rows)) {
        assertArrayEquals(out.toArray(), same.toArray());
        String message =
            assertThrows(
                    IllegalStateException.class,
                    () -> mapped.step(rows, gradOut, Optimizer.adagrad(1)))
                .getMessage();
        assertTrue(message.startsWith("table: (37, 6) is mapped read-only from "), message);
      }
      try (EmbeddingBag own = EmbeddingBag.load(file, LoadOptions.copyOnWrite())) {
        train(own, Optimizer.adam(0.1f), 3);
        train(bag, Optimizer.adam(0.1f), 3);
        assertArrayEquals(bag.table().toArray(), own.table().toArray());
      }
      assertArrayEquals(before, Files.readAllBytes(file));
    }
  }

  @Test
  void aBagAndASoftmax_inOneFile() throws IOException {
    try (EmbeddingBag bag = bag(Mode.ROOT_MEAN);
        HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(FEATURES, 11).build()) {
      train(bag, Optimizer.adagrad(0.1f), 2);
      softmax.save(file, SaveOptions.defaults().with(bag).withOptimizerState());
      assertTrue(EmbeddingBag.isIn(file));
      LoadOptions options = Backend.isNative() ? LoadOptions.mapped() : LoadOptions.copied();
      try (EmbeddingBag loaded = EmbeddingBag.load(file, options);
          HierarchicalSoftmax behind = HierarchicalSoftmax.load(file, options);
          EmbeddingBag trained = EmbeddingBag.load(file)) {
        assertEquals(Mode.ROOT_MEAN, loaded.mode());
        assertArrayEquals(bag.table().toArray(), loaded.table().toArray());
        assertArrayEquals(softmax.W2().toArray(), behind.W2().toArray());
        train(bag, Optimizer.adagrad(0.1f), 2);
        train(trained, Optimizer.adagrad(0.1f), 2);
        assertArrayEquals(bag.table().toArray(), trained.table().toArray());
        assertTrue(loaded.metadata().isEmpty());
        assertTrue(behind.metadata().isEmpty());
      }
    }
  }

  @Test
  void whatIsClosedWhileItIsWritten_isWrittenAsAWhole() throws IOException {
    Path other = folder.resolve("other.safetensors");
    EmbeddingBag bag = bag(Mode.SUM);
    HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(FEATURES, 11).build();
    softmax.save(other, SaveOptions.defaults().with(bag));
    Progress closing =
        (done, total) -> {
          softmax.close();
          bag.close();
        };
    softmax.save(file, SaveOptions.defaults().with(bag).withProgress(closing));
    assertEquals(-1, Files.mismatch(other, file), "the first byte that differs");
    assertThrows(IllegalStateException.class, () -> softmax.save(file));
    assertThrows(IllegalStateException.class, () -> bag.save(file));
  }

  @Test
  void loading_tellsHowFarItIs() throws IOException {
    try (EmbeddingBag bag = bag(Mode.SUM)) {
      train(bag, Optimizer.adam(0.1f), 1);
      bag.save(file, SaveOptions.defaults().withOptimizerState());
    }
    long table = 4L * VOCABULARY * FEATURES;
    long state = 2 * table + 4L * VOCABULARY; // moments, and the steps of each row
    long[] last = new long[2];
    Progress progress =
        (done, total) -> {
          assertTrue(done >= last[0] && done <= total, done + " of " + total);
          last[0] = done;
          last[1] = total;
        };
    EmbeddingBag.load(file, LoadOptions.copied().withProgress(progress)).close();
    assertArrayEquals(new long[] {table + state, table + state}, last);
    Arrays.fill(last, 0);
    LoadOptions alone = LoadOptions.copied().withoutOptimizerState();
    EmbeddingBag.load(file, alone.withProgress(progress)).close();
    assertArrayEquals(new long[] {table, table}, last);
  }

  /** Changes of the file's text that keep its length, and the message for each. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"ROOT_MEAN\"|\"ROOT_MEAX\"|__metadata__: blocksparse.bag.mode is ROOT_MEAX, expected"
            + " one of SUM, MEAN, ROOT_MEAN",
        "blocksparse.bag.mode|blocksparse.bag.mood|__metadata__: has no blocksparse.bag.mode: not a"
            + " file of this library",
        "blocksparse.format\":\"1|blocksparse.format\":\"2|__metadata__: blocksparse.format is"
            + " 2, this library reads 1",
        "\"table\"|\"tabel\"|table: is missing; did you mean tabel? there are tabel,"
            + " optimizer.first.table, optimizer.second.table, optimizer.steps.table",
        "[37,6]|[6,37]|optimizer.first.table: expected (6, 37) but was (37, 6)",
        "\"ADAM\"|\"ADAX\"|__metadata__: blocksparse.bag.optimizer is no rule: ADAX",
        "optimizer.second.table|optimizer.second.tabel|optimizer.second.table: is missing; did you"
            + " mean optimizer.second.tabel? there are table, optimizer.first.table,"
            + " optimizer.second.tabel, optimizer.steps.table",
        "optimizer.steps.table|optimizer.stops.table|optimizer.steps.table: is missing; did you"
            + " mean optimizer.stops.table? there are table, optimizer.first.table,"
            + " optimizer.second.table, optimizer.stops.table"
      })
  void aFileWithAnotherContent_isRefused(String from, String to, String reason) throws IOException {
    try (EmbeddingBag bag = bag(Mode.ROOT_MEAN)) {
      train(bag, Optimizer.adam(0.1f), 2);
      bag.save(file, SaveOptions.defaults().withOptimizerState());
    }
    String text = Files.readString(file, StandardCharsets.ISO_8859_1);
    assertTrue(text.contains(from), from);
    Files.writeString(
        file,
        text.substring(0, text.indexOf(from))
            + to
            + text.substring(text.indexOf(from) + from.length()),
        StandardCharsets.ISO_8859_1);
    assertRefused(reason);
  }

  private void assertRefused(String reason) {
    long before = FloatTensor.allocatedBytes();
    assertFails(FileFormatException.class, file + ": " + reason, () -> EmbeddingBag.load(file));
    assertTrue(FloatTensor.allocatedBytes() <= before);
  }

  @Test
  void aFileWithImpossibleState_isRefused() throws IOException {
    try (EmbeddingBag bag = bag(Mode.SUM)) {
      train(bag, Optimizer.adam(0.1f), 2);
      bag.save(file, SaveOptions.defaults().withOptimizerState());
    }
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] = (byte) 0x80; // the last row's steps come last
    Files.write(file, bytes);
    assertRefused("optimizer.steps.table: element 36 = -2147483646 is negative");
    bytes[bytes.length - 1] = 0;
    bytes[bytes.length - 4 * VOCABULARY - 1] |= (byte) 0x80;
    Files.write(file, bytes);
    FileFormatException thrown =
        assertThrows(FileFormatException.class, () -> EmbeddingBag.load(file));
    assertEquals("optimizer.second.table", thrown.part());
    assertTrue(thrown.reason().endsWith("is negative, as no sum of squares"), thrown.reason());
  }

  @Test
  void aFileOfASoftmax_isNoBag() throws IOException {
    try (HierarchicalSoftmax softmax = HierarchicalSoftmax.builder(FEATURES, 11).build()) {
      softmax.save(file);
    }
    assertFalse(EmbeddingBag.isIn(file));
    assertRefused("table: is missing; there are W2, W1, b1, b2, classOf, slotOf");
  }

  @Test
  void whatIsInAFile_canBeAskedOfOneAlone() throws IOException {
    assertThrows(NoSuchFileException.class, () -> EmbeddingBag.isIn(file));
    try (EmbeddingBag bag = bag(Mode.MEAN);
        EmbeddingBag narrow = bag.withWeights(ElementType.INT8)) {
      narrow.save(file);
    }
    assertTrue(EmbeddingBag.isIn(file));
    TensorFile.save(file, Map.of("table", FloatTensor.zeros(VOCABULARY, FEATURES)));
    assertFalse(EmbeddingBag.isIn(file)); // a tensor of that name makes no bag
    Files.write(file, new byte[99]);
    assertThrows(FileFormatException.class, () -> EmbeddingBag.isIn(file));
  }
}
