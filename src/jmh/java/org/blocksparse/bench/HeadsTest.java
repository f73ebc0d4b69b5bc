// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.blocksparse.FloatTensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The benchmark of dense heads on few rows: it compares searches with all scores. */
final class HeadsTest {
  @TempDir private Path folder;

  private static float[][] vectors(int count, int features) {
    Random random = new Random(1);
    float[][] vectors = new float[count][features];
    for (float[] vector : vectors) {
      double squares = 0;
      for (int f = 0; f < features; f++) {
        vector[f] = (float) random.nextGaussian();
        squares += (double) vector[f] * vector[f];
      }
      for (int f = 0; f < features; f++) {
        vector[f] /= (float) Math.sqrt(squares);
      }
    }
    return vectors;
  }

  @Test
  void measuresSearches() {
    Heads heads = new Heads(folder, 0);
    heads.sentences(vectors(600, 64), 1_200);
    HeadRows plain = HeadRows.ofSentences(vectors(500, 32), 300);
    HeadRows softmax = new HeadRows(plain.floats(), null, FloatTensor.zeros(300), plain.queries());
    heads.head("softmax", softmax);
    heads.head("of low rank", HeadRows.widened(softmax, 700, 64));
    heads.head("stretched", HeadRows.stretched(softmax, 700, 64));
  }

  @Test
  void measuresIndexes() throws IOException {
    Map<String, Double> recalls = new Heads(folder, 0).indexes(vectors(900, 64));
    assertEquals(19, recalls.size());
    recalls.forEach(
        (name, recall) ->
            assertTrue(
                recall > (name.contains("160") ? 0.95 : 0.2), () -> name + ": recall " + recall));
  }
}
