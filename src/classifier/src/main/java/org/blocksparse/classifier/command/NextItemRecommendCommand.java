// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.blocksparse.classifier.LabelFilter;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.examples.SequenceFormat;
import org.blocksparse.classifier.examples.SequenceReader;
import org.blocksparse.classifier.nextitem.NextItem;
import org.blocksparse.classifier.nextitem.Repeats;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Recommends items. */
@Command(
    name = "recommend",
    description = {
      "Prints for each user, or each basket by the number of its line, the items that most probably"
          + " follow, best first, each with its probability, separated by tabs. Of several"
          + " sessions, the last counts.",
      "Items of the history are recommended again if held-out items of the training repeat, or by"
          + " --repeats. Unknown items are ignored and counted."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class NextItemRecommendCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "MODEL", description = "A model of next-item train.")
  private Path model;

  @Parameters(
      index = "1",
      paramLabel = "FILE",
      arity = "0..1",
      defaultValue = "-",
      description = "Histories. Default: -, which is standard input.")
  private String file;

  @Option(
      names = "--top",
      paramLabel = "K",
      defaultValue = "10",
      description = "Maximum number of items. Default: ${DEFAULT-VALUE}.")
  private int top;

  @Option(
      names = "--only",
      paramLabel = "FILE",
      description = "Recommend only these items, such as those in stock; words of a text file.")
  private Path only;

  @Option(
      names = "--without",
      paramLabel = "FILE",
      description = "Recommend none of these items; words of a text file.")
  private Path without;

  @Option(
      names = "--repeats",
      paramLabel = "WHICH",
      description =
          "include: items of the history as well. exclude: new items. only: items of the history."
              + " Default: include if they gained nDCG on held-out items in training, else"
              + " exclude.")
  private Repeats repeats;

  @Mixin private SequenceInput input;

  @Mixin private Streams streams;

  @Override
  public Integer call() throws IOException {
    Limits.require("--top", top, 1, Limits.MOST_LABELS);
    if (only != null && without != null) {
      throw new InvalidInputException("--only: expected no --without as well");
    }
    Set<String> names = only != null ? words(only) : without != null ? words(without) : Set.of();
    PredictionOptions options =
        PredictionOptions.top(top)
            .withFilter(only != null ? LabelFilter.only(names) : LabelFilter.without(names));
    PrintWriter out = streams.out();
    try (NextItem items = NextItem.load(model)) {
      requireKnown(names, items);
      List<Sequence> sequences = last(input.readFor(items, file, null));
      List<List<Prediction>> all =
          items.recommend(
              sequences.stream().map(Sequence::items).toList(),
              options,
              repeats == null ? items.repeats() : repeats);
      for (int i = 0; i < all.size(); i++) {
        out.print(Printed.of(sequences.get(i).user()));
        for (Prediction item : all.get(i)) {
          out.printf(Locale.ROOT, "\t%s\t%.6f", Printed.of(item.label()), item.probability());
        }
        out.println();
      }
      Streams.flush(out);
      reportUnknown(items, sequences);
    }
    return ExitCode.OK;
  }

  /** Returns the last sequence of each user: earlier sessions have ended. */
  private static List<Sequence> last(List<Sequence> sequences) {
    Map<String, Sequence> last = new LinkedHashMap<>();
    sequences.forEach(sequence -> last.put(sequence.user(), sequence));
    return List.copyOf(last.values());
  }

  private void reportUnknown(NextItem items, List<Sequence> sequences) {
    long unknown =
        sequences.stream()
            .flatMap(sequence -> sequence.items().stream())
            .filter(item -> !items.knows(item))
            .count();
    if (unknown > 0) {
      streams.err().printf("%,d items of histories are unknown and ignored%n", unknown);
      streams.err().flush();
    }
  }

  /**
   * Reports names of a filter that the model does not know, and rejects the filter if it has no
   * others.
   */
  private void requireKnown(Set<String> names, NextItem items) {
    String option = only != null ? "--only" : "--without";
    Path from = only != null ? only : without;
    List<String> unknown = names.stream().filter(name -> !items.knows(name)).toList();
    if (only != null && names.isEmpty()) {
      throw new InvalidInputException(option + ": " + from + " has no item");
    }
    if (!unknown.isEmpty()) {
      String count =
          "%s: %,d of %,d items of %s are unknown, such as '%s'"
              .formatted(option, unknown.size(), names.size(), from, Printed.of(unknown.get(0)));
      if (unknown.size() == names.size()) {
        throw new InvalidInputException(count);
      }
      streams.err().println(count);
      streams.err().flush();
    }
  }

  private static Set<String> words(Path file) throws IOException {
    Set<String> words = new LinkedHashSet<>();
    SequenceReader.of(SequenceFormat.BASKETS)
        .read(file)
        .forEach(line -> words.addAll(line.items()));
    return words;
  }
}
