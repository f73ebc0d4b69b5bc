///usr/bin/env jbang "$0" "$@" ; exit $?
// SPDX-License-Identifier: Apache-2.0
//DEPS org.blocksparse:blocksparse-platform:0.1.0-SNAPSHOT
//DEPS org.blocksparse:blocksparse-classifier:0.1.0-SNAPSHOT

import java.io.IOException;
import java.nio.file.*;
import org.blocksparse.classifier.*;
import org.blocksparse.classifier.examples.*;
import org.blocksparse.classifier.training.*;

class Drinks {
  public static void main(String[] args) throws IOException {
    Path file = Files.createTempFile("drinks", ".txt");
    Files.writeString(file, "__label__tea green leaves\n__label__coffee roasted beans\n");
    Path model = Files.createTempFile("drinks", ".model");
    train(file, model);
    try (var classifier = Classifier.load(model)) {
      System.out.println(classifier.predict("black leaves", 5).get(0).label()); // tea
    }
    Files.delete(file);
    Files.delete(model);
  }

  /** Learns from a file of examples. */
  static void train(Path file, Path model) throws IOException {
    TrainingOptions options = TrainingOptions.defaults().withEpochs(10).withSeed(7);
    try (var reader = ExampleReader.open(file);
        var classifier = Training.train(reader.examples(), options)) {
      classifier.save(model);
    }
  }
}
