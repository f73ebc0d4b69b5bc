// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.testing.InvalidInput;

/** Arguments that a label tree rejects. */
final class InvalidLabelTreeInputTest extends InvalidInput {
  private interface TreeCall {
    void run(LabelTree layer, World world);
  }

  private static LayerBuilder<SparseRows, LabelTree> builder() {
    return LabelTree.builder(6, 9).classes(ClassAssignment.of(0, 0, 0, 1, 1, 2, 2, 2, 3));
  }

  private static World world() {
    return new World()
        .with("W1", () -> floats(6, 4))
        .with("b1", () -> floats(4))
        .with("W2", () -> floats(4, 6, 3))
        .with("b2", () -> floats(4, 3))
        .with("x", () -> floats(2, 6))
        .with("gradX", () -> floats(2, 6))
        .with("out", () -> floats(2, 9))
        .with("weights", () -> floats(2))
        .with("single", () -> indices(9, 2))
        .with("targets", () -> rows(new int[] {1, 8}, new int[] {0}));
  }

  private static SparseRows rows(int[]... rows) {
    return SparseRows.of(List.of(rows));
  }

  private static void addCase(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      Consumer<World> fault,
      TreeCall call) {
    add(
        cases,
        name,
        type,
        message,
        world().fault(fault),
        w -> {
          try (LabelTree layer = builder().build(w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"))) {
            call.run(layer, w);
          }
        });
  }

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    Map<String, TreeCall> withTargets = new LinkedHashMap<>();
    withTargets.put("loss", (layer, w) -> layer.loss(w.f("x"), w.rows("targets")));
    withTargets.put("losses", (layer, w) -> layer.losses(w.f("x"), w.rows("targets")));
    withTargets.put("gradients", (layer, w) -> layer.gradients(w.f("x"), w.rows("targets")));
    withTargets.put(
        "step", (layer, w) -> layer.step(w.f("x"), w.rows("targets"), Optimizer.sgd(1)));
    withTargets.put(
        "step with gradX",
        (layer, w) ->
            layer.step(w.f("x"), w.rows("targets"), Loss.mean(), Optimizer.adam(1), w.f("gradX")));
    withTargets.put(
        "logProbabilitiesOf", (layer, w) -> layer.logProbabilitiesOf(w.f("x"), w.rows("targets")));
    withTargets.put(
        "probabilitiesOf", (layer, w) -> layer.probabilitiesOf(w.f("x"), w.rows("targets")));
    Map<String, TreeCall> withX = new LinkedHashMap<>(withTargets);
    withX.put("probabilities", (layer, w) -> layer.probabilities(w.f("x")));
    withX.put("log probabilities", (layer, w) -> layer.logProbabilities(w.f("x"), w.f("out")));
    withX.put("topK", (layer, w) -> layer.topK(w.f("x"), 2));
    withX.put("atLeast", (layer, w) -> layer.atLeast(w.f("x"), 0.5));
    withX.put("of single", (layer, w) -> layer.probabilitiesOf(w.f("x"), w.i("single")));
    withX.forEach((name, call) -> addX(cases, name, call));
    withTargets.forEach((name, call) -> addTargets(cases, name, call));
    addLosses(cases);
    addOthers(cases);
    addGrowth(cases);
    return cases.stream();
  }

  private static void addX(List<Case> cases, String name, TreeCall call) {
    addCase(cases, name + ": x null", NULL, "x", w -> w.replace("x", null), call);
    addCase(
        cases,
        name + ": x of rank 1",
        ARGUMENT,
        "x: expected (batch, features) but was (12)",
        w -> w.replace("x", floats(12)),
        call);
    addCase(
        cases,
        name + ": x of 5 features",
        ARGUMENT,
        "x: expected (batch, features) = (2, 6) but was (2, 5)",
        w -> w.replace("x", floats(2, 5)),
        call);
    addCase(
        cases,
        name + ": x closed",
        STATE,
        "x: the tensor (2, 6) is closed",
        w -> w.close("x"),
        call);
    addClosed(cases, name, call);
  }

  private static void addClosed(List<Case> cases, String name, TreeCall call) {
    addCase(
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

  private static void addTargets(List<Case> cases, String name, TreeCall call) {
    addCase(cases, name + ": targets null", NULL, "targets", w -> w.replace("targets", null), call);
    addCase(
        cases,
        name + ": one row of targets",
        ARGUMENT,
        "targets: expected (batch) = (2) rows but was 1",
        w -> w.replace("targets", rows(new int[] {1, 8})),
        call);
    addCase(
        cases,
        name + ": a target of 9",
        BOUNDS,
        "targets: index 9 of row 1 is outside [0, outputs = 9)",
        w -> w.replace("targets", rows(new int[] {1, 8}, new int[] {0, 9})),
        call);
    addCase(
        cases,
        name + ": targets closed",
        STATE,
        "targets: the SparseRows(2 rows, 3 entries) are closed",
        w -> w.close("targets"),
        call);
  }

  private static void addLosses(List<Case> cases) {
    TreeCall weighted =
        (layer, w) ->
            layer.step(
                w.f("x"),
                w.rows("targets"),
                Loss.mean().withRowWeights(w.f("weights")),
                Optimizer.sgd(1),
                null);
    addCase(
        cases,
        "three weights",
        ARGUMENT,
        "rowWeights: expected (batch) = (2) but was (3)",
        w -> w.replace("weights", floats(3)),
        weighted);
    addCase(
        cases,
        "a weight of NaN",
        ARGUMENT,
        "rowWeights[1]: expected a finite number but was NaN",
        w -> w.f("weights").set(Float.NaN, 1),
        weighted);
    String only =
        "loss: expected no smoothing and no ignored target, which a LabelTree does not have, but"
            + " was mean of -log P(target), ";
    addCase(
        cases,
        "smoothing",
        ARGUMENT,
        only + "smoothing = 0.5",
        w -> {},
        (layer, w) ->
            layer.gradients(w.f("x"), w.rows("targets"), Loss.mean().withSmoothing(0.5f)));
    addCase(
        cases,
        "an ignored target",
        ARGUMENT,
        only + "ignored = -1",
        w -> {},
        (layer, w) -> layer.loss(w.f("x"), w.rows("targets"), Loss.mean().withIgnored(-1)));
    addCase(
        cases,
        "loss null",
        NULL,
        "loss",
        w -> {},
        (layer, w) -> layer.losses(w.f("x"), w.rows("targets"), null));
    addCase(
        cases,
        "optimizer null",
        NULL,
        "optimizer",
        w -> {},
        (layer, w) -> layer.step(w.f("x"), w.rows("targets"), null));
  }

  private static void addOthers(List<Case> cases) {
    String shares = "; an output must not overlap an input";
    addCase(
        cases,
        "gradX is x",
        ARGUMENT,
        "gradX: shares memory with x" + shares,
        w -> {},
        (layer, w) ->
            layer.step(w.f("x"), w.rows("targets"), Loss.mean(), Optimizer.sgd(1), w.f("x")));
    addCase(
        cases,
        "gradX of one row",
        ARGUMENT,
        "gradX: expected (batch, features) = (2, 6) but was (1, 6)",
        w -> w.replace("gradX", floats(1, 6)),
        (layer, w) ->
            layer.step(w.f("x"), w.rows("targets"), Loss.mean(), Optimizer.sgd(1), w.f("gradX")));
    addCase(
        cases,
        "x is b2",
        ARGUMENT,
        "b2: shares memory with x" + shares,
        w -> {},
        (layer, w) -> layer.step(w.f("b2").reshape(2, 6), w.rows("targets"), Optimizer.sgd(1)));
    addCase(
        cases,
        "out of 8 outputs",
        ARGUMENT,
        "out: expected (batch, outputs) = (2, 9) but was (2, 8)",
        w -> w.replace("out", floats(2, 8)),
        (layer, w) -> layer.probabilities(w.f("x"), w.f("out")));
    addCase(
        cases,
        "k of 0",
        ARGUMENT,
        "k: expected at least 1 but was 0",
        w -> {},
        (layer, w) -> layer.topK(w.f("x"), 0));
    addCase(
        cases,
        "a probability of 0",
        ARGUMENT,
        "probability: expected a number in (0, 1] but was 0.0",
        w -> {},
        (layer, w) -> layer.atLeast(w.f("x"), 0));
    addCase(
        cases, "filter null", NULL, "filter", w -> {}, (layer, w) -> layer.topK(w.f("x"), 1, null));
    String renormalized =
        "filter: expected one that is not renormalized, as the scores of this ranking do not sum"
            + " to one, but was Filter(only 1 outputs, renormalized)";
    addCase(
        cases,
        "topK renormalized",
        ARGUMENT,
        renormalized,
        w -> {},
        (layer, w) -> layer.topK(w.f("x"), 1, Filter.only(3).withRenormalization()));
    addCase(
        cases,
        "atLeast renormalized",
        ARGUMENT,
        renormalized,
        w -> {},
        (layer, w) -> layer.atLeast(w.f("x"), 0.5, Filter.only(3).withRenormalization()));
    addCase(
        cases,
        "explain output 9",
        BOUNDS,
        "output: 9 is outside [0, outputs = 9)",
        w -> w.replace("x", floats(1, 6)),
        (layer, w) -> layer.explain(w.f("x"), 9));
    addCase(
        cases,
        "single target of 9",
        BOUNDS,
        "targets[1] = 9 is outside [0, outputs = 9)",
        w -> w.i("single").set(9, 1),
        (layer, w) -> layer.logProbabilitiesOf(w.f("x"), w.i("single")));
    addCase(
        cases,
        "ten names",
        ARGUMENT,
        "labels: expected 9 names but was 10",
        w -> {},
        (layer, w) -> layer.setLabels(Labels.of("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")));
    add(
        cases,
        "no features",
        ARGUMENT,
        "features: expected at least 1 but was 0",
        w -> LabelTree.builder(0, 9));
    add(
        cases,
        "features most",
        ARGUMENT,
        "features: expected at most 2147483639 but was 2147483640",
        w -> LabelTree.builder(Integer.MAX_VALUE - 7, 9));
    add(
        cases,
        "no outputs",
        ARGUMENT,
        "outputs: expected at least 1 but was 0",
        w -> LabelTree.builder(6, 0));
    add(
        cases,
        "an assignment of 8",
        ARGUMENT,
        "classes: expected an assignment of 9 outputs but was one of 8",
        w -> builder().classes(ClassAssignment.contiguous(8, 2)));
    add(
        cases,
        "W1 of 2 features",
        ARGUMENT,
        "W1: expected (features, classes) = (6, 4) but was (2, 3)",
        w -> builder().build(w.f("t"), w.f("t"), w.f("t"), w.f("t")));
  }

  /** Adds cases of growth, which equal those of a softmax ({@link InvalidGrowthInputTest}). */
  private static void addGrowth(List<Case> cases) {
    Map<String, TreeCall> calls = new LinkedHashMap<>();
    calls.put("copy", (layer, w) -> layer.copy());
    calls.put("addOutputs", (layer, w) -> layer.addOutputs(1));
    calls.put("addOutputs of x", (layer, w) -> layer.addOutputs(w.f("x")));
    calls.put("retire", (layer, w) -> layer.retire(1));
    calls.put("reassign", (layer, w) -> layer.reassign(ClassAssignment.contiguous(9, 2)));
    calls.forEach((name, call) -> addClosed(cases, name, call));
    addCase(
        cases,
        "reuse of what is not retired",
        ARGUMENT,
        "outputs[0] = 4 is not retired",
        w -> {},
        (layer, w) -> layer.reuse(4));
    addCase(
        cases,
        "a retired target",
        ARGUMENT,
        "targets: index 8 of row 0 is retired",
        w -> {},
        (layer, w) -> {
          try (LabelTree copy = layer.copy()) {
            copy.retire(8);
            copy.loss(w.f("x"), w.rows("targets"));
          }
        });
    addCase(
        cases,
        "weights that are only read",
        STATE,
        "growth: the weights of this layer are BFLOAT16 and only read; train the layer of floats"
            + " that it was made of, and make withWeights of it again",
        w -> {},
        (layer, w) -> {
          try (LabelTree narrow = layer.withWeights(ElementType.BFLOAT16)) {
            narrow.retire(1);
          }
        });
  }
}
