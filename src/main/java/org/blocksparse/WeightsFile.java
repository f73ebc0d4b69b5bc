// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.blocksparse.internal.Narrowing;
import org.blocksparse.internal.WeightType;
import org.blocksparse.internal.format.ElementType;
import org.blocksparse.internal.format.MalformedException;
import org.blocksparse.internal.format.SafeTensorsReader;
import org.blocksparse.internal.format.TensorEntry;
import org.blocksparse.internal.format.TensorSource;
import org.blocksparse.internal.memory.Storage;

/** The narrow weights of a layer in a safetensors file. */
final class WeightsFile implements AutoCloseable {
  /** A scale beyond this would make weights infinite. */
  private static final float LARGEST_SCALE = Float.MAX_VALUE / 128;

  private final LayerMemory layer;
  private final WeightType type;
  private final List<TensorSource> tensors = new ArrayList<>();
  private final List<Storage> made = new ArrayList<>();

  private WeightsFile(LayerMemory layer, WeightType type) {
    this.layer = layer;
    this.type = type;
  }

  /**
   * What is written of a layer, which is leased meanwhile; null if its weights are floats there.
   */
  static WeightsFile ofOrNull(LayerMemory layer, SaveOptions options) {
    org.blocksparse.ElementType stored = layer.parameters().type();
    org.blocksparse.ElementType wanted = options.weights() == null ? stored : options.weights();
    if (stored != wanted && stored != org.blocksparse.ElementType.FLOAT32) {
      throw new IllegalStateException(
          "weights: this layer's are "
              + stored
              + " and not written as "
              + wanted
              + "; save the layer of floats that it was made of, or what withWeights(FLOAT32)"
              + " makes of this one");
    }
    if (wanted == org.blocksparse.ElementType.FLOAT32) {
      return null;
    }
    if (options.optimizerState()) {
      throw new IllegalArgumentException(
          "options: the state of an optimizer beside weights of "
              + wanted
              + ", which are only read");
    }
    WeightsFile file = new WeightsFile(layer, wanted.stored());
    try {
      file.add("W2", layer.assignment().classes(), layer.assignment().slots());
      file.add("W1", 1, layer.assignment().classes());
      return file;
    } catch (Throwable e) {
      file.close();
      throw e;
    }
  }

  private void add(String name, int blocks, int columns) {
    SoftmaxParameters parameters = layer.parameters();
    boolean isW2 = name.equals("W2");
    int features = layer.features();
    long[] dims = isW2 ? new long[] {blocks, features, columns} : new long[] {features, columns};
    long[] scaleDims = isW2 ? new long[] {blocks, columns} : new long[] {columns};
    if (parameters.narrow() != null) {
      Weights weights = isW2 ? parameters.narrow().W2() : parameters.narrow().W1();
      tensors.add(TensorSource.narrow(name, dtype(type), dims, weights.elements()));
      addScales(name, scaleDims, weights.scales());
      return;
    }
    Storage floats = (isW2 ? parameters.W2() : parameters.W1()).storage();
    Storage ownScales = null;
    if (type.hasScales()) {
      ownScales = Storage.allocate((long) blocks * columns);
      made.add(ownScales);
    }
    Narrowing narrowing =
        new Narrowing(
            name, type, floats, blocks, features, columns, ownScales, layer.softmax().engine());
    tensors.add(new TensorSource(name, dtype(type), dims, narrowing::put));
    addScales(name, scaleDims, ownScales);
  }

  private void addScales(String name, long[] dims, Storage storage) {
    if (storage != null) {
      tensors.add(TensorSource.floats(ModelNames.scales(name), dims, storage));
    }
  }

  /** W2 and W1, and their scales. */
  List<TensorSource> tensors() {
    return tensors;
  }

  /** Frees what was made to be written. */
  @Override
  public void close() {
    made.forEach(Storage::close);
  }

  // ------------------------------------------------------------------------------------ reading

  static ElementType dtype(WeightType type) {
    return switch (type) {
      case FLOAT32 -> ElementType.F32;
      case FLOAT16 -> ElementType.F16;
      case BFLOAT16 -> ElementType.BF16;
      case INT8 -> ElementType.I8;
    };
  }

  /** What the weights of a file are; floats if they are anything else. */
  static WeightType typeOf(SafeTensorsReader reader) {
    ElementType found = reader.typeOrNull("W2");
    for (WeightType type : WeightType.values()) {
      if (dtype(type) == found) {
        return type;
      }
    }
    return WeightType.FLOAT32;
  }

  /** W1 and W2 of a file, and their scales, with what their headers say checked. */
  record Entries(
      WeightType type, TensorEntry w1, TensorEntry w2, TensorEntry w1Scales, TensorEntry w2Scales) {
    static Entries of(SafeTensorsReader reader, int features, int classes, int slots)
        throws MalformedException {
      WeightType type = typeOf(reader);
      TensorEntry w1Scales = null;
      TensorEntry w2Scales = null;
      if (type.hasScales()) {
        w1Scales = reader.entry(ModelNames.scales("W1"), ElementType.F32, classes);
        w2Scales = reader.entry(ModelNames.scales("W2"), ElementType.F32, classes, slots);
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
      Storage storage1 = reader.readNarrow(w1);
      Storage storage2 = mappedW2 != null ? mappedW2 : reader.readNarrow(w2);
      return new SoftmaxWeights(
          new Weights(
              type,
              Shape.of(1, 1, dims1[0], dims1[1]),
              storage1,
              readScalesOrNull(reader, w1Scales)),
          new Weights(
              type,
              Shape.of(1, dims2[0], dims2[1], dims2[2]),
              storage2,
              readScalesOrNull(reader, w2Scales)));
    }

    private static Storage readScalesOrNull(SafeTensorsReader reader, TensorEntry entry)
        throws IOException {
      if (entry == null) {
        return null;
      }
      Storage scales = reader.readFloats(entry);
      for (long i = 0; i < entry.size(); i++) {
        if (Math.abs(scales.getFloat(i)) > LARGEST_SCALE) {
          throw new MalformedException(
              entry.name(),
              "element " + i + " = " + scales.getFloat(i) + " makes weights infinite");
        }
      }
      return scales;
    }
  }
}
