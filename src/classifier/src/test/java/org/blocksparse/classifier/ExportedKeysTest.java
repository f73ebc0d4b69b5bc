// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.blocksparse.IntTensor;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.training.Training;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.io.NpzFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Keys of features, made by the recipe on the page of the classifier. */
final class ExportedKeysTest {
  private static final TrainingOptions SMALL =
      TrainingOptions.defaults().withHead(ModelHead.EMBEDDING).withDimension(16);

  @TempDir private Path folder;

  /** The keys equal those by the page's recipe, with Guava's murmur3_128(0) and BigInteger. */
  @Test
  void export_hasKeysThatOthersCanMake() throws IOException {
    Set<Long> expected =
        Set.of(
            0x8f0b435f01L, // fresh
            0xca825f201bL, // green
            0x7de63eab1cL, // leaves
            0xb30e725b9cL, // 北
            0x6fb5ccbfb9L, // fresh green
            0xbeb3b6a3f6L, // green leaves
            0xb556340fcbL); // fresh green leaves
    Example text = Example.ofText("Fresh green leaves", "tea");
    TrainingOptions options = SMALL.withWordNgrams(3).withMinCount(1).withEpochs(1);
    assertEquals(expected, exportedKeys(Stream.of(text, Example.ofText("北", "north")), options));
    int[] indices = {0, 7, Integer.MAX_VALUE};
    Example features = Example.ofFeatures(indices, new float[] {1, 1, 1}, List.of("x"));
    assertEquals(
        Set.of(0L, 7L, (long) Integer.MAX_VALUE), exportedKeys(Stream.of(features), options));
  }

  private Set<Long> exportedKeys(Stream<Example> examples, TrainingOptions options)
      throws IOException {
    Path npz = folder.resolve("keys.npz");
    try (Classifier classifier = Training.train(examples, options)) {
      classifier.export(npz);
    }
    try (NpzFile file = NpzFile.open(npz);
        IntTensor keys = file.ints("keys")) {
      Set<Long> whole = new HashSet<>();
      for (long row = 0; row < keys.shape().dim(0); row++) {
        whole.add(
            ((long) keys.get(row, 0) << Integer.SIZE) + Integer.toUnsignedLong(keys.get(row, 1)));
      }
      return whole;
    }
  }
}
