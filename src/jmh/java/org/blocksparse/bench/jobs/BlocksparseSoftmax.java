// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.nio.FloatBuffer;
import java.util.OptionalDouble;
import java.util.stream.IntStream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.Loss;

/** {@link org.blocksparse.softmax.HierarchicalSoftmax} as a user calls it. */
public final class BlocksparseSoftmax implements Softmax {
  private static final Optimizer SGD = Optimizer.sgd(0.01f);
  private static final Optimizer ADAGRAD = Optimizer.adagrad(0.01f);

  private final SoftmaxProblem problem;
  private final IntTensor targets;
  private final FloatTensor gradX;
  private final Filter inStock;
  private FloatTensor result = FloatTensor.zeros(1);
  private Ranking ranking;

  public BlocksparseSoftmax(SoftmaxProblem problem) {
    this.problem = problem;
    targets = IntTensor.of(problem.targets, problem.targets.length);
    gradX = FloatTensor.zeros(problem.x.shape());
    inStock = problem.inStock == null ? Filter.without() : Filter.only(problem.inStock);
  }

  @Override
  public void run(SoftmaxOperation operation) {
    switch (operation) {
      case TARGET -> keep(problem.layer.logProbabilitiesOf(problem.x, targets));
      case ALL -> problem.layer.probabilities(problem.x, all());
      case TOP_K -> ranking = problem.layer.topK(problem.x, K, filter());
      case STEP -> step(SGD);
      case STEP_ADAGRAD -> step(ADAGRAD);
    }
  }

  /** Returns the filter of a server: seen items belong to the call, and the stock to all calls. */
  private Filter filter() {
    return problem.seen == null ? inStock : inStock.and(Filter.without(problem.seen));
  }

  private FloatTensor all() {
    if (result.shape().size() == 1) {
      keep(FloatTensor.zeros(problem.x.shape().dim(0), problem.layer.outputs()));
    }
    return result;
  }

  private void step(Optimizer optimizer) {
    result.set((float) problem.layer.step(problem.x, targets, Loss.mean(), optimizer, gradX), 0);
  }

  private void keep(FloatTensor latest) {
    result.close();
    result = latest;
  }

  /** Returns the mean over the rows. */
  @Override
  public OptionalDouble openedClasses() {
    return ranking == null
        ? OptionalDouble.empty()
        : IntStream.range(0, ranking.batch()).map(ranking::openedClasses).average();
  }

  @Override
  public FloatBuffer result() {
    return ranking == null ? result.asFloatBuffer() : logProbabilities(ranking);
  }

  /** Returns the log probabilities of all results of a search, row by row. */
  public static FloatBuffer logProbabilities(Ranking ranking) {
    FloatBuffer likeliest = FloatBuffer.allocate(ranking.batch() * K);
    for (int row = 0; row < ranking.batch(); row++) {
      for (int rank = 0; rank < K; rank++) {
        likeliest.put(ranking.logProbability(row, rank));
      }
    }
    return likeliest;
  }

  @Override
  public void close() {
    targets.close();
    gradX.close();
    result.close();
  }
}
