// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;

/** An engine in a process of its own, which reads the commands of {@code peers/experts.cpp}. */
final class ProcessForward implements MoeForward {
  private final Process process;
  private final PrintWriter commands;
  private final BufferedReader answers;

  /**
   * Starts a program.
   *
   * @param log its error stream
   * @throws IOException if it does not start, or cannot compute this; it says why
   */
  ProcessForward(ProcessBuilder program, Path log) throws IOException {
    process = program.redirectError(ProcessBuilder.Redirect.appendTo(log.toFile())).start();
    commands = new PrintWriter(process.outputWriter(), true);
    answers = process.inputReader();
    try {
      String line = answer();
      if (!line.equals("ready")) {
        throw new IOException(line);
      }
    } catch (IOException e) {
      close();
      throw e;
    }
  }

  private String answer() throws IOException {
    String line = answers.readLine();
    if (line == null) {
      throw new IOException("the program ended");
    }
    return line;
  }

  @Override
  public float[] prepare(int tokens) throws IOException {
    commands.println("tokens " + tokens);
    String[] numbers = answer().strip().split(" ", -1);
    float[] first = new float[numbers.length];
    for (int i = 0; i < first.length; i++) {
      first[i] = Float.parseFloat(numbers[i]);
    }
    return first;
  }

  @Override
  public long[] times(int workers, double seconds) throws IOException {
    commands.println("time " + workers + " " + seconds);
    return Arrays.stream(answer().strip().split(" ", -1)).mapToLong(Long::parseLong).toArray();
  }

  @Override
  public void close() {
    process.destroy();
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
