// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.PublicCall;
import org.blocksparse.testing.ShortStack;

/**
 * Makes a right call of each public method where the stack is nearly used up, or of some of them
 * where the heap is full: it ends with what the JVM throws then, or with an exception of ours where
 * the calls before have changed what it is of.
 *
 * <p>Arguments: {@code stack} and a folder; or {@code heap}, a folder, a seed, and into how many
 * parts the methods are divided, of which it calls the one with the number that is the last.
 */
public final class PublicMethodsProgram {
  /** Frames of the stack by which there is more room each time, and how often. */
  private static final int FRAMES = 3;

  /** What reads or writes files asks for more room. */
  private static final int FRAMES_FOR_FILES = 24;

  private static final int DEPTHS = 200;

  /** Methods that share what takes time: the end of memory. */
  private static final int OF_ONE_FILLING = 5;

  private static final int FILLINGS = 8;

  /** Among that many methods, some need memory for certain; a few may be getters all. */
  private static final int ENOUGH_METHODS = 50;

  private final RightCalls right;

  /** How often there was room for a call, and how often there was none on the heap. */
  private int passed;

  private int refusals;

  private PublicMethodsProgram(RightCalls right) {
    this.right = right;
  }

  public static void main(String[] args) throws Exception {
    PublicMethodsProgram program = new PublicMethodsProgram(new RightCalls(Path.of(args[1])));
    if (args[0].equals("stack")) {
      program.onShortStacks();
    } else {
      program.onFullHeaps(
          Long.parseLong(args[2]), Integer.parseInt(args[3]), Integer.parseInt(args[4]));
    }
    System.out.println("lives on");
  }

  private void make(PublicCall call) {
    right.make(call);
    passed++;
  }

  // ------------------------------------------------------------------------------- short stacks

  private void onShortStacks() throws Exception {
    for (PublicCall call : right.all()) {
      right.warmUp(call);
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
    right.checkThrown();
  }

  // --------------------------------------------------------------------------------- full heaps

  private void onFullHeaps(long seed, int parts, int part) {
    System.out.println("to repeat: -Dblocksparse.seed=" + seed);
    List<PublicCall> shuffled = new ArrayList<>(right.all());
    Collections.shuffle(shuffled, new Random(seed));
    List<PublicCall> chosen =
        shuffled.subList(shuffled.size() * part / parts, shuffled.size() * (part + 1) / parts);
    for (int begin = 0; begin < chosen.size(); begin += OF_ONE_FILLING) {
      int end = Math.min(begin + OF_ONE_FILLING, chosen.size());
      List<PublicCall> some = chosen.subList(begin, end);
      some.forEach(right::warmUp);
      System.out.println(some); // the last ones are those that ended the JVM
      onFullHeap(some.toArray(PublicCall[]::new));
      right.checkThrown();
      some.forEach(right::make); // there is room again
      right.checkThrown();
    }
    ChildJvm.check(
        refusals > 0 || chosen.size() < ENOUGH_METHODS, "there was always enough memory");
  }

  private void onFullHeap(PublicCall[] calls) {
    FullHeap.fill();
    int full = FullHeap.pieces();
    for (int filling = 0; filling < FILLINGS; filling++) {
      // A little more room each time, so that another allocation is the one that fails.
      FullHeap.empty(full - filling * filling * filling);
      for (PublicCall call : calls) {
        try {
          make(call);
        } catch (OutOfMemoryError e) {
          refusals++;
        }
      }
    }
    FullHeap.empty(0);
  }
}
