// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.Arrays;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.training.BlockedTensor;
import org.blocksparse.internal.training.InitialWeights;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.internal.training.Parameter;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * The memory of all parameters, or of gradients with respect to them.
 *
 * @param type the type of the weights; if it is not float32, they are only read
 * @param w1Scales (classes), or null; see {@link WeightType#hasScales}
 * @param w2Scales (classes, slots), or null
 */
record SoftmaxStorage(
    Storage w1,
    Storage b1,
    Storage w2,
    Storage b2,
    WeightType type,
    Storage w1Scales,
    Storage w2Scales)
    implements AutoCloseable {

  /** Creates the memory of floats. */
  public SoftmaxStorage(Storage w1, Storage b1, Storage w2, Storage b2) {
    this(w1, b1, w2, b2, WeightType.FLOAT32, null, null);
  }

  /** Creates the memory of weights of a type. */
  public SoftmaxStorage(StoredWeights w1, Storage b1, StoredWeights w2, Storage b2) {
    this(w1.elements(), b1, w2.elements(), b2, w2.type(), w1.scales(), w2.scales());
  }

  /** Returns zeros. If there is not enough memory for one of them, none is kept. */
  public static SoftmaxStorage zeros(SoftmaxSizes sizes) {
    Storage[] all =
        Storage.allocateAll(Arrays.stream(Parameter.values()).mapToLong(sizes::elements).toArray());
    return new SoftmaxStorage(all[0], all[1], all[2], all[3]);
  }

  /**
   * Returns a copy with weights of a type, one of the two types FLOAT32, or of the same; leased by
   * the caller.
   */
  public SoftmaxStorage copy(WeightType as, SoftmaxSizes sizes, Engine engine) {
    int features = sizes.features();
    int classes = sizes.classes();
    StoredWeights ofClasses =
        new StoredWeights(type, w1, w1Scales)
            .as("W1", as, 1, features, classes, engine.scheduler());
    StoredWeights ofSlots = null;
    Storage[] biases = {};
    try {
      ofSlots =
          new StoredWeights(type, w2, w2Scales)
              .as("W2", as, classes, features, sizes.slots(), engine.scheduler());
      biases = Storage.allocateAll(b1.elements(), b2.elements());
      biases[0].copyFrom(b1);
      biases[1].copyFrom(b2);
      return new SoftmaxStorage(ofClasses, biases[0], ofSlots, biases[1]);
    } catch (Throwable e) {
      ofClasses.close();
      if (ofSlots != null) {
        ofSlots.close();
      }
      Storage.closeAll(biases);
      throw e;
    }
  }

  /** Returns the bytes that they take. */
  public long bytes(SoftmaxSizes sizes) {
    return new StoredWeights(type, w1, w1Scales).bytes(1, sizes.features(), sizes.classes())
        + new StoredWeights(type, w2, w2Scales)
            .bytes(sizes.classes(), sizes.features(), sizes.slots())
        + 4 * (b1.elements() + b2.elements());
  }

  /** Returns the memory of all parameters, with null for missing scales. */
  public Storage[] all() {
    return new Storage[] {w1, b1, w2, b2, w1Scales, w2Scales};
  }

  @Override
  public void close() {
    for (Storage storage : all()) {
      if (storage != null) {
        storage.close();
      }
    }
  }

  /** Returns W1 as a block for products. */
  Blocks w1(SoftmaxSizes sizes) {
    return sizes.w1(w1).as(type, w1Scales);
  }

  /** Returns W2 as a block for each class, for products. */
  Blocks w2(SoftmaxSizes sizes) {
    return sizes.w2(w2).as(type, w2Scales);
  }

  /** Returns the memory of one parameter. */
  public Storage of(Parameter parameter) {
    return switch (parameter) {
      case W1 -> w1;
      case B1 -> b1;
      case W2 -> w2;
      case B2 -> b2;
    };
  }

  /**
   * Returns new optimizer state of all parameters, by their ordinals. The class level is one block,
   * since every step touches all of it; of W2 and b2 each class is a block.
   */
  public LayerState optimizerState(int classes) {
    return new LayerState(
        "layer",
        Arrays.stream(Parameter.values())
            .map(
                parameter ->
                    new BlockedTensor(
                        of(parameter), blocks(parameter, classes), parameter.isWeight()))
            .toArray(BlockedTensor[]::new));
  }

  private static int blocks(Parameter parameter, int classes) {
    return switch (parameter) {
      case W1, B1 -> 1;
      case W2, B2 -> classes;
    };
  }

  /** Returns the parameters of a new layer: random weights, and biases of zero. */
  public static SoftmaxStorage random(SoftmaxSizes sizes, long seed) {
    SoftmaxStorage parameters = SoftmaxStorage.zeros(sizes);
    InitialWeights initial = new InitialWeights(sizes.features(), seed);
    initial.fill(parameters.w1(), 0, sizes.classes());
    initial.fill(parameters.w2(), sizes.elements(Parameter.W1), sizes.slots());
    return parameters;
  }
}
