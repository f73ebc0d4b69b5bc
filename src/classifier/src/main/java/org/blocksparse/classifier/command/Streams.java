// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** The streams to which a command writes. */
@Command // picocli requires some annotation of a mixin
final class Streams {
  /** The message if output is lost: the disk is full, or a reader has ended. */
  static final String CLOSED = "standard output is closed, or cannot be written";

  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  CommandLine command() {
    return spec.commandLine();
  }

  /** Returns standard output, which must be flushed. */
  PrintWriter out() {
    return command().getOut();
  }

  /** Returns standard error. */
  PrintWriter err() {
    return command().getErr();
  }

  /**
   * Flushes the output.
   *
   * @throws IOException if it is not
   */
  static void flush(PrintWriter out) throws IOException {
    if (out.checkError()) { // a PrintWriter swallows errors
      throw new IOException(CLOSED);
    }
  }
}
