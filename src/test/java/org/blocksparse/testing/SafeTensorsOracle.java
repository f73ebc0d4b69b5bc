// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads safetensors files by the text of the specification, sharing no code with the library. */
public final class SafeTensorsOracle {
  private static final Pattern TENSOR =
      Pattern.compile(
          "\"([^\"]+)\":\\{\"dtype\":\"(\\w+)\",\"shape\":\\[([0-9,]*)\\],"
              + "\"data_offsets\":\\[(\\d+),(\\d+)\\]\\}");
  private static final Pattern METADATA =
      Pattern.compile("\"__metadata__\":\\{((?:\"[^\"]*\":\"[^\"]*\",?)*)\\}");
  private static final Pattern STRING = Pattern.compile("\"([^\"]*)\":\"([^\"]*)\"");

  /** One tensor, and the bytes at its offsets. */
  public record Tensor(String type, List<Long> shape, long positionInFile, ByteBuffer data) {
    public float[] floats() {
      float[] floats = new float[data.remaining() / 4];
      data.duplicate().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(floats);
      return floats;
    }

    public int[] ints() {
      int[] ints = new int[data.remaining() / 4];
      data.duplicate().order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(ints);
      return ints;
    }
  }

  public final Map<String, Tensor> tensors = new HashMap<>();
  public final Map<String, String> metadata = new HashMap<>();
  public final String header;

  public SafeTensorsOracle(Path file) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int length = Math.toIntExact(bytes.getLong());
    header = new String(bytes.array(), 8, length, StandardCharsets.UTF_8);
    int begin = 8 + length;
    long covered = 0;
    Matcher matcher = TENSOR.matcher(header);
    while (matcher.find()) {
      int from = Integer.parseInt(matcher.group(4));
      int to = Integer.parseInt(matcher.group(5));
      List<Long> shape =
          Arrays.stream(matcher.group(3).split(","))
              .filter(dim -> !dim.isEmpty())
              .map(Long::valueOf)
              .toList();
      tensors.put(
          matcher.group(1),
          new Tensor(matcher.group(2), shape, begin + from, bytes.slice(begin + from, to - from)));
      covered += to - from;
    }
    if (covered != bytes.capacity() - begin) {
      throw new AssertionError("tensors cover " + covered + " bytes of " + header);
    }
    Matcher pairs = METADATA.matcher(header);
    if (pairs.find()) {
      Matcher pair = STRING.matcher(pairs.group(1));
      while (pair.find()) {
        metadata.put(pair.group(1), pair.group(2));
      }
    }
  }

  /** Returns the number that 16 bits represent as F16. */
  public static float half(short bits) {
    int exponent = (bits >> 10) & 31;
    double magnitude =
        exponent == 0
            ? Math.scalb((double) (bits & 1023), -24)
            : Math.scalb(1024.0 + (bits & 1023), exponent - 25);
    return (float) (bits < 0 ? -magnitude : magnitude);
  }
}
