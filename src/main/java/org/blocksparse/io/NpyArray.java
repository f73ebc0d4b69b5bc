// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import org.blocksparse.internal.files.Dimensions;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.RegularFile;
import org.blocksparse.internal.memory.Storage;

/**
 * NumPy's format of one array: a {@link NpyHeader} and the elements.
 *
 * @param dims the dimensions
 * @param storage the elements in row-major order, floats or integers of 32 bits
 */
record NpyArray(long[] dims, Storage storage) {
  private static final int PIECE_BYTES = 1 << 20;

  /** Accepts or rejects the number of bytes that an array claims to have. */
  interface Limit {
    void check(long bytes) throws IOException;
  }

  /** The kind of elements, and the conversion of one of eight bytes to four. */
  public enum Kind {
    FLOATS('f') {
      @Override
      int bits(ByteBuffer buffer, int elementBytes) {
        if (elementBytes == Float.BYTES) {
          return buffer.getInt();
        }
        double value = buffer.getDouble();
        if (Double.isFinite(value) && !Float.isFinite((float) value)) {
          throw new ArithmeticException(value + " is too large for a float32");
        }
        return Float.floatToRawIntBits((float) value);
      }
    },
    INTS('i') {
      @Override
      int bits(ByteBuffer buffer, int elementBytes) {
        long value = elementBytes == Integer.BYTES ? buffer.getInt() : buffer.getLong();
        if ((int) value != value) {
          throw new ArithmeticException(value + " is too large for an int32");
        }
        return (int) value;
      }
    };

    private final char letter;

    Kind(char letter) {
      this.letter = letter;
    }

    /**
     * Returns the bits of the next element.
     *
     * @throws ArithmeticException if 32 bits cannot hold it
     */
    abstract int bits(ByteBuffer buffer, int elementBytes);

    /** Returns the types in messages. */
    private String wanted() {
      return this == FLOATS ? "float32 or float64" : "int32 or int64";
    }
  }

  // ------------------------------------------------------------------------------------ reading

  /**
   * Reads an array of 32 or 64 bits.
   *
   * @param name the array, for messages
   * @throws MalformedException if it is none, has another type, or an element does not fit
   */
  static NpyArray read(InputStream in, String name, Kind kind, Limit limit) throws IOException {
    NpyHeader.Read read = NpyHeader.read(in, name);
    NpyHeader header = read.header();
    limit.check(read.bytesBefore() + header.dataBytes());
    if (header.kind() != kind.letter) {
      throw new MalformedException(name, "expected " + kind.wanted() + " but was " + header.type());
    }
    Storage storage = Storage.allocate(header.size());
    try {
      readElements(in, name, header, kind, storage);
      return new NpyArray(header.dims(), storage);
    } catch (Throwable e) {
      storage.close();
      throw e;
    }
  }

  /** Elements come in file order; each is stored at its place in row-major order. */
  private static void readElements(
      InputStream in, String name, NpyHeader header, Kind kind, Storage storage)
      throws IOException {
    long size = header.size();
    int elementBytes = header.elementBytes();
    byte[] piece = new byte[(int) Math.min(PIECE_BYTES, Math.max(1, header.dataBytes()))];
    Places places = new Places(header.dims(), header.fortran());
    for (long done = 0; done < size; ) {
      int count = (int) Math.min(size - done, piece.length / elementBytes);
      int read = in.readNBytes(piece, 0, count * elementBytes);
      if (read < count * elementBytes) {
        throw new MalformedException(
            name, "ends before element " + (done + read / elementBytes) + " of " + size);
      }
      ByteBuffer buffer = ByteBuffer.wrap(piece).order(header.order());
      for (int i = 0; i < count; i++) {
        long place = places.next();
        try {
          storage.putInt(place, kind.bits(buffer, elementBytes));
        } catch (ArithmeticException e) {
          throw new MalformedException(name, "element " + place + " = " + e.getMessage(), e);
        }
      }
      done += count;
    }
    if (in.read() >= 0) {
      throw new MalformedException(name, "goes on after its " + size + " elements");
    }
  }

  /** The places, in row-major order, of elements in either order. */
  private static final class Places {
    private final long[] dims;
    private final long[] strides;
    private final long[] index;
    private final boolean fortran;
    private long place;

    Places(long[] dims, boolean fortran) {
      this.dims = dims;
      this.strides = new long[dims.length];
      this.index = new long[dims.length];
      this.fortran = fortran;
      long stride = 1;
      for (int axis = dims.length - 1; axis >= 0; axis--) {
        strides[axis] = stride;
        stride *= Math.max(1, dims[axis]);
      }
    }

    long next() {
      long current = place;
      if (!fortran) {
        place++;
        return current;
      }
      for (int axis = 0; axis < dims.length; axis++) {
        place += strides[axis];
        if (++index[axis] < dims[axis]) {
          break;
        }
        place -= strides[axis] * dims[axis];
        index[axis] = 0;
      }
      return current;
    }
  }

  // ------------------------------------------------------------------------------------ writing

  /**
   * Requires an array that can be read again, by NumPy as well.
   *
   * @throws IllegalArgumentException if it has too many dimensions
   */
  public static void requireWritable(String name, long[] dims) {
    Dimensions.requireReadable(name, dims);
  }

  /** Writes the array as version 1.0, C order, little-endian float32 or int32. */
  public void write(OutputStream out, Kind kind) throws IOException {
    out.write(NpyHeader.bytes(kind.letter, dims));
    ByteBuffer piece = ByteBuffer.allocate(PIECE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (long index = 0; index < storage.elements(); ) {
      piece.clear();
      while (piece.hasRemaining() && index < storage.elements()) {
        // The bits are copied unchanged, since a float would lose those of some NaN.
        piece.putInt(storage.getInt(index++));
      }
      out.write(piece.array(), 0, piece.position());
    }
  }

  // -------------------------------------------------------------------------------------- files

  /**
   * Reads a file that is one array and nothing else.
   *
   * @throws MalformedException as above
   */
  public static NpyArray read(Path file, Kind kind) throws IOException {
    try (InputStream in = Files.newInputStream(RegularFile.require(file))) {
      long size = Files.size(file);
      return read(
          in,
          "array",
          kind,
          bytes -> {
            if (bytes != size) {
              throw new MalformedException(
                  "array", "claims " + bytes + " bytes, but the file has " + size);
            }
          });
    }
  }
}
