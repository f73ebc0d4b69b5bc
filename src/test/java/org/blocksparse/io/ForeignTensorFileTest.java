// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Safetensors files of other libraries: tensors of any type, in any order, at any byte. A tensor of
 * an odd type or place is rejected when it is requested, and disturbs no other.
 */
final class ForeignTensorFileTest {
  private static final Path PYTHON = Path.of("/usr/bin/python3");

  /** The types that Hugging Face's library 0.5 reads, with the bytes of an element. */
  private static final Map<String, Integer> TYPES =
      Map.ofEntries(
          Map.entry("BOOL", 1),
          Map.entry("U8", 1),
          Map.entry("I8", 1),
          Map.entry("F8_E5M2", 1),
          Map.entry("F8_E4M3", 1),
          Map.entry("I16", 2),
          Map.entry("U16", 2),
          Map.entry("F16", 2),
          Map.entry("BF16", 2),
          Map.entry("I32", 4),
          Map.entry("U32", 4),
          Map.entry("F32", 4),
          Map.entry("F64", 8),
          Map.entry("I64", 8),
          Map.entry("U64", 8));

  /** Types of its later versions, types with fewer bits than a byte, and invented ones. */
  private static final List<String> LATER_TYPES =
      List.of("F4", "F6_E2M3", "F8_E4M3FNUZ", "F8_E8M0", "Q4_0", "");

  private static final List<String> NAMES =
      List.of(
          "layers.0/kernel:0", "a b", "../x", "/", "C:\\x", ".", "", "\n", "\u00e4\ud83d\ude00");

  @TempDir private Path folder;

  private record Written(String name, String type, long[] dims, byte[] data, long position) {
    String header(long begin) {
      String shape = Arrays.stream(dims).mapToObj(Long::toString).collect(joining(","));
      return "\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%s,%s]}"
          .formatted(
              name.replace("\\", "\\\\").replace("\n", "\\n"),
              type,
              shape,
              begin,
              begin + data.length);
    }
  }

  /** Writes tensors of random types and shapes, in random order, after a header of any length. */
  private static List<Written> write(Path file, SplittableRandom random, List<String> types)
      throws IOException {
    List<Written> tensors = new ArrayList<>();
    for (int i = random.nextInt(12); i >= 0; i--) {
      String type = types.get(random.nextInt(types.size()));
      long[] dims = random.ints(random.nextInt(6), 0, 4).asLongStream().toArray();
      if (random.nextInt(10) == 0) {
        dims = random.ints(64, 1, 2).asLongStream().toArray();
      }
      long size = Arrays.stream(dims).reduce(1, (a, b) -> a * b);
      byte[] data = new byte[(int) size * TYPES.getOrDefault(type, 1)];
      for (int at = 0; at < data.length; at++) {
        data[at] = (byte) random.nextInt(0x3c); // finite, whatever type the byte is part of
      }
      String name = i < NAMES.size() && random.nextBoolean() ? NAMES.get(i) : "tensor " + i;
      tensors.add(new Written(name, type, dims, data, 0));
    }
    List<String> entries = new ArrayList<>();
    if (random.nextBoolean()) {
      entries.add("\"__metadata__\":{\"format\":\"pt\"}");
    }
    long dataBytes = 0;
    for (Written tensor : tensors) {
      entries.add(tensor.header(dataBytes));
      dataBytes += tensor.data.length;
    }
    byte[] header =
        ("{" + String.join(",", entries) + "}" + " ".repeat(random.nextInt(9))).getBytes(UTF_8);
    ByteBuffer all =
        ByteBuffer.allocate((int) (Long.BYTES + header.length + dataBytes))
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(header.length)
            .put(header);
    List<Written> placed = new ArrayList<>();
    for (Written tensor : tensors) {
      placed.add(new Written(tensor.name, tensor.type, tensor.dims, tensor.data, all.position()));
      all.put(tensor.data);
    }
    Files.write(file, all.array());
    return placed;
  }

  private static boolean isReadable(Written tensor) {
    return switch (tensor.type) {
      case "F32", "I32" -> true;
      case "F16", "BF16" -> tensor.dims.length >= 2 && tensor.dims.length <= 4;
      case "I8" -> tensor.dims.length == 4;
      default -> false;
    };
  }

  /** Reads all tensors of a file; returns the names of those that were refused as misaligned. */
  private static Set<String> read(Path file, LoadOptions options, List<Written> written)
      throws IOException {
    Set<String> misaligned = new HashSet<>();
    try (TensorFile tensors = TensorFile.open(file, options)) {
      Set<String> readable = new HashSet<>();
      for (Written tensor : written) {
        if (isReadable(tensor)) {
          readable.add(tensor.name);
        }
        try {
          requireRead(tensors, tensor);
        } catch (FileFormatException e) {
          assertEquals(tensor.name, e.part());
          assertTrue(e.reason().contains("it cannot be used where it lies"), e::getMessage);
          misaligned.add(tensor.name);
        }
      }
      assertEquals(readable, tensors.names());
    }
    return misaligned;
  }

  private static void requireRead(TensorFile tensors, Written tensor) throws IOException {
    ByteBuffer data = ByteBuffer.wrap(tensor.data).order(ByteOrder.LITTLE_ENDIAN);
    switch (tensor.type) {
      case "F32" -> {
        float[] expected = new float[tensor.data.length / 4];
        data.asFloatBuffer().get(expected);
        try (FloatTensor found = tensors.floats(tensor.name)) {
          assertEquals(Shape.of(tensor.dims), found.shape());
          assertArrayEquals(expected, found.toArray());
        }
      }
      case "I32" -> {
        int[] expected = new int[tensor.data.length / 4];
        data.asIntBuffer().get(expected);
        try (IntTensor found = tensors.ints(tensor.name)) {
          assertEquals(Shape.of(tensor.dims), found.shape());
          assertArrayEquals(expected, found.toArray());
        }
      }
      case "F16", "BF16" -> {
        if (isReadable(tensor)) {
          try (Weights found = tensors.weights(tensor.name);
              FloatTensor floats = found.widened()) {
            float[] expected = new float[tensor.data.length / 2];
            for (int i = 0; i < expected.length; i++) {
              expected[i] = widened(tensor.type, data.getShort(2 * i));
            }
            assertArrayEquals(expected, floats.toArray());
          }
        }
      }
      default -> {
        FileFormatException refused =
            assertThrows(FileFormatException.class, () -> tensors.floats(tensor.name));
        String shape = Shape.of(tensor.dims).toString();
        assertTrue(
            refused.reason().startsWith("expected F32 but was " + tensor.type + " " + shape),
            refused::getMessage);
      }
    }
  }

  private static float widened(String type, short bits) {
    if (type.equals("BF16")) {
      return Float.intBitsToFloat(bits << 16);
    }
    int exponent = bits >> 10 & 31;
    float fraction = (bits & 1023) / 1024f;
    return exponent == 0 ? Math.scalb(fraction, -14) : Math.scalb(1 + fraction, exponent - 15);
  }

  @Test
  void everyLayoutIsRead_andOnlyWhatIsAskedForIsRefused() throws IOException {
    SplittableRandom random = new SplittableRandom(1);
    List<String> types = new ArrayList<>(TYPES.keySet());
    types.addAll(LATER_TYPES);
    types.sort(null);
    int misaligned = 0;
    for (int n = 0; n < 200; n++) {
      Path file = folder.resolve("file" + n);
      List<Written> written = write(file, random, types);
      assertEquals(Set.of(), read(file, LoadOptions.copied(), written));
      Set<String> expected = new HashSet<>();
      for (Written tensor : written) {
        boolean isMapped = isReadable(tensor) && !tensor.type.equals("I32");
        if (isMapped && tensor.position % TYPES.get(tensor.type) != 0) {
          expected.add(tensor.name);
        }
      }
      assertEquals(expected, read(file, LoadOptions.mapped(), written));
      misaligned += expected.size();
    }
    assertTrue(misaligned > 30, misaligned + " tensors were misaligned");
  }

  /** Hugging Face's library accepts the files, and reads one of each type that it wrote itself. */
  @Test
  void huggingFacesLibraryReadsTheSameFiles() throws Exception {
    assumeTrue(Files.isExecutable(PYTHON), "no " + PYTHON);
    assumeTrue(runs("import safetensors"), "Debian's package python3-safetensors is missing");
    SplittableRandom random = new SplittableRandom(2);
    List<String> types = TYPES.keySet().stream().sorted().toList();
    List<List<Written>> files = new ArrayList<>();
    for (int n = 0; n < 50; n++) {
      files.add(write(folder.resolve("odd" + n), random, types));
    }
    String script =
        """
        import glob
        from safetensors import deserialize, serialize_file
        for file in glob.glob('odd*'):
            tensors = {}
            for name, tensor in deserialize(open(file, 'rb').read()):
                tensor['dtype'] = types[tensor['dtype']]
                tensor['data'] = bytes(tensor['data'])
                tensors[name] = tensor
            serialize_file(tensors, 'again.' + file, {'format': 'pt'})
        """;
    assertTrue(runs("types = {" + PYTHON_TYPES + "}\n" + script), this::output);
    for (int n = 0; n < files.size(); n++) {
      assertEquals(Set.of(), read(folder.resolve("odd" + n), LoadOptions.copied(), files.get(n)));
      Path again = folder.resolve("again.odd" + n);
      assertEquals(Set.of(), read(again, LoadOptions.copied(), files.get(n)));
      assertEquals(Set.of(), read(again, LoadOptions.mapped(), files.get(n)));
    }
  }

  /** The types in the file, and their names in Python. */
  private static final String PYTHON_TYPES =
      "'BOOL': 'bool', 'U8': 'uint8', 'I8': 'int8', 'F8_E5M2': 'float8_e5m2',"
          + " 'F8_E4M3': 'float8_e4m3fn', 'I16': 'int16', 'U16': 'uint16', 'F16': 'float16',"
          + " 'BF16': 'bfloat16', 'I32': 'int32', 'U32': 'uint32', 'F32': 'float32',"
          + " 'F64': 'float64', 'I64': 'int64', 'U64': 'uint64'";

  private boolean runs(String script) throws IOException, InterruptedException {
    Process process =
        new ProcessBuilder(PYTHON.toString(), "-c", script)
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("output.txt").toFile())
            .start();
    assertTrue(process.waitFor(10, TimeUnit.MINUTES), "did not end");
    return process.exitValue() == 0;
  }

  private String output() {
    try {
      return Files.readString(folder.resolve("output.txt"));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
