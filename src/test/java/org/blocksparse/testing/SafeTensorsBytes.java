// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;

/** Writes safetensors files with tensors of any type, as other libraries do. */
public final class SafeTensorsBytes {
  private record Tensor(String type, byte[] data, long... dims) {}

  private final Map<String, Tensor> tensors = new LinkedHashMap<>();

  /** Adds or replaces a tensor. */
  public SafeTensorsBytes put(String name, String type, byte[] data, long... dims) {
    tensors.put(name, new Tensor(type, data, dims));
    return this;
  }

  /** Adds a tensor whose elements are given as numbers, as its type has them. */
  public SafeTensorsBytes floats(String name, String type, float[] values, long... dims) {
    int size = type.equals("F32") ? 4 : 2;
    ByteBuffer data = ByteBuffer.allocate(size * values.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      if (size == 4) {
        data.putFloat(value);
      } else if (type.equals("BF16")) {
        data.putShort((short) (Float.floatToRawIntBits(value) >>> 16));
      } else {
        data.putShort(half(value));
      }
    }
    return put(name, type, data.array(), dims);
  }

  /** Returns the float16 of a number that float16 holds exactly. */
  private static short half(float value) {
    int bits = Float.floatToRawIntBits(value);
    int size =
        Math.abs(value) < 0x1p-14f
            ? (int) (Math.abs(value) * 0x1p24f)
            : ((bits >>> 13) & 0x3ffff) - (112 << 10);
    return (short) (((bits >>> 16) & 0x8000) | size);
  }

  public SafeTensorsBytes ints(String name, int[] values, long... dims) {
    ByteBuffer data = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    data.asIntBuffer().put(values);
    return put(name, "I32", data.array(), dims);
  }

  public SafeTensorsBytes longs(String name, long... values) {
    ByteBuffer data = ByteBuffer.allocate(8 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    data.asLongBuffer().put(values);
    return put(name, "I64", data.array(), values.length);
  }

  public SafeTensorsBytes remove(String name) {
    tensors.remove(name);
    return this;
  }

  /** Returns the bytes of a tensor, which may be changed. */
  public byte[] data(String name) {
    return tensors.get(name).data;
  }

  public Path write(Path file) throws IOException {
    return write(file, name -> true);
  }

  /** Writes the tensors of some names. */
  public Path write(Path file, Predicate<String> names) throws IOException {
    StringBuilder header = new StringBuilder("{");
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    Map<String, Tensor> chosen = new TreeMap<>(tensors);
    chosen.keySet().removeIf(names.negate());
    chosen.forEach(
        (name, tensor) -> {
          int begin = all.size();
          all.writeBytes(tensor.data);
          header
              .append(header.length() > 1 ? "," : "")
              .append("\"%s\":{\"dtype\":\"%s\",\"shape\":".formatted(name, tensor.type))
              .append(Arrays.toString(tensor.dims))
              .append(",\"data_offsets\":[%d,%d]}".formatted(begin, all.size()));
        });
    header.append('}');
    while (header.length() % 8 != 0) {
      header.append(' ');
    }
    byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes = ByteBuffer.allocate(8 + text.length + all.size());
    bytes.order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).put(text).put(all.toByteArray());
    return Files.write(file, bytes.array());
  }
}
