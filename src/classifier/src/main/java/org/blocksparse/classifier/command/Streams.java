// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** The streams to which a command writes. */
@Command // for picocli, which asks for some annotation of a mixin
final class Streams {
  /** The message if output is lost: the disk is full, or a reader is gone. */
  static final String CLOSED = "standard output is closed, or cannot be written";

  @Spec(Spec.Target.MIXEE)
  private CommandSpec spec;

  CommandLine command() {
    return spec.commandLine();
  }

  /** Standard output: not there before it is flushed. */
  PrintWriter out() {
    return command().getOut();
  }

  /** Standard error. */
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
