// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.fasttext.FastTextPrograms;
import org.blocksparse.classifier.fasttext.FastTextVectors;
import org.blocksparse.testing.OptionsInAnyOrder;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training options keep earlier settings, in any order of setting. */
final class TrainingOptionsTest {
  @TempDir private static Path folder;

  @Test
  void optionsAreSetInAnyOrder() throws Exception {
    FastTextPrograms.assumeInstalled();
    Path words = Files.writeString(folder.resolve("words"), "tea leaves\n".repeat(9));
    FastTextPrograms.run(
        null, "skipgram", "-input", words, "-output", folder.resolve("model"), "-dim", 2);
    Map<Class<?>, Object> arguments = new HashMap<>();
    List<Example> examples =
        IntStream.range(0, 20).mapToObj(i -> Example.ofText("word" + i, "label" + i)).toList();
    Supplier<Map<String, String>> card = Map::of;
    BooleanSupplier stop = () -> false;
    arguments.put(int.class, 3);
    arguments.put(long.class, 7L);
    arguments.put(double.class, 0.25);
    arguments.put(String.class, "#");
    arguments.put(Stream.class, examples);
    arguments.put(Supplier.class, card);
    arguments.put(BooleanSupplier.class, stop);
    arguments.put(Path.class, Path.of("folder"));
    arguments.put(ModelHead.class, ModelHead.BOTH);
    arguments.put(TrainingListener.class, new TrainingListener() {});
    arguments.put(Workers.class, Workers.callingThread());
    TrainingOptions few = TrainingOptions.defaults().withDimension(4).withEpochs(1);
    try (FastTextVectors vectors = FastTextVectors.load(folder.resolve("model.bin"));
        Classifier model = Training.train(examples.stream(), few)) {
      arguments.put(FastTextVectors.class, vectors);
      arguments.put(Classifier.class, model);
      new OptionsInAnyOrder(arguments).check(TrainingOptions.defaults());
    }
  }
}
