// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.blocksparse.Activation;
import org.blocksparse.BlockPlan;
import org.blocksparse.ElementType;
import org.blocksparse.EmbeddingBag;
import org.blocksparse.Epilogue;
import org.blocksparse.Filter;
import org.blocksparse.FloatTensor;
import org.blocksparse.HierarchicalSoftmax;
import org.blocksparse.IntTensor;
import org.blocksparse.LabelTree;
import org.blocksparse.Loss;
import org.blocksparse.Metrics;
import org.blocksparse.NamedTensors;
import org.blocksparse.Optimizer;
import org.blocksparse.OptimizerState;
import org.blocksparse.Routing;
import org.blocksparse.SparseRows;
import org.blocksparse.TopKGate;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.ChosenKernels;
import org.blocksparse.internal.KernelsProvider;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.PublicMethod;
import org.blocksparse.testing.Reachable;
import org.blocksparse.testing.WatchedKernels;

/**
 * Calls every operation, whose operands the first kernel closes that it calls; the main class of
 * JVMs of {@code ClosedMeanwhileTest}. New operations take part by themselves, or are told here.
 */
public final class ClosedOperandsProgram {
  /** What may be an operand. */
  private static final List<Class<?>> OPERANDS =
      List.of(
          FloatTensor.class,
          IntTensor.class,
          SparseRows.class,
          BlockPlan.class,
          Weights.class,
          Routing.class);

  /** These take operands, and look at them without kernels, or keep them. */
  private static final Set<String> WITHOUT_KERNELS =
      Set.of(
          "BlockPlan.of(IntTensor, IntTensor, int, int)",
          "BlockPlan.of(SparseRows, SparseRows, int, int)",
          "EmbeddingBagBuilder.build(FloatTensor)",
          "Epilogue.withActivation(Activation, FloatTensor)",
          "Epilogue.withBias(FloatTensor)",
          "Epilogue.withGate(FloatTensor)",
          "Epilogue.withInputBias(FloatTensor)",
          "Epilogue.withInputBias(FloatTensor, FloatTensor)",
          "Filter.only(SparseRows)",
          "Filter.without(SparseRows)",
          "HierarchicalSoftmaxBuilder.build(FloatTensor, FloatTensor, FloatTensor, FloatTensor)",
          "InputBias.clearGradBias(BlockPlan, FloatTensor)",
          "LabelTreeBuilder.build(FloatTensor, FloatTensor, FloatTensor, FloatTensor)",
          "Loss.withRowWeights(FloatTensor)",
          "Metrics.add(Ranking, IntTensor)",
          "Metrics.add(Ranking, SparseRows)",
          "NamedTensors.with(String, FloatTensor, ElementType)",
          "NamedTensors.with(String, Weights)",
          "SparseBlockDot.clearGradB(BlockPlan, FloatTensor)",
          "SparseBlockDot.clearGradW(BlockPlan, FloatTensor)",
          "TopKGate.gradient(Routing, FloatTensor, FloatTensor)",
          "TopKGate.route(FloatTensor)",
          "Weights.of(FloatTensor, ElementType)");

  // ---------------------------------------------------------------------------------- arguments

  private static final long[][] SHAPES = {{3, 3, 3}, {3, 3}, {3, 3, 3, 3}, {3}};

  /** Shapes that only methods with few arguments need. */
  private static final long[][] RARE_SHAPES = {{3, 9}, {1, 3}};

  /** What an argument may be, of a layer of 3 features and 9 outputs, or 3 times 3 blocks. */
  private static List<Object> candidates(Class<?> type, boolean few) {
    if (type == FloatTensor.class) {
      return Stream.of(SHAPES, few ? RARE_SHAPES : new long[0][])
          .flatMap(Stream::of)
          .<Object>map(ClosedOperandsProgram::ones)
          .toList();
    }
    if (type == IntTensor.class) {
      return List.of(indices(), IntTensor.of(new int[] {0, 1, 2}, 3));
    }
    return type == int.class ? List.of(3, 9) : List.of(argument(type));
  }

  private static Object argument(Class<?> type) {
    return switch (type.getSimpleName()) {
      case "SparseRows" -> rows();
      case "BlockPlan" -> BlockPlan.of(indices(), indices(), 3, 3);
      case "Weights" -> Weights.of(ones(3, 3, 3, 3), ElementType.INT8);
      case "Routing" -> TopKGate.of(3, 2).route(ones(3, 3));
      case "Ranking" -> HierarchicalSoftmax.builder(3, 9).build().topK(ones(3, 3), 2);
      case "HierarchicalSoftmax" -> HierarchicalSoftmax.builder(3, 9).classes(3).build();
      case "LabelTree" -> LabelTree.builder(3, 9).classes(3).build();
      case "EmbeddingBag" -> EmbeddingBag.builder(3, 3).build();
      case "SoftmaxPart" -> HierarchicalSoftmax.builder(3, 9).classes(3).buildPart(1);
      case "LabelTreePart" -> LabelTree.builder(3, 9).classes(3).buildPart(1);
      case "TopKGate" -> TopKGate.of(3, 2);
      case "HierarchicalSoftmaxBuilder" -> HierarchicalSoftmax.builder(3, 9).classes(3);
      case "LabelTreeBuilder" -> LabelTree.builder(3, 9).classes(3);
      case "EmbeddingBagBuilder" -> EmbeddingBag.builder(3, 3);
      case "Metrics" -> Metrics.upTo(2);
      case "Optimizer" -> Optimizer.adam(0.1f);
      case "Loss" -> Loss.mean().withRowWeights(ones(3));
      case "Filter" -> Filter.without(rows());
      case "Epilogue" -> Epilogue.none().withBias(ones(3, 3)).withGate(ones(3, 3));
      case "Activation" -> Activation.SILU;
      case "ElementType" -> ElementType.INT8;
      case "NamedTensors" -> NamedTensors.none();
      case "String" -> "name";
      case "Workers" -> Workers.callingThread();
      case "RandomGenerator" -> new SplittableRandom(1);
      case "OptimizerState" -> OF_THE_ONE_BEFORE;
      case "float", "double" -> 0.5f;
      case "long" -> 1L;
      default -> throw new AssertionError("no argument for " + type);
    };
  }

  /** Stands for the state of the argument before. */
  private static final Object OF_THE_ONE_BEFORE = new Object();

  private static FloatTensor ones(long... dims) {
    FloatTensor tensor = FloatTensor.zeros(dims);
    tensor.fill(1);
    return tensor;
  }

  private static SparseRows rows() {
    return SparseRows.of(List.of(new int[] {0}, new int[] {1}, new int[] {2}));
  }

  private static IntTensor indices() {
    return IntTensor.of(new int[] {0, 1, 2, 2, 1, 0, 0, 0, 1}, 3, 3);
  }

  /** The arguments of a number, whose digits choose among the candidates; null after the last. */
  private static Object[] arguments(List<List<Object>> candidates, int number) {
    Object[] arguments = new Object[candidates.size()];
    int rest = number;
    for (int i = 0; i < arguments.length; i++) {
      int count = candidates.get(i).size();
      arguments[i] = candidates.get(i).get(rest % count);
      rest /= count;
      if (arguments[i] == OF_THE_ONE_BEFORE) {
        FloatTensor trained = (FloatTensor) arguments[i - 1];
        boolean can = trained.shape().rank() == 2 || trained.shape().rank() == 4;
        arguments[i] = can ? OptimizerState.of(trained) : null;
      }
    }
    return rest == 0 ? arguments : null;
  }

  // ------------------------------------------------------------------------------ closing calls

  /** A call whose operands are closed by the first kernel that it calls. */
  private static final class Closing {
    private final PublicMethod called;
    private final Object owner;
    private final Object[] arguments;
    private boolean closed;
    private boolean freed;

    Closing(PublicMethod called, Object owner, Object[] arguments) {
      this.called = called;
      this.owner = owner;
      this.arguments = arguments;
    }

    private void beforeKernel(String kernel, Object[] given) {
      if (!closed) {
        closed = true;
        Reachable.of(AutoCloseable.class, new Object[] {owner, arguments}).forEach(Closing::close);
      }
      freed |= Reachable.of(Storage.class, given).stream().anyMatch(Storage::isFreed);
    }

    private static void close(AutoCloseable operand) {
      try {
        operand.close();
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }

    /** Makes the call; returns what went wrong, or null if nothing did or it was refused. */
    String flaw() throws IllegalAccessException {
      try (ChosenKernels chosen =
          ChosenKernels.of(WatchedKernels.of(KernelsProvider.kernels(), this::beforeKernel))) {
        called.method().invoke(owner, arguments);
      } catch (InvocationTargetException e) {
        // Of several operations on a layer, one after the other, the next one may find it closed.
        boolean ofSeveral = called.method().getName().equals("addOutputs");
        return !closed || ofSeveral ? null : e.getCause().toString();
      }
      return freed ? "a kernel was given memory that is gone" : null;
    }
  }

  private static boolean takesOperands(PublicMethod called) {
    return Stream.of(called.method().getParameterTypes()).anyMatch(OPERANDS::contains);
  }

  private ClosedOperandsProgram() {}

  public static void main(String[] args) throws Exception {
    Map<String, String> flaws = new TreeMap<>();
    Set<String> withoutKernels = new TreeSet<>();
    for (PublicMethod called : PublicMethod.all()) {
      if (takesOperands(called) && !reachesAKernel(called, flaws)) {
        withoutKernels.add(called.toString());
      }
    }
    ChildJvm.check(flaws.isEmpty(), "flaws: " + flaws);
    ChildJvm.check(
        withoutKernels.equals(WITHOUT_KERNELS), "calls without kernels: " + withoutKernels);
  }

  /** Tries until a call has got as far as a kernel, and its operands were closed. */
  private static boolean reachesAKernel(PublicMethod called, Map<String, String> flaws)
      throws IllegalAccessException {
    Object owner = called.isStatic() ? null : argument(called.type());
    Class<?>[] types = called.method().getParameterTypes();
    boolean few = types.length <= 3;
    List<List<Object>> candidates =
        Arrays.stream(types).map(type -> candidates(type, few)).toList();
    int number = 0;
    Object[] arguments = arguments(candidates, number);
    while (arguments != null) {
      Closing closing = new Closing(called, owner, arguments);
      String flaw = closing.flaw();
      if (flaw != null) {
        flaws.put(called.toString(), flaw);
      }
      if (closing.closed) {
        return true;
      }
      arguments = arguments(candidates, ++number);
    }
    return false;
  }
}
