// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.Backend;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Shape;
import org.blocksparse.Workers;
import org.blocksparse.testing.InvalidInput;

/** Arguments that activations, epilogues and their fused gradients reject. */
final class InvalidActivationInputTest extends InvalidInput {
  private static final String SHARES = "; an output must not overlap an input";

  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    addActivations(cases);
    addGradients(cases);
    addEpilogues(cases);
    addFused(cases);
    if (Backend.isNative()) { // without the native library, two tensors do not share memory
      addOverlapsOfGradients(cases);
      addOverlaps(cases);
    }
    return cases.stream();
  }

  /** Adds calls on tensors of 4 rows of 6 elements, or of 12 in two halves. */
  private static void refuse(
      List<Case> cases, Class<? extends Throwable> type, String message, Consumer<World> call) {
    World world =
        new World()
            .with("z", () -> floats(2, 2, 6))
            .with("halves", () -> floats(2, 2, 12))
            .with("gate", () -> floats(2, 2))
            .with("a", () -> floats(2, 2, 6))
            .with("gradZ", () -> floats(2, 2, 6))
            .with("gradHalves", () -> floats(2, 2, 12))
            .with("gradGate", () -> floats(2, 2))
            .with("blocks", () -> floats(2, 2, 6, 5))
            .with("blocksZ", () -> floats(2, 2, 5, 6))
            .with("blocksA", () -> floats(2, 2, 5, 6))
            .with("fives", () -> floats(2, 2, 5, 6, 1))
            .with("gradFives", () -> floats(2, 2, 5, 6, 1))
            .with("closed", () -> floats(2, 2, 6))
            .fault(w -> w.close("closed"));
    add(cases, "activation: " + message + " " + cases.size(), type, message, world, call);
  }

  private static void addActivations(List<Case> cases) {
    Activation relu = Activation.RELU;
    refuse(cases, NULL, "f", w -> Activations.apply(null, w.f("z"), w.f("a")));
    refuse(cases, NULL, "z", w -> Activations.apply(relu, null, w.f("a")));
    refuse(cases, NULL, "a", w -> Activations.apply(relu, w.f("z"), null));
    refuse(
        cases,
        NULL,
        "workers",
        w -> Activations.apply(relu, w.f("z"), null, w.f("a"), (Workers) null));
    refuse(
        cases,
        ARGUMENT,
        "z: expected (..., n) = (2, 2, 6) but was (2, 2, 12)",
        w -> Activations.apply(relu, w.f("halves"), w.f("a")));
    refuse(
        cases,
        ARGUMENT,
        "z: expected (..., 2 n) = (2, 2, 12) but was (2, 2, 6)",
        w -> Activations.apply(Activation.SWIGLU, w.f("z"), w.f("a")));
    refuse(
        cases,
        ARGUMENT,
        "gate: expected (...) = (2, 2) but was (2, 2, 6)",
        w -> Activations.apply(relu, w.f("z"), w.f("gradZ"), w.f("a"), Workers.common()));
    refuse(
        cases,
        ARGUMENT,
        "z: expected a contiguous tensor but (2, 2, 5, 6) is a transposed view",
        w -> Activations.apply(relu, w.f("blocks").transposeBlocks(), w.f("a")));
    refuse(
        cases,
        STATE,
        "z: the tensor (2, 2, 6) is closed",
        w -> Activations.apply(relu, w.f("closed"), w.f("a")));
    refuse(
        cases,
        STATE,
        "a: the tensor (2, 2, 6) is closed",
        w -> Activations.apply(relu, w.f("z"), w.f("closed")));
    add(
        cases,
        "activation: too many rows",
        ARGUMENT,
        "a: 4294967296 rows are more than the 2^31 - 1 that one call can take; split the batch",
        new World()
            .with("z", () -> floats(1 << 16, 1 << 16, 0))
            .with("a", () -> floats(1 << 16, 1 << 16, 0)),
        w -> Activations.apply(relu, w.f("z"), w.f("a")));
    if (!Backend.isNative()) {
      return; // the tensors below share memory, which heap tensors cannot
    }
    refuse(
        cases,
        ARGUMENT,
        "a: shares memory with gate" + SHARES,
        w ->
            Activations.apply(
                relu,
                w.f("z").reshape(4, 6),
                part(w.f("a"), 0, 4),
                w.f("a").reshape(4, 6),
                Workers.common()));
    refuse(
        cases,
        ARGUMENT,
        "a: shares memory with z" + SHARES,
        w -> Activations.apply(Activation.GEGLU, w.f("halves"), part(w.f("halves"), 0, 2, 2, 6)));
    refuse(
        cases,
        ARGUMENT,
        "a: shares memory with z" + SHARES,
        w -> Activations.apply(relu, part(w.f("halves"), 0, 2, 6), part(w.f("halves"), 1, 2, 6)));
  }

  /** Returns another tensor over part of a tensor's memory. */
  private static FloatTensor part(FloatTensor of, int from, long... shape) {
    int size = (int) Shape.of(shape).size();
    return FloatTensor.wrap(of.asFloatBuffer().slice(from, size), shape);
  }

  /**
   * Adds overlaps of two tensors with four rows of 6: the smaller one lies in the memory of the
   * larger one.
   */
  private static void addOverlapsOfGradients(List<Case> cases) {
    String[][] pairs = {
      // the tensor written, the one that it overlaps, and the larger of the two by its name here
      {"gradZ", "gate", "gradZ"},
      {"gradGate", "z", "z"},
      {"gradGate", "gradA", "a"},
      {"gradGate", "gradZ", "gradZ"},
    };
    for (String[] pair : pairs) {
      boolean isGate = pair[1].equals("gate");
      refuse(
          cases,
          ARGUMENT,
          pair[0] + ": shares memory with " + pair[1] + SHARES,
          w -> {
            FloatTensor small = part(w.f(pair[2]), 8, 4);
            Activations.gradient(
                Activation.SILU,
                w.f("z").reshape(4, 6),
                w.f("a").reshape(4, 6),
                GradientOptions.overwrite()
                    .withGate(
                        isGate ? small : w.f("gate").reshape(4),
                        isGate ? w.f("gradGate").reshape(4) : small),
                w.f("gradZ").reshape(4, 6),
                Workers.common());
          });
    }
    refuse(
        cases,
        ARGUMENT,
        "gradZ: shares memory with gradA" + SHARES,
        w ->
            Activations.gradient(
                Activation.SILU,
                w.f("z").reshape(4, 6),
                part(w.f("halves"), 0, 4, 6),
                part(w.f("halves"), 1, 4, 6)));
  }

  private static void addGradients(List<Case> cases) {
    Activation silu = Activation.SILU;
    refuse(cases, NULL, "options", w -> gradient(w, null));
    refuse(
        cases,
        ARGUMENT,
        "options: expected none withActivation, as Activations.gradient takes none from options, but"
            + " was TANH",
        w -> gradient(w, GradientOptions.add(1).withActivation(Activation.TANH, w.f("z"))));
    refuse(cases, NULL, "f", w -> Activations.gradient(null, w.f("z"), w.f("a"), w.f("gradZ")));
    refuse(cases, NULL, "z", w -> Activations.gradient(silu, null, w.f("a"), w.f("gradZ")));
    refuse(cases, NULL, "gradA", w -> Activations.gradient(silu, w.f("z"), null, w.f("gradZ")));
    refuse(cases, NULL, "gradZ", w -> Activations.gradient(silu, w.f("z"), w.f("a"), null));
    refuse(
        cases,
        NULL,
        "gate",
        w -> gradient(w, GradientOptions.overwrite().withGate(null, w.f("gradGate"))));
    refuse(
        cases,
        NULL,
        "gradGate",
        w -> gradient(w, GradientOptions.overwrite().withGate(w.f("gate"), null)));
    refuse(
        cases,
        ARGUMENT,
        "gradZ: expected the shape of z = (2, 2, 12) but was (2, 2, 6)",
        w -> Activations.gradient(Activation.SWIGLU, w.f("halves"), w.f("a"), w.f("gradZ")));
    refuse(
        cases,
        ARGUMENT,
        "gradZ: expected a contiguous tensor but (2, 2, 5, 6) is a transposed view",
        w ->
            Activations.gradient(
                silu, w.f("blocksZ"), w.f("blocksA"), w.f("blocks").transposeBlocks()));
    refuse(
        cases,
        ARGUMENT,
        "gate: expected a contiguous tensor but (2, 2, 5, 6) is a transposed view",
        w ->
            Activations.apply(
                silu,
                w.f("fives"),
                w.f("blocks").transposeBlocks(),
                w.f("gradFives"),
                Workers.common()));
    refuse(
        cases,
        ARGUMENT,
        "gradGate: expected (...) = (2, 2) but was (2, 2, 6)",
        w -> gradient(w, GradientOptions.overwrite().withGate(w.f("gate"), w.f("z"))));
    refuse(
        cases,
        ARGUMENT,
        "gradZ: shares memory with z" + SHARES,
        w -> Activations.gradient(silu, w.f("z"), w.f("a"), w.f("z")));
    refuse(
        cases,
        ARGUMENT,
        "gradGate: shares memory with gate" + SHARES,
        w -> gradient(w, GradientOptions.overwrite().withGate(w.f("gate"), w.f("gate"))));
    refuse(
        cases,
        STATE,
        "gradZ: the tensor (2, 2, 6) is closed",
        w -> Activations.gradient(silu, w.f("z"), w.f("a"), w.f("closed")));
    refuse(
        cases,
        ARGUMENT,
        "gradZ: shares memory with gradA" + SHARES,
        w ->
            Activations.gradient(
                silu, w.f("z"), w.f("a"), GradientOptions.add(1), w.f("a"), Workers.common()));
    for (float alpha : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
      String message = "alpha: expected a finite number but was " + alpha;
      refuse(cases, ARGUMENT, message, w -> gradient(w, GradientOptions.add(alpha)));
      refuse(
          cases,
          ARGUMENT,
          message,
          w -> gradient(w, GradientOptions.add(alpha).withGate(w.f("gate"), w.f("gradGate"))));
    }
    refuse(
        cases,
        NULL,
        "gate",
        w -> gradient(w, GradientOptions.add(1).withGate(null, w.f("gradGate"))));
    refuse(
        cases,
        NULL,
        "gradGate",
        w -> gradient(w, GradientOptions.add(1).withGate(w.f("gate"), null)));
  }

  private static void gradient(World w, GradientOptions options) {
    Activations.gradient(
        Activation.SILU, w.f("z"), w.f("a"), options, w.f("gradZ"), Workers.common());
  }

  /**
   * Returns a batch of 2 that selects 3 of 5 input and 2 of 4 output blocks, of 3 and 6 elements.
   */
  private static World layer() {
    return new World()
        .with("W", () -> floats(5, 4, 3, 6))
        .with("all", () -> floats(5, 4, 3, 6))
        .with("odd", () -> floats(5, 4, 3, 7))
        .with("h", () -> floats(2, 3, 3))
        .with("b", () -> floats(4, 6))
        .with("inputBias", () -> floats(5, 6))
        .with("inputGate", () -> floats(2, 3))
        .with("z", () -> floats(2, 2, 6))
        .with("gate", () -> floats(2, 2))
        .with("out", () -> floats(2, 2, 6))
        .with("half", () -> floats(2, 2, 3))
        .with("gradZ", () -> floats(2, 3, 3))
        .with("gradHalves", () -> floats(2, 3, 6))
        .with("halves", () -> floats(2, 3, 6))
        .with("gradGate", () -> floats(2, 3))
        .with("closed", () -> floats(2, 2, 6))
        .fault(w -> w.close("closed"))
        .with(
            "plan",
            () -> {
              try (IntTensor inputs = indices(5, 2, 3);
                  IntTensor outputs = indices(4, 2, 2)) {
                return BlockPlan.of(inputs, outputs, 5, 4);
              }
            });
  }

  private static void refuseLayer(
      List<Case> cases, Class<? extends Throwable> type, String message, Consumer<World> call) {
    add(cases, "layer: " + message + " " + cases.size(), type, message, layer(), call);
  }

  private static void refuseEpilogue(
      List<Case> cases,
      Class<? extends Throwable> type,
      String message,
      java.util.function.Function<World, Epilogue> epilogue) {
    refuseLayer(
        cases,
        type,
        message,
        w -> SparseBlockDot.apply(w.f("W"), w.f("h"), w.plan(), epilogue.apply(w), w.f("out")));
  }

  private static void addEpilogues(List<Case> cases) {
    Epilogue none = Epilogue.none();
    refuseEpilogue(cases, NULL, "bias", w -> none.withBias(null));
    refuseEpilogue(cases, NULL, "inputBias", w -> none.withInputBias(null));
    refuseEpilogue(cases, NULL, "inputGate", w -> none.withInputBias(w.f("inputBias"), null));
    refuseEpilogue(cases, NULL, "activation", w -> none.withActivation(null));
    refuseEpilogue(cases, NULL, "z", w -> none.withActivation(Activation.RELU, null));
    refuseEpilogue(cases, NULL, "gate", w -> none.withGate(null));
    refuseEpilogue(cases, NULL, "epilogue", w -> null);
    refuseEpilogue(
        cases,
        ARGUMENT,
        "bias: expected (oBlocks, oSize) = (4, 6) but was (5, 6)",
        w -> none.withBias(w.f("inputBias")));
    refuseEpilogue(
        cases,
        ARGUMENT,
        "inputBias: expected (iBlocks, oSize) = (5, 6) but was (4, 6)",
        w -> none.withInputBias(w.f("b")));
    refuseEpilogue(
        cases,
        ARGUMENT,
        "inputGate: expected (batch, iWin) = (2, 3) but was (2, 2)",
        w -> none.withInputBias(w.f("inputBias"), w.f("gate")));
    refuseEpilogue(
        cases,
        ARGUMENT,
        "z: expected (batch, oWin, oSize) = (2, 2, 6) but was (2, 2, 3)",
        w -> none.withActivation(Activation.RELU, w.f("half")));
    refuseEpilogue(
        cases,
        ARGUMENT,
        "gate: expected (batch, oWin) = (2, 2) but was (2, 3)",
        w -> none.withGate(w.f("inputGate")));
    refuseEpilogue(
        cases,
        ARGUMENT,
        "out: expected (batch, oWin, oSize / 2) = (2, 2, 3) but was (2, 2, 6)",
        w -> none.withActivation(Activation.SWIGLU));
    refuseEpilogue(
        cases,
        ARGUMENT,
        "out: shares memory with z" + SHARES,
        w -> none.withActivation(Activation.RELU, w.f("out")));
    refuseEpilogue(
        cases,
        STATE,
        "z: the tensor (2, 2, 6) is closed",
        w -> none.withActivation(Activation.RELU, w.f("closed")));
    refuseEpilogue(
        cases,
        STATE,
        "gate: the tensor (2, 2) is closed",
        w -> {
          w.close("gate");
          return none.withGate(w.f("gate"));
        });
    refuseLayer(
        cases,
        ARGUMENT,
        "W: expected an even oSize, for the two halves of GEGLU, but was 7",
        w ->
            SparseBlockDot.apply(
                w.f("odd"), w.f("h"), w.plan(), none.withActivation(Activation.GEGLU)));
    refuseLayer(
        cases,
        ARGUMENT,
        "h: expected (batch, iWin, iSize) = (2, 3, 3) but was (2, 2, 3)",
        w -> SparseBlockDot.apply(w.f("W"), w.f("half"), w.plan(), none));
    refuseLayer(
        cases,
        ARGUMENT,
        "out: expected (batch, oWin, oSize) = (2, 2, 6) but was (2, 2, 3)",
        w -> SparseBlockDot.apply(w.f("W"), w.f("h"), w.plan(), none, w.f("half")));
    refuseLayer(cases, NULL, "plan", w -> SparseBlockDot.apply(w.f("W"), w.f("h"), null, none));
    refuseLayer(
        cases,
        STATE,
        "plan: the plan is closed",
        w -> {
          w.plan().close();
          SparseBlockDot.apply(w.f("W"), w.f("h"), w.plan(), none);
        });
  }

  private static void gatedGradH(World w, FloatTensor gate, FloatTensor gradGate) {
    SparseBlockDot.gradH(
        w.f("W"),
        w.f("out"),
        w.plan(),
        GradientOptions.overwrite()
            .withActivation(Activation.RELU, w.f("h"))
            .withGate(gate, gradGate),
        w.f("gradZ"));
  }

  private static void addFused(List<Case> cases) {
    Activation relu = Activation.RELU;
    refuseLayer(
        cases,
        NULL,
        "activation",
        w ->
            SparseBlockDot.gradH(
                w.f("W"),
                w.f("out"),
                w.plan(),
                GradientOptions.overwrite().withActivation(null, w.f("h")),
                w.f("gradZ")));
    refuseLayer(cases, NULL, "gate", w -> gatedGradH(w, null, w.f("gradGate")));
    refuseLayer(
        cases,
        NULL,
        "z",
        w ->
            SparseBlockDot.gradH(
                w.f("W"),
                w.f("out"),
                w.plan(),
                GradientOptions.overwrite().withActivation(relu, null),
                w.f("gradZ")));
    refuseLayer(
        cases,
        ARGUMENT,
        "z: expected (batch, iWin, 2 iSize) = (2, 3, 6) but was (2, 3, 3)",
        w ->
            SparseBlockDot.gradH(
                w.f("W"),
                w.f("out"),
                w.plan(),
                GradientOptions.overwrite().withActivation(Activation.SWIGLU, w.f("h")),
                w.f("gradZ")));
    refuseLayer(
        cases,
        ARGUMENT,
        "gradZ: expected (batch, iWin, 2 iSize) = (2, 3, 6) but was (2, 3, 3)",
        w ->
            SparseBlockDot.gradH(
                w.f("W"),
                w.f("out"),
                w.plan(),
                GradientOptions.overwrite().withActivation(Activation.SWIGLU, w.f("halves")),
                w.f("gradZ")));
    refuseLayer(
        cases,
        ARGUMENT,
        "gradOut: expected (batch, oWin, oSize) = (2, 2, 6) but was (2, 2, 3)",
        w ->
            SparseBlockDot.gradH(
                w.f("W"),
                w.f("half"),
                w.plan(),
                GradientOptions.overwrite().withActivation(relu, w.f("h")),
                w.f("gradZ")));
    refuseLayer(
        cases,
        ARGUMENT,
        "gradZ: shares memory with z" + SHARES,
        w ->
            SparseBlockDot.gradH(
                w.f("W"),
                w.f("out"),
                w.plan(),
                GradientOptions.overwrite().withActivation(relu, w.f("h")),
                w.f("h")));
    refuseLayer(
        cases,
        ARGUMENT,
        "gate: expected (batch, iWin) = (2, 3) but was (2, 2)",
        w -> gatedGradH(w, w.f("gate"), w.f("gradGate")));
    refuseLayer(
        cases,
        ARGUMENT,
        "gradGate: expected (batch, iWin) = (2, 3) but was (2, 2)",
        w -> gatedGradH(w, w.f("inputGate"), w.f("gate")));
    refuseLayer(
        cases,
        ARGUMENT,
        "gradGate: shares memory with gate" + SHARES,
        w -> gatedGradH(w, w.f("inputGate"), w.f("inputGate")));
    refuseLayer(
        cases,
        ARGUMENT,
        "alpha: expected a finite number but was NaN",
        w ->
            SparseBlockDot.gradH(
                w.f("W"),
                w.f("out"),
                w.plan(),
                GradientOptions.add(Float.NaN).withActivation(relu, w.f("h")),
                w.f("gradZ")));
    refuseLayer(
        cases,
        NULL,
        "gradGate",
        w ->
            SparseBlockDot.gradH(
                w.f("W"),
                w.f("out"),
                w.plan(),
                GradientOptions.add(1)
                    .withActivation(relu, w.f("h"))
                    .withGate(w.f("inputGate"), null),
                w.f("gradZ")));
  }

  /** Lets each tensor that is written begin where each tensor that is read does. */
  private static void addOverlaps(List<Case> cases) {
    for (String output : List.of("out", "z")) {
      for (String input : List.of("W", "h", "bias", "inputBias", "inputGate", "gate")) {
        refuseLayer(
            cases,
            ARGUMENT,
            output + ": shares memory with " + input + SHARES,
            w -> applyAll(w, Set.of(output, input)));
      }
    }
    for (String output : List.of("gradZ", "gradGate")) {
      for (String input : List.of("W", "gradOut", "z", "gate")) {
        refuseLayer(
            cases,
            ARGUMENT,
            output + ": shares memory with " + input + SHARES,
            w -> gradHAll(w, Set.of(output, input)));
      }
    }
    refuseLayer(
        cases,
        ARGUMENT,
        "gradGate: shares memory with gradZ" + SHARES,
        w -> gradHAll(w, Set.of("gradGate", "gradZ")));
  }

  /**
   * Returns a tensor like another one, or, if it is named, over the memory that all named ones
   * share.
   */
  private static FloatTensor among(Set<String> named, String name, World w, String as) {
    FloatTensor like = w.f(as);
    return named.contains(name) ? part(w.f("all"), 0, like.shape().toArray()) : like;
  }

  private static void applyAll(World w, Set<String> named) {
    Epilogue epilogue =
        Epilogue.none()
            .withBias(among(named, "bias", w, "b"))
            .withInputBias(
                among(named, "inputBias", w, "inputBias"),
                among(named, "inputGate", w, "inputGate"))
            .withGate(among(named, "gate", w, "gate"))
            .withActivation(Activation.RELU, among(named, "z", w, "z"));
    SparseBlockDot.apply(
        among(named, "W", w, "W"),
        among(named, "h", w, "h"),
        w.plan(),
        epilogue,
        among(named, "out", w, "out"));
  }

  private static void gradHAll(World w, Set<String> named) {
    SparseBlockDot.gradH(
        among(named, "W", w, "W"),
        among(named, "gradOut", w, "out"),
        w.plan(),
        GradientOptions.overwrite()
            .withActivation(Activation.RELU, among(named, "z", w, "gradZ"))
            .withGate(
                among(named, "gate", w, "inputGate"), among(named, "gradGate", w, "gradGate")),
        among(named, "gradZ", w, "h"));
  }
}
