// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;

/**
 * The objects of one section of a table of wrong arguments, and its calls. {@code
 * WrongArgumentsTest} compiles a subclass for each section, whose members the table gives.
 */
public abstract class WrongCalls implements AutoCloseable {
  protected static final float NaN = Float.NaN;
  protected static final float Infinity = Float.POSITIVE_INFINITY;

  /** The folder of the test, which messages call FOLDER. */
  public static Path folder;

  private final List<AutoCloseable> things = new ArrayList<>();
  private final List<ByteBuffer> memory = new ArrayList<>();
  private final List<byte[]> before = new ArrayList<>();
  private Map<Path, String> filesBefore;

  /** Makes a call, by its number in the section. */
  public abstract void call(int number) throws Throwable;

  /** Returns a tensor whose memory is checked before and after the call. */
  protected FloatTensor floats(long... shape) {
    int size = (int) Shape.of(shape).size();
    if (!Backend.isNative()) {
      return keep(FloatTensor.zeros(shape));
    }
    ByteBuffer bytes = ByteBuffer.allocateDirect(4 * size).order(ByteOrder.nativeOrder());
    for (int i = 0; i < size; i++) {
      bytes.putFloat(4 * i, i + 1);
    }
    memory.add(bytes);
    return keep(FloatTensor.wrap(bytes, shape));
  }

  /** Returns indices below {@code bound}. */
  protected IntTensor indices(int bound, long... shape) {
    int[] values = IntStream.range(0, (int) Shape.of(shape).size()).map(i -> i % bound).toArray();
    return keep(IntTensor.of(values, shape));
  }

  protected SparseRows rows(int[]... rows) {
    return keep(SparseRows.of(List.of(rows)));
  }

  protected static int[] ints(int... values) {
    return values;
  }

  protected static IntBuffer direct(int... values) {
    return ByteBuffer.allocateDirect(4 * values.length)
        .order(ByteOrder.nativeOrder())
        .asIntBuffer()
        .put(0, values);
  }

  /** Returns a tensor of zeros that is mapped read-only from FOLDER/mapped. */
  protected FloatTensor mapped(long... shape) throws IOException {
    Path file = folder.resolve("mapped");
    try (FloatTensor zeros = FloatTensor.zeros(shape)) {
      TensorFile.save(file, Map.of("t", zeros));
    }
    return keep(keep(TensorFile.open(file, LoadOptions.mapped())).floats("t"));
  }

  /** Returns another tensor over part of a tensor's memory. */
  protected FloatTensor part(FloatTensor of, int from, long... shape) {
    int size = (int) Shape.of(shape).size();
    return keep(FloatTensor.wrap(of.asFloatBuffer().slice(from, size), shape));
  }

  /** Returns an object that is closed after the call. */
  protected <T extends AutoCloseable> T keep(T thing) {
    things.add(thing);
    return thing;
  }

  /** Returns an object that is already closed. */
  protected static <T extends AutoCloseable> T closed(T thing) throws Exception {
    thing.close();
    return thing;
  }

  /** Records what the operands and the folder contain: the next call must not write them. */
  protected final void record() throws IOException {
    memory.forEach(buffer -> before.add(content(buffer)));
    filesBefore = files();
  }

  /** Returns all files but the mapped one with their content, and the folders. */
  private static Map<Path, String> files() throws IOException {
    Map<Path, String> content = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(file -> !file.endsWith("mapped")).toList()) {
        content.put(
            file, Files.isRegularFile(file) ? Arrays.toString(Files.readAllBytes(file)) : "folder");
      }
    }
    return content;
  }

  public final void assertUnwritten() throws IOException {
    assertEquals(filesBefore, files(), "files were made or changed");
    for (int i = 0; i < before.size(); i++) {
      assertArrayEquals(before.get(i), content(memory.get(i)), "tensor " + i + " was written");
    }
  }

  private static byte[] content(ByteBuffer buffer) {
    byte[] bytes = new byte[buffer.capacity()];
    buffer.get(0, bytes);
    return bytes;
  }

  @Override
  public final void close() throws Exception {
    for (AutoCloseable thing : things) {
      thing.close();
    }
  }
}
