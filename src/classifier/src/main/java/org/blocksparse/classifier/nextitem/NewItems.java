// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;

/**
 * Adds items that came after the training, and evidence on those that were added before. Each
 * sighting, an item among others of a sequence, changes three things, and nothing of other items:
 *
 * <ul>
 *   <li>The softmax takes a step that makes the item likelier after the items before it. An item
 *       begins as the mean of its class, which is the likeliest one after them.
 *   <li>The vectors of the item, as one of a history, are means of those around it.
 *   <li>Transitions count the sighting, to the item and from it. Transitions from it are the mean
 *       of those of the items around it, and of what followed.
 * </ul>
 *
 * <p>A text is a sighting, too: after the items with the most similar texts.
 */
final class NewItems {
  /** The factor by which the share of an item around another one falls with the distance. */
  private static final double AROUND = 0.8;

  /**
   * The increase of the logit of an unlikely item by its first sighting; the n-th sighting raises
   * it by an n-th of that. Larger rates push down other items.
   */
  private static final double RATE = 1.5;

  /** The known items that a text represents. */
  private static final int MOST_SIMILAR = 5;

  private static final int BATCH = 256;

  private final HistoryRows rows;
  private final Labels labels;
  private final double pairsPerItem;

  /** The similarities of all texts; null: none are compared. */
  private final TextSimilarities similarities;

  private final Map<String, Integer> added = new LinkedHashMap<>();
  private final List<Sighting> sightings = new ArrayList<>();

  /**
   * An item among others.
   *
   * @param before the items before it, or all others of a basket
   * @param after the items after it; none in a basket
   */
  private record Sighting(int item, int[] before, int[] after) {
    /** Returns the weights of the items around it, whose sum is 1. */
    Map<Integer, Float> around(boolean ordered) {
      Map<Integer, Float> shares = new TreeMap<>();
      float sum = 0;
      for (int[] side : List.of(before, after)) {
        for (int i = 0; i < side.length; i++) {
          int distance = side == before ? side.length - 1 - i : i;
          float share = (float) Math.pow(ordered ? AROUND : 1, distance);
          shares.merge(side[i], share, Float::sum);
          sum += share;
        }
      }
      float all = sum;
      shares.replaceAll((item, share) -> share / all);
      return shares;
    }
  }

  /**
   * Finds the sightings.
   *
   * @param texts the texts of all compared items; empty for none
   */
  NewItems(List<Sequence> sequences, HistoryRows rows, Labels labels, Map<String, String> texts) {
    this.rows = rows;
    this.labels = labels;
    this.pairsPerItem = rows.pairsPerItem();
    sequences.forEach(this::addSightings);
    this.similarities = texts.isEmpty() ? null : addSightingsByText(texts);
  }

  /**
   * Adds a sighting of each new item after those with similar texts, if there are any; returns the
   * similarities of all.
   */
  private TextSimilarities addSightingsByText(Map<String, String> texts) {
    Labels seen = labels();
    String[] others =
        texts.keySet().stream()
            .filter(item -> seen.output(item) < 0)
            .sorted()
            .toArray(String[]::new);
    Labels all = others.length == 0 ? seen : seen.with(others);
    TextSimilarities compared = new TextSimilarities(all, texts, Workers.common());
    for (int item = labels.size(); item < all.size(); item++) {
      int[] similar =
          IntStream.of(compared.similar(item))
              .filter(other -> other < labels.size())
              .limit(MOST_SIMILAR)
              .toArray();
      if (similar.length > 0) {
        int last = similar.length - 1;
        int[] before = IntStream.rangeClosed(0, last).map(i -> similar[last - i]).toArray();
        int number = added.computeIfAbsent(all.name(item), i -> labels.size() + added.size());
        sightings.add(new Sighting(number, before, new int[0]));
      }
    }
    return compared;
  }

  private void addSightings(Sequence sequence) {
    int[] outputs = sequence.items().stream().mapToInt(labels::output).toArray();
    int most = rows.ordered() ? HistoryRows.MOST_ITEMS : outputs.length;
    for (int place = 0; place < outputs.length; place++) {
      if (outputs[place] < 0 || isNew(outputs[place])) {
        int[] before = known(outputs, place, place - most, place);
        int[] after = known(outputs, place, place + 1, place + 1 + most);
        if (!rows.ordered()) {
          before = IntStream.concat(IntStream.of(before), IntStream.of(after)).toArray();
          after = new int[0];
        }
        if (before.length + after.length > 0) {
          int item = outputs[place];
          if (item < 0) {
            String name = sequence.items().get(place);
            item = added.computeIfAbsent(name, i -> labels.size() + added.size());
          }
          sightings.add(new Sighting(item, before, after));
        }
      }
    }
  }

  /** Returns whether an item that the model knows came after the training. */
  private boolean isNew(int item) {
    return rows.isNew(item, labels.size());
  }

  /** Returns the known items of some places, but those at another place. */
  private static int[] known(int[] outputs, int but, int begin, int end) {
    return Arrays.stream(outputs, Math.max(0, begin), Math.min(outputs.length, end))
        .filter(output -> output >= 0 && output != outputs[but])
        .toArray();
  }

  /** Returns the rows of a model that knows the sightings. */
  HistoryRows rows() {
    long[] counts = Arrays.copyOf(rows.counts().ofLabels(), labels.size() + added.size());
    sightings.forEach(sighting -> counts[sighting.item]++);
    return rows.with(rows.newItems() + added.size(), counts);
  }

  Labels labels() {
    return added.isEmpty() ? labels : labels.with(added.keySet().toArray(String[]::new));
  }

  // -------------------------------------------------------------------------------------- layers

  /**
   * Adds the vectors and outputs of the new items.
   *
   * @param bag the bag of float32, which grows
   * @param layer the layer of float32, which grows
   */
  void addTo(EmbeddingBag bag, HierarchicalSoftmax layer) {
    if (sightings.isEmpty()) {
      return;
    }
    float[][] x;
    try (SparseRows histories = rows.ofBag(sightings.stream().map(Sighting::before).toList());
        FloatTensor vectors = bag.apply(histories)) {
      x = rows(vectors);
    }
    if (!added.isEmpty()) {
      try (FloatTensor means = means(x)) {
        layer.addOutputs(means);
      }
      layer.setLabels(labels());
    }
    learn(layer, x);
    addVectors(bag);
  }

  private static float[][] rows(FloatTensor tensor) {
    int size = (int) tensor.shape().dim(1);
    float[][] all = new float[(int) tensor.shape().dim(0)][size];
    for (int row = 0; row < all.length; row++) {
      tensor.get((long) row * size, all[row], 0, size);
    }
    return all;
  }

  /** Returns the mean history of each item that is added. */
  private FloatTensor means(float[][] x) {
    int size = x[0].length;
    float[] means = new float[added.size() * size];
    int[] counts = new int[added.size()];
    for (int i = 0; i < x.length; i++) {
      int item = sightings.get(i).item - labels.size();
      if (item >= 0) {
        counts[item]++;
        for (int f = 0; f < size; f++) {
          means[item * size + f] += (x[i][f] - means[item * size + f]) / counts[item];
        }
      }
    }
    return FloatTensor.of(means, added.size(), size);
  }

  /** Makes a step for each sighting; the outputs of a class are read and written once. */
  private void learn(HierarchicalSoftmax layer, float[]... x) {
    ClassAssignment classes = layer.assignment();
    Map<Integer, List<Integer>> ofClass = new TreeMap<>();
    for (int i = 0; i < x.length; i++) {
      int c = classes.classOf(sightings.get(i).item);
      ofClass.computeIfAbsent(c, any -> new ArrayList<>()).add(i);
    }
    FloatTensor weights = layer.W2();
    FloatTensor biases = layer.b2();
    int slots = classes.slots();
    float[] w = new float[Math.multiplyExact(layer.features(), slots)];
    float[] b = new float[slots];
    long[] counts = Arrays.copyOf(rows.counts().ofLabels(), labels.size() + added.size());
    ofClass.forEach(
        (c, which) -> {
          weights.get((long) c * w.length, w, 0, w.length);
          biases.get((long) c * slots, b, 0, slots);
          for (int i : which) {
            int item = sightings.get(i).item;
            double rate = RATE / ++counts[item];
            step(w, b, classes.size(c), classes.slotOf(item), rate, x[i]);
          }
          weights.put((long) c * w.length, w, 0, w.length);
        });
  }

  /**
   * Makes a normalized step: the logit of an output rises by its error times the rate, whatever x
   * is.
   */
  private static void step(float[] w, float[] b, int size, int output, double rate, float... x) {
    double square = 0;
    double[] logits = new double[size];
    for (int slot = 0; slot < size; slot++) {
      logits[slot] = b[slot];
    }
    for (int f = 0; f < x.length; f++) {
      square += x[f] * x[f];
      for (int slot = 0; slot < size; slot++) {
        logits[slot] += x[f] * w[f * b.length + slot];
      }
    }
    double all = 0;
    for (double logit : logits) {
      all += Math.exp(logit - logits[output]);
    }
    double gain = rate * (1 - 1 / all);
    for (int f = 0; f < x.length && square > 0; f++) {
      w[f * b.length + output] += (float) (gain * x[f] / square);
    }
  }

  /** Adds the vectors of items, which are the means of those around them. */
  private void addVectors(EmbeddingBag bag) {
    int perItem = rows.rowsPerItem();
    List<int[]> around = new ArrayList<>();
    List<float[]> shares = new ArrayList<>();
    for (Sighting sighting : sightings) {
      Map<Integer, Float> of = sighting.around(rows.ordered());
      for (int row = 0; row < perItem; row++) {
        int first = row;
        around.add(of.keySet().stream().mapToInt(i -> i * perItem + first).toArray());
        float[] values = new float[of.size()];
        int end = 0;
        for (float share : of.values()) {
          values[end++] = share;
        }
        shares.add(values);
      }
    }
    float[][] vectors;
    try (SparseRows similar = SparseRows.of(around, shares);
        FloatTensor means = bag.apply(similar)) {
      vectors = rows(means);
    }
    if (!added.isEmpty()) {
      bag.addRows(added.size() * perItem);
    }
    FloatTensor table = bag.table();
    int size = bag.features();
    float[] vector = new float[size];
    long[] counts = Arrays.copyOf(rows.counts().ofLabels(), labels.size() + added.size());
    for (int i = 0; i < sightings.size(); i++) {
      int item = sightings.get(i).item;
      long count = ++counts[item];
      for (int row = 0; row < perItem; row++) {
        long at = ((long) item * perItem + row) * size;
        table.get(at, vector, 0, size);
        for (int f = 0; f < size; f++) {
          vector[f] += (vectors[i * perItem + row][f] - vector[f]) / count;
        }
        table.put(at, vector, 0, size);
      }
    }
  }

  // --------------------------------------------------------------------------------------- texts

  /**
   * Returns the similarities of all texts, in their previous type; the previous ones if there are
   * no texts.
   */
  SparseWeights texts(SparseWeights old) {
    if (similarities == null) {
      return old.withWeights(old.weightType());
    }
    try (SparseWeights wide = similarities.weights(labels())) {
      return wide.withWeights(old.weightType());
    }
  }

  // --------------------------------------------------------------------------------- transitions

  /** Returns the transitions with those of the sightings, in their previous type. */
  SparseWeights transitions(SparseWeights old) {
    if (sightings.isEmpty()) {
      return old.withWeights(old.weightType());
    }
    int items = labels.size() + added.size();
    List<int[]> followers = new ArrayList<>();
    List<float[]> weights = new ArrayList<>();
    read(old, followers, weights);
    List<Map<Integer, Float>> more = new ArrayList<>();
    for (int item = 0; item < items; item++) {
      more.add(new TreeMap<>());
    }
    long[] counts = rows().counts().ofLabels();
    for (Sighting sighting : sightings) {
      addPairs(more, sighting.before, 1, sighting.item, counts);
      addPairs(more, sighting.after, Transitions.BACKWARD, sighting.item, counts);
      Map<Integer, Float> row = more.get(sighting.item);
      followers(sighting, followers, weights)
          .forEach((to, weight) -> row.merge(to, weight / counts[sighting.item], Float::sum));
    }
    for (int item = 0; item < items; item++) {
      if (item < labels.size()) {
        scale(item, followers.get(item), weights.get(item), counts);
      }
      followers.set(item, joined(followers.get(item), more.get(item)));
      weights.set(item, joined(weights.get(item), more.get(item)));
    }
    try (SparseRows all = SparseRows.of(followers, weights);
        SparseWeights wide = SparseWeights.of(all, items)) {
      return wide.withWeights(old.weightType());
    }
  }

  /** Reads all weights; items that are added have none. */
  private void read(SparseWeights old, List<int[]> followers, List<float[]> weights) {
    int features = Math.min(old.features(), labels.size());
    for (int begin = 0; begin < features; begin += BATCH) {
      int[] some = IntStream.range(begin, Math.min(features, begin + BATCH)).toArray();
      try (SparseRows one = SparseRows.of(IntStream.rangeClosed(0, some.length).toArray(), some)) {
        Ranking ranking = old.topK(one, old.outputs());
        for (int row = 0; row < some.length; row++) {
          followers.add(ranking.outputs(row));
          weights.add(scores(ranking, row));
        }
      }
    }
    while (followers.size() < labels.size() + added.size()) {
      followers.add(new int[0]);
      weights.add(new float[0]);
    }
  }

  private static float[] scores(Ranking ranking, int row) {
    float[] scores = new float[ranking.size(row)];
    for (int rank = 0; rank < scores.length; rank++) {
      scores[rank] = ranking.score(row, rank);
    }
    return scores;
  }

  /** Scales the earlier weights of items that now have more sightings, to them and from them. */
  private void scale(int item, int[] followers, float[] weights, long... counts) {
    double from = isNew(item) ? (double) rows.count(item) / counts[item] : 1;
    for (int i = 0; i < followers.length; i++) {
      int to = followers[i];
      if (isNew(to)) {
        weights[i] *= (float) (popularity(rows.count(to)) / popularity(counts[to]));
      }
      weights[i] *= (float) from;
    }
  }

  private double popularity(long count) {
    return rows.ordered() ? Math.pow(count + 1.0, Transitions.POPULARITY) : 1;
  }

  /** Adds weights from the others to an item, as if training had counted them. */
  private void addPairs(
      List<Map<Integer, Float>> all, int[] others, double direction, int item, long... counts) {
    for (int i = 0; i < others.length; i++) {
      int distance = direction == 1 ? others.length - 1 - i : i;
      double pair = direction * Math.pow(rows.ordered() ? Transitions.PER_DISTANCE : 1, distance);
      double total = Math.max(1, counts[others[i]]) * pairsPerItem;
      all.get(others[i]).merge(item, (float) (pair / popularity(counts[item]) / total), Float::sum);
    }
  }

  /**
   * Returns the followers of a new item: the items after a sighting, and those of the items around
   * it.
   */
  private Map<Integer, Float> followers(
      Sighting sighting, List<int[]> followers, List<float[]> weights) {
    Map<Integer, Float> next = new HashMap<>();
    float share = sighting.after.length == 0 ? 1 : 0.5f;
    sighting
        .around(rows.ordered())
        .forEach(
            (other, part) -> {
              for (int i = 0; i < followers.get(other).length; i++) {
                float weight = share * part * weights.get(other)[i];
                next.merge(followers.get(other)[i], weight, Float::sum);
              }
            });
    if (share < 1) {
      new Sighting(sighting.item, new int[0], sighting.after)
          .around(rows.ordered())
          .forEach((other, part) -> next.merge(other, (1 - share) * part, Float::sum));
    }
    return next.size() <= Transitions.MOST_FOLLOWERS ? next : largest(next);
  }

  private static Map<Integer, Float> largest(Map<Integer, Float> all) {
    return all.entrySet().stream()
        .sorted(Map.Entry.<Integer, Float>comparingByValue().reversed())
        .limit(Transitions.MOST_FOLLOWERS)
        .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue));
  }

  private static int[] joined(int[] before, Map<Integer, Float> more) {
    return IntStream.concat(
            IntStream.of(before), more.keySet().stream().mapToInt(Integer::intValue))
        .toArray();
  }

  private static float[] joined(float[] before, Map<Integer, Float> more) {
    float[] all = Arrays.copyOf(before, before.length + more.size());
    int end = before.length;
    for (float weight : more.values()) {
      all[end++] = weight;
    }
    return all;
  }
}
