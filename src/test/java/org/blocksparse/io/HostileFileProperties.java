// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.lifecycle.AfterContainer;
import net.jqwik.api.lifecycle.BeforeContainer;
import org.blocksparse.Activation;
import org.blocksparse.ElementType;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Tensor;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.ExpertsFileTest;
import org.blocksparse.experts.ExpertsPass;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.Routing;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.internal.files.LoadSettings;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.ranking.Labels;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerKind;
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.softmax.Loss;
import org.blocksparse.softmax.ModelFileTest;
import org.blocksparse.softmax.TwoLevelLayer;
import org.blocksparse.testing.FileChanges;
import org.blocksparse.testing.GgufBytes;
import org.blocksparse.testing.SafeTensorsBytes;
import org.blocksparse.testing.ThreadHeap;

/**
 * Valid files with random changes: a file is read, and the result is usable; or it is rejected with
 * {@link FileFormatException}, at low cost. Nothing else is thrown, and the JVM survives. {@code
 * -Dtest.jvm.args="-Djqwik.tries.default=100000"} runs more cases.
 */
final class HostileFileProperties {
  /** Heap that a rejected file of some kilobytes may take; the limit for any file is 64 MB. */
  private static final long MOST_HEAP = 1 << 20;

  private static final List<LoadOptions> WAYS =
      List.of(LoadOptions.copied(), LoadOptions.mapped(), LoadOptions.copyOnWrite());

  /** A valid file; some have two kinds. */
  private record Right(String name, byte[] bytes) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static final List<Right> SOFTMAXES = new ArrayList<>();
  private static final List<Right> TREES = new ArrayList<>();
  private static final List<Right> MIXTURES = new ArrayList<>();
  private static final List<Right> BAGS = new ArrayList<>();
  private static final List<Right> EXPERTS = new ArrayList<>();
  private static final List<Right> STATES = new ArrayList<>();
  private static final List<Right> TENSORS = new ArrayList<>();
  private static final List<Right> PARTS = new ArrayList<>();
  private static final List<Right> OTHERS = new ArrayList<>();
  private static final List<Right> GGUFS = new ArrayList<>();
  private static final List<Right> MODELS = new ArrayList<>();

  /** The parameters of the optimizer state. */
  private static final FloatTensor BIASES = FloatTensor.zeros(2, 3);

  private static final FloatTensor WEIGHTS = FloatTensor.zeros(1, 2, 2, 3);
  private static Path file;

  // ------------------------------------------------------------------------------- right files

  private interface Saving {
    void save(Path file) throws IOException;
  }

  private static Right right(String name, Saving saving) throws IOException {
    saving.save(file);
    return new Right(name, Files.readAllBytes(file));
  }

  @BeforeContainer
  static void save() throws IOException {
    file = Files.createTempFile("fuzzed", ".safetensors");
    try (HierarchicalSoftmax layer = ModelFileTest.layer();
        LabelTree tree = LabelTree.builder(5, 11).classes(layer.assignment()).build();
        EmbeddingBag bag = EmbeddingBag.builder(9, 5).build()) {
      for (int part = LayerPart.CLASS_LEVEL; part < layer.classCount(); part++) {
        try (LayerPart<IntTensor> own = LayerPart.of(layer, part, Workers.callingThread());
            FloatTensor x = ModelFileTest.x(2);
            IntTensor targets = IntTensor.zeros(2)) {
          own.step(x, targets, Loss.mean(), Optimizer.adam(0.1f));
          PARTS.add(new Right("part " + part, own.toBytes()));
        }
      }
      saveLayers(layer, tree, bag);
    }
    try (MixtureOfExperts layer = ExpertsFileTest.layer()) {
      stepExperts(layer, Optimizer.adam(0.1f));
      SaveOptions plain = SaveOptions.defaults();
      EXPERTS.add(right("experts", to -> layer.save(to, plain.withOptimizerState())));
      for (ElementType type :
          List.of(
              ElementType.BFLOAT16,
              ElementType.PACKED_BFLOAT16,
              ElementType.INT8,
              ElementType.Q4_0)) {
        try (MixtureOfExperts narrow = layer.withWeights(type)) {
          EXPERTS.add(right("experts of " + type, narrow::save));
        }
      }
    }
    try (OptimizerState state = OptimizerState.of(WEIGHTS, BIASES)) {
      STATES.add(right("no steps", state::save));
      stepBoth(state, Optimizer.adagrad(0.1f));
      STATES.add(right("Adagrad", state::save));
      stepBoth(state, Optimizer.adam(0.1f));
      STATES.add(right("Adam", state::save));
    }
    try (IntTensor ints = IntTensor.zeros(3);
        FloatTensor nothing = FloatTensor.zeros(0, 7)) {
      Map<String, Tensor> tensors = Map.of("W", WEIGHTS, "i", ints, "0", nothing);
      TENSORS.add(
          right(
              "tensors",
              to -> TensorFile.save(to, NamedTensors.of(tensors).withMetadata(Map.of("a", "b")))));
      NamedTensors weights =
          NamedTensors.of(Map.of("wide", WEIGHTS))
              .with("W", WEIGHTS, ElementType.INT8)
              .with("half", WEIGHTS, ElementType.FLOAT16)
              .with("packed", WEIGHTS, ElementType.Q4_0);
      TENSORS.add(right("weights", to -> TensorFile.save(to, weights)));
    }
    GGUFS.add(new Right("GGUF of all types", GgufFileTest.resource("types.gguf")));
    GGUFS.add(new Right("GGUF of experts", ggufOfExperts()));
    MODELS.add(right("quantized matrices", HostileFileProperties::saveMatrices));
    OTHERS.add(right("array", to -> NpyFile.write(to, BIASES)));
  }

  /** Saves a matrix of each form that other libraries write. */
  private static void saveMatrices(Path to) throws IOException {
    new SafeTensorsBytes()
        .put("fp8", "F8_E4M3", new byte[3 * 130], 3, 130)
        .floats("fp8_scale_inv", "F32", new float[] {1, 2}, 1, 2)
        .put("row", "F8_E4M3", new byte[6], 2, 3)
        .floats("row_scale", "BF16", new float[] {1, 2}, 2, 1)
        .put("fp4_blocks", "U8", new byte[64], 2, 2, 1, 16)
        .put("fp4_scales", "U8", new byte[4], 2, 2, 1)
        .ints("four_packed", new int[8], 2, 4)
        .floats("four_scale", "BF16", new float[2], 2, 1)
        .longs("four_shape", 2, 32)
        .floats("half", "F16", new float[6], 2, 3)
        .write(to);
  }

  /** Returns two experts of Q8_0 with zeros, 32 -> 32 -> 32, with a gate and a bias. */
  private static byte[] ggufOfExperts() {
    int bytes = 2 * 32 * 34;
    return GgufBytes.of(5, 0)
        .tensor("blk.0.ffn_gate_exps.weight", GgufBytes.Q8_0, 0, 32, 32, 2)
        .tensor("blk.0.ffn_up_exps.weight", GgufBytes.Q8_0, bytes, 32, 32, 2)
        .tensor("blk.0.ffn_down_exps.weight", GgufBytes.Q8_0, 2L * bytes, 32, 32, 2)
        .tensor("blk.0.ffn_gate_inp.weight", GgufBytes.F32, 3L * bytes, 32, 2)
        .tensor("blk.0.ffn_gate_inp.bias", GgufBytes.F32, 3L * bytes + 256, 2)
        .aligned(32)
        .raw(new byte[3 * bytes + 288])
        .bytes();
  }

  private static void saveLayers(HierarchicalSoftmax layer, LabelTree tree, EmbeddingBag bag)
      throws IOException {
    for (TwoLevelLayer<?> each : List.of(layer, tree)) {
      try (FloatTensor x = ModelFileTest.x(2)) {
        LayerKind.step(each, x, Optimizer.adam(0.1f), 3, 8);
      }
      each.retire(9);
      each.setLabels(Labels.of("a", "b", "ab", "é", "日本", "f", "g", "h", "i", "j", "k"));
    }
    stepBag(bag, Optimizer.adagrad(0.1f));
    SaveOptions plain = SaveOptions.defaults();
    SaveOptions all = plain.withOptimizerState();
    SOFTMAXES.add(right("softmax", to -> layer.save(to, all)));
    TREES.add(right("tree", to -> tree.save(to, all)));
    BAGS.add(right("bag", to -> bag.save(to, all)));
    Right both = right("both", to -> layer.save(to, all.with(bag)));
    SOFTMAXES.add(both);
    BAGS.add(both);
    try (SparseRows rows = SparseRows.of(List.of(new int[] {3}, new int[] {10, 0}));
        SparseWeights weights = SparseWeights.of(rows, layer.outputs())) {
      Mixture mixture =
          Mixture.builder()
              .layer("a", bag, layer)
              .layer("b", bag, tree)
              .weights("c", weights)
              .build();
      MIXTURES.add(right("mixture", mixture::save));
    }
    for (ElementType type : List.of(ElementType.INT8, ElementType.BFLOAT16)) {
      try (HierarchicalSoftmax narrowLayer = layer.withWeights(type);
          LabelTree narrowTree = tree.withWeights(type);
          EmbeddingBag narrowBag = bag.withWeights(type)) {
        SOFTMAXES.add(right("softmax of " + type, narrowLayer::save));
        TREES.add(right("tree of " + type, narrowTree::save));
        BAGS.add(right("bag of " + type, narrowBag::save));
      }
    }
  }

  @AfterContainer
  static void delete() throws IOException {
    Files.delete(file);
  }

  // ---------------------------------------------------------------------------------- arguments

  @Provide
  Arbitrary<List<UnaryOperator<byte[]>>> changes() {
    return FileChanges.all(
        List.of(
            SOFTMAXES.get(0).bytes,
            TREES.get(0).bytes,
            BAGS.get(0).bytes,
            MIXTURES.get(0).bytes,
            EXPERTS.get(0).bytes,
            STATES.get(2).bytes,
            TENSORS.get(0).bytes));
  }

  @Provide
  Arbitrary<Right> softmaxes() {
    return Arbitraries.of(SOFTMAXES);
  }

  @Provide
  Arbitrary<Right> trees() {
    return Arbitraries.of(TREES);
  }

  @Provide
  Arbitrary<Right> mixtures() {
    return Arbitraries.of(MIXTURES);
  }

  @Provide
  Arbitrary<Right> bags() {
    return Arbitraries.of(BAGS);
  }

  @Provide
  Arbitrary<Right> experts() {
    return Arbitraries.of(EXPERTS);
  }

  @Provide
  Arbitrary<Right> states() {
    return Arbitraries.of(STATES);
  }

  @Provide
  Arbitrary<Right> tensors() {
    return Arbitraries.of(TENSORS);
  }

  @Provide
  Arbitrary<Right> ggufs() {
    return Arbitraries.of(GGUFS);
  }

  @Provide
  Arbitrary<Right> models() {
    return Arbitraries.of(MODELS);
  }

  @Provide
  Arbitrary<Right> parts() {
    return Arbitraries.of(PARTS);
  }

  @Provide
  Arbitrary<Right> others() {
    return Arbitraries.of(OTHERS);
  }

  // ----------------------------------------------------------------------------------- readers

  private static void write(Right right, List<UnaryOperator<byte[]>> changes) throws IOException {
    Files.write(file, FileChanges.apply(changes, right.bytes));
  }

  private interface Reader<T> {
    T read() throws IOException;
  }

  private interface User<T> {
    void use(T made) throws IOException;
  }

  private static <T extends AutoCloseable> void readsOrRefuses(Reader<T> reader, User<T> user)
      throws IOException {
    long heap = ThreadHeap.taken();
    long memory = FloatTensor.allocatedBytes();
    T made;
    try {
      made = reader.read();
    } catch (FileFormatException refused) {
      long taken = ThreadHeap.taken() - heap;
      assertTrue(taken < MOST_HEAP, () -> taken + " bytes of the heap for " + refused);
      assertEquals(file, refused.file());
      assertTrue(FloatTensor.allocatedBytes() <= memory, () -> "memory is kept after " + refused);
      return;
    }
    try {
      user.use(made);
    } finally {
      close(made);
    }
  }

  private static void close(AutoCloseable made) throws IOException {
    try {
      made.close();
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /** Runs an action that may throw an overflow, caused by unchecked or too large numbers. */
  private static void mayOverflow(Runnable action) {
    try {
      action.run();
    } catch (ArithmeticException e) {
      assertTrue(e.getMessage().matches("(step|row) .*"), e.getMessage());
    }
  }

  /** In a mapped file, a name may be invalid text. */
  private static void askFor(Labels labels) {
    for (int output = 0; output < labels.size(); output++) {
      try {
        int found = labels.output(labels.name(output));
        assertTrue(found < labels.size());
      } catch (IllegalStateException e) {
        assertTrue(e.getMessage().endsWith("is not UTF-8"), e.getMessage());
      }
    }
  }

  private static void askFor(TwoLevelLayer<?> layer, LoadOptions options) {
    int output = layer.assignment().output(layer.classCount() - 1, 0);
    try (FloatTensor x = FloatTensor.zeros(1, layer.features());
        FloatTensor probabilities = FloatTensor.zeros(1, layer.outputs())) {
      x.fill(1);
      layer.probabilities(x, probabilities);
      probabilities.toArray();
      assertEquals(1, layer.topK(x, 2).batch());
      layer.atLeast(x, 0.1);
      if (layer instanceof HierarchicalSoftmax softmax) {
        mayOverflow(() -> softmax.sample(x, new SplittableRandom(1)));
      }
      if (layer.hasLabels()) {
        askFor(layer.labels());
      }
      if (layer.weightType() == ElementType.FLOAT32
          && LoadSettings.from(options).memory() != LoadSettings.Memory.MAPPED) {
        mayOverflow(() -> LayerKind.step(layer, x, Optimizer.adagrad(0.1f), output));
      }
    }
  }

  private static void stepBag(EmbeddingBag bag, Optimizer optimizer) {
    try (SparseRows rows = SparseRows.of(List.of(new int[] {bag.vocabulary() - 1, 0}));
        FloatTensor gradOut = FloatTensor.zeros(1, bag.features())) {
      gradOut.fill(1);
      bag.apply(rows).close();
      bag.gradValues(rows, gradOut).close();
      if (optimizer != null) {
        bag.step(rows, gradOut, optimizer);
      }
    }
  }

  private static void stepExperts(MixtureOfExperts layer, Optimizer optimizer) {
    try (FloatTensor x = FloatTensor.zeros(2, layer.inputs());
        FloatTensor out = FloatTensor.zeros(2, layer.outputs());
        FloatTensor gradOut = FloatTensor.zeros(2, layer.outputs());
        Routing routing =
            Routing.of(
                IntTensor.zeros(2, 1), FloatTensor.of(new float[] {1, 1}, 2, 1), layer.experts())) {
      layer.apply(x, routing, out);
      if (layer.parameters().containsKey("Wg")) {
        layer.apply(x, out);
      }
      if (layer.parameters().get("W1") instanceof Weights weights && weights.type().isPacked()) {
        return;
      }
      gradOut.fill(1);
      try (ExpertsPass pass = layer.forward(x, routing, out)) {
        if (optimizer != null) {
          pass.step(gradOut, optimizer);
        }
      }
    }
  }

  private static void stepBoth(OptimizerState state, Optimizer optimizer) {
    try (IntTensor one = IntTensor.of(new int[] {1}, 1, 1);
        IntTensor zero = IntTensor.zeros(1, 1);
        BlockPlan plan = BlockPlan.of(zero, one, 1, 2);
        FloatTensor h = FloatTensor.zeros(1, 1, 2);
        FloatTensor gradOut = FloatTensor.zeros(1, 1, 3)) {
      h.fill(1);
      gradOut.fill(1);
      SparseBlockDot.stepW(h, gradOut, plan, optimizer, WEIGHTS, state);
      SparseBlockDot.stepB(gradOut, plan, optimizer, BIASES, state);
    }
  }

  // -------------------------------------------------------------------------------- properties

  @Property
  void ofSoftmaxes(
      @ForAll("softmaxes") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    for (LoadOptions way : WAYS) {
      readsOrRefuses(() -> HierarchicalSoftmax.load(file, way), layer -> askFor(layer, way));
    }
  }

  @Property
  void ofLabelTrees(
      @ForAll("trees") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    for (LoadOptions way : WAYS) {
      readsOrRefuses(() -> LabelTree.load(file, way), layer -> askFor(layer, way));
    }
  }

  @Property
  void ofBags(@ForAll("bags") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    for (LoadOptions way : WAYS) {
      readsOrRefuses(
          () -> EmbeddingBag.load(file, way),
          bag -> {
            boolean steps =
                bag.weightType() == ElementType.FLOAT32
                    && LoadSettings.from(way).memory() != LoadSettings.Memory.MAPPED;
            stepBag(bag, steps ? Optimizer.adagrad(0.1f) : null);
          });
    }
  }

  @Property
  void ofMixtures(
      @ForAll("mixtures") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    for (LoadOptions way : WAYS) {
      readsOrRefuses(
          () -> Mixture.load(file, way),
          mixture -> {
            try (SparseRows rows = SparseRows.of(List.of(new int[0]))) {
              assertTrue(mixture.topK(List.of(rows), 3).size(0) <= 3);
            }
          });
    }
  }

  @Property
  void ofExperts(
      @ForAll("experts") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    for (LoadOptions way : WAYS) {
      readsOrRefuses(
          () -> MixtureOfExperts.load(file, way),
          layer -> {
            boolean trains =
                layer.weightType() == ElementType.FLOAT32
                    && LoadSettings.from(way).memory() != LoadSettings.Memory.MAPPED;
            stepExperts(layer, trains ? Optimizer.adagrad(0.1f) : null);
          });
    }
  }

  @Property
  void ofOptimizerStates(
      @ForAll("states") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    readsOrRefuses(
        () -> OptimizerState.load(file, WEIGHTS, BIASES),
        state -> stepBoth(state, Optimizer.adam(0.1f)));
  }

  @Property
  void ofTensors(
      @ForAll("tensors") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    for (LoadOptions way : WAYS) {
      readsOrRefuses(
          () -> TensorFile.open(file, way),
          tensors -> {
            for (String name : tensors.names()) {
              readsOrRefuses(() -> tensors.floats(name), FloatTensor::toArray);
              readsOrRefuses(() -> tensors.ints(name), IntTensor::toArray);
              readsOrRefuses(() -> tensors.weights(name), weights -> weights.widened().close());
            }
          });
    }
  }

  @Property
  void ofModelsOfOthers(
      @ForAll("models") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    readsOrRefuses(
        () -> HuggingFaceModel.open(file),
        model -> {
          for (String name : model.names()) {
            readsOrRefuses(() -> model.floats(name), FloatTensor::toArray);
            readsOrRefuses(() -> model.floats(name, 0), FloatTensor::toArray);
            readsOrRefuses(() -> model.weights(name), weights -> weights.widened().close());
            readsOrRefuses(() -> model.gateAndUp(name), weights -> weights.widened().close());
          }
        });
  }

  /** Parts are no files: whatever takes them rejects what could not be loaded. */
  @Property
  void ofParts(@ForAll("parts") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    List<byte[]> parts = new ArrayList<>();
    for (Right part : PARTS) {
      parts.add(part.equals(right) ? FileChanges.apply(changes, right.bytes) : part.bytes);
    }
    try (HierarchicalSoftmax like = ModelFileTest.layer()) {
      HierarchicalSoftmax.builder(like.features(), like.outputs())
          .classes(like.assignment())
          .saveParts(file, 1, parts.iterator(), SaveOptions.defaults().withOptimizerState());
    } catch (IllegalArgumentException refused) {
      assertTrue(refused.getMessage().startsWith("parts: "), refused::toString);
      return;
    }
    try (HierarchicalSoftmax layer = HierarchicalSoftmax.load(file)) {
      askFor(layer, LoadOptions.copied());
    }
  }

  @Property
  void ofGguf(@ForAll("ggufs") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    readsOrRefuses(
        () -> GgufFile.open(file),
        gguf -> {
          assertTrue(gguf.metadata().toString().length() > 1);
          for (String name : gguf.tensors().keySet()) {
            readsOrRefuses(() -> gguf.floats(name), FloatTensor::toArray);
            readsOrRefuses(() -> gguf.weights(name), weights -> weights.widened().close());
          }
          for (Activation activation : List.of(Activation.SWIGLU, Activation.RELU)) {
            readsOrRefuses(
                () -> MixtureOfExperts.of(gguf, 0, gateOf(gguf), activation), layer -> {});
          }
        });
  }

  /** Returns a gate for all experts, if there are any. */
  private static TopKGate gateOf(GgufFile gguf) {
    GgufFile.TensorInfo up = gguf.tensors().get("blk.0.ffn_up_exps.weight");
    boolean some = up != null && up.shape().rank() == 3 && up.shape().dim(0) == 2;
    return some ? TopKGate.of(2, 1) : null;
  }

  /** Checks arrays. */
  @Property
  void ofOthers(
      @ForAll("others") Right right, @ForAll("changes") List<UnaryOperator<byte[]>> changes)
      throws IOException {
    write(right, changes);
    readsOrRefuses(() -> NpyFile.readFloats(file), FloatTensor::toArray);
    readsOrRefuses(() -> NpyFile.readInts(file), IntTensor::toArray);
  }
}
