// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.testing.InvalidInput;

/** Arguments that {@link ClassAssignment} rejects. */
final class InvalidClassInputTest extends InvalidInput {
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addClasses(cases);
    return cases.stream();
  }

  private static void addClasses(List<Case> cases) {
    for (int nClasses : new int[] {0, -1, 6}) {
      String message = "nClasses: expected a number in [1, outputs = 5] but was " + nClasses;
      String name = "nClasses " + nClasses;
      add(
          cases,
          "contiguous " + name,
          ARGUMENT,
          message,
          w -> ClassAssignment.contiguous(5, nClasses));
      add(
          cases,
          "byFrequency " + name,
          ARGUMENT,
          message,
          w -> ClassAssignment.byFrequency(new long[5], nClasses));
      add(
          cases,
          "bySquareRoot " + name,
          ARGUMENT,
          message,
          w -> ClassAssignment.bySquareRootOfFrequency(new long[5], nClasses));
      add(
          cases,
          "builder " + name,
          ARGUMENT,
          message,
          w -> HierarchicalSoftmax.builder(3, 5).classes(nClasses));
    }
    int most = Integer.MAX_VALUE;
    String tooMany = "outputs: expected at most 2147483639 but was 2147483647";
    add(cases, "contiguous most", ARGUMENT, tooMany, w -> ClassAssignment.contiguous(most, 9));
    add(cases, "builder most", ARGUMENT, tooMany, w -> HierarchicalSoftmax.builder(1, most));
    String noOutputs = "outputs: expected at least 1 but was ";
    add(cases, "contiguous none", ARGUMENT, noOutputs + 0, w -> ClassAssignment.contiguous(0, 1));
    add(cases, "contiguous -3", ARGUMENT, noOutputs + -3, w -> ClassAssignment.contiguous(-3, 1));
    add(cases, "of none", ARGUMENT, noOutputs + 0, w -> ClassAssignment.of());
    add(
        cases,
        "byFrequency none",
        ARGUMENT,
        noOutputs + 0,
        w -> ClassAssignment.byFrequency(new long[0], 1));
    add(cases, "of null", NULL, "classOf", w -> ClassAssignment.of((int[]) null));
    add(cases, "byFrequency null", NULL, "counts", w -> ClassAssignment.byFrequency(null, 1));
    add(
        cases,
        "bySquareRoot null",
        NULL,
        "counts",
        w -> ClassAssignment.bySquareRootOfFrequency(null, 1));
    for (int bad : new int[] {-1, 3, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
      add(
          cases,
          "of class " + bad,
          ARGUMENT,
          "classOf[1] = " + bad + " is outside [0, outputs = 3)",
          w -> ClassAssignment.of(0, bad, 1));
    }
    add(
        cases,
        "of a class without outputs",
        ARGUMENT,
        "classes: class 1 has no outputs",
        w -> ClassAssignment.of(0, 2, 2));
    add(
        cases,
        "negative count",
        ARGUMENT,
        "counts[2] = -5 is negative",
        w -> ClassAssignment.byFrequency(new long[] {1, 2, -5}, 1));
    add(
        cases,
        "negative count for square roots",
        ARGUMENT,
        "counts[0] = -1 is negative",
        w -> ClassAssignment.bySquareRootOfFrequency(new long[] {-1, 2}, 1));
    add(
        cases,
        "clustered null",
        NULL,
        "vectors",
        w -> ClassAssignment.clustered(null, 1, 0, Workers.common()));
    add(
        cases,
        "clustered rank",
        ARGUMENT,
        "vectors: expected (outputs, dimensions) but was (2, 3, 4, 5)",
        w -> ClassAssignment.clustered(w.f("blocks"), 1, 0, Workers.common()));
    add(
        cases,
        "clustered closed",
        STATE,
        "vectors: the tensor (2, 3) is closed",
        w -> ClassAssignment.clustered(w.f("closed"), 1, 0, Workers.common()));
    for (int nClasses : new int[] {0, -1, 3}) {
      add(
          cases,
          "clustered nClasses " + nClasses,
          ARGUMENT,
          "nClasses: expected a number in [1, outputs = 2] but was " + nClasses,
          w -> ClassAssignment.clustered(w.f("t"), nClasses, 0, Workers.common()));
    }
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
      for (int at = 0; at < 6; at += 5) {
        int row = at / 3;
        int column = at % 3;
        add(
            cases,
            "clustered with " + bad + " at " + at,
            ARGUMENT,
            "vectors[" + row + ", " + column + "] = " + bad + " is not finite",
            new World().with("t", () -> floats(2, 3)).fault(w -> w.f("t").set(bad, row, column)),
            w -> ClassAssignment.clustered(w.f("t"), 1, 0, Workers.common()));
      }
      add(
          cases,
          "clustered sparse with " + bad,
          ARGUMENT,
          "features: value 1 of row 1 = " + bad + " is not finite",
          w ->
              clustered(
                  SparseRows.of(new int[] {0, 1, 3}, new int[3], new float[] {1, 2, bad}),
                  SparseRows.of(new int[] {0, 1, 2}, new int[2])));
    }
    addTooManyToCluster(cases);
    addSparse(cases);
    ClassAssignment three = ClassAssignment.of(0, 0, 1);
    for (int bad : new int[] {-1, 3}) {
      String message = "output: " + bad + " is outside [0, outputs = 3)";
      add(cases, "classOf " + bad, BOUNDS, message, w -> three.classOf(bad));
      add(cases, "slotOf " + bad, BOUNDS, message, w -> three.slotOf(bad));
    }
    for (int bad : new int[] {-1, 2}) {
      String message = "classNumber: " + bad + " is outside [0, classes = 2)";
      add(cases, "size " + bad, BOUNDS, message, w -> three.size(bad));
      add(cases, "output of class " + bad, BOUNDS, message, w -> three.output(bad, 0));
    }
    add(
        cases,
        "output in an empty slot",
        BOUNDS,
        "slot: 1 is outside [0, size = 1)",
        w -> three.output(1, 1));
  }

  private static void addTooManyToCluster(List<Case> cases) {
    String kept = " nearest classes that are kept are more than 2147483639";
    add(
        cases,
        "clustered outputs of too many",
        ARGUMENT,
        "vectors: 300000000 outputs times the 8" + kept,
        new World().with("t", () -> floats(300_000_000, 0)),
        w -> ClassAssignment.clustered(w.f("t"), 8, 0, Workers.common()));
    for (int nClasses : new int[] {1, 10}) {
      add(
          cases,
          "clustered sparse outputs of too many, " + nClasses,
          ARGUMENT,
          "outputs: 2147483647 outputs times the " + Math.min(8, nClasses) + kept,
          w -> {
            try (SparseRows rows = two()) {
              ClassAssignment.clustered(
                  rows, rows, Integer.MAX_VALUE, nClasses, 0, Workers.common());
            }
          });
    }
    add(
        cases,
        "clustered sparse classes of too many",
        ARGUMENT,
        "outputs: 8388608 classes times 256 dimensions are more than 2147483639",
        w -> {
          try (SparseRows rows = two()) {
            ClassAssignment.clustered(rows, rows, 1 << 23, 1 << 23, 0, Workers.common());
          }
        });
    add(
        cases,
        "workers null",
        NULL,
        "workers",
        w -> ClassAssignment.clustered(w.f("t"), 1, 0, null));
    add(
        cases,
        "sparse: workers null",
        NULL,
        "workers",
        w -> {
          try (SparseRows rows = two()) {
            ClassAssignment.clustered(rows, rows, 3, 2, 0, null);
          }
        });
  }

  /** Clusters 3 outputs by rows, and closes the rows. */
  private static void clustered(SparseRows features, SparseRows labels) {
    try (features;
        labels) {
      ClassAssignment.clustered(features, labels, 3, 2, 0, Workers.common());
    }
  }

  private static SparseRows two() {
    return SparseRows.of(new int[] {0, 1, 2}, new int[2]);
  }

  private static SparseRows closed() {
    SparseRows rows = two();
    rows.close();
    return rows;
  }

  private static void addSparse(List<Case> cases) {
    add(cases, "sparse: features null", NULL, "features", w -> clustered(null, two()));
    add(cases, "sparse: labels null", NULL, "labels", w -> clustered(two(), null));
    String closed = "the SparseRows(2 rows, 2 entries) are closed";
    add(
        cases,
        "sparse: features closed",
        STATE,
        "features: " + closed,
        w -> clustered(closed(), two()));
    add(
        cases,
        "sparse: labels closed",
        STATE,
        "labels: " + closed,
        w -> clustered(two(), closed()));
    add(
        cases,
        "sparse: fewer labels",
        ARGUMENT,
        "labels: expected 2 rows, as features has, but was 1",
        w -> clustered(two(), SparseRows.of(new int[] {0, 0}, new int[0])));
    add(
        cases,
        "sparse: no such label",
        BOUNDS,
        "labels: index 3 of row 1 is outside [0, outputs = 3)",
        w -> clustered(two(), SparseRows.of(new int[] {0, 1, 2}, new int[] {2, 3})));
    for (int nClasses : new int[] {0, 4}) {
      add(
          cases,
          "sparse: nClasses " + nClasses,
          ARGUMENT,
          "nClasses: expected a number in [1, outputs = 3] but was " + nClasses,
          w -> {
            try (SparseRows rows = two()) {
              ClassAssignment.clustered(rows, rows, 3, nClasses, 0, Workers.common());
            }
          });
    }
    add(
        cases,
        "sparse: no outputs",
        ARGUMENT,
        "outputs: expected at least 1 but was 0",
        w -> {
          try (SparseRows rows = two()) {
            ClassAssignment.clustered(rows, rows, 0, 0);
          }
        });
  }
}
