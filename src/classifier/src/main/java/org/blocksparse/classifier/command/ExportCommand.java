// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.blocksparse.classifier.Classifier;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

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

  @Spec private CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    WritableFile.require("NPZ", npz);
    PrintWriter out = spec.commandLine().getOut();
    out.printf("Writing %,d bytes of a model as floats%n", Files.size(model.path()));
    out.flush();
    try (Classifier classifier = model.load()) {
      classifier.export(npz);
      Path labels = npz.resolveSibling(npz.getFileName() + ".labels.txt");
      Files.write(labels, classifier.labels(), UTF_8);
      out.printf("%s: %,d bytes%n", npz, Files.size(npz));
      out.printf("%s: %,d labels%n", labels, classifier.labels().size());
      out.flush();
    }
    return ExitCode.OK;
  }
}
