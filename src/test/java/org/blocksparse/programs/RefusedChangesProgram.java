// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.ChildJvm;

/**
 * Changes the outputs of a layer on a full heap, with a little more room each time until the change
 * is made. A change that fails leaves the layer as it was.
 */
public final class RefusedChangesProgram {
  private static final int FEATURES = 4;
  private static final int OUTPUTS = 500;
  private static final int BATCH = 8;

  /** Pieces of the heap by which there is more room each time. */
  private static final int PIECES = 2;

  private static final int MOST_TRIES = 1000;

  private final Map<String, Consumer<HierarchicalSoftmax>> changes = new LinkedHashMap<>();
  private final FloatTensor x;

  /** Of classes that no change empties. */
  private final IntTensor targets =
      IntTensor.of(IntStream.range(BATCH, 2 * BATCH).map(i -> 8 * i).toArray(), BATCH);

  private final HierarchicalSoftmax layer;
  private boolean isRefused;

  private RefusedChangesProgram() {
    Random random = new Random(1);
    float[] values = new float[BATCH * FEATURES];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextFloat();
    }
    x = FloatTensor.of(values, BATCH, FEATURES);
    layer = HierarchicalSoftmax.builder(FEATURES, OUTPUTS).classes(30).seed(1).build();
    layer.step(x, targets, Optimizer.adam(0.01f));
    // Of each class a few, so that there is room and outputs can come and go in place.
    int[] retired = eighths(3);
    layer.retire(retired);
    int[] few = eighths(5);
    int[] ofOneClass =
        IntStream.range(0, OUTPUTS).filter(o -> layer.assignment().classOf(o) == 2).toArray();
    ClassAssignment other = ClassAssignment.contiguous(OUTPUTS, 25);
    changes.put("addOutputs", l -> l.addOutputs(20));
    changes.put("addOutputs by rows", l -> l.addOutputs(x));
    changes.put("addOutputs into new memory", l -> l.addOutputs(200));
    changes.put("retire", l -> l.retire(few));
    changes.put("retire a class", l -> l.retire(ofOneClass));
    changes.put("reuse", l -> l.reuse(retired));
    changes.put("reassign", l -> l.reassign(other));
  }

  private static int[] eighths(int remainder) {
    return IntStream.range(0, OUTPUTS).filter(o -> o % 8 == remainder).toArray();
  }

  public static void main(String[] args) {
    RefusedChangesProgram program = new RefusedChangesProgram();
    for (Map.Entry<String, Consumer<HierarchicalSoftmax>> change : program.changes.entrySet()) {
      program.tryUntilMade(change.getKey(), change.getValue());
    }
    System.out.println("lives on");
  }

  private void tryUntilMade(String name, Consumer<HierarchicalSoftmax> change) {
    int refused = 0;
    for (int tries = 0; tries < MOST_TRIES; tries++) {
      try (HierarchicalSoftmax changed = layer.copy();
          HierarchicalSoftmax twin = layer.copy()) {
        isRefused = false;
        if (tries == 0) {
          change.accept(changed); // what is done once in a process is done
        } else {
          onFullHeap(PIECES * tries, () -> change.accept(changed));
        }
        String after = name + " in try " + tries;
        if (isRefused) {
          refused++;
          assertEqual(after, twin, changed);
          change.accept(changed);
        }
        change.accept(twin);
        assertEqual(after + ", and then made", twin, changed);
        if (tries > 0 && !isRefused) {
          ChildJvm.check(refused > 0, name + " was never refused");
          return;
        }
      }
    }
    throw new IllegalStateException(name + " was never made");
  }

  private void onFullHeap(int pieces, Runnable change) {
    FullHeap.fill();
    FullHeap.empty(FullHeap.pieces() - pieces);
    try {
      change.run();
    } catch (OutOfMemoryError e) {
      isRefused = true;
    }
    FullHeap.empty(0);
  }

  /** Parameters and assignment, and what the optimizer keeps, which the next step shows. */
  private void assertEqual(String after, HierarchicalSoftmax a, HierarchicalSoftmax b) {
    assertEqualNumbers(after, a, b);
    try (HierarchicalSoftmax trainedA = a.copy();
        HierarchicalSoftmax trainedB = b.copy()) {
      trainedA.step(x, targets, Optimizer.adam(0.01f));
      trainedB.step(x, targets, Optimizer.adam(0.01f));
      assertEqualNumbers(after + ", and a step", trainedA, trainedB);
    }
  }

  private static void assertEqualNumbers(
      String after, HierarchicalSoftmax a, HierarchicalSoftmax b) {
    ChildJvm.check(a.assignment().equals(b.assignment()), "assignment after " + after);
    ChildJvm.check(a.steps() == b.steps(), "steps after " + after);
    FullHeapOperands.checkEqual("the layer after " + after, a, b);
  }
}
