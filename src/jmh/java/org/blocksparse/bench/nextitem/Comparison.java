// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.nextitem;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.SparseRows;
import org.blocksparse.softmax.ClassAssignment;

/** Trains both models on the same examples, asks both for the same sessions, and makes a table. */
final class Comparison {
  private static final int FEATURES = 64;
  private static final int BATCH = 1024;

  /** How many candidates the graph keeps while it is searched. */
  private static final int[] CANDIDATES = {20, 50, 100, 200};

  private final int items;
  private final int epochs;
  private final long seed;
  private final List<int[]> learned;
  private final Examples toLearn;
  private final Examples heldOut;
  private final Stopwatch stopwatch;
  private final List<String> table = new ArrayList<>();

  /**
   * A comparison without rows.
   *
   * @param learned the clicks that are learned, of each session
   * @param toLearn the same, each with what was clicked before
   */
  Comparison(
      int items,
      int epochs,
      long seed,
      List<int[]> learned,
      Examples toLearn,
      Examples heldOut,
      Stopwatch stopwatch) {
    this.items = items;
    this.epochs = epochs;
    this.seed = seed;
    this.learned = learned;
    this.toLearn = toLearn;
    this.heldOut = heldOut;
    this.stopwatch = stopwatch;
    table.add("| | hit@20 | of the exact 20 | p50 ms | p99 ms | trained in s | indexed in s |");
    table.add("|---|---|---|---|---|---|---|");
  }

  /** Adds the row of those who know nothing of a session but what it has seen. */
  void mostPopular() {
    long[] counts = new long[items];
    Arrays.stream(toLearn.next()).forEach(item -> counts[item]++);
    int[] byCount =
        IntStream.range(0, items)
            .boxed()
            .sorted((a, b) -> Long.compare(counts[b], counts[a]))
            .mapToInt(item -> item)
            .toArray();
    Recommender popular =
        (user, seen) ->
            Arrays.stream(byCount)
                .filter(item -> Arrays.stream(seen).noneMatch(other -> other == item))
                .limit(Recommender.K)
                .toArray();
    Measured measured = Measured.of(popular, new float[heldOut.size()][0], heldOut);
    row("the 20 most popular", "%.3f | | | | |", measured.hits(heldOut.next()));
  }

  /** Adds the row of counts of what is clicked together. */
  void itemNeighbours() {
    double begin = stopwatch.seconds();
    ItemNeighbours neighbours = new ItemNeighbours(items, learned);
    double counted = stopwatch.seconds() - begin;
    stopwatch.say("item-kNN: counted");
    Measured measured =
        Measured.of(
            (user, seen) ->
                Arrays.copyOf(Scores.best(neighbours.scores(seen)).items(), Recommender.K),
            new float[heldOut.size()][0],
            heldOut);
    row(
        "item-kNN, P(j given i) by idf",
        "%.3f | | %.3f | %.3f | %.0f | |",
        measured.hits(heldOut.next()),
        measured.milliseconds(0.5),
        measured.milliseconds(0.99),
        counted);
  }

  /** Adds the row of our softmax. */
  void softmax(Path folder) throws IOException {
    double begin = stopwatch.seconds();
    ClassAssignment classes;
    try (SparseRows seen = toLearn.rows();
        SparseRows next =
            SparseRows.of(Arrays.stream(toLearn.next()).mapToObj(i -> new int[] {i}).toList())) {
      classes = ClassAssignment.clustered(seen, next, items, seed);
    }
    double clustered = stopwatch.seconds();
    stopwatch.say("softmax: %d classes after %.1f s", classes.classCount(), clustered - begin);
    Path file = folder.resolve("softmax");
    float[][] users;
    try (SoftmaxModel model = new SoftmaxModel(items, FEATURES, classes, seed)) {
      train("softmax", model);
      users = users(model);
      model.save(file);
    }
    double trained = stopwatch.seconds() - clustered;
    try (SoftmaxSearch search = new SoftmaxSearch(file)) {
      Measured measured = Measured.of(search, users, heldOut);
      stopwatch.say("softmax: a search opens %s", search.openedClasses());
      row(
          "`HierarchicalSoftmax.topK`, exact",
          "%.3f | 1 | %.3f | %.3f | %.0f | %.0f, to cluster |",
          measured.hits(heldOut.next()),
          measured.milliseconds(0.5),
          measured.milliseconds(0.99),
          trained,
          clustered - begin);
    }
  }

  /** Adds the rows of the two towers: with all items scored, and with the graph. */
  void twoTowers(Path folder) throws IOException {
    double begin = stopwatch.seconds();
    try (TwoTowers model = new TwoTowers(items, FEATURES, toLearn.next(), seed)) {
      train("two towers", model);
      float[][] users = users(model);
      double trained = stopwatch.seconds();
      Measured exact;
      try (AllItems all = new AllItems(model.items())) {
        exact = Measured.of(all, users, heldOut);
      }
      stopwatch.say("two towers: all items scored");
      row(
          "two towers, all items scored",
          "%.3f | 1 | %.3f | %.3f | %.0f | |",
          exact.hits(heldOut.next()),
          exact.milliseconds(0.5),
          exact.milliseconds(0.99),
          trained - begin);
      double before = stopwatch.seconds();
      try (HnswIndex index =
          new HnswIndex(
              Vectors.rows(model.items()),
              Files.createDirectory(folder.resolve("hnsw")),
              done -> stopwatch.sayNowAndThen("HNSW: %,d of %,d items", done, items))) {
        double indexed = stopwatch.seconds() - before;
        stopwatch.say("HNSW: built");
        for (int candidates : CANDIDATES) {
          Measured measured = Measured.of(index.search(candidates), users, heldOut);
          row(
              "two towers, Lucene's HNSW, " + candidates + " candidates",
              "%.3f | %.3f | %.3f | %.3f | %.0f | %.0f |",
              measured.hits(heldOut.next()),
              measured.recall(exact),
              measured.milliseconds(0.5),
              measured.milliseconds(0.99),
              trained - begin,
              indexed);
        }
      }
    }
  }

  private void train(String name, Model model) {
    try (SparseRows seen = toLearn.rows()) {
      double mean = 0;
      for (int epoch = 1; epoch <= epochs; epoch++) {
        for (int end = BATCH, step = 1; end <= toLearn.size(); end += BATCH, step++) {
          try (SparseRows rows = seen.slice(end - BATCH, end)) {
            double loss = model.step(rows, Arrays.copyOfRange(toLearn.next(), end - BATCH, end));
            mean += (loss - mean) / Math.min(step, 100);
          }
          stopwatch.sayNowAndThen(
              "%s: epoch %d of %d, %,d of %,d examples, loss %.3f",
              name, epoch, epochs, end, toLearn.size(), mean);
        }
      }
    }
  }

  private float[][] users(Model model) {
    try (SparseRows seen = heldOut.rows()) {
      return model.users(seen);
    }
  }

  private void row(String name, String format, Object... cells) {
    table.add("| " + name + " | " + String.format(Locale.ROOT, format, cells));
  }

  /** The table in Markdown, a line for each row. */
  Stream<String> table() {
    return table.stream();
  }
}
