// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.blocksparse.EmbeddingBag.Mode;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.format.AtomicFile;
import org.blocksparse.internal.format.ElementType;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.format.SafeTensorsLayout;
import org.blocksparse.internal.format.SafeTensorsReader;
import org.blocksparse.internal.format.SafeTensorsWriter;
import org.blocksparse.internal.format.TensorEntry;
import org.blocksparse.internal.format.TensorSource;
import org.blocksparse.internal.memory.StackRoom;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.optimizer.UpdateRule;

/** An {@link EmbeddingBag} in a safetensors file; {@link ModelNames} tells what is in it. */
final class BagFile {
  private BagFile() {}

  static void save(EmbeddingBag bag, Path file, SaveOptions options) throws IOException {
    StackRoom.requireForFiles();
    requireNonNull(file, "file");
    if (requireNonNull(options, "options").bag() != null) {
      throw new IllegalArgumentException(
          "options: a bag beside another one; withBag is for HierarchicalSoftmax.save");
    }
    FileEvent event = Recorder.file();
    try (Lease lease = bag.lease()) {
      Map<String, String> metadata =
          new TreeMap<>(options.metadata() != null ? options.metadata() : bag.metadata());
      metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
      List<TensorSource> tensors = new ArrayList<>();
      add(bag, lease, options.optimizerState(), tensors, metadata);
      SafeTensorsWriter writer =
          new SafeTensorsWriter(
              SafeTensorsLayout.of(tensors), metadata, options.progress()::update);
      AtomicFile.write(
          file,
          channel -> {
            writer.writeAll(channel, tensors);
            bag.table().requireIntact();
          });
    }
    if (event != null) {
      event.record("save", "embedding bag", file);
    }
  }

  /** Adds what is saved of a bag, which is leased, to a file. */
  static void add(
      EmbeddingBag bag,
      Lease lease,
      boolean optimizerState,
      List<TensorSource> tensors,
      Map<String, String> metadata) {
    metadata.put(ModelNames.BAG_MODE, bag.mode().name());
    long[] dims = bag.table().shape().toArray();
    tensors.add(TensorSource.floats(ModelNames.TABLE, dims, bag.table().storage()));
    if (!optimizerState) {
      return;
    }
    metadata.put(ModelNames.BAG_RULE, bag.optimizerState().kind().name());
    TensorStateEntries.add(
        bag.optimizerState(), EmbeddingBag.TABLE, ModelNames.TABLE, dims, lease, tensors);
  }

  static EmbeddingBag load(Path file, LoadOptions options) throws IOException {
    StackRoom.requireForFiles();
    requireNonNull(file, "file");
    requireNonNull(options, "options");
    FileEvent event = Recorder.file();
    EmbeddingBag loaded =
        FileFormatException.of(
            file,
            () -> {
              try (SafeTensorsReader reader = ModelFile.open(file, options.memory())) {
                EmbeddingBag bag = load(reader, options);
                reader.keep();
                return bag;
              }
            });
    if (event != null) {
      event.record(options.verb(), "embedding bag", file);
    }
    return loaded;
  }

  private static EmbeddingBag load(SafeTensorsReader reader, LoadOptions options)
      throws IOException {
    ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
    TensorEntry table = reader.entryOfRank(2, ModelNames.TABLE, ElementType.F32);
    int vocabulary = ModelFile.dimension(table, 0);
    int features = ModelFile.dimension(table, 1);
    Mode mode = mode(metadata);
    TensorStateEntries state = stateOrNull(reader, metadata, table.dims());
    boolean mapped = options.memory() != LoadOptions.Memory.COPIED;
    reader.tell(
        options.progress()::update,
        (mapped ? 0 : table.bytes()) + (state == null ? 0 : state.bytes()));
    Storage storage = mapped ? reader.mapElements(table) : reader.readFloats(table);
    EmbeddingBag bag =
        EmbeddingBag.builder(vocabulary, features)
            .mode(mode)
            .workers(options.workers())
            .build(FloatTensor.dense(storage, Shape.of(table.dims())));
    try {
      bag.restore(metadata.ofUser());
      if (state != null) {
        state.restore(reader, bag.optimizerState(), EmbeddingBag.TABLE);
      }
      reader.requireIntact();
      return bag;
    } catch (Throwable e) {
      bag.close();
      throw e;
    }
  }

  private static Mode mode(ModelMetadata metadata) throws MalformedException {
    String name = metadata.get(ModelNames.BAG_MODE);
    for (Mode mode : Mode.values()) {
      if (mode.name().equals(name)) {
        return mode;
      }
    }
    throw ModelMetadata.wrong(
        ModelNames.BAG_MODE
            + " is "
            + MalformedException.told(name)
            + ", expected one of "
            + Arrays.stream(Mode.values()).map(Mode::name).collect(Collectors.joining(", ")));
  }

  private static TensorStateEntries stateOrNull(
      SafeTensorsReader reader, ModelMetadata metadata, long[] dims) throws MalformedException {
    UpdateRule.Kind rule = metadata.ruleOrNull(ModelNames.BAG_RULE);
    return rule == null
        ? null
        : TensorStateEntries.of(reader, rule, ModelNames.TABLE, dims, dims[0]);
  }
}
