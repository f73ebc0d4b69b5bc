// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.StringJoiner;

/**
 * An engine with the experts of a {@link MoeShape} in one type, as a program that reads the
 * commands of {@code peers/experts.cpp}. It always computes on all processors.
 */
abstract class ExpertsEngine {
  /** Makes a batch; its routings are those of {@link MoeNumbers}. */
  abstract void prepare(int tokens) throws Exception;

  /** Computes the outputs of the batch by a routing. */
  abstract void call(int routing) throws Exception;

  /** Returns the outputs of the first {@link MoeNumbers#CHECKED_TOKENS} tokens by routing 0. */
  abstract float[] firstOutputs() throws Exception;

  private String answer(String... words) throws Exception {
    StringJoiner numbers = new StringJoiner(" ");
    if (words[0].equals("tokens")) {
      prepare(Integer.parseInt(words[1]));
      for (float output : firstOutputs()) {
        numbers.add(Float.toString(output));
      }
    } else {
      long end = System.nanoTime() + (long) (1e9 * Double.parseDouble(words[2]));
      int calls = 0;
      do {
        long start = System.nanoTime();
        call(calls++ % MoeNumbers.ROUTINGS);
        numbers.add(Long.toString(System.nanoTime() - start));
      } while (System.nanoTime() < end);
    }
    return numbers.toString();
  }

  /** Answers lines of the standard input. */
  final void serve() throws Exception {
    System.out.println("ready");
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      System.out.println(answer(line.split(" ", -1)));
    }
  }
}
