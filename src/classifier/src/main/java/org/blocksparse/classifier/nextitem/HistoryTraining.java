// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.nextitem;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.examples.Sequence;
import org.blocksparse.classifier.training.LearningPoint;
import org.blocksparse.classifier.training.TrainingOptions;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.Loss;

/** Trains {@link HistoryLayers} on examples, all settings with the same classes of items. */
final class HistoryTraining {
  private static final int DIMENSION = 256;
  private static final int BATCH = 256;
  private static final double RATE = 0.1;
  private static final float SMOOTHING = 0.1f;
  private static final int PATIENCE = 2;

  private final ItemExamples examples;
  private final Labels labels;
  private final ClassAssignment classes;
  private final int planned;
  private final TrainingOptions learning;
  private long steps;

  /**
   * The settings of a bag's training.
   *
   * @param ordered whether it predicts an item from those before, or else from a random part of the
   *     others
   * @param dropout the share of a vector that a step drops
   * @param epochs the maximum, or the best
   */
  record Setting(boolean ordered, double dropout, int epochs) {
    private List<Double> decays() {
      return HistoryRows.decays(ordered);
    }

    @Override
    public String toString() {
      return (ordered ? "decays " + decays() : "any order") + ", dropout " + dropout;
    }
  }

  /** The layers after the best epoch, whose number the setting holds. */
  record Trained(HistoryLayers layers, Setting setting) implements AutoCloseable {
    @Override
    public void close() {
      layers.close();
    }
  }

  /**
   * Puts the items into classes.
   *
   * @param planned the epochs in which the rate falls to zero
   */
  HistoryTraining(ItemExamples examples, int planned, TrainingOptions learning) {
    this.examples = examples;
    this.labels = examples.labels();
    this.planned = planned;
    this.learning = learning;
    int items = labels.size();
    int count = Math.min(items, learning.classes(ClassAssignment.defaultCount(items)));
    learning.listener().putIntoClasses(items, count);
    this.classes = examples.classes(count, learning);
  }

  int classes() {
    return classes.classCount();
  }

  /** Calls the listener before one of several trainings, numbered from 1 on. */
  void listen(int number, int count, Setting setting, String more) {
    long times = (long) setting.epochs * examples.size();
    learning.listener().training(number, count, setting + more, times);
  }

  /**
   * Trains layers until it is stopped. Without a step they are unchanged, in epoch 0.
   *
   * @param heldOut choose the epoch, of equals the last; empty: it is the last of all
   */
  Trained train(Setting setting, List<Sequence> heldOut) {
    HistoryRows rows = examples.rows().withDecays(setting.decays());
    int dimension = learning.dimension(DIMENSION);
    HistoryLayers best = null;
    double bestNdcg = -1;
    int bestEpoch = 0;
    int lastGain = 0;
    try (HistoryLayers layers = HistoryLayers.of(rows, dimension, classes, labels, learning)) {
      int patience = learning.patience(PATIENCE);
      for (int epoch = 1; epoch <= setting.epochs && epoch - lastGain <= patience; epoch++) {
        long before = steps;
        double loss = learn(layers, setting, epoch);
        if (steps == before) {
          break; // it was stopped
        }
        LearningPoint point = point(layers, epoch, loss, heldOut, bestNdcg);
        learning.listener().epoch(point);
        if (heldOut.isEmpty() || point.ndcg() > bestNdcg) {
          lastGain = epoch;
        }
        if (point.best()) {
          if (best != null) {
            best.close();
          }
          best = layers.copy();
          bestNdcg = point.ndcg();
          bestEpoch = epoch;
        }
        if (learning.stop().getAsBoolean()) {
          break;
        }
      }
      best = best == null ? layers.copy() : best;
      return new Trained(best, new Setting(setting.ordered, setting.dropout, bestEpoch));
    } catch (Throwable e) {
      if (best != null) {
        best.close();
      }
      throw e;
    }
  }

  private LearningPoint point(
      HistoryLayers layers, int epoch, double loss, List<Sequence> heldOut, double bestNdcg) {
    if (heldOut.isEmpty()) {
      return new LearningPoint(epoch, loss, Double.NaN, Double.NaN, true);
    }
    Metrics metrics = measured(layers, heldOut);
    double ndcg = metrics.ndcg(NextItem.CUTOFF);
    return new LearningPoint(epoch, loss, metrics.precision(1), ndcg, ndcg >= bestNdcg);
  }

  /** Returns the quality of layers without transitions. */
  private Metrics measured(HistoryLayers layers, List<Sequence> sequences) {
    Mixture alone =
        Mixture.builder().layer(NextItemFile.LAYER, layers.bag(), layers.softmax()).build();
    Metrics metrics = Metrics.upTo(NextItem.CUTOFF);
    new NextItem(alone, layers.rows(), Map.of(), layers.softmax().labels())
        .evaluate(
            sequences,
            NextItem.CUTOFF,
            Repeats.EXCLUDE,
            (ranking, targets) -> {
              try (SparseRows labels = SparseRows.of(targets)) {
                metrics.add(ranking, labels);
              }
              learning.listener().measured((int) metrics.rows(), sequences.size());
            });
    return metrics;
  }

  /**
   * Trains an epoch, or a part of it until it is stopped. Returns the mean loss; NaN without a
   * step. The rate falls from step to step, to zero at the end of the last planned epoch.
   */
  private double learn(HistoryLayers layers, Setting setting, int epoch) {
    int[] order = examples.shuffled();
    int batch = Math.min(order.length, learning.batch(BATCH));
    int ofEpoch = order.length / batch;
    double losses = 0;
    int step = 0;
    for (; step < ofEpoch && !learning.stop().getAsBoolean(); step++) {
      double left = 1 - (epoch - 1 + (double) step / ofEpoch) / planned;
      Optimizer optimizer = Optimizer.adagrad((float) (learning.rate(RATE) * left));
      int[] which = Arrays.copyOfRange(order, step * batch, (step + 1) * batch);
      Loss loss =
          Loss.mean()
              .withSmoothing(SMOOTHING)
              .withDropout((float) setting.dropout, learning.seed() + ++steps);
      List<int[]> seen = examples.seen(setting.ordered, which);
      double value = layers.step(seen, examples.next(which), loss, optimizer);
      losses += value;
      learning.listener().step(batch, value);
    }
    return losses / step;
  }
}
