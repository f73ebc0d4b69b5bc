// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class BatchTest {
  @Test
  void set_seesOnlyWordsOfTheSameSentence() {
    Settings settings = new Settings();
    settings.context = 3;
    settings.embedding = 2;
    settings.features = 2;
    int end = Vocabulary.END;
    int[] text = {5, 6, end, 7, 8, 9, 10, end};
    int[][] before = {
      {end, end, end}, {5, end, end}, {6, 5, end}, {end, end, end},
      {7, end, end}, {8, 7, end}, {9, 8, 7}, {10, 9, 8}
    };
    try (Batch batch = new Batch(text.length, settings)) {
      for (int position = 0; position < text.length; position++) {
        batch.set(position, text, position);
      }
      assertArrayEquals(text, batch.next);
      assertArrayEquals(Arrays.stream(before).flatMapToInt(Arrays::stream).toArray(), batch.before);
    }
  }
}
