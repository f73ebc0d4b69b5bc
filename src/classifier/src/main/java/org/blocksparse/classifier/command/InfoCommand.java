// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.util.concurrent.Callable;
import org.blocksparse.Backend;
import org.blocksparse.classifier.Classifier;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;

/** Tells what a model is. */
@Command(
    name = "info",
    description = "Prints the sizes of a model, how it was trained, and what computes here.",
    sortOptions = false,
    usageHelpWidth = 100)
final class InfoCommand implements Callable<Integer> {
  @Mixin private ModelArgument model;

  @Mixin private Streams streams;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = streams.out();
    try (Classifier classifier = model.load()) {
      classifier
          .info()
          .forEach((name, value) -> out.printf("%s: %s%n", Printed.of(name), Printed.of(value)));
    }
    out.printf("bytes: %,d%n", Files.size(model.path()));
    out.printf(
        "kernels: %s, %s%n", Backend.isNative() ? "native" : "Java", Backend.instructionSet());
    out.flush();
    return ExitCode.OK;
  }
}
