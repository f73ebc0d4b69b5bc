// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.nio.file.Path;
import org.blocksparse.Workers;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.io.LoadOptions;
import picocli.CommandLine.Parameters;

/** The model that a command works with. */
final class ModelArgument {
  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description = "A model that train, quantize or fastText wrote.")
  private Path model;

  Path path() {
    return model;
  }

  Classifier load() throws IOException {
    return Classifier.load(model);
  }

  Classifier load(Workers workers) throws IOException {
    return Classifier.load(model, LoadOptions.mapped().withWorkers(workers));
  }
}
