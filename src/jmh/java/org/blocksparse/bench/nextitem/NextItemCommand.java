// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * A recommender of the next item, made in two ways from the same clicks: a softmax with an exact
 * search, and two towers whose items Lucene puts into an HNSW graph. Both leave out seen items.
 *
 * <pre>{@code
 * mvn -f src/jmh -Dbench.args="next-item"
 * mvn -f src/jmh -Dbench.args="next-item --quick"
 * }</pre>
 */
@Command(
    name = "next-item",
    mixinStandardHelpOptions = true,
    description =
        "Compares our softmax with a two-tower model in Lucene's HNSW, trained on the same"
            + " clicks.")
public final class NextItemCommand implements Callable<Integer> {
  private static final int ASKED = 2000;

  /** By what --quick took, 43 seconds: to learn the clicks; to make the graph, and to score all. */
  private static final double SECONDS_OF_A_SESSION = 6e-4;

  private static final double SECONDS_OF_AN_ITEM = 9e-4;

  @Option(names = "--quick", description = "Use a tenth of the items and a fifth of the sessions.")
  private boolean quick;

  @Option(
      names = "--items",
      description = "Number of items. Default: 200000, or 20000 with --quick.")
  private Integer items;

  @Option(
      names = "--sessions",
      description = "Number of sessions. Default: 200000, or 40000 with --quick.")
  private Integer sessions;

  @Option(
      names = "--epochs",
      defaultValue = "1",
      description = "Number of epochs of each model. Default: ${DEFAULT-VALUE}.")
  private int epochs;

  @Option(
      names = "--seed",
      defaultValue = "1",
      description = "Random seed of the clicks and of both models. Default: ${DEFAULT-VALUE}.")
  private long seed;

  @Override
  public Integer call() throws IOException {
    Stopwatch stopwatch = new Stopwatch();
    int numberOfItems = items != null ? items : quick ? 20_000 : 200_000;
    int numberOfSessions = sessions != null ? sessions : quick ? 40_000 : 200_000;
    stopwatch.say(
        "Trains two recommenders on %,d sessions with %,d items, and asks both: about %.0f minutes",
        numberOfSessions,
        numberOfItems,
        Math.ceil(
            (epochs * SECONDS_OF_A_SESSION * numberOfSessions + SECONDS_OF_AN_ITEM * numberOfItems)
                / 60));
    Clicks clicks = new Clicks(numberOfItems, seed);
    List<int[]> all = Stream.generate(clicks::session).limit(numberOfSessions).toList();
    Examples toLearn = Examples.toLearn(all, seed);
    Examples heldOut = Examples.heldOut(all.subList(0, Math.min(ASKED, all.size())));
    stopwatch.say("%,d sessions, %,d clicks to learn", all.size(), toLearn.size());
    Comparison comparison =
        new Comparison(
            numberOfItems,
            epochs,
            seed,
            all.stream().map(session -> Arrays.copyOf(session, session.length - 1)).toList(),
            toLearn,
            heldOut,
            stopwatch);
    Path folder = Files.createTempDirectory("next-item");
    try {
      comparison.mostPopular();
      comparison.itemNeighbours();
      comparison.softmax(folder);
      comparison.twoTowers(folder);
    } finally {
      delete(folder);
    }
    System.out.printf(
        Locale.ROOT,
        "%n%,d items; %,d clicks learned in %d epochs; %,d sessions asked; Java %s; %.0f s in"
            + " all%n%n",
        numberOfItems,
        toLearn.size(),
        epochs,
        heldOut.size(),
        Runtime.version(),
        stopwatch.seconds());
    comparison.table().forEach(System.out::println);
    return 0;
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }
}
