// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.command;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.nextitem.NextItem;
import org.blocksparse.ranking.Metrics;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Measures a recommender. */
@Command(
    name = "test",
    description = {
      "Predicts the last item of each sequence from the others, and prints HR and nDCG of the first"
          + " k recommendations, as means over sequences.",
      "All items are ranked but those of the history. A last item that is unknown, or in the"
          + " history, counts as missed. Sequences with one item are left out."
    },
    sortOptions = false,
    usageHelpWidth = 100)
final class NextItemTestCommand implements Callable<Integer> {
  @Parameters(index = "0", paramLabel = "MODEL", description = "A model of next-item train.")
  private Path model;

  @Parameters(index = "1", paramLabel = "FILE", description = "Sequences; - is standard input.")
  private String file;

  @Option(
      names = "--top",
      paramLabel = "K",
      split = ",",
      defaultValue = "5,10,20",
      description = "Values of k in the metrics. Default: ${DEFAULT-VALUE}.")
  private List<Integer> top;

  @Option(
      names = "--from",
      paramLabel = "TIME",
      description =
          "Predict each event from this time on, from those of its user before it. Needs a model of"
              + " train --until, and a time that is not before that one.")
  private Double from;

  @Mixin private SequenceInput input;

  @Mixin private Streams streams;

  @Override
  public Integer call() throws IOException {
    top.forEach(k -> Limits.require("--top", k, 1, Limits.MOST_LABELS));
    int most = top.stream().mapToInt(k -> k).max().orElseThrow();
    try (NextItem items = NextItem.load(model)) {
      List<Sequence> sequences = input.readFor(items, file, from);
      List<Sequence> judged = sequences.stream().filter(s -> s.items().size() > 1).toList();
      if (judged.isEmpty()) {
        throw new InvalidInputException(file + ": expected a sequence with two items or more");
      }
      long began = System.nanoTime();
      Metrics metrics = items.evaluate(judged, most);
      print(items, sequences, judged, metrics, (System.nanoTime() - began) * 1e-9);
    }
    return ExitCode.OK;
  }

  private void print(
      NextItem items, List<Sequence> all, List<Sequence> judged, Metrics metrics, double seconds) {
    PrintWriter out = streams.out();
    out.printf("%,d sequences in %.2f s", judged.size(), seconds);
    printCount(all.size() - judged.size(), "with one item are left out");
    printCount(
        judged.stream().filter(s -> !items.knows(last(s))).count(), "end with unknown items");
    printCount(repeated(judged), "end with an item of their history");
    out.printf("%n%4s %9s %9s%n", "k", "HR@k", "nDCG@k");
    for (int k : top) {
      out.printf("%4d %9.4f %9.4f%n", k, metrics.recall(k), metrics.ndcg(k));
    }
    out.flush();
  }

  /** The number of sequences whose last item is in their history. */
  private static long repeated(List<Sequence> judged) {
    long repeated = 0;
    Set<String> history = new HashSet<>();
    Sequence before = null;
    for (Sequence sequence : judged) {
      // In a test by time, each sequence of a user begins with the one before.
      boolean isSameUser = before != null && before.user().equals(sequence.user());
      if (!isSameUser) {
        history.clear();
      }
      int begin = isSameUser ? before.items().size() - 1 : 0;
      history.addAll(sequence.items().subList(begin, sequence.items().size() - 1));
      repeated += history.contains(last(sequence)) ? 1 : 0;
      before = sequence;
    }
    return repeated;
  }

  private static String last(Sequence sequence) {
    return sequence.items().get(sequence.items().size() - 1);
  }

  private void printCount(long count, String what) {
    if (count > 0) {
      streams.out().printf("; %,d %s", count, what);
    }
  }
}
