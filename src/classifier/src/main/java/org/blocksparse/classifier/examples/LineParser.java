// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.blocksparse.internal.files.NearestName;

/** Parses examples from lines. */
public final class LineParser {
  private static final Pattern HEADER =
      Pattern.compile("([0-9]{1,18})[ \t]+[0-9]{1,18}[ \t]+[0-9]{1,18}[ \t]*");
  private static final Pattern CONTROL = Pattern.compile("[\\p{Cntrl}\\p{Zl}\\p{Zp}]");
  private static final Pattern FEATURE = Pattern.compile("[0-9]+:[-+]?[0-9.]+([eE][-+]?[0-9]+)?");

  /** The longest feature: longer ones are rejected before they are copied, like numbers. */
  private static final int LONGEST_FEATURE = 1 << 10;

  /** The decoder's replacement for bytes that are not UTF-8. */
  static final char NOT_UTF_8 = '\uFFFD';

  private static final int MOST_SHOWN = 40;

  /** Matches the name of a column, in lower case. */
  private static final Pattern NAME = Pattern.compile("[a-z_][a-z0-9_.-]{0,39}|");

  /** The usual names of columns of texts and labels. */
  private static final Set<String> USUAL_COLUMNS =
      Set.of("text", "label", "labels", "category", "class", "title", "body", "sentence");

  /** The characters that users put between several labels by mistake. */
  private static final String SEPARATORS = ",;|/";

  /** The longest prefix: a longer one is a mistake, and might exceed the header of a model file. */
  private static final int LONGEST_PREFIX = 1000;

  /** The edits by which a prefix may differ to be similar. */
  private static final int MOST_EDITS = 2;

  /**
   * The maximum number of labels of a line: each is an object of many times its bytes, so more
   * would cost much before the line is rejected.
   */
  static final int MOST_LABELS = 1 << 18;

  private final String labelPrefix;
  private final boolean dropsLabels;

  LineParser(String labelPrefix) {
    this(requireLabelPrefix(labelPrefix), false);
  }

  private LineParser(String labelPrefix, boolean dropsLabels) {
    this.labelPrefix = labelPrefix;
    this.dropsLabels = dropsLabels;
  }

  /** Returns a parser that drops labels, which may then be anything. */
  LineParser withoutLabels() {
    return new LineParser(labelPrefix, true);
  }

  /** Returns a prefix that words can begin with, and that the file of a model can hold. */
  public static String requireLabelPrefix(String labelPrefix) {
    if (labelPrefix.isEmpty()) {
      throw new IllegalArgumentException("labelPrefix: expected at least one character");
    }
    if (labelPrefix.chars().anyMatch(c -> isSpace((char) c))) {
      throw new IllegalArgumentException(
          "labelPrefix: expected no white space but was '" + shown(labelPrefix) + "'");
    }
    if (labelPrefix.length() > LONGEST_PREFIX) {
      throw new IllegalArgumentException(
          "labelPrefix: expected at most "
              + LONGEST_PREFIX
              + " characters but was "
              + labelPrefix.length());
    }
    if (holdsHalf(labelPrefix)) {
      throw new IllegalArgumentException("labelPrefix: holds half of a pair of surrogates");
    }
    return labelPrefix;
  }

  /** An invalid line, and the reason. */
  static final class BadLineException extends Exception {
    private static final long serialVersionUID = 1;

    BadLineException(String message) {
      super(message);
    }
  }

  /** Returns whether a word of a line begins with the prefix of labels, as in a text. */
  boolean hasLabelOfText(String line) {
    for (int at = 0; (at = line.indexOf(labelPrefix, at)) >= 0; at++) {
      if (beginsWord(line, at)) {
        return true;
      }
    }
    return false;
  }

  /** Returns whether nothing but features follows the labels, at least one. */
  static boolean hasFeaturesOnly(String line) {
    String text = line.stripTrailing();
    int begin = nextWord(text, beginsWithLabels(text) ? endOfWord(text, 0) : 0);
    boolean hasFeature = begin < text.length();
    Matcher feature = FEATURE.matcher(text);
    while (begin < text.length()) {
      int end = endOfWord(text, begin);
      if (end - begin > LONGEST_FEATURE || !feature.region(begin, end).matches()) {
        return false;
      }
      begin = nextWord(text, end);
    }
    return hasFeature;
  }

  private static boolean isBlank(char c) {
    return c == ' ' || c == '\t';
  }

  /**
   * Returns where a word of features begins, there or after it; the end of the line if none does.
   */
  private static int nextWord(String line, int from) {
    int at = from;
    while (at < line.length() && isBlank(line.charAt(at))) {
      at++;
    }
    return at;
  }

  private static int endOfWord(String line, int begin) {
    int at = begin;
    while (at < line.length() && !isBlank(line.charAt(at))) {
      at++;
    }
    return at;
  }

  /** Returns whether what a line begins with is neither a blank nor a feature. */
  private static boolean beginsWithLabels(String line) {
    for (int at = 0; at < line.length() && !isBlank(line.charAt(at)); at++) {
      if (line.charAt(at) == ':') {
        return false;
      }
    }
    return !line.isEmpty() && !isBlank(line.charAt(0));
  }

  /** Returns the reason why a line cannot be read before the format is known. */
  BadLineException ofNoFormat(String line) {
    String advice =
        similarPrefix(line)
            .map(prefix -> "did you mean labelPrefix " + prefix + "?")
            .orElse(
                "where no line shows the format, give ExampleFormat.TEXT, ExampleFormat.SPARSE or,"
                    + " for a table, ExampleFormat.CSV");
    return new BadLineException(
        "expected a text with words that begin with "
            + labelPrefix
            + ", or labels and features as in '3,7 10:0.5 42:1', but was '"
            + shown(line)
            + "'; "
            + advice);
  }

  /** Returns the format of records whose first line this looks like; null if it is none. */
  static RecordFormat similarRecords(String line, ExampleColumns columns) {
    if (line.startsWith("{") && line.endsWith("}") && line.contains("\":")) {
      return RecordFormat.JSONL;
    }
    boolean isTsv = line.indexOf('\t') >= 0;
    List<String> names =
        Stream.of(line.split(isTsv ? "\t" : "[,;]", -1))
            .map(name -> name.replace("\"", "").strip().toLowerCase(Locale.ROOT))
            .toList();
    boolean areNames = names.size() > 1 && names.stream().allMatch(n -> NAME.matcher(n).matches());
    if (!areNames || Collections.disjoint(names, usual(columns))) {
      return null;
    }
    return isTsv ? RecordFormat.TSV : RecordFormat.CSV;
  }

  private static Set<String> usual(ExampleColumns columns) {
    Set<String> names = new HashSet<>(USUAL_COLUMNS);
    names.add(columns.text().toLowerCase(Locale.ROOT));
    names.add(columns.label().toLowerCase(Locale.ROOT));
    return names;
  }

  /**
   * Returns the beginning of a line that may be its label prefix, with few edits between it and the
   * prefix that was given: {@code __lable__} for {@code __label__}.
   */
  Optional<String> similarPrefix(String line) {
    String word = line.substring(0, endOfWord(line, 0));
    List<String> candidates = new ArrayList<>();
    int longest = Math.min(labelPrefix.length() + MOST_EDITS, word.length() - 1);
    for (int length = longest;
        length >= labelPrefix.length() - MOST_EDITS && length > 1;
        length--) {
      if (!Character.isLetterOrDigit(word.charAt(length - 1))) {
        candidates.add(word.substring(0, length));
      }
    }
    return NearestName.of(labelPrefix, candidates);
  }

  /**
   * Returns the number of examples, if this is the header: it, that of features and that of labels.
   */
  static OptionalLong examplesOfHeader(String line) {
    Matcher header = HEADER.matcher(line);
    return header.matches()
        ? OptionalLong.of(Long.parseLong(header.group(1)))
        : OptionalLong.empty();
  }

  /** Returns the beginning of a text that may be anything, for a message. */
  public static String shown(String text) {
    String begin = text.length() <= MOST_SHOWN ? text : text.substring(0, MOST_SHOWN) + "...";
    return CONTROL.matcher(begin).replaceAll("?");
  }

  /** Adds a label, which has to have a name of its own. */
  private void add(String label, String of, List<String> labels) throws BadLineException {
    if (dropsLabels) {
      return;
    }
    if (label.isEmpty()) {
      throw new BadLineException("a label has no name: '" + shown(of) + "'");
    }
    if (labels.size() == MOST_LABELS) {
      throw new BadLineException("has more than " + MOST_LABELS + " labels");
    }
    labels.add(label);
  }

  /** Rejects too many labels. */
  static List<String> requireFew(List<String> labels) throws BadLineException {
    if (labels.size() > MOST_LABELS) {
      throw new BadLineException("has more than " + MOST_LABELS + " labels");
    }
    return labels;
  }

  /** Rejects labels with half of a surrogate pair, which only JSON can contain. */
  static List<String> requireWhole(List<String> labels) throws BadLineException {
    for (String label : labels) {
      if (holdsHalf(label)) {
        throw new BadLineException("a label holds half of a pair of surrogates");
      }
    }
    return labels;
  }

  private static boolean holdsHalf(String text) {
    return text.codePoints().anyMatch(c -> Character.getType(c) == Character.SURROGATE);
  }

  /** Rejects labels with bytes that are not UTF-8, in a line that has such bytes. */
  static void requireUtf8(List<String> labels) throws BadLineException {
    for (String label : labels) {
      if (label.indexOf(NOT_UTF_8) >= 0) {
        throw new BadLineException("a label is not UTF-8: '" + shown(label) + "'");
      }
    }
  }

  /** Parses a text: words that begin with the prefix are labels, and the rest is the text. */
  Example text(String line) throws BadLineException {
    List<String> labels = new ArrayList<>(1);
    int at = 0;
    while (line.startsWith(labelPrefix, at)) {
      at = addLabel(line, at, labels);
    }
    String text = line.substring(at);
    if (text.contains(labelPrefix)) {
      text = withoutLabels(text, labels);
    }
    return Example.ofText(text, labels);
  }

  /** Adds the label that begins here; returns where the next word begins. */
  private int addLabel(String line, int begin, List<String> labels) throws BadLineException {
    int end = begin;
    while (end < line.length() && !isSpace(line.charAt(end))) {
      end++;
    }
    String label = line.substring(begin + labelPrefix.length(), end);
    requireOne(label);
    add(label, labelPrefix, labels);
    while (end < line.length() && isSpace(line.charAt(end))) {
      end++;
    }
    return end;
  }

  /**
   * Rejects several labels in one word, such as {@code __label__a,__label__b}. fastText reads one
   * label there, which nobody intends.
   */
  private void requireOne(String label) throws BadLineException {
    int next = dropsLabels ? -1 : label.indexOf(labelPrefix);
    boolean isPrefixAWord = Character.isLetterOrDigit(labelPrefix.charAt(labelPrefix.length() - 1));
    if (next > 0 && !isPrefixAWord && SEPARATORS.indexOf(label.charAt(next - 1)) >= 0) {
      throw new BadLineException(
          "expected a space between labels but was '" + shown(labelPrefix + label) + "'");
    }
  }

  /** Returns a text without the labels in its middle, which are added to the list. */
  private String withoutLabels(String text, List<String> labels) throws BadLineException {
    StringBuilder rest = new StringBuilder(text.length());
    int at = 0;
    while (at < text.length()) {
      if (beginsWord(text, at) && text.startsWith(labelPrefix, at)) {
        at = addLabel(text, at, labels);
      } else {
        rest.append(text.charAt(at++));
      }
    }
    return rest.toString();
  }

  private static boolean beginsWord(String line, int at) {
    return at == 0 || isSpace(line.charAt(at - 1));
  }

  /**
   * Returns the words of a line, such as names of items. Other white space than of ASCII may be in
   * one.
   */
  static List<String> words(String line) {
    List<String> words = new ArrayList<>();
    for (int begin = 0, end; begin < line.length(); begin = end + 1) {
      end = begin;
      while (end < line.length() && !isSpace(line.charAt(end))) {
        end++;
      }
      if (end > begin) {
        words.add(line.substring(begin, end));
      }
    }
    return words;
  }

  /**
   * Returns whether a character ends a label. Other white space, which {@link
   * org.blocksparse.classifier.features.FeatureExtractor} knows, may be in one.
   */
  private static boolean isSpace(char c) {
    return c <= ' ';
  }

  /** Parses labels with commas between them, followed by features. */
  Example sparse(String line) throws BadLineException {
    List<String> labels = new ArrayList<>();
    int end = 0;
    if (beginsWithLabels(line)) {
      end = endOfWord(line, 0);
      addLabels(line.substring(0, end), labels);
    }
    ChunkedIntList indices = new ChunkedIntList();
    ChunkedIntList values = new ChunkedIntList();
    int begin; // words are parsed one by one: a line may have millions
    while ((begin = nextWord(line, end)) < line.length()) {
      end = endOfWord(line, begin);
      if (end - begin > LONGEST_FEATURE) {
        throw wrong(line.substring(begin, begin + LONGEST_FEATURE));
      }
      addFeature(line.substring(begin, end), indices, values);
    }
    try {
      return Example.ofFeatures(indices.toArray(), values.toFloats(), labels);
    } catch (IllegalArgumentException e) { // a sum of finite values overflows
      throw new BadLineException(e.getMessage());
    }
  }

  private void addLabels(String all, List<String> labels) throws BadLineException {
    int begin = 0;
    for (int comma; (comma = all.indexOf(',', begin)) >= 0; begin = comma + 1) {
      add(all.substring(begin, comma), all, labels);
    }
    add(all.substring(begin), all, labels);
  }

  private static void addFeature(String feature, ChunkedIntList indices, ChunkedIntList values)
      throws BadLineException {
    int colon = feature.indexOf(':');
    if (!isDecimal(feature, colon)) {
      throw wrong(feature);
    }
    try {
      int index = Integer.parseInt(feature.substring(0, Math.max(0, colon)));
      float value = Float.parseFloat(feature.substring(colon + 1));
      if (index < 0 || !Float.isFinite(value)) {
        throw wrong(feature);
      }
      indices.add(index);
      values.add(Float.floatToRawIntBits(value));
    } catch (NumberFormatException e) {
      throw wrong(feature);
    }
  }

  /**
   * Returns whether only what decimal numbers are written with is before and after the colon. Java
   * reads more than those: hexadecimal ones, digits of any script, and a type after the digits.
   */
  private static boolean isDecimal(String feature, int colon) {
    for (int at = 0; at < feature.length(); at++) {
      char c = feature.charAt(at);
      boolean isDigit = c >= '0' && c <= '9';
      if (!isDigit && at != colon && (at < colon || ".+-eE".indexOf(c) < 0)) {
        return false;
      }
    }
    return true;
  }

  private static BadLineException wrong(String feature) {
    return new BadLineException(
        "expected index:value, with an index in [0, 2147483647] and a finite decimal value, but was"
            + " '"
            + shown(feature)
            + "'");
  }
}
