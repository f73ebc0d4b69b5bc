// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.blocksparse.ElementType;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.ModelHead;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes a smaller model. */
@Command(
    name = "quantize",
    description = {
      "Writes a model with weights of 16 or 8 bits instead of 32: smaller, and nearly as good. A"
          + " model with a linear head needs no quantize: train writes it with 16 or 8 bits.",
      "Rejects models of fastText. Other commands accept the smaller model; only train --from"
          + " rejects it. Compare both models with test."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class QuantizeCommand implements Callable<Integer> {
  private static final double PERCENT = 100;

  /** The types to choose from. */
  private enum Type {
    FLOAT16(ElementType.FLOAT16),
    BFLOAT16(ElementType.BFLOAT16),
    INT8(ElementType.INT8);

    private final ElementType weights;

    Type(ElementType weights) {
      this.weights = weights;
    }
  }

  @Mixin private ModelArgument model;

  @Parameters(
      index = "1",
      paramLabel = "OUT",
      description = "The file to write the smaller model to.")
  private Path smaller;

  @Option(
      names = "--type",
      paramLabel = "TYPE",
      description =
          "float16, bfloat16 or int8. Default: float16 if the model has a linear head alone, which"
              + " has 16 bits at least, else int8.")
  private Type type;

  @Mixin private Streams streams;

  @Override
  public Integer call() throws IOException {
    WritableFile.require("OUT", smaller, List.of(model.path()));
    PrintWriter out = streams.out();
    long before = Files.size(model.path());
    out.printf("%s: %,d bytes%n", model.path(), before);
    out.flush();
    try (Classifier classifier = model.load()) {
      classifier.save(smaller, type(classifier).weights);
    }
    long after = Files.size(smaller);
    out.printf("%s: %,d bytes, %.1f percent%n", smaller, after, PERCENT * after / before);
    out.flush();
    return ExitCode.OK;
  }

  private Type type(Classifier classifier) {
    if (type != null) {
      return type;
    }
    return classifier.head() == ModelHead.LINEAR ? Type.FLOAT16 : Type.INT8;
  }
}
