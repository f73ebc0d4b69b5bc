// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.regex.Pattern;

/** The words of the name of a label, such as {@code card_arrival} or {@code CardArrival}. */
final class LabelName {
  private static final Pattern BETWEEN_WORDS =
      Pattern.compile("[^\\p{L}\\p{M}\\p{N}]+|(?<=\\p{Ll})(?=\\p{Lu})");

  private LabelName() {}

  static String words(String label) {
    return BETWEEN_WORDS.matcher(label).replaceAll(" ");
  }
}
