// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.testing.InvalidSoftmaxInput;

/** Arguments that the builder of a layer and {@code hSoftmax} reject. */
final class InvalidParameterInputTest extends InvalidSoftmaxInput {
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addLayers(cases);
    addHSoftmax(cases);
    return cases.stream();
  }

  private static void addLayers(List<Case> cases) {
    for (int bad : new int[] {0, -1}) {
      String message = ": expected at least 1 but was " + bad;
      add(
          cases,
          "features " + bad,
          ARGUMENT,
          "features" + message,
          w -> HierarchicalSoftmax.builder(bad, 1));
      add(
          cases,
          "outputs " + bad,
          ARGUMENT,
          "outputs" + message,
          w -> HierarchicalSoftmax.builder(1, bad));
    }
    add(
        cases,
        "features most",
        ARGUMENT,
        "features: expected at most 2147483639 but was 2147483640",
        w -> HierarchicalSoftmax.builder(Integer.MAX_VALUE - 7, 1));
    add(cases, "classes null", NULL, "classes", w -> builder().classes((ClassAssignment) null));
    add(cases, "workers null", NULL, "workers", w -> builder().workers(null));
    add(
        cases,
        "classes of others",
        ARGUMENT,
        "classes: expected an assignment of 9 outputs but was one of 8",
        w -> builder().classes(ClassAssignment.contiguous(8, 2)));

    Map<String, String> parameters =
        new TreeMap<>(
            Map.of(
                "W1", "(features, classes)",
                "b1", "(classes)",
                "W2", "(classes, features, slots)",
                "b2", "(classes, slots)"));
    Map<String, long[]> shapes =
        Map.of(
            "W1",
            new long[] {6, 4},
            "b1",
            new long[] {4},
            "W2",
            new long[] {4, 6, 3},
            "b2",
            new long[] {4, 3});
    parameters.forEach(
        (name, words) -> {
          addLayerCase(
              cases, name + " null", NULL, name, w -> w.replace(name, null), (layer, w) -> {});
          long[] right = shapes.get(name);
          List<long[]> wrong = new ArrayList<>();
          wrong.add(Arrays.copyOf(right, right.length - 1));
          wrong.add(Arrays.copyOf(right, right.length + 1));
          for (int axis = 0; axis < right.length; axis++) {
            for (int change : new int[] {-1, 1}) {
              long[] dims = right.clone();
              dims[axis] += change;
              wrong.add(dims);
            }
          }
          for (long[] dims : wrong) {
            String message =
                name
                    + ": expected "
                    + words
                    + " = "
                    + Shape.of(right)
                    + " but was "
                    + Shape.of(dims);
            addLayerCase(
                cases,
                name + " " + Shape.of(dims),
                ARGUMENT,
                message,
                w -> w.replace(name, floats(dims)),
                (layer, w) -> {});
            World world = layerWorld();
            world.fault(w -> w.replace(name, floats(dims)));
            add(
                cases,
                "hSoftmax " + name + " " + Shape.of(dims),
                ARGUMENT,
                message,
                world,
                w -> hSoftmax(w, null));
          }
          World closed = layerWorld();
          closed.fault(w -> w.close(name));
          add(
              cases,
              "hSoftmax " + name + " closed",
              STATE,
              name + ": the tensor " + Shape.of(right) + " is closed",
              closed,
              w -> hSoftmax(w, null));
        });
  }

  private static FloatTensor hSoftmax(World w, IntTensor target) {
    return TheanoSoftmax.apply(
        w.f("x"), 2, 12, 4, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), target);
  }

  private static void addHSoftmax(List<Case> cases) {
    for (String name : new String[] {"x", "W1", "b1", "W2", "b2"}) {
      World world = layerWorld();
      world.fault(w -> w.replace(name, null));
      add(cases, "hSoftmax " + name + " null", NULL, name, world, w -> hSoftmax(w, null));
    }
    add(
        cases,
        "hSoftmax workers null",
        NULL,
        "workers",
        layerWorld(),
        w ->
            TheanoSoftmax.apply(
                w.f("x"), 2, 12, 4, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null, null));
    for (int bad : new int[] {0, -1}) {
      String message = ": expected at least 1 but was " + bad;
      add(
          cases,
          "hSoftmax nClasses " + bad,
          ARGUMENT,
          "nClasses" + message,
          layerWorld(),
          w ->
              TheanoSoftmax.apply(
                  w.f("x"), 2, 12, bad, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null));
      add(
          cases,
          "hSoftmax nOutputsPerClass " + bad,
          ARGUMENT,
          "nOutputsPerClass" + message,
          layerWorld(),
          w ->
              TheanoSoftmax.apply(
                  w.f("x"), 2, 12, 4, bad, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null));
    }
    for (int bad : new int[] {0, 13, -1}) {
      add(
          cases,
          "hSoftmax nOutputs " + bad,
          ARGUMENT,
          "nOutputs: expected a number in [1, nClasses * nOutputsPerClass = 12] but was " + bad,
          layerWorld(),
          w ->
              TheanoSoftmax.apply(
                  w.f("x"), 2, bad, 4, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null));
    }
    for (int bad : new int[] {1, 3}) {
      add(
          cases,
          "hSoftmax batchSize " + bad,
          ARGUMENT,
          "x: expected (batchSize, features) = (" + bad + ", 6) but was (2, 6)",
          layerWorld(),
          w ->
              TheanoSoftmax.apply(
                  w.f("x"), bad, 12, 4, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null));
    }
    add(
        cases,
        "hSoftmax batchSize -1",
        ARGUMENT,
        "batchSize: expected at least 0 but was -1",
        layerWorld(),
        w ->
            TheanoSoftmax.apply(
                w.f("x"), -1, 12, 4, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null));
    int rows = (1 << 29) + 1;
    World many = layerWorld();
    many.fault(w -> w.replace("x", floats(rows, 0)));
    add(
        cases,
        "hSoftmax of too many rows",
        ARGUMENT,
        "x: 536870913 rows are more than the 2^29 that one call can take; split the batch",
        many,
        w ->
            TheanoSoftmax.apply(
                w.f("x"), rows, 12, 4, 3, w.f("W1"), w.f("b1"), w.f("W2"), w.f("b2"), null));
    for (int bad : new int[] {-1, 12}) {
      World world = layerWorld();
      world.fault(w -> w.i("targets").set(bad, 1));
      add(
          cases,
          "hSoftmax target " + bad,
          BOUNDS,
          "target[1] = " + bad + " is outside [0, nOutputs = 12)",
          world,
          w -> hSoftmax(w, w.i("targets")));
    }
    World wrong = layerWorld();
    wrong.fault(w -> w.replace("targets", indices(9, 3)));
    add(
        cases,
        "hSoftmax target (3)",
        ARGUMENT,
        "target: expected (batchSize) = (2) but was (3)",
        wrong,
        w -> hSoftmax(w, w.i("targets")));
  }
}
