// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_16;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PipedInputStream;
import java.io.PipedOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Examples in CSV, TSV and JSON Lines. */
final class RecordReaderTest {
  private static final ExampleColumns COLUMNS = ExampleColumns.defaults();

  private static ExampleReader reader(ExampleFormat format, byte[] bytes, boolean skips)
      throws IOException {
    InputStream in = new ByteArrayInputStream(bytes);
    return ExampleReader.read("in", in, format, ExampleReader.DEFAULT_LABEL_PREFIX, skips);
  }

  private static List<String> read(ExampleFormat format, String text, ExampleColumns columns)
      throws IOException {
    try (ExampleReader reader = reader(format, text.getBytes(UTF_8), false).withColumns(columns)) {
      return reader.examples().map(Example::toString).toList();
    }
  }

  private static void refused(String message, ExampleFormat format, String text) {
    refused(message, format, text.getBytes(UTF_8));
  }

  private static void refused(String message, ExampleFormat format, byte[] bytes) {
    String found =
        assertThrows(
                Exception.class,
                () -> {
                  try (ExampleReader reader = reader(format, bytes, false)) {
                    while (reader.nextLine()) {
                      assertTrue(reader.line() > 0);
                    }
                  }
                })
            .getMessage();
    assertEquals(message, found);
  }

  @Test
  void csv() throws IOException {
    String text =
        "\uFEFFid, text ,label\r\n1,green leaves,tea\r\n\r\n2,\"a, \"\"b\"\"\nand c\",\n3,5\" x, y \n";
    assertEquals(
        List.of("[tea] green leaves", "[] a, \"b\"\nand c", "[y] 5\" x"),
        read(ExampleFormat.CSV, text, COLUMNS));
  }

  @Test
  void semicolonsOfExcel_andTabs() throws IOException {
    assertEquals(
        List.of("[tea] a, b"), read(ExampleFormat.CSV, "text;label\na, b;tea\n", COLUMNS));
    assertEquals(
        List.of("[tea] a, \"b;"),
        read(ExampleFormat.TSV, "label\ttext\ntea\ta, \"b;\n", COLUMNS));
  }

  @Test
  void severalLabels() throws IOException {
    ExampleColumns columns =
        COLUMNS.withText("body").withLabel("tags").withLabelSeparator("|");
    assertEquals(
        List.of("[tea, black tea] x", "[] y"),
        read(ExampleFormat.CSV, "tags,body\ntea| black tea|,x\n,y\n", columns));
    assertEquals(
        List.of("[tea| black tea|] x"),
        read(
            ExampleFormat.CSV, "tags,body\ntea| black tea|,x\n", columns.withLabelSeparator("")));
    assertEquals(
        List.of("[a, b] x", "[7] y", "[true] z", "[] ", "[] w"),
        read(
            ExampleFormat.JSONL,
            """
            {"text": "x", "label": ["a", "b"], "other": {"text": [1]}}

            {"label": 7, "text": "y"}
            {"label": true, "text": "z"}
            {"label": [], "text": null}
            {"text": "w"}
            """,
            COLUMNS));
  }

  @ParameterizedTest
  @CsvSource({
    "a.csv,CSV", "b/a.CSV.gz,CSV", "a.tsv.zst,TSV", "a.jsonl,JSONL", "a.ndjson,JSONL", "a.txt,",
    "csv,", "a.csv.txt,", "a.json,"
  })
  void anExtensionNamesTheFormat(String name, RecordFormat format) {
    assertEquals(Optional.ofNullable(format), RecordFormat.ofName(name));
  }

  @Test
  void aFileIsReadByItsExtension(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("a.jsonl"), "{\"text\":\"x\",\"label\":\"a\"}\n");
    try (ExampleReader reader = ExampleReader.open(file)) {
      assertEquals(ExampleFormat.JSONL, reader.format());
      assertEquals(List.of("[a] x"), reader.examples().map(Example::toString).toList());
    }
  }

  @Test
  void labelsMayBeMissing_whereTheyDoNotMatter() throws IOException {
    byte[] bytes = "text\nx\n".getBytes(UTF_8);
    try (ExampleReader reader = reader(ExampleFormat.CSV, bytes, false).withoutLabels()) {
      assertEquals(List.of("[] x"), reader.examples().map(Example::toString).toList());
    }
    refused(
        "in: line 1: expected a header with the column 'label' but was 'text';"
            + " ExampleColumns.withLabel names another one",
        ExampleFormat.CSV,
        bytes);
  }

  @Test
  void whatIsWrong_isNamedWithItsLine() {
    String skipping = "; skipBadLines leaves it out";
    String remedy =
        "; ExampleColumns.withText names another one, ExampleFormat.TEXT reads lines without"
            + " columns";
    refused(
        "in: line 2: expected a header with the column 'text' but was 'I love tea', 'drink'"
            + remedy,
        ExampleFormat.CSV,
        "\nI love tea,drink\nx,y\n");
    refused(
        "in: line 1: the header has the column 'text' twice",
        ExampleFormat.CSV,
        "text,label,text\n");
    refused(
        "in: line 4: expected 2 fields, as the header has, but was 3; put a field with separators"
            + " into quotes"
            + skipping,
        ExampleFormat.CSV,
        "text,label\n\"a\nb\",c\na,b,c\n");
    refused(
        "in: line 2: expected 2 fields, as the header has, but was 1" + skipping,
        ExampleFormat.CSV,
        "text,label\na\n");
    refused(
        "in: line 3: a quote is not closed; quotes within a field are doubled",
        ExampleFormat.CSV,
        "text,label\na,b\n\"half,c\nd,e\n");
    refused(
        "in: line 2: expected a separator after a closing quote; quotes within a field are doubled"
            + skipping,
        ExampleFormat.CSV,
        "text,label\n\"half\" open,c\nd,e\n");
    refused(
        "in: line 1: a record has more than 8388608 characters: a quote is not closed",
        ExampleFormat.CSV,
        "\"text,label\n" + "abcdefg\n".repeat(2 << 20));
    refused(
        "in: is UTF-16; expected text in UTF-8, as <(iconv -f UTF-16 -t UTF-8 FILE) gives",
        ExampleFormat.CSV,
        "text,label\na,b\n".getBytes(UTF_16));
    refused(
        "in: line 2: a label is not UTF-8: '\uFFFDclair'" + skipping,
        ExampleFormat.CSV,
        "text,label\nx,\u00e9clair\n".getBytes(ISO_8859_1));
    refused(
        "in: line 2: has no 'text'" + remedy + skipping,
        ExampleFormat.JSONL,
        "\n{\"Text\":\"x\"}\n");
    refused(
        "in: line 1: expected an object on each line but was '['" + skipping,
        ExampleFormat.JSONL,
        "[\n{\"text\":\"x\"}]\n");
    refused(
        "in: line 1: expected one object on each line" + skipping,
        ExampleFormat.JSONL,
        "{\"text\":\"x\",\"label\":1}{}\n");
    refused(
        "in: line 1: 'label': expected a string, or an array of strings" + skipping,
        ExampleFormat.JSONL,
        "{\"text\":\"x\",\"label\":{\"a\":1}}\n");
    refused(
        "in: line 1: 'text': expected one text but was an array of 2" + skipping,
        ExampleFormat.JSONL,
        "{\"text\":[\"x\",\"y\"],\"label\":1}\n");
    refused(
        "in: line 2: a label holds half of a pair of surrogates" + skipping,
        ExampleFormat.JSONL,
        "{\"text\":\"\\ud83d\",\"label\":\"\\ud83d\\ude00\"}\n{\"text\":\"x\",\"label\":[\"a\",\"\\ude00\"]}\n");
  }

  @Test
  void badRecordsAreLeftOut_andTheNextOnesRead() throws IOException {
    String text = "text,label\na,b\nc\n\"d\"e,f\ng,h,i\nj,\"k\nl\"\n" + "m".repeat(9 << 20) + ",n\no,p\n";
    try (ExampleReader reader = reader(ExampleFormat.CSV, text.getBytes(UTF_8), true)) {
      assertEquals(
          List.of("[b] a", "[k\nl] j", "[p] o"), reader.examples().map(Example::toString).toList());
      assertEquals(4, reader.badLines());
      assertEquals(
          Optional.of("in: line 3: expected 2 fields, as the header has, but was 1"),
          reader.firstProblem());
      assertEquals(9, reader.line());
    }
    String objects = "{\"text\":\"a\",\"label\":1}\n{\"text\n{\"text\":\"b\",\"label\":2}\n";
    try (ExampleReader reader = reader(ExampleFormat.JSONL, objects.getBytes(UTF_8), true)) {
      assertEquals(List.of("[1] a", "[2] b"), reader.examples().map(Example::toString).toList());
      assertEquals(1, reader.badLines());
    }
  }

  /** An unclosed quote would skip the rest of the file. */
  @Test
  void aQuoteThatIsNotClosedIsNeverLeftOut() throws IOException {
    byte[] bytes = "text,label\n\"a,b\nc,d\n".getBytes(UTF_8);
    try (ExampleReader reader = reader(ExampleFormat.CSV, bytes, true)) {
      assertThrows(InvalidInputException.class, reader::nextLine);
    }
  }

  /** An answer must not wait for the next record. */
  @Test
  void aRecordOfAPipeIsReadOnceItIsThere() throws IOException {
    try (PipedInputStream in = new PipedInputStream(1 << 10);
        PipedOutputStream out = new PipedOutputStream(in)) {
      out.write("text\na\n".getBytes(UTF_8));
      out.flush();
      try (ExampleReader reader =
          ExampleReader.read("in", in, ExampleFormat.CSV, "__label__", false).withoutLabels()) {
        assertEquals("[] a", reader.next().orElseThrow().toString());
        assertFalse(reader.ready());
        out.write("b\nc\n".getBytes(UTF_8));
        out.flush();
        assertEquals("[] b", reader.next().orElseThrow().toString());
        assertTrue(reader.ready());
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "id,text,label             | CSV",
        "Title;Category            | CSV",
        "{\"text\": \"x\"}         | JSONL",
        "I like tea, coffee        |",
        "tea,coffee                |",
        "one text                  |",
        "text                      |"
      })
  void aTextThatLooksLikeARecordIsNoticed(String line, RecordFormat format) throws IOException {
    try (ExampleReader reader = reader(ExampleFormat.TEXT, line.getBytes(UTF_8), false)) {
      assertTrue(reader.nextLine());
      assertEquals(Optional.ofNullable(format), reader.similarFormat());
    }
  }
}
