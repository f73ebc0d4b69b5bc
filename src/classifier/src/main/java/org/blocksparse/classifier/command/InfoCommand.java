// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.StreamWriteFeature;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.blocksparse.Backend;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.nextitem.NextItem;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Prints the card of a model. */
@Command(
    name = "info",
    description =
        "Prints the model card: sizes, training options and data. Also prints which compute kernels"
            + " this machine uses.",
    sortOptions = false,
    usageHelpWidth = 100)
final class InfoCommand implements Callable<Integer> {
  @Mixin private ModelArgument model;

  @Option(names = "--json", description = "Print one JSON object, whose values are strings.")
  private boolean json;

  @Mixin private Streams streams;

  @Override
  public Integer call() throws IOException {
    PrintWriter out = streams.out();
    Map<String, String> info = new LinkedHashMap<>(info());
    info.put("bytes", Long.toString(Files.size(model.path())));
    info.put("kernels", (Backend.isNative() ? "native, " : "Java, ") + Backend.instructionSet());
    if (json) {
      print(info, out);
    } else {
      info.forEach((name, value) -> out.printf("%s: %s%n", Printed.of(name), Printed.of(value)));
    }
    out.flush();
    return ExitCode.OK;
  }

  private Map<String, String> info() throws IOException {
    if (NextItem.isIn(model.path())) {
      try (NextItem items = NextItem.load(model.path())) {
        return items.info();
      }
    }
    try (Classifier classifier = model.load()) {
      return classifier.info();
    }
  }

  private static void print(Map<String, String> info, PrintWriter out) throws IOException {
    JsonFactory factory =
        JsonFactory.builder().disable(StreamWriteFeature.AUTO_CLOSE_TARGET).build();
    try (JsonGenerator generator = factory.createGenerator(out)) {
      generator.useDefaultPrettyPrinter().writeStartObject();
      for (Map.Entry<String, String> entry : info.entrySet()) {
        generator.writeStringField(entry.getKey(), entry.getValue());
      }
      generator.writeEndObject();
    }
    out.println();
  }
}
