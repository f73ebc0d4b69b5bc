// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.layers.SavedLayer;
import org.blocksparse.internal.search.SparseSearch;
import org.blocksparse.linear.DenseHead;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/** The scores of a dense head over the vectors of a bag. */
record DenseScorer(String name, EmbeddingBag bag, DenseHead head) implements Scorer {
  @Override
  public int outputs() {
    return head.outputs();
  }

  @Override
  public int classes() {
    return SparseSearch.chunks(outputs());
  }

  @Override
  public boolean hasAllOutputs() {
    return true;
  }

  @Override
  public boolean isLogarithmic() {
    return false;
  }

  @Override
  public Labels labelsOrNull() {
    return head.hasLabels() ? head.labels() : null;
  }

  @Override
  public void setLabels(Labels labels) {
    if (!head.hasLabels()) {
      head.setLabels(labels);
    }
  }

  @Override
  public Stream<Object> parts() {
    return Stream.of(bag, head);
  }

  @Override
  public MemoryUse memoryUse() {
    return bag.memoryUse().plus(new MemoryUse(0, head.bytes()));
  }

  @Override
  public void addTo(Sum sum, SparseRows x, String rowsName, double weight) {
    try (FloatTensor vectors = bag.apply(x)) { // the sum keeps their memory
      sum.addScores(SavedLayer.of(head).scores(vectors, "vectors", sum.lease), weight);
    }
  }

  @Override
  public Ranking topK(SparseRows x, String rowsName, int k, Filter filter) {
    try (FloatTensor vectors = bag.apply(x)) {
      return head.topK(vectors, k, filter);
    }
  }

  @Override
  public Share share(
      SparseRows row, String rowsName, int output, double weight, boolean addsProbabilities) {
    return VectorShare.of(name, weight, bag, row, vectors -> scores(vectors, output));
  }

  private double[] scores(float[] vectors, int output) {
    int rows = vectors.length / bag.features();
    try (FloatTensor x = FloatTensor.of(vectors, rows, bag.features())) {
      Ranking scores = head.topK(x, 1, Filter.only(output));
      return IntStream.range(0, rows)
          .mapToDouble(row -> scores.isDefined(row) ? scores.score(row, 0) : Double.NaN)
          .toArray();
    }
  }

  @Override
  public void addTo(MixtureParts parts) {
    SavedLayer.of(head).part("", null); // throws
  }

  @Override
  public void close() {
    bag.close();
    head.close();
  }
}
