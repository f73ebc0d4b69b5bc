// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.internal.files.AtomicFile;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** Writes a model for other programs. */
@Command(
    name = "export",
    description =
        "Writes the parameters of a model as a NumPy archive, and its labels to a text file beside"
            + " it, one per line. Control characters in labels are escaped, such as \\n"
            + ". In a label with an escaped character, or with text that looks like an escape, each"
            + " backslash is written as \\\\.",
    sortOptions = false,
    usageHelpWidth = 100)
final class ExportCommand implements Callable<Integer> {
  @Mixin private ModelArgument model;

  @Parameters(index = "1", paramLabel = "NPZ", description = "The file to write the archive to.")
  private Path npz;

  @Mixin private Streams streams;

  @Override
  public Integer call() throws IOException {
    WritableFile.require("NPZ", npz, List.of(model.path()));
    Path labels = npz.resolveSibling(npz.getFileName() + ".labels.txt");
    WritableFile.require("NPZ", labels, List.of(model.path(), npz));
    PrintWriter out = streams.out();
    out.printf("Writing %,d bytes of a model as floats%n", Files.size(model.path()));
    out.flush();
    try (Classifier classifier = model.load()) {
      classifier.export(npz);
      AtomicFile.write(
          labels, channel -> write(classifier.labels(), Channels.newOutputStream(channel)));
      out.printf("%s: %,d bytes%n", npz, Files.size(npz));
      out.printf("%s: %,d labels%n", labels, classifier.labels().size());
      out.flush();
    }
    return ExitCode.OK;
  }

  private static void write(List<String> labels, OutputStream file) throws IOException {
    BufferedWriter out = new BufferedWriter(new OutputStreamWriter(file, UTF_8.newEncoder()));
    for (String label : labels) {
      out.write(Printed.of(label));
      out.newLine();
    }
    out.flush();
  }
}
