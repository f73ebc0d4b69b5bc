// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import static java.util.stream.Collectors.joining;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Function;
import org.blocksparse.ElementType;
import org.blocksparse.classifier.ModelCard;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.nextitem.HistoryTraining.Setting;
import org.blocksparse.classifier.nextitem.HistoryTraining.Trained;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.ranking.Labels;

/**
 * Trains a {@link NextItem}: a bag with a softmax, or the mean of two, in order and in any; counts
 * of transitions; votes of the nearest sequences; and the weights of their sum. Held-out items
 * choose settings, epochs and weights. A last training learns the given sequences, with what was
 * held out of them.
 */
final class NextItemTrainer {
  private static final int EPOCHS = 10;

  /** The epochs of baskets, each of which sees other parts of a basket. */
  private static final int EPOCHS_OF_BASKETS = 12;

  /** One in this many baskets is held out. */
  private static final int HELD_OUT = 10;

  /**
   * The held-out sequences that are enough to choose an epoch, and one or both of two trainings.
   */
  private static final int MOST_OF_EPOCH = 10_000;

  /** The held-out sequences that are enough to choose the weights of two scorers. */
  private static final int MOST_TO_MIX = 4000;

  /** The shares of the transitions. The layer always has a share, as it alone knows all items. */
  private static final double[] SHARES = {0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 0.97};

  /** The index of the share that is measured first, with all decays. */
  private static final int FIRST_SHARE = 3;

  /**
   * The candidates of {@link HistoryRows#transitionDecay}; the best one with the first share is
   * kept.
   */
  private static final double[] TRANSITION_DECAYS = {HistoryRows.TRANSITION_DECAY, 0.8, 0.95};

  private final NextItemOptions options;
  private final TrainingOptions learning;
  private final int epochs;
  private final ItemExamples learned;

  /** All given data; null if nothing of it is held out. */
  private final ItemExamples all;

  private final List<Sequence> validation;

  /** Some of the validation sequences, in random order. */
  private final List<Sequence> some;

  private final Map<String, String> metadata = new TreeMap<>();

  /** The number of sequences that were measured for choices, counted for each choice. */
  private int measured;

  private int toMeasure;

  NextItemTrainer(List<Sequence> given, NextItemOptions options) {
    this.options = options;
    this.learning = options.learning();
    boolean ordered = options.ordered();
    this.epochs = learning.epochs(ordered ? EPOCHS : EPOCHS_OF_BASKETS);
    NextItemFile.putData(metadata, options);
    List<Sequence> rest = given;
    List<Sequence> heldOut = options.validationOrNull();
    if (heldOut == null) {
      heldOut = given.stream().filter(s -> ordered ? s.known() > 1 : isHeldOut(s)).toList();
      rest =
          given.stream()
              .filter(s -> ordered || !isHeldOut(s))
              .map(s -> ordered && s.known() > 1 ? s.withoutLast() : s)
              .toList();
      if (!ordered && rest.stream().noneMatch(s -> distinct(s).size() > 1)) {
        heldOut = List.of(); // nothing would be left to learn
        rest = given;
      }
    }
    this.validation = heldOut.stream().filter(s -> s.known() > 0).toList();
    List<Sequence> order = new ArrayList<>(validation);
    Collections.shuffle(order, new Random(learning.seed()));
    this.some = order.subList(0, Math.min(MOST_OF_EPOCH, order.size()));
    this.learned = new ItemExamples(rest, ordered, learning.seed());
    boolean isAll = options.validationOrNull() != null || validation.isEmpty();
    this.all = isAll ? null : new ItemExamples(given, ordered, learning.seed());
    NextItemFile.requireFits((isAll ? learned : all).rows());
  }

  /**
   * Decides by the hash of the items in any order, so that equal baskets are held out together. A
   * single item is not held out: nothing else could be predicted.
   */
  static boolean isHeldOut(Sequence basket) {
    List<String> items = distinct(basket);
    return items.size() > 1 && Math.floorMod(items.hashCode(), HELD_OUT) == 0;
  }

  private static List<String> distinct(Sequence basket) {
    return basket.items().stream().distinct().sorted().toList();
  }

  private ModelCard card() {
    return new ModelCard(metadata);
  }

  private boolean isStopped() {
    return learning.stop().getAsBoolean();
  }

  NextItem train() {
    learning.card().forEach(card()::put);
    Chosen chosen = choose();
    if (all == null || isStopped()) {
      return chosen.model;
    }
    try {
      NextItem last = trainOnAllOrNull(chosen);
      if (last == null) {
        return chosen.model;
      }
      chosen.model.close();
      return last;
    } catch (ArithmeticException | OutOfMemoryError e) { // a loss not finite, or too little memory
      String reason = "the last training has failed, so held-out items are not learned: ";
      learning.listener().warning(reason + e.getMessage());
      return chosen.model;
    } catch (Throwable e) {
      chosen.model.close();
      throw e;
    }
  }

  // ----------------------------------------------------------------------------------- choosing

  /**
   * A model of layers that were trained with some settings, and its score.
   *
   * @param share the share of the transitions, beside the layers
   * @param nearest the share of the nearest sequences, beside these; 0: there are none
   */
  private record Chosen(
      NextItem model,
      List<Setting> settings,
      double share,
      double ndcg,
      double nearest,
      TextSearch.Choice texts,
      RepeatSearch.Choice repeats) {
    Chosen(NextItem model, List<Setting> settings, double share, double ndcg) {
      this(model, settings, share, ndcg, 0, TextSearch.Choice.NONE, RepeatSearch.Choice.NONE);
    }
  }

  private Chosen choose() {
    HistoryTraining training = new HistoryTraining(learned, epochs, learning);
    int items = learned.items();
    learning.listener().begin(learned.size(), epochs, items, items, training.classes());
    List<Setting> settings = settings();
    List<Trained> trained = new ArrayList<>();
    try {
      for (Setting setting : settings) {
        if (trained.isEmpty() || !isStopped()) {
          if (settings.size() > 1) {
            training.listen(trained.size() + 1, settings.size(), setting, "");
          }
          trained.add(training.train(setting, some));
        }
      }
      Chosen chosen = best(trained);
      describe(chosen);
      return chosen;
    } finally {
      trained.forEach(Trained::close);
    }
  }

  private List<Setting> settings() {
    boolean ordered = options.ordered();
    Setting first = new Setting(ordered, options.dropout(0.5), epochs);
    return ordered && !validation.isEmpty()
        ? List.of(first, new Setting(false, options.dropout(0.7), epochs))
        : List.of(first);
  }

  private static String texts(List<Setting> settings, Function<Setting, Object> of) {
    return settings.stream().map(setting -> of.apply(setting).toString()).collect(joining("; "));
  }

  private void describe(Chosen chosen) {
    card().put("epoch of this model", texts(chosen.settings, Setting::epochs));
    card().put("validation sequences", Integer.toString(validation.size()));
    if (!validation.isEmpty()) {
      card().put("validation nDCG@10", ModelCard.decimals(chosen.ndcg));
      double repeats = RepeatSearch.shareOfRepeats(validation);
      card().put("validation targets in the history", ModelCard.decimals(repeats));
    }
    if (hasTexts()) {
      String gain = ModelCard.decimals(chosen.texts.gain());
      card().put("validation nDCG@10 gained by item texts", gain);
      card().put("weight of item texts", ModelCard.decimals(chosen.texts.share()));
    }
    if (chosen.repeats.share() > 0) {
      String ofAll = ModelCard.decimals(chosen.repeats.ndcg());
      card().put("validation nDCG@10 of all items", ofAll);
      card().put("decay of repeats", Double.toString(chosen.repeats.decay()));
    }
    if (options.ordered()) {
      card().put("decays of the bag", chosen.model.rows().decays().toString());
      card().put("decay of transitions", Double.toString(chosen.model.rows().transitionDecay()));
    }
  }

  /** Returns one of them, or all together, whichever is best on the validation sequences. */
  private Chosen best(List<Trained> trained) {
    List<List<Trained>> candidates = new ArrayList<>();
    trained.forEach(one -> candidates.add(List.of(one)));
    if (trained.size() > 1) {
      candidates.add(trained);
    }
    SparseWeights transitions = transitions(learned);
    HistoryLayers layers = null;
    Chosen best = null;
    toMeasure = candidates.size() * toWeigh() + validation.size();
    toMeasure += (1 + mostShares()) * mixed().size();
    boolean comeBack = options.ordered() && RepeatSearch.shareOfRepeats(mixed()) > 0;
    toMeasure += comeBack ? RepeatSearch.choices() * mixed().size() : 0;
    toMeasure += hasTexts() ? TextSearch.choices() * mixed().size() : 0;
    try {
      for (List<Trained> candidate : candidates) {
        HistoryLayers mean = mean(candidate);
        HistoryLayers worse = mean;
        try {
          Chosen other = weighted(mean, transitions, candidate);
          if (candidates.size() > 1) {
            String name = "validation nDCG@10, " + texts(other.settings, setting -> setting);
            card().put(name, ModelCard.decimals(other.ndcg));
          }
          if (best == null || other.ndcg > best.ndcg) {
            best = other;
            worse = layers;
            layers = mean;
          }
        } finally {
          if (worse != null) {
            worse.close();
          }
        }
      }
      NextItem model = narrow(layers, transitions, best, metadata);
      try {
        double nearest = validation.isEmpty() ? 0 : shareOfNearest(model);
        model = withNearest(model, learned, nearest);
        TextSearch.Choice texts = TextSearch.Choice.NONE;
        if (hasTexts()) {
          SparseWeights similar = similarTexts(model);
          try {
            texts = TextSearch.choose(model, similar, candidate -> ndcg(candidate, mixed()));
          } catch (Throwable e) {
            similar.close();
            throw e;
          }
          if (texts.share() > 0) {
            model = TextSearch.with(model, similar, texts.share());
          } else {
            similar.close();
          }
        }
        double ndcg = validation.isEmpty() ? Double.NaN : ndcg(model, validation).mean();
        RepeatSearch.Choice repeats = comeBack ? repeats(model) : RepeatSearch.Choice.NONE;
        NextItem chosen = RepeatSearch.with(model, repeats);
        return new Chosen(chosen, best.settings, best.share, ndcg, nearest, texts, repeats);
      } catch (Throwable e) {
        model.close();
        throw e;
      }
    } finally {
      transitions.close();
      if (layers != null) {
        layers.close();
      }
    }
  }

  /** Returns the share of the nearest sequences; 0 unless they gain more than a standard error. */
  private double shareOfNearest(NextItem model) {
    int before = measured;
    NearestExamples nearest = learned.nearestOrNull();
    double best = 0;
    if (nearest != null) {
      try {
        NextItem all =
            model.with(NextItemFile.sum(model.mixture(), nearest, null, null), model.rows());
        float[] weights = model.mixture().weights();
        HeldOutNdcg without = ndcg(model, mixed());
        HeldOutNdcg ofBest = without;
        for (int step : new int[] {1, -1}) {
          for (int i = FIRST_SHARE + Math.min(step, 0); i > 0 && i < SHARES.length; i += step) {
            HeldOutNdcg ndcg = ndcg(all.withLast(SHARES[i], weights), mixed());
            if (!(ndcg.mean() > ofBest.mean())) {
              break;
            }
            best = SHARES[i];
            ofBest = ndcg;
          }
          if (best > 0) {
            break;
          }
        }
        best = ofBest.isClearGainOver(without) ? best : 0;
      } finally {
        NearestSequences.close(nearest);
      }
    }
    measured = before + (1 + mostShares()) * mixed().size();
    return best;
  }

  /** Returns the model with votes of the nearest sequences; itself without a share of them. */
  private static NextItem withNearest(NextItem model, ItemExamples examples, double share) {
    if (share == 0) {
      return model;
    }
    NearestExamples wide = examples.nearestOrNull();
    try {
      NearestExamples nearest = NearestSequences.copyOrNull(wide, ElementType.FLOAT16);
      return model
          .with(NextItemFile.sum(model.mixture(), nearest, null, null), model.rows())
          .withLast(share, model.mixture().weights());
    } finally {
      NearestSequences.close(wide);
    }
  }

  /** Returns whether texts can be weighed. */
  private boolean hasTexts() {
    return !options.itemTexts().isEmpty() && !validation.isEmpty();
  }

  private SparseWeights similarTexts(NextItem model) {
    Labels labels = model.labels();
    try (SparseWeights wide =
        new TextSimilarities(labels, options.itemTexts(), learning.workers()).weights(labels)) {
      return wide.withWeights(ElementType.FLOAT16);
    }
  }

  private RepeatSearch.Choice repeats(NextItem model) {
    int before = measured;
    return RepeatSearch.choose(model, mixed(), count -> listen(before + count));
  }

  private HistoryLayers mean(List<Trained> trained) {
    return HistoryLayers.mean(trained.stream().map(Trained::layers).toList(), learning);
  }

  /**
   * Returns a model of copies in 8 bits, and transitions in 16. As floats, rows of several settings
   * are large, and half of them zeros.
   *
   * @param chosen has the share and the decay of the transitions
   * @throws ArithmeticException if a weight is not finite
   */
  private static NextItem narrow(
      HistoryLayers layers, SparseWeights transitions, Chosen chosen, Map<String, String> card) {
    HistoryLayers narrow;
    try {
      narrow = layers.withWeights(ElementType.INT8);
    } catch (IllegalArgumentException e) {
      throw new ArithmeticException(e.getMessage());
    }
    SparseWeights counts = null;
    try {
      counts = transitions.withWeights(ElementType.FLOAT16);
      return model(
          NextItemFile.sum(narrow.bag(), narrow.softmax(), counts, null, null, null),
          chosen.share,
          layers.rows().withTransitionDecay(chosen.model.rows().transitionDecay()),
          card);
    } catch (Throwable e) {
      narrow.close();
      if (counts != null) {
        counts.close();
      }
      throw e;
    }
  }

  private static SparseWeights transitions(ItemExamples examples) {
    SparseWeights transitions = examples.transitions();
    transitions.setLabels(examples.labels());
    return transitions;
  }

  /** Returns the model with the decay and the share that are best on validation sequences. */
  private Chosen weighted(HistoryLayers layers, SparseWeights transitions, List<Trained> of) {
    Mixture mixture =
        NextItemFile.sum(layers.bag(), layers.softmax(), transitions, null, null, null);
    List<Setting> settings = of.stream().map(Trained::setting).toList();
    if (validation.isEmpty()) {
      return new Chosen(model(mixture, 0.5, layers.rows(), metadata), settings, 0.5, Double.NaN);
    }
    int before = measured;
    double[] none = {layers.rows().transitionDecay()};
    double first = SHARES[FIRST_SHARE];
    Chosen best = null;
    for (double decay : options.ordered() ? TRANSITION_DECAYS : none) {
      HistoryRows rows = layers.rows().withTransitionDecay(decay);
      best = better(best, model(mixture, first, rows, metadata), settings, first);
    }
    best = climbed(best, mixture, 1);
    if (best.share == first) {
      best = climbed(best, mixture, -1);
    }
    List<Sequence> others = some.subList(mixed().size(), some.size());
    double sum = best.ndcg * mixed().size() + ndcg(best.model, others).mean() * others.size();
    double ndcg = sum / some.size();
    measured = before + toWeigh(); // includes choices that were skipped, as no share gained
    return new Chosen(best.model, settings, best.share, ndcg);
  }

  /**
   * Returns the model with the last of larger or smaller shares that each gain over the one before.
   */
  private Chosen climbed(Chosen from, Mixture mixture, int step) {
    Chosen best = from;
    HistoryRows rows = from.model.rows();
    for (int i = FIRST_SHARE + step; i >= 0 && i < SHARES.length; i += step) {
      best = better(best, model(mixture, SHARES[i], rows, metadata), from.settings, SHARES[i]);
      if (best.share != SHARES[i]) {
        break;
      }
    }
    return best;
  }

  /** Returns the maximum number of sequences that are measured to weigh one candidate. */
  private int toWeigh() {
    int decays = options.ordered() ? TRANSITION_DECAYS.length : 1;
    return (decays + mostShares() - 1) * mixed().size() + some.size();
  }

  /**
   * Returns the maximum number of shares beside the first: all above, or the next and all below.
   */
  private static int mostShares() {
    return Math.max(SHARES.length - 1 - FIRST_SHARE, FIRST_SHARE + 1);
  }

  private Chosen better(Chosen best, NextItem model, List<Setting> settings, double share) {
    double ndcg = ndcg(model, mixed()).mean();
    return best == null || ndcg > best.ndcg ? new Chosen(model, settings, share, ndcg) : best;
  }

  private List<Sequence> mixed() {
    return some.subList(0, Math.min(MOST_TO_MIX, some.size()));
  }

  private HeldOutNdcg ndcg(NextItem model, List<Sequence> sequences) {
    int before = measured;
    measured += sequences.size();
    return HeldOutNdcg.of(model, sequences, Repeats.EXCLUDE, count -> listen(before + count));
  }

  private void listen(int count) {
    learning.listener().weighed(count, toMeasure);
  }

  private static NextItem model(
      Mixture mixture, double share, HistoryRows rows, Map<String, String> metadata) {
    Mixture sum = mixture.withWeights((float) (1 - share), (float) share);
    return new NextItem(sum, rows, metadata, mixture.labels());
  }

  // ---------------------------------------------------------------------------------- all items

  /** Trains the chosen settings again, with what was held out; null if it is stopped. */
  private NextItem trainOnAllOrNull(Chosen chosen) {
    HistoryTraining training = new HistoryTraining(all, epochs, learning);
    List<Trained> trained = new ArrayList<>();
    try {
      for (Setting setting : chosen.settings) {
        if (isStopped()) {
          return null;
        }
        String more = ", %d epochs, with what was held out".formatted(setting.epochs());
        training.listen(trained.size() + 1, chosen.settings.size(), setting, more);
        trained.add(training.train(setting, List.of()));
      }
      if (isStopped()) {
        return null;
      }
      Map<String, String> last = new TreeMap<>(metadata);
      new ModelCard(last).put("held-out items", "learned in the last training");
      try (HistoryLayers layers = mean(trained);
          SparseWeights transitions = transitions(all)) {
        NextItem model = narrow(layers, transitions, chosen, last);
        try {
          model = withNearest(model, all, chosen.nearest);
          if (chosen.texts.share() > 0) {
            model = TextSearch.with(model, similarTexts(model), chosen.texts.share());
          }
          return RepeatSearch.with(model, chosen.repeats);
        } catch (Throwable e) {
          model.close();
          throw e;
        }
      }
    } finally {
      trained.forEach(Trained::close);
    }
  }
}
