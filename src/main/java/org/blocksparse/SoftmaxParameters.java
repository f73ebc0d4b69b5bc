// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import org.blocksparse.internal.layer.InitialWeights;
import org.blocksparse.internal.layer.ReadOnlyWeights;
import org.blocksparse.internal.softmax.Parameter;
import org.blocksparse.internal.softmax.SoftmaxStorage;

/**
 * The parameters of a two-level softmax, or gradients with respect to them.
 *
 * @param W1 (features, classes)
 * @param b1 (classes)
 * @param W2 (classes, features, slots)
 * @param b2 (classes, slots)
 * @param narrow weights of another type that are only read, with which W1 and W2 are null; or null
 */
record SoftmaxParameters(
    FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2, SoftmaxWeights narrow)
    implements AutoCloseable {

  SoftmaxParameters(FloatTensor W1, FloatTensor b1, FloatTensor W2, FloatTensor b2) {
    this(W1, b1, W2, b2, null);
  }

  /** All zero. If there is not enough memory for one of them, none is kept. */
  static SoftmaxParameters zeros(int features, int classes, int slots) {
    FloatTensor[] parameters =
        FloatTensor.zeros(
            Shape.of(features, classes),
            Shape.of(classes),
            Shape.of(classes, features, slots),
            Shape.of(classes, slots));
    return new SoftmaxParameters(parameters[0], parameters[1], parameters[2], parameters[3]);
  }

  /** Weights uniform in [-1, 1] / sqrt(features), and biases of zero. */
  static SoftmaxParameters random(int features, int classes, int slots, long seed) {
    SoftmaxParameters parameters = zeros(features, classes, slots);
    InitialWeights initial = new InitialWeights(features, seed);
    initial.fill(parameters.W1.storage(), 0, classes);
    initial.fill(parameters.W2.storage(), parameters.W1.shape().size(), slots);
    return parameters;
  }

  /**
   * These, if they have the given sizes.
   *
   * @throws IllegalArgumentException if one has another shape
   */
  SoftmaxParameters require(int features, int classes, int slots) {
    Check.shape("W1", W1, "(features, classes)", features, classes);
    Check.shape("b1", b1, "(classes)", classes);
    Check.shape("W2", W2, "(classes, features, slots)", classes, features, slots);
    Check.shape("b2", b2, "(classes, slots)", classes, slots);
    return this;
  }

  /**
   * These, if they may be trained together.
   *
   * @throws IllegalArgumentException if two of them share memory
   */
  SoftmaxParameters requireApart() {
    Parameter[] all = Parameter.values();
    for (int i = 0; i < all.length; i++) {
      for (int j = 0; j < i; j++) {
        if (Check.overlap(of(all[i]), of(all[j]))) {
          throw new IllegalArgumentException(
              all[i].label() + ": shares memory with " + all[j].label());
        }
      }
    }
    return this;
  }

  /**
   * What an operation writes is not what it reads.
   *
   * @throws IllegalArgumentException if {@code out} shares memory with x or one of these
   */
  void checkNoOverlap(String outName, FloatTensor out, FloatTensor x) {
    Check.noOverlap(outName, out, "x", x);
    for (Parameter parameter : Parameter.values()) {
      if (of(parameter) != null) {
        Check.noOverlap(outName, out, parameter.label(), of(parameter));
      }
    }
  }

  /** Adds all of them to a lease, by their own names, to be read. */
  Lease read(Lease lease) {
    for (Parameter parameter : Parameter.values()) {
      lease.of(parameter.label(), of(parameter));
    }
    return narrow == null ? lease : lease.of("W1", narrow.W1()).of("W2", narrow.W2());
  }

  /** Adds all of them to a lease, by their own names, to be written. */
  Lease write(Lease lease) {
    for (Parameter parameter : Parameter.values()) {
      lease.writing(parameter.label(), of(parameter));
    }
    return lease;
  }

  /** What the computations work on. */
  SoftmaxStorage storage() {
    if (narrow != null) {
      return new SoftmaxStorage(
          narrow.W1().elements(),
          b1.storage(),
          narrow.W2().elements(),
          b2.storage(),
          narrow.W2().stored(),
          narrow.W1().scales(),
          narrow.W2().scales());
    }
    return new SoftmaxStorage(W1.storage(), b1.storage(), W2.storage(), b2.storage());
  }

  /** One of them; null for weights that are narrow. */
  FloatTensor of(Parameter parameter) {
    return switch (parameter) {
      case W1 -> W1;
      case B1 -> b1;
      case W2 -> W2;
      case B2 -> b2;
    };
  }

  /** Weights that are floats. */
  FloatTensor floats(Parameter parameter) {
    FloatTensor weights = of(parameter);
    if (weights == null) {
      throw ReadOnlyWeights.notFloats(parameter.label(), type().stored());
    }
    return weights;
  }

  /** What the weights are stored as. */
  ElementType type() {
    return narrow == null ? ElementType.FLOAT32 : narrow.W2().type();
  }

  /** What they take, in words. */
  String size() {
    return bytes() + " bytes" + (narrow == null ? "" : ", weights of " + type());
  }

  long bytes() {
    long weights =
        narrow != null
            ? narrow.W1().bytes() + narrow.W2().bytes()
            : 4 * (W1.shape().size() + W2.shape().size());
    return weights + 4 * (b1.shape().size() + b2.shape().size());
  }

  @Override
  public void close() {
    if (narrow != null) {
      narrow.close();
    } else {
      W1.close();
      W2.close();
    }
    b1.close();
    b2.close();
  }
}
