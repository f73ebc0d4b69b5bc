// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.ranking;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.testing.InvalidSoftmaxInput;

/** Filters that calls reject. */
final class InvalidFilterInputTest extends InvalidSoftmaxInput {
  private interface FilteredCall {
    void run(HierarchicalSoftmax layer, FloatTensor x, Filter filter);
  }

  private static final Map<String, FilteredCall> CALLS = new LinkedHashMap<>();

  static {
    CALLS.put("topK", (layer, x, filter) -> layer.topK(x, 2, filter));
    CALLS.put("topP", (layer, x, filter) -> layer.topP(x, .5, filter));
    CALLS.put("atLeast", (layer, x, filter) -> layer.atLeast(x, .5, filter));
    CALLS.put("sample", (layer, x, f) -> layer.sample(x, 1, new SplittableRandom(1), f));
  }

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    CALLS.forEach((name, call) -> addCalls(cases, name, call));
    addMakers(cases);
    return cases.stream();
  }

  private static void addMakers(List<Case> cases) {
    Map<String, Runnable> nulls =
        new TreeMap<>(
            Map.of(
                "without", () -> Filter.without((int[]) null),
                "only", () -> Filter.only((int[]) null),
                "without rows", () -> Filter.without((SparseRows) null),
                "only rows", () -> Filter.only((SparseRows) null)));
    nulls.forEach(
        (name, maker) ->
            addLayerCase(
                cases, name + " null", NULL, "outputs", w -> {}, (layer, w) -> maker.run()));
    addLayerCase(
        cases, "and null", NULL, "other", w -> {}, (layer, w) -> Filter.without(1).and(null));
    addLayerCase(
        cases,
        "and other rows",
        ARGUMENT,
        "other: expected (batch) = (2) rows but was 3",
        w -> {},
        (layer, w) -> {
          try (SparseRows two = SparseRows.of(new int[3], new int[0]);
              SparseRows three = SparseRows.of(new int[4], new int[0])) {
            Filter.without(two).and(Filter.only(7)).and(Filter.only(three));
          }
        });
    addLayerCase(
        cases,
        "and too many",
        ARGUMENT,
        "other: expected at most 64 lists together but was 65; put outputs into fewer",
        w -> {},
        (layer, w) -> {
          Filter all = Filter.without(1);
          for (int i = 0; i < 64; i++) {
            all = all.and(Filter.only(1));
          }
        });
  }

  private static void addCalls(List<Case> cases, String name, FilteredCall call) {
    addInputCases(
        cases, "filtered " + name, (layer, w) -> call.run(layer, w.f("x"), Filter.without(1)));
    addLayerCase(
        cases,
        name + ": filter null",
        NULL,
        "filter",
        w -> {},
        (layer, w) -> call.run(layer, w.f("x"), null));
    for (int bad : new int[] {-1, 9, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
      addLayerCase(
          cases,
          name + ": without " + bad,
          BOUNDS,
          "filter[1] = " + bad + " is outside [0, outputs = 9)",
          w -> {},
          (layer, w) -> call.run(layer, w.f("x"), Filter.without(0, bad)));
      addLayerCase(
          cases,
          name + ": only " + bad,
          BOUNDS,
          "filter[0] = " + bad + " is outside [0, outputs = 9)",
          w -> {},
          (layer, w) -> call.run(layer, w.f("x"), Filter.only(bad, 0).withRenormalization()));
      addLayerCase(
          cases,
          name + ": only some and without " + bad,
          BOUNDS,
          "filter[0] = " + bad + " is outside [0, outputs = 9)",
          w -> {},
          (layer, w) -> call.run(layer, w.f("x"), Filter.only(2).and(Filter.without(bad))));
    }
    Map<String, Function<SparseRows, Filter>> kinds =
        new TreeMap<>(Map.of("without", Filter::without, "only", Filter::only));
    kinds.forEach(
        (kind, filter) -> {
          String ofRows = name + ": " + kind;
          LayerCall withRows =
              (layer, w) -> {
                try (SparseRows rows = SparseRows.of(List.of(new int[] {8}, new int[] {1, 9}))) {
                  call.run(layer, w.f("x"), filter.apply(rows));
                }
              };
          addLayerCase(
              cases,
              ofRows + " an index too large",
              BOUNDS,
              "filter: index 9 of row 1 is outside [0, outputs = 9)",
              w -> {},
              withRows);
          for (int rows : new int[] {0, 1, 3}) {
            addLayerCase(
                cases,
                ofRows + " in " + rows + " rows",
                ARGUMENT,
                "filter: expected (batch) = (2) rows but was " + rows,
                w -> {},
                (layer, w) -> {
                  try (SparseRows wrong = SparseRows.of(new int[rows + 1], new int[0])) {
                    call.run(layer, w.f("x"), filter.apply(wrong));
                  }
                });
          }
          addLayerCase(
              cases,
              ofRows + " in closed rows",
              STATE,
              "filter: the SparseRows(2 rows, 2 entries) are closed",
              w -> {},
              (layer, w) -> {
                SparseRows rows = SparseRows.of(new int[] {0, 1, 2}, new int[2]);
                rows.close();
                call.run(layer, w.f("x"), filter.apply(rows).and(Filter.without(1)));
              });
        });
  }
}
