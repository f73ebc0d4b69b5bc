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

/**
 * A right call of each public method, and what they throw once calls before them have changed what
 * they are of. New methods take part by themselves.
 */
final class RightCalls {
  /** Right calls of these are hardly met by chance: {@link OperandArguments} has them. */
  private static final List<String> RARE =
      List.of(
          "Activation.gradient(FloatTensor, FloatTensor, GradientOptions, ",
          "InputBias.step(",
          "LayerBuilder<IntTensor>.build(FloatTensor, ",
          "LayerBuilder<SparseRows>.build(FloatTensor, ",
          "MixtureOfExpertsBuilder.build(Map",
          "SparseBlockDot.gradH(",
          "SparseBlockDot.stepB(",
          "SparseBlockDot.stepW(",
          "SparseBlockGemv.",
          "SparseBlockOuter.",
          "TheanoSoftmax.apply(",
          "TopKGate.gradient(");

  /** Of the first, {@link FullHeapOperands} has a call that can be made twice. */
  private static final List<String> LEFT_OUT =
      List.of(
          "LayerBuilder<IntTensor>.saveParts(",
          "LayerBuilder<SparseRows>.saveParts(", // whose code is the same
          "FileFormatException."); // which is thrown

  private static final int MOST_PASSES = 60;
  private static final int MOST_TRIES = 2000;

  /** Passes with the same objects, some of which what was made before makes possible. */
  private static final int SWEEPS = 3;

  private static final int WARMUPS = 20;

  /** The most exceptions kept before they are checked. */
  private static final int MOST_THROWN = 256;

  private final List<PublicCall> calls = new ArrayList<>();
  private final Throwable[] thrown = new Throwable[MOST_THROWN];
  private final PublicCall[] threw = new PublicCall[MOST_THROWN];
  private int count;

  /** Finds them, with files in a folder. */
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
      for (PublicMethod called : methods) { // of all: what one gives is an argument of another
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
        // Others may be right.
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

  /** Makes a call so often that what is done once in a process is done. */
  void warmUp(PublicCall call) {
    for (int i = 0; i < WARMUPS; i++) {
      make(call);
    }
    checkThrown();
  }

  /**
   * Makes a call whose exception is kept until there is room to look at it; an error of the JVM
   * goes on.
   */
  void make(PublicCall call) {
    try {
      call.make();
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof VirtualMachineError error) {
        throw error;
      }
      threw[count] = call;
      thrown[count++] = e.getCause();
    }
  }

  /** Exceptions are ours, or the JDK's, which wraps those of linking. */
  void checkThrown() {
    for (int i = 0; i < count; i++) {
      Throwable each = thrown[i];
      boolean ofTheJdk =
          each instanceof InternalError && each.getCause() instanceof VirtualMachineError;
      String flaw = ofTheJdk ? null : PublicCall.flaw(each);
      if (flaw != null) {
        throw new IllegalStateException(threw[i] + ": " + flaw, each);
      }
    }
    count = 0;
  }
}
