// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.training.LayerState;

/**
 * The state of an optimizer of several tensors in a safetensors file; {@link ModelNames} lists what
 * is in it. The tensors are named by their positions, 0, 1 and so on.
 */
public final class OptimizerStateFile {
  /** The position of the only tensor in its state. */
  private static final int ONLY = 0;

  private OptimizerStateFile() {}

  /**
   * A tensor.
   *
   * @param name its name in the file
   * @param state the state of this tensor only
   * @param dims the dimensions of the tensor
   */
  @SuppressWarnings("ArrayRecordComponent")
  public record Entry(String name, LayerState state, long[] dims, int blocks) {}

  /**
   * Writes a file.
   *
   * @throws IllegalArgumentException if there are more tensors than a file can have
   * @throws IllegalStateException if a state is closed, or a number is not finite
   */
  public static void save(List<Entry> entries, Path file) throws IOException {
    FileEvent event = Recorder.file();
    Map<String, String> metadata = new TreeMap<>();
    metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
    metadata.put(ModelNames.STATE_TENSORS, Integer.toString(entries.size()));
    List<TensorSource> sources = new ArrayList<>();
    try (StorageLease lease = new StorageLease()) {
      add(entries, metadata, lease, sources);
      SafeTensorsWriter writer =
          new SafeTensorsWriter(SafeTensorsLayout.of(sources), metadata, (done, total) -> {});
      AtomicFile.write(file, channel -> writer.writeAll(channel, sources));
    }
    if (event != null) {
      event.record("save", "optimizer state", file);
    }
  }

  /** Adds what is kept of all tensors to a file. */
  public static void add(
      List<Entry> entries,
      Map<String, String> metadata,
      StorageLease lease,
      List<TensorSource> sources) {
    for (Entry entry : entries) {
      entry.state().requireOpen();
      String rule = entry.state().kind().name();
      String ofFirst = metadata.putIfAbsent(ModelNames.RULE, rule);
      if (ofFirst != null && !ofFirst.equals(rule)) {
        metadata.put(ModelNames.rule(entry.name()), rule);
      }
      TensorStateEntries.add(entry.state(), ONLY, entry.name(), entry.dims(), lease, sources);
    }
  }

  /** Reads what {@link #save} wrote of tensors of the same shapes. */
  public static void load(Path file, List<Entry> into) throws IOException {
    FileEvent event = Recorder.file();
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      load(reader, into);
    }
    if (event != null) {
      event.record("load", "optimizer state", file);
    }
  }

  private static void load(SafeTensorsReader reader, List<Entry> into) throws IOException {
    ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
    long count = metadata.number(ModelNames.STATE_TENSORS);
    if (count != into.size()) {
      throw ModelMetadata.wrong("has the state of " + count + " tensors, not of " + into.size());
    }
    restore(reader, metadata, into);
  }

  /**
   * Reads what is kept of all tensors.
   *
   * @throws MalformedException if something of it is missing, or has another shape; nothing has
   *     been read then
   */
  public static void restore(SafeTensorsReader reader, ModelMetadata metadata, List<Entry> into)
      throws IOException {
    List<TensorStateEntries> all = new ArrayList<>();
    for (Entry entry : into) {
      Optimizer.Kind ofItsOwn = metadata.ruleOrNull(ModelNames.rule(entry.name()));
      Optimizer.Kind rule = ofItsOwn != null ? ofItsOwn : metadata.rule(ModelNames.RULE);
      all.add(TensorStateEntries.of(reader, rule, entry.name(), entry.dims(), entry.blocks()));
    }
    for (int t = 0; t < into.size(); t++) {
      all.get(t).restore(reader, into.get(t).state(), ONLY);
    }
  }
}
