// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.ModelHolder;
import org.blocksparse.Optimizer;
import org.blocksparse.Progress;
import org.blocksparse.Similarity;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.ExpertCache;
import org.blocksparse.experts.ExpertsPass;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.io.GgufFile;
import org.blocksparse.io.HuggingFaceModel;
import org.blocksparse.io.NamedTensors;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.linear.DenseHead;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.SparseWeights;
import org.blocksparse.mixture.Mixture;
import org.blocksparse.mixture.NearestExamples;
import org.blocksparse.mixture.ScoreCalibration;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Labels;
import org.blocksparse.ranking.Metrics;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.LabelTree;
import org.blocksparse.softmax.LayerBuilder;
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.softmax.Loss;
import org.blocksparse.testing.GgufBytes;
import org.blocksparse.testing.HuggingFaceFolder;
import org.blocksparse.testing.PublicMethod;

/**
 * Owners and arguments of an operation, for a layer of 3 features and 9 outputs or for 3 times 3
 * blocks: all combinations of valid ones, by number. Each is made on request.
 */
final class OperandArguments {
  private static final long[][] SHAPES = {{3, 3, 3}, {3, 3}, {3, 3, 3, 3}, {3}};

  /** Shapes that only methods with few arguments need. */
  private static final long[][] RARE_SHAPES = {{3, 9}, {1, 3}};

  private static final Labels NAMES = Labels.of("a", "b", "c", "d", "e", "f", "g", "h", "i");

  /** Stands for the state of the preceding argument. */
  private static final Object OF_THE_ONE_BEFORE = new Object();

  private final PublicMethod called;
  private final Path file;
  private final TopKGate gate = TopKGate.of(3, 3);
  private final List<Supplier<Object>> owners;
  private final List<List<Supplier<Object>>> candidates;

  /**
   * Collects the candidates of a method.
   *
   * @param file the file that the method may write
   */
  OperandArguments(PublicMethod called, Path file) {
    Class<?>[] types = called.parameterTypes();
    boolean few = types.length <= 3;
    this.called = called;
    this.file = file;
    this.owners = owners();
    this.candidates = Arrays.stream(types).map(type -> candidates(type, few)).toList();
  }

  private List<Supplier<Object>> owners() {
    return called.isStatic()
        ? List.of(() -> null)
        : called.type() == OptimizerState.class
            ? List.of(() -> OptimizerState.of(ones(3, 3, 3, 3)))
            : candidates(called.type(), true);
  }

  /** Returns the number of combinations. */
  int count() {
    return candidates.stream().mapToInt(List::size).reduce(owners.size(), Math::multiplyExact);
  }

  /** Returns the owner of the method, for the combination of a number; null if there is none. */
  Object owner(int number) {
    return owners.get(number % owners.size()).get();
  }

  /**
   * Returns the arguments of the combination: the digits of its number choose among the candidates.
   */
  Object[] of(int number) {
    Object[] arguments = new Object[candidates.size()];
    int rest = number / owners.size();
    for (int i = 0; i < arguments.length; i++) {
      int count = candidates.get(i).size();
      arguments[i] = candidates.get(i).get(rest % count).get();
      rest /= count;
      if (arguments[i] == OF_THE_ONE_BEFORE) {
        FloatTensor trained = (FloatTensor) arguments[i - 1];
        boolean can = trained.shape().rank() == 2 || trained.shape().rank() == 4;
        arguments[i] = can ? OptimizerState.of(trained) : null;
      }
    }
    return arguments;
  }

  /** Returns the values of an argument. */
  private List<Supplier<Object>> candidates(Class<?> type, boolean few) {
    if (type == FloatTensor.class) {
      return Stream.of(SHAPES, few ? RARE_SHAPES : new long[0][])
          .flatMap(Stream::of)
          .<Supplier<Object>>map(shape -> () -> ones(shape))
          .toList();
    }
    return switch (type.getSimpleName()) {
      case "IntTensor" ->
          List.of(OperandArguments::indices, () -> IntTensor.of(new int[] {0, 1, 2}, 3));
      case "BlockMatrix" ->
          List.of(
              () -> ones(3, 3, 3, 3),
              () -> Weights.of(ones(3, 3, 3, 3), ElementType.INT8),
              () -> Weights.of(ones(3, 3, 3, 3), ElementType.BFLOAT16),
              () -> Weights.of(ones(3, 3, 3, 3), ElementType.Q4_0));
      case "BlockPlan" ->
          Arrays.asList(called.parameterTypes()).contains(BlockMatrix.class)
              ? List.of(OperandArguments::plan, () -> plan().withInputBits(16))
              : List.of(OperandArguments::plan);
      case "GradientOptions" ->
          List.of(
              () -> GradientOptions.add(0.5f),
              () -> GradientOptions.add(0.5f).withGate(ones(3, 3), ones(3, 3)),
              () ->
                  GradientOptions.overwrite()
                      .withActivation(Activation.SILU, ones(3, 3, 3))
                      .withGate(ones(3, 3), ones(3, 3)));
      case "OptimizerState" -> List.of(() -> OF_THE_ONE_BEFORE);
      case "Map" ->
          List.of(
              () -> Map.of("tensor", ones(3, 3)),
              () -> Map.of("key", "value"),
              () -> Map.of("W1", ones(1, 3, 3, 6), "W2", ones(3, 1, 3, 3)),
              () -> Map.of("b2", ones(3, 3)));
      case "int" ->
          called.method().getName().equals("withInputBits")
              ? List.of(() -> 32)
              : few ? List.of(() -> 3, () -> 9, () -> 0, () -> 1) : List.of(() -> 3, () -> 9);
      case "int[]" -> List.of(() -> new int[] {0, 1, 2}, () -> new int[] {8}, () -> new int[9]);
      case "int[][]" -> List.of(() -> new int[][] {{0, 1}, {2}});
      case "float[][]" -> List.of(() -> new float[][] {{-1, -2}, {-3}});
      case "long[]" -> List.of(() -> new long[] {3, 3}, () -> new long[] {0}, () -> new long[2]);
      case "float[]" ->
          List.of(() -> new float[] {2, 3, 4}, () -> new float[9], () -> new float[] {1, 1});
      default -> List.of(() -> argument(type));
    };
  }

  private Object argument(Class<?> type) {
    return switch (type.getSimpleName()) {
      case "FloatTensor", "Tensor" -> ones(3, 3);
      case "IntTensor" -> indices();
      case "SparseRows" -> rowsOf();
      case "List" ->
          isFitOfFolds() ? List.of(fold()) : isOfMixture() ? List.of(rowsOf()) : option(type);
      case "BlockPlan" -> plan();
      case "Weights" ->
          called.type() == DenseHead.class
              ? Weights.of(ones(1, 1, 3, 3), ElementType.BFLOAT16).transposeBlocks()
              : Weights.of(ones(3, 3, 3, 3), ElementType.BFLOAT16);
      case "Routing" -> gate.route(ones(3, 3));
      case "HierarchicalSoftmax" -> softmax();
      case "LabelTree" -> tree();
      case "LinearLabelTree" ->
          LinearLabelTree.builder(3, 9).clusterSize(4).labels(NAMES).train(rows(), rows());
      case "DenseHead" -> head();
      case "SparseWeights" -> sparse();
      case "NearestExamples" -> nearest();
      case "Mixture" ->
          called.method().getName().equals("atLeast")
              ? mixture().fit(List.of(rowsOf()), rowsOf())
              : mixture();
      case "Fold" -> fold();
      case "EmbeddingBag" -> // has a row for each output, to grow with the layer
          called.method().getName().equals("addOutputs")
              ? EmbeddingBag.builder(9, 3).build()
              : bag();
      case "ExpertsPass" -> differentiated();
      case "MixtureOfExperts" -> experts();
      case "LayerPart" -> builder().buildPart(1);
      case "SoftmaxGradients" ->
          HierarchicalSoftmax.builder(3, 9)
              .classes(3)
              .build()
              .gradients(ones(3, 3), IntTensor.zeros(3));
      case "Epilogue" -> Epilogue.none().withBias(ones(3, 3)).withGate(ones(3, 3));
      case "FloatTensor[]" -> new FloatTensor[] {ones(3, 3, 3, 3)};
      case "NamedTensors" -> NamedTensors.of(Map.of("tensor", ones(3, 3)));
      default -> option(type);
    };
  }

  /** Returns an argument without writable memory. */
  private Object option(Class<?> type) {
    return switch (type.getSimpleName()) {
      case "Ranking" -> HierarchicalSoftmax.builder(3, 9).build().topK(ones(3, 3), 2);
      case "TopKGate" -> gate;
      case "LayerBuilder" -> builder();
      case "LinearLabelTreeBuilder" -> LinearLabelTree.builder(3, 9);
      case "EmbeddingBagBuilder" -> EmbeddingBag.builder(3, 3);
      case "MixtureBuilder" -> Mixture.builder();
      case "MixtureOfExpertsBuilder" -> MixtureOfExperts.builder(3, 3, 3);
      case "Metrics" -> Metrics.upTo(2);
      case "ScoreCalibration" -> ScoreCalibration.of(new float[1], new float[1]);
      case "Optimizer" -> Optimizer.adam(0.1f);
      case "Loss" -> Loss.mean().withRowWeights(ones(3));
      case "Filter" -> Filter.without(rows());
      case "Activation" -> Activation.SILU;
      case "Similarity" -> Similarity.COSINE;
      case "ElementType" -> elementType();
      case "ClassAssignment" -> ClassAssignment.of(0, 1, 2, 1, 2, 0, 2, 1, 0);
      case "SaveOptions" -> SaveOptions.defaults();
      case "ModelPart" -> bag();
      case "Progress" -> (Progress) (done, all) -> {};
      case "Workers" -> Workers.callingThread();
      case "RandomGenerator" -> new SplittableRandom(1);
      case "Labels" -> NAMES;
      case "BitSet" -> new BitSet();
      case "ModelHolder" -> holder();
      case "Lease" -> holder().acquire();
      case "Loader" -> (ModelHolder.Loader<EmbeddingBag>) path -> bag();
      case "Supplier" -> (Supplier<EmbeddingBag>) OperandArguments::bag;
      case "GgufFile" -> gguf();
      case "ExpertCache" -> ExpertCache.ofBytes(1 << 20);
      case "HuggingFaceModel" -> huggingFace();
      case "UnaryOperator" -> UnaryOperator.<String>identity();
      case "List" -> List.of("name");
      case "Path" -> stateFile();
      case "Iterator" -> parts();
      case "String", "Object" -> "name";
      case "Class" -> SparseWeights.class;
      case "float", "double" -> 0.5f;
      case "long" -> 1L;
      default -> throw new AssertionError("no argument for " + type);
    };
  }

  private static Mixture mixture() {
    return Mixture.builder().layer("embedding", bag(), softmax()).weights("name", sparse()).build();
  }

  /** Returns nearest examples for nine examples, the outputs of the weights. */
  private static NearestExamples nearest() {
    try (SparseRows outputs = SparseRows.of(Collections.nCopies(9, new int[] {1}))) {
      return new NearestExamples(sparse(), SparseWeights.of(outputs, 9), 2);
    }
  }

  private static SparseWeights sparse() {
    SparseWeights weights = SparseWeights.of(rows(), 9);
    weights.setLabels(NAMES);
    return weights;
  }

  private static DenseHead head() {
    DenseHead head = DenseHead.of(ones(9, 3), ones(9));
    head.setLabels(NAMES);
    return head;
  }

  private static EmbeddingBag bag() {
    return EmbeddingBag.builder(3, 3).build();
  }

  private static ModelHolder<EmbeddingBag> holder() {
    return ModelHolder.of(bag(), path -> bag());
  }

  /** Returns a file with a tensor and the experts of block 3; gated where the metadata decide. */
  private GgufFile gguf() {
    boolean isGated =
        called.type() == MixtureOfExperts.class && called.parameterTypes().length == 2;
    GgufBytes header =
        GgufBytes.of(isGated ? 5 : 4, 2)
            .key("general.architecture", GgufBytes.STRING)
            .text("llama")
            .key("llama.expert_used_count", GgufBytes.UINT32)
            .ints(2)
            .tensor("name", GgufBytes.F32, 0, 3, 3)
            .tensor("blk.3.ffn_gate_inp.weight", GgufBytes.F32, 64, 3, 3)
            .tensor("blk.3.ffn_up_exps.weight", GgufBytes.F32, 128, 3, 3, 3)
            .tensor("blk.3.ffn_down_exps.weight", GgufBytes.F32, 256, 3, 3, 3);
    if (isGated) {
      header.tensor("blk.3.ffn_gate_exps.weight", GgufBytes.F32, 384, 3, 3, 3);
    }
    Path model = file.resolveSibling("model.gguf");
    try {
      Files.write(model, header.aligned(32).ints(new int[128]).bytes());
      return GgufFile.open(model);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Returns a model with a tensor, with alternating outputs where these are requested, and the
   * experts of layer 3.
   */
  private HuggingFaceModel huggingFace() {
    try {
      Path model = Files.createDirectories(file.resolveSibling("hugging-face"));
      boolean isPacked = called.method().getName().equals("gateAndUp");
      return HuggingFaceModel.open(HuggingFaceFolder.write(model, "name", isPacked, 3));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private MixtureOfExperts experts() {
    return MixtureOfExperts.builder(3, 3, gate).biases().build();
  }

  /** Returns a type that the method accepts. */
  private ElementType elementType() {
    boolean isSparse =
        called.type() == LinearLabelTree.class || called.type() == SparseWeights.class;
    return isSparse ? ElementType.FLOAT16 : ElementType.INT8;
  }

  /** Returns a pass that has a gradient of its gates. */
  private ExpertsPass differentiated() {
    ExpertsPass pass = experts().forward(ones(3, 3), ones(3, 3));
    pass.backward(ones(3, 3), GradientOptions.overwrite(), Map.of(), null);
    return pass;
  }

  /** Returns a layer with names and a retired output. */
  private static HierarchicalSoftmax softmax() {
    HierarchicalSoftmax layer = HierarchicalSoftmax.builder(3, 9).classes(3).labels(NAMES).build();
    layer.retire(8);
    return layer;
  }

  private static LabelTree tree() {
    LabelTree tree = LabelTree.builder(3, 9).classes(3).labels(NAMES).build();
    tree.retire(8);
    return tree;
  }

  /** Returns a file with the state of a tensor, for readers; writers may overwrite it. */
  private Path stateFile() {
    try (OptimizerState state = OptimizerState.of(ones(3, 3, 3, 3))) {
      state.save(file);
      return file;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns the parts of a layer that a builder puts together. */
  private Iterator<byte[]> parts() {
    return IntStream.range(LayerPart.CLASS_LEVEL, 3)
        .mapToObj(number -> builder().buildPart(number).toBytes())
        .iterator();
  }

  /** Returns a builder of a layer with the targets of the method. */
  private LayerBuilder<?, ?> builder() {
    return called.targets() == SparseRows.class
        ? LabelTree.builder(3, 9).classes(3)
        : HierarchicalSoftmax.builder(3, 9).classes(3);
  }

  private static FloatTensor ones(long... dims) {
    FloatTensor tensor = FloatTensor.zeros(dims);
    tensor.fill(1);
    return tensor;
  }

  private boolean isOfMixture() {
    return called.type() == Mixture.class || called.type() == Mixture.Fold.class;
  }

  private boolean isFitOfFolds() {
    return called.method().getName().equals("fit") && called.parameterTypes().length == 1;
  }

  private Mixture.Fold fold() {
    return new Mixture.Fold(mixture(), List.of(rowsOf()), rowsOf());
  }

  /** Returns one row for explanations, otherwise three. */
  private SparseRows rowsOf() {
    return called.method().getName().equals("explain")
        ? SparseRows.of(List.of(new int[] {1}))
        : rows();
  }

  private static SparseRows rows() {
    return SparseRows.of(List.of(new int[] {0}, new int[] {1}, new int[] {2}));
  }

  private static BlockPlan plan() {
    return BlockPlan.of(indices(), indices(), 3, 3);
  }

  private static IntTensor indices() {
    return IntTensor.of(new int[] {0, 1, 2, 2, 1, 0, 0, 0, 1}, 3, 3);
  }
}
