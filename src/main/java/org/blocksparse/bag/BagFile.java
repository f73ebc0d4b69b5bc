// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bag;

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.files.Dtype;
import org.blocksparse.internal.files.LayerFile;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.ModelMetadata;
import org.blocksparse.internal.files.ModelNames;
import org.blocksparse.internal.files.SafeTensorsReader;
import org.blocksparse.internal.files.SaveSettings;
import org.blocksparse.internal.files.TensorEntry;
import org.blocksparse.internal.files.TensorStateEntries;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.files.WeightsFile.Grid;
import org.blocksparse.internal.sparse.Bags.Reduction;
import org.blocksparse.internal.sparse.TableRows;
import org.blocksparse.internal.training.BagTable;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/** An embedding bag in a safetensors file; {@link ModelNames} lists what is in it. */
final class BagFile {
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
    new LayerFile(KIND, ModelNames.TABLE, part(content.bag()), content.metadata(), null)
        .write(file, settings);
  }

  /** Returns a bag as a part of another layer's file. */
  static SaveSettings.Part part(BagMemory bag) {
    return (file, settings, metadata, lease) -> {
      bag.lease(lease);
      int rows = bag.vocabulary();
      int features = bag.table().features();
      long[] dims = {rows, features};
      file.add(
          new Grid(ModelNames.TABLE, rows, features, 1, dims, new long[] {rows}),
          new StoredWeights(bag.type(), bag.table().rows().storage(), bag.table().rows().scales()));
      metadata.put(ModelNames.BAG_MODE, bag.table().reduction().name());
      if (settings.optimizerState()) {
        metadata.put(ModelNames.BAG_RULE, bag.state().kind().name());
        TensorStateEntries.add(
            bag.state(), BagMemory.TABLE, ModelNames.TABLE, dims, lease, file.tensors());
      }
    };
  }

  /** Returns whether a file holds a bag; only its header is read. */
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
    return settings.readPart(file, read -> KIND, reader -> load(reader, settings));
  }

  private static Content load(SafeTensorsReader reader, LoadSettings settings) throws IOException {
    ModelMetadata metadata = new ModelMetadata(reader.metadata()).requireVersion();
    WeightType type = WeightsFile.typeOf(reader, ModelNames.TABLE);
    TensorEntry table = reader.entryOfRank(2, ModelNames.TABLE, WeightsFile.dtype(type));
    int vocabulary = table.dimension(0);
    int features = table.dimension(1);
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
    Optimizer.Kind rule = metadata.ruleOrNull(ModelNames.BAG_RULE);
    if (rule == null) {
      return null;
    }
    if (table.type() != Dtype.F32) {
      throw ModelMetadata.stateOfNarrow(ModelNames.BAG_RULE, table.type());
    }
    return TensorStateEntries.of(reader, rule, ModelNames.TABLE, table.dims(), table.dims()[0]);
  }
}
