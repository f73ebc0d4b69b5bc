// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.testing;

import java.io.IOException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.WildcardType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.random.RandomGenerator;
import org.blocksparse.BlockMatrix;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.MemoryUse;
import org.blocksparse.ModelHolder;
import org.blocksparse.Optimizer;
import org.blocksparse.Progress;
import org.blocksparse.Shape;
import org.blocksparse.SparseRows;
import org.blocksparse.Tensor;
import org.blocksparse.UnknownIds;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.bag.EmbeddingBag;
import org.blocksparse.experts.ExpertCache;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.io.GgufFile;
import org.blocksparse.io.HuggingFaceModel;
import org.blocksparse.io.LoadOptions;
import org.blocksparse.io.ModelPart;
import org.blocksparse.io.NamedTensors;
import org.blocksparse.io.NpyFile;
import org.blocksparse.io.SaveOptions;
import org.blocksparse.io.TensorFile;
import org.blocksparse.linear.DenseHead;
import org.blocksparse.linear.LinearLabelTree;
import org.blocksparse.linear.LinearLabelTreeParts;
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
import org.blocksparse.softmax.LayerPart;
import org.blocksparse.softmax.Loss;

/**
 * Arguments for any parameter of the public API, valid or invalid. Every valid size is 3, so that
 * many calls with random arguments succeed; results of calls become arguments of later ones.
 */
public final class RandomArguments {
  private static final int SIZE = 3;
  private static final int OUTPUTS = SIZE * SIZE;
  private static final int KEPT = 24;

  /** Valid files of all kinds. */
  private static final List<String> FILES =
      List.of(
          "mapped", "tensors", "tree", "linear", "experts", "bag", "state", "array", "ints", "gguf",
          "sparse", "mixture", "packed");

  private final SplittableRandom random;
  private final Path folder;
  private final Map<Class<?>, Supplier<Object>> makers = new HashMap<>();
  private final Map<Object, List<Object>> kept = new HashMap<>();
  private final List<FloatTensor> mapped = new ArrayList<>();
  private byte[] problem;

  public RandomArguments(SplittableRandom random, Path folder) throws IOException {
    this.random = random;
    this.folder = folder;
    addNumbers();
    addArrays();
    addBuffers();
    addCallbacks();
    for (int i = 0; i < 4; i++) {
      keepTensors();
      keepOptions();
      keepLayers();
    }
    keepMapped();
    writeFiles();
  }

  public int below(int bound) {
    return random.nextInt(bound);
  }

  public <T> T oneOf(List<T> values) {
    return values.get(below(values.size()));
  }

  /** Returns an argument; null now and then, and if nothing of its type exists. */
  public Object of(Class<?> type, Type generic) {
    if (!type.isPrimitive() && below(60) == 0) {
      return null;
    }
    if (type.isEnum()) {
      return oneOf(Arrays.asList(type.getEnumConstants()));
    }
    if (type == List.class) {
      Class<?> element = (Class<?>) ((ParameterizedType) generic).getActualTypeArguments()[0];
      return below(20) == 0
          ? Collections.singletonList(null)
          : Arrays.asList(of(element, null), of(element, null), of(element, null));
    }
    if (type == Map.class) {
      Map<String, Object> map = new HashMap<>();
      Type values = ((ParameterizedType) generic).getActualTypeArguments()[1];
      if (values instanceof WildcardType bounded) {
        values = bounded.getUpperBounds()[0];
      }
      for (int i = below(4); i > 0; i--) {
        map.put(text(), of((Class<?>) values, null));
      }
      return map;
    }
    if (type == FloatTensor.class && below(12) == 0) {
      return oneOf(mapped);
    }
    Supplier<Object> maker = makers.get(type);
    List<Object> these = kept.getOrDefault(type, List.of());
    return maker != null ? maker.get() : these.isEmpty() ? null : oneOf(these);
  }

  /** Returns whether arguments of a type can be made, or come from other calls. */
  public boolean knows(Class<?> type) {
    return type.isEnum()
        || type == List.class
        || type == Map.class
        || makers.containsKey(type)
        || kept.containsKey(type);
  }

  /** Returns the key of a type; for generic types, with their targets. */
  private static Object key(Class<?> type, Class<?> targets) {
    return type.getTypeParameters().length == 0 ? type : List.of(type, targets);
  }

  /** Returns an object of a type, or of a generic type for targets; null if there is none. */
  public Object owner(Class<?> type, Class<?> targets) {
    if (type.getTypeParameters().length == 0) {
      return of(type, null);
    }
    List<Object> these = kept.getOrDefault(key(type, targets), List.of());
    return these.isEmpty() ? null : oneOf(these);
  }

  private void keep(Object made) {
    keep(made, null);
  }

  /**
   * Keeps the result of a call, in place of another of its type if there are enough.
   *
   * @param targets the targets of the call
   */
  public void keep(Object made, Class<?> targets) {
    Object key = key(PublicTypes.of(made), targets);
    List<Object> these = kept.computeIfAbsent(key, type -> new ArrayList<>());
    if (these.size() < KEPT) {
      these.add(made);
    } else {
      these.set(below(KEPT), made);
    }
  }

  /** Returns all kept objects of a type, with any targets. */
  public <T> List<T> kept(Class<T> type) {
    return kept.entrySet().stream()
        .filter(each -> each.getKey().equals(type) || isGeneric(each.getKey(), type))
        .flatMap(each -> each.getValue().stream())
        .map(type::cast)
        .toList();
  }

  private static boolean isGeneric(Object key, Class<?> type) {
    return key instanceof List<?> withTargets && withTargets.get(0).equals(type);
  }

  private int integer() {
    return below(2) == 0 ? SIZE : oneOf(List.of(0, 1, 2, 4, -1, Integer.MIN_VALUE));
  }

  private int index() {
    return below(30) == 0 ? integer() : below(SIZE);
  }

  private float real() {
    return below(2) == 0
        ? random.nextFloat()
        : oneOf(List.of(0f, 1f, -1f, 3e38f, Float.MIN_VALUE, Float.NaN, Float.POSITIVE_INFINITY));
  }

  private String text() {
    return oneOf(List.of("", "a", "b", "W1", "\u0000", "\ud800", "x".repeat(300)));
  }

  private void addNumbers() {
    makers.put(int.class, this::integer);
    makers.put(long.class, () -> below(5) == 0 ? Long.MAX_VALUE : (long) integer());
    makers.put(float.class, this::real);
    makers.put(double.class, () -> below(3) == 0 ? (double) real() : random.nextDouble());
    makers.put(
        Class.class,
        () -> oneOf(List.of(LinearLabelTree.class, SparseWeights.class, EmbeddingBag.class)));
    makers.put(String.class, this::text);
    makers.put(Path.class, () -> below(2) == 0 ? fileToWrite() : folder.resolve(oneOf(FILES)));
  }

  /** Returns a path that a call may write; the files of the mapped tensors stay. */
  public Path fileToWrite() {
    return below(8) == 0 ? folder : folder.resolve(oneOf(List.of("a", "b", "no/file")));
  }

  private void addArrays() {
    makers.put(int[].class, this::indices);
    makers.put(
        int[][].class,
        () -> {
          int[][] rows = new int[below(3)][];
          Arrays.setAll(rows, row -> indices());
          return rows;
        });
    makers.put(
        float[][].class,
        () -> {
          float[][] rows = new float[below(3)][];
          Arrays.setAll(rows, row -> reals(oneOf(List.of(0, 1, 3, 9))));
          return rows;
        });
    makers.put(long[].class, this::dimensions);
    makers.put(float[].class, () -> reals(oneOf(List.of(0, 1, 3, 9, 27, 81))));
    makers.put(BitSet.class, () -> BitSet.valueOf(new long[] {below(1 << OUTPUTS)}));
    makers.put(double[].class, () -> new double[oneOf(List.of(0, 1, 3, 9))]);
    makers.put(
        String[].class,
        () -> {
          String[] names = new String[oneOf(List.of(0, 3, 9))];
          Arrays.setAll(names, i -> below(40) == 0 ? text() : "name " + i);
          return names;
        });
    makers.put(
        FloatTensor[].class,
        () -> {
          FloatTensor[] tensors = new FloatTensor[below(3)];
          Arrays.setAll(tensors, i -> of(FloatTensor.class, null));
          return tensors;
        });
  }

  private int[] indices() {
    int[] indices = new int[oneOf(List.of(0, 1, 3, 3, 4, 9, 9))];
    Arrays.setAll(indices, i -> index());
    if (below(3) == 0) {
      Arrays.sort(indices); // makes them offsets of rows
    }
    return indices;
  }

  /** Returns dimensions or an index, both of small numbers. */
  private long[] dimensions() {
    long[] dimensions = new long[below(40) == 0 ? 0 : 1 + below(4)];
    Arrays.fill(dimensions, below(60) == 0 ? Long.MAX_VALUE : below(3) == 0 ? index() : SIZE);
    return dimensions;
  }

  private float[] reals(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = below(20) == 0 ? real() : random.nextFloat() - 0.5f;
    }
    return values;
  }

  private void addBuffers() {
    makers.put(
        ByteBuffer.class,
        () -> {
          int bytes = oneOf(List.of(0, 3, 12, 36, 108));
          ByteBuffer buffer = direct(bytes + 1);
          buffer.position(below(2)).limit(buffer.position() + bytes);
          return below(4) == 0
              ? buffer.asReadOnlyBuffer()
              : below(10) == 0 ? ByteBuffer.allocate(12) : buffer.slice().order(buffer.order());
        });
    makers.put(
        FloatBuffer.class,
        () -> {
          FloatBuffer buffer = direct(4 * oneOf(List.of(0, 3, 9, 27, 81))).asFloatBuffer();
          return below(4) == 0
              ? buffer.asReadOnlyBuffer()
              : below(10) == 0 ? FloatBuffer.allocate(9) : buffer;
        });
    makers.put(
        IntBuffer.class,
        () -> {
          IntBuffer buffer = direct(4 * oneOf(List.of(0, 3, 4, 4))).asIntBuffer();
          for (int i = 0; i < buffer.limit(); i++) {
            buffer.put(i, below(8) == 0 ? index() : i);
          }
          return below(10) == 0 ? IntBuffer.allocate(4) : buffer;
        });
  }

  private ByteBuffer direct(int bytes) {
    return ByteBuffer.allocateDirect(bytes)
        .order(below(12) == 0 ? ByteOrder.BIG_ENDIAN : ByteOrder.nativeOrder());
  }

  private void addCallbacks() {
    makers.put(RandomGenerator.class, () -> new SplittableRandom(below(9)));
    makers.put(Duration.class, () -> Duration.ofMillis(below(3)));
    makers.put(UnaryOperator.class, () -> UnaryOperator.<String>identity());
    makers.put(Progress.class, () -> (Progress) (done, all) -> {});
    makers.put(Executor.class, () -> (Executor) Runnable::run);
    makers.put(Object.class, () -> "an owner");
    makers.put(ModelHolder.Loader.class, () -> (ModelHolder.Loader<?>) HierarchicalSoftmax::load);
    makers.put(Supplier.class, () -> (Supplier<?>) () -> of(HierarchicalSoftmax.class, null));
    makers.put(
        Iterator.class,
        () -> {
          List<byte[]> parts = new ArrayList<>(List.of(new byte[below(64)]));
          Class<?> targets = oneOf(List.of(IntTensor.class, SparseRows.class));
          for (Object part : kept.getOrDefault(key(LayerPart.class, targets), List.of())) {
            parts.add(below(parts.size() + 1), bytes((LayerPart<?>) part));
          }
          return parts.subList(below(parts.size()), parts.size()).iterator();
        });
    makers.put(byte[].class, () -> below(3) == 0 ? new byte[below(64)] : problem.clone());
    makers.put(
        BlockMatrix.class, () -> of(below(3) == 0 ? Weights.class : FloatTensor.class, null));
    makers.put(
        ModelPart.class,
        () -> of(below(2) == 0 ? EmbeddingBag.class : LinearLabelTree.class, null));
    makers.put(Tensor.class, () -> of(below(2) == 0 ? FloatTensor.class : IntTensor.class, null));
  }

  private static byte[] bytes(LayerPart<?> part) {
    try {
      return part.toBytes();
    } catch (IllegalStateException e) {
      return new byte[0]; // the part is closed, or not finite
    }
  }

  private void keepTensors() {
    keep(FloatTensor.of(reals(3), 3));
    keep(FloatTensor.of(reals(3), 1, 3));
    keep(FloatTensor.of(reals(9), 3, 3));
    keep(FloatTensor.of(reals(27), 3, 3, 3));
    keep(FloatTensor.of(reals(81), 3, 3, 3, 3));
    keep(IntTensor.of(new int[] {below(SIZE), below(SIZE), below(SIZE)}, 3));
    keep(IntTensor.of(new int[] {0, 1, 2, 2, 1, 0, 0, 0, 1}, 3, 3));
    keep(SparseRows.of(new int[] {0, 1, 3, 3}, new int[] {0, 2, 1}));
    keep(SparseRows.of(new int[] {0, 1, 3, 6}, new int[] {0, 2, 1, 0, 1, 2}, reals(6)));
    for (ElementType type : ElementType.values()) {
      keep(Weights.of(FloatTensor.zeros(3, 3, 3, 3), type));
    }
    keep(OptimizerState.of(kept(FloatTensor.class).get(4)));
    keep(BlockPlan.of(kept(IntTensor.class).get(1), kept(IntTensor.class).get(1), SIZE, SIZE));
    keep(BlockPlan.of(kept(SparseRows.class).get(0), kept(SparseRows.class).get(0), SIZE, SIZE));
  }

  private void keepOptions() {
    keep(oneOf(List.of(Optimizer.sgd(0.1f), Optimizer.adagrad(0.1f), Optimizer.adam(0.1f))));
    keep(oneOf(List.of(Loss.mean(), Loss.sum().withIgnored(-1))));
    keep(
        oneOf(
            List.of(Filter.without(1), Filter.only(2, 5), Filter.without(1).and(Filter.only(2)))));
    keep(
        oneOf(
            List.of(
                Workers.common(),
                Workers.callingThread(),
                Workers.of(ForkJoinPool.commonPool(), 2))));
    keep(oneOf(List.of(LoadOptions.mapped(), LoadOptions.copied(), LoadOptions.copyOnWrite())));
    keep(ExpertCache.ofBytes(1 << 20));
    keep(SaveOptions.defaults());
    keep(Shape.of(SIZE, SIZE));
    keep(Epilogue.none());
    keep(oneOf(List.of(GradientOptions.overwrite(), GradientOptions.add(0.5f))));
    keep(NamedTensors.none());
    keep(Metrics.upTo(SIZE));
    keep(UnknownIds.ignore());
    keep(new MemoryUse(0, SIZE));
    keep(new GgufFile.TensorInfo(Shape.of(SIZE, SIZE), "F32", 36));
    keep(new HuggingFaceModel.TensorInfo(Shape.of(SIZE, SIZE), "FLOAT32", 36));
    keep(Labels.of("a", "b", "c", "d", "e", "f", "g", "h", "i"));
    keep(ClassAssignment.of(0, 1, 2, 1, 2, 0, 2, 1, 0));
    keep(ScoreCalibration.of(new float[] {-1, 0}, new float[] {-2, 3}));
  }

  private void keepLayers() {
    keep(HierarchicalSoftmax.builder(SIZE, OUTPUTS).classes(SIZE).seed(below(9)).build());
    keep(LabelTree.builder(SIZE, OUTPUTS).classes(SIZE).seed(below(9)).build());
    keep(EmbeddingBag.builder(SIZE, SIZE).seed(below(9)).build());
    keep(kept(HierarchicalSoftmax.class).get(0).topK(FloatTensor.zeros(3, 3), 2));
    keep(
        LayerPart.of(kept(HierarchicalSoftmax.class).get(0), below(SIZE), Workers.common()),
        IntTensor.class);
    keep(
        LayerPart.of(kept(LabelTree.class).get(0), below(SIZE), Workers.common()),
        SparseRows.class);
    TopKGate gate = TopKGate.of(SIZE, 2);
    keep(gate);
    keep(gate.route(FloatTensor.zeros(3, 3)));
  }

  /** Keeps read-only memory: a model's, and tensors of each rank. */
  private void keepMapped() throws IOException {
    Path file = folder.resolve("mapped");
    kept(HierarchicalSoftmax.class).get(0).save(file);
    keep(HierarchicalSoftmax.load(file, LoadOptions.mapped()));
    Map<String, Tensor> tensors = new HashMap<>();
    for (long[] shape : List.of(new long[] {3}, new long[] {3, 3}, new long[] {3, 3, 3})) {
      tensors.put("rank" + shape.length, FloatTensor.zeros(shape));
    }
    tensors.put("rank4", FloatTensor.zeros(3, 3, 3, 3));
    NamedTensors all = NamedTensors.of(tensors);
    FloatTensor weights = FloatTensor.zeros(3, 3, 3, 3);
    TensorFile.save(
        folder.resolve("tensors"),
        all.with("W1", weights, ElementType.INT8).with("a", IntTensor.zeros(3)));
    TensorFile opened = TensorFile.open(folder.resolve("tensors"), LoadOptions.mapped());
    for (String name : tensors.keySet()) {
      mapped.add(opened.floats(name));
    }
  }

  /** Writes the files that are only read. */
  private void writeFiles() throws IOException {
    Path model = folder.resolve("gguf");
    Files.write(model, ggufBytes());
    keep(GgufFile.open(model));
    Path folderOfModel = Files.createDirectories(folder.resolve("hugging-face"));
    keep(HuggingFaceModel.open(HuggingFaceFolder.write(folderOfModel, "a", true, 0)));
    SparseRows rows = kept(SparseRows.class).get(0);
    LinearLabelTree linear = LinearLabelTree.builder(SIZE, OUTPUTS).train(rows, rows);
    linear.save(folder.resolve("linear"));
    keep(linear);
    LinearLabelTreeParts parts = LinearLabelTree.builder(SIZE, OUTPUTS).parts(rows, rows);
    problem = parts.problem(0);
    keep(parts);
    SparseWeights sparse = SparseWeights.of(rows, OUTPUTS);
    sparse.save(folder.resolve("sparse"));
    keep(sparse);
    keep(DenseHead.of(FloatTensor.zeros(OUTPUTS, SIZE), null));
    keep(kept(DenseHead.class).get(0).reads());
    keep(new NearestExamples(SparseWeights.ofRows(rows, SIZE), sparse, 2));
    Mixture mixture = Mixture.builder().tree("a", linear).weights("b", sparse).build();
    mixture.save(folder.resolve("mixture"));
    keep(mixture);
    MixtureOfExperts experts = MixtureOfExperts.builder(SIZE, SIZE, TopKGate.of(SIZE, 2)).build();
    experts.save(folder.resolve("experts"));
    keep(experts);
    experts.withWeights(ElementType.Q8_0).save(folder.resolve("packed"));
    kept(LabelTree.class).get(0).save(folder.resolve("tree"));
    kept(EmbeddingBag.class).get(0).save(folder.resolve("bag"));
    kept(OptimizerState.class).get(0).save(folder.resolve("state"));
    FloatTensor floats = kept(FloatTensor.class).get(0);
    IntTensor ints = kept(IntTensor.class).get(0);
    NpyFile.write(folder.resolve("array"), floats);
    NpyFile.write(folder.resolve("ints"), ints);
  }

  /** Returns matrices with names of {@link #text}, and the experts of block 0. */
  private static byte[] ggufBytes() {
    return GgufBytes.of(6, 0)
        .tensor("a", GgufBytes.F32, 0, SIZE, SIZE)
        .tensor("b", GgufBytes.F32, 64, SIZE, SIZE)
        .tensor("W1", GgufBytes.F32, 128, SIZE, SIZE)
        .tensor("blk.0.ffn_gate_inp.weight", GgufBytes.F32, 192, SIZE, SIZE)
        .tensor("blk.0.ffn_up_exps.weight", GgufBytes.F32, 256, SIZE, SIZE, SIZE)
        .tensor("blk.0.ffn_down_exps.weight", GgufBytes.F32, 384, SIZE, SIZE, SIZE)
        .aligned(32)
        .ints(new int[128])
        .bytes();
  }
}
