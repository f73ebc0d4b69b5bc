// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.blocksparse.Activation;
import org.blocksparse.Backend;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.ExpertsPass;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.Routing;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.NamedTensors;
import org.blocksparse.io.NpyFile;
import org.blocksparse.io.NpzFile;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;
import org.blocksparse.products.SparseBlockGemv;
import org.blocksparse.products.SparseBlockOuter;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.softmax.Loss;
import org.blocksparse.softmax.TheanoSoftmax;
import org.blocksparse.softmax.TwoLevelLayer;
import org.blocksparse.testing.ChildJvm;

/**
 * The operations of {@link FullHeapProgram}; their operands that stay, small ones and, for helpers,
 * large ones; and what they should hold.
 */
final class FullHeapOperands implements AutoCloseable {
  /** An operation that a full heap may end. */
  interface Operation {
    void run() throws IOException;
  }

  private static final int BATCH = 64;
  private static final int BLOCKS = 8;
  private static final int SIZE = 48;

  private final Path folder;
  private final IntTensor idx;
  private final FloatTensor W;
  private final Weights narrowW;
  private final Weights roundedW;
  private final List<Weights> packedW = new ArrayList<>();
  private final FloatTensor h;
  private final FloatTensor b;
  private final FloatTensor out;
  private final FloatTensor gate;
  private final FloatTensor gradGate;
  private final FloatTensor gradZ;
  private final FloatTensor sum;
  private final FloatTensor biases;
  private final OptimizerState state;
  private final BlockPlan plan;
  private final BlockPlan packing;
  private final MixtureOfExperts mixture;
  private final MixtureOfExperts packedMixture;
  private final BlockPlan rounding;
  private final BlockPlan roundingFew;
  private final FloatTensor fewRows;
  private final HierarchicalSoftmax layer;
  private final HierarchicalSoftmax trained;
  private final FloatTensor x;
  private final FloatTensor row;
  private final IntTensor targets;
  private final SparseRows seen;
  private final EmbeddingBag bag;
  private final LabelTree tree;
  private final HierarchicalSoftmax narrow;
  private final Ranking ranking;
  private final FloatTensor all;
  private final FloatTensor gradX;
  private final FloatTensor gradLogits;
  private final TopKGate experts = TopKGate.of(SIZE, 2);
  private final Routing routing;
  private final List<byte[]> parts = new ArrayList<>();
  private final Map<String, Operation> operations = new LinkedHashMap<>();
  private final float[] expected;
  private final int[] expectedTop;

  FullHeapOperands(Path folder) throws IOException {
    this.folder = folder;
    Random random = new Random(1);
    int[] indices = random.ints(BATCH * 2, 0, BLOCKS).toArray();
    idx = IntTensor.of(indices, BATCH, 2);
    W = FloatTensor.of(numbers(random, BLOCKS * BLOCKS * SIZE * SIZE), BLOCKS, BLOCKS, SIZE, SIZE);
    narrowW = Weights.of(W, ElementType.INT8);
    packedW.add(narrowW.packed());
    for (ElementType type : ElementType.values()) {
      if (type.isPacked()) {
        packedW.add(Weights.of(W, type));
      }
    }
    mixture = MixtureOfExperts.builder(SIZE, 32, TopKGate.of(BLOCKS, 2)).biases().build();
    packedMixture = mixture.withWeights(ElementType.Q4_0);
    h = FloatTensor.of(numbers(random, BATCH * 2 * SIZE), BATCH, 2, SIZE);
    b = FloatTensor.of(numbers(random, BLOCKS * SIZE), BLOCKS, SIZE);
    roundedW = Weights.of(b.reshape(1, 1, BLOCKS, SIZE), ElementType.BFLOAT16);
    out = FloatTensor.zeros(BATCH, 2, SIZE);
    gate = FloatTensor.of(numbers(random, BATCH * 2), BATCH, 2);
    gradGate = FloatTensor.zeros(BATCH, 2);
    gradZ = FloatTensor.zeros(BATCH, 2, SIZE);
    sum = FloatTensor.zeros(BLOCKS, BLOCKS, SIZE, SIZE);
    biases = FloatTensor.zeros(BLOCKS, SIZE);
    state = OptimizerState.of(sum, biases);
    plan = BlockPlan.of(idx, idx, BLOCKS, BLOCKS);
    packing = plan.withRoundedInputs(ElementType.INT8);
    rounding = BlockPlan.dense(BATCH * 2 * SIZE / BLOCKS).withRoundedInputs(ElementType.BFLOAT16);
    roundingFew = BlockPlan.dense(5).withRoundedInputs(ElementType.BFLOAT16);
    fewRows = FloatTensor.of(numbers(random, 5 * BLOCKS), 5, 1, BLOCKS);
    layer = HierarchicalSoftmax.builder(SIZE, 1000).seed(1).build();
    trained = HierarchicalSoftmax.builder(SIZE, 1000).seed(2).build();
    x = FloatTensor.of(numbers(random, BATCH * SIZE), BATCH, SIZE);
    row = FloatTensor.of(numbers(random, SIZE), 1, SIZE);
    targets = IntTensor.of(random.ints(BATCH, 0, 1000).toArray(), BATCH);
    seen = SparseRows.of(Collections.nCopies(BATCH, new int[] {1, 500, 999}));
    bag = EmbeddingBag.builder(1000, SIZE).seed(3).build();
    tree = LabelTree.builder(SIZE, 1000).seed(4).build();
    narrow = layer.withWeights(ElementType.INT8);
    ranking = layer.topK(x, 3);
    all = FloatTensor.zeros(BATCH, 1000);
    gradX = FloatTensor.zeros(BATCH, SIZE);
    gradLogits = FloatTensor.zeros(BLOCKS, SIZE);
    routing = experts.route(b);
    for (int number = LayerPart.CLASS_LEVEL; number < layer.classCount(); number++) {
      try (LayerPart<IntTensor> part = LayerPart.of(layer, number, Workers.common())) {
        parts.add(part.toBytes());
      }
    }
    layer.save(folder.resolve("model"));
    tree.save(folder.resolve("tree"));
    bag.save(folder.resolve("bag"));
    TensorFile.save(folder.resolve("blocks"), NamedTensors.none().with("W", narrowW));
    layer.assignment().write(folder.resolve("classes"));
    NpyFile.write(folder.resolve("h.npy"), h);
    SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
    expected = out.toArray();
    expectedTop = top();
  }

  private static float[] numbers(Random random, int count) {
    float[] numbers = new float[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = random.nextInt(9) - 4;
    }
    return numbers;
  }

  private int[] top() {
    int[] top = new int[BATCH];
    var ranking = layer.topK(x, 3);
    Arrays.setAll(top, row -> ranking.output(row, 0));
    return top;
  }

  /** The operands still give what they gave at first. */
  void check(String after) {
    SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out);
    ChildJvm.check(Arrays.equals(expected, out.toArray()), "products after " + after);
    ChildJvm.check(Arrays.equals(expectedTop, top()), "topK after " + after);
  }

  /**
   * All that is trained goes on as a copy of it does, whose state and workspaces are new: what an
   * end in the middle of a step has left behind does not matter.
   */
  void checkTraining(String after) {
    Optimizer rule = Optimizer.sgd(0.01f);
    try (HierarchicalSoftmax twin = trained.copy();
        LabelTree twinOfTree = tree.copy();
        FloatTensor table = copy(bag.table());
        EmbeddingBag twinOfBag = EmbeddingBag.builder(1000, SIZE).build(table);
        FloatTensor twinOfSum = copy(sum);
        FloatTensor twinOfBiases = copy(biases);
        OptimizerState fresh = OptimizerState.of(twinOfSum, twinOfBiases)) {
      double expectedLoss = twin.step(x, targets, rule);
      double loss = trained.step(x, targets, rule);
      ChildJvm.check(loss == expectedLoss, "loss " + loss + " after " + after);
      checkEqual("the layer after " + after, twin, trained);
      expectedLoss = twinOfTree.step(x, seen, rule);
      loss = tree.step(x, seen, rule);
      ChildJvm.check(loss == expectedLoss, "loss of a tree " + loss + " after " + after);
      checkEqual("the tree after " + after, twinOfTree, tree);
      twinOfBag.step(seen, x, rule);
      bag.step(seen, x, rule);
      checkEqual("the bag after " + after, twinOfBag.table(), bag.table());
      SparseBlockDot.stepW(h, out, plan, rule, twinOfSum, fresh);
      SparseBlockDot.stepW(h, out, plan, rule, sum, state);
      checkEqual("the blocks after " + after, twinOfSum, sum);
      SparseBlockDot.stepB(out, plan, rule, twinOfBiases, fresh);
      SparseBlockDot.stepB(out, plan, rule, biases, state);
      checkEqual("the biases after " + after, twinOfBiases, biases);
    }
  }

  private static FloatTensor copy(FloatTensor tensor) {
    return FloatTensor.of(tensor.toArray(), tensor.shape().toArray());
  }

  static void checkEqual(String what, TwoLevelLayer<?> expected, TwoLevelLayer<?> layer) {
    checkEqual("W1 of " + what, expected.W1(), layer.W1());
    checkEqual("b1 of " + what, expected.b1(), layer.b1());
    checkEqual("W2 of " + what, expected.W2(), layer.W2());
    checkEqual("b2 of " + what, expected.b2(), layer.b2());
  }

  private static void checkEqual(String what, FloatTensor expected, FloatTensor tensor) {
    ChildJvm.check(Arrays.equals(expected.toArray(), tensor.toArray()), what);
  }

  Map<String, Operation> operations() {
    addTensors();
    addProducts();
    addSteps();
    addPredictions();
    addTraining();
    addOfLayers();
    addFiles();
    addTables();
    return operations;
  }

  private void addTensors() {
    operations.put("zeros", () -> FloatTensor.zeros(10, 10).close());
    operations.put("of", () -> FloatTensor.of(new float[6], 2, 3).close());
    operations.put("ints", () -> IntTensor.of(new int[6], 2, 3).close());
    operations.put("fill", () -> sum.fill(0));
    operations.put("get", () -> h.get(1, 1, 1));
    operations.put("set", () -> out.set(1, 1, 1, 1));
    operations.put("toArray", () -> W.toArray());
    operations.put("indices", () -> idx.toArray());
    operations.put("copyFrom", () -> out.copyFrom(expected));
    operations.put("buffer", () -> h.asFloatBuffer().get(0));
    operations.put("view", () -> W.transposeBlocks().close());
    operations.put("reshape", () -> W.reshape(BLOCKS * BLOCKS, SIZE * SIZE).close());
    if (Backend.isNative()) {
      operations.put("wrap", () -> FloatTensor.wrap(h.asFloatBuffer(), BATCH, 2, SIZE).close());
    }
  }

  private void addProducts() {
    operations.put("plan", () -> BlockPlan.of(idx, idx, BLOCKS, BLOCKS).close());
    FloatTensor block = x.reshape(1, 1, BATCH, SIZE);
    operations.put("narrow blocks", () -> Weights.of(block, ElementType.INT8).close());
    operations.put(
        "dot of narrow blocks",
        () ->
            SparseBlockDot.apply(
                    narrowW, h, plan, Epilogue.none().withBias(b).withActivation(Activation.SWIGLU))
                .close());
    operations.put(
        "gradH of narrow blocks, and activation",
        () ->
            SparseBlockDot.gradH(
                narrowW,
                out,
                plan,
                GradientOptions.overwrite().withActivation(Activation.SILU, h),
                gradZ));
    operations.put(
        "gemv of narrow blocks", () -> SparseBlockGemv.apply(out, narrowW, h, plan).close());
    operations.put(
        "packed blocks",
        () -> {
          narrowW.packed().close();
          Weights.of(block, ElementType.Q8_0).close();
          Weights.of(block, ElementType.MXFP4).close();
        });
    operations.put(
        "dot of packed blocks",
        () -> {
          for (Weights each : packedW) {
            SparseBlockDot.apply(
                    each, h, packing, Epilogue.none().withActivation(Activation.SWIGLU))
                .close();
          }
        });
    FloatTensor rows = h.reshape(rounding.batch(), 1, BLOCKS);
    operations.put(
        "dot of rounded rows",
        () -> SparseBlockDot.apply(roundedW, rows, rounding, Epilogue.none()).close());
    operations.put(
        "dot of few rounded rows",
        () -> SparseBlockDot.apply(roundedW, fewRows, roundingFew, Epilogue.none()).close());
    operations.put(
        "dot", () -> SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b)).close());
    operations.put("dot without a plan", () -> SparseBlockDot.apply(W, h, idx, b, idx).close());
    operations.put(
        "dot into", () -> SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b), out));
    operations.put(
        "epilogue",
        () -> SparseBlockDot.apply(W, h, plan, Epilogue.none().withBias(b).withGate(gate)).close());
    operations.put(
        "gated activation",
        () ->
            SparseBlockDot.apply(W, h, plan, Epilogue.none().withActivation(Activation.SWIGLU))
                .close());
    operations.put("activation", () -> Activation.SILU.apply(h, gradZ));
    operations.put("activation's gradient", () -> Activation.SILU.gradient(h, out, gradZ));
    operations.put(
        "gradH and activation",
        () ->
            SparseBlockDot.gradH(
                W,
                out,
                plan,
                GradientOptions.overwrite().withActivation(Activation.SILU, h),
                gradZ));
    operations.put(
        "gradH and activation, added",
        () ->
            SparseBlockDot.gradH(
                W, out, plan, GradientOptions.add(1).withActivation(Activation.SILU, h), gradZ));
    addGated();
    operations.put("experts", () -> mixture.apply(x).close());
    operations.put("packed experts", () -> packedMixture.apply(x).close());
    operations.put("experts in fewer bits", () -> mixture.withWeights(ElementType.Q8_0).close());
    operations.put(
        "step of experts",
        () -> {
          try (ExpertsPass pass = mixture.forward(x, gradX)) {
            pass.step(x, Optimizer.sgd(1e-6f));
          }
        });
    operations.put("gradH", () -> SparseBlockDot.gradH(W, out, plan).close());
    operations.put("gradW", () -> SparseBlockDot.gradW(h, out, plan).close());
    operations.put("gradB", () -> SparseBlockDot.gradB(out, plan).close());
    operations.put(
        "gradW into", () -> SparseBlockDot.gradW(h, out, plan, GradientOptions.overwrite(), sum));
    operations.put("clear gradW", () -> SparseBlockDot.clearGradW(plan, sum));
  }

  private void addGated() {
    Activation silu = Activation.SILU;
    operations.put(
        "activation's gradient, with a gate",
        () ->
            silu.gradient(
                h,
                out,
                GradientOptions.overwrite().withGate(gate, gradGate),
                gradZ,
                Workers.common()));
    operations.put(
        "activation's gradient, with a gate, added",
        () ->
            silu.gradient(
                h, out, GradientOptions.add(1).withGate(gate, gradGate), gradZ, Workers.common()));
    operations.put(
        "gradH and activation, with a gate",
        () ->
            SparseBlockDot.gradH(
                W,
                out,
                plan,
                GradientOptions.overwrite().withActivation(silu, h).withGate(gate, gradGate),
                gradZ));
    operations.put(
        "gradH and activation, with a gate, added",
        () ->
            SparseBlockDot.gradH(
                W,
                out,
                plan,
                GradientOptions.add(1).withActivation(silu, h).withGate(gate, gradGate),
                gradZ));
    operations.put(
        "gradH of narrow blocks, with a gate",
        () ->
            SparseBlockDot.gradH(
                narrowW,
                out,
                plan,
                GradientOptions.overwrite().withActivation(silu, h).withGate(gate, gradGate),
                gradZ));
    operations.put(
        "gradH of narrow blocks, with a gate, added",
        () ->
            SparseBlockDot.gradH(
                narrowW,
                out,
                plan,
                GradientOptions.add(1).withActivation(silu, h).withGate(gate, gradGate),
                gradZ));
  }

  private void addSteps() {
    operations.put("input bias", () -> InputBias.gradBias(out, null, plan).close());
    for (Optimizer optimizer :
        List.of(
            Optimizer.sgd(0.01f), Optimizer.adam(0.01f), Optimizer.adagrad(0.01f).withMaxNorm(1))) {
      operations.put(
          "step of blocks " + optimizer,
          () -> SparseBlockDot.stepW(h, out, plan, optimizer, sum, state));
      operations.put(
          "step of biases " + optimizer,
          () -> SparseBlockDot.stepB(out, plan, optimizer, biases, state));
      operations.put(
          "step of input biases " + optimizer,
          () -> InputBias.step(out, null, plan, optimizer, biases, state));
      operations.put(
          "step of input biases with a gate " + optimizer,
          () -> InputBias.step(out, gate, plan, optimizer, biases, state));
    }
    operations.put("input bias's gate", () -> InputBias.gradGate(biases, out, plan).close());
    operations.put(
        "add gradH", () -> SparseBlockDot.gradH(W, out, plan, GradientOptions.add(0.5f), gradZ));
    operations.put("route", () -> experts.route(b).close());
    operations.put("gate's gradient", () -> experts.gradient(routing, routing.gates(), gradLogits));
    operations.put("route some", () -> TopKGate.of(SIZE, 2).withCapacity(1).route(b).close());
    operations.put("gemv", () -> SparseBlockGemv.apply(out, W, h, plan).close());
    operations.put("gemv without a plan", () -> SparseBlockGemv.apply(out, W, h, idx, idx).close());
    operations.put("gemv in place", () -> SparseBlockGemv.applyInPlace(W, h, plan, gradZ));
    operations.put(
        "outer of a new tensor", () -> SparseBlockOuter.apply(sum, h, h, idx, idx, 1).close());
    operations.put("outer", () -> SparseBlockOuter.applyInPlace(h, h, plan, 1, sum));
  }

  private void addPredictions() {
    operations.put("layer", () -> HierarchicalSoftmax.builder(8, 100).build().close());
    operations.put("probabilities", () -> layer.probabilities(x).close());
    operations.put("log probabilities", () -> layer.logProbabilities(x).close());
    operations.put("probabilities into", () -> layer.probabilities(x, all));
    operations.put("log probabilities into", () -> layer.logProbabilities(x, all));
    operations.put("probabilities of", () -> layer.probabilitiesOf(x, targets).close());
    operations.put("log probabilities of", () -> layer.logProbabilitiesOf(x, targets).close());
    operations.put("topK of narrow weights", () -> narrow.topK(x, 3));
    operations.put("topK of a tree", () -> tree.topK(x, 3));
    operations.put("atLeast of a tree", () -> tree.atLeast(x, 0.6));
    operations.put("probabilities of a tree", () -> tree.probabilities(x, all));
    operations.put("log probabilities of rows", () -> tree.logProbabilitiesOf(x, seen).close());
    operations.put("bag", () -> bag.apply(seen).close());
    operations.put("bag into", () -> bag.apply(seen, gradX));
    operations.put("topK", () -> layer.topK(x, 3));
    operations.put("topP", () -> layer.topP(x, 0.1));
    operations.put("atLeast", () -> layer.atLeast(x, 0.01));
    operations.put("sample", () -> layer.sample(x, new Random(1)));
    operations.put(
        "topK filtered", () -> layer.topK(x, 3, Filter.without(seen).withRenormalization()));
    operations.put("sample filtered", () -> layer.sample(x, 1, new Random(1), Filter.only(seen)));
    operations.put("explain", () -> layer.explain(row, 3));
  }

  private void addTraining() {
    operations.put("loss", () -> layer.loss(x, targets));
    operations.put("losses", () -> layer.losses(x, targets).close());
    operations.put("losses of a tree", () -> tree.losses(x, seen).close());
    operations.put("gradients of a tree", () -> tree.gradients(x, seen).close());
    operations.put("gradients of values", () -> bag.gradValues(seen, x).close());
    operations.put("part", this::part);
    operations.put("gradients", () -> layer.gradients(x, targets).close());
    for (Optimizer optimizer :
        List.of(Optimizer.sgd(0.01f), Optimizer.adagrad(0.01f), Optimizer.adam(0.01f))) {
      operations.put("step " + optimizer, () -> trained.step(x, targets, optimizer));
      operations.put("step of a bag " + optimizer, () -> bag.step(seen, x, optimizer));
      operations.put(
          "step of a tree " + optimizer, () -> tree.step(x, seen, Loss.mean(), optimizer, gradX));
    }
  }

  private void addOfLayers() {
    operations.put("copy", () -> layer.copy().close());
    operations.put("grow", this::grow);
    operations.put(
        "layer of tensors",
        () ->
            HierarchicalSoftmax.builder(SIZE, 1000)
                .classes(layer.assignment())
                .build(copy(layer.W1()), copy(layer.b1()), copy(layer.W2()), copy(layer.b2()))
                .close());
    operations.put(
        "Theano's softmax",
        () ->
            TheanoSoftmax.apply(
                    x,
                    BATCH,
                    1000,
                    layer.classCount(),
                    layer.assignment().slots(),
                    layer.W1(),
                    layer.b1(),
                    layer.W2(),
                    layer.b2(),
                    targets)
                .close());
    operations.put("narrow", () -> layer.withWeights(ElementType.INT8).close());
    operations.put("labels", () -> Labels.of("a", "b").output("b"));
  }

  private void addFiles() {
    operations.put("save tensors", () -> TensorFile.save(folder.resolve("saved"), Map.of("W", W)));
    operations.put(
        "save narrow blocks",
        () -> TensorFile.save(folder.resolve("saved"), NamedTensors.none().with("W", narrowW)));
    operations.put(
        "save blocks as narrow ones",
        () ->
            TensorFile.save(
                folder.resolve("saved"), NamedTensors.none().with("W", W, ElementType.INT8)));
    operations.put("open tensors", this::tensors);
    operations.put("open narrow blocks", this::narrowBlocks);
    operations.put("save", () -> layer.save(folder.resolve("saved")));
    operations.put("load", () -> HierarchicalSoftmax.load(folder.resolve("model")).close());
    operations.put(
        "mapped",
        () -> {
          try (HierarchicalSoftmax mapped =
              HierarchicalSoftmax.load(folder.resolve("model"), LoadOptions.mapped())) {
            mapped.topK(x, 2);
          }
        });
    operations.put("save parts", this::saveParts);
    operations.put(
        "copy on write",
        () -> HierarchicalSoftmax.load(folder.resolve("model"), LoadOptions.copyOnWrite()).close());
    operations.put("load a tree", () -> LabelTree.load(folder.resolve("tree")).close());
    operations.put("load a bag", () -> EmbeddingBag.load(folder.resolve("bag")).close());
    operations.put("write npy", () -> NpyFile.write(folder.resolve("out.npy"), out));
    operations.put("read npy", () -> NpyFile.readFloats(folder.resolve("h.npy")).close());
    operations.put("npz", this::npz);
  }

  private void addTables() {
    operations.put("clustered", () -> ClassAssignment.clustered(b, 2, 1, Workers.common()));
    operations.put("by frequency", () -> ClassAssignment.byFrequency(new long[1000], 30));
    operations.put("read classes", () -> ClassAssignment.read(folder.resolve("classes")));
    operations.put("write classes", () -> layer.assignment().write(folder.resolve("saved")));
    operations.put(
        "rows", () -> SparseRows.of(List.of(new int[] {2, 1}, new int[0], new int[] {7})).close());
    operations.put("some rows", () -> seen.select(3, 1).close());
    operations.put("a piece of rows", () -> seen.slice(3, 9).close());
    operations.put("metrics", () -> Metrics.upTo(3).add(ranking, seen));
  }

  private void part() {
    try (LayerPart<IntTensor> part = LayerPart.of(trained, 1, Workers.common());
        IntTensor slots = IntTensor.zeros(BATCH)) {
      part.step(x, slots, Loss.mean(), Optimizer.adam(0.01f));
      part.toBytes();
    }
  }

  private void saveParts() throws IOException {
    HierarchicalSoftmax.builder(SIZE, 1000)
        .classes(layer.assignment())
        .saveParts(folder.resolve("saved"), 0, parts.iterator(), SaveOptions.defaults());
  }

  private void grow() {
    try (HierarchicalSoftmax copy = layer.copy()) {
      copy.addOutputs(1);
      copy.addOutputs(100);
      copy.retire(3, 4);
      copy.reuse(4);
      copy.reassign(ClassAssignment.contiguous(copy.outputs(), 40));
    }
  }

  private void tensors() throws IOException {
    try (TensorFile tensors = TensorFile.open(folder.resolve("model"), LoadOptions.mapped())) {
      tensors.floats("W1").close();
    }
  }

  private void narrowBlocks() throws IOException {
    for (LoadOptions options : List.of(LoadOptions.copied(), LoadOptions.mapped())) {
      try (TensorFile tensors = TensorFile.open(folder.resolve("blocks"), options)) {
        tensors.weights("W").close();
      }
    }
  }

  private void npz() throws IOException {
    Path file = folder.resolve("arrays.npz");
    NpzFile.write(file, Map.of("out", out));
    try (NpzFile arrays = NpzFile.open(file)) {
      arrays.floats("out").close();
    }
  }

  @Override
  public void close() throws IOException {
    packedW.forEach(Weights::close);
    for (AutoCloseable each :
        List.of(
            idx,
            packing,
            mixture,
            packedMixture,
            W,
            narrowW,
            roundedW,
            rounding,
            roundingFew,
            fewRows,
            h,
            b,
            out,
            gate,
            gradGate,
            gradZ,
            sum,
            biases,
            state,
            plan,
            layer,
            trained,
            x,
            row,
            targets,
            seen,
            bag,
            tree,
            narrow,
            all,
            gradX,
            gradLogits,
            routing)) {
      try {
        each.close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
    Files.deleteIfExists(folder.resolve("saved"));
  }
}
