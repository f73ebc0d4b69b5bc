// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.files;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.blocksparse.internal.events.FileEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.memory.StorageLease;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.weights.Narrowing;
import org.blocksparse.internal.weights.PanelPacking;
import org.blocksparse.internal.weights.Panels;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * Weights in a safetensors file, as floats or in a read-only type: W1 and W2 of a layer, the table
 * of a bag, and those of products; with the tensors beside them.
 */
public final class WeightsFile implements AutoCloseable {
  private static final int BLOCKS_RANK = 4;
  private static final int PACKED_RANK = 3;

  private final FileEvent event = Recorder.file();
  private final String kind;
  private final SaveSettings settings;
  private final List<TensorSource> tensors = new ArrayList<>();
  private final List<Storage> made = new ArrayList<>();

  /** The metadata of packed weights. */
  private final Map<String, String> packed = new TreeMap<>();

  /** The name of the first packed weights, or null. */
  private String firstPacked;

  /**
   * Creates a file to write.
   *
   * @param kind the kind of the file, for events
   */
  public WeightsFile(String kind, SaveSettings settings) {
    this.kind = kind;
    this.settings = settings;
  }

  /**
   * A tensor that consists of blocks of rows and columns.
   *
   * @param dims the dimensions of the tensor in the file
   * @param scaleDims the dimensions of its scales there, one for each column of a block
   */
  @SuppressWarnings("ArrayRecordComponent")
  public record Grid(
      String name, long blocks, int rows, int columns, long[] dims, long[] scaleDims) {
    /** Returns the blocks of a product. */
    static Grid ofBlocks(String name, long[] dims) {
      long[] scaleDims = {dims[0], dims[1], dims[3]};
      return new Grid(name, dims[0] * dims[1], (int) dims[2], (int) dims[3], dims, scaleDims);
    }
  }

  /** Adds weights of a grid, which are leased until the file is written. */
  public void add(Grid grid, StoredWeights weights) {
    requireNoState(weights.type());
    addAsTheyAre(grid, weights);
  }

  /**
   * Adds weights of products, which are leased until the file is written.
   *
   * @param dims (iBlocks, oBlocks, iSize, oSize)
   */
  public void add(String name, long[] dims, StoredWeights weights) {
    add(Grid.ofBlocks(name, dims), weights);
  }

  /** Adds a list of weights without scales, which are leased until the file is written. */
  public void add(String name, long count, StoredWeights weights) {
    long[] dims = {count};
    addAsTheyAre(new Grid(name, 1, 1, Math.toIntExact(count), dims, null), weights);
  }

  /** Returns the tensors of the file so far; others may be added. */
  public List<TensorSource> tensors() {
    return tensors;
  }

  /**
   * Requires that a string is the name of a tensor.
   *
   * @throws IllegalArgumentException if it is not
   */
  public static void requireName(String name) {
    if (!SafeTensorsWriter.isName(name)) {
      throw new IllegalArgumentException(
          "tensors: \""
              + name
              + "\" is not a name of a tensor: it is empty, reserved (__metadata__), has spaces, or"
              + " could be a path");
    }
  }

  private void requireNoState(WeightType type) {
    if (type != WeightType.FLOAT32 && settings.optimizerState()) {
      throw new IllegalArgumentException(
          "options: the state of an optimizer beside weights of " + type + ", which are only read");
    }
  }

  private void addAsTheyAre(Grid grid, StoredWeights weights) {
    WeightType type = weights.type();
    if (type.isPacked()) {
      Panels panels = new Panels(type, grid.rows(), grid.columns());
      addPacked(
          grid,
          panels,
          TensorSource.narrow(grid.name(), Dtype.U8, packedDims(grid, panels), weights.elements()));
    } else if (type == WeightType.FLOAT32) {
      tensors.add(TensorSource.floats(grid.name(), grid.dims(), weights.elements()));
    } else {
      tensors.add(TensorSource.narrow(grid.name(), dtype(type), grid.dims(), weights.elements()));
    }
    addScales(grid, weights.scales());
  }

  /**
   * Adds weights of products, rounded while they are written.
   *
   * @param dims (iBlocks, oBlocks, iSize, oSize)
   * @param floats are leased until then
   */
  public void addRounded(String name, long[] dims, WeightType type, Storage floats, Engine engine) {
    Grid grid = Grid.ofBlocks(name, dims);
    if (type == WeightType.FLOAT32) {
      addAsTheyAre(grid, new StoredWeights(type, floats, null));
      return;
    }
    Storage scales = null;
    if (type.hasScales()) {
      scales = Storage.allocate(grid.blocks() * grid.columns());
      made.add(scales);
    }
    if (type.isPacked()) {
      Panels panels = new Panels(type, grid.rows(), grid.columns());
      PanelPacking packing =
          PanelPacking.ofFloats(name, panels, floats, grid.blocks(), scales, engine.scheduler());
      addPacked(
          grid, panels, new TensorSource(name, Dtype.U8, packedDims(grid, panels), packing::put));
    } else {
      Narrowing narrowing =
          new Narrowing(
              name,
              type,
              floats,
              grid.blocks(),
              grid.rows(),
              grid.columns(),
              scales,
              engine.scheduler());
      tensors.add(new TensorSource(name, dtype(type), grid.dims(), narrowing::put));
    }
    addScales(grid, scales);
  }

  private static long[] packedDims(Grid grid, Panels panels) {
    return new long[] {grid.dims()[0], grid.dims()[1], panels.blockBytes()};
  }

  private void addPacked(Grid grid, Panels panels, TensorSource blocks) {
    tensors.add(blocks);
    packed.put(ModelNames.packed(grid.name()), PackedForm.of(panels));
    firstPacked = firstPacked == null ? grid.name() : firstPacked;
  }

  private void addScales(Grid grid, Storage scales) {
    if (scales != null) {
      tensors.add(TensorSource.floats(ModelNames.scales(grid.name()), grid.scaleDims(), scales));
    }
  }

  /**
   * Writes the file, and records that it was written.
   *
   * @param aligned the name of the tensor that begins at a multiple of 64 bytes; null: the first of
   *     packed weights, which kernels read 64 bytes at a time, or the first of all
   * @param lease the lease of all that is written
   */
  public void write(Path file, String aligned, Map<String, String> metadata, StorageLease lease)
      throws IOException {
    requireDistinctNames();
    // Larger elements come first, so that all lie at multiples of their size.
    tensors.sort(Comparator.comparingInt(tensor -> -tensor.elementBytes()));
    Map<String, String> all = new TreeMap<>(metadata);
    all.putAll(packed);
    SafeTensorsWriter writer =
        new SafeTensorsWriter(
            SafeTensorsLayout.of(tensors, aligned == null ? firstPacked : aligned),
            all,
            settings.progress());
    AtomicFile.write(
        file,
        channel -> {
          writer.writeAll(channel, tensors);
          lease.requireIntact();
        });
    if (event != null) {
      event.record("save", kind, file);
    }
  }

  private void requireDistinctNames() {
    Set<String> names = new HashSet<>();
    for (TensorSource tensor : tensors) {
      if (!names.add(tensor.name())) {
        throw new IllegalArgumentException(
            "tensors: \"" + tensor.name() + "\" names a tensor, and the scales of INT8 weights");
      }
    }
  }

  /** Frees the memory that was made for writing. */
  @Override
  public void close() {
    made.forEach(Storage::close);
  }

  // ------------------------------------------------------------------------------------ reading

  /** Returns the type of a tensor that holds weights. */
  public static Dtype dtype(WeightType type) {
    return switch (type) {
      case FLOAT32 -> Dtype.F32;
      case FLOAT16 -> Dtype.F16;
      case BFLOAT16 -> Dtype.BF16;
      case INT8 -> Dtype.I8;
      default -> Dtype.U8;
    };
  }

  /** Returns the type of a file's tensor; floats if the library has no such type. */
  public static WeightType typeOf(SafeTensorsReader reader, String name) {
    Dtype found = reader.typeOrNull(name);
    for (WeightType type : WeightType.values()) {
      if (!type.isPacked() && dtype(type) == found) {
        return type;
      }
    }
    return WeightType.FLOAT32;
  }

  /** Returns whether a tensor is one of blocks; of floats, one or more matrices are, too. */
  public static boolean areBlocks(TensorEntry entry) {
    int rank = entry.dims().length;
    return rank == BLOCKS_RANK || (entry.type() != Dtype.I8 && (rank == 2 || rank == 3));
  }

  /** The weights of a product that were found in a file. */
  @SuppressWarnings("ArrayRecordComponent")
  public record FoundBlocks(long[] dims, StoredWeights weights) {}

  /**
   * The weights of a product in a file, of any type, with checked headers.
   *
   * @param dims (iBlocks, oBlocks, iSize, oSize)
   * @param type the type of the weights in the file, where INT8 need not be packed
   * @param scales null unless the type has some
   * @param panels null unless they are packed
   */
  @SuppressWarnings("ArrayRecordComponent")
  public record BlockEntries(
      long[] dims, WeightType type, TensorEntry elements, TensorEntry scales, Panels panels) {
    public static BlockEntries of(SafeTensorsReader reader, String name) throws MalformedException {
      if (isPacked(reader, name)) {
        return ofPacked(reader, name);
      }
      WeightType type = typeOf(reader, name);
      TensorEntry elements = elements(reader, name, type);
      long[] dims = ofBlocks(elements.dims());
      requireInts(name, dims);
      return new BlockEntries(dims, type, elements, scales(reader, name, type, dims), null);
    }

    private static BlockEntries ofPacked(SafeTensorsReader reader, String name)
        throws MalformedException {
      String form = reader.metadata().get(ModelNames.packed(name));
      Panels panels = PackedForm.panels(name, form);
      TensorEntry entry = reader.entryOfRank(PACKED_RANK, name, Dtype.U8);
      long iBlocks = entry.dims()[0];
      long oBlocks = entry.dims()[1];
      requireInts(name, iBlocks, oBlocks);
      if (entry.dims()[2] != panels.blockBytes()) {
        throw new MalformedException(
            name,
            "expected blocks of "
                + panels.blockBytes()
                + " bytes, as "
                + form
                + " has, but was "
                + Dimensions.text(entry.dims()));
      }
      long[] dims = {iBlocks, oBlocks, panels.rows(), panels.columns()};
      WeightType type = panels.type();
      return new BlockEntries(dims, type, entry, scales(reader, name, type, dims), panels);
    }

    private static TensorEntry scales(
        SafeTensorsReader reader, String name, WeightType type, long... dims)
        throws MalformedException {
      return type.hasScales()
          ? reader.entry(ModelNames.scales(name), Dtype.F32, dims[0], dims[1], dims[3])
          : null;
    }

    private static TensorEntry elements(SafeTensorsReader reader, String name, WeightType type)
        throws MalformedException {
      if (type != WeightType.INT8 && reader.typeOrNull(name) == dtype(type)) {
        TensorEntry found = reader.entryOfType(name, dtype(type));
        if (areBlocks(found)) {
          return found;
        }
      }
      return reader.entryOfRank(BLOCKS_RANK, name, dtype(type));
    }

    /** Returns the blocks of matrices: (n, 1, rows, columns) for (n, rows, columns). */
    private static long[] ofBlocks(long[] dims) {
      int rank = dims.length;
      return rank == BLOCKS_RANK
          ? dims
          : new long[] {rank == 2 ? 1 : dims[0], 1, dims[rank - 2], dims[rank - 1]};
    }

    /** Returns the bytes to read. */
    public long bytes(boolean mapped) {
      boolean inPlace = mapped && type != WeightType.INT8;
      return (inPlace ? 0 : elements.bytes()) + (scales == null ? 0 : scales.bytes());
    }

    /** Returns the weights, with INT8 packed. */
    public StoredWeights read(SafeTensorsReader reader, boolean mapped) throws IOException {
      if (type == WeightType.INT8) {
        try (StoredWeights rows = WeightsFile.read(reader, type, elements, scales, null)) {
          long blocks = dims[0] * dims[1];
          StoredWeights packed =
              rows.packed(blocks, (int) dims[2], (int) dims[3], false, Scheduler.common());
          reader.own(packed.elements());
          reader.own(packed.scales());
          return packed;
        }
      }
      if (panels == null) {
        Storage inFile = mapped ? reader.mapElements(elements) : null;
        return WeightsFile.read(reader, type, elements, scales, inFile);
      }
      Storage storage = mapped ? reader.mapElements(elements) : reader.readNarrow(elements);
      if (!mapped) {
        long infinite = panels.groupThatIsNotFinite(storage, dims[0] * dims[1]);
        if (infinite >= 0) {
          throw new MalformedException(
              elements.name(),
              type == WeightType.PACKED_BFLOAT16
                  ? "a weight of group " + infinite + " is not finite"
                  : "a scale of group " + infinite + " makes weights infinite");
        }
      }
      return new StoredWeights(type, storage, readScalesOrNull(reader, scales));
    }
  }

  /**
   * Returns the weights of a product, of any type.
   *
   * @param mapped whether they are used where they lie, or read into memory and checked
   */
  public static FoundBlocks readBlocks(SafeTensorsReader reader, String name, boolean mapped)
      throws IOException {
    BlockEntries found = BlockEntries.of(reader, name);
    return new FoundBlocks(found.dims(), found.read(reader, mapped));
  }

  /** An empty tensor may have any dimensions. */
  private static void requireInts(String name, long... dims) throws MalformedException {
    for (long dim : dims) {
      if (dim > Integer.MAX_VALUE) {
        throw new MalformedException(
            name, "a dimension of " + Dimensions.text(dims) + " is too large");
      }
    }
  }

  /** Returns whether a file holds packed weights of that name. */
  public static boolean isPacked(SafeTensorsReader reader, String name) {
    return reader.typeOrNull(name) == Dtype.U8
        && reader.metadata().containsKey(ModelNames.packed(name));
  }

  /**
   * Reads weights whose headers were checked.
   *
   * @param scales null unless the type has some
   * @param inFile the elements where they lie; null if they are to be read into memory
   */
  public static StoredWeights read(
      SafeTensorsReader reader,
      WeightType type,
      TensorEntry elements,
      TensorEntry scales,
      Storage inFile)
      throws IOException {
    Storage storage = inFile;
    if (inFile == null) {
      storage =
          type == WeightType.FLOAT32 ? reader.readFloats(elements) : reader.readNarrow(elements);
    }
    return new StoredWeights(type, storage, readScalesOrNull(reader, scales));
  }

  /** Returns the scales of a tensor; null if it is null. */
  private static Storage readScalesOrNull(SafeTensorsReader reader, TensorEntry entry)
      throws IOException {
    if (entry == null) {
      return null;
    }
    Storage scales = reader.readFloats(entry);
    for (long i = 0; i < entry.size(); i++) {
      if (Math.abs(scales.getFloat(i)) > Narrowing.LARGEST_SCALE) {
        throw new MalformedException(
            entry.name(), "element " + i + " = " + scales.getFloat(i) + " makes weights infinite");
      }
    }
    return scales;
  }
}
