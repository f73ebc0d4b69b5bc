// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static java.util.Objects.requireNonNull;
import static org.blocksparse.ElementType.FLOAT16;
import static org.blocksparse.ElementType.FLOAT32;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.LabelFilter;
import org.blocksparse.classifier.ModelCard;
import org.blocksparse.classifier.Prediction;
import org.blocksparse.classifier.PredictionOptions;
import org.blocksparse.classifier.examples.EventColumns;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.examples.SequenceFormat;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Recommends the next items of users by their histories, or the missing items of baskets. The score
 * of an item is a weighted sum: of the probability by a softmax over a bag of the history, in which
 * old items count less; of counts, which items follow which; and, if they help, of votes of the
 * nearest sequences of the training. Decays, weights of the sum, and the number of epochs are those
 * that are best on held-out items. What training held out itself is learned in a last training;
 * {@linkplain NextItemOptions#withValidation validation sequences} never are.
 *
 * <pre>{@code
 * NextItem model = NextItem.load(Path.of("model"));
 * model.recommend(List.of("tea", "milk"), 10).get(0).label();
 * }</pre>
 *
 * <p>Items of the history are recommended again if held-out items do repeat, or {@link Repeats}
 * asks for it; the score then has a further part, of the ages of the history's items. Unknown items
 * of a history are ignored; a history without a known item gets the items that are most likely for
 * anybody.
 *
 * <p><b>Threads.</b> Any number of threads may use a model at the same time.
 *
 * <p><b>Lifetime.</b> As that of a {@link Classifier}.
 */
public final class NextItem implements AutoCloseable {
  /** The k of the nDCG@k by which training chooses. */
  public static final int CUTOFF = 10;

  private static final int BATCH = 256;

  private final Mixture mixture;
  private final HistoryRows rows;
  private final Map<String, String> metadata;
  private final Labels labels;

  NextItem(Mixture mixture, HistoryRows rows, Map<String, String> metadata, Labels labels) {
    this.mixture = mixture;
    this.rows = rows;
    this.metadata = metadata;
    this.labels = labels;
  }

  /**
   * Trains a model. A stop ends the training that is going on; the model then is the best so far,
   * or that from before the last training. The latter is the result with a {@linkplain
   * org.blocksparse.classifier.training.TrainingListener#warning warning}, too, if the last
   * training fails.
   *
   * @param sequences the sequences of items; one with a single item only adds to the items that are
   *     known
   * @throws IllegalArgumentException if no sequence has two items that are not held out, or if the
   *     items are too many to {@link #save}
   * @throws ArithmeticException if the loss becomes infinite, because the rate is too high
   */
  public static NextItem train(List<Sequence> sequences, NextItemOptions options) {
    return new NextItemTrainer(sequences, options).train();
  }

  /**
   * Returns whether a file holds such a model: false for a file that is not safetensors. Only its
   * header is read.
   *
   * @throws IOException if the file cannot be read
   */
  public static boolean isIn(Path file) throws IOException {
    return NextItemFile.isIn(requireNonNull(file, "file"));
  }

  /** Maps a model with common workers; see {@link #load(Path, LoadOptions)}. */
  public static NextItem load(Path file) throws IOException {
    return load(file, LoadOptions.mapped());
  }

  /**
   * Loads a model that {@link #save} has written. It is safe to load untrusted files.
   *
   * @throws org.blocksparse.FileFormatException if the file is damaged or no such model
   * @throws IOException if the file cannot be read
   */
  public static NextItem load(Path file, LoadOptions options) throws IOException {
    return NextItemFile.load(requireNonNull(file, "file"), requireNonNull(options, "options"));
  }

  /**
   * Saves the model as one file. The write is atomic.
   *
   * @throws IllegalArgumentException if the items are too many for a file: more than four million
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void save(Path file) throws IOException {
    Map<String, String> all = NextItemFile.metadata(rows, metadata);
    mixture.save(file, SaveOptions.defaults().withMetadata(all));
  }

  /** Returns the k items that a user most probably takes next, best first. */
  public List<Prediction> recommend(List<String> history, int k) {
    return recommend(List.of(history), PredictionOptions.top(k)).get(0);
  }

  /**
   * Returns the items that each user most probably takes next, best first; those of the history by
   * {@link #repeats}.
   *
   * @param options the number of items, a threshold and a filter by their names; for instance
   *     {@link LabelFilter#only} those in stock
   */
  public List<List<Prediction>> recommend(List<List<String>> histories, PredictionOptions options) {
    return recommend(histories, options, repeats());
  }

  /**
   * Recommends with or without items of the history; see {@link #recommend(List,
   * PredictionOptions)}.
   */
  public List<List<Prediction>> recommend(
      List<List<String>> histories, PredictionOptions options, Repeats repeats) {
    requireNonNull(repeats, "repeats");
    Filter allowed = options.filter().outputs(labels);
    List<List<Prediction>> all = new ArrayList<>();
    for (int begin = 0; begin < histories.size(); begin += BATCH) {
      List<List<String>> batch =
          histories.subList(begin, Math.min(histories.size(), begin + BATCH));
      List<int[]> known = batch.stream().map(this::known).toList();
      Ranking ranking = rank(known, known, options.top(), allowed, repeats);
      for (int row = 0; row < ranking.batch(); row++) {
        List<Prediction> found = new ArrayList<>();
        for (int rank = 0; rank < ranking.size(row); rank++) {
          // Weights of transitions from a file may be negative, or above 1.
          float score = (float) Math.log(Math.min(1, Math.max(0, ranking.score(row, rank))));
          Prediction prediction = new Prediction(ranking.label(row, rank), score);
          if (prediction.isAtLeast(options.threshold())) {
            found.add(prediction);
          }
        }
        all.add(found);
      }
    }
    return all;
  }

  private int[] known(List<String> items) {
    return items.stream().mapToInt(this::output).filter(output -> output >= 0).toArray();
  }

  /** Returns the output of an item; -1 if it is unknown. */
  private int output(String item) {
    return labels.output(requireNonNull(item, "item"));
  }

  private boolean hasTexts() {
    return mixture.scorers().contains(NextItemFile.TEXTS);
  }

  /** Returns the items up to the last whose text may be compared. */
  private int itemsOfTexts() {
    return mixture.scorer(NextItemFile.TEXTS, SparseWeights.class).features();
  }

  Mixture mixture() {
    return mixture;
  }

  Labels labels() {
    return labels;
  }

  /** Returns these items with another sum and its rows. */
  NextItem with(Mixture sum, HistoryRows ofSum) {
    return new NextItem(sum, ofSum, metadata, labels);
  }

  /**
   * Returns the model with a share of its last scorer, by which the weights of the others fall:
   * they keep their proportion.
   */
  NextItem withLast(double share, float... ofOthers) {
    float[] weights = Arrays.copyOf(ofOthers, ofOthers.length + 1);
    for (int scorer = 0; scorer < ofOthers.length; scorer++) {
      weights[scorer] *= (float) (1 - share);
    }
    weights[ofOthers.length] = (float) share;
    return with(mixture.withWeights(weights), rows);
  }

  HistoryRows rows() {
    return rows;
  }

  /** Returns whether the model knows an item. */
  public boolean knows(String item) {
    return output(item) >= 0;
  }

  /** Returns the format of what training had. */
  public SequenceFormat format() {
    return NextItemFile.format(metadata);
  }

  /** Returns the columns of the events that training had. */
  public EventColumns columns() {
    return NextItemFile.columns(metadata);
  }

  /** Returns the time before which the events of the training are; empty if it has no limit. */
  public OptionalDouble until() {
    return NextItemFile.until(metadata);
  }

  /** Returns the gap that ends a sequence of a user's events; empty if a user has one sequence. */
  public Optional<Duration> sessionGap() {
    return NextItemFile.sessionGap(metadata);
  }

  /**
   * Returns whether items of the history are recommended by default: if they are scored, since
   * held-out items repeat.
   */
  public Repeats repeats() {
    return rows.hasRepeats() ? Repeats.INCLUDE : Repeats.EXCLUDE;
  }

  private Ranking rank(
      List<int[]> histories, List<int[]> taken, int k, Filter allowed, Repeats repeats) {
    List<SparseRows> all = new ArrayList<>();
    try (SparseRows items = SparseRows.of(taken)) {
      for (String scorer : mixture.scorers()) {
        all.add(
            switch (scorer) {
              case NextItemFile.LAYER -> rows.ofBag(histories);
              case NextItemFile.TRANSITIONS -> rows.ofTransitions(histories);
              case NextItemFile.NEAREST -> rows.ofNearest(histories);
              case NextItemFile.TEXTS -> rows.ofTexts(histories, itemsOfTexts());
              default -> rows.ofRepeats(histories);
            });
      }
      Filter filter =
          switch (repeats) {
            case INCLUDE -> allowed;
            case EXCLUDE -> Filter.without(items).and(allowed);
            case ONLY -> Filter.only(items).and(allowed);
          };
      return mixture.topK(all, k, filter);
    } finally {
      all.forEach(SparseRows::close);
    }
  }

  /**
   * Returns a copy that knows new items, to be used until the next training. Evidence adds up: each
   * occurrence among known items makes a new item likelier after the items before it, and after
   * those that resemble them. The vectors of a new item, and what follows it, are means over the
   * items around it. Further calls add evidence on items of earlier ones. Nothing is learned of the
   * items of the training, and this model does not change. The layers of the copy are float32, four
   * times as large as those of a training.
   *
   * <p>If item texts have a weight, a new item without a text is ranked low: give its text {@link
   * #with(List, Map) as well}.
   *
   * @param sequences any sequences, such as those of today. A new item without a known one in any
   *     of its sequences stays {@linkplain #knows unknown}
   */
  public NextItem with(List<Sequence> sequences) {
    return with(sequences, Map.of());
  }

  /**
   * Returns a copy that knows new items by their texts, too. An item that no sequence has is known
   * if a known item has a similar text. The texts replace those from before, in the model's
   * {@linkplain NextItemOptions#withItemTexts part of the score}; they change nothing if it has no
   * such part.
   *
   * @param itemTexts the texts of all items that have one, those of the training too
   */
  public NextItem with(List<Sequence> sequences, Map<String, String> itemTexts) {
    Map<String, String> compared = hasTexts() ? Map.copyOf(itemTexts) : Map.of();
    NewItems news = new NewItems(sequences, rows, labels, compared);
    EmbeddingBag bag = null;
    HierarchicalSoftmax layer = null;
    SparseWeights transitions = null;
    NearestExamples nearest = null;
    SparseWeights texts = null;
    SparseWeights repeats = null;
    try {
      bag = mixture.scorer(NextItemFile.LAYER, EmbeddingBag.class).withWeights(FLOAT32);
      layer = mixture.scorer(NextItemFile.LAYER, HierarchicalSoftmax.class).withWeights(FLOAT32);
      news.addTo(bag, layer);
      transitions = news.transitions(mixture.scorer(NextItemFile.TRANSITIONS, SparseWeights.class));
      transitions.setLabels(news.labels());
      nearest = NearestSequences.copyOrNull(NextItemFile.nearestOrNull(mixture), FLOAT16);
      repeats = rows.hasRepeats() ? NextItemFile.repeats(layer.labels()) : null;
      if (hasTexts()) {
        texts = news.texts(mixture.scorer(NextItemFile.TEXTS, SparseWeights.class));
      }
      Mixture sum = NextItemFile.sum(bag, layer, transitions, nearest, texts, repeats);
      sum = sum.withWeights(mixture.weights());
      return new NextItem(sum, news.rows(), metadata, layer.labels());
    } catch (Throwable e) {
      if (bag != null) {
        bag.close();
      }
      if (layer != null) {
        layer.close();
      }
      if (transitions != null) {
        transitions.close();
      }
      NearestSequences.close(nearest);
      if (texts != null) {
        texts.close();
      }
      if (repeats != null) {
        repeats.close();
      }
      throw e;
    }
  }

  /** Measures the ranking of {@link #repeats}. */
  public Metrics evaluate(List<Sequence> sequences, int upTo) {
    return evaluate(sequences, upTo, repeats());
  }

  /**
   * Measures the ranking of the {@linkplain Sequence#targets targets} of each sequence, given the
   * items before: recall(k) is HR@k if there is one target. A target that is unknown, or is not
   * ranked as it is in the history, counts as missed. Sequences without an item before do not
   * count.
   *
   * @param upTo the largest k of the metrics
   */
  public Metrics evaluate(List<Sequence> sequences, int upTo, Repeats repeats) {
    Metrics metrics = Metrics.upTo(upTo);
    evaluate(
        sequences,
        upTo,
        requireNonNull(repeats, "repeats"),
        (ranking, targets) -> {
          try (SparseRows labels = SparseRows.of(targets)) {
            metrics.add(ranking, labels);
          }
        });
    return metrics;
  }

  /** Receives the rankings of a batch, and the targets of each row. */
  interface Judge {
    void accept(Ranking ranking, List<int[]> targets);
  }

  void evaluate(List<Sequence> sequences, int upTo, Repeats repeats, Judge judge) {
    List<Sequence> all = sequences.stream().filter(s -> s.known() > 0).toList();
    UserHistory user = null;
    for (int begin = 0; begin < all.size(); begin += BATCH) {
      List<Sequence> batch = all.subList(begin, Math.min(all.size(), begin + BATCH));
      List<UserHistory> users = new ArrayList<>();
      for (Sequence sequence : batch) {
        if (user == null || !user.hasBeginning(sequence)) {
          user = new UserHistory(sequence, labels);
        }
        users.add(user);
      }
      evaluate(batch, users, upTo, repeats, judge);
    }
  }

  private void evaluate(
      List<Sequence> batch, List<UserHistory> users, int upTo, Repeats repeats, Judge judge) {
    // Items of a user that all rows exclude are listed once.
    boolean isOneUser = users.stream().distinct().count() == 1;
    boolean isCommon = isOneUser && repeats == Repeats.EXCLUDE;
    int common = isCommon ? batch.stream().mapToInt(Sequence::known).min().orElse(0) : 0;
    List<int[]> histories = new ArrayList<>();
    List<int[]> taken = new ArrayList<>();
    List<int[]> targets = new ArrayList<>();
    for (int row = 0; row < batch.size(); row++) {
      UserHistory user = users.get(row);
      int place = batch.get(row).known();
      histories.add(user.known(place, rows.ordered() ? rows.mostItems() : place));
      taken.add(user.distinct(common, place));
      targets.add(user.targets(place, batch.get(row).items().size(), labels.size()));
    }
    Filter allowed = Filter.without(users.get(0).distinct(0, common));
    judge.accept(rank(histories, taken, upTo, allowed, repeats), targets);
  }

  /** Returns the model card: facts on the model and its training. */
  public Map<String, String> info() {
    Map<String, String> facts = new ModelCard(metadata).facts();
    facts.put("format", format().name().toLowerCase(Locale.ROOT));
    if (!columns().equals(EventColumns.defaults())) {
      facts.put("columns", columns().toString());
    }
    until().ifPresent(time -> facts.put("until", plain(time)));
    sessionGap().ifPresent(gap -> facts.put("session gap", written(gap)));
    facts.put("items", Integer.toString(labels.size()));
    facts.put("scorers", mixture.toString());
    return facts;
  }

  /** Returns a gap such as 30m. */
  private static String written(Duration gap) {
    return gap.toString().substring("PT".length()).toLowerCase(Locale.ROOT);
  }

  /** Returns a number without an exponent, as times have. */
  private static String plain(double number) {
    return BigDecimal.valueOf(number).stripTrailingZeros().toPlainString();
  }

  @Override
  public void close() {
    mixture.close();
  }

  @Override
  public String toString() {
    return "NextItem(" + labels.size() + " items, " + mixture + ")";
  }
}
