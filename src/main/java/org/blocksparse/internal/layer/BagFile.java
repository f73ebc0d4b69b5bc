// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.layer;

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.blocksparse.internal.StoredWeights;
import org.blocksparse.internal.TableRows;
import org.blocksparse.internal.UpdateRule;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.bag.BagTable;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.format.Dtype;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.format.SafeTensorsReader;
import org.blocksparse.internal.format.TensorEntry;
import org.blocksparse.internal.format.TensorSource;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.schedule.Bags.Reduction;

/** An embedding bag in a safetensors file; {@link ModelNames} lists what is in it. */
public final class BagFile {
  private static final String KIND = "embedding bag";

  private BagFile() {}

  /**
   * The content of a bag's file.
   *
   * @param metadata the caller's own strings
   */
  public record Content(BagMemory bag, Map<String, String> metadata) {}

  /**
   * Writes a file.
   *
   * @throws IllegalArgumentException if the file cannot hold what is asked for
   * @throws IllegalStateException if the bag is closed, or its table is not finite
   */
  public static void save(Content content, Path file, SaveSettings settings) throws IOException {
    settings.requireNoPart();
    if (settings.bag() != null) {
      throw new IllegalArgumentException(
          "options: a bag beside another one; withBag is for HierarchicalSoftmax.save");
    }
    BagMemory bag = content.bag();
    FileEvent event = Recorder.file();
    List<TensorSource> tensors = new ArrayList<>();
    try (StorageLease lease = bag.lease(new StorageLease());
        WeightsFile weights = new WeightsFile(settings, tensors)) {
      Map<String, String> metadata = new TreeMap<>(settings.metadataOr(content.metadata()));
      metadata.put(ModelNames.FORMAT, ModelNames.VERSION);
      weights.add(bag);
      add(bag, lease, settings.optimizerState(), tensors, metadata);
      weights.write(file, ModelNames.TABLE, metadata, lease);
    }
    if (event != null) {
      event.record("save", KIND, file);
    }
  }

  /** Adds what is saved of a bag besides its table, which is leased, to a file. */
  static void add(
      BagMemory bag,
      StorageLease lease,
      boolean optimizerState,
      List<TensorSource> tensors,
      Map<String, String> metadata) {
    metadata.put(ModelNames.BAG_MODE, bag.table().reduction().name());
    if (!optimizerState) {
      return;
    }
    long[] dims = {bag.vocabulary(), bag.table().features()};
    metadata.put(ModelNames.BAG_RULE, bag.state().kind().name());
    TensorStateEntries.add(bag.state(), BagMemory.TABLE, ModelNames.TABLE, dims, lease, tensors);
  }

  /** Whether a file holds a bag; only its header is read. */
  public static boolean isIn(Path file) throws IOException {
    try (SafeTensorsReader reader = SafeTensorsReader.open(file)) {
      return reader.metadata().containsKey(ModelNames.BAG_MODE);
    }
  }

  /**
   * Loads a bag.
   *
   * @throws MalformedException if the file does not hold one
   */
  public static Content load(Path file, LoadSettings settings) throws IOException {
    FileEvent event = Recorder.file();
    Content loaded;
    try (SafeTensorsReader reader = settings.open(file)) {
      loaded = load(reader, settings);
      reader.keep();
    }
    if (event != null) {
      event.record(settings.verb(), KIND, file);
    }
    return loaded;
  }

  private static Content load(SafeTensorsReader reader, LoadSettings settings) throws IOException {
    ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
    WeightType type = WeightsFile.typeOf(reader, ModelNames.TABLE);
    TensorEntry table = reader.entryOfRank(2, ModelNames.TABLE, WeightsFile.dtype(type));
    int vocabulary = ModelFile.dimension(table, 0);
    int features = ModelFile.dimension(table, 1);
    TensorEntry scales =
        type.hasScales()
            ? reader.entry(ModelNames.scales(ModelNames.TABLE), Dtype.F32, vocabulary)
            : null;
    Reduction mode = mode(metadata);
    TensorStateEntries inFile = stateOrNull(reader, metadata, table);
    TensorStateEntries state = settings.optimizerState() ? inFile : null;
    reader.reportTo(
        settings.progress(),
        (settings.isMapped() ? 0 : table.bytes())
            + (scales == null ? 0 : scales.bytes())
            + (state == null ? 0 : state.bytes()));
    StoredWeights weights =
        WeightsFile.read(reader, type, table, scales, settings.mappedOrNull(reader, table));
    TableRows rows =
        new TableRows(weights.elements(), 0, vocabulary, features, type, weights.scales());
    BagMemory bag = new BagMemory(new BagTable(settings.engine(), rows, features, mode));
    try {
      if (state != null) {
        state.restore(reader, bag.state(), BagMemory.TABLE);
      }
      reader.requireIntact();
      return new Content(bag, metadata.ofUser());
    } catch (Throwable e) {
      bag.close();
      throw e;
    }
  }

  private static Reduction mode(ModelMetadata metadata) throws MalformedException {
    String name = metadata.get(ModelNames.BAG_MODE);
    for (Reduction mode : Reduction.values()) {
      if (mode.name().equals(name)) {
        return mode;
      }
    }
    throw ModelMetadata.wrong(
        ModelNames.BAG_MODE
            + " is "
            + MalformedException.excerpt(name)
            + ", expected one of "
            + Arrays.stream(Reduction.values()).map(Reduction::name).collect(joining(", ")));
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
