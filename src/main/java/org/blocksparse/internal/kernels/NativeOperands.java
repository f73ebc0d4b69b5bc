// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import java.lang.ref.SoftReference;
import org.blocksparse.internal.memory.SoftPool;
import org.blocksparse.internal.memory.Storage;

/**
 * The operands of one call of the native library, as the structs of the C header: each is written
 * field by field, in the order of the header, and named by its address.
 */
final class NativeOperands implements AutoCloseable {
  /** Elements of four bytes, more than all structs of any call need. */
  private static final int ELEMENTS = 128;

  private static final SoftPool<NativeOperands> POOL = new SoftPool<>();

  private final Storage memory = Storage.allocate(ELEMENTS);
  private final SoftReference<NativeOperands> idle = new SoftReference<>(this);
  private int end;

  private NativeOperands() {}

  /** Room for the structs of a call. */
  static NativeOperands borrow() {
    NativeOperands pooled = POOL.poll();
    return pooled != null ? pooled : new NativeOperands();
  }

  /** Writes a {@code blocksparse_part}. */
  long part(GemmSchedule schedule, int begin, int end, int columnBegin, int columnEnd) {
    return part(schedule.packed(), schedule.length(), begin, end, columnBegin, columnEnd);
  }

  /** Writes a {@code blocksparse_part}. */
  long part(OuterSchedule schedule, int begin, int end, int rowBegin, int rowEnd) {
    return part(schedule.packed(), schedule.length(), begin, end, rowBegin, rowEnd);
  }

  private long part(Storage schedule, long length, int begin, int end, int from, int to) {
    long address = begin();
    putAddress(schedule);
    putLong(length);
    putInt(begin);
    putInt(end);
    putInt(from);
    putInt(to);
    return address;
  }

  /** Writes a {@code blocksparse_rows}. */
  long put(Rows rows) {
    long address = begin();
    putFields(rows);
    return address;
  }

  private void putFields(Rows rows) {
    putLong(rows == null ? 0 : rows.address());
    putLong(rows == null ? 0 : rows.count());
    putLong(rows == null ? 0 : rows.stride());
  }

  /** Writes a {@code blocksparse_blocks}. */
  long put(Blocks blocks) {
    long address = begin();
    Blocks.Scales scales = blocks.scales();
    putLong(blocks.address());
    putAddress(scales == null ? null : scales.storage());
    putLong(blocks.inBlockStride());
    putLong(blocks.outBlockStride());
    putLong(blocks.rowStride());
    putLong(scales == null ? 0 : scales.inBlockStride());
    putLong(scales == null ? 0 : scales.outBlockStride());
    putInt(blocks.inBlocks());
    putInt(blocks.outBlocks());
    putInt(blocks.inSize());
    putInt(blocks.outSize());
    putInt(blocks.type().code());
    putInt(blocks.transposed() ? 1 : 0);
    return address;
  }

  /** Writes a {@code blocksparse_sums}. */
  long put(Sums sums) {
    long address = begin();
    putFields(sums.rows());
    putFields(sums.bias());
    putInt(sums.accumulate() ? 1 : 0);
    return address;
  }

  /** The address of the next struct, a multiple of 8. */
  private long begin() {
    end = (end + 1) & -2;
    return memory.address(end);
  }

  private void putInt(int value) {
    memory.putInt(end, value);
    end++;
  }

  private void putLong(long value) {
    memory.putLong(end, value);
    end += 2;
  }

  private void putAddress(Storage storage) {
    putLong(storage == null ? 0 : storage.address(0));
  }

  @Override
  public void close() {
    end = 0;
    if (!POOL.offer(idle)) {
      memory.close();
    }
  }
}
