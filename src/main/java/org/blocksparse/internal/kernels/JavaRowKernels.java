// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import org.blocksparse.Activation;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.sparse.TableRows;

/** Plain loops in double: written to be obviously right, not to be fast. */
final class JavaRowKernels implements RowKernels {
  /** Eight times the root of the largest float; see {@code optimizer_steps.inl}. */
  private static final double LARGEST_MEAN = 0x1p67;

  /** The root of the largest loss of a square by underflow. */
  private static final float LEAST_EPSILON = 0x1p-75f;

  private interface LogitsBody {
    void run(int row, int valid);
  }

  private static void forEachRow(
      GemmSchedule schedule, int begin, int end, int n, Storage valid, LogitsBody body) {
    for (int chunk = begin; chunk < end; chunk++) {
      int v = valid == null ? n : valid.getInt(schedule.writeBlock(chunk));
      for (int r = schedule.rowStart(chunk); r < schedule.rowStart(chunk + 1); r++) {
        body.run(schedule.row(r), v);
      }
    }
  }

  @Override
  public void probabilities(Probabilities of, int begin, int end) {
    boolean logarithm = of.logarithm();
    Storage scale = of.scale();
    Rows c = of.c();
    forEachRow(
        of.schedule(),
        begin,
        end,
        of.n(),
        of.valid(),
        (row, v) -> {
          RowSoftmax softmax = of.link() == Link.SOFTMAX ? RowSoftmax.of(c, row, v) : null;
          for (int q = 0; q < v; q++) {
            double z = c.get(row, q);
            double value =
                logarithm
                    ? (scale == null ? 0 : scale.getFloat(row))
                        + (softmax == null ? -softplus(-z) : softmax.logProbability(z))
                    : (scale == null ? 1 : scale.getFloat(row))
                        * (softmax == null ? sigmoid(z) : softmax.probability(z));
            float nearest = FloatRange.nearestFinite(value);
            // The sum is 0 if the cast gives -0, so that equal probabilities have equal bits.
            c.put(row, q, softmax == null ? nearest + 0.0f : nearest);
          }
          for (int q = v; q < of.n(); q++) {
            c.put(row, q, logarithm ? Float.NEGATIVE_INFINITY : 0);
          }
        });
  }

  @Override
  public void crossEntropy(CrossEntropy of, int begin, int end) {
    Targets targets = of.targets();
    Storage weights = targets.weights();
    forEachRow(
        of.schedule(),
        begin,
        end,
        of.n(),
        of.valid(),
        (row, v) -> {
          double weight = weights == null ? 1 : weights.getFloat(row);
          double loss =
              targets.link() == Link.SOFTMAX
                  ? softmaxLoss(targets, weight, row, v, of.logits())
                  : logisticLoss(targets, weight, row, v, of.logits());
          for (int q = v; q < of.n(); q++) {
            of.logits().put(row, q, 0);
          }
          of.losses().putFloat(row, FloatRange.nearestFinite(loss));
        });
  }

  private static double softmaxLoss(Targets targets, double weight, int row, int v, Rows c) {
    float smoothing = targets.smoothing();
    Storage prior = targets.prior();
    RowSoftmax softmax = RowSoftmax.of(c, row, v);
    double loss = 0;
    for (int q = 0; q < v; q++) {
      double logit = c.get(row, q);
      boolean isTarget = q == targets.target().getInt(row);
      double share = smoothing == 0 ? 0 : smoothing * (prior == null ? 1.0 / v : prior.getFloat(q));
      double wanted = (isTarget ? 1 - (double) smoothing : 0) + share;
      if (wanted != 0) {
        loss -= wanted * softmax.logProbability(logit);
      }
      // A difference from 1 would lose precision for the target.
      double gradient =
          isTarget
              ? smoothing - share - softmax.lacking(logit)
              : softmax.probability(logit) - share;
      c.put(row, q, weight == 0 ? 0 : (float) (weight * gradient));
    }
    return loss;
  }

  private static double logisticLoss(Targets targets, double weight, int row, int v, Rows c) {
    Bags positives = targets.positives();
    int next = positives.offsets().getInt(row);
    int end = positives.offsets().getInt(row + 1L);
    double loss = 0;
    for (int q = 0; q < v; q++) {
      double z = c.get(row, q);
      boolean isThere = next < end && positives.indices().getInt(next) == q;
      next += isThere ? 1 : 0;
      loss += softplus(isThere ? -z : z);
      double gradient = isThere ? -sigmoid(-z) : sigmoid(z);
      c.put(row, q, weight == 0 ? 0 : (float) (weight * gradient));
    }
    return loss;
  }

  private static double sigmoid(double z) {
    return JavaActivations.value(Activation.SIGMOID, z);
  }

  /** Returns log(1 + exp(z)). */
  private static double softplus(double z) {
    return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
  }

  private interface RowBody {
    void run(int row, double gate);
  }

  private static void forEachRow(RowSelection rows, ActivationInput input, RowBody body) {
    GemmSchedule schedule = rows.schedule();
    int first = schedule == null ? rows.begin() : schedule.rowStart(rows.begin());
    int last = schedule == null ? rows.end() : schedule.rowStart(rows.end());
    for (int r = first; r < last; r++) {
      int row = schedule == null ? r : schedule.row(r);
      body.run(row, input.gate() == null ? 1 : input.gate().getFloat(row));
    }
  }

  /** Returns the factor of f of the first half, apart from the gate. */
  private static double secondHalf(ActivationInput input, int row, int column) {
    return input.function().isGated()
        ? JavaActivations.second(input.function(), input.z().get(row, input.n() + column))
        : 1;
  }

  @Override
  public void activation(RowSelection rows, ActivationInput input, Rows a) {
    forEachRow(
        rows,
        input,
        (row, gate) -> {
          for (int q = rows.columnBegin(); q < rows.columnEnd(); q++) {
            double value = JavaActivations.value(input.function(), input.z().get(row, q));
            a.put(row, q, (float) (gate * (value * secondHalf(input, row, q))));
          }
        });
  }

  @Override
  public void activationGradient(RowSelection rows, ActivationGradient of) {
    ActivationInput input = of.input();
    Activation function = input.function();
    Rows gradZ = of.gradZ();
    boolean accumulate = of.accumulate();
    forEachRow(
        rows,
        input,
        (row, gate) -> {
          double dot = 0;
          for (int q = rows.columnBegin(); q < rows.columnEnd(); q++) {
            double z = input.z().get(row, q);
            double second = secondHalf(input, row, q);
            double value = JavaActivations.value(function, z);
            double gradient = of.gradA().get(row, q);
            double scaled = of.alpha() * gate * gradient;
            double slope = JavaActivations.slope(function, z);
            put(gradZ, row, q, accumulate, scaled * second * slope);
            if (function.isGated()) {
              double ofSecond =
                  JavaActivations.secondSlope(function, input.z().get(row, input.n() + q));
              put(gradZ, row, input.n() + q, accumulate, scaled * value * ofSecond);
            }
            dot += gradient * (value * second);
          }
          if (of.gradGate() != null) {
            double before = accumulate ? of.gradGate().getFloat(row) : 0;
            of.gradGate().putFloat(row, (float) (before + of.alpha() * dot));
          }
        });
  }

  private static void put(Rows rows, int row, int column, boolean accumulate, double value) {
    rows.put(row, column, (float) (accumulate ? rows.get(row, column) + value : value));
  }

  @Override
  public float norm(long count, Storage x) {
    double squares = 0;
    for (long i = 0; i < count; i++) {
      squares += (double) x.getFloat(i) * x.getFloat(i);
    }
    return FloatRange.nearestFinite(Math.sqrt(squares));
  }

  @Override
  public void step(
      Optimizer rule,
      Parameters parameters,
      long offset,
      long count,
      Storage g,
      long gOffset,
      float scale,
      long number) {
    Storage w = parameters.w();
    Storage[] moments = parameters.moments();
    double correction1 = 1 - Math.pow(rule.beta1(), (double) number);
    double correction2 = 1 - Math.pow(rule.beta2(), (double) number);
    for (long at = offset; at < offset + count; at++) {
      double before = w.getFloat(at);
      double gradient = (double) scale * g.getFloat(gOffset + at - offset);
      if (rule.decay() != 0) { // 0 times an infinite weight is NaN
        gradient += rule.decay() * before;
      }
      double change =
          switch (rule.kind()) {
            case SGD -> rule.rate() * gradient;
            case ADAGRAD -> adagrad(rule, gradient, at, moments[0]);
            case ADAM -> adam(rule, correction1, correction2, gradient, at, moments[0], moments[1]);
          };
      w.putFloat(at, (float) (before - change));
    }
  }

  @Override
  public void add(float alpha, long count, Storage g, Storage w) {
    for (long i = 0; i < count; i++) {
      w.putFloat(i, (float) (w.getFloat(i) + (double) alpha * g.getFloat(i)));
    }
  }

  private static double adagrad(Optimizer rule, double gradient, long at, Storage s) {
    double squares = s.getFloat(at) + gradient * gradient;
    s.putFloat(at, finiteSquares(squares));
    return rule.rate() * gradient / (Math.sqrt(squares) + rule.epsilon());
  }

  private static double adam(
      Optimizer rule,
      double correction1,
      double correction2,
      double gradient,
      long at,
      Storage m,
      Storage v) {
    double beta1 = rule.beta1();
    double beta2 = rule.beta2();
    double mean = beta1 * m.getFloat(at) + (1 - beta1) * gradient;
    double square = beta2 * v.getFloat(at) + (1 - beta2) * gradient * gradient;
    m.putFloat(at, boundedMean(mean));
    v.putFloat(at, finiteSquares(square));
    double least = Math.max(rule.epsilon(), LEAST_EPSILON);
    return rule.rate() * (mean / correction1) / (Math.sqrt(square / correction2) + least);
  }

  /** Bounds the mean square: if it became infinite, its element would never change again. */
  private static float finiteSquares(double squares) {
    return (float) (squares > Float.MAX_VALUE ? Float.MAX_VALUE : squares);
  }

  /** Bounds the mean: a larger one would outlive the mean square by many steps. */
  private static float boundedMean(double mean) {
    return (float) Math.max(-LARGEST_MEAN, Math.min(LARGEST_MEAN, mean));
  }

  @Override
  public void bagSum(BagSums sums, int begin, int end) {
    for (int bag = begin; bag < end; bag++) {
      double[] sum = sum(sums.bags(), bag, sums.n(), sums.a());
      double factor = sums.reduction().factor(size(sums.bags(), bag));
      for (int q = 0; q < sums.n(); q++) {
        sums.c().put(bag, q, (float) (factor * sum[q]));
      }
    }
  }

  private static int size(Bags bags, int bag) {
    return bags.offsets().getInt(bag + 1) - bags.offsets().getInt(bag);
  }

  private static double[] sum(Bags bags, int bag, int n, TableRows a) {
    double[] sum = new double[n];
    for (int e = bags.offsets().getInt(bag); e < bags.offsets().getInt(bag + 1); e++) {
      for (int q = 0; q < n; q++) {
        sum[q] += (double) bags.value(e) * a.get(bags.indices().getInt(e), q);
      }
    }
    return sum;
  }

  @Override
  public void sparseChunk(
      Bags bags, int bag, SparseChunks weights, int chunk, int firstOutput, int n, Storage c) {
    double[] sums = new double[SparseChunks.MOST_OUTPUTS];
    for (int q = 0; q < n; q++) {
      sums[q] = weights.biases().getFloat((long) firstOutput + q);
    }
    for (int e = bags.offsets().getInt(bag); e < bags.offsets().getInt(bag + 1L); e++) {
      int feature = bags.indices().getInt(e);
      int end = weights.begins().getInt(feature + 1L);
      for (int row = weights.begins().getInt(feature); row < end; row++) {
        if (weights.chunks().getInt(row) == chunk) {
          for (int i = weights.starts().getInt(row); i < weights.starts().getInt(row + 1L); i++) {
            double weight = weights.type().get(weights.w(), i);
            sums[weights.columns().getByte(i) & 0xff] += bags.value(e) * weight;
          }
        }
      }
    }
    for (int q = 0; q < n; q++) {
      c.putFloat(q, (float) sums[q]);
    }
  }

  @Override
  public void bagDot(BagDots dots, int begin, int end) {
    Bags bags = dots.bags();
    for (int bag = begin; bag < end; bag++) {
      double factor = dots.reduction().factor(size(bags, bag));
      for (int e = bags.offsets().getInt(bag); e < bags.offsets().getInt(bag + 1); e++) {
        double dot = 0;
        for (int q = 0; q < dots.n(); q++) {
          dot += (double) dots.a().get(bags.indices().getInt(e), q) * dots.y().get(bag, q);
        }
        dots.dots().putFloat(e, (float) (factor * dot));
      }
    }
  }

  @Override
  public void bagStep(Optimizer rule, BagSteps steps, int begin, int end) {
    int n = steps.n();
    forEachSum(
        steps,
        begin,
        end,
        (bag, gradient) -> {
          float norm = norm(n, gradient);
          float scale = norm > rule.maxNorm() ? rule.maxNorm() / norm : 1;
          int number = rule.kind().countsSteps() ? steps.steps().getInt(bag) : 1;
          long offset = (long) steps.targets().getInt(bag) * n;
          step(rule, steps.w(), offset, n, gradient, 0, scale, number);
        });
  }

  @Override
  public void bagAdd(float alpha, BagSteps sums, int begin, int end) {
    int n = sums.n();
    Storage w = sums.w().w();
    forEachSum(
        sums,
        begin,
        end,
        (bag, sum) -> {
          long offset = (long) sums.targets().getInt(bag) * n;
          for (int q = 0; q < n; q++) {
            double before = w.getFloat(offset + q);
            w.putFloat(offset + q, (float) (before + (double) alpha * sum.getFloat(q)));
          }
        });
  }

  private interface SumTaker {
    void take(int bag, Storage sum);
  }

  /** Passes the sum of each of the bags [begin, end) on. */
  private static void forEachSum(BagSteps of, int begin, int end, SumTaker taker) {
    int n = of.n();
    TableRows summands = new TableRows(of.a());
    try (Scratch scratch = Scratch.borrow(n)) {
      Storage floats = scratch.storage();
      for (int bag = begin; bag < end; bag++) {
        double[] sum = sum(of.bags(), bag, n, summands);
        for (int q = 0; q < n; q++) {
          floats.putFloat(q, (float) sum[q]);
        }
        taker.take(bag, floats);
      }
    }
  }
}
