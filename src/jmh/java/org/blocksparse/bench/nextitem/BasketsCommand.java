// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Function;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Which item is missing in a basket? Our layers against counts of neighbors, on baskets of a file.
 *
 * <pre>{@code
 * apt-cache dumpavail | awk -f src/jmh/debian-baskets.awk > baskets.txt
 * mvn -f src/jmh -Dbench.args="baskets baskets.txt"
 * }</pre>
 */
@Command(
    name = "baskets",
    mixinStandardHelpOptions = true,
    description =
        "Compares our layers with item co-occurrence counts (item-kNN), on baskets from a"
            + " file.")
public final class BasketsCommand implements Callable<Integer> {
  /** Shares of the second of two models that are tried on the validation baskets. */
  private static final int SHARES = 10;

  @Parameters(paramLabel = "FILE", description = "Baskets, one per line, as item names.")
  private Path file;

  @Option(
      names = "--features",
      defaultValue = "256",
      description = "Features of the softmax. Default: ${DEFAULT-VALUE}.")
  private int features;

  @Option(
      names = "--epochs",
      defaultValue = "12",
      description =
          "Number of epochs; the best model on the validation baskets is kept. Default:"
              + " ${DEFAULT-VALUE}.")
  private int epochs;

  @Option(
      names = "--seed",
      defaultValue = "1",
      description = "Random seed. Default: ${DEFAULT-VALUE}.")
  private long seed;

  private final Stopwatch stopwatch = new Stopwatch();
  private Baskets baskets;

  /** The items that a model finds for the validation baskets, and for those to test with. */
  private record Answers(List<Scores> validation, List<Scores> test) {
    Answers plus(Answers other, double share) {
      return new Answers(
          Scores.sum(validation, other.validation, share), Scores.sum(test, other.test, share));
    }
  }

  @Override
  public Integer call() throws IOException {
    baskets = Baskets.read(file);
    stopwatch.say("%,d baskets", baskets.training().size());
    ItemNeighbours neighbours = new ItemNeighbours(baskets.items(), baskets.training());
    System.out.printf(
        Locale.ROOT,
        "%n%,d items; %,d baskets to learn, %,d to validate, %,d to test with; Java %s%n%n"
            + "| | hit@10, validation | hit@10, test |%n|---|---|---|%n",
        baskets.items(),
        baskets.training().size(),
        baskets.validation().size(),
        baskets.test().size(),
        Runtime.version());
    row("the 10 most popular", counted(neighbours::popular));
    Answers counts = row("item-kNN, P(j given i) by idf", counted(neighbours::scores));
    Answers softmax = row("`EmbeddingBag` and `HierarchicalSoftmax`", softmax());
    Answers tree = row("`LinearLabelTree`", tree());
    Answers both = sum("both, %.1f of the tree", softmax, tree);
    sum("both and item-kNN, %.1f of it", both, counts);
    return 0;
  }

  private Answers counted(Function<int[], Map<Integer, Double>> model) {
    return answers(seen -> seen.stream().map(model).map(Scores::best).toList());
  }

  private Answers answers(Function<List<int[]>, List<Scores>> model) {
    return new Answers(
        model.apply(baskets.validation().seen()), model.apply(baskets.test().seen()));
  }

  private Answers softmax() {
    Answers best = null;
    try (BasketModel model = new BasketModel(baskets, features, seed)) {
      for (int epoch = 0; epoch < epochs; epoch++) {
        double loss = model.epoch((double) epoch / epochs, (epoch + 1.0) / epochs);
        Answers answers = answers(model::scores);
        stopwatch.say("epoch %d: loss %.3f, hit@10 %.4f", epoch + 1, loss, validated(answers));
        if (best == null || validated(answers) > validated(best)) {
          best = answers;
        }
      }
    }
    return best;
  }

  private Answers tree() {
    try (BasketTree tree = new BasketTree(baskets, seed)) {
      return answers(tree::scores);
    }
  }

  /** Adds the row of two models whose scores are added, by the best share of the second. */
  private Answers sum(String name, Answers first, Answers second) {
    double best = 0;
    for (int tenths = 1; tenths <= SHARES; tenths++) {
      double share = (double) tenths / SHARES;
      if (validated(first.plus(second, share)) > validated(first.plus(second, best))) {
        best = share;
      }
    }
    return row(String.format(Locale.ROOT, name, best), first.plus(second, best));
  }

  private double validated(Answers answers) {
    return Scores.hits(answers.validation(), baskets.validation().next());
  }

  private Answers row(String name, Answers answers) {
    System.out.printf(
        Locale.ROOT,
        "| %s | %.3f | %.3f |%n",
        name,
        validated(answers),
        Scores.hits(answers.test(), baskets.test().next()));
    return answers;
  }
}
