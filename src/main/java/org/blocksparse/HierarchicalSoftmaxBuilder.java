// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;
import org.blocksparse.internal.memory.StackRoom;
import org.blocksparse.internal.softmax.Link;

/** Collects what a {@link HierarchicalSoftmax} is made of; see there. */
public final class HierarchicalSoftmaxBuilder
    extends LayerBuilder<HierarchicalSoftmax, HierarchicalSoftmaxBuilder> {
  HierarchicalSoftmaxBuilder(int features, int outputs) {
    super(Link.SOFTMAX, features, outputs);
  }

  @Override
  HierarchicalSoftmaxBuilder self() {
    return this;
  }

  @Override
  HierarchicalSoftmax layer(LayerContent content) {
    return new HierarchicalSoftmax(content);
  }

  /**
   * A part of the layer that {@link #build()} makes, with the same bits; the rest of the layer
   * takes no memory.
   *
   * @param number of a class, or {@link SoftmaxPart#CLASS_LEVEL}
   * @throws IndexOutOfBoundsException if there is no such class
   * @throws OutOfMemoryError if there is not enough memory, naming the bytes
   */
  public SoftmaxPart buildPart(int number) {
    ClassAssignment classes = orDefault();
    if (number != SoftmaxPart.CLASS_LEVEL) {
      Check.index("number", number, "classes", classes.classCount());
    }
    return SoftmaxPart.initial(number, features, classes, seed, workers);
  }

  /**
   * Puts parts together into a file that {@link HierarchicalSoftmax#load} opens, and never holds
   * more than one of them. It has the bytes that {@link HierarchicalSoftmax#save(Path,
   * SaveOptions)} writes of the whole layer: a class whose optimizer is of another kind than that
   * of the class level has made no step by it, and has no optimizer state in the file.
   *
   * @param steps of training that the layer has taken
   * @param parts what {@link SoftmaxPart#toBytes} returned: the class level first, then each class
   *     once, in any order
   * @param options may ask for the optimizer state, and have metadata and a {@link Progress}
   * @throws IllegalArgumentException if steps are negative, if a part is missing, is there twice,
   *     has other sizes or numbers that are not finite, or if the options ask for a bag or another
   *     type of weights
   * @throws IOException if the file cannot be written; an old one is unchanged, also by all that is
   *     refused
   */
  public void saveParts(Path file, long steps, Iterator<byte[]> parts, SaveOptions options)
      throws IOException {
    StackRoom.requireForFiles();
    if (steps < 0) {
      throw new IllegalArgumentException("steps: expected at least 0 but was " + steps);
    }
    PartsFile.save(
        requireNonNull(file, "file"),
        features,
        orDefault(),
        labels,
        steps,
        requireNonNull(parts, "parts"),
        requireNonNull(options, "options"));
  }
}
