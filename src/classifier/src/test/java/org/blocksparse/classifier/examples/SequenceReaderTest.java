// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class SequenceReaderTest {
  private static ByteArrayInputStream in(String text) {
    return new ByteArrayInputStream(text.getBytes(UTF_8));
  }

  private static Sequence of(String user, String... items) {
    return new Sequence(user, List.of(items));
  }

  @Test
  void sequences() throws IOException {
    assertEquals(
        List.of(of("1", "tea", "7", "tea"), of("2"), of("3", "x")),
        SequenceReader.read("f", in("1 tea 7\n\n2\n3\tx\n1  tea\n"), SequenceFormat.SEQUENCES));
  }

  @Test
  void baskets() throws IOException {
    assertEquals(
        List.of(of("1", "tea", "7"), of("3", "tea")),
        SequenceReader.read("f", in("tea 7\n \ntea"), SequenceFormat.BASKETS));
  }

  @Test
  void eventsAreSortedByTime() throws IOException {
    String text = "u c 30\nv x 1\nu a 1.5e1\nu b 15\nu d -2\n";
    assertEquals(
        List.of(of("u", "d", "a", "b", "c"), of("v", "x")),
        SequenceReader.read("f", in(text), SequenceFormat.EVENTS));
    assertEquals(
        List.of(of("u", "d", "a"), of("u", "d", "a", "b")),
        SequenceReader.read("f", in(text), SequenceFormat.EVENTS, 15, 30));
  }

  /** Copies of their histories would take 40 GB. */
  @Test
  void eventsOfAUserShareTheirHistory() throws IOException {
    int events = 100_000;
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < events; i++) {
      text.append("u i").append(i % 50).append(' ').append(i).append('\n');
    }
    List<Sequence> all =
        SequenceReader.read(
            "f", in(text.toString()), SequenceFormat.EVENTS, 0, Double.POSITIVE_INFINITY);
    assertEquals(events, all.size());
    assertEquals(of("u", "i0", "i1"), all.get(1));
    Sequence last = all.get(events - 1);
    assertEquals(events, last.items().size());
    assertEquals(events - 1, last.withoutLast().items().size());
    assertEquals(of("u"), all.get(0).withoutLast());
  }

  @Test
  void itemsDoNotChange() {
    List<String> items = new ArrayList<>(List.of("a", "b"));
    Sequence sequence = new Sequence("u", items);
    items.set(0, "c");
    assertEquals(of("u", "a", "b"), sequence);
    assertEquals(sequence.hashCode(), of("u", "a", "b").hashCode());
    assertThrows(UnsupportedOperationException.class, () -> sequence.items().set(0, "c"));
    Sequence first = sequence.withoutLast();
    assertThrows(IndexOutOfBoundsException.class, () -> first.items().get(1));
    items.add(null);
    assertThrows(NullPointerException.class, () -> new Sequence("u", items));
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '"',
      value = {
        "u a,\"expected user, item and time but was 2 words\"",
        "u a b c,\"expected user, item and time but was 4 words\"",
        "u a monday,expected a number as the time but was 'monday'",
        "u a NaN,expected a number as the time but was 'NaN'",
      })
  void problemsNameTheLine(String line, String problem) {
    String message =
        assertThrows(
                InvalidInputException.class,
                () -> SequenceReader.read("f", in("u a 1\n" + line), SequenceFormat.EVENTS))
            .getMessage();
    assertEquals("f:2: " + problem, message);
  }

  @Test
  void bytesThatAreNotUtf8NameTheLine() {
    ByteArrayInputStream in = new ByteArrayInputStream(new byte[] {'1', ' ', (byte) 0xff});
    assertEquals(
        "f:1: is not UTF-8",
        assertThrows(
                InvalidInputException.class,
                () -> SequenceReader.read("f", in, SequenceFormat.SEQUENCES))
            .getMessage());
  }

  @Test
  void limitsNeedTimes() {
    assertThrows(
        IllegalArgumentException.class,
        () -> SequenceReader.read("f", in("1 a"), SequenceFormat.SEQUENCES, 1, 2));
    assertThrows(
        IllegalArgumentException.class,
        () -> SequenceReader.read("f", in("1 a 1"), SequenceFormat.EVENTS, Double.NaN, 2));
  }
}
