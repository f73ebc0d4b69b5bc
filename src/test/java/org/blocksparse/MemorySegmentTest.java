// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.spi.ToolProvider;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.EnabledForJreRange;
import org.junit.jupiter.api.condition.JRE;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Compiles and runs {@code WrapSegment}, the bridge to {@code MemorySegment} of src/doc/files.md,
 * on JDKs that have this class. The library itself is for Java 17, which does not.
 */
@EnabledForJreRange(min = JRE.JAVA_22)
final class MemorySegmentTest {
  private static final String PROGRAM =
      """
      import java.io.IOException;
      import java.lang.foreign.Arena;
      import java.lang.foreign.MemorySegment;
      import java.lang.foreign.ValueLayout;
      import java.lang.ref.Reference;
      import java.lang.ref.WeakReference;
      import java.nio.ByteBuffer;
      import java.nio.ByteOrder;
      import java.nio.IntBuffer;
      import java.nio.channels.FileChannel;
      import java.nio.file.Files;
      import java.nio.file.Path;
      import java.nio.file.StandardOpenOption;
      import java.util.List;
      import java.util.concurrent.CompletableFuture;
      import java.util.function.Supplier;
      import org.blocksparse.Activation;
      import org.blocksparse.ElementType;
      import org.blocksparse.FloatTensor;
      import org.blocksparse.SparseRows;
      import org.blocksparse.Weights;
      import org.blocksparse.products.Activations;

      public final class Program {
        private static void require(boolean holds, String otherwise) {
          if (!holds) {
            throw new AssertionError(otherwise);
          }
        }

        private static void refuses(String why, Runnable action) {
          try {
            action.run();
          } catch (IllegalArgumentException e) {
            require(e.getMessage().startsWith(why), e.getMessage());
            return;
          }
          throw new AssertionError("was not refused: " + why);
        }

        public static void memoryIsShared() {
          try (Arena arena = Arena.ofShared()) {
            MemorySegment segment = arena.allocate(4 * 6, 64);
            segment.setAtIndex(ValueLayout.JAVA_FLOAT, 3, 4);
            try (FloatTensor tensor = WrapSegment.wrap(segment, 2, 3)) {
              require(tensor.get(1, 0) == 4, "is not read");
              tensor.set(9, 1, 2);
              require(segment.getAtIndex(ValueLayout.JAVA_FLOAT, 5) == 9, "is not written");
            }
          }
        }

        public static void sizeIsChecked() {
          try (Arena arena = Arena.ofConfined()) {
            MemorySegment segment = arena.allocate(4 * 6, 64);
            refuses("bytes: expected 28 for (7) but was 24", () -> WrapSegment.wrap(segment, 7));
            refuses("bytes: expected 20 for (5) but was 24", () -> WrapSegment.wrap(segment, 5));
            refuses("address: ", () -> WrapSegment.wrap(segment.asSlice(2, 4), 1));
          }
          refuses("address: ", () -> WrapSegment.wrap(MemorySegment.NULL, 0));
        }

        public static void whatCannotBeUsedIsRefused() {
          MemorySegment closed;
          try (Arena arena = Arena.ofConfined()) {
            MemorySegment segment = arena.allocate(4 * 6, 64);
            refuses("segment: ", () -> WrapSegment.wrap(segment.asReadOnly(), 6));
            closed = segment;
          }
          refuses("segment: ", () -> WrapSegment.wrap(closed, 6));
          MemorySegment onTheHeap = MemorySegment.ofArray(new float[7]).asSlice(4);
          refuses("segment: ", () -> WrapSegment.wrap(onTheHeap, 6));
        }

        public static void weightsAreRead() {
          try (Arena arena = Arena.ofShared()) {
            MemorySegment segment = arena.allocate(2 * 6, 64);
            segment.setAtIndex(ValueLayout.JAVA_SHORT, 5, (short) 0x4700); // 7 of float16
            try (Weights weights =
                    WrapSegment.wrap(segment.asReadOnly(), ElementType.FLOAT16, 1, 1, 2, 3);
                FloatTensor floats = weights.transposeBlocks().widened()) {
              require(floats.get(0, 0, 2, 1) == 7, "is not read");
            }
          }
          MemorySegment onTheHeap = MemorySegment.ofArray(new short[6]);
          refuses("segment: ", () -> WrapSegment.wrap(onTheHeap, ElementType.FLOAT16, 1, 1, 2, 3));
        }

        /** In a file of holes: Arena.allocate would fill the memory with zeros. */
        public static void moreThanABufferHolds() throws IOException {
          long elements = (1L << 29) + 1;
          Path file = Files.createTempFile("segment", "");
          try (Arena arena = Arena.ofConfined();
              FileChannel channel =
                  FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MemorySegment segment =
                channel.map(FileChannel.MapMode.READ_WRITE, 0, 4 * elements, arena);
            try (FloatTensor tensor = WrapSegment.wrap(segment, elements)) {
              tensor.set(5, elements - 1);
              require(segment.getAtIndex(ValueLayout.JAVA_FLOAT, elements - 1) == 5, "last one");
            }
          } finally {
            Files.delete(file);
          }
        }

        private record Wrapped(FloatTensor tensor, WeakReference<Object> segment) {}

        private static Wrapped ofAutomaticArena() {
          MemorySegment segment = Arena.ofAuto().allocate(4 * 6, 64);
          segment.setAtIndex(ValueLayout.JAVA_FLOAT, 0, 3);
          return new Wrapped(WrapSegment.wrap(segment, 6), new WeakReference<>(segment));
        }

        public static void segmentIsReachableAsLongAsTheTensorIs() throws InterruptedException {
          Wrapped wrapped = ofAutomaticArena();
          WeakReference<Object> other = new WeakReference<>(Arena.ofAuto().allocate(24));
          collect(other);
          require(wrapped.segment().get() != null, "is garbage, the tensor is not");
          require(wrapped.tensor().get(0) == 3, "was freed");
          wrapped.tensor().close();
          collect(wrapped.segment());
          Reference.reachabilityFence(wrapped.tensor());
        }

        private static void collect(WeakReference<Object> garbage) throws InterruptedException {
          for (int i = 0; garbage.get() != null; i++) {
            require(i < 1000, "was not collected");
            System.gc();
            Thread.sleep(5);
          }
        }

        /** The other way, up to 2 GB, covers what an address does not. */
        public static void asABufferMoreIsChecked() {
          try (Arena arena = Arena.ofShared()) {
            MemorySegment segment = arena.allocate(4 * 6, 64);
            try (FloatTensor tensor = buffer(segment)) {
              tensor.set(9, 1, 2);
              require(segment.getAtIndex(ValueLayout.JAVA_FLOAT, 5) == 9, "is not written");
            }
            refuses("buffer: ", () -> buffer(segment.asReadOnly()));
            refuses("buffer: ", () -> buffer(MemorySegment.ofArray(new byte[24])));
          }
        }

        private static FloatTensor buffer(MemorySegment segment) {
          return FloatTensor.wrap(bytes(segment), 2, 3);
        }

        private static ByteBuffer bytes(MemorySegment segment) {
          return segment.asByteBuffer().order(ByteOrder.nativeOrder());
        }

        public static void buffersOfAClosedArenaAreRefused() throws Exception {
          for (Supplier<Arena> kind : List.<Supplier<Arena>>of(Arena::ofShared, Arena::ofConfined)) {
            Arena arena = kind.get();
            ByteBuffer bytes = bytes(arena.allocate(4 * 6, 64));
            FloatTensor tensor = FloatTensor.wrap(bytes, 2, 3);
            IntBuffer ints = bytes.asIntBuffer();
            SparseRows rows = SparseRows.wrap(ints, ints.slice(0, 0));
            bytes.limit(0); // whoever gave it may do that
            require(tensor.get(1, 2) == 0, "is not read");
            arena.close();
            require(tensor.isClosed(), "is not closed");
            closed("tensor: the tensor (2, 3) is closed", () -> tensor.get(0, 0));
            closed(
                "z: the tensor (2, 3) is closed",
                () -> Activations.apply(Activation.RELU, tensor, tensor));
            closed("rows: the ", () -> rows.slice(0, 1));
            bytes.limit(24);
            refuses("buffer: ", () -> FloatTensor.wrap(bytes, 2, 3));
            refuses("buffer: ", () -> FloatTensor.wrap(bytes.asFloatBuffer(), 2, 3));
            refuses("offsets: ", () -> SparseRows.wrap(ints, ints.slice(0, 0)));
          }
        }

        private static void closed(String why, Runnable action) {
          try {
            action.run();
          } catch (IllegalStateException e) {
            require(e.getMessage().startsWith(why), e.getMessage());
            return;
          }
          throw new AssertionError("was not refused: " + why);
        }

        /** Only the thread whose it is may ask; the others work. */
        public static void anArenaOfAnotherThreadIsUsed() throws Exception {
          try (Arena arena = Arena.ofConfined();
              FloatTensor tensor = buffer(arena.allocate(4 * 6, 64))) {
            CompletableFuture.runAsync(() -> tensor.set(5, 1, 1)).get();
            require(tensor.get(1, 1) == 5, "is not written");
          }
        }
      }
      """;

  @TempDir private static Path folder;

  private static URLClassLoader loader;
  private static Class<?> program;

  @BeforeAll
  static void compile() throws IOException, ClassNotFoundException {
    ToolProvider compiler = ToolProvider.findFirst("javac").orElse(null);
    assumeTrue(compiler != null, "this is a JRE");
    assumeTrue(Backend.isNative());
    Path source = folder.resolve("Program.java");
    Files.writeString(source, PROGRAM);
    String classPath =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    int code =
        compiler.run(
            System.out,
            System.err,
            "-cp",
            classPath,
            "-d",
            folder.toString(),
            "src/examples/WrapSegment.java",
            source.toString());
    assertEquals(0, code, "does not compile");
    loader = new URLClassLoader(new URL[] {url()}, MemorySegmentTest.class.getClassLoader());
    program = loader.loadClass("Program");
  }

  private static URL url() throws MalformedURLException {
    return folder.toUri().toURL();
  }

  @AfterAll
  static void close() throws IOException {
    if (loader != null) {
      loader.close();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "memoryIsShared",
        "sizeIsChecked",
        "whatCannotBeUsedIsRefused",
        "weightsAreRead",
        "moreThanABufferHolds",
        "segmentIsReachableAsLongAsTheTensorIs",
        "asABufferMoreIsChecked",
        "buffersOfAClosedArenaAreRefused",
        "anArenaOfAnotherThreadIsUsed"
      })
  void program(String name) throws ReflectiveOperationException {
    program.getMethod(name).invoke(null);
  }
}
