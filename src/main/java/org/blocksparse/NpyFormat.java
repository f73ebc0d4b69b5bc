// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.StringJoiner;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.internal.memory.Storage;

/**
 * NumPy's format of one array: a magic number, a version, the length of the header, the header as a
 * Python dictionary, and the elements. The dictionary has three keys of known types, so that a
 * pattern reads it; nothing of Python is evaluated.
 */
final class NpyFormat {
  private static final byte[] MAGIC = {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y'};
  private static final int ALIGNMENT = 64;
  private static final int CHUNK_BYTES = 1 << 20;

  /** NumPy's own limit, for the same reason: nobody needs more, and parsing it takes time. */
  private static final int LONGEST_HEADER = 10_000;

  private static final int MOST_DIMENSIONS = 32;

  private static final Pattern HEADER =
      Pattern.compile(
          "\\s*+\\{((?:\\s*+'\\w++'\\s*+:\\s*+(?:'[^']*+'|\\w++|\\([^()]*+\\))\\s*+,?+){0,8}+)"
              + "\\s*+\\}\\s*+");
  private static final Pattern FIELD =
      Pattern.compile("'(\\w++)'\\s*+:\\s*+(?:'([^']*+)'|(\\w++)|\\(([^()]*+)\\))");
  private static final Pattern TYPE = Pattern.compile("([<>=|])([fi])([48])");

  private final Path file;
  private final String name;

  /**
   * What is read or written.
   *
   * @param name the array, for messages
   */
  NpyFormat(Path file, String name) {
    this.file = file;
    this.name = name;
  }

  /** What the header tells. */
  private record Header(char kind, int bytes, ByteOrder order, boolean fortran, Shape shape) {
    long dataBytes() {
      return shape.size() * bytes;
    }
  }

  private ModelFormatException malformed(String reason) {
    return new ModelFormatException(file, name, reason);
  }

  // ------------------------------------------------------------------------------------ reading

  /** Decides by the number of bytes that an array claims to have whether it can have them. */
  interface Limit {
    void check(long bytes) throws IOException;
  }

  /** Reads an array of float32 or float64; the latter are rounded. */
  FloatTensor readFloats(InputStream in, Limit limit) throws IOException {
    Header header = readHeader(in, limit);
    if (header.kind() != 'f') {
      throw malformed("expected float32 or float64 but was int" + 8 * header.bytes());
    }
    Storage storage = Storage.allocate(header.shape().size());
    try {
      readElements(
          in,
          header,
          (buffer, index) -> {
            if (header.bytes() == 4) {
              storage.putFloat(index, buffer.getFloat());
              return;
            }
            double value = buffer.getDouble();
            if (Double.isFinite(value) && !Float.isFinite((float) value)) {
              throw malformed("element " + index + " = " + value + " is too large for a float32");
            }
            storage.putFloat(index, (float) value);
          });
      return FloatTensor.dense(storage, header.shape());
    } catch (Throwable e) {
      storage.close();
      throw e;
    }
  }

  /** Reads an array of int32 or int64; the latter must fit. */
  IntTensor readInts(InputStream in, Limit limit) throws IOException {
    Header header = readHeader(in, limit);
    if (header.kind() != 'i') {
      throw malformed("expected int32 or int64 but was float" + 8 * header.bytes());
    }
    Storage storage = Storage.allocate(header.shape().size());
    try {
      readElements(
          in,
          header,
          (buffer, index) -> {
            long value = header.bytes() == 4 ? buffer.getInt() : buffer.getLong();
            if ((int) value != value) {
              throw malformed("element " + index + " = " + value + " is too large for an int32");
            }
            storage.putInt(index, (int) value);
          });
      return IntTensor.dense(storage, header.shape());
    } catch (Throwable e) {
      storage.close();
      throw e;
    }
  }

  private byte[] readExactly(InputStream in, int count, String what) throws IOException {
    byte[] bytes = in.readNBytes(count);
    if (bytes.length < count) {
      throw malformed(what + " is cut off");
    }
    return bytes;
  }

  private Header readHeader(InputStream in, Limit limit) throws IOException {
    byte[] start = readExactly(in, MAGIC.length + 2, "the magic number");
    if (!Arrays.equals(MAGIC, 0, MAGIC.length, start, 0, MAGIC.length)) {
      throw malformed("does not begin like an array of NumPy");
    }
    int version = start[MAGIC.length];
    if (version < 1 || version > 3 || start[MAGIC.length + 1] != 0) {
      throw malformed(
          "has version " + version + "." + start[MAGIC.length + 1] + "; 1.0 to 3.0 can be read");
    }
    ByteBuffer length =
        ByteBuffer.wrap(readExactly(in, version == 1 ? 2 : 4, "the length of the header"))
            .order(ByteOrder.LITTLE_ENDIAN);
    long headerLength =
        version == 1
            ? Short.toUnsignedInt(length.getShort())
            : Integer.toUnsignedLong(length.getInt());
    if (headerLength > LONGEST_HEADER) {
      throw malformed("has a header of " + headerLength + " bytes, more than " + LONGEST_HEADER);
    }
    Header header =
        parse(new String(readExactly(in, (int) headerLength, "the header"), ISO_8859_1));
    limit.check(MAGIC.length + 2 + length.capacity() + headerLength + header.dataBytes());
    return header;
  }

  private Header parse(String text) throws ModelFormatException {
    Matcher whole = HEADER.matcher(text);
    if (!whole.matches()) {
      throw malformed("has a header that is no dictionary: " + text.strip());
    }
    String type = null;
    String fortran = null;
    String dims = null;
    Matcher field = FIELD.matcher(whole.group(1));
    while (field.find()) {
      String key = field.group(1);
      boolean twice;
      switch (key) {
        case "descr" -> {
          twice = type != null;
          type = field.group(2);
        }
        case "fortran_order" -> {
          twice = fortran != null;
          fortran = field.group(3);
        }
        case "shape" -> {
          twice = dims != null;
          dims = field.group(4);
        }
        default -> throw malformed("has the unknown field " + key);
      }
      if (twice) {
        throw malformed("has the field " + key + " twice");
      }
    }
    if (type == null || dims == null || fortran == null || !fortran.matches("True|False")) {
      throw malformed("has a header without descr, fortran_order or shape: " + text.strip());
    }
    Matcher typeParts = TYPE.matcher(type);
    if (!typeParts.matches()) {
      throw malformed("has the type " + type + "; float32, float64, int32 and int64 can be read");
    }
    ByteOrder order =
        switch (typeParts.group(1)) {
          case "<" -> ByteOrder.LITTLE_ENDIAN;
          case ">" -> ByteOrder.BIG_ENDIAN;
          default -> ByteOrder.nativeOrder();
        };
    int bytes = Integer.parseInt(typeParts.group(3));
    Shape shape = shape(dims);
    if (shape.size() > (Long.MAX_VALUE - 2L * LONGEST_HEADER) / bytes) {
      throw malformed("its shape " + shape + " has too many bytes");
    }
    return new Header(typeParts.group(2).charAt(0), bytes, order, fortran.equals("True"), shape);
  }

  private Shape shape(String dims) throws ModelFormatException {
    String[] words = dims.isBlank() ? new String[0] : dims.split(",");
    if (words.length > MOST_DIMENSIONS) {
      throw malformed("has more than " + MOST_DIMENSIONS + " dimensions");
    }
    try {
      return Shape.of(Arrays.stream(words).map(String::strip).mapToLong(Long::parseLong).toArray());
    } catch (NumberFormatException e) {
      throw new ModelFormatException(file, name, "has the shape (" + dims + ")", e);
    } catch (IllegalArgumentException e) {
      throw new ModelFormatException(file, name, e.getMessage(), e);
    }
  }

  private interface Element {
    void accept(ByteBuffer buffer, long index) throws IOException;
  }

  /** Hands out the elements in the order of the file, with the place of each in row-major order. */
  private void readElements(InputStream in, Header header, Element element) throws IOException {
    long size = header.shape().size();
    byte[] chunk = new byte[(int) Math.min(CHUNK_BYTES, Math.max(1, header.dataBytes()))];
    Order places = new Order(header.shape(), header.fortran());
    for (long done = 0; done < size; ) {
      int count = (int) Math.min(size - done, chunk.length / header.bytes());
      int read = in.readNBytes(chunk, 0, count * header.bytes());
      if (read < count * header.bytes()) {
        throw malformed("ends before element " + (done + read / header.bytes()) + " of " + size);
      }
      ByteBuffer buffer = ByteBuffer.wrap(chunk).order(header.order());
      for (int i = 0; i < count; i++) {
        element.accept(buffer, places.next());
      }
      done += count;
    }
    if (in.read() >= 0) {
      throw malformed("goes on behind its " + size + " elements");
    }
  }

  /** The places, in row-major order, of elements that come in either order. */
  private static final class Order {
    private final long[] dims;
    private final long[] strides;
    private final long[] index;
    private final boolean fortran;
    private long place;

    Order(Shape shape, boolean fortran) {
      this.dims = shape.toArray();
      this.strides = Tensor.denseStrides(shape);
      this.index = new long[dims.length];
      this.fortran = fortran;
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

  /** Writes a tensor as version 1.0, C order, little-endian float32 or int32. */
  static void write(OutputStream out, String name, Tensor tensor) throws IOException {
    tensor.requireContiguous(name);
    boolean floats = tensor instanceof FloatTensor;
    out.write(header(floats ? "<f4" : "<i4", tensor.shape()));
    ByteBuffer chunk = ByteBuffer.allocate(CHUNK_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    try (Lease lease = new Lease().of(name, tensor)) {
      Storage storage = tensor.storage();
      long size = tensor.shape().size();
      for (long index = 0; index < size; ) {
        chunk.clear();
        while (chunk.hasRemaining() && index < size) {
          // The same bits either way; a float would lose those of some NaN.
          chunk.putInt(storage.getInt(index++));
        }
        out.write(chunk.array(), 0, chunk.position());
      }
    }
  }

  private static byte[] header(String type, Shape shape) {
    StringJoiner dims = new StringJoiner(", ", "(", shape.rank() == 1 ? ",)" : ")");
    for (long dim : shape.toArray()) {
      dims.add(Long.toString(dim));
    }
    String text = "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + dims + ", }";
    int before = MAGIC.length + 4;
    int total = (before + text.length() + 1 + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    String padded = text + " ".repeat(total - before - text.length() - 1) + "\n";
    return ByteBuffer.allocate(total)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(MAGIC)
        .put((byte) 1)
        .put((byte) 0)
        .putShort((short) padded.length())
        .put(padded.getBytes(US_ASCII))
        .array();
  }
}
