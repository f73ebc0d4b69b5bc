// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;

/** A program that answers each line of its input with a line. */
final class Child implements AutoCloseable {
  private final Process process;
  private final PrintWriter commands;
  private final BufferedReader answers;

  /**
   * Starts a program.
   *
   * @param log its error stream
   */
  Child(ProcessBuilder program, Path log) throws IOException {
    process = program.redirectError(ProcessBuilder.Redirect.appendTo(log.toFile())).start();
    commands = new PrintWriter(process.outputWriter(), true);
    answers = process.inputReader();
  }

  /** Returns the next line that the program prints. */
  String answer() throws IOException {
    String line = answers.readLine();
    if (line == null) {
      throw new IOException("the program ended");
    }
    return line.strip();
  }

  String ask(String command) throws IOException {
    commands.println(command);
    return answer();
  }

  /** Returns the numbers in the answer to a command. */
  double[] askNumbers(String command) throws IOException {
    return Arrays.stream(ask(command).split(" ", -1)).mapToDouble(Double::parseDouble).toArray();
  }

  /**
   * Requires that an answer is "ready".
   *
   * @throws IOException with the answer
   */
  static void requireReady(String answer) throws IOException {
    if (!answer.equals("ready")) {
      throw new IOException(answer);
    }
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
