// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Narrowing;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.format.AtomicFile;
import org.blocksparse.internal.format.Dtype;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.format.SafeTensorsLayout;
import org.blocksparse.internal.format.SafeTensorsReader;
import org.blocksparse.internal.format.SafeTensorsWriter;
import org.blocksparse.internal.format.TensorEntry;
import org.blocksparse.internal.format.TensorSource;
import org.blocksparse.internal.layer.ModelNames;
import org.blocksparse.internal.layer.ReadOnlyWeights;
import org.blocksparse.internal.memory.Storage;

/**
 * Weights in a safetensors file, as floats or of a type that is only read: W1 and W2 of a layer,
 * the table of a bag, and those of products; with the tensors beside them.
 */
final class WeightsFile implements AutoCloseable {
  private final SaveOptions options;
  private final List<TensorSource> tensors;
  private final List<Storage> made = new ArrayList<>();

  /**
   * Weights that are written.
   *
   * @param tensors of the file, which they are added to
   */
  WeightsFile(SaveOptions options, List<TensorSource> tensors) {
    this.options = options;
    this.tensors = tensors;
  }

  /**
   * A tensor that consists of blocks of rows and columns.
   *
   * @param dims of the tensor in the file
   * @param scaleDims of its scales there, one for each column of a block
   */
  @SuppressWarnings("ArrayRecordComponent")
  private record Grid(
      String name, long blocks, int rows, int columns, long[] dims, long[] scaleDims) {
    /** The blocks of a product. */
    static Grid ofBlocks(String name, Shape shape) {
      long[] dims = shape.toArray();
      long[] scaleDims = {dims[0], dims[1], dims[3]};
      return new Grid(name, dims[0] * dims[1], (int) dims[2], (int) dims[3], dims, scaleDims);
    }
  }

  /** Adds W2 and W1 of a layer, which is leased until the file is written. */
  void add(LayerMemory layer) {
    SoftmaxParameters parameters = layer.parameters();
    SoftmaxWeights narrow = parameters.narrow();
    Engine engine = layer.softmax().engine();
    WeightType type = typeToWrite(parameters.type());
    int features = layer.features();
    int classes = layer.assignment().classCount();
    int slots = layer.assignment().slots();
    long[] dims2 = {classes, features, slots};
    Grid w2 = new Grid("W2", classes, features, slots, dims2, new long[] {classes, slots});
    add(w2, type, parameters.W2(), narrow == null ? null : narrow.W2(), engine);
    long[] dims1 = {features, classes};
    Grid w1 = new Grid("W1", 1, features, classes, dims1, new long[] {classes});
    add(w1, type, parameters.W1(), narrow == null ? null : narrow.W1(), engine);
  }

  /** Adds the table of a bag, which is leased until the file is written. */
  void add(EmbeddingBag bag) {
    int rows = bag.vocabulary();
    int features = bag.features();
    long[] dims = {rows, features};
    Grid table = new Grid(ModelNames.TABLE, rows, features, 1, dims, new long[] {rows});
    WeightType type = typeToWrite(bag.weightType());
    add(table, type, bag.floatsOrNull(), bag.narrowOrNull(), bag.engine());
  }

  /** Adds a tensor that is not of weights. */
  void add(String name, Tensor tensor, Lease lease) {
    requireName(name);
    tensor.requireContiguous(name);
    lease.of(name, tensor);
    long[] dims = tensor.shape().toArray();
    tensors.add(
        tensor instanceof FloatTensor
            ? TensorSource.floats(name, dims, tensor.storage())
            : TensorSource.ints(name, dims, tensor.storage()));
  }

  /** Adds weights of products as they are. */
  void add(String name, Weights weights, Lease lease) {
    requireName(name);
    lease.of(name, weights);
    add(Grid.ofBlocks(name, weights.shape()), weights.stored(), null, weights, null);
  }

  /** Adds weights of products, rounded to a type while they are written. */
  void add(String name, FloatTensor W, ElementType type, Lease lease) {
    requireName(name);
    Weights.requireBlocks(name, W, type).requireContiguous(name);
    lease.of(name, W);
    Engine engine = Workers.common().engine();
    add(Grid.ofBlocks(name, W.shape()), type.stored(), W, null, engine);
  }

  private static void requireName(String name) {
    if (!SafeTensorsWriter.isName(name)) {
      throw new IllegalArgumentException(
          "tensors: \""
              + name
              + "\" is not a name of a tensor: it is empty, reserved (__metadata__), has spaces, or"
              + " could be a path");
    }
  }

  /** What weights are written as that are stored as this. */
  private WeightType typeToWrite(ElementType stored) {
    ElementType wanted = options.weights() == null ? stored : options.weights();
    if (stored != wanted && stored != ElementType.FLOAT32) {
      throw ReadOnlyWeights.notSaved(stored.stored(), wanted.stored());
    }
    if (wanted != ElementType.FLOAT32 && options.optimizerState()) {
      throw new IllegalArgumentException(
          "options: the state of an optimizer beside weights of "
              + wanted
              + ", which are only read");
    }
    return wanted.stored();
  }

  /** Adds a tensor; one of {@code floats} and {@code narrow} is null. */
  private void add(Grid grid, WeightType type, FloatTensor floats, Weights narrow, Engine engine) {
    if (type == WeightType.FLOAT32) {
      Storage storage = narrow != null ? narrow.elements() : floats.storage();
      tensors.add(TensorSource.floats(grid.name(), grid.dims(), storage));
      return;
    }
    if (narrow != null) {
      tensors.add(TensorSource.narrow(grid.name(), dtype(type), grid.dims(), narrow.elements()));
      addScales(grid, narrow.scales());
      return;
    }
    Storage scales = null;
    if (type.hasScales()) {
      scales = Storage.allocate(grid.blocks() * grid.columns());
      made.add(scales);
    }
    Narrowing narrowing =
        new Narrowing(
            grid.name(),
            type,
            floats.storage(),
            grid.blocks(),
            grid.rows(),
            grid.columns(),
            scales,
            engine);
    tensors.add(new TensorSource(grid.name(), dtype(type), grid.dims(), narrowing::put));
    addScales(grid, scales);
  }

  private void addScales(Grid grid, Storage scales) {
    if (scales != null) {
      tensors.add(TensorSource.floats(ModelNames.scales(grid.name()), grid.scaleDims(), scales));
    }
  }

  /**
   * Writes the file.
   *
   * @param aligned the name of the tensor that begins at a multiple of 64 bytes; null: the first
   * @param lease of all that is written
   */
  void write(Path file, String aligned, Map<String, String> metadata, Lease lease)
      throws IOException {
    requireDistinctNames();
    // Elements of more bytes come first, so that all lie at multiples of their size.
    tensors.sort(Comparator.comparingInt(tensor -> -tensor.elementBytes()));
    SafeTensorsWriter writer =
        new SafeTensorsWriter(
            SafeTensorsLayout.of(tensors, aligned), metadata, options.progress()::update);
    AtomicFile.write(
        file,
        channel -> {
          writer.writeAll(channel, tensors);
          lease.requireIntact();
        });
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

  /** Frees what was made to be written. */
  @Override
  public void close() {
    made.forEach(Storage::close);
  }

  // ------------------------------------------------------------------------------------ reading

  static Dtype dtype(WeightType type) {
    return switch (type) {
      case FLOAT32 -> Dtype.F32;
      case FLOAT16 -> Dtype.F16;
      case BFLOAT16 -> Dtype.BF16;
      case INT8 -> Dtype.I8;
    };
  }

  /** What a tensor of a file is; floats if it is anything else. */
  static WeightType typeOf(SafeTensorsReader reader, String name) {
    Dtype found = reader.typeOrNull(name);
    for (WeightType type : WeightType.values()) {
      if (dtype(type) == found) {
        return type;
      }
    }
    return WeightType.FLOAT32;
  }

  /**
   * The weights of a product, of any type.
   *
   * @param mapped whether they are used where they lie, or read into memory and checked
   */
  static Weights readBlocks(SafeTensorsReader reader, String name, boolean mapped)
      throws IOException {
    WeightType type = typeOf(reader, name);
    TensorEntry elements = reader.entryOfRank(Weights.RANK, name, dtype(type));
    long[] dims = elements.dims();
    for (long dim : dims) { // of an empty tensor, they may be anything
      if (dim > Integer.MAX_VALUE) {
        throw new MalformedException(name, "a dimension of " + Shape.of(dims) + " is too large");
      }
    }
    TensorEntry scales =
        type.hasScales()
            ? reader.entry(ModelNames.scales(name), Dtype.F32, dims[0], dims[1], dims[3])
            : null;
    Storage inFile = mapped ? reader.mapElements(elements) : null;
    return read(reader, type, Shape.of(dims), elements, scales, inFile);
  }

  /**
   * Weights whose headers were checked.
   *
   * @param shape (iBlocks, oBlocks, iSize, oSize)
   * @param scales null unless the type has some
   * @param inFile the elements where they lie; null if they are to be read into memory
   */
  static Weights read(
      SafeTensorsReader reader,
      WeightType type,
      Shape shape,
      TensorEntry elements,
      TensorEntry scales,
      Storage inFile)
      throws IOException {
    Storage storage = inFile;
    if (inFile == null) {
      storage =
          type == WeightType.FLOAT32 ? reader.readFloats(elements) : reader.readNarrow(elements);
    }
    return new Weights(type, shape, storage, readScalesOrNull(reader, scales));
  }

  /** W1 and W2 of a file, and their scales, with what their headers say checked. */
  record Entries(
      WeightType type, TensorEntry w1, TensorEntry w2, TensorEntry w1Scales, TensorEntry w2Scales) {
    static Entries of(SafeTensorsReader reader, int features, int classes, int slots)
        throws MalformedException {
      WeightType type = typeOf(reader, "W2");
      TensorEntry w1Scales = null;
      TensorEntry w2Scales = null;
      if (type.hasScales()) {
        w1Scales = reader.entry(ModelNames.scales("W1"), Dtype.F32, classes);
        w2Scales = reader.entry(ModelNames.scales("W2"), Dtype.F32, classes, slots);
      }
      return new Entries(
          type,
          reader.entry("W1", dtype(type), features, classes),
          reader.entry("W2", dtype(type), classes, features, slots),
          w1Scales,
          w2Scales);
    }

    /** The bytes of the scales. */
    long scaleBytes() {
      return type.hasScales() ? w1Scales.bytes() + w2Scales.bytes() : 0;
    }

    /** The weights; W2 lies in the memory given, or is read if that is null. */
    SoftmaxWeights read(SafeTensorsReader reader, Storage mappedW2) throws IOException {
      long[] dims1 = w1.dims();
      long[] dims2 = w2.dims();
      Shape shape1 = Shape.of(1, 1, dims1[0], dims1[1]);
      Shape shape2 = Shape.of(1, dims2[0], dims2[1], dims2[2]);
      return new SoftmaxWeights(
          WeightsFile.read(reader, type, shape1, w1, w1Scales, null),
          WeightsFile.read(reader, type, shape2, w2, w2Scales, mappedW2));
    }
  }

  /** The scales of a tensor; null of null. */
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
