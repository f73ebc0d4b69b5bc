// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.Random;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Weights;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.SparseBlockDot;
import org.bytedeco.dnnl.IntMemoryMap;
import org.bytedeco.dnnl.engine;
import org.bytedeco.dnnl.global.dnnl;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.reorder;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.ShortPointer;
import org.bytedeco.mkl.global.mkl_rt;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/**
 * One dense block with weights of 8 or 16 bits, packed beforehand, on all processors. Our products
 * also round rows of floats and scale the sums; MKL and oneDNN get rounded rows, and return
 * unscaled sums.
 */
public class DenseBenchmark extends Measured {
  /** A product of (rows, inputs) and (inputs, outputs), whose numbers all types hold exactly. */
  @State(Scope.Benchmark)
  public abstract static class Product {
    @Param({"INT8", "PACKED_BFLOAT16"})
    public ElementType weights;

    @Param({"64", "1024"})
    public int rows;

    @Param("2048")
    public int inputs;

    @Param({"768", "4096"})
    public int outputs;

    private byte[] x;
    private byte[] w;

    /** Receives the numbers, and prepares {@link #run}. */
    abstract void make(byte[] ofRows, byte[] ofWeights);

    abstract void run();

    abstract double sum(int row, int output);

    @Setup
    public void setUp() {
      Random random = new Random(1);
      x = numbers(random, rows * inputs);
      w = numbers(random, inputs * outputs);
      // The largest number of each row and each output makes their scales 1.
      for (int row = 0; row < rows; row++) {
        x[row * inputs] = 127;
      }
      for (int output = 0; output < outputs; output++) {
        w[(inputs - 1) * outputs + output] = -127;
      }
      make(x, w);
      run();
      for (int i = 0; i < 100; i++) {
        check(random.nextInt(rows), random.nextInt(outputs));
      }
      double bytes = weights == ElementType.INT8 ? 1 : 2;
      Facts.putCost(
          bytes * inputs * outputs + 4.0 * rows * (inputs + outputs),
          2.0 * rows * inputs * outputs);
    }

    private static byte[] numbers(Random random, int count) {
      byte[] numbers = new byte[count];
      for (int i = 0; i < count; i++) {
        numbers[i] = (byte) (random.nextInt(17) - 8);
      }
      return numbers;
    }

    private void check(int row, int output) {
      int expected = 0;
      for (int i = 0; i < inputs; i++) {
        expected += x[row * inputs + i] * w[i * outputs + output];
      }
      if (sum(row, output) != expected) {
        throw new IllegalStateException(
            "%s: expected %d but was %s".formatted(getClass(), expected, sum(row, output)));
      }
    }
  }

  private static FloatTensor tensor(byte[] numbers, long... dims) {
    float[] floats = new float[numbers.length];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = numbers[i];
    }
    return FloatTensor.of(floats, dims);
  }

  private static ShortPointer bfloat16(byte... numbers) {
    ShortPointer halves = new ShortPointer(numbers.length);
    for (int i = 0; i < numbers.length; i++) {
      halves.put(i, (short) (Float.floatToRawIntBits(numbers[i]) >>> 16));
    }
    return halves;
  }

  /** The product of this library. */
  public static class Blocksparse extends Product {
    private FloatTensor h;
    private FloatTensor out;
    private Weights packed;
    private BlockPlan plan;

    @Override
    void make(byte[] ofRows, byte[] ofWeights) {
      h = tensor(ofRows, rows, 1, inputs);
      out = FloatTensor.zeros(rows, 1, outputs);
      packed = Weights.of(tensor(ofWeights, 1, 1, inputs, outputs), weights);
      plan = BlockPlan.of(IntTensor.zeros(rows, 1), IntTensor.zeros(rows, 1), 1, 1);
    }

    @Override
    void run() {
      SparseBlockDot.apply(packed, h, plan, Epilogue.none(), out);
    }

    @Override
    double sum(int row, int output) {
      return out.get(row, 0, output);
    }
  }

  /** The product of Intel MKL. */
  public static class Mkl extends Product {
    private static final int B_MATRIX = 162;
    private static final int PACKED = 151;
    private static final int FIXED_OFFSET = 173;

    private final IntPointer noOffset = new IntPointer(1).put(0);
    private Pointer x;
    private Pointer packed;
    private Pointer sums;

    @Override
    void make(byte[] ofRows, byte[] ofWeights) {
      mkl_rt.MKL_Set_Num_Threads(Runtime.getRuntime().availableProcessors());
      int none = mkl_rt.CblasNoTrans;
      int byRow = mkl_rt.CblasRowMajor;
      if (weights == ElementType.INT8) {
        byte[] unsigned = ofRows.clone();
        for (int i = 0; i < unsigned.length; i++) {
          unsigned[i] += (byte) 128;
        }
        x = new BytePointer(unsigned);
        sums = new IntPointer((long) rows * outputs);
        packed =
            new BytePointer(
                mkl_rt.cblas_gemm_s8u8s32_pack_get_size(B_MATRIX, rows, outputs, inputs));
        mkl_rt.cblas_gemm_s8u8s32_pack(
            byRow,
            B_MATRIX,
            none,
            rows,
            outputs,
            inputs,
            new BytePointer(ofWeights),
            outputs,
            packed);
      } else {
        x = bfloat16(ofRows);
        sums = new FloatPointer((long) rows * outputs);
        packed =
            new ShortPointer(
                mkl_rt.cblas_gemm_bf16bf16f32_pack_get_size(B_MATRIX, rows, outputs, inputs) / 2);
        mkl_rt.cblas_gemm_bf16bf16f32_pack(
            byRow,
            B_MATRIX,
            none,
            rows,
            outputs,
            inputs,
            bfloat16(ofWeights),
            outputs,
            (ShortPointer) packed);
      }
    }

    @Override
    void run() {
      int none = mkl_rt.CblasNoTrans;
      int byRow = mkl_rt.CblasRowMajor;
      if (weights == ElementType.INT8) {
        mkl_rt.cblas_gemm_s8u8s32_compute(
            byRow,
            none,
            PACKED,
            FIXED_OFFSET,
            rows,
            outputs,
            inputs,
            1,
            x,
            inputs,
            (byte) -128,
            packed,
            outputs,
            (byte) 0,
            0,
            (IntPointer) sums,
            outputs,
            noOffset);
      } else {
        mkl_rt.cblas_gemm_bf16bf16f32_compute(
            byRow,
            none,
            PACKED,
            rows,
            outputs,
            inputs,
            1,
            (ShortPointer) x,
            inputs,
            (ShortPointer) packed,
            outputs,
            0,
            (FloatPointer) sums,
            outputs);
      }
    }

    @Override
    double sum(int row, int output) {
      long at = (long) row * outputs + output;
      return sums instanceof IntPointer ints ? ints.get(at) : ((FloatPointer) sums).get(at);
    }
  }

  /** The product of oneDNN, formerly MKL-DNN. */
  public static class OneDnn extends Product {
    private final engine cpu = new engine(engine.kind.cpu, 0);
    private final stream calls = new stream(cpu);
    private final IntMemoryMap operands = new IntMemoryMap();
    private FloatPointer sums;
    private matmul product;

    @Override
    void make(byte[] ofRows, byte[] ofWeights) {
      memory.data_type narrow =
          weights == ElementType.INT8 ? memory.data_type.s8 : memory.data_type.bf16;
      memory.desc ofX = matrix(rows, inputs, narrow, memory.format_tag.ab);
      memory.desc ofW = matrix(inputs, outputs, narrow, memory.format_tag.any);
      memory.desc ofSums = matrix(rows, outputs, memory.data_type.f32, memory.format_tag.ab);
      matmul.primitive_desc chosen = new matmul.primitive_desc(cpu, ofX, ofW, ofSums);
      product = new matmul(chosen);
      sums = new FloatPointer((long) rows * outputs);
      memory plain =
          new memory(
              matrix(inputs, outputs, narrow, memory.format_tag.ab), cpu, pointer(ofWeights));
      memory packed = new memory(chosen.weights_desc(), cpu);
      new reorder(plain, packed).execute(calls, plain, packed);
      operands.put(dnnl.DNNL_ARG_SRC, new memory(ofX, cpu, pointer(ofRows)));
      operands.put(dnnl.DNNL_ARG_WEIGHTS, packed);
      operands.put(dnnl.DNNL_ARG_DST, new memory(ofSums, cpu, sums));
    }

    private Pointer pointer(byte... numbers) {
      return weights == ElementType.INT8 ? new BytePointer(numbers) : bfloat16(numbers);
    }

    private static memory.desc matrix(
        int rows, int columns, memory.data_type type, memory.format_tag tag) {
      return new memory.desc(new long[] {rows, columns}, type, tag);
    }

    @Override
    void run() {
      product.execute(calls, operands);
      calls._wait();
    }

    @Override
    double sum(int row, int output) {
      return sums.get((long) row * outputs + output);
    }
  }

  @Benchmark
  public void blocksparse(Blocksparse product) {
    product.run();
  }

  @Benchmark
  public void mkl(Mkl product) {
    product.run();
  }

  @Benchmark
  public void oneDnn(OneDnn product) {
    product.run();
  }
}
