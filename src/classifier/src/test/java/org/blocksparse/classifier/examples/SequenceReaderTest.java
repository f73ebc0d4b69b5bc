// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class SequenceReaderTest {
  private static final Duration LONG_GAP = Duration.ofSeconds(100_000_000_000L);

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
        SequenceReader.of(SequenceFormat.SEQUENCES).read("f", in("1 tea 7\n\n2\n3\tx\n1  tea\n")));
  }

  @Test
  void baskets() throws IOException {
    assertEquals(
        List.of(of("1", "tea", "7"), of("3", "tea")),
        SequenceReader.of(SequenceFormat.BASKETS).read("f", in("tea 7\n \ntea")));
  }

  @Test
  void eventsAreSortedByTime() throws IOException {
    String text = "u c 30\nv x 1\nu a 1.5e1\nu b 15\nu d -2\n";
    assertEquals(
        List.of(of("u", "d", "a", "b", "c"), of("v", "x")),
        SequenceReader.of(SequenceFormat.EVENTS).read("f", in(text)));
    assertEquals(
        List.of(of("u", "d", "a"), of("u", "d", "a", "b")),
        SequenceReader.of(SequenceFormat.EVENTS).from(15).until(30).read("f", in(text)));
  }

  /** The gap is half an hour between a and b, and a second more between b and c. */
  @ParameterizedTest
  @CsvSource({
    "0, 1800, 3601, 3602",
    "-3700, -1900, -99, -98",
    "99999996000, 99999997800, 99999999601, 99999999602",
    "1700000000001, 1700001800001, 1700003601001, 1700003601001", // milliseconds
    "1700000000000001, 1700001800000001, 1700003601000001, 1700003602000001",
    "17e17, 1700001800e9, 1700003601e9, 1700003602e9",
    "2026-12-01T23:00Z, 2026-12-01T23:30, 2026-12-02T00:00:01, 2026-12-02T01:30:01+01:00",
    "9999-01-01T00:00, 9999-01-01T00:30, 9999-01-01T01:00:01, 9999-01-01T01:30"
  })
  void aLargerGapBeginsASession(String a, String b, String c, String d) throws IOException {
    String text = "u b %s\nu a %s\nu c %s\nu d %s\n".formatted(b, a, c, d);
    SequenceReader events = SequenceReader.of(SequenceFormat.EVENTS);
    SequenceReader reader = events.withSessionGap(Duration.ofMinutes(30));
    assertEquals(List.of(of("u", "a", "b"), of("u", "c", "d")), reader.read("f", in(text)));
    assertEquals(List.of(of("u", "a", "b", "c", "d")), events.read("f", in(text)));
  }

  /** The first event of a session has none before it. */
  @Test
  void historiesOfATestByTimeEndWithTheirSession() throws IOException {
    SequenceReader reader =
        SequenceReader.of(SequenceFormat.EVENTS).withSessionGap(Duration.ofMinutes(30));
    String text = "u a 0\nu b 1800\nu c 3601\nu d 3602\n";
    assertEquals(
        List.of(of("u", "a", "b"), of("u", "c"), of("u", "c", "d")),
        reader.from(1800).read("f", in(text)));
    assertEquals(
        List.of(of("u", "a", "b"), of("u", "c")), reader.until(3602).read("f", in(text)));
  }

  @Test
  void sessionGapsAreWholeSecondsOfEvents() {
    SequenceReader reader = SequenceReader.of(SequenceFormat.EVENTS);
    for (Duration gap :
        List.of(Duration.ZERO, Duration.ofSeconds(-1), Duration.ofMillis(1500), LONG_GAP)) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> reader.withSessionGap(gap))
              .getMessage();
      assertEquals(
          "sessionGap: expected whole seconds in [1, 99999999999] but was " + gap, message);
    }
    SequenceReader other = SequenceReader.of(SequenceFormat.HISTORIES);
    assertThrows(
        IllegalArgumentException.class, () -> other.withSessionGap(Duration.ofMinutes(30)));
  }

  /** Items of one basket have no order of time, so they are predicted together. */
  @Test
  void eventsOfEqualTimesKeepTheirOrder_andAreNoBasket() throws IOException {
    SequenceReader reader = SequenceReader.of(SequenceFormat.EVENTS);
    String text = "u c 2\nu a 1\nv x 2\nu d 2.0\nu b 1\n";
    assertEquals(List.of(of("u", "a", "b", "c", "d"), of("v", "x")), reader.read("f", in(text)));
    assertEquals(
        List.of(of("u", "a", "b", "c"), of("u", "a", "b", "c", "d"), of("v", "x")),
        reader.from(2).read("f", in(text)));
    assertEquals(
        List.of(new Sequence("u", List.of("a", "b", "c", "d"), 2), of("v", "x")),
        SequenceReader.of(SequenceFormat.HISTORIES).read("f", in("u a,b c,d\nv x\n")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "EVENTS | u a | expected user, item and time but was 2 words",
        "EVENTS | u a - | expected a number or a date of ISO 8601 as the time but was '-'",
        "EVENTS | u a --1 | expected a number or a date of ISO 8601 as the time but was '--1'",
        "EVENTS | u a null | expected a number or a date of ISO 8601 as the time but was 'null'",
        "HISTORIES | u a , b | expected items with commas between them but was ','",
        "HISTORIES | u ,, | expected items with commas between them but was ',,'",
      })
  void oddLinesAreNamed(SequenceFormat format, String line, String problem) {
    String first = format == SequenceFormat.EVENTS ? "u a 1\n" : "u a\n";
    assertEquals("f:3: " + problem, problem(SequenceReader.of(format), first + "\n" + line));
  }

  @ParameterizedTest
  @ValueSource(strings = {"{\"user\":\"u\",\"item\":\"a\"}", "{\"user\":\"u\",\"item\":\"a\",\"time\":null}"})
  void objectsWithoutATimeAreNamed(String object) {
    String first = "{\"user\":\"u\",\"item\":\"a\",\"time\":1}\n";
    String message = problem(SequenceReader.of(SequenceFormat.EVENTS), first + object);
    assertTrue(message.startsWith("f:2: "), message);
    assertTrue(message.contains("time"), message);
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
        SequenceReader.of(SequenceFormat.EVENTS).from(0).read("f", in(text.toString()));
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
        "u a monday,expected a number or a date of ISO 8601 as the time but was 'monday'",
        "u a 7d,expected a number or a date of ISO 8601 as the time but was '7d'",
        "u a 0x1p3,expected a number or a date of ISO 8601 as the time but was '0x1p3'",
        "u a 1e999,expected a number or a date of ISO 8601 as the time but was '1e999'",
        "u a NaN,expected a number or a date of ISO 8601 as the time but was 'NaN'",
      })
  void problemsNameTheLine(String line, String problem) {
    String message =
        assertThrows(
                InvalidInputException.class,
                () -> SequenceReader.of(SequenceFormat.EVENTS).read("f", in("u a 1\n" + line)))
            .getMessage();
    assertEquals("f:2: " + problem, message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "rating,user_id,timestamp,item_id\n5,u,20,b\n\n3,u, 10 ,a\n",
        "\"user\";item;time\nu;\"b\";1970-01-01T00:00:20Z\nu;a;1970-01-01 00:00:10\n",
        "user_id:token\titem_id:token\ttimestamp:float\nu\tb\t2e1\nu\ta\t10\n",
        "time stars user  item\n20 5 u b\n10 4 u a\n",
        "{\"time\":20,\"user\":\"u\",\"item\":\"b\"}\n{\"item\":\"a\",\"user\":\"u\",\"time\":10}",
        "u b 1970-01-02\nu a 1970-01-01T01:00+02:00\n"
      })
  void eventsHaveAHeaderAndMoreColumns(String text) throws IOException {
    SequenceReader reader = SequenceReader.of(SequenceFormat.EVENTS);
    assertEquals(List.of(of("u", "a", "b")), reader.read("f", in(text)));
    assertEquals(List.of(of("u", "a")), reader.until(20).read("f", in(text)));
  }

  @Test
  void columnsHaveOtherNames() throws IOException {
    EventColumns columns =
        EventColumns.defaults().withUser("who").withItem("what").withTime("when");
    SequenceReader reader = SequenceReader.of(SequenceFormat.EVENTS).withColumns(columns);
    assertEquals(
        List.of(of("Ann B", "green tea")),
        reader.read("f", in("when,what,who,user\n1,green tea,Ann B,x\n")));
    String missing = "f:1: expected a header with the column 'who' but was 'u', 'a', '1'; ";
    assertTrue(problem(reader, "u a 1\n").startsWith(missing));
    assertThrows(IllegalArgumentException.class, () -> columns.withTime("who"));
    SequenceReader other = SequenceReader.of(SequenceFormat.SEQUENCES);
    assertThrows(IllegalArgumentException.class, () -> other.withColumns(columns));
  }

  private static String problem(SequenceReader reader, String text) {
    return assertThrows(InvalidInputException.class, () -> reader.read("f", in(text))).getMessage();
  }

  @Test
  void problemsOfColumnsNameTheLine() {
    SequenceReader reader = SequenceReader.of(SequenceFormat.EVENTS);
    String remedy = " names another one, and lines without a header are user, item and time";
    assertEquals(
        "f:1: expected a header with the column 'time' or 'timestamp' or 'timestamp:float' but was"
            + " 'user', 'item', 'when'; EventColumns.withTime"
            + remedy,
        problem(reader, "user,item,when\n"));
    assertEquals(
        "f:2: the header has the column 'time' and 'timestamp'; EventColumns.withTime" + remedy,
        problem(reader, "\nuser,item,time,timestamp\n"));
    String header = "user,item,time\n";
    assertEquals("f:2: the user is empty", problem(reader, header + ",a,1\n"));
    assertEquals("f:3: the item is empty", problem(reader, header + "u,a,1\nu, ,1\n"));
    assertEquals("f:2: the time is empty", problem(reader, header + "u,a,\n"));
    assertEquals(
        "f:2: expected a number or a date of ISO 8601 as the time but was '2024-02-30'",
        problem(reader, header + "u,a,2024-02-30\n"));
    assertEquals(
        "f:2: expected 4 words, as the header has, but was 3",
        problem(reader, "user item stars time\nu a 1\n"));
    // the third of four columns may be stars
    assertTrue(problem(reader, "1\t2\t5\t900\n").startsWith("f:1: expected a header with "));
  }

  @Test
  void bytesThatAreNotUtf8NameTheLine() {
    ByteArrayInputStream in = new ByteArrayInputStream(new byte[] {'1', ' ', (byte) 0xff});
    assertEquals(
        "f:1: is not UTF-8",
        assertThrows(
                InvalidInputException.class,
                () -> SequenceReader.of(SequenceFormat.SEQUENCES).read("f", in))
            .getMessage());
  }

  @Test
  void limitsNeedTimes() {
    assertThrows(
        IllegalArgumentException.class, () -> SequenceReader.of(SequenceFormat.SEQUENCES).from(1));
    for (double time : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
      SequenceReader reader = SequenceReader.of(SequenceFormat.EVENTS);
      assertThrows(IllegalArgumentException.class, () -> reader.from(time));
      assertThrows(IllegalArgumentException.class, () -> reader.until(time));
    }
  }

  /** The rule is the same in the middle and at the end of a line. */
  @Test
  void whiteSpaceOutsideOfAsciiIsPartOfAName() throws IOException {
    for (String space : List.of("\u2003", "\u3000", "\u00a0")) {
      String name = "a" + space;
      assertEquals(
          List.of(of("u", name, "b", name)),
          SequenceReader.of(SequenceFormat.SEQUENCES)
              .read("f", in("u %s b\u001f%s\n".formatted(name, name))));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "u a 1\nv a 2\nu b 3\n",
        "user item time\nu a 1\nu b -2.5e3\n",
        "user item stars time\nu a 5 1\nu b 3 2\n",
        "1 4 5 100\n1 7 3 101\n"
      })
  void eventsAreNoSequences(String events) throws IOException {
    SequenceReader reader = SequenceReader.of(SequenceFormat.SEQUENCES);
    String message =
        assertThrows(
                InvalidInputException.class, () -> reader.refusingEvents().read("f", in(events)))
            .getMessage();
    assertTrue(message.startsWith("f: looks like events: each line has "), message);
    assertFalse(reader.read("f", in(events)).isEmpty());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "1 4 5\n2 7 3\n3 4 9\n", // each user once
        "1 4 5\n1 7\n",
        "1 4 5 6 7\n1 4 5 6 8\n",
        "u a b\nu a c\n",
        "u a b\nu a 1\nu a c\n"
      })
  void sequencesAreNoEvents(String sequences) throws IOException {
    SequenceReader reader = SequenceReader.of(SequenceFormat.SEQUENCES);
    assertEquals(reader.read("f", in(sequences)), reader.refusingEvents().read("f", in(sequences)));
  }
}
