// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.blocksparse.testing.Failures.assertFails;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.blocksparse.Activation;
import org.blocksparse.Backend;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.Weights;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.SafeTensorsOracle;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Weights of products in files, beside tensors: of every type, kept and converted. */
@ExtendWith(Seeded.class)
final class TensorFileWeightsTest {
  @TempDir private Path folder;
  private Path file;
  private Path other;

  @BeforeEach
  void nameTheFiles() {
    file = folder.resolve("weights.safetensors");
    other = folder.resolve("other.safetensors");
  }

  private static FloatTensor floats(Data data) {
    return FloatTensor.of(data.floats(Numbers.GAUSSIAN, 2 * 3 * 5 * 7), 2, 3, 5, 7);
  }

  private static List<LoadOptions> ways() {
    return Backend.isNative()
        ? List.of(LoadOptions.copied(), LoadOptions.mapped(), LoadOptions.copyOnWrite())
        : List.of(LoadOptions.copied());
  }

  private static void assertSame(Weights expected, Weights actual) {
    assertEquals(expected.type(), actual.type());
    assertEquals(expected.shape(), actual.shape());
    assertEquals(expected.bytes(), actual.bytes());
    try (FloatTensor a = expected.widened();
        FloatTensor b = actual.widened()) {
      assertArrayEquals(a.toArray(), b.toArray());
    }
  }

  /** Rounded before or during writing, the files are equal, and so is what is read. */
  @ParameterizedTest
  @EnumSource
  void comeBackAsTheyWere(ElementType type, Data data) throws IOException {
    try (FloatTensor W = floats(data);
        Weights narrow = Weights.of(W, type);
        FloatTensor b = FloatTensor.of(new float[] {1, 2, 3}, 3);
        IntTensor odd = IntTensor.of(new int[] {4}, 1)) {
      NamedTensors beside = NamedTensors.of(Map.of("b", b)).with("odd", odd);
      TensorFile.save(file, beside.with("W", narrow).withMetadata(Map.of("epoch", "3")));
      TensorFile.save(other, beside.with("W", W, type).withMetadata(Map.of("epoch", "3")));
      assertArrayEquals(Files.readAllBytes(file), Files.readAllBytes(other));
      for (LoadOptions options : ways()) {
        Weights read;
        try (TensorFile tensors = TensorFile.open(file, options);
            FloatTensor sameB = tensors.floats("b");
            IntTensor sameOdd = tensors.ints("odd")) {
          Set<String> names =
              type == ElementType.INT8
                  ? Set.of("b", "odd", "W", "W.scales")
                  : Set.of("b", "odd", "W");
          assertEquals(names, tensors.names());
          assertEquals(Map.of("epoch", "3"), tensors.metadata());
          assertArrayEquals(b.toArray(), sameB.toArray());
          assertArrayEquals(odd.toArray(), sameOdd.toArray());
          read = tensors.weights("W");
        }
        try (read) { // they outlive the file
          assertSame(narrow, read);
          TensorFile.save(other, beside.with("W", read).withMetadata(Map.of("epoch", "3")));
          assertArrayEquals(Files.readAllBytes(file), Files.readAllBytes(other));
        }
        assertTrue(read.isClosed());
      }
    }
  }

  /** Several weights that lie one after the other multiply in place. */
  @ParameterizedTest
  @EnumSource
  void multiplyWhereTheyLie(ElementType type, Data data) throws IOException {
    try (FloatTensor W1 = floats(data);
        FloatTensor W2 = floats(data);
        Weights first = Weights.of(W1, type);
        Weights second = Weights.of(W2, type);
        FloatTensor h = FloatTensor.of(data.floats(Numbers.GAUSSIAN, 4 * 2 * 5), 4, 2, 5);
        FloatTensor b = FloatTensor.of(data.floats(Numbers.GAUSSIAN, 3 * 7), 3, 7);
        IntTensor inputIdx = IntTensor.of(data.indices(8, 2), 4, 2);
        IntTensor outputIdx = IntTensor.of(data.indices(12, 3), 4, 3);
        BlockPlan plan = BlockPlan.of(inputIdx, outputIdx, 2, 3)) {
      TensorFile.save(
          file, NamedTensors.none().with("W1", first).with("W2", W2, type).with("b", b));
      for (LoadOptions options : ways()) {
        try (TensorFile tensors = TensorFile.open(file, options);
            Weights read1 = tensors.weights("W1");
            Weights read2 = tensors.weights("W2")) {
          assertSameProducts(h, b, plan, first, read1);
          assertSameProducts(h, b, plan, second, read2);
        }
      }
    }
  }

  /** Weights and a writable tensor may share one place in the file. */
  @Test
  void anOutputInTheSamePagesIsRefused(Data data) throws IOException {
    assumeTrue(Backend.isNative(), "Java maps each of them by itself");
    try (FloatTensor floats = FloatTensor.of(data.floats(Numbers.GAUSSIAN, 64), 1, 1, 8, 8)) {
      TensorFile.save(file, Map.of("W", floats));
      try (TensorFile tensors = TensorFile.open(file, LoadOptions.copyOnWrite());
          Weights W = tensors.weights("W");
          FloatTensor pages = tensors.floats("W");
          FloatTensor out = pages.reshape(8, 1, 8);
          FloatTensor h = FloatTensor.zeros(8, 1, 8);
          BlockPlan plan = BlockPlan.dense(8)) {
        assertRejects(
            "out: shares memory with W; an output must not overlap an input",
            () -> SparseBlockDot.apply(W, h, plan, Epilogue.none(), out));
        assertArrayEquals(floats.toArray(), pages.toArray());
      }
    }
  }

  private static void assertSameProducts(
      FloatTensor h, FloatTensor b, BlockPlan plan, Weights inMemory, Weights inFile) {
    Epilogue silu = Epilogue.none().withBias(b).withActivation(Activation.SILU);
    try (FloatTensor expected = SparseBlockDot.apply(inMemory, h, plan, silu);
        FloatTensor actual = SparseBlockDot.apply(inFile, h, plan, silu)) {
      assertArrayEquals(expected.toArray(), actual.toArray());
      if (inMemory.type().isPacked()) {
        return; // weights have no gradients
      }
      try (FloatTensor expectedGradH = SparseBlockDot.gradH(inMemory, expected, plan);
          FloatTensor actualGradH = SparseBlockDot.gradH(inFile, expected, plan)) {
        assertArrayEquals(expectedGradH.toArray(), actualGradH.toArray());
      }
    }
  }

  /** The file as other readers see it: types, shapes, and elements at multiples of their size. */
  @ParameterizedTest
  @CsvSource({"FLOAT32, F32, 4", "FLOAT16, F16, 2", "BFLOAT16, BF16, 2"})
  void othersCanReadThem(ElementType type, String dtype, int bytes, Data data) throws IOException {
    try (FloatTensor W = floats(data);
        Weights narrow = Weights.of(W, type);
        FloatTensor widened = narrow.widened()) {
      NamedTensors tensors = NamedTensors.none().with("W", narrow).with("wide", W);
      TensorFile.save(file, tensors.with("again", W, type));
      SafeTensorsOracle reader = new SafeTensorsOracle(file);
      assertEquals(Set.of("W", "wide", "again"), reader.tensors.keySet());
      assertArrayEquals(W.toArray(), reader.tensors.get("wide").floats());
      for (String name : List.of("W", "again")) {
        SafeTensorsOracle.Tensor elements = reader.tensors.get(name);
        assertEquals(dtype, elements.type());
        assertEquals(List.of(2L, 3L, 5L, 7L), elements.shape());
        assertEquals(0, elements.positionInFile() % bytes);
        ByteBuffer numbers = elements.data().duplicate().order(ByteOrder.LITTLE_ENDIAN);
        float[] expected = widened.toArray();
        for (int i = 0; i < expected.length; i++) {
          float actual =
              switch (type) {
                case FLOAT32 -> numbers.getFloat();
                case FLOAT16 -> SafeTensorsOracle.half(numbers.getShort());
                default -> Float.intBitsToFloat(numbers.getShort() << 16);
              };
          assertEquals(expected[i], actual, name + " " + i);
        }
      }
    }
  }

  @Test
  void aNameThatComesAgainTakesThePlace(Data data) throws IOException {
    try (FloatTensor W = floats(data)) {
      NamedTensors both = NamedTensors.of(Map.of("W", W)).with("b", W);
      NamedTensors replaced = both.with("W", W, ElementType.BFLOAT16).with("b", W);
      assertEquals("NamedTensors[W, b]", replaced.toString());
      TensorFile.save(file, replaced);
      try (TensorFile tensors = TensorFile.open(file);
          Weights read = tensors.weights("W");
          Weights floats = tensors.weights("b")) {
        assertEquals(ElementType.BFLOAT16, read.type());
        assertEquals(ElementType.FLOAT32, floats.type());
      }
      TensorFile.save(file, both);
      try (TensorFile tensors = TensorFile.open(file);
          FloatTensor read = tensors.floats("W")) {
        assertArrayEquals(W.toArray(), read.toArray());
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void nothingIsSavedAndRead(ElementType type) throws IOException {
    for (long[] dims : new long[][] {{0, 3, 5, 7}, {2, 0, 5, 7}, {2, 3, 0, 7}, {2, 3, 5, 0}}) {
      try (FloatTensor W = FloatTensor.zeros(dims);
          Weights narrow = Weights.of(W, type)) {
        TensorFile.save(file, NamedTensors.none().with("W", narrow).with("V", W, type));
      }
      for (LoadOptions options : ways()) {
        try (TensorFile tensors = TensorFile.open(file, options);
            Weights W = tensors.weights("W");
            Weights V = tensors.weights("V")) {
          assertEquals(Shape.of(dims), W.shape());
          assertSame(W, V);
        }
      }
    }
  }

  /** There are so many that counting them would take years. */
  @Test
  void blocksOfNothingTakeNoTime() throws IOException {
    long[] dims = {Integer.MAX_VALUE, Integer.MAX_VALUE, 0, 7};
    try (FloatTensor W = FloatTensor.zeros(dims)) {
      TensorFile.save(file, NamedTensors.none().with("W", W, ElementType.FLOAT16));
    }
    for (LoadOptions options : ways()) {
      try (TensorFile tensors = TensorFile.open(file, options);
          Weights W = tensors.weights("W");
          FloatTensor widened = W.widened();
          Weights again = Weights.of(widened, ElementType.BFLOAT16)) {
        assertEquals(Shape.of(dims), again.shape());
      }
    }
  }

  // ------------------------------------------------------------------------------------ refusals

  private interface Call {
    void run() throws IOException;
  }

  private static void assertRefused(
      Class<? extends RuntimeException> exception, String message, Call call) {
    assertFails(exception, message, call::run);
  }

  private byte[] saved(ElementType type, Data data) throws IOException {
    try (FloatTensor W = floats(data)) {
      TensorFile.save(file, NamedTensors.none().with("W", W, type));
    }
    return Files.readAllBytes(file);
  }

  /** Returns a file of unpacked INT8, in the form of earlier versions. */
  private byte[] savedUnpacked(Data data) throws IOException {
    String header =
        "{\"W.scales\":{\"dtype\":\"F32\",\"shape\":[2,3,7],\"data_offsets\":[0,168]},"
            + "\"W\":{\"dtype\":\"I8\",\"shape\":[2,3,5,7],\"data_offsets\":[168,378]}}  ";
    ByteBuffer all = ByteBuffer.allocate(8 + header.length() + 378);
    all.order(ByteOrder.LITTLE_ENDIAN).putLong(header.length());
    all.put(header.getBytes(StandardCharsets.US_ASCII));
    for (float scale : data.floats(Numbers.GAUSSIAN, 42)) {
      all.putFloat(scale);
    }
    while (all.hasRemaining()) {
      all.put((byte) (data.below(255) - 127));
    }
    Files.write(file, all.array());
    return all.array();
  }

  @Test
  void int8OfEarlierVersionsIsPacked(Data data) throws IOException {
    byte[] bytes = savedUnpacked(data);
    ByteBuffer all = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int scales = bytes.length - 378;
    float[] expected = new float[210];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = bytes[scales + 168 + i] * all.getFloat(scales + 4 * (i / 35 * 7 + i % 7));
    }
    for (LoadOptions options : ways()) {
      try (TensorFile tensors = TensorFile.open(file, options);
          Weights read = tensors.weights("W");
          FloatTensor widened = read.widened();
          Weights packed = Weights.of(widened, ElementType.INT8)) {
        assertEquals(Set.of("W.scales", "W"), tensors.names());
        assertEquals(packed.toString(), read.toString());
        assertEquals(packed.bytes(), read.bytes());
        assertArrayEquals(expected, widened.toArray());
      }
    }
  }

  /** Each request reports the flaw, and frees the memory read before it. */
  private void assertRefused(byte[] bytes, String reason, List<LoadOptions> ways)
      throws IOException {
    Files.write(other, bytes);
    for (LoadOptions options : ways) {
      long before = FloatTensor.allocatedBytes();
      try (TensorFile tensors = TensorFile.open(other, options)) {
        for (int time = 0; time < 2; time++) {
          assertFails(FileFormatException.class, other + ": " + reason, () -> tensors.weights("W"));
          assertTrue(FloatTensor.allocatedBytes() <= before, "memory was kept");
        }
      }
    }
  }

  /** Returns a file with one text of the header and its length replaced. */
  private static byte[] changed(byte[] bytes, String from, String to) {
    int length = (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    String header = new String(bytes, 8, length, StandardCharsets.ISO_8859_1);
    assertTrue(header.contains(from), header);
    String text = header.replace(from, to);
    byte[] changed = Arrays.copyOf(bytes, bytes.length + text.length() - header.length());
    ByteBuffer into = ByteBuffer.wrap(changed).order(ByteOrder.LITTLE_ENDIAN);
    into.putLong(text.length()).put(text.getBytes(StandardCharsets.ISO_8859_1));
    into.put(bytes, 8 + length, bytes.length - 8 - length);
    return changed;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"W\"|\"V\"|W: is missing; there are W.scales, V",
        "\"W.scales\"|\"W.scalee\"|W.scales: is missing; did you mean W.scalee? there are"
            + " W.scalee, W",
        "\"I8\"|\"U8\"|W: expected F32 with 4 dimensions but was U8 (2, 3, 5, 7)",
        "[2,3,5,7]|[6,5,7]|W: expected I8 with 4 dimensions but was I8 (6, 5, 7)",
        "[2,3,5,7]|[3,2,5,7]|W.scales: expected (3, 2, 7) but was (2, 3, 7)",
        "[2,3,7]|[6,7]|W.scales: expected F32 with 3 dimensions but was F32 (6, 7)",
        "[2,3,7]|[2,7,3]|W.scales: expected (2, 3, 7) but was (2, 7, 3)"
      })
  void otherHeadersAreRefused(String from, String to, String reason, Data data) throws IOException {
    assertRefused(changed(savedUnpacked(data), from, to), reason, ways());
  }

  /** Other libraries store matrices, or several of them, in 16 bits. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "FLOAT16|[30,7]|1|30",
        "BFLOAT16|[30,7]|1|30",
        "FLOAT16|[6,5,7]|6|5",
        "BFLOAT16|[6,5,7]|6|5"
      })
  void matricesAreWeights(ElementType type, String dims, int n, int rows, Data data)
      throws IOException {
    byte[] blocks = saved(type, data);
    float[] expected;
    try (TensorFile tensors = TensorFile.open(file);
        Weights weights = tensors.weights("W");
        FloatTensor widened = weights.widened()) {
      expected = widened.toArray();
    }
    // The data stay at a multiple of two.
    Files.write(file, changed(blocks, "[2,3,5,7]", dims + " ".repeat(9 - dims.length())));
    for (LoadOptions options : ways()) {
      try (TensorFile tensors = TensorFile.open(file, options);
          Weights weights = tensors.weights("W");
          FloatTensor widened = weights.widened();
          Weights view = weights.transposeBlocks()) {
        assertTrue(tensors.names().contains("W"));
        assertEquals(Shape.of(n, 1, rows, 7), weights.shape());
        assertArrayEquals(expected, widened.toArray());
        assertEquals(Shape.of(1, n, 7, rows), view.shape());
      }
    }
    byte[] flat = changed(blocks, "[2,3,5,7]", "[210]    ");
    String dtype = type == ElementType.FLOAT16 ? "F16" : "BF16";
    assertRefused(
        flat, "W: expected " + dtype + " with 4 dimensions but was " + dtype + " (210)", ways());
  }

  /** The dimensions name more empty blocks than can be counted. */
  @Test
  void dimensionsBeyondThoseOfProductsAreRefused() throws IOException {
    try (FloatTensor W = FloatTensor.zeros(1, 1, 0, 1)) {
      TensorFile.save(file, NamedTensors.none().with("W", W, ElementType.FLOAT16));
    }
    assertRefused(
        changed(Files.readAllBytes(file), "[1,1,0,1]", "[2147483648,1,0,1]"),
        "W: a dimension of (2147483648, 1, 0, 1) is too large",
        ways());
  }

  private int position(String tensor) throws IOException {
    return (int) new SafeTensorsOracle(file).tensors.get(tensor).positionInFile();
  }

  @Test
  void numbersThatAreNoneAreRefused(Data data) throws IOException {
    List<LoadOptions> copied = List.of(LoadOptions.copied());
    byte[] half = saved(ElementType.FLOAT16, data);
    ByteBuffer.wrap(half)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(position("W") + 6, (short) 0xfc00);
    assertRefused(half, "W: element 3 is not a finite number", copied);
    byte[] brain = saved(ElementType.BFLOAT16, data);
    ByteBuffer.wrap(brain)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putShort(position("W") + 2, (short) 0x7f81);
    assertRefused(brain, "W: element 1 is not a finite number", copied);
    byte[] whole = savedUnpacked(data);
    ByteBuffer scales = ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN);
    scales.putFloat(position("W.scales") + 4, -3e37f);
    assertRefused(whole, "W.scales: element 1 = -3.0E37 makes weights infinite", ways());
    scales.putFloat(position("W.scales") + 4, Float.NaN);
    assertRefused(whole, "W.scales: element 1 is NaN", ways());
  }

  @Test
  void whatIsNoWeightsIsTold(Data data) throws IOException {
    savedUnpacked(data);
    try (TensorFile tensors = TensorFile.open(file)) {
      assertFails(
          FileFormatException.class,
          file + ": W: expected F32 but was I8 (2, 3, 5, 7)",
          () -> tensors.floats("W"));
      assertRefused(NullPointerException.class, "name", () -> tensors.weights(null));
      tensors.close();
      assertRefused(
          IllegalStateException.class, "file: the file is closed", () -> tensors.weights("W"));
    }
    TensorFile.save(file, Map.of("b", FloatTensor.zeros(7)));
    try (TensorFile tensors = TensorFile.open(file)) {
      assertFails(
          FileFormatException.class,
          file + ": b: expected F32 with 4 dimensions but was F32 (7)",
          () -> tensors.weights("b"));
    }
  }

  // ------------------------------------------------------------------------------- packed weights

  private void assertPackedRefused(byte[] bytes, String reason) throws IOException {
    Files.write(other, bytes);
    long before = FloatTensor.allocatedBytes();
    for (LoadOptions options : ways()) {
      try (TensorFile tensors = TensorFile.open(other, options)) {
        FileFormatException e = assertThrows(FileFormatException.class, () -> tensors.weights("W"));
        assertTrue(e.getMessage().contains("W: " + reason), e.getMessage());
      }
    }
    assertTrue(FloatTensor.allocatedBytes() <= before);
  }

  private static byte[] replaced(byte[] bytes, String from, String to) {
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    assertTrue(text.contains(from) && from.length() == to.length(), from);
    return text.replace(from, to).getBytes(StandardCharsets.ISO_8859_1);
  }

  @Test
  void formsOfPackedWeightsThatDoNotFitAreRefused(Data data) throws IOException {
    try (FloatTensor W = floats(data)) {
      TensorFile.save(file, NamedTensors.none().with("W", W, ElementType.Q4_0));
    }
    byte[] bytes = Files.readAllBytes(file);
    Map<String, Integer> sizes =
        Map.of(
            "Q4_0 5 0",
            0,
            "Q8_0 5 7",
            544,
            "INT8 9 9",
            512,
            "Q4_K 5 7",
            352,
            "Q6_K 5 7",
            448,
            "Q5_K 5 7",
            416,
            "Q2_K 5 7",
            256,
            "Q5_1 5 7",
            384);
    for (String form : sizes.keySet()) {
      assertPackedRefused(
          replaced(bytes, "Q4_0 5 7", form),
          "expected blocks of "
              + sizes.get(form)
              + " bytes, as "
              + form
              + " has, but was (2, 3, 288)");
    }
    for (String form : List.of("Q4_1 5 7", "Q4_0 -57", "Q4_0 5 x")) {
      assertPackedRefused(
          replaced(bytes, "Q4_0 5 7", form),
          "blocksparse.packed.W is not a packed type and two sizes: " + form);
    }
  }

  @Test
  void scalesOfPackedWeightsAreFinite(Data data) throws IOException {
    for (ElementType type :
        List.of(
            ElementType.PACKED_BFLOAT16,
            ElementType.Q8_0,
            ElementType.MXFP4,
            ElementType.Q4_K,
            ElementType.Q6_K,
            ElementType.Q5_K,
            ElementType.IQ4_NL)) {
      try (FloatTensor W = floats(data)) {
        TensorFile.save(file, NamedTensors.none().with("W", W, type));
      }
      byte[] bytes = Files.readAllBytes(file);
      SafeTensorsOracle.Tensor tensor = new SafeTensorsOracle(file).tensors.get("W");
      int block = (int) (long) tensor.shape().get(2);
      int at = Math.toIntExact(tensor.positionInFile()) + 2 * block + 15;
      boolean isNumber = type == ElementType.PACKED_BFLOAT16;
      bytes[at] = (byte) (isNumber ? 0x7f : type == ElementType.MXFP4 ? 253 : 0x7c);
      bytes[at - 1] = isNumber ? (byte) 0x80 : bytes[at - 1];
      Files.write(other, bytes);
      try (TensorFile tensors = TensorFile.open(other)) {
        FileFormatException e = assertThrows(FileFormatException.class, () -> tensors.weights("W"));
        assertTrue(
            e.getMessage()
                .contains(
                    isNumber
                        ? "W: a weight of group 2 is not finite"
                        : "W: a scale of group 2 makes weights infinite"),
            e.getMessage());
      }
    }
  }

  /** INT8 keeps its scales beside its panels, and its name. */
  @Test
  void packedInt8ComesBackAsItWas(Data data) throws IOException {
    try (FloatTensor W = floats(data);
        Weights packed = Weights.of(W, ElementType.INT8)) {
      TensorFile.save(file, NamedTensors.of(Map.of("b", W)).with("W", packed));
      assertEquals(0, new SafeTensorsOracle(file).tensors.get("W").positionInFile() % 64);
      for (LoadOptions options : ways()) {
        try (TensorFile tensors = TensorFile.open(file, options);
            Weights read = tensors.weights("W")) {
          assertEquals(Set.of("b", "W", "W.scales"), tensors.names());
          assertSame(packed, read);
          assertEquals(Map.of(), tensors.metadata());
        }
      }
    }
  }
}
