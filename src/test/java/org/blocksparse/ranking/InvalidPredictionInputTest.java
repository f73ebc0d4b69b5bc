// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.testing.InvalidSoftmaxInput;

/** Arguments that predictions reject. */
final class InvalidPredictionInputTest extends InvalidSoftmaxInput {
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addPredictions(cases);
    addExplanations(cases);
    return cases.stream();
  }

  private static void addPredictions(List<Case> cases) {
    Map<String, LayerCall> withX = new LinkedHashMap<>();
    withX.put("probabilities", (layer, w) -> layer.probabilities(w.f("x")));
    withX.put("logProbabilities", (layer, w) -> layer.logProbabilities(w.f("x")));
    withX.put("probabilities into", (layer, w) -> layer.probabilities(w.f("x"), w.f("out")));
    withX.put("logProbabilities into", (layer, w) -> layer.logProbabilities(w.f("x"), w.f("out")));
    withX.put("topK", (layer, w) -> layer.topK(w.f("x"), 2));
    withX.put("topP", (layer, w) -> layer.topP(w.f("x"), 0.5));
    withX.put("atLeast", (layer, w) -> layer.atLeast(w.f("x"), 0.5));
    withX.put("sample", (layer, w) -> layer.sample(w.f("x"), new SplittableRandom(1)));
    withX.put(
        "logProbabilitiesOf",
        (layer, w) -> {
          try (IntTensor candidates = indices(9, 2, 3)) {
            layer.logProbabilitiesOf(w.f("x"), candidates);
          }
        });
    withX.forEach((name, call) -> addInputCases(cases, name, call));
    Map<String, LayerCall> withTargets = new LinkedHashMap<>();
    withTargets.put(
        "probabilities of targets", (layer, w) -> layer.probabilitiesOf(w.f("x"), w.i("targets")));
    withTargets.put(
        "logProbabilities of targets",
        (layer, w) -> layer.logProbabilitiesOf(w.f("x"), w.i("targets")));
    withTargets.forEach(
        (name, call) -> {
          addInputCases(cases, name, call);
          addTargetCases(cases, name, call, new long[][] {{1}, {3}});
        });
    String shares = "; an output must not overlap an input";
    LayerCall into = (layer, w) -> layer.probabilities(w.f("x"), w.f("out"));
    addLayerCase(cases, "out null", NULL, "out", w -> w.replace("out", null), into);
    addOutputCases(
        cases,
        "out",
        "(batch, outputs)",
        Shape.of(2, 9),
        new long[][] {{1, 9}, {2, 8}, {2, 12}, {18}, {2, 9, 1}},
        into);
    for (String name : Backend.isNative() ? List.of("W1", "W2") : List.<String>of()) {
      addLayerCase(
          cases,
          "out is " + name,
          ARGUMENT,
          "out: shares memory with " + name + shares,
          w -> {},
          (layer, w) ->
              layer.logProbabilities(
                  w.f("x"), FloatTensor.wrap(w.f(name).asFloatBuffer().slice(0, 18), 2, 9)));
    }
    for (int k : new int[] {0, -1}) {
      addLayerCase(
          cases,
          "topK " + k,
          ARGUMENT,
          "k: expected at least 1 but was " + k,
          w -> {},
          (layer, w) -> layer.topK(w.f("x"), k));
    }
    for (double bad : new double[] {0, -0.5, 1.5, Double.NaN}) {
      String message = ": expected a number in (0, 1] but was " + bad;
      addLayerCase(
          cases,
          "topP " + bad,
          ARGUMENT,
          "mass" + message,
          w -> {},
          (layer, w) -> layer.topP(w.f("x"), bad));
      addLayerCase(
          cases,
          "atLeast " + bad,
          ARGUMENT,
          "probability" + message,
          w -> {},
          (layer, w) -> layer.atLeast(w.f("x"), bad));
    }
    for (double bad : new double[] {0, -1, Double.NaN, Double.POSITIVE_INFINITY}) {
      addLayerCase(
          cases,
          "temperature " + bad,
          ARGUMENT,
          "temperature: expected a finite number > 0 but was " + bad,
          w -> {},
          (layer, w) -> layer.sample(w.f("x"), bad, new SplittableRandom(1), Filter.without()));
    }
    addLayerCase(
        cases, "random null", NULL, "random", w -> {}, (layer, w) -> layer.sample(w.f("x"), null));
    for (int bad : new int[] {-1, 9}) {
      addLayerCase(
          cases,
          "candidate " + bad,
          BOUNDS,
          "targets[1, 2] = " + bad + " is outside [0, outputs = 9)",
          w -> {},
          (layer, w) -> {
            try (IntTensor candidates = indices(9, 2, 3)) {
              candidates.set(bad, 1, 2);
              layer.logProbabilitiesOf(w.f("x"), candidates);
            }
          });
    }
  }

  private static void addExplanations(List<Case> cases) {
    LayerCall explain = (layer, w) -> layer.explain(w.f("x"), 0);
    addLayerCase(cases, "explain: x null", NULL, "x", w -> w.replace("x", null), explain);
    for (long[] dims : new long[][] {{2, 6}, {1, 5}, {6}, {0, 6}, {1, 6, 1}}) {
      addLayerCase(
          cases,
          "explain: x " + Shape.of(dims),
          ARGUMENT,
          "x: expected (1, features) = (1, 6) but was " + Shape.of(dims),
          w -> w.replace("x", floats(dims)),
          explain);
    }
    addLayerCase(
        cases,
        "explain: x closed",
        STATE,
        "x: the tensor (1, 6) is closed",
        w -> {
          w.replace("x", floats(1, 6));
          w.close("x");
        },
        explain);
    for (int bad : new int[] {-1, 9, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
      addLayerCase(
          cases,
          "explain output " + bad,
          BOUNDS,
          "output: " + bad + " is outside [0, outputs = 9)",
          w -> w.replace("x", floats(1, 6)),
          (layer, w) -> layer.explain(w.f("x"), bad));
    }
    LayerCall candidates = (layer, w) -> layer.logProbabilitiesOf(w.f("x"), w.i("targets"));
    for (long[] dims : new long[][] {{}, {2, 3, 1}}) {
      addLayerCase(
          cases,
          "candidates " + Shape.of(dims),
          ARGUMENT,
          "targets: expected (batch) or (batch, n) but was " + Shape.of(dims),
          w -> w.replace("targets", indices(9, dims)),
          candidates);
    }
    addLayerCase(
        cases,
        "candidates of another batch",
        ARGUMENT,
        "targets: expected (batch, n) = (2, 4) but was (3, 4)",
        w -> w.replace("targets", indices(9, 3, 4)),
        candidates);
    addLayerCase(
        cases, "candidates null", NULL, "targets", w -> w.replace("targets", null), candidates);
    addLayerCase(
        cases,
        "candidates closed",
        STATE,
        "targets: the tensor (2, 4) is closed",
        w -> {
          w.replace("targets", indices(9, 2, 4));
          w.close("targets");
        },
        candidates);
    for (int bad : new int[] {-1, 2}) {
      Map<String, Consumer<Ranking>> ofRows =
          new TreeMap<>(
              Map.of(
                  "size", ranking -> ranking.size(bad),
                  "output", ranking -> ranking.output(bad, 0),
                  "logProbability", ranking -> ranking.logProbability(bad, 0),
                  "probability", ranking -> ranking.probability(bad, 0),
                  "outputs", ranking -> ranking.outputs(bad),
                  "openedClasses", ranking -> ranking.openedClasses(bad)));
      Map<String, Consumer<Ranking>> ofRanks =
          new TreeMap<>(
              Map.of(
                  "output", ranking -> ranking.output(1, bad),
                  "logProbability", ranking -> ranking.logProbability(1, bad),
                  "probability", ranking -> ranking.probability(1, bad)));
      addRankingCases(cases, "row: " + bad + " is outside [0, batch = 2)", ofRows);
      addRankingCases(cases, "rank: " + bad + " is outside [0, size = 2)", ofRanks);
    }
  }

  private static void addRankingCases(
      List<Case> cases, String message, Map<String, Consumer<Ranking>> calls) {
    calls.forEach(
        (name, call) ->
            addLayerCase(
                cases,
                "ranking " + name + ", " + message,
                BOUNDS,
                message,
                w -> {},
                (layer, w) -> call.accept(layer.topK(w.f("x"), 2))));
  }
}
