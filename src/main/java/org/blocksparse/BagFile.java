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
import org.blocksparse.internal.UpdateRule;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.format.Dtype;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.format.SafeTensorsReader;
import org.blocksparse.internal.format.TensorEntry;
import org.blocksparse.internal.format.TensorSource;
import org.blocksparse.internal.layer.ModelMetadata;
import org.blocksparse.internal.layer.ModelNames;
import org.blocksparse.internal.memory.Storage;

/** An {@link EmbeddingBag} in a safetensors file; {@link ModelNames} tells what is in it. */
final class BagFile {
  private BagFile() {}

  static void save(EmbeddingBag bag, Path file, SaveOptions options) throws IOException {
    requireNonNull(file, "file");
    if (requireNonNull(options, "options").bag() != null) {
      throw new IllegalArgumentException(
          "options: a bag beside another one; withBag is for HierarchicalSoftmax.save");
    }
    FileEvent event = Recorder.file();
    List<TensorSource> tensors = new ArrayList<>();
    try (Lease lease = bag.lease();
        WeightsFile weights = new WeightsFile(options, tensors)) {
      Map<String, String> metadata =
          new TreeMap<>(options.metadata() != null ? options.metadata() : bag.metadata());
      metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
      weights.add(bag);
      add(bag, lease, options.optimizerState(), tensors, metadata);
      weights.write(file, ModelNames.TABLE, metadata, lease);
    }
    if (event != null) {
      event.record("save", "embedding bag", file);
    }
  }

  /** Adds what is saved of a bag besides its table, which is leased, to a file. */
  static void add(
      EmbeddingBag bag,
      Lease lease,
      boolean optimizerState,
      List<TensorSource> tensors,
      Map<String, String> metadata) {
    metadata.put(ModelNames.BAG_MODE, bag.mode().name());
    if (!optimizerState) {
      return;
    }
    long[] dims = {bag.vocabulary(), bag.features()};
    metadata.put(ModelNames.BAG_RULE, bag.optimizerState().kind().name());
    TensorStateEntries.add(
        bag.optimizerState(), EmbeddingBag.TABLE, ModelNames.TABLE, dims, lease, tensors);
  }

  static boolean isIn(Path file) throws IOException {
    requireNonNull(file, "file");
    return FileFormatException.of(
        file,
        () -> {
          try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
            return reader.metadata().containsKey(ModelNames.BAG_MODE);
          }
        });
  }

  static EmbeddingBag load(Path file, LoadOptions options) throws IOException {
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
    WeightType type = WeightsFile.typeOf(reader, ModelNames.TABLE);
    TensorEntry table = reader.entryOfRank(2, ModelNames.TABLE, WeightsFile.dtype(type));
    int vocabulary = ModelFile.dimension(table, 0);
    int features = ModelFile.dimension(table, 1);
    TensorEntry scales =
        type.hasScales()
            ? reader.entry(ModelNames.scales(ModelNames.TABLE), Dtype.F32, vocabulary)
            : null;
    Mode mode = mode(metadata);
    TensorStateEntries inFile = stateOrNull(reader, metadata, table);
    TensorStateEntries state = options.optimizerState() ? inFile : null;
    boolean mapped = options.memory() != LoadOptions.Memory.COPIED;
    reader.tell(
        options.progress()::update,
        (mapped ? 0 : table.bytes())
            + (scales == null ? 0 : scales.bytes())
            + (state == null ? 0 : state.bytes()));
    EmbeddingBag bag;
    if (type == WeightType.FLOAT32) {
      Storage storage = mapped ? reader.mapElements(table) : reader.readFloats(table);
      FloatTensor floats = FloatTensor.dense(storage, Shape.of(table.dims()));
      bag = EmbeddingBag.of(floats, mode, options.workers());
    } else {
      Shape rows = EmbeddingBag.shapeOfNarrow(vocabulary, features);
      Storage elements = mapped ? reader.mapElements(table) : null;
      Weights narrow = WeightsFile.read(reader, type, rows, table, scales, elements);
      bag = EmbeddingBag.of(narrow, mode, options.workers());
    }
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
      SafeTensorsReader reader, ModelMetadata metadata, TensorEntry table)
      throws MalformedException {
    UpdateRule.Kind rule = metadata.ruleOrNull(ModelNames.BAG_RULE);
    if (rule == null) {
      return null;
    }
    if (table.type() != Dtype.F32) {
      throw ModelMetadata.stateOfNarrow(ModelNames.BAG_RULE, table.type());
    }
    return TensorStateEntries.of(reader, rule, ModelNames.TABLE, table.dims(), table.dims()[0]);
  }
}
