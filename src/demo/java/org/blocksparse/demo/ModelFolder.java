// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.NpyFile;
import org.blocksparse.io.NpzFile;
import org.blocksparse.softmax.HierarchicalSoftmax;
import picocli.CommandLine;

/**
 * A trained model on disk: the softmax, which is nearly all of it, as a file to be mapped; what
 * comes before it as NumPy arrays; the words as text, one on each line.
 */
record ModelFolder(LanguageModel model, Vocabulary vocabulary) implements AutoCloseable {
  private static final String SOFTMAX = "softmax.safetensors";
  private static final String INPUT = "input.npz";
  private static final String WORDS = "vocabulary.txt";

  /** Inputs of the softmax for some held-out words, for the benchmarks. */
  private static final String HELD_OUT = "held-out.npy";

  private static final int HELD_OUT_ROWS = 256;

  static Path save(LanguageModel model, Corpus corpus, Path folder) {
    try (FloatTensor table = model.embedding().table()) {
      Files.createDirectories(folder);
      Files.write(folder.resolve(WORDS), corpus.vocabulary().words(), UTF_8);
      NpzFile.write(
          folder.resolve(INPUT),
          Map.of(
              "embedding", table,
              "weights", model.hidden().weights(),
              "bias", model.hidden().bias()));
      model.softmax().save(folder.resolve(SOFTMAX));
      NpyFile.write(
          folder.resolve(HELD_OUT), model.inputOfSoftmax(corpus.heldOut(), HELD_OUT_ROWS));
      return folder;
    } catch (IOException e) {
      throw new UsageException("cannot write the model: " + e);
    }
  }

  /** Maps the softmax, whose classes are read when they are needed, and reads the rest. */
  static ModelFolder open(Path folder) {
    try (NpzFile input = NpzFile.open(folder.resolve(INPUT));
        FloatTensor table = input.floats("embedding")) {
      Vocabulary vocabulary =
          new Vocabulary(Files.readAllLines(folder.resolve(WORDS), UTF_8).toArray(String[]::new));
      HierarchicalSoftmax softmax =
          HierarchicalSoftmax.load(folder.resolve(SOFTMAX), LoadOptions.mapped());
      HiddenLayer hidden = new HiddenLayer(input.floats("weights"), input.floats("bias"));
      Settings settings = settings(folder, vocabulary, table.shape(), hidden, softmax);
      LanguageModel model = new LanguageModel(settings, new Embedding(table), hidden, softmax);
      return new ModelFolder(model, vocabulary);
    } catch (NoSuchFileException e) {
      throw new UsageException("there is no model: " + e.getFile() + " is missing");
    } catch (IOException e) {
      throw new UsageException("cannot read the model: " + e.getMessage());
    }
  }

  /** The sizes that follow from the tensors, which must fit together. */
  private static Settings settings(
      Path folder, Vocabulary words, Shape table, HiddenLayer hidden, HierarchicalSoftmax softmax) {
    Shape weights = hidden.weights().shape();
    if (table.rank() != 2
        || weights.rank() != 4
        || table.size() == 0
        || !table.equals(Shape.of(words.size(), table.dim(1)))
        || softmax.outputs() != words.size()
        || weights.dim(2) % table.dim(1) != 0
        || !weights.equals(Shape.of(1, 1, weights.dim(2), softmax.features()))
        || !hidden.bias().shape().equals(Shape.of(1, softmax.features()))) {
      throw new UsageException(
          "the files in %s do not belong together: %d words, embedding %s, weights %s, bias %s, %s"
              .formatted(folder, words.size(), table, weights, hidden.bias().shape(), softmax));
    }
    Settings settings = CommandLine.populateCommand(new Settings());
    settings.embedding = (int) table.dim(1);
    settings.context = (int) (weights.dim(2) / table.dim(1));
    settings.features = softmax.features();
    return settings;
  }

  @Override
  public void close() {
    model.close();
  }
}
