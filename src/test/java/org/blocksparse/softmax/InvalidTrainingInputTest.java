// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.testing.InvalidSoftmaxInput;

/** Arguments that losses, gradients and training steps reject. */
final class InvalidTrainingInputTest extends InvalidSoftmaxInput {
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addTraining(cases);
    return cases.stream();
  }

  private static void addTraining(List<Case> cases) {
    Map<String, LayerCall> withTargets = new LinkedHashMap<>();
    withTargets.put("loss", (layer, w) -> layer.loss(w.f("x"), w.i("targets")));
    withTargets.put("losses", (layer, w) -> layer.losses(w.f("x"), w.i("targets"), Loss.sum()));
    withTargets.put("gradients", (layer, w) -> layer.gradients(w.f("x"), w.i("targets")));
    withTargets.put("step", (layer, w) -> layer.step(w.f("x"), w.i("targets"), Optimizer.sgd(1)));
    withTargets.put(
        "step with gradX",
        (layer, w) ->
            layer.step(w.f("x"), w.i("targets"), Loss.mean(), Optimizer.sgd(1), w.f("gradX")));
    withTargets.put(
        "step with Adam",
        (layer, w) ->
            layer.step(w.f("x"), w.i("targets"), Loss.mean(), Optimizer.adam(1), w.f("gradX")));
    withTargets.forEach(
        (name, call) -> {
          addInputCases(cases, name, call);
          addTargetCases(cases, name, call);
        });
    // Some methods only have these arguments.
    LayerCall step =
        (layer, w) ->
            layer.step(w.f("x"), w.i("targets"), Loss.mean(), Optimizer.sgd(1), w.f("gradX"));
    addOutputCases(
        cases,
        "gradX",
        "(batch, features)",
        Shape.of(2, 6),
        new long[][] {{1, 6}, {2, 5}, {12}, {2, 6, 1}},
        step);
    String shares = "; an output must not overlap an input";
    addLayerCase(
        cases,
        "gradX is x",
        ARGUMENT,
        "gradX: shares memory with x" + shares,
        w -> {},
        (layer, w) ->
            layer.step(w.f("x"), w.i("targets"), Loss.mean(), Optimizer.sgd(1), w.f("x")));
    addLayerCase(
        cases,
        "gradX is b2",
        ARGUMENT,
        "gradX: shares memory with b2" + shares,
        w -> {},
        (layer, w) ->
            layer.step(
                w.f("x"), w.i("targets"), Loss.mean(), Optimizer.sgd(1), w.f("b2").reshape(2, 6)));
    addLayerCase(
        cases,
        "optimizer null",
        NULL,
        "optimizer",
        w -> {},
        (layer, w) -> layer.step(w.f("x"), w.i("targets"), null));
    addLayerCase(
        cases,
        "loss null",
        NULL,
        "loss",
        w -> {},
        (layer, w) -> layer.gradients(w.f("x"), w.i("targets"), null));
    addLayerCase(
        cases,
        "loss of losses null",
        NULL,
        "loss",
        w -> {},
        (layer, w) -> layer.losses(w.f("x"), w.i("targets"), null));
    LayerCall weighted =
        (layer, w) ->
            layer.step(
                w.f("x"),
                w.i("targets"),
                Loss.mean().withRowWeights(w.f("weights")),
                Optimizer.sgd(1),
                null);
    for (long[] dims : new long[][] {{1}, {3}, {2, 1}}) {
      addLayerCase(
          cases,
          "weights " + Shape.of(dims),
          ARGUMENT,
          "rowWeights: expected (batch) = (2) but was " + Shape.of(dims),
          w -> w.replace("weights", floats(dims)),
          weighted);
    }
    for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
      addLayerCase(
          cases,
          "weight " + bad,
          ARGUMENT,
          "rowWeights[1]: expected a finite number but was " + bad,
          w -> w.f("weights").set(bad, 1),
          weighted);
    }
    addLayerCase(
        cases,
        "weights closed",
        STATE,
        "rowWeights: the tensor (2) is closed",
        w -> w.close("weights"),
        weighted);
  }
}
