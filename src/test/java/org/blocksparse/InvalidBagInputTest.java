// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.testing.InvalidInput;

/** Arguments that sparse rows and embedding bags reject. */
final class InvalidBagInputTest extends InvalidInput {
  /** A call of a layer that is made from a table and closed after the call. */
  private interface LayerCall {
    void run(EmbeddingBag layer, SparseRows rows, World world);
  }

  private static final String SHARES = "; an output must not overlap an input";

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addRows(cases);
    if (Backend.isNative()) {
      addMemory(cases);
    }
    addBuilder(cases);
    addLayer(cases);
    return cases.stream();
  }

  private static void refuseRows(
      List<Case> cases, Class<? extends Throwable> type, String message, Runnable call) {
    add(cases, "rows: " + message, type, message, new World(), w -> call.run());
  }

  private static int[] ints(int... values) {
    return values;
  }

  private static void addRows(List<Case> cases) {
    refuseRows(cases, NULL, "offsets", () -> SparseRows.of(null, ints()));
    refuseRows(cases, NULL, "indices", () -> SparseRows.of(ints(0), null));
    refuseRows(cases, NULL, "values", () -> SparseRows.of(ints(0), ints(), null));
    refuseRows(cases, NULL, "indices", () -> SparseRows.of((List<int[]>) null));
    refuseRows(cases, NULL, "values", () -> SparseRows.of(List.of(), null));
    refuseRows(cases, NULL, "indices", () -> SparseRows.of(Arrays.asList(ints(1), null)));
    refuseRows(
        cases,
        NULL,
        "values",
        () -> SparseRows.of(List.of(ints(1)), Collections.singletonList(null)));
    refuseRows(
        cases,
        ARGUMENT,
        "indices: expected less than 2147483639 rows but was 2147483647",
        () -> SparseRows.of(Collections.nCopies(Integer.MAX_VALUE, ints())));
    refuseRows(
        cases,
        ARGUMENT,
        "offsets: expected rows + 1 elements but was 0",
        () -> SparseRows.of(ints(), ints()));
    refuseRows(
        cases,
        ARGUMENT,
        "offsets[0]: expected 0 but was 1",
        () -> SparseRows.of(ints(1, 2), ints(1, 1)));
    refuseRows(
        cases,
        ARGUMENT,
        "offsets[2] = 1 is less than the one before",
        () -> SparseRows.of(ints(0, 2, 1, 2), ints(1, 1)));
    refuseRows(
        cases,
        ARGUMENT,
        "offsets[1] = -1 is less than the one before",
        () -> SparseRows.of(ints(0, -1), ints(1, 1)));
    refuseRows(
        cases,
        ARGUMENT,
        "offsets: expected to end with the 2 indices there are but was 3",
        () -> SparseRows.of(ints(0, 3), ints(1, 1)));
    refuseRows(
        cases,
        ARGUMENT,
        "values: expected 2 elements but was 1",
        () -> SparseRows.of(ints(0, 2), ints(1, 1), new float[1]));
    refuseRows(
        cases,
        ARGUMENT,
        "values: expected 1 elements but was 0",
        () -> SparseRows.of(List.of(ints(1)), List.of()));
    refuseRows(
        cases,
        ARGUMENT,
        "values[1]: expected 2 elements but was 1",
        () -> SparseRows.of(List.of(ints(), ints(1, 1)), List.of(new float[0], new float[1])));
    refuseRows(
        cases, BOUNDS, "indices[1] = -1 is negative", () -> SparseRows.of(ints(0, 2), ints(1, -1)));
    refuseRows(
        cases,
        ARGUMENT,
        "indices: more entries than the 2^31 - 1 that offsets can count",
        () -> SparseRows.of(java.util.Collections.nCopies(22_000, new int[100_000])));
    addUses(cases);
  }

  private static void addUses(List<Case> cases) {
    Map<String, Object[]> uses = new LinkedHashMap<>();
    uses.put("row: 3 is outside [0, rows = 3)", new Object[] {BOUNDS, 3});
    uses.put("row: -1 is outside [0, rows = 3)", new Object[] {BOUNDS, -1});
    uses.forEach(
        (message, use) ->
            refuseRows(
                cases,
                BOUNDS,
                message,
                () -> {
                  try (SparseRows rows = three()) {
                    rows.indices((Integer) use[1]);
                  }
                }));
    refuseRows(
        cases,
        BOUNDS,
        "which[1] = 3 is outside [0, rows = 3)",
        () -> {
          try (SparseRows rows = three()) {
            rows.select(0, 3);
          }
        });
    refuseRows(
        cases,
        BOUNDS,
        "begin = 2, end - begin = 2: outside [0, rows = 3)",
        () -> {
          try (SparseRows rows = three()) {
            rows.slice(2, 4);
          }
        });
    refuseRows(
        cases,
        STATE,
        "rows: the SparseRows(3 rows, 4 entries) are closed",
        () -> {
          SparseRows rows = three();
          rows.close();
          rows.size(0);
        });
  }

  private static SparseRows three() {
    return SparseRows.of(ints(0, 2, 2, 4), ints(1, 0, 4, 4));
  }

  private static IntBuffer direct(int... values) {
    IntBuffer buffer =
        ByteBuffer.allocateDirect(4 * values.length).order(ByteOrder.nativeOrder()).asIntBuffer();
    return buffer.put(0, values);
  }

  /**
   * Returns three rows, the first of which has all elements of a tensor as its values, in place.
   */
  private static SparseRows withValuesIn(FloatTensor memory) {
    int entries = (int) memory.shape().size();
    int[] indices = new int[entries];
    Arrays.setAll(indices, i -> i % 5);
    return SparseRows.wrap(
        direct(0, entries, entries, entries), direct(indices), memory.asFloatBuffer());
  }

  private static void addMemory(List<Case> cases) {
    String expected = ": expected a direct buffer in native byte order but was";
    refuseRows(
        cases,
        ARGUMENT,
        "offsets" + expected + " on the heap",
        () -> SparseRows.wrap(IntBuffer.allocate(1), direct()));
    ByteOrder foreign =
        ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN
            ? ByteOrder.LITTLE_ENDIAN
            : ByteOrder.BIG_ENDIAN;
    refuseRows(
        cases,
        ARGUMENT,
        "indices" + expected + " in " + foreign,
        () ->
            SparseRows.wrap(direct(0), ByteBuffer.allocateDirect(0).order(foreign).asIntBuffer()));
    refuseRows(
        cases,
        ARGUMENT,
        "indices: expected an address that is a multiple of 4",
        () ->
            SparseRows.wrap(
                direct(0, 1),
                ByteBuffer.allocateDirect(8)
                    .position(1)
                    .slice()
                    .order(ByteOrder.nativeOrder())
                    .asIntBuffer()));
    refuseRows(
        cases,
        ARGUMENT,
        "offsets: expected to end with the 2 indices there are but was 1",
        () -> SparseRows.wrap(direct(0, 1), direct(5, 6)));
    refuseRows(
        cases,
        BOUNDS,
        "indices[0] = -3 is negative",
        () -> SparseRows.wrap(direct(0, 1), direct(-3)));
    refuseRows(cases, NULL, "values", () -> SparseRows.wrap(direct(0), direct(), null));
    refuseRows(
        cases,
        ARGUMENT,
        "values" + expected + " on the heap",
        () -> SparseRows.wrap(direct(0, 1), direct(5), FloatBuffer.allocate(1)));
    refuseRows(
        cases,
        ARGUMENT,
        "values: expected 1 elements but was 2",
        () ->
            SparseRows.wrap(
                direct(0, 1),
                direct(5),
                ByteBuffer.allocateDirect(8).order(ByteOrder.nativeOrder()).asFloatBuffer()));
  }

  private static void addBuilder(List<Case> cases) {
    add(
        cases,
        "no vocabulary",
        ARGUMENT,
        "vocabulary: expected at least 1 but was 0",
        new World(),
        w -> EmbeddingBag.builder(0, 2));
    add(
        cases,
        "no features",
        ARGUMENT,
        "features: expected at least 1 but was 0",
        new World(),
        w -> EmbeddingBag.builder(2, 0));
    String tooMany = ": expected at most 2147483639 but was 2147483640";
    add(
        cases,
        "most vocabulary",
        ARGUMENT,
        "vocabulary" + tooMany,
        new World(),
        w -> EmbeddingBag.builder(Integer.MAX_VALUE - 7, 2));
    add(
        cases,
        "most features",
        ARGUMENT,
        "features" + tooMany,
        new World(),
        w -> EmbeddingBag.builder(2, Integer.MAX_VALUE - 7));
    add(cases, "mode null", NULL, "mode", new World(), w -> EmbeddingBag.builder(1, 1).mode(null));
    add(
        cases,
        "workers null",
        NULL,
        "workers",
        new World(),
        w -> EmbeddingBag.builder(1, 1).workers(null));
    add(
        cases,
        "table null",
        NULL,
        "table",
        new World(),
        w -> EmbeddingBag.builder(1, 1).build(null));
    add(
        cases,
        "table of another shape",
        ARGUMENT,
        "table: expected (vocabulary, features) = (5, 2) but was (2, 5)",
        new World().with("table", () -> floats(2, 5)),
        w -> EmbeddingBag.builder(5, 2).build(w.f("table")));
  }

  private static void addLayerCase(
      List<Case> cases,
      String name,
      Class<? extends Throwable> type,
      String message,
      LayerCall call) {
    World world =
        new World()
            .with("table", () -> floats(5, 2))
            .with("gradOut", () -> floats(3, 2))
            .with("out", () -> floats(3, 2))
            .with("gradValues", () -> floats(4))
            .with("wrong", () -> floats(2, 3));
    add(
        cases,
        "layer " + name,
        type,
        message,
        world,
        w -> {
          try (EmbeddingBag layer = EmbeddingBag.builder(5, 2).build(w.f("table"));
              SparseRows rows = three()) {
            call.run(layer, rows, w);
          }
        });
  }

  private static void addLayer(List<Case> cases) {
    Map<String, LayerCall> calls = new LinkedHashMap<>();
    calls.put("apply", (layer, rows, w) -> layer.apply(rows));
    calls.put("apply into", (layer, rows, w) -> layer.apply(rows, w.f("out")));
    calls.put("gradValues", (layer, rows, w) -> layer.gradValues(rows, w.f("gradOut")));
    calls.put(
        "gradValues into",
        (layer, rows, w) -> layer.gradValues(rows, w.f("gradOut"), w.f("gradValues")));
    calls.put("step", (layer, rows, w) -> layer.step(rows, w.f("gradOut"), Optimizer.adagrad(1)));
    calls.forEach(
        (name, call) -> {
          addLayerCase(
              cases,
              name + ", rows null",
              NULL,
              "rows",
              (layer, rows, w) -> call.run(layer, null, w));
          addLayerCase(
              cases,
              name + ", an index outside",
              BOUNDS,
              "rows: index 5 of row 1 is outside [0, vocabulary = 5)",
              (layer, rows, w) -> {
                try (SparseRows outside = SparseRows.of(ints(0, 1, 3, 3), ints(1, 4, 5))) {
                  call.run(layer, outside, w);
                }
              });
          addLayerCase(
              cases,
              name + ", rows closed",
              STATE,
              "rows: the SparseRows(3 rows, 4 entries) are closed",
              (layer, rows, w) -> {
                rows.close();
                call.run(layer, rows, w);
              });
          addLayerCase(
              cases,
              name + ", layer closed",
              STATE,
              "layer: the layer is closed",
              (layer, rows, w) -> {
                layer.close();
                call.run(layer, rows, w);
              });
          if (!name.startsWith("apply")) {
            addLayerCase(
                cases,
                name + ", gradOut of another shape",
                ARGUMENT,
                "gradOut: expected (rows, features) = (3, 2) but was (2, 3)",
                (layer, rows, w) -> {
                  w.replace("gradOut", floats(2, 3));
                  call.run(layer, rows, w);
                });
            addLayerCase(
                cases,
                name + ", gradOut null",
                NULL,
                "gradOut",
                (layer, rows, w) -> {
                  w.replace("gradOut", null);
                  call.run(layer, rows, w);
                });
            addLayerCase(
                cases,
                name + ", gradOut closed",
                STATE,
                "gradOut: the tensor (3, 2) is closed",
                (layer, rows, w) -> {
                  w.close("gradOut");
                  call.run(layer, rows, w);
                });
          }
        });
    addOutputs(cases);
  }

  private static void addOutputs(List<Case> cases) {
    addLayerCase(
        cases,
        "out of another shape",
        ARGUMENT,
        "out: expected (rows, features) = (3, 2) but was (2, 3)",
        (layer, rows, w) -> layer.apply(rows, w.f("wrong")));
    addLayerCase(cases, "out null", NULL, "out", (layer, rows, w) -> layer.apply(rows, null));
    addLayerCase(
        cases,
        "out closed",
        STATE,
        "out: the tensor (3, 2) is closed",
        (layer, rows, w) -> {
          w.close("out");
          layer.apply(rows, w.f("out"));
        });
    addLayerCase(
        cases,
        "out is the table",
        ARGUMENT,
        "out: shares memory with table" + SHARES,
        (layer, rows, w) -> {
          try (SparseRows five = SparseRows.of(ints(0, 1, 1, 1, 1, 1), ints(0))) {
            layer.apply(five, layer.table());
          }
        });
    addLayerCase(
        cases,
        "gradValues of another shape",
        ARGUMENT,
        "out: expected (entries) = (4) but was (2, 3)",
        (layer, rows, w) -> layer.gradValues(rows, w.f("gradOut"), w.f("wrong")));
    addLayerCase(
        cases,
        "gradValues are gradOut",
        ARGUMENT,
        "out: shares memory with gradOut" + SHARES,
        (layer, rows, w) -> {
          try (SparseRows six = SparseRows.of(ints(0, 6, 6, 6), new int[6])) {
            layer.gradValues(six, w.f("gradOut"), w.f("gradOut").reshape(6));
          }
        });
    addLayerCase(
        cases,
        "gradValues are the table",
        ARGUMENT,
        "out: shares memory with table" + SHARES,
        (layer, rows, w) -> {
          try (SparseRows ten = SparseRows.of(ints(0, 10, 10, 10), new int[10])) {
            layer.gradValues(ten, w.f("gradOut"), layer.table().reshape(10));
          }
        });
    addLayerCase(
        cases,
        "gradOut is the table",
        ARGUMENT,
        "table: shares memory with gradOut" + SHARES,
        (layer, rows, w) -> {
          try (SparseRows five = SparseRows.of(ints(0, 1, 1, 1, 1, 1), ints(0))) {
            layer.step(five, layer.table(), Optimizer.sgd(1));
          }
        });
    addLayerCase(
        cases,
        "optimizer null",
        NULL,
        "optimizer",
        (layer, rows, w) -> layer.step(rows, w.f("gradOut"), null));
    if (Backend.isNative()) {
      addLayerCase(
          cases,
          "out is the values",
          ARGUMENT,
          "out: shares memory with rows" + SHARES,
          (layer, rows, w) -> {
            try (SparseRows own = withValuesIn(w.f("out"))) {
              layer.apply(own, w.f("out"));
            }
          });
      addLayerCase(
          cases,
          "gradValues are the values",
          ARGUMENT,
          "out: shares memory with rows" + SHARES,
          (layer, rows, w) -> {
            try (SparseRows own = withValuesIn(w.f("out"))) {
              layer.gradValues(own, w.f("gradOut"), w.f("out").reshape(6));
            }
          });
      addLayerCase(
          cases,
          "the table is the values",
          ARGUMENT,
          "table: shares memory with rows" + SHARES,
          (layer, rows, w) -> {
            try (SparseRows own = withValuesIn(layer.table())) {
              layer.step(own, w.f("gradOut"), Optimizer.sgd(1));
            }
          });
    }
  }
}
