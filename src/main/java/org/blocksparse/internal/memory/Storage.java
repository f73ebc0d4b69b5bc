// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.memory;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.blocksparse.internal.binding.NativeLibrary;
import org.blocksparse.internal.binding.NativeMemory;

/**
 * Off-heap memory for elements of four bytes that cannot be freed while an operation uses it. It
 * can also hold elements of one or two bytes, indexed in units of their own size.
 *
 * <p>Every user of the memory holds a lease while it uses it: an operation from {@link #acquire} to
 * {@link #release}, an exported buffer until it is garbage. After {@link #close}, nobody gets a new
 * lease; the memory is freed when the last lease ends. Memory that was never closed is freed when
 * it is garbage.
 *
 * <p>Java reads and writes through direct byte buffers, one for each 2<sup>28</sup> elements, since
 * a buffer holds less than 2 GB. Native code uses the address, which is 0 without the native
 * library.
 */
public final class Storage {
  static final Cleaner CLEANER = Cleaner.create();

  private static final AtomicLong ALLOCATED_BYTES = new AtomicLong();

  private static final int BUFFER_BITS = 28;
  private static final long BUFFER_ELEMENTS = 1L << BUFFER_BITS;
  private static final int BUFFER_MASK = (1 << BUFFER_BITS) - 1;

  private static final int FILL_BLOCK = 4096;

  /** The bit of {@link #leases} that is set when closed; the other bits count the leases. */
  private static final int CLOSED = 1 << 31;

  private final long elements;
  private final Buffers buffers;
  private final long address;

  /** The mapped file that this memory is a part of, or null. */
  private final MappedFile mapping;

  /** The position of this memory in the file, in bytes. */
  private final long mappedPosition;

  private final AtomicInteger leases = new AtomicInteger();

  /** The storage that this is a view of, or null. Each lease of a view holds a lease of it. */
  private final Storage viewed;

  /** The cleaner that frees the memory once; null if another object owns it. */
  private final Cleaner.Cleanable memory;

  /**
   * An object that stays reachable while this is in use. Held here and not by a cleaner, so that an
   * owner that refers to its tensor is garbage together with it.
   */
  @SuppressWarnings("unused") // held, never read
  private Object owner;

  /**
   * A read of one element of a wrapped buffer, which throws if its arena is closed; otherwise null.
   */
  private Runnable probe;

  /** The byte buffers over the memory, and views of them, so that bulk copies allocate none. */
  private record Buffers(ByteBuffer[] bytes, FloatBuffer[] floats, IntBuffer[] ints) {
    static Buffers of(ByteBuffer[] bytes) {
      FloatBuffer[] floats = new FloatBuffer[bytes.length];
      IntBuffer[] ints = new IntBuffer[bytes.length];
      for (int s = 0; s < bytes.length; s++) {
        floats[s] = bytes[s].asFloatBuffer();
        ints[s] = bytes[s].asIntBuffer();
      }
      return new Buffers(bytes, floats, ints);
    }

    void forget() {
      Arrays.fill(bytes, null);
      Arrays.fill(floats, null);
      Arrays.fill(ints, null);
    }
  }

  private Storage(
      long elements,
      long address,
      Buffers buffers,
      MappedFile mapping,
      long mappedPosition,
      Runnable free) {
    this.mapping = mapping;
    this.mappedPosition = mappedPosition;
    this.elements = elements;
    this.address = address;
    this.buffers = buffers;
    this.viewed = null;
    this.memory = CLEANER.register(this, free);
  }

  private Storage(long elements, long address, Buffers buffers, Object owner, Runnable probe) {
    this.mapping = null;
    this.mappedPosition = 0;
    this.elements = elements;
    this.address = address;
    this.buffers = buffers;
    this.viewed = null;
    this.memory = null;
    this.owner = owner;
    this.probe = probe;
  }

  private Storage(Storage viewed) {
    this.mapping = viewed.mapping;
    this.mappedPosition = viewed.mappedPosition;
    this.elements = viewed.elements;
    this.address = viewed.address;
    this.buffers = viewed.buffers;
    this.viewed = viewed;
    this.memory = null;
  }

  /**
   * Returns a view of the same memory. Closing this storage closes the view; closing the view
   * leaves this storage open.
   */
  public Storage view() {
    return new Storage(this);
  }

  /**
   * Allocates zeroed memory.
   *
   * @throws OutOfMemoryError that names the bytes, if they cannot be had
   */
  public static Storage allocate(long elements) {
    return NativeLibrary.isLoaded() ? allocateNative(elements) : allocateBuffers(elements);
  }

  /**
   * Allocates several pieces of zeroed memory, all or none.
   *
   * @throws OutOfMemoryError that names the bytes of the piece that cannot be had
   */
  public static Storage[] allocateAll(long... elements) {
    Storage[] all = new Storage[elements.length];
    int allocated = 0;
    try {
      for (; allocated < all.length; allocated++) {
        all[allocated] = allocate(elements[allocated]);
      }
    } catch (Throwable e) {
      for (int i = 0; i < allocated; i++) {
        all[i].close();
      }
      throw e;
    }
    return all;
  }

  /** Closes all storages that {@link #allocateAll} returned. */
  public static void closeAll(Storage[] all) {
    for (Storage storage : all) {
      storage.close();
    }
  }

  /** Allocates by the native library, for native and Java kernels. */
  private static Storage allocateNative(long elements) {
    // At least one element, so that an empty operand has an address as well.
    long bytes = bytes(Math.max(1, elements));
    long address = NativeMemory.allocate(bytes);
    if (address == 0) {
      Scratch.freeIdle();
      address = NativeMemory.allocate(bytes);
    }
    if (address == 0) {
      throw outOfMemory(bytes, null);
    }
    Buffers buffers = buffersAt(address, bytes(elements));
    Runnable free = new NativeAllocation(address, bytes);
    Storage storage = new Storage(elements, address, buffers, null, 0, free);
    ALLOCATED_BYTES.addAndGet(bytes);
    return storage;
  }

  /** Frees memory that the native library allocated. */
  private record NativeAllocation(long address, long bytes) implements Runnable {
    @Override
    public void run() {
      NativeMemory.free(address, bytes);
      ALLOCATED_BYTES.addAndGet(-bytes);
    }
  }

  /** Allocates direct buffers, for Java kernels only. */
  private static Storage allocateBuffers(long elements) {
    long bytes = bytes(elements);
    if (elements > Integer.MAX_VALUE * BUFFER_ELEMENTS) {
      throw outOfMemory(bytes, null); // more buffers than an array can hold
    }
    ByteBuffer[] buffers;
    try {
      buffers = directBuffers(elements);
    } catch (OutOfMemoryError first) {
      Scratch.freeIdle();
      try {
        buffers = directBuffers(elements);
      } catch (OutOfMemoryError e) {
        throw outOfMemory(bytes, e);
      }
    }
    Buffers all = Buffers.of(buffers);
    Runnable free = new BufferAllocation(all, bytes);
    Storage storage = new Storage(elements, 0, all, null, 0, free);
    ALLOCATED_BYTES.addAndGet(bytes);
    return storage;
  }

  private static ByteBuffer[] directBuffers(long elements) {
    ByteBuffer[] buffers = new ByteBuffer[bufferCount(elements)];
    for (int s = 0; s < buffers.length; s++) {
      buffers[s] =
          ByteBuffer.allocateDirect(bufferBytes(bytes(elements), s)).order(ByteOrder.nativeOrder());
    }
    return buffers;
  }

  /** Drops the references to direct buffers, so that the JVM can free them. */
  private record BufferAllocation(Buffers buffers, long bytes) implements Runnable {
    @Override
    public void run() {
      buffers.forget();
      ALLOCATED_BYTES.addAndGet(-bytes);
    }
  }

  /**
   * Wraps the memory of a direct buffer in native byte order, from its position to its limit. The
   * storage keeps the buffer reachable.
   *
   * @param name the name of the buffer, for messages
   * @throws IllegalArgumentException if its address is not a multiple of four, or its arena is
   *     closed
   */
  public static Storage wrap(String name, FloatBuffer buffer) {
    FloatBuffer own = buffer.slice(); // The caller cannot change the position of this slice.
    return wrapBuffer(name, buffer, () -> own.get(0));
  }

  /** See {@link #wrap(String, FloatBuffer)}. */
  public static Storage wrap(String name, IntBuffer buffer) {
    IntBuffer own = buffer.slice();
    return wrapBuffer(name, buffer, () -> own.get(0));
  }

  private static Storage wrapBuffer(String name, Buffer buffer, Runnable probe) {
    requireNativeMemory();
    Runnable ofAny = buffer.hasRemaining() ? probe : null;
    if (!isThere(ofAny)) {
      throw new IllegalArgumentException(
          name + ": expected memory of an open arena but it is closed");
    }
    return wrap(name, NativeMemory.address(buffer), buffer.remaining(), buffer, ofAny);
  }

  /**
   * Returns whether the memory still exists. An arena of JDK 22 frees its memory when it is closed;
   * the JVM checks that at each access.
   */
  private static boolean isThere(Runnable probe) {
    try {
      if (probe != null) {
        probe.run();
      }
      return true;
    } catch (IllegalStateException e) {
      return false;
    } catch (RuntimeException e) {
      return true; // The arena is confined to another thread, so that only that thread can check
      // it.
    }
  }

  /**
   * Requires that Java can use native addresses as memory.
   *
   * @throws UnsupportedOperationException if they cannot, and why
   */
  public static void requireNativeMemory() {
    if (!NativeLibrary.isLoaded()) {
      throw new UnsupportedOperationException(
          "wrap needs the native library: " + NativeLibrary.reason());
    }
  }

  /**
   * Wraps memory that the caller owns. The storage keeps {@code owner} reachable until it is closed
   * or garbage.
   *
   * @param name the name of the owner, for messages
   * @throws IllegalArgumentException if the address is not a multiple of four
   * @throws UnsupportedOperationException if addresses cannot be used as memory
   */
  public static Storage wrap(String name, long address, long elements, Object owner) {
    return wrap(name, address, elements, owner, null);
  }

  private static Storage wrap(
      String name, long address, long elements, Object owner, Runnable probe) {
    requireNativeMemory();
    if (address % Float.BYTES != 0) {
      throw new IllegalArgumentException(name + ": expected an address that is a multiple of 4");
    }
    return new Storage(elements, address, buffersAt(address, bytes(elements)), owner, probe);
  }

  /**
   * See {@link #wrap(String, long, long, Object)}; the elements have any size, and the address is a
   * multiple of it.
   *
   * @throws UnsupportedOperationException if addresses cannot be used as memory
   */
  public static Storage wrapBytes(long address, long bytes, Object owner) {
    requireNativeMemory();
    return new Storage(bytes / 4, address, buffersAt(address, bytes), owner, null);
  }

  /**
   * Returns the memory of a part of a mapped file, in native byte order. Freeing it closes the
   * mapping.
   *
   * @param position its first byte in the file, in bytes; for elements of four bytes a multiple of
   *     four
   */
  public static Storage mapped(MappedFile mapping, long position, long bytes) throws IOException {
    ByteBuffer[] buffers = new ByteBuffer[bufferCount((bytes + 3) / 4)];
    for (int s = 0; s < buffers.length; s++) {
      long begin = 4L * s * BUFFER_ELEMENTS;
      buffers[s] = mapping.buffer(position + begin, bufferBytes(bytes, s));
    }
    return new Storage(
        bytes / 4,
        mapping.address(position),
        Buffers.of(buffers),
        mapping,
        position,
        mapping::close);
  }

  /**
   * Pins the memory in RAM ({@code locked}), or unpins it.
   *
   * @return false if the system refuses, or without the native library
   */
  public boolean lock(boolean locked) {
    return address != 0 && NativeMemory.lock(address, Math.max(1, bytes(elements)), locked);
  }

  /** Returns the bytes of all allocated storages that are not freed yet. */
  public static long allocatedBytes() {
    return ALLOCATED_BYTES.get();
  }

  private static long bytes(long elements) {
    return Math.multiplyExact(elements, 4L);
  }

  private static int bufferCount(long elements) {
    return Math.toIntExact((elements + BUFFER_ELEMENTS - 1) / BUFFER_ELEMENTS);
  }

  /** Returns the length of buffer {@code number} of a memory of {@code bytes} bytes. */
  private static int bufferBytes(long bytes, int number) {
    return (int) Math.min(4 * BUFFER_ELEMENTS, bytes - 4L * number * BUFFER_ELEMENTS);
  }

  private static Buffers buffersAt(long address, long bytes) {
    ByteBuffer[] buffers = new ByteBuffer[bufferCount((bytes + 3) / 4)];
    for (int s = 0; s < buffers.length; s++) {
      long begin = 4L * s * BUFFER_ELEMENTS;
      buffers[s] = NativeMemory.buffer(address + begin, bufferBytes(bytes, s));
    }
    return Buffers.of(buffers);
  }

  private static OutOfMemoryError outOfMemory(long bytes, Throwable cause) {
    OutOfMemoryError error =
        new OutOfMemoryError(
            "cannot allocate "
                + bytes
                + " bytes for a tensor; "
                + allocatedBytes()
                + " bytes are held by other tensors: close those that are not needed any more");
    error.initCause(cause);
    return error;
  }

  /** Returns the number of elements. */
  public long elements() {
    return elements;
  }

  /** Returns the mapped file that this memory is a part of, or null. */
  public MappedFile mapping() {
    return mapping;
  }

  /** Returns the position of this memory in {@link #mapping}, in bytes. */
  public long mappedPosition() {
    return mappedPosition;
  }

  /** Returns whether the elements are mapped read-only. */
  public boolean isReadOnly() {
    return mapping != null && !mapping.isCopyOnWrite();
  }

  /**
   * Requires that the elements may be written.
   *
   * @param name the name of the operand, for messages
   * @param shape the shape of the operand, for messages
   * @throws IllegalStateException if they are mapped read-only from a file
   */
  public void requireWritable(String name, Object shape) {
    if (isReadOnly()) {
      throw new IllegalStateException(
          name
              + ": "
              + shape
              + " is mapped read-only from "
              + mapping.file()
              + "; to change it, load the file with LoadOptions.copyOnWrite() or copied()");
    }
  }

  /**
   * Checks, after reading, that the bytes read were in the file, if there is one.
   *
   * @throws UncheckedIOException if the file has shrunk meanwhile
   */
  public void requireIntact() {
    if (mapping != null) {
      mapping.requireIntact();
    }
  }

  /** Returns whether {@link #close} was called, or the arena of the memory was closed. */
  public boolean isClosed() {
    return leases.get() < 0 || !isThere(probe) || (viewed != null && viewed.isClosed());
  }

  /** Returns whether the storage is closed and has no leases: the memory is freed. */
  public boolean isFreed() {
    return leases.get() == CLOSED;
  }

  /**
   * Takes a lease: the memory stays until {@link #release}.
   *
   * @return false if the storage is closed; there is no lease to release then
   */
  public boolean acquire() {
    if (!isThere(probe) || (viewed != null && !viewed.acquire())) {
      return false;
    }
    int seen = leases.get();
    while (seen >= 0) {
      if (leases.compareAndSet(seen, seen + 1)) {
        return true;
      }
      seen = leases.get();
    }
    if (viewed != null) {
      viewed.release();
    }
    return false;
  }

  /** Ends a lease. */
  public void release() {
    if (leases.decrementAndGet() == CLOSED) {
      free();
    }
    if (viewed != null) {
      viewed.release();
    }
    Reference.reachabilityFence(
        this); // no reference between acquire and release becomes garbage early
  }

  /**
   * Rejects new leases, and frees the memory when the last lease ends. Further calls do nothing.
   */
  public void close() {
    int seen = leases.getAndUpdate(count -> count | CLOSED);
    if (seen == 0) {
      free();
    }
  }

  private void free() {
    if (memory != null) {
      memory.clean();
    }
    owner = null;
    probe = null;
  }

  /** Returns the native address of an element, or 0 without the native library. */
  public long address(long index) {
    return address == 0 ? 0 : address + 4 * index;
  }

  /** Returns whether both are one storage or views of one. */
  public boolean isSameMemory(Storage other) {
    return buffers.bytes == other.buffers.bytes;
  }

  /** Returns a key that is equal exactly for storages with {@link #isSameMemory}. */
  public Object memory() {
    return buffers.bytes; // Arrays compare by identity.
  }

  /**
   * Returns the positions of two storages that share an element, the lower one first, or null if
   * there are none. Takes O(n log n) time.
   */
  public static int[] overlapping(Storage[] storages) {
    Integer[] order = new Integer[storages.length];
    int count = 0;
    Map<Object, Integer> seen = new HashMap<>();
    for (int i = 0; i < storages.length; i++) {
      if (storages[i].elements > 0) {
        Integer same = seen.putIfAbsent(storages[i].memory(), i);
        if (same != null) {
          return new int[] {same, i};
        }
        order[count++] = i;
      }
    }
    Arrays.sort(order, 0, count, Comparator.comparingLong(i -> storages[i].address));
    for (int i = 1; i < count; i++) {
      Storage a = storages[order[i - 1]];
      Storage b = storages[order[i]];
      if (overlap(a, 0, a.elements, b, 0, b.elements)) {
        return new int[] {Math.min(order[i - 1], order[i]), Math.max(order[i - 1], order[i])};
      }
    }
    return null;
  }

  /**
   * Returns whether [aOffset, aOffset + aLength) of {@code a} and [bOffset, bOffset + bLength) of
   * {@code b} share an element.
   */
  public static boolean overlap(
      Storage a, long aOffset, long aLength, Storage b, long bOffset, long bLength) {
    if (aLength == 0 || bLength == 0) {
      return false;
    }
    if (a.isSameMemory(b)) {
      return aOffset < bOffset + bLength && bOffset < aOffset + aLength;
    }
    long aBegin = a.address + 4 * aOffset;
    long bBegin = b.address + 4 * bOffset;
    return a.address != 0
        && b.address != 0
        && aBegin < bBegin + 4 * bLength
        && bBegin < aBegin + 4 * aLength;
  }

  public float getFloat(long index) {
    return buffers.bytes[bufferOf(index)].getFloat(((int) index & BUFFER_MASK) << 2);
  }

  public void putFloat(long index, float value) {
    buffers.bytes[bufferOf(index)].putFloat(((int) index & BUFFER_MASK) << 2, value);
  }

  /** Returns an element of two bytes. */
  public short getShort(long index) {
    return buffers.bytes[(int) (index >>> (BUFFER_BITS + 1))].getShort(
        ((int) index & (2 * BUFFER_MASK + 1)) << 1);
  }

  /** Returns an element of one byte. */
  public byte getByte(long index) {
    return buffers.bytes[(int) (index >>> (BUFFER_BITS + 2))].get(
        (int) index & (4 * BUFFER_MASK + 3));
  }

  public int getInt(long index) {
    return buffers.bytes[bufferOf(index)].getInt(((int) index & BUFFER_MASK) << 2);
  }

  public void putInt(long index, int value) {
    buffers.bytes[bufferOf(index)].putInt(((int) index & BUFFER_MASK) << 2, value);
  }

  /** Sets two elements, the eight bytes from an even index on. */
  public void putLong(long index, long value) {
    buffers.bytes[bufferOf(index)].putLong(((int) index & BUFFER_MASK) << 2, value);
  }

  /** Sets {@code count} elements from {@code offset} on. */
  public void fill(long offset, long count, float value) {
    int first = (int) Math.min(count, FILL_BLOCK);
    for (long at = offset; at < offset + first; at++) {
      putFloat(at, value);
    }
    // Copies of the cached first block are several times as fast as single stores.
    for (long at = offset + first; at < offset + count; ) {
      int copied =
          Math.min(run(at, run(offset, first)), (int) Math.min(first, offset + count - at));
      ByteBuffer to = buffers.bytes[bufferOf(at)];
      ByteBuffer from = buffers.bytes[bufferOf(offset)];
      to.put(((int) at & BUFFER_MASK) << 2, from, ((int) offset & BUFFER_MASK) << 2, 4 * copied);
      at += copied;
    }
  }

  /** Receives a run of bytes within one buffer, and its begin within the range. */
  private interface Run {
    void accept(ByteBuffer buffer, int inBuffer, int begin, int count);
  }

  private void forEachRun(long offset, int length, Run run) {
    int done = 0;
    while (done < length) {
      long at = offset + done;
      int inBuffer = (int) (at & (4 * BUFFER_ELEMENTS - 1));
      int count = (int) Math.min(length - done, 4 * BUFFER_ELEMENTS - inBuffer);
      run.accept(buffers.bytes[(int) (at >>> (BUFFER_BITS + 2))], inBuffer, done, count);
      done += count;
    }
  }

  /** Copies {@code length} bytes out, from byte {@code offset} to {@code values[0]} on. */
  public void getBytes(long offset, byte[] values, int length) {
    forEachRun(
        offset, length, (bytes, from, begin, count) -> bytes.get(from, values, begin, count));
  }

  /** Copies {@code length} bytes in, from {@code values[0]} on to byte {@code offset}. */
  public void putBytes(long offset, byte[] values, int length) {
    forEachRun(offset, length, (bytes, to, begin, count) -> bytes.put(to, values, begin, count));
  }

  /** Copies the remaining bytes of a buffer to byte {@code offset} and on. */
  void putBytes(long offset, ByteBuffer from) {
    int first = from.position();
    forEachRun(
        offset,
        from.remaining(),
        (bytes, to, begin, count) -> bytes.put(to, from, first + begin, count));
  }

  /**
   * Copies all elements of another storage to the first elements of this one, which is at least as
   * large. The caller holds leases on both.
   */
  public void copyFrom(Storage other) {
    for (int s = 0; s < other.buffers.bytes.length; s++) {
      buffers.bytes[s].duplicate().put(other.buffers.bytes[s].duplicate());
    }
  }

  /** Returns the number of the buffer that holds an element. */
  private static int bufferOf(long index) {
    return (int) (index >>> BUFFER_BITS);
  }

  /** Returns how many of the {@code wanted} elements from {@code index} on lie in one buffer. */
  private static int run(long index, int wanted) {
    return (int) Math.min(wanted, BUFFER_ELEMENTS - ((int) index & BUFFER_MASK));
  }

  /** Copies {@code length} elements out, from {@code offset} to {@code values[start]} on. */
  public void getFloats(long offset, float[] values, int start, int length) {
    for (int done = 0, count; done < length; done += count) {
      long at = offset + done;
      count = run(at, length - done);
      buffers.floats[bufferOf(at)].get((int) at & BUFFER_MASK, values, start + done, count);
    }
  }

  /** Copies {@code length} elements in, from {@code values[start]} on to {@code offset}. */
  public void putFloats(long offset, float[] values, int start, int length) {
    for (int done = 0, count; done < length; done += count) {
      long at = offset + done;
      count = run(at, length - done);
      buffers.floats[bufferOf(at)].put((int) at & BUFFER_MASK, values, start + done, count);
    }
  }

  /** See {@link #getFloats}. */
  public void getInts(long offset, int[] values, int start, int length) {
    for (int done = 0, count; done < length; done += count) {
      long at = offset + done;
      count = run(at, length - done);
      buffers.ints[bufferOf(at)].get((int) at & BUFFER_MASK, values, start + done, count);
    }
  }

  /** See {@link #putFloats}. */
  public void putInts(long offset, int[] values, int start, int length) {
    for (int done = 0, count; done < length; done += count) {
      long at = offset + done;
      count = run(at, length - done);
      buffers.ints[bufferOf(at)].put((int) at & BUFFER_MASK, values, start + done, count);
    }
  }

  /**
   * Returns a buffer over elements [0, length), which the caller has checked to lie in the first
   * buffer. The buffer holds a lease, so that the memory outlives it even if the storage is closed.
   * The caller must hold a lease of its own.
   */
  public ByteBuffer export(int length) {
    ByteBuffer root;
    if (address == 0) {
      root =
          buffers.bytes.length == 0
              ? ByteBuffer.allocateDirect(0)
              : buffers.bytes[0].slice(0, 4 * length);
    } else {
      root = NativeMemory.buffer(address, 4 * length);
      if (!acquire()) {
        throw new IllegalStateException("closed");
      }
      // Duplicates and views of a direct buffer keep the buffer they were made from reachable.
      CLEANER.register(root, this::release);
    }
    return (isReadOnly() ? root.asReadOnlyBuffer() : root).order(ByteOrder.nativeOrder());
  }
}
