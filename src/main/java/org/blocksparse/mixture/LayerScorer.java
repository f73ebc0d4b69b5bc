// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.mixture;

import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.internal.layers.SavedLayer;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.TwoLevelLayer;

/** The log probabilities of a layer over the vectors of a bag. */
record LayerScorer(String name, EmbeddingBag bag, TwoLevelLayer<?> layer) implements Scorer {
  @Override
  public int outputs() {
    return layer.assignment().outputs();
  }

  @Override
  public int classes() {
    return layer.assignment().classCount();
  }

  @Override
  public boolean hasAllOutputs() {
    return true;
  }

  @Override
  public boolean isLogarithmic() {
    return true;
  }

  @Override
  public boolean isRetired(int output) {
    return layer.assignment().isRetired(output);
  }

  @Override
  public Labels labelsOrNull() {
    return layer.hasLabels() ? layer.labels() : null;
  }

  @Override
  public void setLabels(Labels labels) {
    if (!layer.hasLabels()) {
      layer.setLabels(labels);
    }
  }

  @Override
  public Stream<Object> parts() {
    return Stream.of(bag, layer);
  }

  @Override
  public MemoryUse memoryUse() {
    return bag.memoryUse().plus(layer.memoryUse());
  }

  @Override
  public void addTo(Sum sum, SparseRows x, String rowsName, double weight) {
    try (FloatTensor vectors = bag.apply(x)) { // the sum keeps their memory
      sum.add(SavedLayer.of(layer).scores(vectors, "vectors", sum.lease), weight);
    }
  }

  @Override
  public Ranking topK(SparseRows x, String rowsName, int k, Filter filter) {
    try (FloatTensor vectors = bag.apply(x)) {
      return layer.topK(vectors, k, filter);
    }
  }

  @Override
  public void addTo(MixtureParts parts) {
    parts.add(this);
  }

  @Override
  public Share share(
      SparseRows row, String rowsName, int output, double weight, boolean addsProbabilities) {
    return VectorShare.of(
        name, weight, bag, row, vectors -> scores(vectors, output, addsProbabilities));
  }

  /** Returns a layer's scores of an output for vectors, one after another. */
  private double[] scores(float[] vectors, int output, boolean addsProbabilities) {
    int[] targets = new int[vectors.length / bag.features()];
    Arrays.fill(targets, output);
    try (FloatTensor x = FloatTensor.of(vectors, targets.length, bag.features());
        IntTensor wanted = IntTensor.of(targets, targets.length);
        FloatTensor found = layer.logProbabilitiesOf(x, wanted)) {
      float[] scores = found.toArray();
      return IntStream.range(0, targets.length)
          .mapToDouble(i -> addsProbabilities ? Math.exp(scores[i]) : scores[i])
          .toArray();
    }
  }

  @Override
  public void close() {
    bag.close();
    layer.close();
  }
}
