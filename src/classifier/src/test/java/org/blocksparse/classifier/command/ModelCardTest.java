// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.zip.GZIPOutputStream;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.examples.ExampleReader;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.fasttext.FastTextPrograms;
import org.junit.jupiter.api.Test;

/** The facts about its training in a model's file. */
final class ModelCardTest extends Commands {
  private Map<String, String> info() {
    return runWell("info", model)
        .lines()
        .map(line -> line.split(": ", 2))
        .collect(Collectors.toMap(entry -> entry[0], entry -> entry[1], (a, b) -> b, TreeMap::new));
  }

  private static String sha256(byte[] bytes) throws NoSuchAlgorithmException {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
  }

  private void trainBriefly(Object... more) {
    Object[] first = {"train", "-o", model, "--head", "embedding", "--epochs", 2, "--dimension", 8};
    Object[] all = new Object[first.length + more.length];
    System.arraycopy(first, 0, all, 0, first.length);
    System.arraycopy(more, 0, all, first.length, more.length);
    runWell(all);
  }

  @Test
  void dayDataOptionsAndScores_areInTheFile() throws Exception {
    Path zipped = folder.resolve("train.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(zipped))) {
      Files.copy(training, out);
    }
    trainBriefly("--rate", "0.3", "--validation", test, zipped);
    Map<String, String> info = info();
    assertEquals(
        DataCard.date(System.getenv("SOURCE_DATE_EPOCH"), Clock.systemUTC()), info.get("date"));
    assertEquals("train.gz", info.get("data"));
    assertEquals(Long.toString(Files.size(zipped)), info.get("data bytes"));
    assertEquals(sha256(Files.readAllBytes(zipped)), info.get("data SHA-256"));
    assertEquals("test.txt", info.get("validation data"));
    assertEquals(sha256(Files.readAllBytes(test)), info.get("validation data SHA-256"));
    assertEquals("0.3", info.get("rate"));
    assertEquals("2", info.get("word n-grams"));
    assertEquals("P@1", info.get("validation metric"));
    try (Classifier classifier = Classifier.load(model);
        ExampleReader reader = ExampleReader.open(test)) {
      assertEquals(
          "%.4f".formatted(classifier.evaluate(reader.examples(), 1).precision(1)),
          info.get("validation P@1"));
    }
  }

  @Test
  void json_hasTheSameStrings() throws IOException {
    Files.write(model, trained);
    Map<String, String> found = new TreeMap<>();
    try (JsonParser parser = new JsonFactory().createParser(runWell("info", "--json", model))) {
      assertEquals(JsonToken.START_OBJECT, parser.nextToken());
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        assertEquals(JsonToken.VALUE_STRING, parser.nextToken());
        found.put(name, parser.getText());
      }
      assertEquals(JsonToken.END_OBJECT, parser.currentToken());
    }
    assertEquals(info(), found);
    assertEquals(Long.toString(Files.size(model)), found.get("bytes"));
  }

  @Test
  void onOneDay_equalInputMakesEqualBytes() throws IOException {
    trainBriefly(training);
    byte[] first = Files.readAllBytes(model);
    trainBriefly(training);
    assertArrayEquals(first, Files.readAllBytes(model));
  }

  @Test
  void theDay_isThatOfTheBuild_orToday() {
    Clock clock = Clock.fixed(Instant.parse("2027-01-01T23:59:59Z"), ZoneOffset.UTC);
    assertEquals("1970-01-02", DataCard.date("86400", clock));
    assertEquals("2027-01-01", DataCard.date(null, clock));
    for (String epoch : new String[] {"soon", "9223372036854775807"}) {
      assertEquals(
          "SOURCE_DATE_EPOCH: expected seconds since 1970 but was " + epoch,
          assertThrows(InvalidInputException.class, () -> DataCard.date(epoch, clock))
              .getMessage());
    }
  }

  @Test
  void allBytes_areHashed_howeverTheyAreRead() throws Exception {
    byte[] bytes = "some bytes of a file".getBytes(UTF_8);
    try (InputStream raw = new ByteArrayInputStream(bytes);
        HashedInput in = new HashedInput(raw)) {
      assertEquals(bytes[0], in.read());
      assertEquals(3, in.skip(3));
      assertEquals(2, in.read(new byte[2]));
      assertTrue(!in.markSupported());
      assertEquals(bytes.length, in.size());
      assertEquals(-1, in.read());
      assertEquals(sha256(bytes), in.sha256());
    }
  }

  @Test
  void modelOfFastText_hasACardToo() throws Exception {
    FastTextPrograms.assumeInstalled();
    model = FastTextPrograms.train(folder, "drinks", training, "-dim 3 -loss ova");
    assertEquals("fastText", info().get("program"));
    assertEquals("ova", info().get("loss"));
    assertEquals(Long.toString(Files.size(model)), info().get("bytes"));
  }
}
