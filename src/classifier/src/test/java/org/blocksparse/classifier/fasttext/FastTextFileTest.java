// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.fasttext;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.testing.Seed;
import org.blocksparse.testing.ThreadHeap;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Malformed fastText files are rejected by the name of the field, at low cost. */
class FastTextFileTest {
  /** Heap that a rejected file of some kilobytes may take, with loaded classes. */
  private static final long MOST_HEAP = 4 << 20;

  private static final int CHANGES = 1000;
  private static final String SIMPLE = "simple";
  private static final String QUANTIZED = "quantized";

  @TempDir static Path folder;
  private static final Map<String, byte[]> MODELS = new TreeMap<>();
  private static Path file;

  @BeforeAll
  static void write() throws Exception {
    FastTextPrograms.assumeInstalled();
    file = folder.resolve("model");
    Path few =
        Files.writeString(folder.resolve("few"), "__label__a x y\n__label__b z\n__label__a x\n");
    Path simple = FastTextPrograms.train(folder, SIMPLE, few, "-dim 3 -wordNgrams 2 -bucket 5");
    MODELS.put(SIMPLE, Files.readAllBytes(simple));
    Path many = Files.writeString(folder.resolve("many"), FastTextPrograms.examples(400, 260, 3));
    FastTextPrograms.train(folder, QUANTIZED, many, "-dim 3 -loss hs -minn 2 -maxn 3 -bucket 900");
    FastTextPrograms.run(
        null,
        "quantize",
        "-input",
        many,
        "-output",
        folder.resolve(QUANTIZED),
        "-qnorm",
        "-qout",
        "-cutoff",
        300);
    MODELS.put(QUANTIZED, Files.readAllBytes(folder.resolve(QUANTIZED + ".ftz")));
  }

  private static FileFormatException refused(byte[] bytes) throws IOException {
    Files.write(file, bytes);
    long before = FloatTensor.allocatedBytes();
    long heap = ThreadHeap.taken();
    FileFormatException refused =
        assertThrows(FileFormatException.class, () -> Classifier.load(file).close());
    assertTrue(ThreadHeap.taken() - heap < MOST_HEAP, refused::toString);
    assertEquals(before, FloatTensor.allocatedBytes(), refused::toString);
    assertEquals(file, refused.file());
    return refused;
  }

  @ParameterizedTest
  @ValueSource(strings = {SIMPLE, QUANTIZED})
  void oneThatIsCutAnywhereIsRefused(String name) throws IOException {
    byte[] model = MODELS.get(name);
    for (int length = 0; length < model.length; length++) {
      refused(Arrays.copyOf(model, length));
    }
    refused(Arrays.copyOf(model, model.length + 1));
  }

  @ParameterizedTest
  @CsvSource({
    "4, 13, version",
    "8, 0, dim",
    "8, 2147483647, dim",
    "8, 2147483639, input",
    "28, -1, wordNgrams",
    "28, 101, wordNgrams",
    "28, 2147483647, wordNgrams",
    "32, 5, loss",
    "36, 1, model",
    "36, 9, model",
    "40, 0, bucket",
    "40, 4, input",
    "44, -1, minn",
    "48, -1, maxn",
    "48, 101, maxn",
    "64, -1, dictionary size",
    "64, 200000000, dictionary labels",
    "68, 8, dictionary words",
    "72, 3, dictionary labels",
    "88, 1, dictionary prune size",
  })
  void theFieldIsNamed(int position, int number, String field) throws IOException {
    byte[] model = MODELS.get(SIMPLE).clone();
    little(model).putInt(position, number);
    FileFormatException refused = refused(model);
    assertTrue(refused.part().startsWith(field), refused::toString);
  }

  @Test
  void whatIsNoNumberIsRefused() throws IOException {
    byte[] model = MODELS.get(SIMPLE).clone();
    little(model).putFloat(model.length - 4, Float.NaN);
    assertEquals("output", refused(model).part());
  }

  private static ByteBuffer little(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  @ParameterizedTest
  @ValueSource(strings = {SIMPLE, QUANTIZED})
  void anyChangeIsReadOrRefused(String name) throws IOException {
    Random random = new Random(Seed.value());
    byte[] right = MODELS.get(name);
    Files.write(file, right);
    try (Classifier first = Classifier.load(file)) {
      use(first); // allocates what later uses share
    }
    int read = 0;
    for (int change = 0; change < CHANGES; change++) {
      byte[] model = right.clone();
      int position = random.nextInt(model.length - 4);
      switch (random.nextInt(3)) {
        case 0 -> model[position] = (byte) random.nextInt();
        case 1 -> little(model).putInt(position, random.nextInt(-2, 300));
        default -> little(model).putInt(position, random.nextInt());
      }
      Files.write(file, model);
      long before = FloatTensor.allocatedBytes();
      try (Classifier classifier = Classifier.load(file)) {
        read++;
        use(classifier);
      } catch (FileFormatException refused) {
        assertFalse(refused.part().isEmpty());
      } catch (InvalidInputException notFinite) {
        assertEquals("model: its weights are not finite", notFinite.getMessage());
      }
      assertEquals(before, FloatTensor.allocatedBytes());
    }
    assertTrue(read > 0 && read < CHANGES, read + " were read");
  }

  private static void use(Classifier classifier) {
    assertTrue(classifier.predict("x topic3 y <z> naïve", 3).size() >= 1);
    Example example = Example.ofText("topic1 x", classifier.labels().get(0), "none");
    assertEquals(
        1, classifier.evaluate(List.of(example).stream(), 2, 0.5, e -> {}).ranking().rows());
    assertEquals("fastText", classifier.info().get("program"));
  }
}
