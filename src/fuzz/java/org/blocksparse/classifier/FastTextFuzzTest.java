// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import com.code_intelligence.jazzer.junit.DictionaryEntries;
import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.Fuzzing;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.fasttext.FastTextVectors;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.BeforeAll;

class FastTextFuzzTest {
  /** The magic number and the version. */
  private static final byte[] BEGINNING = {(byte) 0xBA, 0x16, 0x4F, 0x2F, 12, 0, 0, 0};

  /** Makes the first search of the process, which allocates buffers for later ones. */
  @BeforeAll
  static void search() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(1, 2).build();
        FloatTensor x = FloatTensor.zeros(1, 1)) {
      layer.topK(x, 1);
    }
  }

  @FuzzTest(maxDuration = "8s")
  @DictionaryEntries({"__label__b\\x00", "</s>\\x00", "\\x00\\x01\\x00\\x00"})
  void files(byte[] input) throws IOException {
    byte[] file =
        ByteBuffer.allocate(BEGINNING.length + input.length).put(BEGINNING).put(input).array();
    Fuzzing.readsOrRefuses(file, FastTextFuzzTest::predict, FastTextFuzzTest::vectors);
  }

  private static void predict(Path file) throws IOException {
    try (Classifier classifier = Classifier.load(file)) {
      Fuzzing.require(classifier.predict("x y <z> w1", 2).size() > 0, "no prediction");
    } catch (InvalidInputException notFinite) {
      Fuzzing.require(
          notFinite.getMessage().equals("model: its weights are not finite"),
          notFinite.getMessage());
    }
  }

  private static void vectors(Path file) throws IOException {
    try (FastTextVectors vectors = FastTextVectors.load(file);
        FloatTensor words = vectors.ofWords(List.of("x", "w12345"));
        FloatTensor texts = vectors.ofTexts(List.of("x y <z> w1"))) {
      Fuzzing.require(words.shape().dim(1) == texts.shape().dim(1), "other dimensions");
    }
  }
}
