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
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.PublicCall;
import org.blocksparse.testing.PublicMethod;
import org.blocksparse.testing.RandomArguments;
import org.blocksparse.testing.ShortStack;

/**
 * Makes a right call of each public method where the stack is nearly used up: it ends with what the
 * JVM throws then, or with an exception of ours where the calls before have changed what it is of.
 * New methods take part by themselves.
 *
 * <p>Arguments: a folder.
 */
public final class PublicMethodsProgram {
  /**
   * Right calls of these are hardly met by chance: {@link ScarcityOperands} has them, those of a
   * tree as those of a softmax, whose code they share. The last is what is thrown.
   */
  private static final List<String> LEFT_OUT =
      List.of(
          "Activation.addGradient(FloatTensor, FloatTensor, FloatTensor, float, ",
          "HierarchicalSoftmaxBuilder.build(FloatTensor, ",
          "HierarchicalSoftmaxBuilder.saveParts(",
          "InputBias.step(",
          "LabelTreeBuilder.build(FloatTensor, ",
          "LabelTreeBuilder.saveParts(",
          "SparseBlockDot.addGradH(",
          "SparseBlockDot.gradH(",
          "SparseBlockDot.stepB(",
          "SparseBlockDot.stepW(",
          "SparseBlockGemv.",
          "SparseBlockOuter.",
          "TheanoSoftmax.apply(",
          "TopKGate.gradient(",
          "FileFormatException.");

  private static final int MOST_PASSES = 60;
  private static final int MOST_TRIES = 400;

  /** Passes with the same objects, some of which what was made before makes possible. */
  private static final int SWEEPS = 3;

  private static final int WARMUPS = 20;

  /** Frames of the stack by which there is more room each time, and how often. */
  private static final int FRAMES = 8;

  /** What reads or writes files asks for more room. */
  private static final int FRAMES_FOR_FILES = 80;

  private static final int DEPTHS = 60;

  private final List<PublicCall> calls = new ArrayList<>();

  /** What calls threw, told once there is room for it again. */
  private final Throwable[] thrown = new Throwable[DEPTHS];

  private final PublicCall[] threw = new PublicCall[thrown.length];
  private int count;

  /** How often there was room for a call. */
  private int passed;

  private PublicMethodsProgram() {}

  public static void main(String[] args) throws Exception {
    PublicMethodsProgram program = new PublicMethodsProgram();
    program.findCalls(Path.of(args[0]));
    program.onShortStacks();
    System.out.println("lives on");
  }

  private void findCalls(Path folder) throws Exception {
    List<PublicMethod> methods = new ArrayList<>(PublicMethod.all());
    methods.sort(Comparator.comparing(PublicMethod::toString));
    methods.removeIf(PublicMethodsProgram::isLeftOut);
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
    return called.method().getName().equals("close")
        || LEFT_OUT.stream().anyMatch(called.toString()::startsWith);
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

  /** A call whose exception is kept; that of a stack that ends goes on. */
  private void make(PublicCall call) {
    try {
      call.make();
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof VirtualMachineError error) {
        throw error;
      }
      threw[count] = call;
      thrown[count++] = e.getCause();
    }
    passed++;
  }

  /** What was thrown is of ours, or of the JDK, which wraps what it meets while it links. */
  private void checkThrown() {
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

  private void onShortStacks() throws Exception {
    for (PublicCall call : calls) {
      for (int i = 0; i < WARMUPS; i++) { // what is done once in a process is done
        make(call);
      }
      checkThrown();
      passed = 0;
      onShortStack(call, FRAMES);
      if (passed == 0) {
        onShortStack(call, FRAMES_FOR_FILES);
      }
      ChildJvm.check(passed > 0, call + ": the stack was always too short");
    }
  }

  private void onShortStack(PublicCall call, int frames) throws Exception {
    ShortStack.onThread(
        () ->
            ChildJvm.check(
                ShortStack.fill(0, frames, DEPTHS, () -> make(call)) > 0,
                call + ": the stack was never too short"));
    checkThrown();
  }
}
