// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/** Reads the golden files: NumPy arrays of version 1.0 in C order, in a zip archive. */
public final class Npz {
  /** One array; values are doubles whatever their type was. */
  public record Array(long[] shape, double[] values) {
    public float[] floats() {
      float[] floats = new float[values.length];
      for (int i = 0; i < floats.length; i++) {
        floats[i] = (float) values[i];
      }
      return floats;
    }

    public int[] ints() {
      return Arrays.stream(values).mapToInt(value -> (int) value).toArray();
    }
  }

  private static final Pattern HEADER =
      Pattern.compile(
          "\\{'descr': '<([fi][48])', 'fortran_order': False, 'shape': \\(([0-9, ]*)\\), \\}\\s*");

  private final String name;
  private final Map<String, Array> arrays = new HashMap<>();

  private Npz(String name) {
    this.name = name;
  }

  public static Npz read(Path file) {
    Npz npz = new Npz(file.getFileName().toString());
    try (ZipInputStream zip = new ZipInputStream(Files.newInputStream(file))) {
      for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
        npz.arrays.put(entry.getName().replaceFirst("\\.npy$", ""), parse(zip.readAllBytes()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + file, e);
    }
    return npz;
  }

  public Array get(String key) {
    Array array = arrays.get(key);
    if (array == null) {
      throw new AssertionError(name + " has no array " + key + " but " + arrays.keySet());
    }
    return array;
  }

  /** Returns the array of a .npy file. */
  public static Array parse(byte[] bytes) {
    ByteBuffer buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int headerLength = buffer.getShort(8) & 0xFFFF;
    String header = new String(bytes, 10, headerLength, ISO_8859_1);
    Matcher matcher = HEADER.matcher(header);
    if (!matcher.matches()) {
      throw new AssertionError("not an array of the goldens' kind: " + header);
    }
    long[] shape =
        Arrays.stream(matcher.group(2).split(","))
            .map(String::strip)
            .filter(dim -> !dim.isEmpty())
            .mapToLong(Long::parseLong)
            .toArray();
    buffer.position(10 + headerLength);
    double[] values = new double[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (matcher.group(1)) {
            case "f4" -> buffer.getFloat();
            case "f8" -> buffer.getDouble();
            case "i4" -> buffer.getInt();
            default -> buffer.getLong();
          };
    }
    return new Array(shape, values);
  }
}
