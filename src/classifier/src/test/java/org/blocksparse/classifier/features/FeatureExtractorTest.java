// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.features;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.stream.Collectors.toSet;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.text.Normalizer;
import java.text.Normalizer.Form;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.apache.commons.codec.digest.MurmurHash3;
import org.blocksparse.classifier.examples.OddTexts;
import org.junit.jupiter.api.Test;

final class FeatureExtractorTest {
  private static long[] keys(int wordNgrams, Words words, String text) {
    LongStream.Builder keys = LongStream.builder();
    new FeatureExtractor(wordNgrams, words, CharacterNgrams.NONE).of(text, keys::add);
    return keys.build().toArray();
  }

  private static long[] words(String... words) {
    return Arrays.stream(words)
        .mapToLong(
            word -> MurmurHash3.hash128x64(word.getBytes(UTF_8), 0, length(word), 0)[0] >>> 24)
        .toArray();
  }

  private static int length(String word) {
    return word.getBytes(UTF_8).length;
  }

  private static void assertWords(String text, String... expected) {
    long[] actual = keys(1, Words.LETTERS, text);
    assertEquals(
        Arrays.toString(LongStream.of(words(expected)).sorted().toArray()),
        Arrays.toString(LongStream.of(actual).sorted().toArray()),
        text);
  }

  /** Files of models have these keys: they are those of Guava's murmur3_128(0) and BigInteger. */
  @Test
  void keysStayTheSame() {
    assertEquals(
        Set.of(
            0x8f0b435f01L, // fresh
            0xca825f201bL, // green
            0x7de63eab1cL, // leaves
            0x6fb5ccbfb9L, // fresh green
            0xbeb3b6a3f6L, // green leaves
            0xb556340fcbL), // fresh green leaves
        LongStream.of(keys(3, Words.LETTERS, "Fresh green leaves")).boxed().collect(toSet()));
    assertEquals(
        List.of(0xb30e725b9cL), LongStream.of(keys(3, Words.LETTERS, "北")).boxed().toList());
  }

  @Test
  void wordsAreRunsOfLettersAndDigits_inLowerCase() {
    assertWords("The quick  fox\tjumps", "the", "quick", "fox", "jumps");
    assertWords("A dog, (a \"cat\")!", "a", "dog", "a", "cat");
    assertWords("Größe наука", "größe", "наука");
    assertWords(" ");
    assertWords("");
  }

  @Test
  void whatHasSeveralWordsOrNone_isAFeatureAsAWhole() {
    assertWords("libc6-dev,", "libc6", "dev", "libc6-dev");
    assertWords("C++ 3.5", "c", "c++", "3", "5", "3.5");
    assertWords("a && b ...", "a", "&&", "b");
    assertWords("-x", "x", "-x");
  }

  /** Returns the words by a second implementation of the rule for ASCII. */
  private static List<String> asciiWords(String text) {
    List<String> words = new ArrayList<>();
    for (String piece : text.toLowerCase(Locale.ROOT).split("[\\x00-\\x20]+", -1)) {
      String bare = piece.replaceAll("^[.,;:!?\"'()\\[\\]{}<>]+|[.,;:!?\"'()\\[\\]{}<>]+$", "");
      List<String> runs =
          Arrays.stream(bare.split("[^a-z0-9]+", -1)).filter(run -> !run.isEmpty()).toList();
      words.addAll(runs);
      if (!bare.isEmpty() && !runs.equals(List.of(bare))) {
        words.add(bare);
      }
    }
    return words;
  }

  @Test
  void anyTextInAscii_hasTheWordsOfTheRule_besideOthersToo() {
    Random random = new Random(5);
    for (int trial = 0; trial < 2000; trial++) {
      StringBuilder text = new StringBuilder();
      int length = random.nextInt(40);
      for (int i = 0; i < length; i++) {
        boolean isAny = random.nextInt(3) == 0;
        text.append(isAny ? (char) random.nextInt(0x80) : "ab1 .-".charAt(random.nextInt(6)));
      }
      List<String> words = asciiWords(text.toString());
      assertWords(text.toString(), words.toArray(String[]::new));
      List<String> more = new ArrayList<>(words);
      more.add("ж");
      assertWords(text + " Ж", more.toArray(String[]::new));
    }
  }

  @Test
  void punctuationIsNoPartOfAWord_inAnyScript() {
    assertWords("«Привет, мир!»", "привет", "мир");
    assertWords("“quoted” text…", "quoted", "text");
    assertWords("¿Qué? L’été", "qué", "l", "été", "l’été");
    assertWords("one—two", "one", "two", "one—two");
    assertWords("😀 a😀", "😀", "a", "a😀");
    assertWords("5€ m²", "5", "5€", "m", "m²");
    assertWords("۔ नमस्ते।", "नमस्ते");
  }

  @Test
  void whiteSpaceSeparates_thatIsNotAscii() {
    assertWords("a\u00a0b\u3000c\u2028d\u2003e", "a", "b", "c", "d", "e");
    assertWords("\u3000", new String[0]);
  }

  @Test
  void marks_belongToWhatTheyAreOn() {
    assertWords("e\u0301te\u0301 क्षि", "e\u0301te\u0301", "क्षि");
    assertWords("می\u200cخواهم", "می\u200cخواهم");
    assertWords("❤\ufe0f", "❤\ufe0f");
    assertWords("donau\u00addampf", "donau\u00addampf");
    assertWords("\u0301 (\u0301)", "\u0301");
  }

  @Test
  void whereThereAreNoSpaces_eachCharacterIsAWord_andTwoInARowAPair() {
    assertWords("北京大学。", "北", "京", "大", "学");
    assertWords("ラーメンを", "ラー", "メ", "ン", "を");
    assertWords("น้ำใจ", "น้", "ำ", "ใ", "จ");
    assertWords("iPhone手机", "iphone", "手", "机");
    assertWords("𠮷野", "𠮷", "野");
    assertWords("二〇二四", "二", "〇", "二", "四");
    assertWords("한국어 1.5", "한국어", "1", "5", "1.5");
    long[] pair = keys(2, Words.LETTERS, "北京");
    assertEquals(3, pair.length);
    assertEquals(pair[2], keys(2, Words.LETTERS, "去北京")[4], "the same pair");
    assertNotEquals(pair[2], keys(2, Words.LETTERS, "京北")[2]);
  }

  /**
   * Each script contributes two characters, letters and digits, with and without spaces between
   * words.
   */
  @Test
  void eachScriptHasItsWords() {
    List<String> without =
        List.of("北京", "〇二", "ひら", "カタ", "ｶﾀ", "ไท", "๑๒", "ລາ", "໑໒", "ខម", "១២", "မြန", "၁၂");
    for (String word : without) {
      String[] characters = word.split("(?<!^)(?!\\p{M}|$)");
      assertEquals(2, characters.length, word);
      assertWords(word, characters);
    }
    List<String> with =
        List.of(
            "ab", "ñß", "αβ", "жд", "հա", "אב", "سل", "नम", "বা", "ਪੰ", "ગુ", "தமி", "తె", "ಕನ",
            "മല", "සිං", "བོད", "ქარ", "አማ", "한국", "ㄅㄆ", "ᠮᠣ", "१२", "٣٤");
    for (String word : with) {
      assertWords(word, word);
    }
  }

  @Test
  void halfAPairOfSurrogates_isWhatJavaMakesOfIt() {
    assertWords("ж\ud800ж", "ж", "ж", "ж?ж");
  }

  @Test
  void plainWordsAreWhatWhiteSpaceSeparates() {
    assertEquals(
        Arrays.toString(words("The", "libc6-dev,", "...", "北京\u3000Ж")),
        Arrays.toString(keys(1, Words.PLAIN, "The libc6-dev, ...\t北京\u3000Ж")));
  }

  @Test
  void featuresHaveTheirText() {
    for (String text :
        List.of("The C++ fox, jumps!", "Größe e\u0301te\u0301 北京 x", "", "a a a a")) {
      FeatureExtractor features = new FeatureExtractor(3, Words.LETTERS, CharacterNgrams.NONE);
      Map<Long, String> names = features.names(text);
      assertEquals(
          LongStream.of(keys(3, Words.LETTERS, text)).boxed().collect(toSet()), names.keySet());
      String cased = text.toLowerCase(Locale.ROOT);
      names.values().forEach(n -> assertTrue(cased.contains(n.split(" ", -1)[0]), n));
    }
    Map<Long, String> names =
        new FeatureExtractor(2, Words.LETTERS, CharacterNgrams.NONE).names("The C++ fox, jumps");
    assertEquals(
        Set.of("the", "c", "c++", "fox", "jumps", "the c", "c fox", "fox jumps"),
        Set.copyOf(names.values()));
    assertEquals(
        "A,",
        new FeatureExtractor(1, Words.PLAIN, CharacterNgrams.NONE)
            .names("A, b")
            .get(words("A,")[0]));
  }

  @Test
  void neighboursMakeFeatures_inTheirOrder() {
    assertEquals(3, keys(2, Words.LETTERS, "a b").length);
    assertEquals(3 + 2 + 1, keys(3, Words.LETTERS, "a b c").length);
    assertEquals(4 + 3 + 2 + 1, keys(5, Words.LETTERS, "a b c d").length);
    Set<Long> pairs = new LinkedHashSet<>();
    for (String text : List.of("a b", "b a", "a a", "ab b", "a bb")) {
      pairs.add(keys(2, Words.LETTERS, text)[2]);
    }
    assertEquals(5, pairs.size());
    assertEquals(
        keys(2, Words.LETTERS, "x a b")[4], keys(2, Words.LETTERS, "y  A,b")[4], "the same pair");
    assertNotEquals(
        keys(3, Words.LETTERS, "x a b")[5], keys(3, Words.LETTERS, "y a b")[5], "another triple");
  }

  private static void assertSymbols(String text, String... expected) {
    assertEquals(
        Arrays.toString(LongStream.of(words(expected)).sorted().toArray()),
        Arrays.toString(LongStream.of(keys(1, Words.SYMBOLS, text)).sorted().toArray()),
        text);
  }

  @Test
  void eachSymbolIsAWord_besideLettersAndPieces() {
    assertSymbols("A dog, (a \"cat\")!", "a", "dog", ",", "(", "a", "\"", "cat", "\"", ")", "!");
    assertSymbols("c++ -x", "c", "+", "+", "c++", "-", "x", "-x");
    assertSymbols("3.5€", "3", ".", "5", "€", "3.5€");
    assertSymbols("good :)", "good", ":", ")");
    assertSymbols("北京。x", "北", "京", "。", "x");
    assertSymbols("so!!!!!!?", "so", "!", "!", "!", "?");
    assertSymbols("!!!!!!", "!", "!", "!");
    assertSymbols(" ");
    long[] pairs = keys(2, Words.SYMBOLS, "fox, jumps");
    assertEquals(5, pairs.length);
    assertEquals(
        Set.of("fox", ",", "jumps", "fox,", ", jumps"),
        Set.copyOf(
            new FeatureExtractor(2, Words.SYMBOLS, CharacterNgrams.NONE)
                .names("Fox, jumps")
                .values()));
  }

  @Test
  void anEmojiIsOneWord_withWhatIsJoinedToIt() {
    String family = "\ud83d\udc68\u200d\ud83d\udc69\u200d\ud83d\udc67";
    String thumb = "\ud83d\udc4d\ud83c\udffd";
    String germany = "\ud83c\udde9\ud83c\uddea";
    String france = "\ud83c\uddeb\ud83c\uddf7";
    String heart = "\u2764\ufe0f";
    for (String emoji : List.of(family, thumb, germany, heart, "1\ufe0f\u20e3", "#\ufe0f\u20e3")) {
      assertSymbols(emoji, emoji);
    }
    assertSymbols(thumb + heart, thumb, heart, thumb + heart);
    assertSymbols(germany + france, germany, france, germany + france);
    assertSymbols("\ud83c\udde9", "\ud83c\udde9");
    assertSymbols("a\u200d" + heart, "a\u200d", heart, "a\u200d" + heart);
  }

  @Test
  void canonicallyEqualTexts_haveEqualFeatures() {
    for (String text : List.of("Été", "Ångström ﬁ", "한국어", "İstanbul", "ệ ṩ", "ΌΣ")) {
      for (Form form : List.of(Form.NFC, Form.NFD)) {
        assertEquals(
            Arrays.toString(keys(2, Words.SYMBOLS, text)),
            Arrays.toString(keys(2, Words.SYMBOLS, Normalizer.normalize(text, form))),
            text + " " + form);
      }
    }
  }

  @Test
  void charactersInARow_ofSymbols_areThoseOfPieces() {
    List<String> found = new ArrayList<>();
    byte[] bytes = "a+b, ok".getBytes(UTF_8);
    new FeatureExtractor(1, Words.SYMBOLS, CharacterNgrams.of(2, 3))
        .of(
            "a+b, ok",
            (key, group, begin, end) -> {
              if (group == FeatureGroup.CHARACTERS) {
                found.add(new String(bytes, begin, end - begin, UTF_8));
              }
            });
    assertEquals(
        List.of("a", "a+", "a+", "a+b", "+b", "+b,", "b,", "b,", ",", "o", "ok", "ok", "ok", "k"),
        found);
  }

  private static List<String> characters(int least, int most, String text) {
    List<String> found = new ArrayList<>();
    byte[] bytes = text.getBytes(UTF_8);
    new FeatureExtractor(1, Words.LETTERS, CharacterNgrams.of(least, most))
        .of(
            text,
            (key, group, begin, end) -> {
              if (group == FeatureGroup.CHARACTERS) {
                found.add(new String(bytes, begin, end - begin, UTF_8));
              }
            });
    return found;
  }

  @Test
  void charactersInARow_areThoseOfWords_withTheirEnds() {
    assertEquals(List.of("ca", "cat", "cat", "cat", "at"), characters(3, 4, "cat"));
    assertEquals(List.of("c", "ca", "at", "t"), characters(2, 2, "cat"));
    assertEquals(List.of(), characters(3, 5, "a")); // the whole word is not a feature
    assertEquals(List.of("yö", "yö"), characters(3, 3, "yö"));
    assertEquals(List.of(), characters(3, 5, "猫 犬 ประ"));
    assertEquals(List.of("𝒜b", "𝒜bc", "bc"), characters(3, 3, "𝒜bc"));
    // The begin and the end of a word give other features than the same characters inside.
    Set<Long> keys = new HashSet<>();
    int[] all = {0};
    new FeatureExtractor(1, Words.PLAIN, CharacterNgrams.of(2, 2))
        .of(
            "aa",
            (key, group, begin, end) -> {
              keys.add(key);
              all[0]++;
            });
    assertEquals(4, all[0]);
    assertEquals(4, keys.size());
  }

  @Test
  void charactersOfHostileTexts_areBounded() {
    assertTrue(characters(1, 10, "a".repeat(1 << 20)).size() <= 660);
    assertTrue(characters(1, 10, "\u0301".repeat(1 << 16)).size() <= 660);
    assertTrue(characters(3, 5, "😀".repeat(1000) + " \ud83d \udc00x").size() < 700);
  }

  private static Map<FeatureGroup, Integer> sizes(Words words, String text) {
    Map<FeatureGroup, Integer> sizes = new EnumMap<>(FeatureGroup.class);
    Stream.of(FeatureGroup.values()).forEach(group -> sizes.put(group, 0));
    new FeatureExtractor(3, words, CharacterNgrams.of(3, 5))
        .of(text, (key, group, begin, end) -> sizes.merge(group, 1, Integer::sum));
    return sizes;
  }

  /** Features are at most a few times as many as characters. */
  @Test
  void oddTexts_haveBoundedFeatures() {
    OddTexts.all()
        .forEach(
            (name, text) -> {
              Map<FeatureGroup, Integer> sizes = sizes(Words.LETTERS, text);
              int points = text.codePointCount(0, text.length());
              String message = name + " " + sizes;
              assertTrue(sizes.get(FeatureGroup.WORD) <= points, message);
              assertTrue(sizes.get(FeatureGroup.WORDS_IN_A_ROW) <= 2 * points, message);
              assertTrue(sizes.get(FeatureGroup.CHARACTERS) <= 3 * points, message);
              Map<FeatureGroup, Integer> ofSymbols = sizes(Words.SYMBOLS, text);
              assertTrue(ofSymbols.get(FeatureGroup.WORD) <= 2 * points, name + " " + ofSymbols);
              assertTrue(
                  ofSymbols.get(FeatureGroup.WORDS_IN_A_ROW) <= 2 * points, name + " " + ofSymbols);
              assertTrue(
                  ofSymbols.get(FeatureGroup.CHARACTERS) <= 3 * points, name + " " + ofSymbols);
            });
    for (String word : List.of("a word", "a word of many bytes", "a letter with marks")) {
      Map<FeatureGroup, Integer> sizes = sizes(Words.LETTERS, OddTexts.all().get(word));
      assertEquals(1, sizes.get(FeatureGroup.WORD), word);
      assertEquals(0, sizes.get(FeatureGroup.WORDS_IN_A_ROW), word);
      assertTrue(sizes.get(FeatureGroup.CHARACTERS) <= 3 * 64, word + " " + sizes);
    }
  }
}
