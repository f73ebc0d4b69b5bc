// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench.jobs;

import java.util.LinkedHashMap;
import java.util.Map;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.IntTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.experts.ExpertsPass;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.Routing;

/** {@link MixtureOfExperts} as a user calls it. */
public final class BlocksparseMoe implements Moe {
  private static final Optimizer ADAM = Optimizer.adam(MoeProblem.RATE);

  private final Map<String, FloatTensor> parameters;
  private final Map<String, FloatTensor> gradients = new LinkedHashMap<>();
  private final MixtureOfExperts layer;
  private final Routing routing;
  private final FloatTensor x;
  private final FloatTensor gradOut;
  private final FloatTensor out;
  private final FloatTensor gradX;
  private ExpertsPass pass;

  public BlocksparseMoe(MoeProblem problem) {
    int tokens = problem.tokens;
    int experts = MoeProblem.EXPERTS;
    int features = MoeProblem.FEATURES;
    int hidden = MoeProblem.HIDDEN;
    parameters =
        Map.of(
            "W1", FloatTensor.of(problem.W1, 1, experts, features, problem.sums()),
            "b1", FloatTensor.of(problem.b1, experts, problem.sums()),
            "W2", FloatTensor.of(problem.W2, experts, 1, hidden, features),
            "b2", FloatTensor.of(problem.b2, experts, features));
    parameters.forEach((name, value) -> gradients.put(name, FloatTensor.zeros(value.shape())));
    layer =
        MixtureOfExperts.builder(features, hidden, experts)
            .activation(problem.activation)
            .biases()
            .build(parameters);
    routing =
        Routing.of(
            IntTensor.of(problem.experts, tokens, MoeProblem.TOP),
            FloatTensor.of(problem.gates, tokens, MoeProblem.TOP),
            experts);
    x = FloatTensor.of(problem.x, tokens, features);
    gradOut = FloatTensor.of(problem.gradOut, tokens, features);
    out = FloatTensor.zeros(tokens, features);
    gradX = FloatTensor.zeros(tokens, features);
  }

  @Override
  public void forward() {
    if (pass != null) {
      pass.close();
    }
    pass = layer.forward(x, routing, out);
  }

  @Override
  public void backward() {
    pass.backward(gradOut, GradientOptions.overwrite(), gradients, gradX);
  }

  @Override
  public void step() {
    forward();
    pass.step(gradOut, ADAM, gradX);
  }

  @Override
  public Map<String, float[]> results() {
    Map<String, float[]> results = new LinkedHashMap<>();
    results.put("out", out.toArray());
    results.put("gradX", gradX.toArray());
    results.put("gates", pass.gradGates().toArray());
    gradients.forEach((name, gradient) -> results.put(name, gradient.toArray()));
    return results;
  }

  @Override
  public Map<String, float[]> parameters() {
    Map<String, float[]> values = new LinkedHashMap<>();
    parameters.forEach((name, value) -> values.put(name, value.toArray()));
    return values;
  }

  @Override
  public void close() {
    if (pass != null) {
      pass.close();
    }
    layer.close();
    routing.close();
    gradients.values().forEach(FloatTensor::close);
    x.close();
    gradOut.close();
    out.close();
    gradX.close();
  }
}
