// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.util.List;
import java.util.function.Consumer;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LayerBuilder;

/** A table of calls that a layer rejects, with the cases that all its methods share. */
public abstract class InvalidSoftmaxInput extends InvalidInput {
  /** A call of a layer that is made of W1, b1, W2 and b2, and closed after the call. */
  public interface LayerCall {
    void run(HierarchicalSoftmax layer, World world);
  }

  /** Returns a builder of 9 outputs in 4 classes of up to 3 slots. */
  protected static LayerBuilder<IntTensor, HierarchicalSoftmax> builder() {
    return HierarchicalSoftmax.builder(6, 9).classes(ClassAssignment.of(0, 0, 0, 1, 1, 2, 2, 2, 3));
  }

  protected static World layerWorld() {
    return new World()
        .with("W1", () -> floats(6, 4))
        .with("b1", () -> floats(4))
        .with("W2", () -> floats(4, 6, 3))
        .with("b2", () -> floats(4, 3))
        .with("x", () -> floats(2, 6))
        .with("gradX", () -> floats(2, 6))
        .with("out", () -> floats(2, 9))
        .with("weights", () -> floats(2))
        .with("targets", () -> indices(9, 2));
  }

  protected static void addLayerCase(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      Consumer<World> fault,
      LayerCall call) {
    add(
        cases,
        "layer " + name,
        type,
        message,
        layerWorld().fault(fault),
        w -> {
          try (HierarchicalSoftmax layer =
              builder().build(w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"))) {
            call.run(layer, w);
          }
        });
  }

  /** Adds cases of a tensor that a method writes: wrong shapes, and closed. */
  protected static void addOutputCases(
      List<Case> cases, String name, String words, Shape right, long[][] wrong, LayerCall call) {
    for (long[] dims : wrong) {
      addLayerCase(
          cases,
          name + " " + Shape.of(dims),
          ARGUMENT,
          name + ": expected " + words + " = " + right + " but was " + Shape.of(dims),
          w -> w.replace(name, floats(dims)),
          call);
    }
    addLayerCase(
        cases,
        name + " closed",
        STATE,
        name + ": the tensor " + right + " is closed",
        w -> w.close(name),
        call);
  }

  /** Adds arguments that every method with x rejects. */
  protected static void addInputCases(List<Case> cases, String name, LayerCall call) {
    addLayerCase(cases, name + ": x null", NULL, "x", w -> w.replace("x", null), call);
    for (long[] dims : new long[][] {{12}, {2, 6, 1}}) {
      addLayerCase(
          cases,
          name + ": x " + Shape.of(dims),
          ARGUMENT,
          "x: expected (batch, features) but was " + Shape.of(dims),
          w -> w.replace("x", floats(dims)),
          call);
    }
    for (long features : new long[] {5, 7, 0}) {
      addLayerCase(
          cases,
          name + ": features " + features,
          ARGUMENT,
          "x: expected (batch, features) = (2, 6) but was (2, " + features + ")",
          w -> w.replace("x", floats(2, features)),
          call);
    }
    addLayerCase(
        cases,
        name + ": too many rows",
        ARGUMENT,
        "x: 536870913 rows are more than the 2^29 that one call can take; split the batch",
        w -> w.replace("x", floats((1 << 29) + 1, 0)),
        call);
    addLayerCase(
        cases,
        name + ": x closed",
        STATE,
        "x: the tensor (2, 6) is closed",
        w -> w.close("x"),
        call);
    addClosedCase(cases, name, call);
  }

  /** Adds the closed layer, which every method rejects. */
  protected static void addClosedCase(List<Case> cases, String name, LayerCall call) {
    addLayerCase(
        cases,
        name + ": layer closed",
        STATE,
        "layer: the layer is closed",
        w -> {},
        (layer, w) -> {
          layer.close();
          call.run(layer, w);
        });
  }

  /** Adds arguments that every method with targets rejects. */
  protected static void addTargetCases(List<Case> cases, String name, LayerCall call) {
    addTargetCases(cases, name, call, new long[][] {{1}, {3}, {2, 1}, {}});
  }

  /**
   * Adds arguments that every method with targets rejects, with these wrong dimensions of targets.
   */
  protected static void addTargetCases(
      List<Case> cases, String name, LayerCall call, long[][] wrong) {
    addLayerCase(
        cases, name + ": targets null", NULL, "targets", w -> w.replace("targets", null), call);
    for (long[] dims : wrong) {
      addLayerCase(
          cases,
          name + ": targets " + Shape.of(dims),
          ARGUMENT,
          "targets: expected (batch) = (2) but was " + Shape.of(dims),
          w -> w.replace("targets", indices(9, dims)),
          call);
    }
    addLayerCase(
        cases,
        name + ": targets closed",
        STATE,
        "targets: the tensor (2) is closed",
        w -> w.close("targets"),
        call);
    for (int row = 0; row < 2; row++) {
      for (int target : new int[] {-1, 9, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
        int r = row;
        addLayerCase(
            cases,
            name + ": targets[" + r + "] = " + target,
            BOUNDS,
            "targets[" + r + "] = " + target + " is outside [0, outputs = 9)",
            w -> w.i("targets").set(target, r),
            call);
      }
    }
  }
}
