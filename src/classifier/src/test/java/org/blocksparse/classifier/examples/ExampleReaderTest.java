// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_16;
import static java.nio.charset.StandardCharsets.UTF_16LE;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.testing.ThreadHeap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ExampleReaderTest {
  private static ExampleReader reader(String text, ExampleFormat format, boolean skip)
      throws IOException {
    return ExampleReader.read(
        "input", new ByteArrayInputStream(text.getBytes(UTF_8)), format, "__label__", skip);
  }

  private static List<Example> read(String text) throws IOException {
    return reader(text, ExampleFormat.AUTO, false).examples().toList();
  }

  @Test
  void text_hasItsLabelsAnywhere() throws IOException {
    List<Example> examples =
        read("__label__a __label__b some words\n\nno label\nmore __label__c words __label__d\n");
    assertEquals(
        List.of("[a, b] some words", "[] ", "[] no label", "[c, d] more words "),
        examples.stream().map(Example::toString).toList());
  }

  @ParameterizedTest
  @CsvSource({
    "__lable__java, __lable__",
    "__Label__java, __Label__",
    "__labels__java, __labels__",
    "_label_java, _label_",
    "__label_java, __label_",
    "__label:java, __label:",
    "__label___java, ''", // a label
    "__init__, ''",
    "hello-world-again, ''",
    "java, ''",
    "'', ''"
  })
  void aPrefixThatIsNearlyRight_isFound(String word, String expected) throws IOException {
    ExampleReader reader = reader(word + " some words\n", ExampleFormat.TEXT, false);
    assertEquals(1, reader.examples().count());
    assertEquals(expected, reader.similarLabelPrefix().orElse(""));
    if (!expected.isEmpty()) {
      InvalidInputException e =
          assertThrows(InvalidInputException.class, () -> read(word + " some words\n"));
      assertTrue(
          e.getMessage().endsWith("; did you mean labelPrefix " + expected + "?"), e::getMessage);
    }
  }

  @Test
  void text_keepsAPrefixWithinAWord() throws IOException {
    Example example = read("__label__a not__label__b").get(0);
    assertEquals("[a] not__label__b", example.toString());
  }

  /** Numbers in Java's other notations are rejected: each odd form of each part, in all pairs. */
  @Test
  void sparse_takesDecimalNumbersAlone() throws IOException {
    String arabic = "\u0661";
    String fullWidth = "\uff11";
    List<String> odd =
        List.of(
            "0x1", "0x1p3", "1d", "1f", "1L", "1_0", "", " ", arabic, fullWidth, "NaN", "\u000b1");
    List<String> indices = List.of("0", "7", "007", "2147483647");
    List<String> values = List.of("1", "-1", "+1", ".5", "1.", "1.5e3", "1E-3", "1e+3", "0", "-0");
    for (String index : indices) {
      for (String value : values) {
        Example example =
            reader("1 " + index + ":" + value + "\n", ExampleFormat.SPARSE, false).next().get();
        assertArrayEquals(new int[] {Integer.parseInt(index)}, example.indices());
        assertArrayEquals(new float[] {Float.parseFloat(value)}, example.values());
      }
      for (String value : odd) {
        requireBadFeature(index + ":" + value);
      }
      for (String value : List.of("-", ".", "e3", "1e", "1-1", "1.1.1", "Infinity", "1:1")) {
        requireBadFeature(index + ":" + value);
      }
    }
    for (String value : values) {
      for (String index : odd) {
        requireBadFeature(index + ":" + value);
      }
      for (String index : List.of("+1", "-1", "1.0", "1e3")) {
        requireBadFeature(index + ":" + value);
      }
    }
  }

  @Test
  void sparse_refusesSumsThatAreNotFinite() throws IOException {
    ExampleReader reader = reader("1 2:3e38 7:1 2:3e38\n", ExampleFormat.SPARSE, true);
    assertTrue(reader.nextLine());
    assertEquals(1, reader.badLines());
  }

  private static void requireBadFeature(String feature) throws IOException {
    ExampleReader reader = reader("1 2:1 " + feature + "\n", ExampleFormat.SPARSE, true);
    assertTrue(reader.nextLine());
    assertEquals(1, reader.badLines(), feature);
  }

  @Test
  void sparse_withAndWithoutHeader() throws IOException {
    String lines = "1,22 0:0.5 7:-1e-3\n 3:1\n5\n";
    for (String text : List.of(lines, "3 8 23\n" + lines)) {
      List<Example> examples = read(text);
      assertEquals(3, examples.size());
      assertEquals(List.of("1", "22"), examples.get(0).labels());
      assertArrayEquals(new int[] {0, 7}, examples.get(0).indices());
      assertArrayEquals(new float[] {0.5f, -1e-3f}, examples.get(0).values());
      assertEquals(List.of(), examples.get(1).labels());
      assertArrayEquals(new int[] {3}, examples.get(1).indices());
      assertEquals(List.of("5"), examples.get(2).labels());
      assertArrayEquals(new int[0], examples.get(2).indices());
    }
  }

  @Test
  void gzip_isDecompressed() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream zipped = new GZIPOutputStream(bytes)) {
      zipped.write("__label__a b\n".getBytes(UTF_8));
    }
    ByteArrayInputStream in = new ByteArrayInputStream(bytes.toByteArray());
    try (ExampleReader reader =
        ExampleReader.read("zipped", in, ExampleFormat.AUTO, "__label__", false)) {
      assertEquals("[a] b", reader.examples().toList().get(0).toString());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "TEXT, __label__\u00ff b",
    "TEXT, b __label__a\u00c3",
    "SPARSE, '3,\u00ff 1:1'",
    "SPARSE, \u00e2\u0082\u00ef\u00bf\u00bd 1:1", // the last three of five bytes are valid
  })
  void labelsOfOtherBytesThanUtf8_areBad(ExampleFormat format, String bytes) throws IOException {
    byte[] file = ("\n" + bytes + "\n").getBytes(ISO_8859_1);
    ExampleReader reader =
        ExampleReader.read("input", new ByteArrayInputStream(file), format, "__label__", true);
    assertEquals(List.of(), reader.next().orElseThrow().labels());
    assertTrue(reader.next().isEmpty());
    String problem = reader.firstProblem().orElseThrow();
    assertTrue(problem.startsWith("input: line 2: a label is not UTF-8: '"), problem);
  }

  /** A replacement character means that invalid UTF-8 was replaced before. */
  @Test
  void labels_mayHaveTheCharacterThatReplacesOthers() throws IOException {
    assertEquals("[a\uFFFD] b", read("__label__a\uFFFD b\n").get(0).toString());
    assertEquals(List.of("3", "\uFFFD"), read("3,\uFFFD 1:1\n").get(0).labels());
    byte[] other = "__label__a b\u00ff".getBytes(ISO_8859_1);
    assertEquals("[a] b\uFFFD", reader(other, false).next().orElseThrow().toString());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "TEXT   | __label__ b     | line 2: a label has no name: '__label__'",
        "TEXT   | b __label__     | line 2: a label has no name",
        "SPARSE | 1,,2 3:1        | line 2: a label has no name: '1,,2'",
        "SPARSE | 1 3             | line 2: expected index:value",
        "SPARSE | 1 x:1           | line 2: expected index:value",
        "SPARSE | 1 -3:1          | line 2: expected index:value",
        "SPARSE | 1 99999999999:1 | line 2: expected index:value",
        "SPARSE | 1 3:abc         | line 2: expected index:value",
        "SPARSE | 1 3:NaN         | line 2: expected index:value",
        "SPARSE | 1 3:1e999       | line 2: expected index:value",
        "SPARSE | 1 :1            | line 2: expected index:value",
        "SPARSE | 1 2147483648:1  | line 2: expected index:value",
      })
  void badLines_areNamed_orSkippedAndCounted(ExampleFormat format, String line, String problem)
      throws IOException {
    String text = "\n" + line + "\n"; // the first line is an empty example
    ExampleReader reader = reader(text, format, false);
    assertEquals(List.of(), reader.next().orElseThrow().labels());
    InvalidInputException e = assertThrows(InvalidInputException.class, reader::next);
    assertEquals("input: " + problem, e.getMessage().substring(0, 7 + problem.length()));

    ExampleReader skipping = reader(text + "__label__a 1:1\n", format, true);
    assertEquals(2, skipping.examples().count());
    assertEquals(1, skipping.badLines());
    assertEquals(
        e.getMessage(), skipping.firstProblem().orElseThrow() + "; skipBadLines leaves it out");
  }

  @Test
  void theFormat_isWhatTheFirstLinesShow() throws IOException {
    assertEquals(
        List.of("[] no label", "[] ", "[] Meeting 10:30 tomorrow", "[] 1 2", "[a] b", "[] 1 2:3"),
        read("no label\n\nMeeting 10:30 tomorrow\n1 2\n__label__a b\n1 2:3").stream()
            .map(Example::toString)
            .toList());
    assertEquals(
        List.of("[] 0 features", "[5] 0 features", "[1] 2 features", "[not__label__a] 0 features"),
        read("\n5\n1 2:3 4:.5e-3 \nnot__label__a\n").stream().map(Example::toString).toList());
    assertEquals(0, read("3 8 23\n").size());
    assertEquals("[] 3 8 23", read("3 8 23\n__label__a b\n").get(0).toString());
  }

  @Test
  void aTextThatLooksLikeFeatures_isAText_ifALabelFollows() throws IOException {
    String text = "Genesis 1:1\nMeeting 10:30\n1 2:3\n";
    assertEquals(
        List.of("[] Genesis 1:1", "[] Meeting 10:30", "[] 1 2:3", "[a] b"),
        read(text + "__label__a b\n").stream().map(Example::toString).toList());
    ExampleReader reader = reader(text + "no label\n", ExampleFormat.AUTO, true);
    assertEquals(3, reader.examples().count());
    assertEquals(
        "input: line 4: expected index:value, with an index in [0, 2147483647] and a finite decimal"
            + " value, but was 'label'; ExampleFormat.TEXT if these are texts",
        reader.firstProblem().orElseThrow());
    ExampleReader certain = reader("no label\n", ExampleFormat.SPARSE, true);
    assertEquals(0, certain.examples().count());
    assertTrue(certain.firstProblem().orElseThrow().endsWith(" but was 'label'"));
  }

  @Test
  void whereTheFormatIsNotCertain_theMessageDoesNotAdviseToLeaveOutTexts() throws IOException {
    ExampleReader reader = reader("Genesis 1:1\nno label\n", ExampleFormat.AUTO, false);
    assertTrue(reader.nextLine());
    String message = assertThrows(InvalidInputException.class, reader::nextLine).getMessage();
    String advice = "; ExampleFormat.TEXT if these are texts, else skipBadLines leaves it out";
    assertTrue(message.endsWith(" but was 'label'" + advice), message);
  }

  @Test
  void whereNoLineTellsTheFormat_theFirstIsRefused_orAllAreLeftOut() throws IOException {
    String text = "\nhello world\n1 2\n" + "1 x:1\n".repeat(2000);
    ExampleReader reader = reader(text, ExampleFormat.AUTO, false);
    assertTrue(reader.nextLine());
    assertTrue(reader.example().isEmpty());
    String message = assertThrows(InvalidInputException.class, reader::nextLine).getMessage();
    assertEquals(
        "input: line 2: expected a text with words that begin with __label__, or labels and"
            + " features as in '3,7 10:0.5 42:1', but was 'hello world'; where no line shows"
            + " the format, give ExampleFormat.TEXT, ExampleFormat.SPARSE or, for a table,"
            + " ExampleFormat.CSV",
        message);
    ExampleReader skipping = reader(text + "__label__a b\n", ExampleFormat.AUTO, true);
    long lines = 0;
    while (skipping.nextLine()) {
      lines++;
    }
    assertEquals(2004, lines);
    assertEquals(message, skipping.firstProblem().orElseThrow());
    assertTrue(skipping.badLines() >= 1000, "bad lines: " + skipping.badLines());
  }

  private static ExampleReader reader(byte[] bytes, boolean skip) throws IOException {
    return ExampleReader.read(
        "input", new ByteArrayInputStream(bytes), ExampleFormat.AUTO, "__label__", skip);
  }

  @Test
  void linesEndWithLineFeeds_ofWindowsToo_andTheMarkOfWindowsIsNoText() throws IOException {
    List<Example> examples =
        read("\uFEFF__label__a b\r\n\uFEFF__label__c d\re\u2028f\n\r\n__label__g");
    assertEquals(
        List.of("[a] b", "[c] d\re\u2028f", "[] ", "[g] "),
        examples.stream().map(Example::toString).toList());
  }

  @Test
  void longLines_areReadWhole_andTooLongOnesAreBad() throws IOException {
    byte[] text = new byte[3 * LineReader.MOST_BYTES / 2];
    Arrays.fill(text, (byte) 'x');
    byte[] before = "__label__a ".getBytes(UTF_8);
    System.arraycopy(before, 0, text, 0, before.length);
    text[200_000] = '\n';
    System.arraycopy("\n__label__b y".getBytes(UTF_8), 0, text, text.length - 13, 13);
    ExampleReader reader = reader(text, true);
    List<Example> examples = reader.examples().toList();
    assertEquals(200_000 - before.length, examples.get(0).text().length());
    assertEquals("[b] y", examples.get(1).toString());
    assertEquals("input: line 2: has more than 8388608 bytes", reader.firstProblem().orElseThrow());
  }

  @Test
  void theLongestLines_mayEndAsOnWindows_andOneByteMoreIsBad() throws IOException {
    String longest = "x".repeat(LineReader.MOST_BYTES);
    for (String end : List.of("\n", "\r\n", "", "\r")) {
      String next = end.endsWith("\n") ? "__label__b y" : "";
      ExampleReader reader = reader(longest + end + next, ExampleFormat.TEXT, true);
      assertEquals(longest.length(), reader.next().orElseThrow().text().length());
      assertEquals(!next.isEmpty(), reader.next().isPresent());
      assertEquals(0, reader.badLines());

      reader = reader(longest + "x" + end + next, ExampleFormat.TEXT, true);
      assertEquals(!next.isEmpty(), reader.next().isPresent());
      assertEquals(
          "input: line 1: has more than 8388608 bytes", reader.firstProblem().orElseThrow());
    }
    ExampleReader reader = reader(longest + "\r\r\n__label__b y", ExampleFormat.TEXT, true);
    assertEquals("[b] y", reader.next().orElseThrow().toString());
    assertEquals(1, reader.badLines());
  }

  /** The line has one letter that takes two bytes in memory, and so do all letters then. */
  @Test
  void longFeaturesThatAreRefused_takeLittleOfTheHeap() throws IOException {
    String digits = "7".repeat(LineReader.MOST_BYTES - 10);
    for (String line : List.of("a 1:" + digits + "\u0100", "a " + digits + ":\u0100")) {
      byte[] file = line.getBytes(UTF_8);
      for (ExampleFormat format : List.of(ExampleFormat.SPARSE, ExampleFormat.AUTO)) {
        ExampleReader reader =
            ExampleReader.read("input", new ByteArrayInputStream(file), format, "__label__", false);
        long heap = ThreadHeap.taken();
        String told = assertThrows(InvalidInputException.class, reader::next).getMessage();
        long taken = ThreadHeap.taken() - heap;
        assertTrue(taken < 64 << 20, () -> taken + " bytes of the heap for " + format);
        assertTrue(told.length() < 500, () -> told.substring(0, 500));
      }
    }
  }

  /**
   * The lines have the maximum length, and letters of two bytes in memory; none shows the format.
   */
  @Test
  void longLinesThatAreRefused_takeLittleOfTheHeap() throws IOException {
    byte[] longest = new byte[LineReader.MOST_BYTES - 1];
    Arrays.fill(longest, (byte) 'x');
    byte[] wide = "日".getBytes(UTF_8);
    System.arraycopy(wide, 0, longest, longest.length - wide.length, wide.length);
    for (int before : new int[] {0, 1 << 10, (1 << 20) - 1, 1 << 20, 1 << 21, longest.length}) {
      ByteArrayOutputStream lines = new ByteArrayOutputStream();
      lines.write(longest, longest.length - before, before);
      lines.write('\n');
      lines.writeBytes(longest);
      byte[] file = lines.toByteArray();
      ExampleReader reader = reader(file, false);
      long heap = ThreadHeap.taken();
      assertThrows(
          InvalidInputException.class,
          () -> {
            while (reader.nextLine()) {}
          });
      long taken = ThreadHeap.taken() - heap;
      assertTrue(taken < 64 << 20, () -> taken + " bytes of the heap after " + before);
    }
  }

  @Test
  void linesOfVeryManyLabels_areBad() throws IOException {
    int most = LineParser.MOST_LABELS;
    String texts = "__label__a ".repeat(most);
    assertEquals(most, read(texts).get(0).labels().size());
    String features = "3:1 2:1\n" + "a,".repeat(most);
    for (String bad : List.of(texts + "__label__b", features + "b 3:1")) {
      ExampleReader reader = reader(bad, ExampleFormat.AUTO, true);
      reader.examples().forEach(example -> assertEquals(List.of(), example.labels()));
      String problem = reader.firstProblem().orElseThrow();
      assertTrue(problem.contains(": has more than 262144 labels"), problem);
    }
  }

  @Test
  void filesOfSomethingElse_areRefusedInOneLine() throws IOException {
    byte[] random = new byte[100_000];
    new Random(1).nextBytes(random);
    InvalidInputException e =
        assertThrows(InvalidInputException.class, reader(random, false)::next);
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
    assertTrue(e.getMessage().startsWith("input: line 1: expected a text with words"));
    assertTrue(e.getMessage().chars().noneMatch(Character::isISOControl), e.getMessage());
    assertEquals(List.of(), reader(new byte[0], false).examples().toList());
  }

  @Test
  void whatIsNoUtf8_isRefused_withWhatHelps() throws IOException {
    String text = "__label__a b\n__label__c d\n";
    ByteArrayOutputStream archive = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(archive)) {
      zip.putNextEntry(new ZipEntry("examples.txt"));
      zip.write(text.getBytes(UTF_8));
    }
    String utf16 = "is UTF-16; expected text in UTF-8, as <(iconv -f UTF-16 -t UTF-8 FILE)";
    assertIsForeign(utf16, text.getBytes(UTF_16)); // in the byte order that Windows does not use
    assertIsForeign(utf16, ("\uFEFF" + text).getBytes(UTF_16LE));
    assertIsForeign(
        "is a zip archive; expected text in UTF-8, as <(unzip -p FILE)", archive.toByteArray());
    assertEquals("[a] PK", read("PK\nBZh9 __label__b\n__label__a PK").get(2).toString());
  }

  /** Asserts that input is rejected, also in gzip, and that skipping lines does not help. */
  private static void assertIsForeign(String problem, byte[] input) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream zipped = new GZIPOutputStream(bytes)) {
      zipped.write(input);
    }
    for (byte[] file : List.of(input, bytes.toByteArray())) {
      for (ExampleFormat format : ExampleFormat.values()) {
        ExampleReader reader =
            ExampleReader.read("input", new ByteArrayInputStream(file), format, "__label__", true);
        assertEquals(
            "input: " + problem + " gives",
            assertThrows(IOException.class, reader::next).getMessage());
      }
    }
  }

  @Test
  void gzip_thatIsCutShort_isRefused_wherever() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream zipped = new GZIPOutputStream(bytes)) {
      zipped.write("__label__a b\n__label__a c\n".getBytes(UTF_8));
    }
    byte[] whole = bytes.toByteArray();
    for (int length = 2; length < whole.length; length++) {
      byte[] part = Arrays.copyOf(whole, length);
      IOException e =
          assertThrows(
              IOException.class,
              () -> {
                ExampleReader reader = reader(part, true);
                while (reader.next().isPresent()) {}
              });
      assertTrue(e.getMessage().startsWith("input: "), e.getMessage());
      assertTrue(e.getMessage().endsWith("ends in the middle: it is cut off"), e.getMessage());
    }
  }

  @Test
  void labelPrefixes_thatNoWordBeginsWith_areRefused() {
    for (String prefix : List.of("", " ", "a b", "a\t")) {
      assertThrows(
          IllegalArgumentException.class,
          () ->
              ExampleReader.read(
                  "input",
                  new ByteArrayInputStream(new byte[1]),
                  ExampleFormat.TEXT,
                  prefix,
                  false));
    }
  }

  @Test
  void labelPrefixes_thatNoModelCouldBeSavedWith_areRefused() {
    String longest = "#".repeat(998) + "\ud83d\ude00";
    assertEquals(longest, TrainingOptions.defaults().withLabelPrefix(longest).labelPrefix());
    assertPrefixRefused(
        longest + "#", "labelPrefix: expected at most 1000 characters but was 1001");
    for (String half : List.of("a\ud83d", "\ude00a", "\ude00\ud83d")) {
      assertPrefixRefused(half, "labelPrefix: holds half of a pair of surrogates");
    }
  }

  private static void assertPrefixRefused(String prefix, String message) {
    TrainingOptions options = TrainingOptions.defaults();
    assertEquals(
        message,
        assertThrows(IllegalArgumentException.class, () -> options.withLabelPrefix(prefix))
            .getMessage());
  }

  @Test
  void labels_endWhereWordsDo() throws IOException {
    assertEquals("[a, b] w \ford", read("__label__a\u000bw \f__label__b\0ord").get(0).toString());
  }

  @Test
  void linesThatEndWithCarriageReturnsAlone_areRefused() throws IOException {
    for (ExampleFormat format : ExampleFormat.values()) {
      for (boolean skip : new boolean[] {false, true}) { // the line would be the whole input
        ExampleReader reader = reader("__label__a b\r__label__a c\r", format, skip);
        assertEquals(
            "input: lines end with carriage returns alone; expected line feeds",
            assertThrows(IOException.class, reader::next).getMessage());
      }
    }
    assertEquals("[a] b\rc", read("__label__a b\rc\n").get(0).toString());
  }

  @Test
  void lines_areToldOneByOne_whetherTheyHoldAnExampleOrNot() throws IOException {
    ExampleReader reader = reader("2 9 4\n1 3:1\n\n1 3\n2 3:1\n", ExampleFormat.SPARSE, true);
    List<String> told = new ArrayList<>();
    while (reader.nextLine()) {
      told.add(reader.example().map(Example::toString).orElse("none"));
    }
    assertEquals(
        List.of("none", "[1] 1 features", "[] 0 features", "none", "[2] 1 features"), told);
    assertEquals(1, reader.badLines());
  }

  @Test
  void aHeader_isComparedWithWhatFollows_atTheEnd() throws IOException {
    assertEquals("", problemOfHeader("3 9 4\n1 3:1\n2 4:1\n\n")); // the empty one counts
    assertEquals("", problemOfHeader("2 9 4\n1 3:1\n2 4:1\n\n")); // or not
    assertEquals("", problemOfHeader("1 3:1\n2 4:1\n"));
    assertEquals("", problemOfHeader("3 9 4\n__label__a b\n")); // the line is a text
    assertEquals(
        "input: line 1 states 3,000 examples, but 2 follow; the file may be cut off",
        problemOfHeader("3000 9 4\n1 3:1\n1 x:1\n"));
    assertEquals(
        "input: line 1 states 1 examples, but 2 follow", problemOfHeader("1 9 4\n1 3:1\n2 4:1"));
    ExampleReader reader = reader("3 9 4\n1 3:1\n2 4:1\n", ExampleFormat.AUTO, false);
    assertEquals(2, reader.examples().limit(2).count());
    assertTrue(reader.problemOfHeader().isEmpty());
  }

  private static String problemOfHeader(String text) throws IOException {
    ExampleReader reader = reader(text, ExampleFormat.AUTO, true);
    while (reader.nextLine()) {}
    return reader.problemOfHeader().orElse("");
  }

  @Test
  void anEmptyFirstLine_isRead_beforeThereIsMore() throws IOException {
    InputStream waiting =
        new InputStream() {
          private boolean given;

          @Override
          public int read() throws IOException {
            if (given) {
              throw new IOException("would wait");
            }
            given = true;
            return '\n';
          }

          @Override
          public int read(byte[] to, int offset, int length) throws IOException {
            to[offset] = (byte) read();
            return 1;
          }
        };
    ExampleReader reader =
        ExampleReader.read("input", waiting, ExampleFormat.TEXT, "__label__", false);
    assertEquals("[] ", reader.next().orElseThrow().toString());
    assertThrows(IOException.class, reader::next);
  }

  @Test
  void ready_isALineThatIsWhole() throws IOException {
    ExampleReader reader = reader("__label__a b\n__label__a c\n__lab", ExampleFormat.AUTO, false);
    assertEquals("[a] b", reader.next().orElseThrow().toString());
    assertTrue(reader.ready());
    assertEquals("[a] c", reader.next().orElseThrow().toString());
    assertFalse(reader.ready());
  }
}
