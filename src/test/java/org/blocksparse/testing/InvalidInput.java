// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.blocksparse.Backend;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A table of calls that the public API rejects: the exception, its whole message, and that no
 * operand was written and no memory was kept. A subclass provides the table, as a static method
 * {@code cases}.
 */
public abstract class InvalidInput {
  protected static final Class<IllegalArgumentException> ARGUMENT = IllegalArgumentException.class;
  protected static final Class<IndexOutOfBoundsException> BOUNDS = IndexOutOfBoundsException.class;
  protected static final Class<NullPointerException> NULL = NullPointerException.class;
  protected static final Class<IllegalStateException> STATE = IllegalStateException.class;

  /** The memory of tensors of the running case; it outlives their closing. */
  private static final List<ByteBuffer> MEMORY = new ArrayList<>();

  private static int count;

  /** A call that must fail; the objects that it names are in {@code world}. */
  public record Case(
      String name,
      Class<? extends Throwable> type,
      String message,
      World world,
      Consumer<World> call) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** The tensors and plans of a case, by name, made when it runs. */
  public static final class World {
    private final List<Runnable> makers = new ArrayList<>();
    private final List<Runnable> faults = new ArrayList<>();
    private final Map<String, AutoCloseable> things = new LinkedHashMap<>();

    public World with(String name, Supplier<? extends AutoCloseable> maker) {
      makers.add(() -> things.put(name, maker.get()));
      return this;
    }

    /** Adds a fault, once everything is made. */
    public World fault(Consumer<World> fault) {
      faults.add(() -> fault.accept(this));
      return this;
    }

    /** Replaces an object, which is closed, by another one or by null. */
    public void replace(String name, AutoCloseable thing) {
      close(things.put(name, thing));
    }

    public FloatTensor f(String name) {
      return (FloatTensor) things.get(name);
    }

    public IntTensor i(String name) {
      return (IntTensor) things.get(name);
    }

    public SparseRows rows(String name) {
      return (SparseRows) things.get(name);
    }

    public BlockMatrix blocks(String name) {
      return (BlockMatrix) things.get(name);
    }

    public BlockPlan plan() {
      return (BlockPlan) things.get("plan");
    }

    public void close(String name) {
      close(things.get(name));
    }

    private void make() {
      makers.forEach(Runnable::run);
      faults.forEach(Runnable::run);
    }

    private void closeAll() {
      things.values().forEach(World::close);
    }

    private static void close(AutoCloseable thing) {
      if (thing == null) {
        return;
      }
      try {
        thing.close();
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }
  }

  /** Returns a tensor whose memory is checked before and after the call. */
  protected static FloatTensor floats(long... shape) {
    int size = (int) Shape.of(shape).size();
    if (!Backend.isNative()) {
      return FloatTensor.zeros(shape);
    }
    ByteBuffer bytes = ByteBuffer.allocateDirect(4 * size).order(ByteOrder.nativeOrder());
    for (int i = 0; i < size; i++) {
      bytes.putFloat(4 * i, i + 1);
    }
    MEMORY.add(bytes);
    return FloatTensor.wrap(bytes, shape);
  }

  /** Returns indices below {@code bound}. */
  protected static IntTensor indices(int bound, long... shape) {
    int[] values = new int[(int) Shape.of(shape).size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % bound;
    }
    return IntTensor.of(values, shape);
  }

  protected static void add(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      World world,
      Consumer<World> call) {
    cases.add(new Case(name, type, message, world, call));
  }

  /** Adds a case with some tensors, open and closed. */
  protected static void add(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      Consumer<World> call) {
    World world =
        new World()
            .with("t", () -> floats(2, 3))
            .with("blocks", () -> floats(2, 3, 4, 5))
            .with("ints", () -> indices(7, 2, 3))
            .with("closed", () -> floats(2, 3))
            .with("closedBlocks", () -> floats(2, 3, 4, 5))
            .with("closedInts", () -> indices(7, 2, 3))
            .fault(w -> w.things.put("view", w.f("blocks").transposeBlocks()))
            .fault(w -> w.close("closed"))
            .fault(w -> w.close("closedBlocks"))
            .fault(w -> w.close("closedInts"));
    add(cases, name, type, message, world, call);
  }

  private static List<byte[]> content() {
    return MEMORY.stream()
        .map(
            buffer -> {
              byte[] bytes = new byte[buffer.capacity()];
              buffer.get(0, bytes);
              return bytes;
            })
        .toList();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("cases")
  final void refused(Case given) {
    MEMORY.clear();
    long bytesBefore = FloatTensor.allocatedBytes();
    World world = given.world;
    world.make();
    try {
      List<byte[]> before = content();
      Throwable thrown = assertThrows(Throwable.class, () -> given.call.accept(world));
      assertEquals(
          given.type + ": " + given.message, thrown.getClass() + ": " + thrown.getMessage());
      List<byte[]> after = content();
      for (int i = 0; i < before.size(); i++) {
        assertArrayEquals(before.get(i), after.get(i), "tensor " + i + " was written");
      }
    } finally {
      world.closeAll();
    }
    // Garbage of earlier tests may make it less.
    long kept = FloatTensor.allocatedBytes() - bytesBefore;
    assertTrue(kept <= 0, kept + " bytes were kept");
    count++;
  }

  /** Takes the scratch that is kept from the first operation on, so that it counts for no case. */
  @BeforeAll
  static void takeScratch() {
    count = 0;
    try (FloatTensor x = FloatTensor.zeros(2, 6);
        HierarchicalSoftmax layer = InvalidSoftmaxInput.builder().build()) {
      layer.topK(x, 2);
    }
    for (int elements = 1; elements <= 1 << 12; elements *= 2) {
      Scratch one = Scratch.borrow(elements);
      Scratch.borrow(elements).close(); // a worker may hold two pieces at once
      one.close();
    }
  }

  @AfterAll
  static void tellCount(TestInfo test) {
    System.out.println(
        test.getDisplayName()
            + ": "
            + count
            + " cases of invalid input were refused as they should");
  }
}
