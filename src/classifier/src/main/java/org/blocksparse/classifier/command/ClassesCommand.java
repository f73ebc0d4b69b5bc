// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.blocksparse.classifier.Classifier;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Shows the classes of labels. */
@Command(
    name = "classes",
    description = "Prints the labels in each class of a model, one class per line.",
    sortOptions = false,
    usageHelpWidth = 100)
final class ClassesCommand implements Callable<Integer> {
  @Mixin private ModelArgument model;

  @Option(
      names = "--labels",
      paramLabel = "N",
      defaultValue = "10",
      description = "Print up to N labels of a class. Default: ${DEFAULT-VALUE}.")
  private int most;

  @Mixin private Streams streams;

  @Override
  public Integer call() throws IOException {
    Limits.require("--labels", most, 1, Integer.MAX_VALUE);
    PrintWriter out = streams.out();
    try (Classifier classifier = model.load()) {
      int number = 0;
      for (List<String> members : classifier.classes()) {
        out.printf(
            "%d (%d): %s%s%n",
            number++,
            members.size(),
            members.stream().limit(most).map(Printed::of).collect(joining(" ")),
            members.size() > most ? " ..." : "");
      }
    }
    out.flush();
    return ExitCode.OK;
  }
}
