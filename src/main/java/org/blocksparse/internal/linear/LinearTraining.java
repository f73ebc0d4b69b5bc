// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.linear;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Scheduler;
import org.blocksparse.internal.format.ByteProgress;
import org.blocksparse.internal.memory.HeapRoom;
import org.blocksparse.internal.schedule.Bags;

/**
 * Trains a linear label tree. Labels are put into clusters; then each output of a chunk is trained
 * against the others of its chunk: on all rows on level 0, and below on the rows that have a label
 * under the chunk. Chunks do not depend on each other.
 *
 * <p>The seed of each output is its own: the weights do not depend on the workers.
 */
public final class LinearTraining {
  /**
   * How far projected gradients of the dual may be apart at the end. LIBLINEAR's 0.1 ranks no
   * better, and takes longer.
   */
  static final double TOLERANCE = 0.3;

  /** One of so many rows is held out for calibration, from models that are made for it alone. */
  private static final int HELD_OUT = 10;

  /** One of so many outputs of a level is trained for calibration; more if those are too few. */
  private static final int CALIBRATED = 8;

  private static final int FEW_CALIBRATED = 4;

  /** The bias of outputs without a row: the margin of a negative row that has no loss. */
  private static final float NEVER = -1;

  /** Passes over the rows of a chunk that an output takes, about, for the scheduler. */
  private static final int PASSES = 16;

  /**
   * Options.
   *
   * @param clusterSize labels of a cluster, at most; in [2, 256]
   * @param cost of an error of a row of weight 1, positive
   * @param threshold weights nearer to 0 are left out
   */
  public record Settings(int clusterSize, float cost, float threshold, long seed) {}

  private final Engine engine;
  private final Settings settings;
  private final ByteProgress progress;
  private final SparseMatrix x;
  private final int features;
  private final float[] weights;
  private final BitSet heldOut = new BitSet();

  /** The labels of each row, ascending, each once; of rows without weight none. */
  private final int[][] labelsOf;

  private final ChunkTree tree;

  /** For each label its output, counted among those of the last level. */
  private final int[] placeOf;

  /** For each label its cluster. */
  private final int[] clusterOf;

  private final Progress done = new Progress();

  /**
   * Operands that were checked and are leased.
   *
   * @param rowWeights of the rows, not negative, or null: 1 each
   * @param progress called on the threads that work, one at a time, with units of work
   */
  public LinearTraining(
      Engine engine,
      Settings settings,
      Bags features,
      int featureCount,
      Bags labels,
      int labelCount,
      float[] rowWeights,
      ByteProgress progress) {
    this.engine = engine;
    this.settings = settings;
    this.progress = progress;
    this.features = featureCount;
    this.x = SparseMatrix.of(features);
    this.weights = rowWeights;
    this.labelsOf = new int[x.rows()][];
    SplittableRandom random = new SplittableRandom(settings.seed());
    for (int row = 0; row < labelsOf.length; row++) {
      labelsOf[row] = counts(row) ? distinct(labels, row) : new int[0];
      heldOut.set(row, random.nextInt(HELD_OUT) == 0);
    }
    RowLists rowsOf =
        RowLists.of(
            labelCount,
            labelsOf.length,
            (row, sink) -> {
              for (int label : labelsOf[row]) {
                sink.take(label);
              }
            });
    int halvings = 0;
    while (((labelCount - 1) >> halvings) + 1 > settings.clusterSize()) {
      halvings++;
    }
    this.clusterOf = LabelClusters.of(engine, x, rowsOf, featureCount, halvings, settings.seed());
    this.tree = ChunkTree.over(clusterOf, halvings);
    this.placeOf = new int[labelCount];
    for (int place = 0; place < labelCount; place++) {
      placeOf[tree.labels()[place]] = place;
    }
  }

  private boolean counts(int row) {
    return weights == null || weights[row] > 0;
  }

  private static int[] distinct(Bags labels, int row) {
    int begin = labels.offsets().getInt(row);
    int[] all = new int[labels.offsets().getInt(row + 1L) - begin];
    labels.indices().storage().getInts(labels.indices().begin() + begin, all, 0, all.length);
    Arrays.sort(all);
    int count = 0;
    for (int i = 0; i < all.length; i++) {
      if (i == 0 || all[i] != all[i - 1]) {
        all[count++] = all[i];
      }
    }
    return count == all.length ? all : Arrays.copyOf(all, count);
  }

  // ------------------------------------------------------------------------------------- levels

  /** The model, in memory of its own. */
  public LinearModel train() {
    List<RowLists> rowsOf = new ArrayList<>();
    for (int level = 0; level < tree.levels(); level++) {
      rowsOf.add(rowsOfChunks(level));
      done.total += work(rowsOf.get(level), tree.levelBegins()[level]);
    }
    LinearModel.Parts parts = new LinearModel.Parts(tree, features);
    for (int level = 0; level < tree.levels(); level++) {
      trainLevel(level, rowsOf.get(level), parts);
    }
    return parts.build();
  }

  /** The rows of each chunk of a level. */
  private RowLists rowsOfChunks(int level) {
    int chunks = tree.levelBegins()[level + 1] - tree.levelBegins()[level];
    if (level == 0) {
      return RowLists.of(
          1,
          labelsOf.length,
          (row, sink) -> {
            if (counts(row)) {
              sink.take(0);
            }
          });
    }
    int[] seen = new int[chunks];
    int[] calls = new int[1];
    return RowLists.of(
        chunks,
        labelsOf.length,
        (row, sink) -> {
          calls[0]++;
          for (int label : labelsOf[row]) {
            int chunk = clusterOf[label] / (tree.clusters() / chunks);
            if (seen[chunk] != calls[0]) {
              seen[chunk] = calls[0];
              sink.take(chunk);
            }
          }
        });
  }

  private long work(RowLists rowsOf, int firstChunk) {
    long work = 0;
    for (int i = 0; i < rowsOf.count(); i++) {
      work += work(rowsOf, i, tree.size(firstChunk + i));
    }
    return work;
  }

  private long work(RowLists rowsOf, int chunk, int outputs) {
    long entries = rowsOf.size(chunk); // of the bias
    for (int i = rowsOf.begin(chunk); i < rowsOf.begin(chunk + 1); i++) {
      entries += x.offsets()[rowsOf.row(i) + 1] - x.offsets()[rowsOf.row(i)];
    }
    return entries * outputs;
  }

  /** Buffers of a worker. */
  private final class Room implements Scheduler.Share {
    final int[] ofFeatures = HeapRoom.ints(features, "numbers of features");

    @Override
    public void close() {}
  }

  private void trainLevel(int level, RowLists rowsOf, LinearModel.Parts parts) {
    int first = tree.levelBegins()[level];
    int chunks = rowsOf.count();
    Calibration.Samples[] samples = new Calibration.Samples[chunks];
    if (chunks == 1) {
      samples[0] = trainAlone(first, level, rowsOf, parts);
    } else {
      engine.run(
          chunks,
          PASSES * work(rowsOf, first),
          Room::new,
          (room, begin, end) -> {
            for (int i = begin; i < end; i++) {
              ChunkProblem problem = problem(first + i, level, rowsOf, i, room.ofFeatures);
              OutputModel[] models = new OutputModel[tree.size(first + i)];
              trainOutputs(first + i, level, problem, models, 0, models.length);
              samples[i] = finish(first + i, problem, models, parts);
            }
          });
    }
    parts.calibrate(level, Calibration.of(Arrays.asList(samples)));
  }

  /** Trains the outputs of the only chunk of a level by several workers. */
  private Calibration.Samples trainAlone(
      int chunk, int level, RowLists rowsOf, LinearModel.Parts parts) {
    ChunkProblem problem = problem(chunk, level, rowsOf, 0, new Room().ofFeatures);
    OutputModel[] models = new OutputModel[tree.size(chunk)];
    engine.run(
        models.length,
        PASSES * work(rowsOf, 0, models.length),
        (begin, end) -> trainOutputs(chunk, level, problem, models, begin, end));
    return finish(chunk, problem, models, parts);
  }

  private ChunkProblem problem(
      int chunk, int level, RowLists rowsOf, int inLevel, int[] ofFeatures) {
    int begin = rowsOf.begin(inLevel);
    int end = rowsOf.begin(inLevel + 1);
    int[] chosen = rowsOf.rows();
    int[] used = ChunkProblem.features(x, chosen, begin, end, ofFeatures);
    SparseMatrix compact = ChunkProblem.compact(x, chosen, begin, end, used, ofFeatures);
    float[] costs = new float[end - begin];
    BitSet held = new BitSet();
    for (int i = begin; i < end; i++) {
      costs[i - begin] = settings.cost() * (weights == null ? 1 : weights[chosen[i]]);
      held.set(i - begin, heldOut.get(chosen[i]));
    }
    int firstOutput = tree.outputBegins()[chunk];
    int outputs = tree.size(chunk);
    boolean isLeaf = level == tree.levels() - 1;
    int perOutput = isLeaf ? 0 : tree.clusters() / nodes(level + 1);
    int[] seen = new int[outputs];
    int[] calls = new int[1];
    RowLists positives =
        RowLists.of(
            outputs,
            end - begin,
            (row, sink) -> {
              calls[0]++;
              for (int label : labelsOf[chosen[begin + row]]) {
                // All outputs of a level are numbered without a gap, from its first chunk on.
                int output =
                    isLeaf
                        ? tree.chunks() - 1 + placeOf[label]
                        : tree.levelBegins()[level + 1] - 1 + clusterOf[label] / perOutput;
                int q = output - firstOutput;
                if (q >= 0 && q < outputs && seen[q] != calls[0]) {
                  seen[q] = calls[0];
                  sink.take(q);
                }
              }
            });
    return new ChunkProblem(compact, used, costs, positives, held);
  }

  private int nodes(int level) {
    return tree.levelBegins()[level + 1] - tree.levelBegins()[level];
  }

  // ------------------------------------------------------------------------------------ outputs

  /**
   * The model of an output.
   *
   * @param columns of the chunk's rows, ascending
   * @param samples margins of held-out rows, by a model that was not trained on them; null for most
   */
  private record OutputModel(
      int[] columns, float[] weights, float bias, Calibration.Samples samples) {}

  private void trainOutputs(
      int chunk, int level, ChunkProblem problem, OutputModel[] models, int begin, int end) {
    DualCoordinateDescent solver =
        new DualCoordinateDescent(
            problem.x(), problem.features().length, problem.costs(), TOLERANCE);
    int levelOutputs =
        tree.outputBegins()[tree.levelBegins()[level + 1]]
            - tree.outputBegins()[tree.levelBegins()[level]];
    int every = Math.max(1, Math.min(CALIBRATED, levelOutputs / FEW_CALIBRATED));
    for (int q = begin; q < end; q++) {
      int output = tree.outputBegins()[chunk] + q;
      BitSet positives = problem.positivesOf(q);
      Calibration.Samples samples = null;
      // Rows of a label that no other rows have say nothing of the margins of trained models.
      if (output % every == 0 && problem.isKnownWithoutHeldOut(q)) {
        solver.train(positives, problem.heldOut(), settings.seed() + output);
        solver.prune(settings.threshold());
        samples = samples(problem, positives, solver);
      }
      if (positives.isEmpty()) {
        models[q] = new OutputModel(new int[0], new float[0], NEVER, samples);
      } else {
        solver.train(positives, new BitSet(), settings.seed() + output);
        solver.prune(settings.threshold());
        models[q] = model(solver, samples);
      }
    }
    done.add((long) (problem.x().columns().length + problem.x().rows()) * (end - begin));
  }

  private static OutputModel model(DualCoordinateDescent solver, Calibration.Samples samples) {
    double[] all = solver.weights();
    int count = 0;
    for (double weight : all) {
      count += weight != 0 ? 1 : 0;
    }
    int[] columns = new int[count];
    float[] weights = new float[count];
    int i = 0;
    for (int column = 0; column < all.length; column++) {
      if (all[column] != 0) {
        columns[i] = column;
        weights[i++] = (float) all[column];
      }
    }
    return new OutputModel(columns, weights, (float) solver.bias(), samples);
  }

  private static Calibration.Samples samples(
      ChunkProblem problem, BitSet positives, DualCoordinateDescent solver) {
    int count = problem.heldOut().cardinality();
    Calibration.Samples samples =
        new Calibration.Samples(new float[count], new float[count], new boolean[count]);
    int i = 0;
    for (int row = problem.heldOut().nextSetBit(0);
        row >= 0;
        row = problem.heldOut().nextSetBit(row + 1)) {
      samples.margins()[i] = (float) solver.margin(row);
      samples.weights()[i] = problem.costs()[row];
      samples.positive()[i++] = positives.get(row);
    }
    return samples;
  }

  /** Adds the models of a chunk to the parts, and returns the samples of all. */
  private Calibration.Samples finish(
      int chunk, ChunkProblem problem, OutputModel[] models, LinearModel.Parts parts) {
    int[] rowsOfColumn = new int[problem.features().length];
    for (OutputModel model : models) {
      for (int column : model.columns()) {
        rowsOfColumn[column]++;
      }
    }
    LinearModel.ChunkWeights made = LinearModel.ChunkWeights.room(problem.features(), rowsOfColumn);
    int[] next = made.starts().clone();
    int[] rowOf = new int[problem.features().length];
    int rows = 0;
    for (int column = 0; column < rowOf.length; column++) {
      rowOf[column] = rows;
      rows += rowsOfColumn[column] > 0 ? 1 : 0;
    }
    float[] biases = new float[models.length];
    for (int q = 0; q < models.length; q++) {
      for (int i = 0; i < models[q].columns().length; i++) {
        int at = next[rowOf[models[q].columns()[i]]]++;
        made.columns()[at] = (byte) q;
        made.weights()[at] = models[q].weights()[i];
      }
      biases[q] = models[q].bias();
    }
    parts.put(chunk, made, biases);
    return together(models);
  }

  private static Calibration.Samples together(OutputModel[] models) {
    int count = 0;
    for (OutputModel model : models) {
      count += model.samples() == null ? 0 : model.samples().margins().length;
    }
    Calibration.Samples all =
        new Calibration.Samples(new float[count], new float[count], new boolean[count]);
    int at = 0;
    for (OutputModel model : models) {
      Calibration.Samples each = model.samples();
      if (each != null) {
        int size = each.margins().length;
        System.arraycopy(each.margins(), 0, all.margins(), at, size);
        System.arraycopy(each.weights(), 0, all.weights(), at, size);
        System.arraycopy(each.positive(), 0, all.positive(), at, size);
        at += size;
      }
    }
    return all;
  }

  /** Counts the work that is done. */
  private final class Progress {
    private long total;
    private long sum;

    synchronized void add(long work) {
      sum += work;
      progress.update(sum, total);
    }
  }
}
