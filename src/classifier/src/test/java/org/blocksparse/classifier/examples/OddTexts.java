// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.examples;

import java.util.LinkedHashMap;
import java.util.Map;

/** Texts in rare scripts, invalid texts and huge words. */
public final class OddTexts {
  private static final int MEGABYTE = 1 << 20;

  private OddTexts() {}

  /** Returns the texts by what is odd about them. */
  public static Map<String, String> all() {
    Map<String, String> texts = new LinkedHashMap<>();
    texts.put("han", "北京大学二〇二四");
    texts.put("thai", "น้ำใจประเทศไทย");
    texts.put("khmer", "ភាសាខ្មែរ");
    texts.put("burmese", "မြန်မာဘာသာ");
    texts.put("han in a row", "北京".repeat(20_000));
    texts.put("emoji", "😀👨‍👩‍👧🏳️‍🌈 🇫🇮 ❤\ufe0f");
    texts.put("emoji in a row", "👨‍👩‍👧".repeat(5000));
    texts.put("marks", "Z\u0351\u036b\u0343a\u0323\u0310l\u0321g\u0335o\u0322 \u0301");
    texts.put("marks alone", "\u0301\u0302".repeat(MEGABYTE / 4));
    texts.put("a letter with marks", "e" + "\u0301".repeat(MEGABYTE / 2));
    texts.put("first half", "\ud83d");
    texts.put("second half", "x\udc00 \udc00\ud83d");
    texts.put("halves in a row", "\ud800".repeat(MEGABYTE));
    texts.put("a word", "Q".repeat(MEGABYTE));
    texts.put("a word of many bytes", "𝒜ß".repeat(MEGABYTE / 6));
    texts.put("punctuation", "(".repeat(MEGABYTE));
    texts.put("a word and punctuation", "a" + "!\u0301".repeat(MEGABYTE / 3));
    texts.put("words between hyphens", "a-".repeat(20_000));
    texts.put("controls", "\u0000\u0001\ufeff\u202e\u200b\uffff");
    texts.put("nothing", "");
    return texts;
  }
}
