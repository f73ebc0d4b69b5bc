// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.FileFormatException;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.softmax.TwoLevelLayer;

/**
 * Facts of a model's file, so that it need not be opened again.
 *
 * @param features the features of a row
 * @param bag whether a bag makes x of them
 * @param outputs how many labels there are
 * @param named whether they have names
 */
record ModelFacts(int features, boolean bag, int outputs, boolean named) {
  /**
   * Reads the facts of a file.
   *
   * @throws IOException if the file does not hold a layer of its kind, or a bag for another one;
   *     the message does not name the file, which is a copy
   * @throws IllegalArgumentException if only some of its labels have names
   */
  static ModelFacts of(EstimatorKind kind, Path file) throws IOException {
    LoadOptions options = LoadOptions.mapped().withoutOptimizerState();
    try (ModelLayers layers = ModelLayers.load(kind, file, options)) {
      LabelTable.requireNamesOfAll("model", layers.layer());
      requireTexts(layers.layer());
      return new ModelFacts(
          layers.features(),
          layers.bag() != null,
          layers.layer().outputs(),
          layers.layer().hasLabels());
    } catch (FileFormatException e) {
      throw new IOException(e.part() + ": " + e.reason(), e);
    }
  }

  /** Checks the names of a mapped file: otherwise a task would fail at the first invalid text. */
  private static void requireTexts(TwoLevelLayer<?> layer) throws IOException {
    try {
      for (int output = 0; layer.hasLabels() && output < layer.outputs(); output++) {
        layer.labels().name(output);
      }
    } catch (IllegalStateException e) {
      throw new IOException(e.getMessage(), e);
    }
  }
}
