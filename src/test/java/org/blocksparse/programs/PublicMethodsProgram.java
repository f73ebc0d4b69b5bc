// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.PublicCall;

/**
 * Calls some of the public methods, with right arguments, on a full heap: each call ends with the
 * JVM's error, or with one of our exceptions where earlier calls have changed its arguments.
 *
 * <p>Arguments: a folder, a seed, the number of parts that the methods are divided into, and the
 * number of the part to call.
 */
public final class PublicMethodsProgram {
  /** Methods that share what takes time: the end of memory. */
  private static final int OF_ONE_FILLING = 5;

  private static final int FILLINGS = 8;

  /** Among that many methods, some need memory for certain; a few may be getters all. */
  private static final int ENOUGH_METHODS = 50;

  private final RightCalls right;

  /** How often there was no room for a call. */
  private int refusals;

  private PublicMethodsProgram(RightCalls right) {
    this.right = right;
  }

  public static void main(String[] args) throws Exception {
    PublicMethodsProgram program = new PublicMethodsProgram(new RightCalls(Path.of(args[0])));
    program.onFullHeaps(
        Long.parseLong(args[1]), Integer.parseInt(args[2]), Integer.parseInt(args[3]));
    System.out.println("lives on");
  }

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
          right.make(call);
        } catch (OutOfMemoryError e) {
          refusals++;
        }
      }
    }
    FullHeap.empty(0);
  }
}
