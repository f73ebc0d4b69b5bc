// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.programs;

import java.lang.reflect.InvocationTargetException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.IntTensor;
import org.blocksparse.SparseRows;
import org.blocksparse.Weights;
import org.blocksparse.experts.ExpertsPass;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.Routing;
import org.blocksparse.internal.backend.KernelChoice;
import org.blocksparse.internal.kernels.ChosenKernels;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.testing.ChildJvm;
import org.blocksparse.testing.PublicMethod;
import org.blocksparse.testing.Reachable;
import org.blocksparse.testing.WatchedKernels;

/**
 * Calls every operation; the first kernel that it calls closes its operands. The main class of JVMs
 * of {@code ClosedMeanwhileTest}. New operations take part without changes, or are listed here.
 */
public final class ClosedOperandsProgram {
  /** Types of operands. */
  private static final List<Class<?>> OPERANDS =
      List.of(
          FloatTensor.class,
          IntTensor.class,
          SparseRows.class,
          BlockPlan.class,
          BlockMatrix.class,
          Weights.class,
          Routing.class);

  /** Operations that read their operands without kernels, or keep them. */
  private static final Set<String> WITHOUT_KERNELS =
      Set.of(
          "BlockPlan.of(IntTensor, IntTensor, int, int)",
          "BlockPlan.of(SparseRows, SparseRows, int, int)",
          "DenseHead.of(FloatTensor, FloatTensor)",
          "DenseHead.of(FloatTensor, FloatTensor, Similarity, Workers)",
          "DenseHead.of(Weights, FloatTensor)",
          "DenseHead.of(Weights, FloatTensor, Similarity, Workers)",
          "DenseHead.topP(FloatTensor, double, double, Filter)",
          "EmbeddingBag.addRows(FloatTensor)",
          "EmbeddingBagBuilder.build(FloatTensor)",
          "Epilogue.withActivation(Activation, FloatTensor)",
          "Epilogue.withBias(FloatTensor)",
          "Epilogue.withGate(FloatTensor)",
          "Epilogue.withInputBias(FloatTensor)",
          "Epilogue.withInputBias(FloatTensor, FloatTensor)",
          "Filter.only(SparseRows)",
          "Filter.without(SparseRows)",
          "GradientOptions.withActivation(Activation, FloatTensor)",
          "GradientOptions.withGate(FloatTensor, FloatTensor)",
          "InputBias.clearGradBias(BlockPlan, FloatTensor)",
          "LayerBuilder<IntTensor>.build(FloatTensor, FloatTensor, FloatTensor, FloatTensor)",
          "LayerBuilder<SparseRows>.build(FloatTensor, FloatTensor, FloatTensor, FloatTensor)",
          "LinearLabelTree.explain(SparseRows, int)",
          "LinearLabelTreeBuilder.extend(LinearLabelTree, SparseRows, SparseRows)",
          "LinearLabelTreeBuilder.parts(SparseRows, SparseRows)",
          "LinearLabelTreeBuilder.parts(SparseRows, SparseRows, FloatTensor)",
          "LinearLabelTreeBuilder.train(SparseRows, SparseRows)",
          "LinearLabelTreeBuilder.train(SparseRows, SparseRows, FloatTensor)",
          "Loss.withRowWeights(FloatTensor)",
          "Metrics.add(Ranking, IntTensor)",
          "Metrics.add(Ranking, SparseRows)",
          "NamedTensors.with(String, FloatTensor, ElementType)",
          "NamedTensors.with(String, Weights)",
          "Routing.of(IntTensor, FloatTensor, int)",
          "SparseBlockDot.clearGradB(BlockPlan, FloatTensor)",
          "SparseBlockDot.clearGradW(BlockPlan, FloatTensor)",
          "SparseRows.withDense(int, FloatTensor)",
          "SparseWeights.explain(SparseRows, int)",
          "SparseWeights.of(SparseRows, int)",
          "SparseWeights.of(SparseRows, int, Workers)",
          "SparseWeights.ofRows(SparseRows, int)",
          "SparseWeights.ofRows(SparseRows, int, Workers)",
          "TopKGate.gradient(Routing, FloatTensor, FloatTensor)",
          "TopKGate.route(FloatTensor)",
          "Weights.of(FloatTensor, ElementType)");

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

    /** Makes the call. Returns its flaw, or null if there is none or the call was rejected. */
    String flaw() throws IllegalAccessException {
      try (ChosenKernels chosen =
          ChosenKernels.of(WatchedKernels.of(KernelChoice.kernels(), this::beforeKernel))) {
        called.method().invoke(owner, arguments);
      } catch (InvocationTargetException e) {
        // If a call runs several operations on a layer, the next one may find it closed.
        boolean ofSeveral =
            called.method().getName().equals("addOutputs")
                || called.method().getName().equals("fit")
                || called.toString().startsWith("Mixture.atLeast(") // finds the best two first
                || called.type() == MixtureOfExperts.class
                || called.type() == ExpertsPass.class;
        return !closed || ofSeveral ? null : e.getCause().toString();
      }
      return freed ? "a kernel was given memory that is gone" : null;
    }
  }

  private static boolean takesOperands(PublicMethod called) {
    return Stream.of(called.parameterTypes()).anyMatch(OPERANDS::contains);
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

  /** Tries until a call has reached a kernel, which closed its operands. */
  private static boolean reachesAKernel(PublicMethod called, Map<String, String> flaws)
      throws IllegalAccessException {
    OperandArguments all = new OperandArguments(called, Path.of("none"));
    for (int number = 0; number < all.count(); number++) {
      Closing closing = new Closing(called, all.owner(number), all.of(number));
      String flaw = closing.flaw();
      if (flaw != null) {
        flaws.put(called.toString(), flaw);
      }
      if (closing.closed) {
        return true;
      }
    }
    return false;
  }
}
