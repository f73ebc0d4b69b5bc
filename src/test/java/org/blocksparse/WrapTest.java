// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.ref.Reference;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Memory of other owners: shared, and kept reachable exactly as long as the tensor is. */
final class WrapTest {
  private record Wrapped(FloatTensor tensor, WeakReference<Object> owner) {}

  private static ByteBuffer bytes() {
    return ByteBuffer.allocateDirect(24).order(ByteOrder.nativeOrder());
  }

  static Stream<Arguments> ways() {
    return Stream.of(
        way(
            "bytes",
            () -> {
              ByteBuffer owner = bytes();
              return new Wrapped(FloatTensor.wrap(owner, 2, 3), new WeakReference<>(owner));
            }),
        way(
            "floats",
            () -> {
              ByteBuffer owner = bytes();
              return new Wrapped(
                  FloatTensor.wrap(owner.asFloatBuffer(), 2, 3), new WeakReference<>(owner));
            }),
        way(
            "pointer",
            () -> {
              FloatPointer owner = new FloatPointer(6);
              return new Wrapped(FloatTensor.wrap(owner, 2, 3), new WeakReference<>(owner));
            }),
        way(
            "address",
            () -> {
              FloatPointer owner = new FloatPointer(6);
              return new Wrapped(
                  FloatTensor.wrapAddress(owner.address(), 24, owner, 2, 3),
                  new WeakReference<>(owner));
            }));
  }

  private static Arguments way(String name, Supplier<Wrapped> wrap) {
    return Arguments.of(name, wrap);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("ways")
  void ownerIsReachableAsLongAsTheTensorIs(String name, Supplier<Wrapped> wrap)
      throws InterruptedException {
    assumeTrue(Backend.isNative());
    Wrapped wrapped = wrap.get();
    WeakReference<Object> other = new WeakReference<>(bytes());
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(10);
    while (other.get() != null) {
      collect(deadline);
    }
    assertNotNull(wrapped.owner().get(), "the owner is garbage, the tensor is not");
    wrapped.tensor().set(7, 1, 2);
    assertEquals(7, wrapped.tensor().get(1, 2));
    wrapped.tensor().close();
    while (wrapped.owner().get() != null) {
      collect(deadline);
    }
    Reference.reachabilityFence(wrapped.tensor());
  }

  private static void collect(long deadline) throws InterruptedException {
    assertTrue(System.nanoTime() < deadline, "was not collected");
    System.gc();
    Thread.sleep(5);
  }

  @Test
  void anAddressSharesTheMemory() {
    assumeTrue(Backend.isNative());
    try (FloatPointer memory = new FloatPointer(1, 2, 3, 4, 5, 6);
        FloatTensor tensor = FloatTensor.wrapAddress(memory.address(), 24, memory, 2, 3)) {
      assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, tensor.toArray());
      tensor.set(9, 1, 0);
      assertEquals(9, memory.get(3));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "FLOAT16", "BFLOAT16"})
  void weightsUseTheMemory(ElementType type) {
    assumeTrue(Backend.isNative());
    float[] values = new float[2 * 3 * 5 * 7];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i);
    }
    try (FloatTensor W = FloatTensor.of(values, 2, 3, 5, 7);
        Weights owner = Weights.of(W, type)) {
      long before = FloatTensor.allocatedBytes();
      long address = StoredBlocks.from(owner).elements().address(0);
      try (Weights wrapped = Weights.wrapAddress(address, owner.bytes(), owner, type, 2, 3, 5, 7);
          FloatTensor expected = owner.widened();
          FloatTensor actual = wrapped.widened()) {
        assertEquals(type, wrapped.type());
        assertEquals(owner.bytes(), wrapped.bytes());
        assertArrayEquals(expected.toArray(), actual.toArray());
        wrapped.close();
        assertThrows(IllegalStateException.class, wrapped::widened);
      }
      assertFalse(owner.isClosed());
      assertTrue(FloatTensor.allocatedBytes() <= before);
    }
  }

  @Test
  void weightsKeepTheOwnerReachable() throws InterruptedException {
    assumeTrue(Backend.isNative());
    FloatPointer pointer = new FloatPointer(1, 2, 3, 4, 5, 6);
    WeakReference<Object> owner = new WeakReference<>(pointer);
    Weights view;
    try (Weights weights =
        Weights.wrapAddress(pointer.address(), 24, pointer, ElementType.FLOAT32, 1, 1, 2, 3)) {
      pointer = null;
      view = weights.transposeBlocks();
      WeakReference<Object> other = new WeakReference<>(bytes());
      long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(10);
      while (other.get() != null) {
        collect(deadline);
      }
      assertNotNull(owner.get(), "the owner is garbage, the weights are not");
      try (FloatTensor floats = view.widened()) {
        assertArrayEquals(new float[] {1, 4, 2, 5, 3, 6}, floats.toArray());
      }
    }
    assertTrue(view.isClosed());
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(10);
    while (owner.get() != null) {
      collect(deadline);
    }
  }

  /** Adjacent ranges of one piece of memory do not overlap, whichever comes first. */
  @Test
  void anOutputMayBeginWhereAnInputEnds() {
    assumeTrue(Backend.isNative());
    for (boolean inputFirst : new boolean[] {true, false}) {
      FloatBuffer memory = bytes().asFloatBuffer();
      try (FloatTensor h = FloatTensor.wrap(memory.slice(inputFirst ? 0 : 3, 3), 3, 1, 1);
          FloatTensor out = FloatTensor.wrap(memory.slice(inputFirst ? 3 : 0, 3), 3, 1, 1);
          FloatTensor W = FloatTensor.of(new float[] {2}, 1, 1, 1, 1);
          FloatTensor b = FloatTensor.of(new float[] {1}, 1, 1);
          IntTensor idx = IntTensor.zeros(3, 1);
          BlockPlan plan = BlockPlan.of(idx, idx, 1, 1)) {
        h.copyFrom(new float[] {10, 20, 30});
        SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
        assertArrayEquals(new float[] {21, 41, 61}, out.toArray());
        assertArrayEquals(new float[] {10, 20, 30}, h.toArray());
      }
    }
  }

  @Test
  void withoutTheNativeLibraryItSaysSo() {
    assumeTrue(!Backend.isNative());
    assertTrue(
        assertThrows(UnsupportedOperationException.class, () -> FloatTensor.wrap(bytes(), 2, 3))
            .getMessage()
            .startsWith("wrap needs the native library: "));
    assertThrows(
        UnsupportedOperationException.class, () -> FloatTensor.wrapAddress(4096, 24, this, 2, 3));
    assertThrows(
        UnsupportedOperationException.class,
        () -> Weights.wrapAddress(4096, 24, this, ElementType.FLOAT32, 1, 1, 2, 3));
  }

  /** An object that owns memory and holds the tensor over it. */
  private static final class Holder {
    private final FloatPointer memory = new FloatPointer(6);

    @SuppressWarnings("UnusedVariable") // the field only holds it
    private final FloatTensor tensor = FloatTensor.wrapAddress(memory.address(), 24, this, 2, 3);
  }

  @Test
  void anOwnerThatRefersToItsTensorIsFreedWithIt() throws InterruptedException {
    assumeTrue(Backend.isNative());
    WeakReference<Holder> holder = new WeakReference<>(new Holder());
    long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(10);
    while (holder.get() != null) {
      collect(deadline);
    }
  }

  @Test
  void noElementsAreNoBytes() {
    try (FloatTensor none = FloatTensor.zeros(0, 3)) {
      assertEquals(0, none.asByteBuffer().remaining());
      assertEquals(0, none.asFloatBuffer().capacity());
    }
    assumeTrue(Backend.isNative());
    ByteBuffer memory = bytes();
    memory.position(8).limit(8);
    try (FloatTensor none = FloatTensor.wrap(memory, 0)) {
      ByteBuffer exported = none.asByteBuffer();
      assertThrows(IndexOutOfBoundsException.class, () -> exported.put(0, (byte) 42));
    }
    memory.clear();
    for (int i = 0; i < memory.capacity(); i++) {
      assertEquals(0, memory.get(i), "byte " + i);
    }
  }
}
