// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.softmax;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.ranking.Labels;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * This version reads files that an earlier one wrote. They hold the results of the methods with
 * their names, saved with the state of the optimizer and with metadata, and are never made anew: a
 * new file format gets new files.
 */
final class GoldenFileTest {
  private static final Labels LABELS = Labels.of("a", "b", "c", "d", "ä");
  private static final ClassAssignment CLASSES = ClassAssignment.of(0, 1, 1, 0, 2);
  private static final Optimizer ADAM = Optimizer.adam(0.125f);

  /** A way to open a file. */
  private enum Way {
    COPIED,
    MAPPED,
    COPY_ON_WRITE;

    LoadOptions options() {
      return switch (this) {
        case COPIED -> LoadOptions.copied();
        case MAPPED -> LoadOptions.mapped();
        case COPY_ON_WRITE -> LoadOptions.copyOnWrite();
      };
    }
  }

  private static Path file(String name) {
    try {
      return Path.of(GoldenFileTest.class.getResource("/golden/" + name).toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  /** Returns multiples of 1/8, from some number of them on. */
  private static FloatTensor eighths(int from, long... shape) {
    FloatTensor tensor = FloatTensor.zeros(shape);
    float[] values = new float[(int) tensor.shape().size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (from + i) / 8f;
    }
    tensor.copyFrom(values);
    return tensor;
  }

  private static <T, L extends TwoLevelLayer<T>> L layer(LayerBuilder<T, L> builder) {
    return builder
        .classes(CLASSES)
        .labels(LABELS)
        .build(eighths(-3, 2, 3), eighths(0, 3), eighths(-6, 3, 2, 2), eighths(-2, 3, 2));
  }

  /** Returns a softmax after two steps. */
  static HierarchicalSoftmax softmax() {
    HierarchicalSoftmax layer = layer(HierarchicalSoftmax.builder(2, 5));
    step(layer);
    step(layer);
    return layer;
  }

  private static void step(HierarchicalSoftmax layer) {
    try (FloatTensor x = eighths(1, 2, 2);
        IntTensor targets = IntTensor.of(new int[] {4, 1}, 2)) {
      layer.step(x, targets, ADAM);
    }
  }

  /** Returns a label tree after two steps. */
  static LabelTree tree() {
    LabelTree tree = layer(LabelTree.builder(2, 5));
    step(tree);
    step(tree);
    return tree;
  }

  private static void step(LabelTree tree) {
    try (FloatTensor x = eighths(1, 2, 2);
        SparseRows targets = SparseRows.of(List.of(new int[] {0, 4}, new int[] {1}))) {
      tree.step(x, targets, ADAM);
    }
  }

  /** Returns a bag after two steps. */
  static EmbeddingBag bag() {
    EmbeddingBag bag = EmbeddingBag.builder(4, 3).mode(EmbeddingBag.Mode.ROOT_MEAN).build();
    try (FloatTensor table = eighths(-5, 4, 3)) {
      bag.table().copyFrom(table.toArray());
    }
    step(bag);
    step(bag);
    return bag;
  }

  private static void step(EmbeddingBag bag) {
    try (FloatTensor gradOut = eighths(-2, 2, 3);
        SparseRows rows = SparseRows.of(List.of(new int[] {0, 2}, new int[] {2}))) {
      bag.step(rows, gradOut, ADAM);
    }
  }

  /** Returns experts of floats. */
  static MixtureOfExperts experts() {
    return MixtureOfExperts.builder(5, 3, 2)
        .outputs(4)
        .build(Map.of("W1", eighths(-20, 1, 2, 5, 6), "W2", eighths(-7, 2, 1, 3, 4)));
  }

  private static void assertSame(FloatTensor expected, FloatTensor actual) {
    assertEquals(expected.shape(), actual.shape());
    // Instruction sets round differently.
    assertArrayEquals(expected.toArray(), actual.toArray(), 1e-5f);
  }

  /**
   * Compares a layer with what a file holds of it, and, if it can be trained, after one more step.
   */
  private static <L extends TwoLevelLayer<?>> void assertSame(
      L expected, L actual, Way way, Consumer<L> step) {
    assertEquals(Map.of("made by", "GoldenFileTest"), actual.metadata());
    assertEquals(CLASSES, actual.assignment());
    assertEquals("ä", actual.labels().name(4));
    assertEquals(2, actual.steps());
    for (int more = 0; more < (way == Way.MAPPED ? 1 : 2); more++) {
      assertSame(expected.W1(), actual.W1());
      assertSame(expected.b1(), actual.b1());
      assertSame(expected.W2(), actual.W2());
      assertSame(expected.b2(), actual.b2());
      if (way != Way.MAPPED) { // the state of the optimizer, too
        step.accept(expected);
        step.accept(actual);
      }
    }
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void softmaxOf0_1(Way way) throws IOException {
    try (HierarchicalSoftmax expected = softmax();
        HierarchicalSoftmax actual =
            HierarchicalSoftmax.load(file("softmax-0.1.safetensors"), way.options())) {
      assertSame(expected, actual, way, GoldenFileTest::step);
    }
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void labelTreeOf0_1(Way way) throws IOException {
    try (LabelTree expected = tree();
        LabelTree actual = LabelTree.load(file("label-tree-0.1.safetensors"), way.options())) {
      assertSame(expected, actual, way, GoldenFileTest::step);
    }
  }

  @ParameterizedTest
  @EnumSource(Way.class)
  void embeddingBagOf0_1(Way way) throws IOException {
    try (EmbeddingBag expected = bag();
        EmbeddingBag actual =
            EmbeddingBag.load(file("embedding-bag-0.1.safetensors"), way.options())) {
      assertEquals(Map.of("made by", "GoldenFileTest"), actual.metadata());
      assertEquals(EmbeddingBag.Mode.ROOT_MEAN, actual.mode());
      for (int more = 0; more < (way == Way.MAPPED ? 1 : 2); more++) {
        assertSame(expected.table(), actual.table());
        if (way != Way.MAPPED) {
          step(expected);
          step(actual);
        }
      }
    }
  }

  /** INT8 was packed or not; readers pack it. */
  @ParameterizedTest
  @CsvSource({
    "experts-int8, COPIED",
    "experts-int8, MAPPED",
    "experts-int8, COPY_ON_WRITE",
    "experts-packed-int8, COPIED",
    "experts-packed-int8, MAPPED"
  })
  void expertsOf0_1(String name, Way way) throws IOException {
    Path file = file(name + "-0.1.safetensors");
    try (MixtureOfExperts floats = experts();
        MixtureOfExperts expected = floats.withWeights(ElementType.INT8);
        MixtureOfExperts actual = MixtureOfExperts.load(file, way.options());
        TensorFile tensors = TensorFile.open(file, way.options());
        Weights W1 = tensors.weights("W1")) {
      assertEquals(Map.of("made by", "GoldenFileTest"), actual.metadata());
      assertEquals(ElementType.INT8, actual.weightType());
      assertSameWeights((Weights) expected.parameters().get("W1"), W1);
      for (String parameter : List.of("W1", "W2")) {
        assertSameWeights(
            (Weights) expected.parameters().get(parameter),
            (Weights) actual.parameters().get(parameter));
      }
    }
  }

  private static void assertSameWeights(Weights expected, Weights actual) {
    assertEquals(expected.toString(), actual.toString());
    try (FloatTensor a = expected.widened();
        FloatTensor b = actual.widened()) {
      assertArrayEquals(a.toArray(), b.toArray());
    }
  }
}
