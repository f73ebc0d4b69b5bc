// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.SafeTensorsBytes;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Quantized matrices of safetensors files, compared with their definitions in float64. */
@ExtendWith(Seeded.class)
final class HuggingFaceModelTest {
  private static final double[] E2M1 = {0, 0.5, 1, 1.5, 2, 3, 4, 6};

  @TempDir private Path folder;

  /** The tensors of a matrix M, and its floats by row. */
  private record Written(SafeTensorsBytes tensors, double[] values, long... dims) {}

  private static byte[] bytes(int[] values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }

  private static int product(long... dims) {
    int product = 1;
    for (long dim : dims) {
      product *= (int) dim;
    }
    return product;
  }

  /** Returns the number of an E4M3 code; codes 127 and 255 are NaN. */
  private static double e4m3(int code) {
    int exponent = code >> 3 & 15;
    double size = exponent == 0 ? (code & 7) / 8.0 * 0x1p-6 : 1 + (code & 7) / 8.0;
    size *= exponent == 0 ? 1 : Math.pow(2, exponent - 7);
    return code < 128 ? size : -size;
  }

  /**
   * Returns scales with 8 bits after the first one, which bfloat16 and float16 hold, of about 2^-8.
   */
  private static float[] scales(Data data, int count) {
    float[] scales = new float[count];
    int[] bits = data.indices(count, 256);
    for (int i = 0; i < count; i++) {
      scales[i] = (128 + bits[i] % 128) * 0x1p-15f;
    }
    return scales;
  }

  private static Written fp8(Data data, String ending, String type, long... dims) {
    int rank = dims.length;
    int rows = (int) dims[rank - 2];
    int columns = (int) dims[rank - 1];
    long[] ofScales = dims.clone();
    ofScales[rank - 2] = (rows + 127L) / 128;
    ofScales[rank - 1] = (columns + 127L) / 128;
    float[] scales = scales(data, product(ofScales));
    int[] codes = data.indices(product(dims), 126);
    double[] values = new double[codes.length];
    for (int i = 0; i < codes.length; i++) {
      codes[i] |= i % 3 == 0 ? 128 : 0;
      int matrix = i / (rows * columns);
      int row = i / columns % rows;
      int at = (int) ((matrix * ofScales[rank - 2] + row / 128) * ofScales[rank - 1]);
      values[i] = e4m3(codes[i]) * scales[at + i % columns / 128];
    }
    SafeTensorsBytes tensors =
        new SafeTensorsBytes()
            .put("M", "F8_E4M3", bytes(codes), dims)
            .floats("M" + ending, type, scales, ofScales);
    return new Written(tensors, values, dims);
  }

  private static Written mxfp4(Data data, long... dims) {
    int[] halves = data.indices(product(dims) / 2, 256);
    int[] scales = data.indices(product(dims) / 32, 40);
    double[] values = new double[product(dims)];
    for (int i = 0; i < values.length; i++) {
      int code = i % 2 == 0 ? halves[i / 2] & 15 : halves[i / 2] >> 4;
      double size = E2M1[code & 7] * Math.pow(2, scales[i / 32] + 100 - 127);
      values[i] = code < 8 || size == 0 ? size : -size; // there is no -0
    }
    for (int i = 0; i < scales.length; i++) {
      scales[i] += 100;
    }
    long[] ofScales = dims.clone();
    ofScales[dims.length - 1] /= 32;
    long[] ofBlocks = Arrays.copyOf(ofScales, dims.length + 1);
    ofBlocks[dims.length] = 16;
    SafeTensorsBytes tensors =
        new SafeTensorsBytes()
            .put("M_blocks", "U8", bytes(halves), ofBlocks)
            .put("M_scales", "U8", bytes(scales), ofScales);
    return new Written(tensors, values, dims);
  }

  private static Written int4(Data data, String type, int group, int rows, int columns) {
    int words = (columns + 7) / 8;
    int groups = columns / group;
    int[] codes = data.indices((long) rows * columns, 16);
    int[] packed = new int[rows * words];
    float[] scales = scales(data, rows * groups);
    double[] values = new double[rows * columns];
    for (int i = 0; i < values.length; i++) {
      int row = i / columns;
      int column = i % columns;
      packed[row * words + column / 8] |= codes[i] << (4 * (column % 8));
      values[i] = (codes[i] - 8) * (double) scales[row * groups + column / group];
    }
    SafeTensorsBytes tensors =
        new SafeTensorsBytes()
            .ints("M_packed", packed, rows, words)
            .floats("M_scale", type, scales, rows, groups)
            .longs("M_shape", rows, columns);
    return new Written(tensors, values, rows, columns);
  }

  /**
   * Checks that the floats, and the weights (1, count, in, out), equal the definition to the bit.
   */
  private void check(Written written, String type) throws IOException {
    Path file = written.tensors.write(folder.resolve("model.safetensors"));
    int rank = written.dims.length;
    int rows = (int) written.dims[rank - 2];
    int columns = (int) written.dims[rank - 1];
    int count = written.values.length / rows / columns;
    float[] expected = new float[written.values.length];
    float[] turned = new float[expected.length];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = (float) written.values[i];
      int matrix = i / (rows * columns);
      turned[(matrix * columns + i % columns) * rows + i / columns % rows] = expected[i];
    }
    try (HuggingFaceModel model = HuggingFaceModel.open(file);
        FloatTensor floats = model.floats("M");
        FloatTensor last = model.floats("M", count - 1);
        Weights weights = model.weights("M");
        Weights perMatrix = model.weights(List.of("M"), count, 1);
        FloatTensor widened = weights.widened();
        FloatTensor again = perMatrix.widened()) {
      assertEquals(Set.of("M"), model.names());
      assertEquals(type, model.info("M").type());
      assertEquals(Shape.of(written.dims), model.info("M").shape());
      assertEquals(Shape.of(written.dims), floats.shape());
      assertArrayEquals(expected, floats.toArray());
      assertEquals(Shape.of(rows, columns), last.shape());
      int begin = (count - 1) * rows * columns;
      assertArrayEquals(Arrays.copyOfRange(expected, begin, expected.length), last.toArray());
      assertEquals(type.equals("FP8") ? "FLOAT32" : type, weights.type().name());
      assertEquals(Shape.of(1, count, columns, rows), weights.shape());
      assertArrayEquals(turned, widened.toArray());
      assertEquals(Shape.of(count, 1, columns, rows), perMatrix.shape());
      assertArrayEquals(turned, again.toArray());
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "128, 128", "129, 257", "37, 300"})
  void fp8HasAScaleForEachBlock(int rows, int columns, Data data) throws IOException {
    check(fp8(data, "_scale_inv", "F32", rows, columns), "FP8");
    check(fp8(data, "_scale_inv", "BF16", rows, columns), "FP8");
    check(fp8(data, "_scale", "BF16", 3, rows, columns), "FP8");
  }

  /** The forms of compressed-tensors: one scale for each output, or one for all. */
  @Test
  void fp8HasAScaleForEachOutput(Data data) throws IOException {
    int[] codes = data.indices(5 * 7, 126);
    float[] scales = scales(data, 5);
    double[] values = new double[codes.length];
    double[] ofOne = new double[codes.length];
    for (int i = 0; i < codes.length; i++) {
      values[i] = e4m3(codes[i]) * scales[i / 7];
      ofOne[i] = e4m3(codes[i]) * scales[0];
    }
    SafeTensorsBytes tensors = new SafeTensorsBytes().put("M", "F8_E4M3", bytes(codes), 5, 7);
    tensors.floats("M_scale", "BF16", scales, 5, 1);
    check(new Written(tensors, values, 5, 7), "FP8");
    tensors.floats("M_scale", "F32", new float[] {scales[0]}, 1);
    check(new Written(tensors, ofOne, 5, 7), "FP8");
  }

  @Test
  void fp8HasAllCodes() throws IOException {
    byte[] codes = new byte[256];
    for (int i = 0; i < 256; i++) {
      codes[i] = (byte) (i % 128 == 127 ? 0 : i);
    }
    Path file =
        new SafeTensorsBytes()
            .put("M", "F8_E4M3", codes, 2, 128)
            .floats("M_scale_inv", "F32", new float[] {1}, 1, 1)
            .write(folder.resolve("model.safetensors"));
    try (HuggingFaceModel model = HuggingFaceModel.open(file);
        FloatTensor floats = model.floats("M")) {
      assertEquals(448, floats.get(0, 126));
      assertEquals(-448, floats.get(1, 126));
      assertEquals(0x1p-9f, floats.get(0, 1));
      assertEquals(1, floats.get(0, 56));
      assertEquals(0x1p-6f, floats.get(0, 8));
      for (int i = 0; i < 126; i++) {
        assertEquals((float) e4m3(i), floats.get(0, i), "code " + i);
        assertTrue(floats.get(0, i + 1) > floats.get(0, i) || i == 126, "code " + i);
      }
    }
  }

  @Test
  void mxfp4IsPackedAsItIs(Data data) throws IOException {
    check(mxfp4(data, 1, 32), "MXFP4");
    check(mxfp4(data, 19, 96), "MXFP4");
    check(mxfp4(data, 3, 18, 64), "MXFP4");
  }

  @ParameterizedTest
  @ValueSource(strings = {"BF16", "F16", "F32"})
  void fourBitsArePackedAsTheyAre(String type, Data data) throws IOException {
    check(int4(data, type, 32, 1, 32), "Q4_0");
    check(int4(data, type, 32, 19, 96), "Q4_0");
    check(int4(data, type, 128, 33, 256), "Q4_0");
    check(int4(data, type, 37, 5, 37), "Q4_0"); // one group, cut within 8 codes
    Written ints = int4(data, type, 64, 3, 128);
    check(ints, "Q4_0");
    ints.tensors.ints("M_shape", new int[] {3, 128}, 2);
    check(ints, "Q4_0");
  }

  @Test
  void plainMatricesAreMapped(Data data) throws IOException {
    for (String type : new String[] {"F32", "F16", "BF16"}) {
      float[] values = scales(data, 2 * 3 * 5);
      double[] wide = new double[values.length];
      for (int i = 0; i < wide.length; i++) {
        wide[i] = values[i];
      }
      SafeTensorsBytes tensors = new SafeTensorsBytes().floats("M", type, values, 2, 3, 5);
      String name = type.equals("F32") ? "FLOAT32" : type.equals("F16") ? "FLOAT16" : "BFLOAT16";
      check(new Written(tensors, wide, 2, 3, 5), name);
    }
  }

  /** Gate and up are joined, from two tensors and from one whose outputs alternate. */
  @Test
  void putsMatricesSideBySide(Data data) throws IOException {
    Written both = mxfp4(data, 2, 6, 64);
    SafeTensorsBytes tensors = both.tensors;
    int half = 6 * 32; // the bytes of blocks of half a tensor
    byte[] blocks = tensors.data("M_blocks");
    byte[] scales = tensors.data("M_scales");
    for (int part = 0; part < 2; part++) {
      byte[] ofPart = new byte[half];
      byte[] ofScales = new byte[half / 16];
      for (int row = 0; row < 6; row++) {
        System.arraycopy(blocks, (2 * row + part) * 32, ofPart, row * 32, 32);
        System.arraycopy(scales, (2 * row + part) * 2, ofScales, row * 2, 2);
      }
      String name = part == 0 ? "gate" : "up";
      tensors.put(name + "_blocks", "U8", ofPart, 2, 3, 2, 16);
      tensors.put(name + "_scales", "U8", ofScales, 2, 3, 2);
    }
    try (HuggingFaceModel model = HuggingFaceModel.open(tensors.write(file("a")));
        Weights alternating = model.gateAndUp("M");
        Weights beside = model.weights(List.of("gate", "up"), 1, 2)) {
      assertEquals(Shape.of(1, 2, 64, 6), alternating.shape());
      assertArrayEquals(beside.widened().toArray(), alternating.widened().toArray());
      float[] first = new float[6];
      for (int o = 0; o < 6; o++) {
        first[o] = (float) both.values[(o < 3 ? 2 * o : 2 * (o - 3) + 1) * 64];
      }
      FloatTensor widened = alternating.widened();
      for (int o = 0; o < 6; o++) {
        assertEquals(first[o], widened.get(0, 0, 0, o));
      }
    }
    Written plain = fp8(data, "_scale_inv", "F32", 2, 3);
    plain.tensors.put("N", "F8_E4M3", plain.tensors.data("M"), 2, 3);
    plain.tensors.floats("N_scale_inv", "F32", new float[] {1}, 1, 1);
    try (HuggingFaceModel model = HuggingFaceModel.open(plain.tensors.write(file("b")));
        Weights beside = model.weights(List.of("M", "N"), 1, 1);
        FloatTensor N = model.floats("N")) {
      assertEquals(Shape.of(1, 1, 3, 4), beside.shape());
      assertEquals(N.get(1, 2), beside.widened().get(0, 0, 2, 3));
    }
  }

  private Path file(String name) {
    return folder.resolve(name + ".safetensors");
  }

  private interface Call {
    Object on(HuggingFaceModel model) throws IOException;
  }

  private void refused(SafeTensorsBytes tensors, String message, Call call) throws IOException {
    Path file = tensors.write(file("refused"));
    long before = FloatTensor.allocatedBytes();
    try (HuggingFaceModel model = HuggingFaceModel.open(file)) {
      String text =
          assertThrows(FileFormatException.class, () -> call.on(model), message).getMessage();
      assertTrue(text.startsWith(file + ": " + message), () -> message + "\n" + text);
    }
    assertTrue(FloatTensor.allocatedBytes() <= before, "memory is kept");
  }

  private void refused(SafeTensorsBytes tensors, String message) throws IOException {
    refused(tensors, message, model -> model.weights("M"));
    refused(tensors, message, model -> model.weights(List.of("M", "M"), 1, 1));
  }

  @Test
  void namesTheTensorThatIsWrong(Data data) throws IOException {
    SafeTensorsBytes fp8 = fp8(data, "_scale_inv", "F32", 130, 4).tensors;
    fp8.floats("M_scale_inv", "F32", new float[] {1}, 1, 1);
    refused(fp8, "M_scale_inv: expected (2, 1), for each 128 x 128 of (130, 4) but was F32 (1, 1)");
    fp8.floats("M_scale_inv", "F32", new float[] {1, Float.NaN}, 2, 1);
    refused(fp8, "M_scale_inv: element 1 is NaN");
    refused(fp8, "M_scale_inv: element 1 is NaN", model -> model.floats("M"));
    fp8.floats("M_scale_inv", "F32", new float[] {1, Float.MAX_VALUE}, 2, 1);
    fp8.data("M")[128 * 4 + 1] = 126;
    fp8.data("M")[128 * 4] = 0;
    refused(fp8, "M: element 513 is Infinity");
    fp8.floats("M_scale_inv", "F32", new float[] {1, 1}, 2, 1);
    fp8.data("M")[7] = (byte) 255;
    refused(fp8, "M: element 7 is NaN");
    fp8.remove("M_scale_inv");
    refused(fp8, "M_scale: is missing");
    fp8.put("M_scale", "U8", new byte[130], 130, 1);
    refused(fp8, "M_scale: expected [F32, BF16, F16] but was U8 (130, 1)");
    fp8.put("M", "F8_E5M2", new byte[130], 130, 1);
    refused(fp8, "M: expected F32, F16, BF16, F8_E4M3, MXFP4 (_blocks, _scales) or 4 bits");

    SafeTensorsBytes mxfp4 = mxfp4(data, 2, 64).tensors;
    mxfp4.data("M_scales")[2] = (byte) 255;
    refused(mxfp4, "M_scales: element 2 is NaN");
    mxfp4.data("M_scales")[2] = (byte) 254;
    refused(mxfp4, "M_scales: element 2 is 1.7014118E38, which makes weights infinite");
    Arrays.fill(mxfp4.data("M_blocks"), (byte) 0);
    mxfp4.data("M_blocks")[40] = 0x77;
    refused(mxfp4, "M: element 80 is Infinity", model -> model.floats("M"));
    mxfp4.put("M_scales", "U8", new byte[2], 2, 1);
    refused(mxfp4, "M_scales: expected (2, 2) but was U8 (2, 1)");
    mxfp4.remove("M_scales");
    refused(mxfp4, "M_scales: is missing");
    mxfp4.put("M_blocks", "U8", new byte[30], 2, 1, 15);
    refused(mxfp4, "M_blocks: expected (..., out, in / 32, 16) but was U8 (2, 1, 15)");

    SafeTensorsBytes int4 = int4(data, "F32", 32, 2, 64).tensors;
    int4.floats("M_scale", "F32", new float[] {1, 1, 1, 0.1f}, 2, 2);
    refused(int4, "M_scale: element 3 is 0.1, which is no float16, as Q4_0 has; take another type");
    for (float wrong : new float[] {1e9f, 1e-9f}) {
      int4.floats("M_scale", "F32", new float[] {1, 1, wrong, 1}, 2, 2);
      refused(int4, "M_scale: element 2 is " + wrong + ", which is no float16");
    }
    int4.floats("M_scale", "F32", new float[] {1, 1, Float.NaN, 1}, 2, 2);
    refused(int4, "M_scale: element 2 is NaN");
    int4.floats("M_scale", "F32", new float[8], 2, 4);
    refused(int4, "M_scale: expected (2, groups of whole 32 of 64) but was F32 (2, 4)");
    int4.floats("M_scale", "F32", new float[2], 2);
    refused(int4, "M_scale: expected (2, groups of whole 32 of 64) but was F32 (2)");
    int4.remove("M_scale");
    refused(int4, "M_scale: is missing");
    int4.floats("M_scale", "F32", new float[4], 2, 2);
    int4.ints("M_zero_point", new int[2], 2, 1);
    refused(int4, "M_zero_point: is not supported: expected symmetric weights");
    int4.remove("M_zero_point").ints("M_g_idx", new int[64], 64);
    refused(int4, "M_g_idx: is not supported");
    int4.remove("M_g_idx").longs("M_shape", 2, 72);
    refused(int4, "M_packed: expected 4 bits (2, 9), as M_shape = (2, 72) but was I32 (2, 8)");
    int4.longs("M_shape", 2, -1);
    refused(int4, "M: a dimension of (2, -1) is 0 or too large");
    int4.longs("M_shape", 2, 64, 1);
    refused(int4, "M_shape: expected (2) but was I64 (3)");
    int4.remove("M_shape");
    refused(int4, "M_shape: is missing");

    SafeTensorsBytes plain = new SafeTensorsBytes().floats("M", "F32", new float[3], 3);
    refused(plain, "M: expected (out, in) or (count, out, in) but was (3)");
    refused(plain, "M: expected (out, in)", model -> model.floats("M", 0));
    refused(plain, "N: is missing", model -> model.floats("N"));
    plain.floats("M", "F32", new float[0], 0, 3);
    refused(plain, "M: a dimension of (0, 3) is 0 or too large");
    plain.put("M", "F16", new byte[2 * ((1 << 22) + 1)], 1, (1 << 22) + 1);
    refused(plain, "M: a dimension of (1, 4194305) is 0 or too large");
    plain.floats("M", "F32", new float[] {1, Float.NaN}, 1, 2);
    refused(plain, "M: element 1 is NaN", model -> model.floats("M"));
    plain.floats("N", "F32", new float[2], 2, 1);
    refused(
        plain,
        "N: expected FLOAT32 (1, 2), as M is, but was FLOAT32 (2, 1)",
        model -> model.weights(List.of("M", "N"), 1, 1));
    refused(plain, "M: expected packed weights with an even", model -> model.gateAndUp("M"));
    refused(plain, "config.json: is missing beside the tensors", HuggingFaceModel::config);
  }

  @Test
  void refusesArguments(Data data) throws IOException {
    Path file = mxfp4(data, 3, 4, 32).tensors.write(file("arguments"));
    HuggingFaceModel model = HuggingFaceModel.open(file);
    for (int wrong : new int[] {-1, 3}) {
      assertRejects("matrix: expected 0 to 2 but was " + wrong, () -> model.floats("M", wrong));
    }
    assertRejects(
        "iBlocks, oBlocks: expected 1 and 3 or the reverse, as M has so many matrices, but was 1"
            + " and 2",
        () -> model.weights(List.of("M"), 1, 2));
    assertThrows(IllegalArgumentException.class, () -> model.weights(List.of(), 1, 1));
    model.close();
    model.close();
    assertThrows(IllegalStateException.class, () -> model.floats("M"));
    assertThrows(IllegalStateException.class, model::config);
  }

  /** The tensors of a matrix may be in several files. */
  @Test
  void opensFolders(Data data) throws IOException {
    SafeTensorsBytes tensors = int4(data, "BF16", 32, 2, 64).tensors;
    tensors.write(folder.resolve("model-00001-of-00002.safetensors"), name -> name.contains("_p"));
    tensors.write(folder.resolve("model-00002-of-00002.safetensors"), name -> name.contains("_s"));
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"model_type": "qwen3_moe", "k": 8, "scale": 2.5, "norm": true, "none": null,
         "list": [1, "a", null], "nested": {"groups": {"a": {"bits": 4}}}, "large": 1%s}
        """
            .formatted("0".repeat(30)));
    try (HuggingFaceModel model = HuggingFaceModel.open(folder);
        Weights weights = model.weights("M")) {
      assertEquals(ElementType.Q4_0, weights.type());
      Map<String, Object> config = model.config();
      assertEquals("qwen3_moe", config.get("model_type"));
      assertEquals(8L, config.get("k"));
      assertEquals(2.5, config.get("scale"));
      assertEquals(true, config.get("norm"));
      assertEquals(1e30, config.get("large"));
      List<Object> list = new ArrayList<>(List.of(1L, "a"));
      list.add(null);
      assertEquals(list, config.get("list"));
      assertEquals(Map.of("groups", Map.of("a", Map.of("bits", 4L))), config.get("nested"));
      assertEquals(
          new TreeSet<>(Set.of("model_type", "k", "scale", "norm", "list", "nested", "large")),
          new TreeSet<>(config.keySet()));
    }
  }

  private void refusedFolder(String message) {
    String text =
        assertThrows(
                FileFormatException.class,
                () -> {
                  try (HuggingFaceModel model = HuggingFaceModel.open(folder)) {
                    model.config();
                    model.floats("M");
                  }
                })
            .getMessage();
    assertTrue(text.startsWith(folder + ": " + message), () -> message + "\n" + text);
  }

  @Test
  void namesTheFileThatIsWrong(Data data) throws IOException {
    refusedFolder("folder: expected 1 to 4096 files *.safetensors but has 0");
    SafeTensorsBytes tensors = mxfp4(data, 2, 64).tensors;
    tensors.write(folder.resolve("one.safetensors"));
    tensors.write(folder.resolve("two.safetensors"), name -> name.contains("scales"));
    refusedFolder("M_scales: is in two files; the second is two.safetensors");
    Files.delete(folder.resolve("two.safetensors"));
    Path config = folder.resolve("config.json");
    for (String wrong : new String[] {"[]", "", "7"}) {
      Files.writeString(config, wrong);
      refusedFolder("config.json: is not an object");
    }
    for (String wrong : new String[] {"{", "{\"a\": [1}", "{} x", "{\"a\": 1, \"a\": 2}"}) {
      Files.writeString(config, wrong);
      refusedFolder("config.json: ");
    }
    Files.writeString(config, "{\"a\":".repeat(9) + "1" + "}".repeat(9));
    refusedFolder("config.json: is not JSON: ");
    Files.writeString(config, " ".repeat((1 << 20) + 1));
    refusedFolder("config.json: has 1048577 bytes, more than the limit of 1048576");
    Files.write(config, new byte[] {'{', '"', (byte) 0xff, '"', ':', '1', '}'});
    refusedFolder("config.json: is not UTF-8");
    Files.writeString(config, "{}");
    Path index = folder.resolve("model.safetensors.index.json");
    for (String name : new String[] {"../one.safetensors", "a/b", ""}) {
      Files.writeString(index, "{\"weight_map\": {\"M\": \"" + name + "\"}}");
      refusedFolder("model.safetensors.index.json: expected names of files but was \"" + name);
    }
    Files.writeString(index, "{\"weight_map\": {\"M\": 7}}");
    refusedFolder("model.safetensors.index.json: its weight_map holds what is not a string");
    Files.writeString(
        index,
        "{\"metadata\": {\"total_size\": 7}, \"weight_map\":"
            + " {\"M\": \"two.safetensors\", \"N_blocks\": \"one.safetensors\"}}");
    tensors.remove("M_blocks").write(folder.resolve("one.safetensors"));
    refusedFolder("M: is missing: it is in two.safetensors, which the folder lacks");
  }
}
