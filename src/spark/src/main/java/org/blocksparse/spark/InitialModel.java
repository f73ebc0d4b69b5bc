// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.blocksparse.ClassAssignment;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.LoadOptions;

/**
 * A model whose training goes on.
 *
 * @param names of its labels; null if it has none
 * @param steps that it has taken
 */
record InitialModel(
    ModelBytes bytes, int features, ClassAssignment classes, List<String> names, long steps) {
  /**
   * A copy of a model, in a file of the driver.
   *
   * @param place the folder of a saved model or the file of one, in a file system of Hadoop's
   * @throws IllegalArgumentException if there is none
   */
  static InitialModel read(String place, Configuration hadoop) throws IOException {
    ModelBytes bytes;
    try {
      bytes = ModelBytes.copyOf(new Path(place), hadoop);
    } catch (FileNotFoundException e) {
      throw new IllegalArgumentException(
          "initialModel: expected the folder of a saved model or the file of one: "
              + e.getMessage(),
          e);
    }
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(bytes.file(), LoadOptions.mapped())) {
      LabelTable.requireNamesOfAll("initialModel", layer);
      return new InitialModel(
          bytes,
          layer.features(),
          layer.assignment(),
          layer.hasLabels() ? layer.labels().names() : null,
          layer.steps());
    }
  }
}
