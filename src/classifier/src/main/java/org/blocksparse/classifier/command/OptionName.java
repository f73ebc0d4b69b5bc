// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.classifier.TrainingOptions;

/** Maps names of options in Java to those of the command. */
final class OptionName {
  /** The beginning of a message of {@link TrainingOptions}: the name of an option in Java. */
  private static final Pattern OF_JAVA = Pattern.compile("^([a-z][A-Za-z]*): expected ");

  private static final Pattern CAPITAL = Pattern.compile("[A-Z]");

  private OptionName() {}

  /** The message where an option is refused, with its name on the command line. */
  static IllegalArgumentException in(IllegalArgumentException e) {
    Matcher refused = OF_JAVA.matcher(String.valueOf(e.getMessage()));
    if (!refused.find()) {
      return e;
    }
    String name =
        CAPITAL.matcher(refused.group(1)).replaceAll(c -> "-" + c.group().toLowerCase(Locale.ROOT));
    return new IllegalArgumentException("--" + name + e.getMessage().substring(refused.end(1)), e);
  }
}
