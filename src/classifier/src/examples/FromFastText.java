///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT
//DEPS org.blocksparse:blocksparse-classifier:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.classifier.*;
import org.blocksparse.classifier.fasttext.FastTextVectors;

class FromFastText {
  public static void main(String[] args) throws IOException {
    Path file = Path.of(args[0]);
    try (Classifier classifier = Classifier.load(file)) {
      System.out.println(classifier.predict("white leaves", 1).get(0).label()); // tea
    }
    try (FastTextVectors vectors = FastTextVectors.load(file);
        FloatTensor words = vectors.ofWords(List.of("green", "leaves"))) {
      System.out.println(words.shape()); // (2, 16)
    }
  }
}
