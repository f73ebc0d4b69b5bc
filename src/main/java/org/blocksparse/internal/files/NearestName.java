// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/** Finds the known name that a misspelled one most likely means. */
public final class NearestName {
  /** The longest name that is compared: it may come from an untrusted file. */
  private static final int LONGEST = 100;

  /** The letters for each allowed edit: two change places in "tabel". */
  private static final int LETTERS_PER_EDIT = 3;

  /** The maximum number of names that a message lists. */
  private static final int MOST_NAMES = 8;

  private NearestName() {}

  /** Returns the text after "is missing": the tensor that may be meant, and the existing ones. */
  public static String insteadOf(String name, Collection<String> tensors) {
    if (tensors.isEmpty()) {
      return "; there are no tensors";
    }
    String meant = of(name, tensors).map(near -> "; did you mean " + near + "?").orElse(";");
    String shown =
        tensors.stream()
            .limit(MOST_NAMES)
            .map(MalformedException::excerpt)
            .collect(Collectors.joining(", "));
    int more = tensors.size() - MOST_NAMES;
    return meant + " there are " + shown + (more > 0 ? " and " + more + " more" : "");
  }

  /**
   * Returns the name with the fewest edits (letters inserted, deleted or replaced, case ignored),
   * up to one for about three letters; else the first that begins with at least three letters
   * given. Of several, it is the first. Empty if none is near.
   */
  public static Optional<String> of(String name, Collection<String> known) {
    if (name.length() > LONGEST) {
      return Optional.empty();
    }
    String given = name.toLowerCase(Locale.ROOT);
    String nearest = null;
    int most = Math.max(1, (given.length() + 1) / LETTERS_PER_EDIT);
    int fewest = Math.min(given.length(), most + 1); // at least one letter must be equal
    for (String candidate : known) {
      if (Math.abs(candidate.length() - given.length()) < fewest) {
        int edits = edits(given, candidate.toLowerCase(Locale.ROOT));
        if (edits < fewest) {
          fewest = edits;
          nearest = candidate;
        }
      }
    }
    if (nearest == null && given.length() >= LETTERS_PER_EDIT) {
      return known.stream()
          .filter(candidate -> candidate.regionMatches(true, 0, given, 0, given.length()))
          .findFirst();
    }
    return Optional.ofNullable(nearest);
  }

  /** Returns the edit distance of Levenshtein. */
  private static int edits(String from, String to) {
    int[] before = new int[to.length() + 1];
    for (int j = 0; j <= to.length(); j++) {
      before[j] = j;
    }
    for (int i = 1; i <= from.length(); i++) {
      int[] now = new int[to.length() + 1];
      now[0] = i;
      for (int j = 1; j <= to.length(); j++) {
        int replaced = before[j - 1] + (from.charAt(i - 1) == to.charAt(j - 1) ? 0 : 1);
        now[j] = Math.min(replaced, 1 + Math.min(before[j], now[j - 1]));
      }
      before = now;
    }
    return before[to.length()];
  }
}
