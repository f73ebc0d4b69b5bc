// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Collections;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.blocksparse.FloatTensor;
import org.blocksparse.internal.files.LabelsFile;
import org.blocksparse.internal.files.NameTable;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.layers.ScoringLayer;
import org.blocksparse.internal.search.ScoreSource;
import org.blocksparse.internal.tensors.OperandLease;

/** The memory of a layer, which growth replaces, with its names and strings. */
final class HeldLayer implements ScoringLayer<FloatTensor, ScoreSource> {
  private volatile LayerMemory memory;
  private volatile boolean closed;
  private final Map<String, String> metadata;

  /** The number of training steps so far. */
  final AtomicLong steps;

  /** The names of the outputs, or null. */
  volatile NameTable labels;

  HeldLayer(LayerContent content) {
    this.memory = content.memory();
    this.metadata = Collections.unmodifiableMap(content.metadata());
    this.steps = new AtomicLong(content.steps());
    this.labels = content.labels();
  }

  LayerMemory memory() {
    return memory;
  }

  Map<String, String> metadata() {
    return metadata;
  }

  /** Returns the content in other memory. */
  LayerContent content(LayerMemory other) {
    return new LayerContent(other, metadata, steps.get(), labels);
  }

  /**
   * Replaces the memory by that of {@link Growth}. If the layer was closed meanwhile, closes the
   * new memory, too.
   */
  void replace(LayerMemory other) {
    memory = other;
    if (closed) {
      other.close();
    }
  }

  void close() {
    closed = true; // before the memory is read: what takes its place from now on is closed as well
    memory.close();
  }

  @Override
  public SaveSettings.Part part(String prefix, NameTable names) {
    SaveSettings.Part layer = ModelFile.part(memory, steps.get());
    SaveSettings.Part withNames =
        (file, settings, metadata, lease) -> {
          layer.addTo(file, settings, metadata, lease);
          if (names != null) {
            LabelsFile.add(names, file.tensors());
          }
        };
    return withNames.under(prefix);
  }

  @Override
  public ScoreSource scores(FloatTensor x, String name, OperandLease lease) {
    LayerMemory now = memory;
    now.lease(lease).of(name, x);
    return new LayerSource(now, x);
  }
}
