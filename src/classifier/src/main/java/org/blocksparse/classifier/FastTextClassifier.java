// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.function.Function;
import java.util.stream.Stream;
import org.blocksparse.ElementType;
import org.blocksparse.MemoryUse;
import org.blocksparse.SparseRows;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.classifier.examples.InvalidInputException;
import org.blocksparse.classifier.fasttext.FastTextDictionary;
import org.blocksparse.classifier.fasttext.FastTextModel;
import org.blocksparse.classifier.features.ExampleRows;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Ranking;

/** A classifier that fastText has trained. It is only read. */
final class FastTextClassifier extends Classifier {
  private final FastTextModel model;

  /** Makes a classifier of a model, which it closes. */
  FastTextClassifier(FastTextModel model) {
    this.model = model;
  }

  static InvalidInputException isOnlyRead() {
    return new InvalidInputException(
        "model: is of fastText, which is only read; expected one that train wrote");
  }

  @Override
  public void save(Path file, ElementType weights) {
    throw isOnlyRead();
  }

  @Override
  public Explanation explain(Example example, String label) {
    throw isOnlyRead();
  }

  @Override
  public SetCounts evaluateSets(Stream<Example> examples, double threshold) {
    throw isOnlyRead();
  }

  @Override
  public List<List<String>> classes() {
    throw isOnlyRead();
  }

  @Override
  ExampleRows rows() {
    return model.rows();
  }

  @Override
  Labels names() {
    return model.labels();
  }

  @Override
  Function<SparseRows, Ranking> search(PredictionOptions options) {
    LabelFilter filter = options.filter();
    Filter allowed = filter.outputs(names());
    return features -> model.topK(features, options.top(), allowed, () -> filter.allowed(names()));
  }

  @Override
  Ranking atLeast(SparseRows features, double probability) {
    return model.atLeast(features, probability);
  }

  @Override
  Optional<LabelCounts> labelCounts() {
    return Optional.empty();
  }

  @Override
  public OptionalDouble threshold() {
    return OptionalDouble.empty();
  }

  @Override
  public boolean hasSeveralLabels() {
    return false;
  }

  @Override
  Optional<PredictionSets> predictionSets() {
    return Optional.empty();
  }

  @Override
  Optional<NoneOdds> noneOdds() {
    return Optional.empty();
  }

  @Override
  public ElementType weightType() {
    return ElementType.FLOAT32;
  }

  @Override
  public ModelHead head() {
    return ModelHead.EMBEDDING;
  }

  @Override
  public boolean hasLabelTree() {
    return model.isOneVsAll();
  }

  @Override
  public String labelPrefix() {
    return FastTextDictionary.LABEL_PREFIX;
  }

  @Override
  public MemoryUse memoryUse() {
    return model.memoryUse();
  }

  @Override
  Map<String, String> facts() {
    return model.info();
  }

  @Override
  public void close() {
    model.close();
  }

  @Override
  public String toString() {
    return "Classifier(" + model + ")";
  }
}
