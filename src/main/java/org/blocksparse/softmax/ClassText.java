// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.BufferedInputStream;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.blocksparse.internal.files.AtomicFile;
import org.blocksparse.internal.files.MalformedException;
import org.blocksparse.internal.files.RegularFile;

/**
 * Classes as text, a number on each line. They are read byte by byte, so that an endless line takes
 * no memory.
 */
final class ClassText {
  private static final int END_OF_FILE = -1;

  /** The size of the largest array of a JVM. */
  private static final int MOST_OUTPUTS = Integer.MAX_VALUE - 8;

  private ClassText() {}

  /** Writes the class of each output. */
  public static void write(Path file, int[] classOf) throws IOException {
    AtomicFile.write(
        file,
        channel -> {
          BufferedWriter out = new BufferedWriter(Channels.newWriter(channel, US_ASCII));
          for (int c : classOf) {
            out.write(Integer.toString(c));
            out.write('\n');
          }
          out.flush();
        });
  }

  /**
   * Reads the class of each output.
   *
   * @throws MalformedException if a line is something else than the number of a class, or if there
   *     are too many
   */
  public static int[] read(Path file) throws IOException {
    int[] classOf = new int[1024];
    int outputs = 0;
    try (InputStream in =
        new BufferedInputStream(Files.newInputStream(RegularFile.require(file)))) {
      for (int first = in.read(); first != END_OF_FILE; first = in.read()) {
        if (outputs == classOf.length) {
          classOf = Arrays.copyOf(classOf, roomAfter(outputs));
        }
        classOf[outputs] = readLine(in, first, outputs + 1);
        outputs++;
      }
    }
    return Arrays.copyOf(classOf, outputs);
  }

  /** Returns twice as many outputs, or as many as an array can have. */
  static int roomAfter(int outputs) throws MalformedException {
    if (outputs == MOST_OUTPUTS) {
      throw new MalformedException(
          "line " + (outputs + 1L), "there are at most " + MOST_OUTPUTS + " outputs");
    }
    return (int) Math.min(MOST_OUTPUTS, 2L * outputs);
  }

  /** Returns the number on a line: spaces, digits, spaces. */
  private static int readLine(InputStream in, int first, int line) throws IOException {
    long number = -1;
    boolean ended = false;
    for (int c = first; c != '\n' && c != END_OF_FILE; c = in.read()) {
      boolean digit = c >= '0' && c <= '9';
      if (digit && !ended) {
        number = 10 * Math.max(0, number) + c - '0';
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ended = number >= 0;
      } else {
        number = Long.MAX_VALUE;
      }
      if (number > Integer.MAX_VALUE) {
        throw new MalformedException(
            "line " + line, "expected the number of a class and nothing else");
      }
    }
    if (number < 0) {
      throw new MalformedException("line " + line, "is empty");
    }
    return (int) number;
  }
}
