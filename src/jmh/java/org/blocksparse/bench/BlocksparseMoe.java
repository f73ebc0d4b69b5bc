// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.blocksparse.Activation;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.products.BlockPlan;
import org.blocksparse.products.Epilogue;
import org.blocksparse.products.InputBias;
import org.blocksparse.products.OptimizerState;
import org.blocksparse.products.SparseBlockDot;

/**
 * Experts as output blocks of the first product and input blocks of the second, which adds them up;
 * the gate is in what lies between.
 */
final class BlocksparseMoe implements Moe {
  private final Activation f;
  private final BlockPlan spread;
  private final BlockPlan gathered;
  private final FloatTensor x;
  private final FloatTensor gate;
  private final FloatTensor gradOut;
  private final FloatTensor W1;
  private final FloatTensor b1;
  private final FloatTensor W2;
  private final FloatTensor b2;
  private final FloatTensor z;
  private final FloatTensor a;
  private final FloatTensor out;
  private final FloatTensor gradZ;
  private final FloatTensor gradGate;
  private final FloatTensor gradX;
  private final FloatTensor gradW1;
  private final FloatTensor gradB1;
  private final FloatTensor gradW2;
  private final FloatTensor gradB2;
  private final Epilogue first;
  private final Epilogue second;
  private final Optimizer optimizer = Optimizer.adam(MoeProblem.RATE);
  private final OptimizerState stateW1;
  private final OptimizerState stateB1;
  private final OptimizerState stateW2;
  private final OptimizerState stateB2;

  BlocksparseMoe(MoeProblem problem) {
    f = problem.activation.ours;
    int tokens = problem.tokens;
    int top = MoeProblem.TOP;
    int experts = MoeProblem.EXPERTS;
    int features = MoeProblem.FEATURES;
    int hidden = MoeProblem.HIDDEN;
    int sums = problem.activation.sums();
    try (IntTensor all = IntTensor.zeros(tokens, 1);
        IntTensor chosen = IntTensor.of(problem.experts, tokens, top)) {
      spread = BlockPlan.of(all, chosen, 1, experts);
      gathered = BlockPlan.of(chosen, all, experts, 1);
    }
    x = FloatTensor.of(problem.x, tokens, 1, features);
    gate = FloatTensor.of(problem.gates, tokens, top);
    gradOut = FloatTensor.of(problem.gradOut, tokens, 1, features);
    W1 = FloatTensor.of(problem.W1, 1, experts, features, sums);
    b1 = FloatTensor.of(problem.b1, experts, sums);
    W2 = FloatTensor.of(problem.W2, experts, 1, hidden, features);
    b2 = FloatTensor.of(problem.b2, experts, features);
    z = FloatTensor.zeros(tokens, top, sums);
    a = FloatTensor.zeros(tokens, top, hidden);
    out = FloatTensor.zeros(tokens, 1, features);
    gradZ = FloatTensor.zeros(tokens, top, sums);
    gradGate = FloatTensor.zeros(tokens, top);
    gradX = FloatTensor.zeros(tokens, 1, features);
    gradW1 = FloatTensor.zeros(W1.shape());
    gradB1 = FloatTensor.zeros(b1.shape());
    gradW2 = FloatTensor.zeros(W2.shape());
    gradB2 = FloatTensor.zeros(b2.shape());
    first = Epilogue.none().withBias(b1).withActivation(f, z).withGate(gate);
    second = Epilogue.none().withInputBias(b2, gate);
    stateW1 = OptimizerState.of(W1);
    stateB1 = OptimizerState.of(b1);
    stateW2 = OptimizerState.of(W2);
    stateB2 = OptimizerState.of(b2);
  }

  @Override
  public void forward() {
    SparseBlockDot.apply(W1, x, spread, first, a);
    SparseBlockDot.apply(W2, a, gathered, second, out);
  }

  private void backwardOfRows() {
    SparseBlockDot.gradH(
        W2,
        gradOut,
        gathered,
        GradientOptions.overwrite().withActivation(f, z).withGate(gate, gradGate),
        gradZ);
    InputBias.gradGate(b2, gradOut, gathered, GradientOptions.add(1), gradGate);
    SparseBlockDot.gradH(W1, gradZ, spread, GradientOptions.overwrite(), gradX);
  }

  @Override
  public void backward() {
    backwardOfRows();
    SparseBlockDot.gradW(a, gradOut, gathered, GradientOptions.overwrite(), gradW2);
    InputBias.gradBias(gradOut, gate, gathered, GradientOptions.overwrite(), gradB2);
    SparseBlockDot.gradW(x, gradZ, spread, GradientOptions.overwrite(), gradW1);
    SparseBlockDot.gradB(gradZ, spread, GradientOptions.overwrite(), gradB1);
  }

  @Override
  public void step() {
    forward();
    backwardOfRows();
    SparseBlockDot.stepW(a, gradOut, gathered, optimizer, W2, stateW2);
    InputBias.step(gradOut, gate, gathered, optimizer, b2, stateB2);
    SparseBlockDot.stepW(x, gradZ, spread, optimizer, W1, stateW1);
    SparseBlockDot.stepB(gradZ, spread, optimizer, b1, stateB1);
  }

  @Override
  public Map<String, float[]> results() {
    Map<String, float[]> results = new LinkedHashMap<>();
    results.put("out", out.toArray());
    results.put("gradX", gradX.toArray());
    results.put("gradGate", gradGate.toArray());
    results.put("gradW1", gradW1.toArray());
    results.put("gradB1", gradB1.toArray());
    results.put("gradW2", gradW2.toArray());
    results.put("gradB2", gradB2.toArray());
    return results;
  }

  @Override
  public Map<String, float[]> parameters() {
    return Map.of("W1", W1.toArray(), "b1", b1.toArray(), "W2", W2.toArray(), "b2", b2.toArray());
  }

  @Override
  public void close() {
    List.of(spread, gathered).forEach(BlockPlan::close);
    List.of(stateW1, stateB1, stateW2, stateB2).forEach(OptimizerState::close);
    List.of(
            x, gate, gradOut, W1, b1, W2, b2, z, a, out, gradZ, gradGate, gradX, gradW1, gradB1,
            gradW2, gradB2)
        .forEach(FloatTensor::close);
  }
}
