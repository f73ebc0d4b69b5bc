// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Saves a trained model; in the temporary folder if its place cannot be written. */
interface ModelWriter {
  /** Writes the model to a file. */
  void write(Path file) throws IOException;

  /**
   * Saves a model.
   *
   * @throws IOException if the file cannot be written; the message states where the model is
   */
  static void save(ModelWriter model, Path file) throws IOException {
    try {
      model.write(file);
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      Path saved;
      try {
        saved = saveElsewhere(model);
      } catch (IOException | RuntimeException | OutOfMemoryError again) {
        e.addSuppressed(again);
        throw e;
      }
      String reason = Main.toUsers(e instanceof IOException ? e.getMessage() : e.toString());
      throw new IOException("the model is in " + saved + ", because of " + reason, e);
    }
  }

  private static Path saveElsewhere(ModelWriter model) throws IOException {
    Path file = Files.createTempFile("model-", ""); // this name is short enough for any folder
    try {
      model.write(file);
      return file;
    } catch (Throwable e) {
      Files.deleteIfExists(file);
      throw e;
    }
  }
}
