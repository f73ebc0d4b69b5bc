// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.blocksparse.ClassAssignment;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.IntTensor;
import org.blocksparse.LabelTree;
import org.blocksparse.Labels;
import org.blocksparse.LoadOptions;
import org.blocksparse.Loss;
import org.blocksparse.Optimizer;
import org.blocksparse.Ranking;
import org.blocksparse.SaveOptions;
import org.blocksparse.SparseRows;

/** What gives labels their probabilities, by the vector that the bag makes of an example. */
sealed interface OutputLayer extends AutoCloseable {
  /** The name of the kind in files, and for people. */
  String kind();

  int features();

  ClassAssignment assignment();

  boolean hasLabels();

  Labels labels();

  ElementType weightType();

  /** The parameters, by their names in the layer: its own, which are floats. */
  Map<String, FloatTensor> parameters();

  Ranking topK(FloatTensor x, int k);

  /**
   * A step of training.
   *
   * @param targets of a softmax, one for each row
   * @return the loss before it
   */
  double step(FloatTensor x, Targets targets, Loss loss, Optimizer optimizer, FloatTensor gradX);

  OutputLayer withWeights(ElementType type);

  void save(Path file, SaveOptions options) throws IOException;

  @Override
  void close();

  /**
   * Labels of examples, by number.
   *
   * @param offsets where those of each example begin, and the end of the last
   */
  record Targets(int[] offsets, int[] labels) {}

  /** A new one. */
  static OutputLayer of(ClassAssignment classes, Labels labels, TrainingOptions options) {
    return options.labelTree()
        ? new Tree(
            LabelTree.builder(options.dimension(), classes.outputs())
                .classes(classes)
                .labels(labels)
                .workers(options.workers())
                .seed(options.seed())
                .build())
        : new Softmax(
            HierarchicalSoftmax.builder(options.dimension(), classes.outputs())
                .classes(classes)
                .labels(labels)
                .workers(options.workers())
                .seed(options.seed())
                .build());
  }

  /** That of a file, which has to be of this kind. */
  static OutputLayer load(Path file, LoadOptions options, String kind) throws IOException {
    return kind.equals(Tree.KIND)
        ? new Tree(LabelTree.load(file, options))
        : new Softmax(HierarchicalSoftmax.load(file, options));
  }

  /** One label is right: all probabilities sum to one. */
  record Softmax(HierarchicalSoftmax layer) implements OutputLayer {
    static final String KIND = "HierarchicalSoftmax";

    @Override
    public String kind() {
      return KIND;
    }

    @Override
    public int features() {
      return layer.features();
    }

    @Override
    public ClassAssignment assignment() {
      return layer.assignment();
    }

    @Override
    public boolean hasLabels() {
      return layer.hasLabels();
    }

    @Override
    public Labels labels() {
      return layer.labels();
    }

    @Override
    public ElementType weightType() {
      return layer.weightType();
    }

    @Override
    public Map<String, FloatTensor> parameters() {
      return Map.of("W1", layer.W1(), "b1", layer.b1(), "W2", layer.W2(), "b2", layer.b2());
    }

    @Override
    public Ranking topK(FloatTensor x, int k) {
      return layer.topK(x, k);
    }

    @Override
    public double step(
        FloatTensor x, Targets targets, Loss loss, Optimizer optimizer, FloatTensor gradX) {
      try (IntTensor right = IntTensor.of(targets.labels(), targets.labels().length)) {
        return layer.step(x, right, loss, optimizer, gradX);
      }
    }

    @Override
    public OutputLayer withWeights(ElementType type) {
      return new Softmax(layer.withWeights(type));
    }

    @Override
    public void save(Path file, SaveOptions options) throws IOException {
      layer.save(file, options);
    }

    @Override
    public void close() {
      layer.close();
    }

    @Override
    public String toString() {
      return layer.toString();
    }
  }

  /** Any labels are right: each has a probability of its own. */
  record Tree(LabelTree layer) implements OutputLayer {
    static final String KIND = "LabelTree";

    @Override
    public String kind() {
      return KIND;
    }

    @Override
    public int features() {
      return layer.features();
    }

    @Override
    public ClassAssignment assignment() {
      return layer.assignment();
    }

    @Override
    public boolean hasLabels() {
      return layer.hasLabels();
    }

    @Override
    public Labels labels() {
      return layer.labels();
    }

    @Override
    public ElementType weightType() {
      return layer.weightType();
    }

    @Override
    public Map<String, FloatTensor> parameters() {
      return Map.of("W1", layer.W1(), "b1", layer.b1(), "W2", layer.W2(), "b2", layer.b2());
    }

    @Override
    public Ranking topK(FloatTensor x, int k) {
      return layer.topK(x, k);
    }

    @Override
    public double step(
        FloatTensor x, Targets targets, Loss loss, Optimizer optimizer, FloatTensor gradX) {
      try (SparseRows right = SparseRows.of(targets.offsets(), targets.labels())) {
        return layer.step(x, right, loss, optimizer, gradX);
      }
    }

    @Override
    public OutputLayer withWeights(ElementType type) {
      return new Tree(layer.withWeights(type));
    }

    @Override
    public void save(Path file, SaveOptions options) throws IOException {
      layer.save(file, options);
    }

    @Override
    public void close() {
      layer.close();
    }

    @Override
    public String toString() {
      return layer.toString();
    }
  }
}
