// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import java.lang.ref.SoftReference;
import org.blocksparse.Activation;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.SoftPool;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.sparse.TableRows;
import org.blocksparse.internal.weights.Blocks;

/**
 * The operands of one call of the native library, as the structs of the C header: each is written
 * field by field, in the order of the header, and named by its address.
 */
final class NativeOperands implements AutoCloseable {
  /** The elements of four bytes, more than all structs of any call need. */
  private static final int ELEMENTS = 128;

  private static final SoftPool<NativeOperands> POOL = new SoftPool<>();

  /** The reference to this object, so that returning it to the pool allocates nothing. */
  private final SoftReference<NativeOperands> idle = new SoftReference<>(this);

  private final Storage memory = Storage.allocate(ELEMENTS);
  private int end;

  private NativeOperands() {}

  /** Borrows room for the structs of a call. */
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

  /** Writes a {@code blocksparse_rows}; of null, rows that are nowhere. */
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

  /** Writes a {@code blocksparse_part}, with or without a schedule. */
  long put(RowSelection rows) {
    Storage schedule = rows.schedule() == null ? null : rows.schedule().packed();
    long length = schedule == null ? 0 : rows.schedule().length();
    int begin = rows.columnBegin();
    return part(schedule, length, rows.begin(), rows.end(), begin, rows.columnEnd());
  }

  /** Writes a {@code blocksparse_targets}. */
  long put(Targets targets) {
    long address = begin();
    Bags positives = targets.positives();
    putLong(positives == null ? 0 : positives.offsets().address());
    putLong(positives == null ? targets.target().address(0) : positives.indices().address());
    putAddress(targets.weights());
    putAddress(targets.prior());
    putInt(positives == null ? 0 : positives.entries());
    putFloat(targets.smoothing());
    return address;
  }

  /** Writes a {@code blocksparse_activation_input}. */
  long put(ActivationInput input) {
    long address = begin();
    putFields(input.z());
    putAddress(input.gate());
    putInt(number(input.function()));
    putInt(input.n());
    return address;
  }

  /** Writes a {@code blocksparse_bags}. */
  long put(Bags bags) {
    long address = begin();
    putAddress(bags.offsets());
    putAddress(bags.indices());
    putAddress(bags.values());
    putInt(bags.count());
    putInt(bags.entries());
    return address;
  }

  /** Writes a {@code blocksparse_table} of rows of n elements. */
  long table(TableRows rows, int n) {
    long address = begin();
    putLong(rows.address());
    putAddress(rows.scales());
    putLong(rows.count());
    putLong(rows.stride());
    putInt(n);
    putInt(rows.type().code());
    return address;
  }

  /** Writes a {@code blocksparse_optimizer}. */
  long put(Optimizer rule) {
    long address = begin();
    putInt(code(rule.kind()));
    putFloat(rule.rate());
    putFloat(rule.decay());
    putFloat(rule.maxNorm());
    putFloat(rule.beta1());
    putFloat(rule.beta2());
    putFloat(rule.epsilon());
    return address;
  }

  private static int code(Optimizer.Kind kind) {
    return switch (kind) {
      case SGD -> Blocksparse.BLOCKSPARSE_SGD;
      case ADAGRAD -> Blocksparse.BLOCKSPARSE_ADAGRAD;
      case ADAM -> Blocksparse.BLOCKSPARSE_ADAM;
    };
  }

  /** Writes a {@code blocksparse_optimizer} that adds alpha times the gradient, of any sign. */
  long adding(float alpha) {
    long address = begin();
    putInt(Blocksparse.BLOCKSPARSE_SGD);
    putFloat(-alpha);
    putFloat(0);
    putFloat(Float.POSITIVE_INFINITY);
    putFloat(0);
    putFloat(0);
    putFloat(0);
    return address;
  }

  /** Writes a {@code blocksparse_parameters} of elements [offset, offset + count). */
  long part(Parameters parameters, long offset, long count) {
    long address = begin();
    Storage[] moments = parameters.moments();
    putLong(parameters.w().address(offset));
    putLong(moments.length < 1 ? 0 : moments[0].address(offset));
    putLong(moments.length < 2 ? 0 : moments[1].address(offset));
    putLong(count);
    return address;
  }

  /** Writes a {@code blocksparse_sparse_weights}. */
  long put(SparseChunks weights) {
    long address = begin();
    putAddress(weights.begins());
    putAddress(weights.chunks());
    putAddress(weights.starts());
    putAddress(weights.columns());
    putAddress(weights.w());
    putInt(weights.features());
    putInt(weights.rows());
    putInt(weights.entries());
    putInt(weights.type().code());
    return address;
  }

  /** Returns the address of the next struct, a multiple of 8. */
  private long begin() {
    end = (end + 1) & -2;
    return memory.address(end);
  }

  private void putInt(int value) {
    memory.putInt(end, value);
    end++;
  }

  private void putFloat(float value) {
    memory.putFloat(end, value);
    end++;
  }

  private void putLong(long value) {
    memory.putLong(end, value);
    end += 2;
  }

  private void putAddress(Storage storage) {
    putLong(storage == null ? 0 : storage.address(0));
  }

  private void putAddress(Slice slice) {
    putLong(slice == null ? 0 : slice.address());
  }

  @Override
  public void close() {
    end = 0;
    if (!POOL.offer(idle)) {
      memory.close();
    }
  }

  /** Returns the number of a function in the C header, {@code blocksparse_activation}. */
  static int number(Activation function) {
    return switch (function) {
      case IDENTITY -> Blocksparse.BLOCKSPARSE_IDENTITY;
      case RELU -> Blocksparse.BLOCKSPARSE_RELU;
      case GELU -> Blocksparse.BLOCKSPARSE_GELU;
      case GELU_TANH -> Blocksparse.BLOCKSPARSE_GELU_TANH;
      case SILU -> Blocksparse.BLOCKSPARSE_SILU;
      case TANH -> Blocksparse.BLOCKSPARSE_TANH;
      case SIGMOID -> Blocksparse.BLOCKSPARSE_SIGMOID;
      case SWIGLU -> Blocksparse.BLOCKSPARSE_SWIGLU;
      case GEGLU -> Blocksparse.BLOCKSPARSE_GEGLU;
      case GEGLU_TANH -> Blocksparse.BLOCKSPARSE_GEGLU_TANH;
      case CLAMPED_SWIGLU -> Blocksparse.BLOCKSPARSE_SWIGLU_CLAMPED;
    };
  }
}
