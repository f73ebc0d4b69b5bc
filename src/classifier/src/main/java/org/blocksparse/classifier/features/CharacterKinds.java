// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import java.lang.Character.UnicodeScript;

/**
 * The kind of each character of a text for {@link FeatureExtractor}: by byte of its UTF-8.
 * Characters that are newer than the JDK's Unicode do not count as letters.
 */
final class CharacterKinds {
  static final byte SPACE = 0;

  /** Part of a word: a letter or a digit, with all marks on it. */
  static final byte LETTER = 1;

  /** A word of its own, in a script without spaces between words. */
  static final byte IDEOGRAPH = 2;

  /** Punctuation that does not belong to the piece that it surrounds. */
  static final byte AROUND = 3;

  /** All other characters. */
  static final byte OTHER = 4;

  /** A byte that continues the character before it. */
  static final byte CONTINUED = 5;

  private static final String ASCII_AROUND = ".,;:!?\"'()[]{}<>";
  private static final byte[] ASCII = new byte[0x80];

  static {
    for (char c = 0; c < ASCII.length; c++) {
      boolean isLetter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
      boolean isAround = ASCII_AROUND.indexOf(c) >= 0;
      ASCII[c] = c <= ' ' ? SPACE : isLetter ? LETTER : isAround ? AROUND : OTHER;
    }
  }

  /** The first code point of scripts without spaces. */
  private static final int FIRST_WITHOUT_SPACES = 0x0E00; // Thai

  private static final int JOINER = 0x200D; // zero width joiner
  private static final int FIRST_SKIN_TONE = 0x1F3FB;
  private static final int LAST_SKIN_TONE = 0x1F3FF;
  private static final int FIRST_OF_FLAG = 0x1F1E6; // regional indicators
  private static final int LAST_OF_FLAG = 0x1F1FF;

  private static final int CONTINUATION_BITS = 6;
  private static final int CONTINUATION_MASK = 0x3F;

  private CharacterKinds() {}

  /** Returns the kind of a byte that is a character in lower case. */
  static byte ofAscii(byte b) {
    return ASCII[b];
  }

  /**
   * Returns the kinds of all bytes of a text in lower case.
   *
   * @param joinsEmoji whether an emoji is one character with its skin tone, with those that a
   *     joiner joins to it, and as a flag of two letters
   */
  static byte[] of(byte[] utf8, boolean joinsEmoji) {
    byte[] kinds = new byte[utf8.length];
    byte before = SPACE;
    int last = ' '; // 0 after the second letter of a flag
    int end;
    for (int begin = 0; begin < utf8.length; begin = end) {
      int length = length(utf8[begin]);
      end = begin + length;
      if (length == 1) {
        kinds[begin] = ofAscii(utf8[begin]);
        before = kinds[begin];
        last = utf8[begin];
        continue;
      }
      int character = character(utf8, begin, length);
      boolean isJoined = joinsEmoji && before == OTHER && isJoined(last, character);
      boolean isPart = isJoined || (before != SPACE && isPartOfWhatIsBefore(character));
      last = isJoined && isLetterOfFlag(character) ? 0 : character;
      before = isPart ? before : kind(character);
      boolean isContinued = before != SPACE; // only space separates pieces
      for (int at = begin; at < end; at++) {
        kinds[at] = isContinued && (isPart || at > begin) ? CONTINUED : before;
      }
    }
    return kinds;
  }

  /** Returns the number of bytes of a character that begins with this one; the bytes are Java's. */
  private static int length(byte first) {
    return first >= 0 ? 1 : (first & 0xE0) == 0xC0 ? 2 : (first & 0xF0) == 0xE0 ? 3 : 4;
  }

  private static int character(byte[] utf8, int begin, int length) {
    int character = utf8[begin] & (0xFF >> (length + 1));
    for (int at = begin + 1; at < begin + length; at++) {
      character = (character << CONTINUATION_BITS) | (utf8[at] & CONTINUATION_MASK);
    }
    return character;
  }

  /**
   * Returns whether a character belongs to the preceding one: marks above and below; invisible
   * joiners, hyphens and direction marks; and the sign of a long vowel, which belongs to no script.
   */
  private static boolean isPartOfWhatIsBefore(int character) {
    int type = Character.getType(character);
    return type == Character.NON_SPACING_MARK
        || type == Character.COMBINING_SPACING_MARK
        || type == Character.ENCLOSING_MARK
        || type == Character.FORMAT
        || (type == Character.MODIFIER_LETTER
            && character >= FIRST_WITHOUT_SPACES
            && UnicodeScript.of(character) == UnicodeScript.COMMON);
  }

  /** Returns whether a character belongs to the emoji before it, which ends in another. */
  private static boolean isJoined(int last, int character) {
    return (character >= FIRST_SKIN_TONE && character <= LAST_SKIN_TONE)
        || (isLetterOfFlag(last) && isLetterOfFlag(character))
        || (last == JOINER && kind(character) == OTHER);
  }

  private static boolean isLetterOfFlag(int character) {
    return character >= FIRST_OF_FLAG && character <= LAST_OF_FLAG;
  }

  private static byte kind(int character) {
    if (Character.isWhitespace(character) || Character.isSpaceChar(character)) {
      return SPACE;
    }
    if (isWithoutSpaces(character)) {
      return IDEOGRAPH;
    }
    if (Character.isLetterOrDigit(character)) {
      return LETTER;
    }
    return switch (Character.getType(character)) {
      case Character.START_PUNCTUATION,
          Character.END_PUNCTUATION,
          Character.INITIAL_QUOTE_PUNCTUATION,
          Character.FINAL_QUOTE_PUNCTUATION,
          Character.OTHER_PUNCTUATION ->
          AROUND;
      default -> OTHER;
    };
  }

  private static boolean isWithoutSpaces(int character) {
    if (character < FIRST_WITHOUT_SPACES) {
      return false;
    }
    if (Character.isIdeographic(character)) { // a zero, too, that is no letter and no digit
      return true;
    }
    return Character.isLetterOrDigit(character)
        && switch (UnicodeScript.of(character)) {
          case HAN, HIRAGANA, KATAKANA, THAI, LAO, KHMER, MYANMAR -> true;
          default -> false;
        };
  }
}
