// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import java.util.Collection;
import java.util.Locale;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.Shape;
import org.blocksparse.Tensor;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.memory.GrowingArrays;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Storage;

/** The checks of arguments, each with a message: name, expected, found. */
public final class Check {
  /**
   * The length of the largest array of a JVM. No dimension of a layer is larger, as its saved file
   * could not be loaded.
   */
  public static final int LARGEST_ARRAY = GrowingArrays.MAX_LENGTH;

  /** The names of the dimensions of weights. */
  public static final String WEIGHTS = "(iBlocks, oBlocks, iSize, oSize)";

  private static final int MOST_IN_BATCH = 1 << 29;

  /** The elements that are checked at a time. */
  private static final int PIECE = 1 << 10;

  private Check() {}

  /**
   * Requires the rank that the argument's dimension words have, "(batch, iWin, iSize)" for
   * instance.
   */
  public static <T extends Tensor> T rank(String name, T tensor, String words, int rank) {
    rank(name, requireNonNull(tensor, name).shape(), words, rank);
    return tensor;
  }

  private static void rank(String name, Shape shape, String words, int rank) {
    if (shape.rank() != rank) {
      throw new IllegalArgumentException(name + ": expected " + words + " but was " + shape);
    }
    for (int axis = 0; axis < rank; axis++) {
      if (shape.dim(axis) > Integer.MAX_VALUE) {
        throw new IllegalArgumentException(
            name
                + ": a dimension of "
                + shape
                + " is larger than 2^31 - 1, which BLAS cannot address");
      }
    }
  }

  /** Requires a matrix of blocks, and returns its shape. */
  public static Shape blocks(String name, BlockMatrix W) {
    Shape shape = requireNonNull(W, name).shape();
    rank(name, shape, WEIGHTS, 4);
    return shape;
  }

  /** Requires exactly the given dimensions. */
  public static <T extends Tensor> T shape(String name, T tensor, String words, long... expected) {
    shape(name, requireNonNull(tensor, name).shape(), words, expected);
    return tensor;
  }

  /** Requires a shape whose dimensions may be more than any {@link Shape} can have. */
  public static void shape(String name, Shape shape, String words, long... expected) {
    if (!Arrays.equals(shape.toArray(), expected)) {
      throw new IllegalArgumentException(
          name + ": expected " + words + " = " + Dimensions.text(expected) + " but was " + shape);
    }
  }

  /** Returns a number of rows, which schedules count in 31 bits. */
  public static int rows(String name, long rows) {
    if (rows > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          name
              + ": "
              + rows
              + " rows are more than the 2^31 - 1 that one call can take; split the batch");
    }
    return (int) rows;
  }

  /**
   * Returns a number of rows or entries of a batch, whose schedules have several numbers for each
   * and are arrays.
   */
  public static int batch(String name, long count, String what) {
    if (count > MOST_IN_BATCH) {
      throw new IllegalArgumentException(
          name
              + ": "
              + count
              + " "
              + what
              + " are more than the 2^29 that one call can take; split the batch");
    }
    return (int) count;
  }

  /**
   * Returns whether two tensors share memory. A closed one has no memory to share, only an address
   * that may be another's by now; the lease that follows refuses it.
   */
  public static boolean overlap(FloatTensor a, FloatTensor b) {
    return !a.isClosed()
        && !b.isClosed()
        && Storage.overlap(
            Dense.from(a).storage(),
            0,
            a.shape().size(),
            Dense.from(b).storage(),
            0,
            b.shape().size());
  }

  /** Requires that an output is no input, which would be read half written. */
  public static void noOverlap(String outName, FloatTensor out, String inName, FloatTensor in) {
    if (overlap(out, in)) {
      throw overlap(outName, inName);
    }
  }

  /** Requires that an output shares no memory with a storage. */
  public static void noOverlap(String outName, FloatTensor out, String inName, Storage in) {
    if (overlaps(out, in)) {
      throw overlap(outName, inName);
    }
  }

  /** Requires that a storage that is written shares no memory with an input. */
  public static void noOverlap(String outName, Storage out, String inName, FloatTensor in) {
    if (overlaps(in, out)) {
      throw overlap(outName, inName);
    }
  }

  private static boolean overlaps(FloatTensor tensor, Storage all) {
    return !tensor.isClosed()
        && !all.isClosed()
        && Storage.overlap(
            Dense.from(tensor).storage(), 0, tensor.shape().size(), all, 0, all.elements());
  }

  private static IllegalArgumentException overlap(String outName, String inName) {
    return new IllegalArgumentException(
        outName + ": shares memory with " + inName + "; an output must not overlap an input");
  }

  /** Requires that all indices are in [0, bound). */
  public static void indices(String name, int[] indices, int columns, String boundName, int bound) {
    for (int i = 0; i < indices.length; i++) {
      index(name, indices[i], i, columns, boundName, bound);
    }
  }

  /**
   * Requires that element {@code i} of indices with that many columns, 0 for rank 1, is in [0,
   * bound).
   */
  public static void index(
      String name, int index, int i, int columns, String boundName, int bound) {
    if (index < 0 || index >= bound) {
      throw new IndexOutOfBoundsException(
          name
              + (columns == 0 ? "[" + i : "[" + i / columns + ", " + i % columns)
              + "] = "
              + index
              + " is outside [0, "
              + boundName
              + " = "
              + bound
              + ")");
    }
  }

  /** Returns an argument that is an index is in [0, bound). */
  public static int index(String name, int index, String boundName, int bound) {
    if (index < 0 || index >= bound) {
      throw new IndexOutOfBoundsException(
          name + ": " + index + " is outside [0, " + boundName + " = " + bound + ")");
    }
    return index;
  }

  /**
   * Requires that {@code length} elements from an argument on are within the existing {@code size}.
   */
  public static void range(
      String startName, long start, String lengthName, long length, String sizeName, long size) {
    if (start < 0 || length < 0 || start > size - length) {
      throw new IndexOutOfBoundsException(
          String.format(
              Locale.ROOT,
              "%s = %d, %s = %d: outside [0, %s = %d)",
              startName,
              start,
              lengthName,
              length,
              sizeName,
              size));
    }
  }

  public static int atLeast(int minimum, String name, int value) {
    if (value < minimum) {
      throw new IllegalArgumentException(
          name + ": expected at least " + minimum + " but was " + value);
    }
    return value;
  }

  /**
   * Requires that no element is null.
   *
   * @throws NullPointerException if one is; the message has its place
   */
  public static <C extends Collection<?>> C noNulls(String name, C values) {
    int i = 0;
    for (Object value : requireNonNull(values, name)) {
      if (value == null) {
        throw new NullPointerException(name + "[" + i + "] is null");
      }
      i++;
    }
    return values;
  }

  /** Returns a dimension of a layer. */
  public static int dimension(String name, int value) {
    if (value > LARGEST_ARRAY) {
      throw new IllegalArgumentException(
          name + ": expected at most " + LARGEST_ARRAY + " but was " + value);
    }
    return atLeast(1, name, value);
  }

  public static float finite(String name, float value) {
    if (!Float.isFinite(value)) {
      throw new IllegalArgumentException(name + ": expected a finite number but was " + value);
    }
    return value;
  }

  /** Requires that all elements of a matrix are finite; the caller leases it. */
  public static void finite(String name, Rows rows) {
    float[] piece = new float[(int) Math.min(PIECE, rows.stride())];
    for (long row = 0; row < rows.count(); row++) {
      for (long begin = 0; begin < rows.stride(); begin += piece.length) {
        int count = (int) Math.min(piece.length, rows.stride() - begin);
        rows.get(row, begin, piece, count);
        for (int i = 0; i < count; i++) {
          if (!Float.isFinite(piece[i])) {
            throw new IllegalArgumentException(
                name + "[" + row + ", " + (begin + i) + "] = " + piece[i] + " is not finite");
          }
        }
      }
    }
  }

  /** Requires as many elements as expected. */
  public static void length(String name, long expected, long actual) {
    if (expected != actual) {
      throw new IllegalArgumentException(
          name + ": expected " + expected + " elements but was " + actual);
    }
  }

  public static double inUnitInterval(String name, double value) {
    if (!(value > 0 && value <= 1)) {
      throw new IllegalArgumentException(name + ": expected a number in (0, 1] but was " + value);
    }
    return value;
  }

  /** Requires gradient options without an activation and a gate. */
  public static GradientOptions plain(GradientOptions options, String gradient) {
    noActivation(options, gradient);
    if (options.gate() != null) {
      throw new IllegalArgumentException(
          "options: expected none withGate, as " + gradient + " takes no gate");
    }
    return options;
  }

  /** Requires gradient options without an activation. */
  public static GradientOptions noActivation(GradientOptions options, String gradient) {
    if (requireNonNull(options, "options").activation() != null) {
      throw new IllegalArgumentException(
          "options: expected none withActivation, as "
              + gradient
              + " takes none from options, but was "
              + options.activation());
    }
    return options;
  }
}
