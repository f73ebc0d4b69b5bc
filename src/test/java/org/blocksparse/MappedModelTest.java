// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.programs.MappedLossProgram;
import org.blocksparse.programs.MappedModelProgram;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ChildJvm;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * W2 used in place in the file: equal to a copy, shared, read-only, and safe when the file shrinks.
 */
final class MappedModelTest {
  private static final int FEATURES = 64;
  private static final int OUTPUTS = 64 * 1024;
  private static final int CLASSES = 256;
  private static final long W2_BYTES = 4L * FEATURES * OUTPUTS;

  @TempDir Path folder;

  private Path saved() throws IOException {
    Path file = folder.resolve("model ünï.safetensors");
    try (HierarchicalSoftmax layer =
        HierarchicalSoftmax.builder(FEATURES, OUTPUTS).classes(CLASSES).seed(3).build()) {
      layer.save(file);
    }
    return file;
  }

  private static FloatTensor x() {
    float[] values = new float[3 * FEATURES];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.cos(i);
    }
    return FloatTensor.of(values, 3, FEATURES);
  }

  private static IntTensor targets() {
    return IntTensor.of(new int[] {0, 1, 40000}, 3);
  }

  @Test
  void givesTheBitsOfACopy() throws IOException {
    Path file = saved();
    try (HierarchicalSoftmax copied = HierarchicalSoftmax.load(file);
        HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped());
        FloatTensor x = x();
        IntTensor targets = targets();
        FloatTensor wanted = copied.logProbabilities(x);
        FloatTensor actual = mapped.logProbabilities(x)) {
      assertArrayEquals(wanted.toArray(), actual.toArray());
      assertEquals(copied.loss(x, targets), mapped.loss(x, targets));
      // A mapped layer can be saved like any other.
      Path again = folder.resolve("again");
      mapped.save(again);
      assertEquals(-1, Files.mismatch(file, again));
    }
  }

  @Tag("xcheck")
  @Test
  void canBeTrainedOnAPrivateCopy() throws IOException {
    Path file = saved();
    byte[] before = Files.readAllBytes(file);
    try (HierarchicalSoftmax copied = HierarchicalSoftmax.load(file);
        HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.copyOnWrite());
        FloatTensor x = x();
        IntTensor targets = targets()) {
      for (int step = 0; step < 3; step++) {
        assertEquals(
            copied.step(x, targets, Optimizer.adagrad(0.1f)),
            mapped.step(x, targets, Optimizer.adagrad(0.1f)));
      }
      assertArrayEquals(copied.W2().toArray(), mapped.W2().toArray());
      assertArrayEquals(before, Files.readAllBytes(file));
      mapped.save(file);
      try (HierarchicalSoftmax again = HierarchicalSoftmax.load(file)) {
        assertArrayEquals(copied.W2().toArray(), again.W2().toArray());
      }
    }
  }

  @Test
  void livesOnWhenTheFileIsReplacedOrDeleted() throws IOException {
    assumeTrue(!System.getProperty("os.name").startsWith("Windows"));
    Path file = saved();
    try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped());
        HierarchicalSoftmax other =
            HierarchicalSoftmax.builder(FEATURES, OUTPUTS).classes(CLASSES).seed(4).build();
        FloatTensor x = x();
        IntTensor targets = targets()) {
      double before = mapped.loss(x, targets);
      other.save(file);
      assertEquals(before, mapped.loss(x, targets));
      Files.delete(file);
      assertEquals(before, mapped.loss(x, targets));
    }
  }

  @Test
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void survivesAFileThatShrinks() throws IOException {
    assumeTrue(Backend.isNative());
    Path file = saved();
    for (long left : List.of(Files.size(file) - 1, W2_BYTES / 2, 0L)) {
      Files.deleteIfExists(file);
      saved();
      try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped());
          HierarchicalSoftmax trained = HierarchicalSoftmax.load(file, LoadOptions.copyOnWrite());
          FloatTensor x = x();
          IntTensor targets = targets()) {
        trained.step(x, targets, Optimizer.sgd(0.1f));
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
          channel.truncate(left);
        }
        assertShrunk(file, () -> mapped.probabilities(x));
        assertShrunk(file, () -> mapped.loss(x, targets));
        assertShrunk(file, () -> mapped.W2().toArray());
        assertShrunk(file, () -> mapped.W2().get(CLASSES - 1, 0, 0));
        assertShrunk(file, () -> trained.step(x, targets, Optimizer.sgd(0.1f)));
        for (int time = 0; time < 2; time++) {
          assertShrunk(file, () -> trained.retire(0));
          assertShrunk(file, () -> trained.addOutputs(1));
        }
        Path elsewhere = folder.resolve("elsewhere");
        assertShrunk(
            file,
            () -> {
              try {
                mapped.save(elsewhere);
              } catch (IOException e) {
                throw new AssertionError(e);
              }
            });
        assertFalse(Files.exists(elsewhere));
      }
    }
  }

  /** The file shrinks between one tensor and the next; data read before that is invalid, too. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  @EnabledOnOs({OS.LINUX, OS.MAC})
  void isRefusedIfTheFileShrinksWhileItIsLoaded(int tensorsBefore) throws IOException {
    for (LoadOptions options :
        List.of(LoadOptions.copied(), LoadOptions.mapped(), LoadOptions.copyOnWrite())) {
      if (LoadSettings.from(options).isMapped()) {
        assumeTrue(Backend.isNative());
      }
      Path file = saved();
      AtomicInteger updates = new AtomicInteger();
      Progress shrinking =
          (done, total) -> {
            if (updates.incrementAndGet() == tensorsBefore) {
              try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                channel.truncate(W2_BYTES / 2);
              } catch (IOException e) {
                throw new AssertionError(e);
              }
            }
          };
      long before = Storage.allocatedBytes();
      FileFormatException refused =
          assertThrows(
              FileFormatException.class,
              () -> HierarchicalSoftmax.load(file, options.withProgress(shrinking)));
      assertEquals(file, refused.file());
      assertTrue(Storage.allocatedBytes() <= before, "memory was kept");
      Files.delete(file);
    }
  }

  @Test
  void aFileThatGrowsIsTheSameModel() throws IOException {
    Path file = saved();
    for (LoadOptions options : List.of(LoadOptions.mapped(), LoadOptions.copyOnWrite())) {
      try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, options);
          FloatTensor x = x();
          IntTensor targets = targets()) {
        double before = mapped.loss(x, targets);
        long size = Files.size(file);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
          channel.write(ByteBuffer.allocate(10_000), size);
          assertEquals(before, mapped.loss(x, targets));
          channel.truncate(size);
        }
        assertEquals(before, mapped.loss(x, targets));
      }
    }
  }

  private static void assertShrunk(Path file, Runnable operation) {
    UncheckedIOException thrown = assertThrows(UncheckedIOException.class, operation::run);
    FileFormatException cause = assertInstanceOf(FileFormatException.class, thrown.getCause());
    assertTrue(cause.getMessage().contains(file.toString()), cause.getMessage());
    assertTrue(cause.getMessage().contains("shrunk"), cause.getMessage());
  }

  @Test
  void closingEndsTheMappingOnce() throws IOException {
    assumeTrue(Backend.isNative() && Files.exists(SMAPS));
    Path file = saved();
    long allocated = Storage.allocatedBytes();
    HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped());
    assertTrue(Storage.allocatedBytes() - allocated < W2_BYTES / 8);
    assertTrue(pages(file).containsKey("Rss"));
    mapped.close();
    mapped.close();
    assertEquals(Map.of(), pages(file));
  }

  /** First the file, which is never closed, then a tensor that outlives it. */
  @Test
  void theMappingEndsWhenNobodyRefersToItAnyMore() throws Exception {
    assumeTrue(Backend.isNative() && Files.exists(SMAPS));
    Path file = saved();
    FloatTensor w2 = TensorFile.open(file, LoadOptions.mapped()).floats("W2");
    for (int i = 0; i < 3; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertTrue(Float.isFinite(w2.get(CLASSES - 1, 0, 0)));
    w2 = null;
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(10);
    while (!pages(file).isEmpty()) {
      assertTrue(System.nanoTime() < deadline, "it is still mapped");
      System.gc();
      Thread.sleep(5);
    }
  }

  // ---------------------------------------------------------------------- what the kernel says

  private static final Path SMAPS = Path.of("/proc/self/smaps");
  private static final Pattern KILOBYTES = Pattern.compile("(\\w+): +(\\d+) kB");

  /**
   * Returns the fields of /proc/self/smaps for a file, in kilobytes, summed up; none if it is not
   * mapped.
   */
  private static Map<String, Long> pages(Path file) throws IOException {
    Map<String, Long> sums = new HashMap<>();
    boolean ours = false;
    for (String line : Files.readAllLines(SMAPS)) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        ours = line.endsWith(file.toRealPath().toString());
      } else if (ours) {
        Matcher field = KILOBYTES.matcher(line);
        if (field.matches()) {
          sums.merge(field.group(1), Long.valueOf(field.group(2)), Long::sum);
        }
      }
    }
    return sums;
  }

  /**
   * The resident pages are those of the opened classes and of what is read at once; the kernel may
   * read some neighbors of each.
   */
  @Test
  @DisabledIfSystemProperty(named = "blocksparse.emulated", matches = "true")
  void touchesOnlyTheClassesThatPredictionsOpen() throws IOException {
    assumeTrue(Backend.isNative() && Files.exists(SMAPS));
    Path file = saved();
    long rest = Files.size(file) - W2_BYTES;
    try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped());
        FloatTensor x = x();
        IntTensor targets = targets()) {
      long opened = 1024 * pages(file).get("Rss");
      assertTrue(opened <= rest + W2_BYTES / 16, opened + " bytes for " + rest + " that were read");
      mapped.loss(x, targets);
      long predicted = 1024 * pages(file).get("Rss");
      long twoClasses = 2 * W2_BYTES / CLASSES;
      assertTrue(predicted >= opened, "the classes are not in the mapping");
      assertTrue(
          predicted <= opened + twoClasses + W2_BYTES / 16,
          (predicted - opened) + " bytes for two classes of " + twoClasses);
      mapped.probabilities(x).close();
      assertTrue(1024 * pages(file).get("Rss") >= W2_BYTES, "all classes are not in the mapping");
    }
  }

  /**
   * A layer in training and a serving layer share the memory of one file, except for the trained
   * classes.
   */
  @Test
  @DisabledIfSystemProperty(named = "blocksparse.emulated", matches = "true")
  void aSnapshotSharesWhatDidNotChange() throws IOException {
    assumeTrue(Backend.isNative() && Files.exists(SMAPS));
    Path file = saved();
    try (HierarchicalSoftmax serves = HierarchicalSoftmax.load(file, LoadOptions.mapped());
        HierarchicalSoftmax learns = HierarchicalSoftmax.load(file, LoadOptions.copyOnWrite());
        FloatTensor x = x();
        IntTensor targets = targets()) {
      float[] served = serves.W2().toArray();
      learns.W2().toArray(); // reading changes nothing
      learns.step(x, targets, Optimizer.adagrad(.1f));
      learns.retire(70);
      int added = learns.addOutputs(1); // takes a free slot: no class grows
      assertEquals(OUTPUTS, added);
      learns.step(x, targets, Optimizer.adagrad(.1f));
      long changed = 1024 * pages(file).get("Private_Dirty");
      long twoClasses = 2 * W2_BYTES / CLASSES;
      assertTrue(changed >= twoClasses, changed + " bytes of " + twoClasses + " that were learned");
      assertTrue(
          changed <= twoClasses + W2_BYTES / 16,
          changed + " bytes changed for two classes of " + twoClasses);
      assertArrayEquals(served, serves.W2().toArray());
      // The next file has all of it.
      Path next = folder.resolve("next");
      learns.save(next);
      try (HierarchicalSoftmax nextServes = HierarchicalSoftmax.load(next, LoadOptions.mapped())) {
        assertArrayEquals(learns.W2().toArray(), nextServes.W2().toArray());
        assertEquals(learns.loss(x, targets), nextServes.loss(x, targets));
      }
    }
  }

  @Tag("packaged")
  @Test
  @DisabledIfSystemProperty(named = "blocksparse.emulated", matches = "true")
  void twoProcessesShareThePages() throws Exception {
    assumeTrue(Backend.isNative() && Files.exists(SMAPS));
    Path file = saved();
    try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
      mapped.W2().toArray();
      Process other =
          new ProcessBuilder(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-Dorg.bytedeco.javacpp.cachedir="
                      + System.getProperty("org.bytedeco.javacpp.cachedir", ""),
                  "-cp",
                  System.getProperty(
                      "surefire.test.class.path", System.getProperty("java.class.path")),
                  MappedModelProgram.class.getName(),
                  file.toString())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      try (BufferedReader lines = other.inputReader()) {
        assertEquals("ready", lines.readLine());
        Map<String, Long> pages = pages(file);
        assertTrue(1024 * pages.get("Shared_Clean") >= W2_BYTES, pages.toString());
        assertEquals(0, pages.get("Private_Dirty"), pages.toString());
      } finally {
        other.getOutputStream().close();
        assertTrue(other.waitFor(10, TimeUnit.MINUTES));
      }
      assertEquals(0, other.exitValue());
    }
  }

  /**
   * {@code -Dtest.jvm.args="-Dblocksparse.large=DIR"}: writes a model of 2 GB to DIR and prints how
   * long mapping it takes.
   */
  @Test
  @EnabledIfSystemProperty(named = "blocksparse.large", matches = ".+")
  void twoGigabytesOpenInMilliseconds() throws IOException {
    Path file = Path.of(System.getProperty("blocksparse.large"), "large.safetensors");
    int outputs = 1_100_000;
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(512, outputs).build()) {
      layer.save(file);
    }
    assertTrue(Files.size(file) > 1L << 31);
    try (FloatTensor x = FloatTensor.zeros(1, 512);
        IntTensor target = IntTensor.of(new int[] {outputs - 1}, 1)) {
      double[] milliseconds = new double[10];
      for (int run = 0; run < milliseconds.length; run++) {
        long start = System.nanoTime();
        try (HierarchicalSoftmax mapped = HierarchicalSoftmax.load(file, LoadOptions.mapped())) {
          milliseconds[run] = (System.nanoTime() - start) / 1e6;
          System.out.printf("%d bytes mapped in %.1f ms%n", Files.size(file), milliseconds[run]);
          assertTrue(mapped.loss(x, target) > 0);
        }
      }
      Arrays.sort(milliseconds);
      assertTrue(milliseconds[milliseconds.length / 2] < 50, Arrays.toString(milliseconds));
    } finally {
      Files.delete(file);
    }
  }

  @Tag("packaged")
  @Test
  void theLimitsOfJavaCppAreNotOurs() throws IOException {
    assumeTrue(Backend.isNative());
    ChildJvm.Result result =
        new ChildJvm(folder.resolve("cache"))
            .property("org.bytedeco.javacpp.maxPhysicalBytes", "1m")
            .property("org.bytedeco.javacpp.maxBytes", "1")
            .property("blocksparse.backend", "native")
            .run(MappedLossProgram.class, saved().toString());
    assertEquals(0, result.exit(), result.toString());
  }
}
