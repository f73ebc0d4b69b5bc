// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.programs.FullHeapOperands.Operation;
import org.blocksparse.testing.ChildJvm;

/**
 * Runs every operation on a full heap, and then once more with room.
 *
 * <p>Arguments: a folder, and a seed that chooses how much room each operation is left.
 */
public final class FullHeapProgram {
  private static final int OF_ONE_FILLING = 5;

  /** How many amounts of room are left on a full heap, and among how many they are chosen. */
  private static final int FILLINGS = Integer.getInteger("blocksparse.fillings", 8);

  private static final int ALL_FILLINGS = Math.max(10, FILLINGS);

  private FullHeapProgram() {}

  public static void main(String[] args) throws Exception {
    Random random = seeded(Long.parseLong(args[1]));
    long before = FloatTensor.allocatedBytes();
    try (FullHeapOperands operands = new FullHeapOperands(Path.of(args[0]))) {
      long held = FloatTensor.allocatedBytes();
      List<Map.Entry<String, Operation>> all = List.copyOf(operands.operations().entrySet());
      for (int begin = 0; begin < all.size(); begin += OF_ONE_FILLING) {
        List<Map.Entry<String, Operation>> some =
            all.subList(begin, Math.min(begin + OF_ONE_FILLING, all.size()));
        // The JVM never retries an initialization that failed for want of memory.
        for (Map.Entry<String, Operation> entry : some) {
          entry.getValue().run();
        }
        withFullHeap(some, fillings(random));
        for (Map.Entry<String, Operation> entry : some) {
          String name = entry.getKey();
          assertRight(name);
          operands.check(name);
          entry.getValue().run();
          if (name.startsWith("step")) {
            operands.checkTraining(name);
          }
        }
      }
      awaitBytes(held);
      ChildJvm.check(refusals > 0, "there was always enough memory");
    }
    awaitBytes(before);
    System.out.println("lives on with " + Backend.instructionSet());
  }

  /** A product whose result is known. */
  private static void assertRight(String after) {
    ChildJvm.check(product() == 7, "after " + after + ": 1 + 2 * 3 is not 7");
  }

  private static float product() {
    try (FloatTensor W = FloatTensor.of(new float[] {3}, 1, 1, 1, 1);
        FloatTensor h = FloatTensor.of(new float[] {2}, 1, 1, 1);
        FloatTensor b = FloatTensor.of(new float[] {1}, 1, 1);
        IntTensor idx = IntTensor.zeros(1, 1);
        FloatTensor out = SparseBlockDot.apply(W, h, idx, b, idx)) {
      return out.get(0, 0, 0);
    }
  }

  /** Memory of an interrupted operation is freed when it is garbage. */
  private static void awaitBytes(long expected) throws InterruptedException {
    // Workspaces and scratch, which are kept for the next call.
    long room = 4L << 20;
    long deadline = System.nanoTime() + 600_000_000_000L;
    while (FloatTensor.allocatedBytes() > expected + room) {
      ChildJvm.check(
          System.nanoTime() < deadline,
          FloatTensor.allocatedBytes() - expected + " bytes are not freed");
      System.gc();
      Thread.sleep(10);
    }
  }

  private static int refusals;

  private static Random seeded(long seed) {
    System.out.println("to repeat: -Dblocksparse.seed=" + seed);
    return new Random(seed);
  }

  /** None, where the first allocation fails, and others, in their order. */
  private static int[] fillings(Random random) {
    IntStream others = random.ints(1, ALL_FILLINGS).distinct().limit(FILLINGS - 1);
    return IntStream.concat(IntStream.of(0), others).sorted().toArray();
  }

  private static void withFullHeap(List<Map.Entry<String, Operation>> operations, int[] fillings) {
    FullHeap.fill();
    int full = FullHeap.pieces();
    for (int filling : fillings) {
      // A little more room each time, so that another allocation is the one that fails.
      FullHeap.empty(full - filling * filling * filling);
      for (int i = 0; i < operations.size(); i++) { // an iterator would need memory
        Map.Entry<String, Operation> entry = operations.get(i);
        try {
          entry.getValue().run();
        } catch (OutOfMemoryError e) {
          refusals++;
        } catch (Throwable e) {
          FullHeap.empty(0);
          // The JDK wraps what it meets while it links a lambda expression.
          if (!(e instanceof InternalError && e.getCause() instanceof OutOfMemoryError)) {
            throw new IllegalStateException(entry.getKey() + ", filling " + filling, e);
          }
        }
      }
    }
    FullHeap.empty(0);
  }
}
