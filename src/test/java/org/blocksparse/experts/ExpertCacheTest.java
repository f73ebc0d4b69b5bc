// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.experts;

import static org.blocksparse.testing.Failures.assertFails;
import static org.blocksparse.testing.Failures.assertRejects;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.Backend;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.testing.Data;
import org.blocksparse.testing.Data.Numbers;
import org.blocksparse.testing.KernelsUnderTest;
import org.blocksparse.testing.Seeded;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Experts that are read when rows select them: the bits of a layer in memory, and exact counters.
 */
@ExtendWith(Seeded.class)
final class ExpertCacheTest {
  private static final int EXPERTS = 11;
  private static final int K = 3;
  private static final int INPUTS = 40;
  private static final int HIDDEN = 70;
  private static final int OUTPUTS = 33;

  /** The bytes of W1 of an expert: Q8_0 has 34 bytes for 32 inputs of 16 columns. */
  private static final long W1_BYTES = 34L * 16 * 2 * 9;

  private static final long EXPERT_BYTES = W1_BYTES + 34L * 16 * 3 * 3;

  @TempDir Path folder;

  private Path saved(Data data, String name, ElementType type, boolean biasesAndShared)
      throws IOException {
    return saved(data, name, type, biasesAndShared, INPUTS, HIDDEN, OUTPUTS);
  }

  private Path saved(
      Data data,
      String name,
      ElementType type,
      boolean biasesAndShared,
      int inputs,
      int hidden,
      int outputs)
      throws IOException {
    MixtureOfExpertsBuilder builder =
        MixtureOfExperts.builder(inputs, hidden, TopKGate.of(EXPERTS, K))
            .outputs(outputs)
            .activation(Activation.SWIGLU);
    if (biasesAndShared) {
      builder.gatedShared(hidden + 2);
    }
    Map<String, FloatTensor> parameters =
        MixtureOfExpertsTest.parameters(data, builder, biasesAndShared);
    Path file = folder.resolve(name);
    try (MixtureOfExperts floats = builder.build(parameters);
        MixtureOfExperts layer = floats.withWeights(type)) {
      layer.save(file);
    }
    return file;
  }

  private static FloatTensor rows(Data data, int batch) {
    return FloatTensor.of(data.floats(Numbers.GAUSSIAN, (long) batch * INPUTS), batch, INPUTS);
  }

  /** Returns the results of one row for each of these experts. */
  private static float[] apply(MixtureOfExperts layer, FloatTensor x, int... experts) {
    try (IntTensor chosen = IntTensor.of(experts, 1, experts.length);
        FloatTensor gates = FloatTensor.zeros(1, experts.length);
        FloatTensor out = FloatTensor.zeros(1, layer.outputs())) {
      gates.fill(0.5f);
      try (Routing routing = Routing.of(chosen, gates, EXPERTS)) {
        layer.apply(x, routing, out);
      }
      return out.toArray();
    }
  }

  static Stream<Arguments> kernelsAndTypes() {
    return KernelsUnderTest.instructionSets().stream()
        .flatMap(
            kernels ->
                Stream.of(ElementType.values())
                    .filter(ElementType::isPacked)
                    .map(type -> Arguments.of(kernels, type)));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("kernelsAndTypes")
  void hasTheBitsOfALayerInMemory(KernelsUnderTest kernels, ElementType type, Data data)
      throws IOException {
    for (boolean all : new boolean[] {false, true}) {
      Path file = saved(data, "layer" + all, type, all);
      LoadOptions options = LoadOptions.mapped().withWorkers(kernels.workers());
      for (int batch : new int[] {0, 1, 5, 70}) {
        try (MixtureOfExperts memory =
                MixtureOfExperts.load(file, LoadOptions.copied().withWorkers(kernels.workers()));
            FloatTensor x = rows(data, batch);
            FloatTensor wanted = memory.apply(x);
            FloatTensor out = FloatTensor.zeros(batch, OUTPUTS)) {
          long expert = (Files.size(file) - 8) / EXPERTS;
          for (long budget : new long[] {expert, 3 * expert, 2 * EXPERTS * expert}) {
            try (ExpertCache cache = ExpertCache.ofBytes(budget);
                MixtureOfExperts layer = MixtureOfExperts.load(file, options, cache)) {
              for (int time = 0; time < 3; time++) {
                out.fill(Float.NaN);
                layer.apply(x, out);
                assertArrayEquals(wanted.toArray(), out.toArray(), budget + " " + batch);
              }
              if (type == ElementType.INT8) {
                try (FloatTensor ofBits = memory.withInputBits(16).apply(x)) {
                  layer.withInputBits(16).apply(x, out);
                  assertArrayEquals(ofBits.toArray(), out.toArray());
                }
              }
            }
          }
        }
      }
    }
  }

  @Test
  void countsHitsAndMisses(Data data) throws IOException {
    Path file = saved(data, "layer", ElementType.Q8_0, false);
    try (ExpertCache cache = ExpertCache.ofBytes(4 * EXPERT_BYTES + 1);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        FloatTensor x = rows(data, 1)) {
      MemoryUse start = layer.memoryUse();
      assertEquals(EXPERTS * EXPERT_BYTES, start.mappedBytes());
      assertUse(layer, start, 0, 0, 0);
      apply(layer, x, 3, 5);
      assertUse(layer, start, 0, 2, 2);
      apply(layer, x, 5, 3);
      apply(layer, x, 5, 6);
      assertUse(layer, start, 3, 3, 3);
      apply(layer, x, 8);
      assertUse(layer, start, 3, 4, 4);
      // The least used ones are evicted: of 6 and 8, the later one.
      apply(layer, x, 9);
      apply(layer, x, 3, 5, 6);
      assertUse(layer, start, 6, 5, 4);
      apply(layer, x, 8);
      assertUse(layer, start, 6, 6, 4);
    }
  }

  private static void assertUse(
      MixtureOfExperts layer, MemoryUse start, long hits, long misses, long inMemory) {
    assertEquals(
        new MemoryUse(
            start.mappedBytes(),
            start.privateBytes() + inMemory * EXPERT_BYTES,
            hits,
            misses,
            misses * EXPERT_BYTES),
        layer.memoryUse());
  }

  /** Whole prompts, one after the other, keep what fits: no expert is evicted for a later one. */
  @Test
  void scansKeepWhatFits(Data data) throws IOException {
    Path file = saved(data, "layer", ElementType.Q8_0, false);
    int slots = 5;
    int[] all = IntStream.range(0, EXPERTS).toArray();
    try (ExpertCache cache = ExpertCache.ofBytes(slots * EXPERT_BYTES);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        FloatTensor x = rows(data, 1)) {
      for (int time = 0; time < 4; time++) {
        apply(layer, x, all);
      }
      MemoryUse use = layer.memoryUse();
      assertEquals(4L * EXPERTS, use.hits() + use.misses());
      assertTrue(use.hits() >= 3L * (slots - 2), use::toString);
    }
  }

  @Test
  void layersShareACache(Data data) throws IOException {
    Path first = saved(data, "first", ElementType.Q4_0, true);
    Path second = saved(data, "second", ElementType.Q4_0, true);
    try (ExpertCache cache = ExpertCache.ofBytes(4 * EXPERT_BYTES);
        MixtureOfExperts a = MixtureOfExperts.load(first, LoadOptions.mapped(), cache);
        MixtureOfExperts b = MixtureOfExperts.load(second, LoadOptions.mapped(), cache);
        MixtureOfExperts aInMemory = MixtureOfExperts.load(first);
        MixtureOfExperts bInMemory = MixtureOfExperts.load(second);
        FloatTensor x = rows(data, 2)) {
      for (int time = 0; time < 5; time++) {
        assertArrayEquals(aInMemory.apply(x).toArray(), a.apply(x).toArray());
        assertArrayEquals(bInMemory.apply(x).toArray(), b.apply(x).toArray());
      }
      a.close();
      assertEquals(0, a.memoryUse().privateBytes());
      assertArrayEquals(bInMemory.apply(x).toArray(), b.apply(x).toArray());
    }
  }

  @Test
  void manyThreadsShareFewSlots(Data data) throws Exception {
    Path file = saved(data, "layer", ElementType.Q8_0, true);
    ExecutorService threads = Executors.newFixedThreadPool(6);
    try (ExpertCache cache = ExpertCache.ofBytes(3 * EXPERT_BYTES);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        MixtureOfExperts memory = MixtureOfExperts.load(file);
        FloatTensor x = rows(data, 4);
        FloatTensor wanted = memory.apply(x)) {
      List<Future<?>> all = new ArrayList<>();
      for (int thread = 0; thread < 6; thread++) {
        all.add(
            threads.submit(
                () -> {
                  for (int time = 0; time < 30; time++) {
                    try (FloatTensor out = layer.apply(x)) {
                      assertArrayEquals(wanted.toArray(), out.toArray());
                    }
                  }
                }));
      }
      for (Future<?> each : all) {
        each.get();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  /** Calls during close return the right output or throw; all memory is freed. */
  @Test
  void isClosedWhileCallsRun(Data data) throws Exception {
    Path file = saved(data, "layer", ElementType.Q8_0, false);
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (MixtureOfExperts memory = MixtureOfExperts.load(file);
        FloatTensor x = rows(data, 8);
        FloatTensor wanted = memory.apply(x)) {
      for (boolean cacheFirst : new boolean[] {false, true}) {
        long before = Storage.allocatedBytes();
        ExpertCache cache = ExpertCache.ofBytes(3 * EXPERT_BYTES);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        CountDownLatch running = new CountDownLatch(2);
        Runnable calls =
            () -> {
              for (int time = 0; ; time++) {
                try (FloatTensor out = layer.apply(x)) {
                  assertArrayEquals(wanted.toArray(), out.toArray());
                } catch (IllegalStateException e) {
                  assertTrue(e.getMessage().contains("closed"), e.getMessage());
                  return;
                }
                if (time == 0) {
                  running.countDown();
                }
              }
            };
        Future<?> one = threads.submit(calls);
        Future<?> other = threads.submit(calls);
        running.await();
        for (AutoCloseable each : cacheFirst ? List.of(cache, layer) : List.of(layer, cache)) {
          each.close();
          each.close();
        }
        one.get();
        other.get();
        // Buffers of calls stay in their pool.
        assertTrue(Storage.allocatedBytes() - before < 2 * EXPERT_BYTES);
      }
    } finally {
      threads.shutdownNow();
    }
  }

  /** The file is truncated in the middle of W2: the last experts are lost, others are not. */
  @Test
  void aTruncatedExpertThrowsInTheCallThatNeedsIt(Data data) throws IOException {
    assumeTrue(!System.getProperty("os.name").startsWith("Windows"), "it cannot be truncated");
    Path file = saved(data, "layer", ElementType.Q8_0, false);
    try (ExpertCache cache = ExpertCache.ofBytes(4 * EXPERT_BYTES);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        MixtureOfExperts memory = MixtureOfExperts.load(file);
        FloatTensor x = rows(data, 1)) {
      float[] hot = apply(memory, x, 10);
      assertArrayEquals(hot, apply(layer, x, 10));
      long w2 = storage(layer, "W2").mappedPosition();
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.truncate(w2 + 9 * (EXPERT_BYTES - W1_BYTES) - 1);
      }
      for (int time = 0; time < 2; time++) {
        UncheckedIOException thrown =
            assertThrows(UncheckedIOException.class, () -> apply(layer, x, 1, 8, 10));
        FileFormatException cause = assertInstanceOf(FileFormatException.class, thrown.getCause());
        assertEquals(file, cause.file());
        assertEquals("expert 8", cause.part());
        assertArrayEquals(hot, apply(layer, x, 10));
        assertArrayEquals(apply(memory, x, 1, 7), apply(layer, x, 1, 7));
      }
      if (Backend.isNative()) {
        assertThrows(UncheckedIOException.class, () -> layer.copy()); // reads all of it
      }
    }
  }

  /** A failed read leaves nothing behind: the only slot serves the expert, and others, again. */
  @Test
  void anExpertIsReadAgainOnceItsFileIsWhole(Data data) throws IOException {
    assumeTrue(!System.getProperty("os.name").startsWith("Windows"), "it cannot be truncated");
    Path file = saved(data, "layer", ElementType.Q8_0, false);
    byte[] whole = Files.readAllBytes(file);
    try (ExpertCache cache = ExpertCache.ofBytes(EXPERT_BYTES);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        MixtureOfExperts memory = MixtureOfExperts.load(file);
        FloatTensor x = rows(data, 1)) {
      long w2 = storage(layer, "W2").mappedPosition();
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.truncate(w2 + 9 * (EXPERT_BYTES - W1_BYTES) - 1);
        assertThrows(UncheckedIOException.class, () -> apply(layer, x, 8));
        assertTrue(layer.memoryUse().bytesRead() < EXPERT_BYTES, "one part cannot be read");
        channel.write(ByteBuffer.wrap(whole), 0);
      }
      for (int expert : new int[] {8, 1, 8, 10}) {
        assertArrayEquals(apply(memory, x, expert), apply(layer, x, expert), "expert " + expert);
      }
    }
  }

  private static Storage storage(MixtureOfExperts layer, String name) {
    return KernelOperands.elements(layer.parameters().get(name));
  }

  @Test
  void livesOnWhenTheFileIsReplaced(Data data) throws IOException {
    assumeTrue(!System.getProperty("os.name").startsWith("Windows"), "it cannot be replaced");
    Path file = saved(data, "layer", ElementType.Q8_0, false);
    try (ExpertCache cache = ExpertCache.ofBytes(EXPERT_BYTES);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        FloatTensor x = rows(data, 3);
        FloatTensor before = layer.apply(x)) {
      Files.move(
          saved(data, "other", ElementType.Q8_0, false), file, StandardCopyOption.REPLACE_EXISTING);
      assertArrayEquals(before.toArray(), layer.apply(x).toArray());
      Files.delete(file);
      assertArrayEquals(before.toArray(), layer.apply(x).toArray());
    }
  }

  /** An expert takes several reads, none of which begins at a multiple of a disk block. */
  @Test
  void readsLargeExpertsInPieces(Data data) throws IOException {
    assumeTrue(Backend.isNative(), "the Java kernels are slow");
    Path file = saved(data, "layer", ElementType.Q8_0, false, INPUTS, 12_000, OUTPUTS);
    try (ExpertCache cache = ExpertCache.ofBytes(10L << 20);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        MixtureOfExperts memory = MixtureOfExperts.load(file);
        FloatTensor x = rows(data, 9)) {
      assertArrayEquals(memory.apply(x).toArray(), layer.apply(x).toArray());
      assertArrayEquals(memory.apply(x).toArray(), layer.apply(x).toArray());
    }
  }

  /** An expert gets more rows than are kept between the products at a time. */
  @Test
  void pinsExpertsOfManyRows(Data data) throws IOException {
    assumeTrue(Backend.isNative(), "the Java kernels are slow");
    Path file = saved(data, "layer", ElementType.Q4_0, true, INPUTS, 1024, OUTPUTS);
    try (MixtureOfExperts memory = MixtureOfExperts.load(file);
        ExpertCache cache = ExpertCache.ofBytes(2 * memory.memoryUse().privateBytes() / EXPERTS);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache);
        FloatTensor x = rows(data, 2800); // 9 MB
        FloatTensor wanted = memory.apply(x)) {
      assertArrayEquals(wanted.toArray(), layer.apply(x).toArray());
    }
  }

  @Test
  void rejectsWhatItCannotCache(Data data) throws IOException {
    Path file = saved(data, "layer", ElementType.Q8_0, false);
    Path other = saved(data, "other", ElementType.Q4_0, true);
    LoadOptions mapped = LoadOptions.mapped();
    assertRejects("bytes: expected a positive number but was 0", () -> ExpertCache.ofBytes(0));
    try (ExpertCache small = ExpertCache.ofBytes(EXPERT_BYTES - 1);
        ExpertCache cache = ExpertCache.ofBytes(2 * EXPERT_BYTES)) {
      long before = Storage.allocatedBytes();
      assertRejects(
          "cache: expected at least the "
              + EXPERT_BYTES
              + " bytes of an expert but was one of "
              + (EXPERT_BYTES - 1)
              + " bytes",
          () -> MixtureOfExperts.load(file, mapped, small));
      assertEquals(before, Storage.allocatedBytes());
      assertRejects(
          "options: expected LoadOptions.mapped()",
          () -> MixtureOfExperts.load(file, LoadOptions.copied(), cache));
      MixtureOfExperts layer = MixtureOfExperts.load(file, mapped, cache);
      assertRejects(
          "cache: expected experts 40 -> 70 -> 33 of Q8_0 and Q8_0, as the cache has, but was"
              + " 40 -> 70 -> 33 of Q4_0 and Q4_0 with biases; give other experts a cache of their"
              + " own",
          () -> MixtureOfExperts.load(other, mapped, cache));
      Path floats = folder.resolve("floats");
      try (MixtureOfExperts plain = MixtureOfExperts.builder(3, 2, EXPERTS).build()) {
        plain.save(floats);
      }
      assertRejects(
          "file: expected packed weights, W2 of the type of W1, but was of FLOAT32 and FLOAT32; save"
              + " what withWeights(ElementType.Q8_0) returns",
          () -> MixtureOfExperts.load(floats, mapped, cache));
      Path both = folder.resolve("both");
      try (MixtureOfExperts first = MixtureOfExperts.load(file, LoadOptions.copied());
          MixtureOfExperts plain =
              MixtureOfExperts.builder(INPUTS, HIDDEN, TopKGate.of(EXPERTS, K))
                  .outputs(OUTPUTS)
                  .activation(Activation.SWIGLU)
                  .build();
          MixtureOfExperts second = plain.withWeights(ElementType.PACKED_BFLOAT16)) {
        Map<String, BlockMatrix> parameters = new HashMap<>(first.parameters());
        parameters.put("W2", second.parameters().get("W2"));
        try (MixtureOfExperts mixed =
            MixtureOfExperts.builder(INPUTS, HIDDEN, TopKGate.of(EXPERTS, K))
                .outputs(OUTPUTS)
                .activation(Activation.SWIGLU)
                .build(parameters)) {
          mixed.save(both);
        }
      }
      assertRejects(
          "file: expected packed weights, W2 of the type of W1, but was of Q8_0 and PACKED_BFLOAT16;"
              + " save what withWeights(ElementType.Q8_0) returns",
          () -> MixtureOfExperts.load(both, mapped, cache));
      cache.close();
      try (FloatTensor x = rows(data, 1)) {
        assertFails(
            IllegalStateException.class, "cache: the cache is closed", () -> layer.apply(x));
        assertThrows(IllegalStateException.class, () -> MixtureOfExperts.load(file, mapped, cache));
        layer.close();
        assertFails(
            IllegalStateException.class, "layer: the layer is closed", () -> layer.apply(x));
      }
    }
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void locksItsMemory(Data data) throws IOException {
    assumeTrue(Backend.isNative());
    assumeTrue(number("/proc/self/limits", "Max locked memory +\\w+ +(\\w+)") >= 8 << 20);
    Path file = saved(data, "layer", ElementType.Q8_0, false);
    long before = number("/proc/self/status", "VmLck:\\s+(\\d+)");
    try (ExpertCache cache = ExpertCache.ofLockedBytes(6L << 20);
        MixtureOfExperts layer = MixtureOfExperts.load(file, LoadOptions.mapped(), cache)) {
      long locked = number("/proc/self/status", "VmLck:\\s+(\\d+)") - before;
      assertTrue(locked >= (6 << 10) - 64, () -> layer + ": " + locked);
    }
    assertEquals(before, number("/proc/self/status", "VmLck:\\s+(\\d+)"));
  }

  /** Returns the number that a pattern finds in a file of the kernel. */
  private static long number(String file, String pattern) throws IOException {
    Matcher found = Pattern.compile(pattern).matcher(Files.readString(Path.of(file)));
    assertTrue(found.find(), file);
    String number = found.group(1);
    return number.equals("unlimited") ? Long.MAX_VALUE : Long.parseLong(number);
  }
}
