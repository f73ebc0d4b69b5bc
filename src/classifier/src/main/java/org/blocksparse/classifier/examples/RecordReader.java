// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.commons.csv.CSVException;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;
import org.blocksparse.classifier.examples.LineParser.BadLineException;

/**
 * Reads some fields of each record of a file, by their names. It skips empty lines. Not for several
 * threads at the same time.
 */
final class RecordReader {
  private static final JsonFactory JSON =
      JsonFactory.builder()
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  /** The maximum number of columns that a message lists. */
  private static final int MOST_SHOWN = 10;

  private final LineReader lines;
  private final RecordFormat format;
  private final List<Field> fields;
  private final Text text = new Text();

  /** The rows; null before the header, and after a record that cannot be read. */
  private Iterator<CSVRecord> rows;

  private char separator;

  /** The number of columns of CSV; 0 before the header. */
  private int columns;

  /** The column of each field; -1 if there is none. */
  private int[] columnOf;

  private long line;
  private boolean malformed;

  /**
   * A field to read.
   *
   * @param names the names that it may have in the file, which has one of them
   * @param remedy the end of messages where it is missing
   * @param isRequired whether a record without the field is invalid
   */
  record Field(List<String> names, String remedy, boolean isRequired) {
    String quoted() {
      return names.stream().map(name -> "'" + name + "'").collect(Collectors.joining(" or "));
    }
  }

  RecordReader(LineReader lines, RecordFormat format, List<Field> fields) {
    this.lines = lines;
    this.format = format;
    this.fields = List.copyOf(fields);
  }

  /** Returns the number of the line where the last record begins. */
  long line() {
    return line;
  }

  /** Returns whether the last record has bytes that are not UTF-8. */
  boolean isMalformed() {
    return malformed;
  }

  /**
   * Returns the values of each field in the next record: none where the record lacks the field, one, or
   * those of an array of JSON. Null at the end.
   *
   * @throws BadLineException if the record cannot be read; the following call returns the next one
   * @throws InvalidInputException if the records that follow cannot be read, either
   */
  List<List<String>> next() throws IOException, BadLineException {
    return format == RecordFormat.JSONL ? nextObject() : nextOfColumns();
  }

  // --------------------------------------------------------------------------------- CSV, TSV

  private List<List<String>> nextOfColumns() throws IOException, BadLineException {
    if (columns == 0 && !readHeader()) {
      return null;
    }
    CSVRecord row = nextRow();
    if (row == null) {
      return null;
    }
    if (row.size() != columns) {
      throw new BadLineException(
          "expected "
              + columns
              + " fields, as the header has, but was "
              + row.size()
              + (row.size() > columns ? "; put a field with separators into quotes" : ""));
    }
    List<List<String>> values = new ArrayList<>();
    for (int column : columnOf) {
      values.add(column < 0 ? List.of() : List.of(row.get(column)));
    }
    return values;
  }

  private boolean readHeader() throws IOException, BadLineException {
    String header = text.begin();
    boolean isOfSemicolons = header.indexOf(',') < 0 && header.indexOf(';') >= 0;
    separator = format == RecordFormat.TSV ? '\t' : isOfSemicolons ? ';' : ',';
    CSVRecord row = nextRow();
    if (row == null) {
      return false;
    }
    List<String> names = row.stream().map(String::strip).toList();
    columnOf = fields.stream().mapToInt(field -> column(field, names)).toArray();
    columns = names.size();
    return true;
  }

  /**
   * Returns the column of a field in a header; -1: it has none, and the field is not required.
   *
   * @throws InvalidInputException if it has none, or several
   */
  static int column(Field field, List<String> header) {
    List<String> found = header.stream().filter(field.names::contains).toList();
    if (found.isEmpty() && field.isRequired) {
      String all =
          header.stream()
              .limit(MOST_SHOWN)
              .map(name -> "'" + LineParser.shown(name) + "'")
              .collect(Collectors.joining(", "));
      throw new InvalidInputException(
          "expected a header with the column "
              + field.quoted()
              + " but was "
              + all
              + (header.size() > MOST_SHOWN ? ", ..." : "")
              + "; "
              + field.remedy);
    }
    if (found.size() > 1) {
      boolean isTwice = found.get(0).equals(found.get(1));
      throw new InvalidInputException(
          "the header has the column '"
              + found.get(0)
              + (isTwice ? "' twice" : "' and '" + found.get(1) + "'; " + field.remedy));
    }
    return found.isEmpty() ? -1 : header.indexOf(found.get(0));
  }

  /** Returns the next record; null at the end. */
  private CSVRecord nextRow() throws IOException, BadLineException {
    text.beginRecord();
    try {
      if (rows == null) {
        rows = CSVParser.builder().setReader(text).setFormat(csv(separator)).get().iterator();
      }
      return rows.hasNext() ? rows.next() : null;
    } catch (UncheckedIOException e) {
      rows = null;
      text.skipLine();
      if (e.getCause() instanceof TooLongException tooLong) {
        throw tooLong.problem;
      }
      if (!(e.getCause() instanceof CSVException)) {
        throw e.getCause();
      }
      if (text.isEnded) { // the record may hold thousands of others
        throw new InvalidInputException("a quote is not closed; quotes within a field are doubled");
      }
      throw new BadLineException(
          "expected a separator after a closing quote; quotes within a field are doubled");
    } finally {
      line = text.firstLine == 0 ? lines.lines() : text.firstLine;
      malformed = text.isMalformed;
    }
  }

  private static CSVFormat csv(char separator) {
    return CSVFormat.RFC4180.builder().setDelimiter(separator).setIgnoreEmptyLines(true).get();
  }

  // ---------------------------------------------------------------------------------- JSON Lines

  private List<List<String>> nextObject() throws IOException, BadLineException {
    String object;
    do {
      try {
        object = lines.next();
      } finally {
        line = lines.lines();
      }
      if (object == null) {
        return null;
      }
    } while (object.isBlank());
    malformed = lines.isMalformed();
    List<List<String>> values = new ArrayList<>(Collections.nCopies(fields.size(), null));
    try (JsonParser json = JSON.createParser(object)) {
      if (json.nextToken() != JsonToken.START_OBJECT) {
        throw new BadLineException(
            "expected an object on each line but was '" + LineParser.shown(object) + "'");
      }
      while (json.nextToken() != JsonToken.END_OBJECT) {
        int field = indexOf(json.currentName());
        json.nextToken();
        if (field < 0) {
          json.skipChildren();
        } else if (values.get(field) != null) {
          throw new BadLineException(
              "has more than one of "
                  + fields.get(field).quoted()
                  + "; "
                  + fields.get(field).remedy);
        } else {
          values.set(field, values(json));
        }
      }
      if (json.nextToken() != null) {
        throw new BadLineException("expected one object on each line");
      }
    } catch (JsonProcessingException e) {
      throw new BadLineException("is no JSON: " + e.getOriginalMessage());
    }
    for (int f = 0; f < values.size(); f++) {
      if (values.get(f) == null) {
        values.set(f, missing(fields.get(f)));
      }
    }
    return values;
  }

  private static List<String> missing(Field field) throws BadLineException {
    if (field.isRequired) {
      throw new BadLineException("has no " + field.quoted() + "; " + field.remedy);
    }
    return List.of();
  }

  private int indexOf(String name) {
    for (int f = 0; f < fields.size(); f++) {
      if (fields.get(f).names.contains(name)) {
        return f;
      }
    }
    return -1;
  }

  private static List<String> values(JsonParser json) throws IOException, BadLineException {
    if (json.currentToken() == JsonToken.VALUE_NULL) {
      return List.of();
    }
    if (json.currentToken() != JsonToken.START_ARRAY) {
      return List.of(value(json));
    }
    List<String> values = new ArrayList<>();
    while (json.nextToken() != JsonToken.END_ARRAY) {
      values.add(value(json));
    }
    return values;
  }

  private static String value(JsonParser json) throws IOException, BadLineException {
    if (!json.currentToken().isScalarValue() || json.currentToken() == JsonToken.VALUE_NULL) {
      throw new BadLineException(
          "'" + json.currentName() + "': expected a string, or an array of strings");
    }
    return json.getText();
  }

  // -------------------------------------------------------------------------------------- lines

  /**
   * Reports a line that is too long, where a {@link Reader} can only throw an {@link IOException}.
   */
  private static final class TooLongException extends IOException {
    private static final long serialVersionUID = 1;

    private final transient BadLineException problem;

    TooLongException(BadLineException problem) {
      this.problem = problem;
    }
  }

  /**
   * The lines as one text. Each call reads one line only, so that a record of a pipe is complete as
   * soon as its last line is.
   */
  private final class Text extends Reader {
    /** The line with its line feed; null if the next one is to be read. */
    private String current;

    private int at;

    /** The first line of the record that is not empty; 0 if none was read. */
    private long firstLine;

    private long charactersOfRecord;
    private boolean isMalformed;
    private boolean isEnded;

    /** Returns the first line that is not empty, which is read again; empty if there is none. */
    String begin() throws IOException, BadLineException {
      beginRecord();
      try {
        while (current == null && fill()) {
          current = current.isBlank() ? null : current;
        }
      } catch (TooLongException e) {
        throw e.problem;
      }
      return current == null ? "" : current;
    }

    void beginRecord() {
      if (current == null) {
        firstLine = 0;
        charactersOfRecord = 0;
        isMalformed = false;
      }
    }

    void skipLine() {
      current = null;
    }

    /** Reads a line; false at the end. */
    private boolean fill() throws IOException {
      String next;
      try {
        next = lines.next();
      } catch (BadLineException e) {
        firstLine = lines.lines();
        throw new TooLongException(e);
      }
      if (next == null) {
        isEnded = true;
        return false;
      }
      firstLine = firstLine == 0 && !next.isEmpty() ? lines.lines() : firstLine;
      charactersOfRecord += next.length();
      isMalformed |= lines.isMalformed();
      if (charactersOfRecord > LineReader.MOST_BYTES) {
        throw new InvalidInputException(
            "a record has more than " + LineReader.MOST_BYTES + " characters: a quote is not closed");
      }
      current = next + "\n";
      at = 0;
      return true;
    }

    @Override
    public int read(char[] into, int offset, int length) throws IOException {
      if (current == null && !fill()) {
        return -1;
      }
      int count = Math.min(length, current.length() - at);
      current.getChars(at, at + count, into, offset);
      at += count;
      current = at == current.length() ? null : current;
      return count;
    }

    @Override
    public void close() {
      // The caller closes the lines.
    }
  }
}
