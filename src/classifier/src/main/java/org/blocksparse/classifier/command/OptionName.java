// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.util.Map.entry;

import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.classifier.training.TrainingOptions;

/** Maps names of options in Java to those of the command. */
final class OptionName {
  /**
   * Matches the beginning of a message of {@link TrainingOptions}: the name of an option in Java.
   */
  private static final Pattern OF_JAVA = Pattern.compile("^([a-z][A-Za-z]*): expected ");

  private static final Pattern CAPITAL = Pattern.compile("[A-Z]");

  /** The options with another name than in Java. */
  private static final Map<String, String> OTHERS =
      Map.of("initialModel", "--from", "workers", "--threads");

  /** Java terms in the advice of messages, and the equivalent options of the command. */
  private static final Map<String, String> OF_ADVICE =
      Map.ofEntries(
          entry("labelPrefix", "--label-prefix"),
          entry("ExampleFormat.TEXT", "--format text"),
          entry("ExampleFormat.SPARSE", "--format sparse"),
          entry("ExampleFormat.CSV", "--format csv"),
          entry("ExampleColumns.withText", "--text-column"),
          entry("ExampleColumns.withLabel", "--label-column"),
          entry("EventColumns.withUser", "--user"),
          entry("EventColumns.withItem", "--item"),
          entry("EventColumns.withTime", "--time"),
          entry("SequenceFormat.EVENTS", "--format events"),
          entry("SequenceFormat.SEQUENCES", "--format sequences"),
          entry("skipBadLines", "--skip-bad-lines"),
          entry("withWordNgrams(1)", "--word-ngrams 1"),
          entry("withCharNgrams(0, 0)", "--char-ngrams none"),
          entry("withMinCount", "--min-count"),
          entry("withMaxFeatures", "--max-features"),
          entry("ModelHead.EMBEDDING", "--head embedding"),
          entry("ModelHead.LINEAR", "--head linear"),
          entry("ModelHead.BOTH", "--head both"));

  private OptionName() {}

  /**
   * Returns a message of the library whose advice names options of the command. Advice is last,
   * after a semicolon: what is before it may quote the user's input.
   */
  static String inAdvice(String message) {
    int begin = message.lastIndexOf("; ");
    if (begin < 0) {
      return message;
    }
    String advice = message.substring(begin);
    for (Map.Entry<String, String> term : OF_ADVICE.entrySet()) {
      advice = advice.replace(term.getKey(), term.getValue());
    }
    return message.substring(0, begin) + advice;
  }

  /** Returns the message where an option is refused, with its name on the command line. */
  static IllegalArgumentException in(IllegalArgumentException e) {
    Matcher refused = OF_JAVA.matcher(String.valueOf(e.getMessage()));
    if (!refused.find()) {
      return e;
    }
    String message = of(refused.group(1)) + e.getMessage().substring(refused.end(1));
    return new IllegalArgumentException(message, e);
  }

  /** Returns the name on the command line of an option of {@link TrainingOptions}. */
  static String of(String java) {
    String other = OTHERS.get(java);
    return other != null
        ? other
        : "--" + CAPITAL.matcher(java).replaceAll(c -> "-" + c.group().toLowerCase(Locale.ROOT));
  }
}
