// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.linear;

import java.lang.System.Logger.Level;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Progress;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.schedule.Scheduler;
import org.blocksparse.internal.sparse.Bags;

/**
 * Trains a linear label tree, or some outputs of one, as Parabel (Prabhu, Kag, Harsola, Agrawal and
 * Varma, 2018) and PECOS (Yu, Zhong, Zhang, Chang and Dhillon, 2022) do. Labels are put into
 * clusters ({@link LabelClusters}). Then each output of a chunk is trained against the others of
 * its chunk ({@link DualCoordinateDescent}): on all rows on level 0, and below on the rows that
 * have a label under the chunk.
 *
 * <p><b>Structure.</b> A {@link ChunkProblem} holds the rows of one chunk, with only their
 * features. Workers solve chunks of a level at the same time, and the outputs of a level with one
 * chunk. The margins of held-out rows calibrate each level ({@link Calibration}).
 *
 * <p><b>Cost.</b> An output takes a few passes over the entries of its chunk's rows. A row is in
 * one chunk of level 0, and below in at most as many chunks as it has labels. So a level takes time
 * linear in entries times labels of a row times outputs of a chunk. Outputs that calibrate are
 * trained again, once for each fold.
 *
 * <p>The seed of each output is its own: the weights do not depend on the workers.
 */
final class LinearTraining {
  /**
   * One row in this many is held out for calibration, from models that are trained for it alone.
   */
  static final int HELD_OUT = 10;

  /**
   * The number of held-out rows that is enough: below it, further rows are held out from other
   * models.
   */
  private static final int ENOUGH_HELD_OUT = 1000;

  /** One output of a level in this many is trained for calibration; more if those are too few. */
  private static final int CALIBRATED = 8;

  /**
   * The minimum number of outputs for calibration: margins depend on the frequency of an output, so
   * fewer do not represent all.
   */
  private static final int FEW_CALIBRATED = 32;

  /** The estimated passes of an output over the rows of a chunk, for the scheduler. */
  private static final int PASSES = 16;

  /**
   * The options of a training.
   *
   * @param clusterSize the maximum number of labels of a cluster, in [2, 256]
   * @param cost the cost of an error of a row of weight 1, positive
   * @param threshold the magnitude below which weights are left out
   * @param counted the groups of features where rows have no values, and are weighted by {@link
   *     TfIdf}; else null
   */
  public record Settings(
      int clusterSize, float cost, float threshold, long seed, FeatureGroups counted) {}

  private final Engine engine;
  private final Settings settings;
  private final Progress progress;
  private final TfIdf tfIdf;

  /** The caller's number of each row; rows of weight 0 are left out. */
  private final int[] rows;

  private final SparseMatrix x;
  private final int features;

  /** The caller's weights of all rows, or null. */
  private final float[] weights;

  private final double meanWeight;

  /** The number of each row's fold; rows of the first {@link #folds} folds are held out. */
  private final int[] foldOf;

  private final int folds;

  /** The labels of each row, ascending, each once. */
  private final int[][] labelsOf;

  /** The model of all outputs that are not trained, of float32 and leased; or null. */
  private final LinearModel old;

  private final ChunkTree tree;

  /** The output of each label, counted among those of the last level. */
  private final int[] placeOf;

  /** The cluster of each label. */
  private final int[] clusterOf;

  /** The chunk of each cluster, or the one above it, by level. */
  private final int[][] chunkOf;

  /** The outputs to train. */
  private final BitSet chosen = new BitSet();

  /** The rows of each chunk, by level. */
  private final List<SparseMatrix> rowsOf;

  /** A random number, which identifies this training. */
  private final long number = new SplittableRandom().nextLong();

  private final Work done = new Work();

  /**
   * Trains a tree. Operands were checked and are leased.
   *
   * @param rowWeights the weights of the rows, not negative; null if all are 1
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
      Progress progress) {
    this.engine = engine;
    this.settings = settings;
    this.progress = progress;
    this.features = featureCount;
    this.rows =
        IntStream.range(0, features.count())
            .filter(row -> rowWeights == null || rowWeights[row] > 0)
            .toArray();
    SparseMatrix entries = SparseMatrix.of(features, rows, "x: the values of feature");
    this.tfIdf =
        settings.counted() == null ? null : TfIdf.of(entries, featureCount, settings.counted());
    this.x = tfIdf == null ? entries : tfIdf.weighted(entries);
    this.weights = rowWeights;
    this.meanWeight =
        rowWeights == null
            ? 1
            : IntStream.of(rows).mapToDouble(r -> rowWeights[r]).average().orElse(1);
    this.labelsOf = labelsOf(labels);
    this.foldOf = foldOf();
    this.folds = folds();
    this.old = null;
    int halvings = 0;
    while (((labelCount - 1) >> halvings) + 1 > settings.clusterSize()) {
      halvings++;
    }
    SparseMatrix rowsOf = rowsOfLabels(0, labelCount);
    this.clusterOf = LabelClusters.of(engine, x, rowsOf, featureCount, halvings, settings.seed());
    this.tree = ChunkTree.over(clusterOf, halvings);
    this.placeOf = placeOf(tree);
    this.chunkOf = chunkOf(tree);
    chosen.set(0, tree.outputs());
    this.rowsOf = rowsOfLevels();
  }

  /**
   * Trains the labels that a model does not have yet, each separately, in the most probable cluster
   * for its rows. Operands were checked and are leased.
   *
   * @param features rows that are weighted already, if the model weighs them
   * @param old the model to extend, of float32
   * @param labelCount no less than the model has
   * @throws IllegalArgumentException if there is no room for so many labels
   * @throws IllegalStateException if a mapped file that the model is from is damaged
   */
  public LinearTraining(
      Engine engine,
      Settings settings,
      Bags features,
      Bags labels,
      LinearModel old,
      int labelCount,
      Progress progress) {
    this.engine = engine;
    this.settings = settings;
    this.progress = progress;
    this.features = old.weights().features();
    this.tfIdf = old.tfIdf();
    this.rows = IntStream.range(0, features.count()).toArray();
    this.x = SparseMatrix.of(features, rows, "x: the values of feature");
    this.weights = null;
    this.meanWeight = 1;
    this.labelsOf = labelsOf(labels);
    this.foldOf = foldOf();
    this.folds = 0;
    this.old = old;
    int first = old.tree().labels().length;
    int[] clustersOfNew =
        new ClusterProbabilities(old, engine, features)
            .likeliest(rowsOfLabels(first, labelCount - first));
    this.tree = old.tree().with(clustersOfNew);
    this.clusterOf = tree.clusterOfLabels();
    this.placeOf = placeOf(tree);
    this.chunkOf = chunkOf(tree);
    for (int label = first; label < labelCount; label++) {
      chosen.set(tree.chunks() - 1 + placeOf[label]);
    }
    this.rowsOf = rowsOfLevels();
  }

  private int[][] labelsOf(Bags labels) {
    return IntStream.of(rows).mapToObj(row -> distinct(labels, row)).toArray(int[][]::new);
  }

  private int[] foldOf() {
    return new SplittableRandom(settings.seed()).ints(rows.length, 0, HELD_OUT).toArray();
  }

  /** Returns the number of folds that are held out; small sets of rows have fewer. */
  private int folds() {
    int ofFold = rows.length / HELD_OUT;
    return ofFold == 0
        ? 1
        : Math.max(1, Math.min(Math.min(HELD_OUT, ofFold), ENOUGH_HELD_OUT / ofFold));
  }

  /** Returns the rows of some labels. */
  private SparseMatrix rowsOfLabels(int first, int count) {
    return SparseMatrix.transposed(
        count,
        labelsOf.length,
        (row, sink) -> {
          for (int label : labelsOf[row]) {
            if (label >= first) {
              sink.take(label - first);
            }
          }
        });
  }

  private static int[] placeOf(ChunkTree tree) {
    int[] placeOf = new int[tree.labels().length];
    for (int place = 0; place < placeOf.length; place++) {
      placeOf[tree.labels()[place]] = place;
    }
    return placeOf;
  }

  private static int[][] chunkOf(ChunkTree tree) {
    int[] parents = tree.parents();
    int[][] chunkOf = new int[tree.levels()][tree.clusters()];
    int last = tree.levels() - 1;
    Arrays.setAll(chunkOf[last], cluster -> tree.firstLeaf() + cluster);
    for (int level = last - 1; level >= 0; level--) {
      int[] below = chunkOf[level + 1];
      Arrays.setAll(chunkOf[level], cluster -> parents[below[cluster]]);
    }
    return chunkOf;
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

  /** Returns the model, in memory of its own. */
  public LinearModel train() {
    for (int level = 0; level < tree.levels(); level++) {
      done.total += work(rowsOf.get(level), tree.levelBegins()[level]);
    }
    LinearModel.Parts parts = new LinearModel.Parts(tree, features, tfIdf);
    LinearModel.ChunkWeights[] known = old == null ? null : old.chunkWeights();
    for (int level = 0; level < tree.levels(); level++) {
      trainLevel(level, known, parts);
    }
    done.warnOfExcess();
    return parts.build();
  }

  ChunkTree tree() {
    return tree;
  }

  long number() {
    return number;
  }

  /**
   * Returns what a chunk is trained on.
   *
   * @throws IllegalStateException if its bytes are certainly more than an array can hold
   */
  ChunkProblem problem(int chunk) {
    int level = tree.levelOf(chunk);
    int inLevel = chunk - tree.levelBegins()[level];
    ChunkProblem.requireRoom(work(rowsOf.get(level), inLevel, 1));
    return problem(chunk, level, rowsOf.get(level), inLevel, new int[features]);
  }

  /**
   * Assembles the model that {@link #train} makes from the models of each chunk.
   *
   * @throws IllegalArgumentException if their margins give no finite calibration
   */
  LinearModel assemble(OutputModel[][] models) {
    LinearModel.Parts parts = new LinearModel.Parts(tree, features, tfIdf);
    int[] ofFeatures = new int[features];
    Work solved = new Work();
    for (int level = 0; level < tree.levels(); level++) {
      List<Calibration.Samples> samples = new ArrayList<>();
      for (int chunk = tree.levelBegins()[level]; chunk < tree.levelBegins()[level + 1]; chunk++) {
        samples.add(samples(models[chunk]));
        put(chunk, models[chunk], ofFeatures, parts);
        Arrays.stream(models[chunk]).forEach(model -> solved.reached(model.excess()));
      }
      Calibration calibration = Calibration.of(samples);
      if (!calibration.isFinite()) {
        throw new IllegalArgumentException(
            "solutions: margins of level "
                + level
                + ": expected a finite calibration but was "
                + calibration);
      }
      parts.calibrate(level, calibration);
    }
    solved.warnOfExcess();
    return parts.build();
  }

  private List<SparseMatrix> rowsOfLevels() {
    return IntStream.range(0, tree.levels()).mapToObj(this::rowsOfChunks).toList();
  }

  /** Returns the rows of each chunk of a level that has outputs to train. */
  private SparseMatrix rowsOfChunks(int level) {
    int first = tree.levelBegins()[level];
    int chunks = tree.levelBegins()[level + 1] - first;
    if (level == 0) {
      return SparseMatrix.transposed(
          1,
          labelsOf.length,
          (row, sink) -> {
            if (isTrained(0)) {
              sink.take(0);
            }
          });
    }
    int[] seen = new int[chunks];
    int[] calls = new int[1];
    return SparseMatrix.transposed(
        chunks,
        labelsOf.length,
        (row, sink) -> {
          calls[0]++;
          for (int label : labelsOf[row]) {
            int chunk = chunkOf[level][clusterOf[label]] - first;
            if (seen[chunk] != calls[0] && isTrained(first + chunk)) {
              seen[chunk] = calls[0];
              sink.take(chunk);
            }
          }
        });
  }

  private int trained(int chunk) {
    return chosen.get(tree.outputBegins()[chunk], tree.outputBegins()[chunk + 1]).cardinality();
  }

  private boolean isTrained(int chunk) {
    int next = chosen.nextSetBit(tree.outputBegins()[chunk]);
    return next >= 0 && next < tree.outputBegins()[chunk + 1];
  }

  private long work(SparseMatrix rowsOf, int firstChunk) {
    long work = 0;
    for (int i = 0; i < rowsOf.rows(); i++) {
      work += work(rowsOf, i, trained(firstChunk + i));
    }
    return work;
  }

  private long work(SparseMatrix rowsOf, int chunk, int outputs) {
    long entries = rowsOf.size(chunk); // for the bias
    for (int i = rowsOf.offsets()[chunk]; i < rowsOf.offsets()[chunk + 1]; i++) {
      entries += x.offsets()[rowsOf.columns()[i] + 1] - x.offsets()[rowsOf.columns()[i]];
    }
    return entries * outputs;
  }

  /** The buffers of a worker. */
  private final class Room implements Scheduler.Share {
    final int[] ofFeatures = new int[features];

    @Override
    public void close() {}
  }

  private void trainLevel(int level, LinearModel.ChunkWeights[] known, LinearModel.Parts parts) {
    SparseMatrix rowsOf = this.rowsOf.get(level);
    int first = tree.levelBegins()[level];
    int chunks = rowsOf.rows();
    Calibration.Samples[] samples = new Calibration.Samples[chunks];
    engine.run(
        chunks,
        chunks == 1 ? 0 : PASSES * work(rowsOf, first),
        Room::new,
        (room, begin, end) -> {
          for (int i = begin; i < end; i++) {
            int chunk = first + i;
            OutputModel[] models =
                known == null ? new OutputModel[tree.size(chunk)] : outputsOf(chunk, known[chunk]);
            if (isTrained(chunk)) {
              ChunkProblem problem = problem(chunk, level, rowsOf, i, room.ofFeatures);
              if (chunks == 1) {
                engine.run(
                    models.length,
                    PASSES * work(rowsOf, 0, models.length),
                    (q, last) -> trainOutputs(problem, models, q, last));
              } else {
                trainOutputs(problem, models, 0, models.length);
              }
            }
            samples[i] = samples(models);
            put(chunk, models, room.ofFeatures, parts);
          }
        });
    parts.calibrate(
        level,
        old == null ? Calibration.of(Arrays.asList(samples)) : old.calibrations().get(level));
  }

  private ChunkProblem problem(
      int chunk, int level, SparseMatrix rowsOf, int inLevel, int[] ofFeatures) {
    int begin = rowsOf.offsets()[inLevel];
    int end = rowsOf.offsets()[inLevel + 1];
    int[] chosen = rowsOf.columns();
    int[] used = ChunkProblem.features(x, chosen, begin, end, ofFeatures);
    SparseMatrix compact = ChunkProblem.compact(x, chosen, begin, end, used, ofFeatures);
    double[] costs = new double[end - begin];
    List<BitSet> heldOut = Stream.generate(BitSet::new).limit(folds).toList();
    for (int i = begin; i < end; i++) {
      costs[i - begin] = settings.cost() * (weights == null ? 1.0 : weights[rows[chosen[i]]]);
      int fold = foldOf[chosen[i]];
      if (fold < folds) {
        heldOut.get(fold).set(i - begin);
      }
    }
    int firstOutput = tree.outputBegins()[chunk];
    int outputs = tree.size(chunk);
    boolean isLeaf = level == tree.levels() - 1;
    int[] seen = new int[outputs];
    int[] calls = new int[1];
    SparseMatrix positives =
        SparseMatrix.transposed(
            outputs,
            end - begin,
            (row, sink) -> {
              calls[0]++;
              for (int label : labelsOf[chosen[begin + row]]) {
                int output =
                    isLeaf
                        ? tree.chunks() - 1 + placeOf[label]
                        : chunkOf[level + 1][clusterOf[label]] - 1;
                int q = output - firstOutput;
                if (q >= 0 && q < outputs && seen[q] != calls[0]) {
                  seen[q] = calls[0];
                  sink.take(q);
                }
              }
            });
    int[] numbers = IntStream.range(begin, end).map(i -> rows[chosen[i]]).toArray();
    int levelOutputs =
        tree.outputBegins()[tree.levelBegins()[level + 1]]
            - tree.outputBegins()[tree.levelBegins()[level]];
    int sampledEvery = Math.max(1, Math.min(CALIBRATED, levelOutputs / FEW_CALIBRATED));
    return new ChunkProblem(
        number,
        chunk,
        firstOutput,
        old == null ? sampledEvery : 0,
        settings.threshold(),
        settings.seed(),
        settings.cost() * meanWeight,
        numbers,
        compact,
        used,
        costs,
        positives,
        heldOut);
  }

  // ------------------------------------------------------------------------------------ outputs

  /** Returns the models that an old chunk has, and null for outputs that it does not have. */
  private OutputModel[] outputsOf(int chunk, LinearModel.ChunkWeights known) {
    int count = old.tree().size(chunk);
    int[] sizes = new int[count];
    for (byte column : known.columns()) {
      sizes[column & 0xff]++;
    }
    OutputModel[] models = new OutputModel[tree.size(chunk)];
    for (int q = 0; q < count; q++) {
      float bias = old.weights().biases().getFloat(old.tree().outputBegins()[chunk] + q);
      models[q] = new OutputModel(new int[sizes[q]], new float[sizes[q]], bias, null, 0);
    }
    int[] next = new int[count];
    for (int row = 0; row < known.features().length; row++) {
      for (int i = known.starts()[row]; i < known.starts()[row + 1]; i++) {
        int q = known.columns()[i] & 0xff;
        models[q].features()[next[q]] = known.features()[row];
        models[q].weights()[next[q]++] = known.weights()[i];
      }
    }
    return models;
  }

  private void trainOutputs(ChunkProblem problem, OutputModel[] models, int begin, int end) {
    ChunkSolver solver = new ChunkSolver(problem);
    for (int q = begin; q < end; q++) {
      if (chosen.get(problem.firstOutput() + q)) {
        models[q] = solver.solve(q);
        done.reached(models[q].excess());
        done.add((long) problem.x().columns().length + problem.x().rows());
      }
    }
  }

  /**
   * Adds the models of a chunk to the parts.
   *
   * @param ofFeatures room for a number for each feature, 0 on entry and on return
   */
  private void put(int chunk, OutputModel[] models, int[] ofFeatures, LinearModel.Parts parts) {
    int count = 0;
    for (OutputModel model : models) {
      for (int feature : model.features()) {
        count += ofFeatures[feature]++ == 0 ? 1 : 0;
      }
    }
    int[] used = new int[count];
    int[] starts = new int[count + 1];
    for (OutputModel model : models) {
      for (int feature : model.features()) {
        if (ofFeatures[feature] > 0) {
          used[--count] = feature;
          ofFeatures[feature] = -ofFeatures[feature];
        }
      }
    }
    Arrays.sort(used);
    for (int row = 0; row < used.length; row++) {
      starts[row + 1] = starts[row] - ofFeatures[used[row]];
      ofFeatures[used[row]] = starts[row];
    }
    byte[] columns = new byte[starts[used.length]];
    float[] all = new float[columns.length];
    float[] biases = new float[models.length];
    for (int q = 0; q < models.length; q++) {
      for (int i = 0; i < models[q].features().length; i++) {
        int at = ofFeatures[models[q].features()[i]]++;
        columns[at] = (byte) q;
        all[at] = models[q].weights()[i];
      }
      biases[q] = models[q].bias();
    }
    for (int feature : used) {
      ofFeatures[feature] = 0;
    }
    parts.put(chunk, new LinearModel.ChunkWeights(used, starts, columns, all), biases);
  }

  private static Calibration.Samples samples(OutputModel[] models) {
    return Calibration.Samples.together(
        Arrays.stream(models).map(OutputModel::samples).filter(Objects::nonNull).toList());
  }

  /** Counts the completed work, and the models that did not converge. */
  private final class Work {
    private long total;
    private long sum;
    private int unfinished;

    synchronized void add(long work) {
      sum += work;
      progress.update(sum, total);
    }

    synchronized void reached(double excess) {
      if (excess > DualCoordinateDescent.FAIR_EXCESS) {
        unfinished++;
      }
    }

    void warnOfExcess() {
      if (unfinished > 0) {
        System.getLogger("org.blocksparse")
            .log(
                Level.WARNING,
                "LinearLabelTree: after {0} passes, {1} of {2} models may be more than {3} percent"
                    + " above the minimum. Scale rows to length 1, or choose a smaller cost.",
                DualCoordinateDescent.MOST_PASSES,
                unfinished,
                chosen.cardinality(),
                Math.round(100 * DualCoordinateDescent.FAIR_EXCESS));
      }
    }
  }
}
