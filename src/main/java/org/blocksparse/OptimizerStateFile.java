// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.internal.UpdateRule;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.format.AtomicFile;
import org.blocksparse.internal.format.SafeTensorsLayout;
import org.blocksparse.internal.format.SafeTensorsReader;
import org.blocksparse.internal.format.SafeTensorsWriter;
import org.blocksparse.internal.format.TensorSource;
import org.blocksparse.internal.layer.ModelMetadata;
import org.blocksparse.internal.layer.ModelNames;

/**
 * An {@link OptimizerState} in a safetensors file; {@link ModelNames} tells what is in it. Its
 * tensors go by their positions, 0, 1 and so on.
 */
final class OptimizerStateFile {
  private OptimizerStateFile() {}

  static void save(OptimizerState state, Path file) throws IOException {
    requireNonNull(file, "file");
    FileEvent event = Recorder.file();
    Map<String, String> metadata = new TreeMap<>();
    metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
    metadata.put(ModelNames.STATE_TENSORS, Integer.toString(state.size()));
    List<TensorSource> sources = new ArrayList<>();
    try (Lease lease = new Lease()) {
      for (int t = 0; t < state.size(); t++) {
        state.of(t).requireOpen();
        metadata.put(ModelNames.rule(t), state.of(t).kind().name());
        TensorStateEntries.add(
            state.of(t),
            OptimizerState.ONLY,
            Integer.toString(t),
            state.tensor(t).shape().toArray(),
            lease,
            sources);
      }
      SafeTensorsWriter writer =
          new SafeTensorsWriter(SafeTensorsLayout.of(sources), metadata, (done, total) -> {});
      AtomicFile.write(file, channel -> writer.writeAll(channel, sources));
    }
    if (event != null) {
      event.record("save", "optimizer state", file);
    }
  }

  static void load(Path file, OptimizerState into) throws IOException {
    requireNonNull(file, "file");
    FileEvent event = Recorder.file();
    FileFormatException.of(
        file,
        () -> {
          try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
            load(reader, into);
            return null;
          }
        });
    if (event != null) {
      event.record("load", "optimizer state", file);
    }
  }

  private static void load(SafeTensorsReader reader, OptimizerState into) throws IOException {
    ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
    long count = metadata.number(ModelNames.STATE_TENSORS);
    if (count != into.size()) {
      throw ModelMetadata.wrong("has the state of " + count + " tensors, not of " + into.size());
    }
    List<TensorStateEntries> all = new ArrayList<>();
    for (int t = 0; t < into.size(); t++) {
      FloatTensor tensor = into.tensor(t);
      UpdateRule.Kind rule = metadata.rule(ModelNames.rule(t));
      all.add(
          TensorStateEntries.of(
              reader,
              rule,
              Integer.toString(t),
              tensor.shape().toArray(),
              OptimizerState.blocks(tensor)));
    }
    for (int t = 0; t < into.size(); t++) {
      all.get(t).restore(reader, into.of(t), OptimizerState.ONLY);
    }
  }
}
