// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.spark;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.blocksparse.Workers;
import org.blocksparse.io.LoadOptions;

/**
 * The models that this JVM has mapped. The most recently used ones are kept for later tasks; the
 * garbage collector unmaps the others when no task uses them.
 */
final class MappedModels {
  /**
   * The models to keep: streams and pipelines use few at a time; a cross-validation leaves many
   * behind.
   */
  private static final int KEPT = 4;

  /** The files of models that were made in this JVM, which is then a driver's. */
  private static final Map<String, Path> LOCAL = new HashMap<>();

  private static final LinkedHashMap<Key, ModelLayers> MAPPED =
      new LinkedHashMap<>(16, 0.75f, true);

  private record Key(String id, boolean optimizerState) {}

  private MappedModels() {}

  /** Writes the file of a model. */
  interface Content {
    void writeTo(Path file) throws IOException;
  }

  static synchronized void keepLocal(String id, Path file) {
    LOCAL.put(id, file);
  }

  static synchronized void forget(String id) {
    LOCAL.remove(id);
    MAPPED.keySet().removeIf(key -> key.id().equals(id));
  }

  /**
   * Returns the model with an id.
   *
   * @param optimizerState whether to read it, into memory; it is for training
   * @param content makes its file, if this JVM has none; one task does it, the others wait
   */
  static synchronized ModelLayers get(
      String id, EstimatorKind kind, boolean optimizerState, Content content) {
    Key key = new Key(id, optimizerState);
    ModelLayers model = MAPPED.get(key);
    if (model == null) {
      // A task has one slot, and other tasks of this JVM use the other processors.
      LoadOptions options = LoadOptions.mapped().withWorkers(Workers.callingThread());
      model =
          map(
              kind,
              LOCAL.get(id),
              optimizerState ? options : options.withoutOptimizerState(),
              content);
      MAPPED.put(key, model);
      if (MAPPED.size() > KEPT) {
        MAPPED.remove(MAPPED.keySet().iterator().next());
      }
    }
    return model;
  }

  private static ModelLayers map(
      EstimatorKind kind, Path local, LoadOptions options, Content content) {
    try {
      if (local != null) {
        return ModelLayers.load(kind, local, options);
      }
      Path file = ModelFiles.create();
      try {
        content.writeTo(file);
        return ModelLayers.load(kind, file, options);
      } finally {
        ModelFiles.delete(file); // mapped memory outlives the name
      }
    } catch (IOException e) {
      throw new UncheckedIOException(
          "the copy of the model in " + System.getProperty("java.io.tmpdir") + ": " + e, e);
    }
  }
}
