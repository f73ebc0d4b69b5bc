// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.LongStream;
import org.apache.commons.codec.digest.MurmurHash3;
import org.junit.jupiter.api.Test;

final class TextFeaturesTest {
  private static long[] keys(int wordNgrams, boolean plain, String text) {
    LongStream.Builder keys = LongStream.builder();
    new TextFeatures(wordNgrams, plain).of(text, keys::add);
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
    long[] actual = keys(1, false, text);
    assertEquals(
        Arrays.toString(LongStream.of(words(expected)).sorted().toArray()),
        Arrays.toString(LongStream.of(actual).sorted().toArray()),
        text);
  }

  @Test
  void wordsAreRunsOfLettersAndDigits_inLowerCase() {
    assertWords("The quick  fox\tjumps", "the", "quick", "fox", "jumps");
    assertWords("A dog, (a \"cat\")!", "a", "dog", "a", "cat");
    assertWords("Größe 北京", "größe", "北京");
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

  @Test
  void plainWordsAreWhatWhiteSpaceSeparates() {
    assertEquals(
        Arrays.toString(words("The", "libc6-dev,", "...")),
        Arrays.toString(keys(1, true, "The libc6-dev, ...")));
  }

  @Test
  void neighboursMakeFeatures_inTheirOrder() {
    assertEquals(3, keys(2, false, "a b").length);
    assertEquals(3 + 2 + 1, keys(3, false, "a b c").length);
    assertEquals(4 + 3 + 2 + 1, keys(5, false, "a b c d").length);
    Set<Long> pairs = new LinkedHashSet<>();
    for (String text : List.of("a b", "b a", "a a", "ab b", "a bb")) {
      pairs.add(keys(2, false, text)[2]);
    }
    assertEquals(5, pairs.size());
    assertEquals(keys(2, false, "x a b")[4], keys(2, false, "y  A,b")[4], "the same pair");
    assertNotEquals(keys(3, false, "x a b")[5], keys(3, false, "y a b")[5], "another triple");
  }
}
