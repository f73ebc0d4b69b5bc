// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
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
  /** A copy of the model in a file of the driver. */
  static InitialModel read(Path file) throws IOException {
    ModelBytes bytes;
    try (InputStream in = Files.newInputStream(file)) {
      bytes = ModelBytes.copyOf(in);
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
