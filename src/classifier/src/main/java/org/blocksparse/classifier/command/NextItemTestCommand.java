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
import org.blocksparse.classifier.examples.ItemList;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.nextitem.NextItem;
import org.blocksparse.classifier.nextitem.Repeats;
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
      "Predicts the last item of each sequence, or all of the last basket, from those before."
          + " Prints HR (of baskets: recall), nDCG and MRR of the first k recommendations, as means"
          + " over sequences.",
      "If the model recommends items of the history, all items are ranked, and then new items alone."
          + " Else new items are ranked alone. What is not ranked, or unknown, counts as missed."
          + " Sequences with one item are left out."
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

  @Option(
      names = "--new-only",
      description = "Rank new items alone, as the literature on sequences does.")
  private boolean newOnly;

  @Mixin private SequenceInput input;

  @Mixin private Streams streams;

  @Override
  public Integer call() throws IOException {
    Limits.requireAll("--top", top, 1, Limits.MOST_LABELS);
    int most = top.stream().mapToInt(k -> k).max().orElseThrow();
    try (NextItem items = NextItem.load(model)) {
      List<Sequence> sequences = input.readFor(items, file, from);
      List<Sequence> judged = sequences.stream().filter(s -> s.known() > 0).toList();
      if (judged.isEmpty()) {
        throw new InvalidInputException(file + ": expected a sequence with two items or more");
      }
      describe(items, sequences, judged);
      boolean ofAll = items.repeats() == Repeats.INCLUDE && !newOnly;
      if (ofAll) {
        streams.out().println("All items, as the model recommends some of the history again:");
        print(judged, items.evaluate(judged, most, Repeats.INCLUDE));
        streams.out().println("New items alone:");
      } else if (!newOnly) {
        streams.out().println("New items alone, as the model recommends none of the history:");
      }
      print(judged, items.evaluate(judged, most, Repeats.EXCLUDE));
    }
    return ExitCode.OK;
  }

  private void describe(NextItem items, List<Sequence> all, List<Sequence> judged) {
    PrintWriter out = streams.out();
    out.printf("%,d sequences", judged.size());
    printCount(all.size() - judged.size(), "with one item are left out");
    long targets = 0;
    long unknown = 0;
    for (Sequence sequence : judged) {
      targets += sequence.targets();
      unknown += targets(sequence).stream().filter(item -> !items.knows(item)).count();
    }
    printCount(unknown, "unknown items to predict");
    long repeated = repeated(judged);
    out.printf(
        "; %,d of %,d items to predict (%.1f %%) are in the history%n",
        repeated, targets, 100.0 * repeated / targets);
  }

  private void print(List<Sequence> judged, Metrics metrics) {
    PrintWriter out = streams.out();
    boolean areSingle = judged.stream().allMatch(s -> s.targets() == 1);
    out.printf("%4s %9s %9s %9s%n", "k", areSingle ? "HR@k" : "recall@k", "nDCG@k", "MRR@k");
    for (int k : top) {
      out.printf(
          "%4d %9.4f %9.4f %9.4f%n",
          k, metrics.recall(k), metrics.ndcg(k), metrics.reciprocalRank(k));
    }
    out.flush();
  }

  private static List<String> targets(Sequence sequence) {
    return sequence.items().subList(sequence.known(), sequence.items().size());
  }

  /** Returns the number of items to predict that are in their history. */
  private static long repeated(List<Sequence> judged) {
    long repeated = 0;
    Set<String> history = new HashSet<>();
    Sequence before = null;
    for (Sequence sequence : judged) {
      // In a test by time, each sequence of a session begins with the one before.
      boolean isSameSession =
          before != null
              && ItemList.of(before.items()).isBeginningOf(ItemList.of(sequence.items()));
      if (!isSameSession) {
        history.clear();
      }
      int begin = isSameSession ? before.known() : 0;
      history.addAll(sequence.items().subList(begin, sequence.known()));
      repeated += targets(sequence).stream().filter(history::contains).count();
      before = sequence;
    }
    return repeated;
  }

  private void printCount(long count, String what) {
    if (count > 0) {
      streams.out().printf("; %,d %s", count, what);
    }
  }
}
