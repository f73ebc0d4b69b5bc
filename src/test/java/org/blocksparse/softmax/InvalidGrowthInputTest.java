// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.testing.InvalidSoftmaxInput;

/** Arguments that growth rejects. */
final class InvalidGrowthInputTest extends InvalidSoftmaxInput {
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    Map<String, LayerCall> calls = new LinkedHashMap<>();
    calls.put("copy", (layer, w) -> layer.copy());
    calls.put("addOutputs", (layer, w) -> layer.addOutputs(1));
    calls.put("addOutputs without room", (layer, w) -> layer.addOutputs(100));
    calls.put("retire", (layer, w) -> layer.retire(1));
    calls.put("reassign", (layer, w) -> layer.reassign(ClassAssignment.contiguous(9, 2)));
    calls.forEach((name, call) -> addClosedCase(cases, name, call));
    addInputCases(cases, "addOutputs of x", (layer, w) -> layer.addOutputs(w.f("x")));
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      addLayerCase(
          cases,
          "addOutputs of " + bad,
          ARGUMENT,
          "x[1, 2] = " + bad + " is not finite",
          w -> w.f("x").set(bad, 1, 2),
          (layer, w) -> layer.addOutputs(w.f("x")));
    }
    addLayerCase(
        cases,
        "addOutputs of no x",
        ARGUMENT,
        "x: expected at least 1 row but was (0, 6)",
        w -> w.replace("x", floats(0, 6)),
        (layer, w) -> layer.addOutputs(w.f("x")));
    for (int bad : new int[] {0, -1}) {
      addLayerCase(
          cases,
          "addOutputs " + bad,
          ARGUMENT,
          "n: expected at least 1 but was " + bad,
          w -> {},
          (layer, w) -> layer.addOutputs(bad));
    }
    addLayerCase(
        cases,
        "addOutputs of too many",
        ARGUMENT,
        "n: 9 outputs and 2147483647 more are more than 2^31 - 9",
        w -> {},
        (layer, w) -> layer.addOutputs(Integer.MAX_VALUE));
    addNumbers(cases);
    addAssignments(cases);
    return cases.stream();
  }

  private static void addNumbers(List<Case> cases) {
    for (int bad : new int[] {-1, 9, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
      String message = "outputs[1] = " + bad + " is outside [0, outputs = 9)";
      addLayerCase(
          cases, "retire " + bad, BOUNDS, message, w -> {}, (layer, w) -> layer.retire(1, bad));
      addLayerCase(
          cases, "reuse " + bad, BOUNDS, message, w -> {}, (layer, w) -> layer.reuse(1, bad));
    }
    addLayerCase(
        cases, "retire null", NULL, "outputs", w -> {}, (layer, w) -> layer.retire((int[]) null));
    addLayerCase(
        cases, "reuse null", NULL, "outputs", w -> {}, (layer, w) -> layer.reuse((int[]) null));
    addLayerCase(
        cases,
        "retire all",
        ARGUMENT,
        "outputs: none would be left",
        w -> {},
        (layer, w) -> layer.retire(IntStream.range(0, 9).toArray()));
    addRetired(cases, "reuse 0", ARGUMENT, "outputs[1] = 0 is not retired", l -> l.reuse(3, 0));
    addRetired(cases, "reuse 4", ARGUMENT, "outputs[1] = 4 is not retired", l -> l.reuse(3, 4));
    addRetired(cases, "reuse twice", ARGUMENT, "outputs[1] = 3 is there twice", l -> l.reuse(3, 3));
    addRetired(
        cases,
        "explain a retired one",
        ARGUMENT,
        "output: 3 is retired",
        l -> {
          try (FloatTensor x = FloatTensor.zeros(1, 6)) {
            l.explain(x, 3);
          }
        });
    addLayerCase(
        cases,
        "a retired target",
        ARGUMENT,
        "targets[1] = 1 is retired",
        w -> {},
        (layer, w) -> {
          HierarchicalSoftmax copy = layer.copy();
          try (copy) {
            copy.retire(1);
            copy.step(w.f("x"), w.i("targets"), Optimizer.sgd(1));
          }
        });
  }

  private interface RetiredCall {
    void run(HierarchicalSoftmax layer);
  }

  /** Adds a call on a copy without output 3: the parameters of the case are unchanged. */
  private static void addRetired(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      RetiredCall call) {
    addLayerCase(
        cases,
        name,
        type,
        message,
        w -> {},
        (layer, w) -> {
          try (HierarchicalSoftmax copy = layer.copy()) {
            copy.retire(3);
            call.run(copy);
          }
        });
  }

  private static void addAssignments(List<Case> cases) {
    addLayerCase(
        cases, "reassign null", NULL, "classes", w -> {}, (layer, w) -> layer.reassign(null));
    for (int outputs : new int[] {8, 10}) {
      addLayerCase(
          cases,
          "reassign " + outputs,
          ARGUMENT,
          "classes: expected an assignment of 9 outputs but was one of " + outputs,
          w -> {},
          (layer, w) -> layer.reassign(ClassAssignment.contiguous(outputs, 2)));
    }
    addLayerCase(
        cases,
        "reassign without an output",
        ARGUMENT,
        "classes: output 3 is retired there, but not in the layer",
        w -> {},
        (layer, w) -> {
          try (HierarchicalSoftmax copy = layer.copy()) {
            copy.retire(3);
            layer.reassign(copy.assignment());
          }
        });
  }
}
