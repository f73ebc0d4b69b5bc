// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.UnsupportedFileSystemException;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * A model to continue training.
 *
 * @param labels the names of its labels; null if it has none
 * @param steps its training steps so far
 * @param metadata the strings of its users
 */
record InitialModel(
    ModelBytes bytes,
    int features,
    ClassAssignment classes,
    Labels labels,
    long steps,
    Map<String, String> metadata) {
  /**
   * Returns a copy of a model, in a file of the driver.
   *
   * @param place the folder of a saved model or the file of one, in a file system of Hadoop's
   * @throws IllegalArgumentException if there is none, or something else, or if it cannot be
   *     trained or some of its labels have the same name
   */
  static InitialModel read(EstimatorKind kind, String place, Configuration hadoop)
      throws IOException {
    ModelBytes bytes;
    try {
      bytes = ModelBytes.copyOf(kind, new Path(place), hadoop);
    } catch (FileNotFoundException
        | UnsupportedFileSystemException
        | IllegalArgumentException e) { // the last for an invalid path or an unknown host
      throw new IllegalArgumentException(
          "initialModel: expected the folder of a saved model or the file of one: "
              + e.getMessage(),
          e);
    }
    try (TwoLevelLayer<?> layer =
        kind.load(bytes.file(), LoadOptions.mapped().withoutOptimizerState())) {
      if (EmbeddingBag.isIn(bytes.file())) { // may not even fit the layer
        throw new IllegalArgumentException(
            "initialModel: has an EmbeddingBag, which is not trained here: train both in one"
                + " process, or save the layer alone and give it sums of the bag as features");
      }
      if (layer.weightType() != ElementType.FLOAT32) {
        throw new IllegalArgumentException(
            "initialModel: its weights are "
                + layer.weightType()
                + ", which cannot be trained; for that, keep the float32 one that it was made of");
      }
      LabelTable.requireNamesOfAll("initialModel", layer);
      return new InitialModel(
          bytes,
          layer.features(),
          layer.assignment(),
          layer.hasLabels() ? checked(layer.labels()) : null,
          layer.steps(),
          layer.metadata());
    } catch (FileFormatException e) { // names the copy
      throw new IllegalArgumentException(
          "initialModel: %s: %s: %s".formatted(place, e.part(), e.reason()), e);
    }
  }

  /** Returns the names of its labels by their numbers; null if it has none. */
  List<String> names() {
    return labels == null ? null : labels.names();
  }

  /** Checks the labels of a mapped file, in which equal ones would be found only after training. */
  private static Labels checked(Labels mapped) {
    try {
      return Labels.of(mapped.names());
    } catch (IllegalArgumentException | IllegalStateException e) {
      throw new IllegalArgumentException("initialModel: its labels: " + e.getMessage(), e);
    }
  }
}
