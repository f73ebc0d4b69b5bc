// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.io.TensorFile;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.PublicCall;

/**
 * Makes calls that need arrays for which a heap of 64 MB has no room, though there is all the
 * memory off the heap: what is thrown names the bytes, and no memory is kept.
 *
 * <p>Arguments: a folder.
 */
public final class LargeArraysProgram {
  private static final int MANY = 20 << 20;

  private final Map<String, String> flaws = new TreeMap<>();

  private LargeArraysProgram() {}

  public static void main(String[] args) throws Exception {
    LargeArraysProgram program = new LargeArraysProgram();
    program.steps();
    program.rows();
    program.elements();
    program.integers(Path.of(args[0], "integers.safetensors"));
    program.addedOutputs();
    program.reassignedOutputs();
    ChildJvm.check(program.flaws.isEmpty(), "flaws: " + program.flaws);
    System.out.println("lives on");
  }

  private void check(String name, Callable<?> call) {
    check(name, OutOfMemoryError.class, call);
  }

  private void check(String name, Class<? extends Throwable> expected, Callable<?> call) {
    long before = FloatTensor.allocatedBytes();
    try {
      flaws.put(name, "there was room for " + call.call());
    } catch (Throwable e) {
      if (!expected.isInstance(e) || PublicCall.flaw(e) != null) {
        flaws.put(name, e.toString());
      }
    }
    long kept = FloatTensor.allocatedBytes() - before;
    if (kept > 0) { // less where a full heap ended what was idle
      flaws.merge(name, kept + " bytes are kept", (one, other) -> one + "; " + other);
    }
  }

  /** Of each block its steps are counted, and of blocks of one number that is a third of all. */
  private void steps() {
    try (FloatTensor bias = FloatTensor.zeros(MANY, 1);
        OptimizerState state = OptimizerState.of(bias);
        FloatTensor gradOut = FloatTensor.zeros(1, 1, 1);
        IntTensor idx = IntTensor.zeros(1, 1);
        BlockPlan ofInputs = BlockPlan.of(idx, idx, MANY, 1);
        BlockPlan ofOutputs = BlockPlan.of(idx, idx, 1, MANY)) {
      Optimizer sgd = Optimizer.sgd(1); // which keeps nothing
      InputBias.step(gradOut, null, ofInputs, sgd, bias, state);
      SparseBlockDot.stepB(gradOut, ofOutputs, sgd, bias, state);
      Optimizer adam = Optimizer.adam(1);
      check(
          "step",
          () -> {
            InputBias.step(gradOut, null, ofInputs, adam, bias, state);
            return state;
          });
      check(
          "stepB",
          () -> {
            SparseBlockDot.stepB(gradOut, ofOutputs, adam, bias, state);
            return state;
          });
    }
  }

  private void rows() {
    check("of", () -> SparseRows.of(Collections.nCopies(MANY, new int[0])));
    try (SparseRows rows = SparseRows.of(new int[] {0, 0}, new int[0])) {
      int[] which = new int[8 << 20]; // half of the heap
      check("select", () -> rows.select(which));
    }
    try (SparseRows row = SparseRows.wrap(direct(2).put(1, MANY), direct(MANY))) {
      check("indices", () -> row.indices(0));
      check("values", () -> row.values(0));
    }
  }

  private static IntBuffer direct(int elements) {
    return ByteBuffer.allocateDirect(Integer.BYTES * elements)
        .order(ByteOrder.nativeOrder())
        .asIntBuffer();
  }

  private void elements() {
    try (FloatTensor floats = FloatTensor.zeros(MANY);
        IntTensor ints = IntTensor.zeros(MANY)) {
      check("floats", floats::toArray);
      check("ints", ints::toArray);
    }
  }

  private void integers(Path path) throws Exception {
    String entry = "{'a':{'dtype':'I32','shape':[%s],'data_offsets':[0,%s]}}";
    String json = entry.formatted(MANY, 4L * MANY).replace('\'', '"');
    byte[] header = (json + " ".repeat(-json.length() & 7)).getBytes(StandardCharsets.US_ASCII);
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
      file.write(length.putLong(header.length).array());
      file.write(header);
      file.setLength(Long.BYTES + header.length + 4L * MANY);
    }
    try (TensorFile file = TensorFile.open(path)) {
      check("ints", () -> file.ints("a"));
    }
  }

  /** The features of added outputs are off the heap, and read there. */
  private void addedOutputs() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(64, 9).build();
        FloatTensor x = FloatTensor.zeros(MANY / 64, 64)) {
      x.set(Float.NaN, MANY / 64 - 1, 63);
      check("addOutputs", IllegalArgumentException.class, () -> layer.addOutputs(x));
    }
  }

  private void reassignedOutputs() {
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.builder(1, 3 << 20).build()) {
      check(
          "reassign",
          () -> {
            layer.reassign(layer.assignment());
            return layer;
          });
    }
  }
}
