// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.ModelMetadata;
import org.blocksparse.internal.files.ModelNames;

/**
 * A scorer in the metadata of a mixture: {@code kind:name}, or {@code nearest:k:name}.
 *
 * @param k the number of nearest examples; 0 for other scorers
 */
record ScorerEntry(Kind kind, int k, String name) {
  /** The kinds of scorers; their words are the names in lower case. */
  enum Kind {
    LAYER,
    TREE,
    SPARSE,
    NEAREST
  }

  private static final Pattern TEXT =
      Pattern.compile("(?:(layer|tree|sparse)|(nearest):([1-9]\\d{0,5}|1000000)):([^:]*)");

  ScorerEntry(Kind kind, String name) {
    this(kind, 0, name);
  }

  /**
   * Parses an entry.
   *
   * @throws MalformedException if it is invalid
   */
  static ScorerEntry parse(String text) throws MalformedException {
    Matcher parts = TEXT.matcher(text);
    if (!parts.matches() || !MixtureBuilder.NAME.matcher(parts.group(4)).matches()) {
      throw wrong(text);
    }
    if (parts.group(2) != null) {
      return new ScorerEntry(Kind.NEAREST, Integer.parseInt(parts.group(3)), parts.group(4));
    }
    return new ScorerEntry(Kind.valueOf(parts.group(1).toUpperCase(Locale.ROOT)), parts.group(4));
  }

  /** Returns the exception for an entry that is wrong. */
  static MalformedException wrong(String text) {
    return ModelMetadata.wrong(
        ModelNames.MIXTURE_SCORERS + " has a wrong scorer: " + MalformedException.excerpt(text));
  }

  /** Returns whether the scorer has log probabilities of all outputs, and names of its own. */
  boolean isLogarithmic() {
    return kind == Kind.LAYER || kind == Kind.TREE;
  }

  @Override
  public String toString() {
    return kind.name().toLowerCase(Locale.ROOT) + ":" + (k == 0 ? "" : k + ":") + name;
  }
}
