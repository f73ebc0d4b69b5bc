// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.lang.reflect.InvocationTargetException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.blocksparse.Backend;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.PublicCall;
import org.blocksparse.testing.PublicMethod;
import org.blocksparse.testing.RandomArguments;

/** A valid call of each public method. New methods take part without changes here. */
final class RightCalls {
  /** Methods whose valid calls are rarely found at random: {@link OperandArguments} has them. */
  private static final List<String> RARE =
      List.of(
          "Activations.gradient(Activation, FloatTensor, FloatTensor, GradientOptions, ",
          "InputBias.step(",
          "LayerBuilder<IntTensor>.build(FloatTensor, ",
          "LayerBuilder<SparseRows>.build(FloatTensor, ",
          "MixtureOfExpertsBuilder.build(HuggingFaceModel, ",
          "MixtureOfExpertsBuilder.build(Map",
          "SparseBlockDot.gradH(",
          "SparseBlockDot.stepB(",
          "SparseBlockDot.stepW(",
          "SparseBlockGemv.",
          "SparseBlockOuter.",
          "TheanoSoftmax.apply(",
          "TopKGate.gradient(");

  private static final List<String> LEFT_OUT =
      List.of(
          "LayerBuilder<IntTensor>.saveParts(", // takes all parts of one layer
          "LayerBuilder<SparseRows>.saveParts(", // has the same code
          "LinearLabelTreeParts.tree(", // takes all solutions of one training
          "FileFormatException."); // is thrown, not called

  private static final int MOST_PASSES = 60;
  private static final int MOST_TRIES = 2000;

  /** The passes over the same objects; results of earlier calls make some calls possible. */
  private static final int SWEEPS = 3;

  private final List<PublicCall> calls = new ArrayList<>();

  /** Finds the calls, with files in a folder. */
  RightCalls(Path folder) throws Exception {
    List<PublicMethod> methods = new ArrayList<>(PublicMethod.all());
    methods.sort(Comparator.comparing(PublicMethod::toString));
    methods.removeIf(RightCalls::isLeftOut);
    for (PublicMethod called : methods) {
      if (isOneOf(RARE, called)) {
        calls.add(rareCall(called, folder.resolve("rare")));
      }
    }
    methods.removeIf(called -> isOneOf(RARE, called));
    RandomArguments arguments = null;
    Set<PublicMethod> missing = new LinkedHashSet<>(methods);
    for (int pass = 0; pass < MOST_PASSES && !missing.isEmpty(); pass++) {
      if (pass % SWEEPS == 0) {
        arguments = new RandomArguments(new SplittableRandom(pass), folder);
      }
      for (PublicMethod called : methods) { // all: one result is the argument of another
        PublicCall call = rightCall(called, arguments);
        if (call != null && missing.remove(called)) {
          calls.add(call);
        }
      }
    }
    ChildJvm.check(missing.isEmpty(), "no right call of " + missing);
  }

  private static boolean isLeftOut(PublicMethod called) {
    String name = called.method().getName();
    boolean needsNative = name.equals("wrap") && !Backend.isNative();
    return needsNative || name.equals("close") || isOneOf(LEFT_OUT, called);
  }

  private static boolean isOneOf(List<String> beginnings, PublicMethod called) {
    return beginnings.stream().anyMatch(called.toString()::startsWith);
  }

  private static PublicCall rareCall(PublicMethod called, Path file) {
    OperandArguments all = new OperandArguments(called, file);
    for (int number = 0; number < all.count(); number++) {
      PublicCall call = new PublicCall(called, all.owner(number), all.of(number));
      try {
        call.make();
        return call;
      } catch (InvocationTargetException e) {
        // Other arguments may be valid.
      }
    }
    throw new IllegalStateException("no right call of " + called);
  }

  private static PublicCall rightCall(PublicMethod called, RandomArguments arguments) {
    for (int tries = 0; tries < MOST_TRIES; tries++) {
      PublicCall call = PublicCall.of(called, arguments);
      if (call.succeeds(arguments)) {
        return call;
      }
    }
    return null;
  }

  List<PublicCall> all() {
    return calls;
  }
}
