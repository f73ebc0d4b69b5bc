// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.blocksparse.classifier.Classifier;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes a model for other programs. */
@Command(
    name = "export",
    description =
        "Writes the parameters of a model as NumPy's archive, and its labels as text beside it, one"
            + " on each line.",
    sortOptions = false,
    usageHelpWidth = 100)
final class ExportCommand implements Callable<Integer> {
  @Mixin private ModelArgument model;

  @Parameters(index = "1", paramLabel = "NPZ", description = "Where the archive is written.")
  private Path npz;

  @Option(names = "--help", usageHelp = true, description = "Print this and exit.")
  @SuppressWarnings("UnusedVariable") // picocli acts on it
  private boolean help;

  @Override
  public Integer call() throws IOException {
    try (Classifier classifier = model.load()) {
      classifier.export(npz);
      Files.write(
          npz.resolveSibling(npz.getFileName() + ".labels.txt"), classifier.labels(), UTF_8);
    }
    return ExitCode.OK;
  }
}
