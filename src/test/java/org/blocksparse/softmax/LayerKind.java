// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Workers;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.io.LoadOptions;

/** The kinds of layers, for tests of their common behavior. Each row has one target. */
public enum LayerKind {
  SOFTMAX,
  LABEL_TREE;

  /** Builds a layer. */
  private interface Build {
    TwoLevelLayer<?> of(LayerBuilder<?, ?> builder);
  }

  private TwoLevelLayer<?> build(int features, ClassAssignment classes, Build build) {
    return switch (this) {
      case SOFTMAX ->
          build.of(HierarchicalSoftmax.builder(features, classes.outputs()).classes(classes));
      case LABEL_TREE -> build.of(LabelTree.builder(features, classes.outputs()).classes(classes));
    };
  }

  public TwoLevelLayer<?> random(
      int features, ClassAssignment classes, Workers workers, long seed) {
    return build(features, classes, builder -> builder.workers(workers).seed(seed).build());
  }

  /** Returns a layer with copies of the parameters of another one. */
  TwoLevelLayer<?> of(TwoLevelLayer<?> parameters, ClassAssignment classes) {
    return build(
        parameters.features(),
        classes,
        builder ->
            builder.build(
                DenseFloats.from(parameters.W1()).copy("W1"),
                DenseFloats.from(parameters.b1()).copy("b1"),
                DenseFloats.from(parameters.W2()).copy("W2"),
                DenseFloats.from(parameters.b2()).copy("b2")));
  }

  TwoLevelLayer<?> load(Path file, LoadOptions options) throws IOException {
    return switch (this) {
      case SOFTMAX -> HierarchicalSoftmax.load(file, options);
      case LABEL_TREE -> LabelTree.load(file, options);
    };
  }

  static double loss(TwoLevelLayer<?> layer, FloatTensor x, int... targets) {
    if (layer instanceof HierarchicalSoftmax softmax) {
      try (IntTensor single = IntTensor.of(targets, targets.length)) {
        return softmax.loss(x, single);
      }
    }
    try (SparseRows sets = sets(targets)) {
      return ((LabelTree) layer).loss(x, sets);
    }
  }

  public static double step(
      TwoLevelLayer<?> layer, FloatTensor x, Optimizer optimizer, int... targets) {
    if (layer instanceof HierarchicalSoftmax softmax) {
      try (IntTensor single = IntTensor.of(targets, targets.length)) {
        return softmax.step(x, single, optimizer);
      }
    }
    try (SparseRows sets = sets(targets)) {
      return ((LabelTree) layer).step(x, sets, optimizer);
    }
  }

  private static SparseRows sets(int[] targets) {
    List<int[]> rows = Arrays.stream(targets).mapToObj(target -> new int[] {target}).toList();
    return SparseRows.of(rows);
  }
}
