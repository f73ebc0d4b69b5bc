// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDArrays;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;
import org.blocksparse.bench.jobs.Moe;
import org.blocksparse.bench.jobs.MoeProblem;

/**
 * Gather and loop: one index_select gathers the tokens of each expert, each expert has two
 * products, and its rows are put back into the order of the tokens and added up. Gradients are
 * hand-written, in as few operations as DJL allows, which is fewer than autograd records.
 */
final class PyTorchMoe implements Moe {
  private static final float BETA1 = 0.9f;
  private static final float BETA2 = 0.999f;
  private static final float EPSILON = 1e-8f;
  private static final int[] ROWS = {0};
  private static final int[] COLUMNS = {1};

  /** A parameter tensor, with the gradient and Adam's moments of each expert. */
  private final class Parameter {
    final NDArray value;
    final NDArray[] experts = new NDArray[MoeProblem.EXPERTS];
    final NDArray[] gradients = new NDArray[MoeProblem.EXPERTS];
    private final NDArray[] m = new NDArray[MoeProblem.EXPERTS];
    private final NDArray[] v = new NDArray[MoeProblem.EXPERTS];

    Parameter(float[] values, Shape shape) {
      value = manager.create(values, shape);
      for (int e = 0; e < experts.length; e++) {
        experts[e] = value.get(e);
        m[e] = experts[e].zerosLike();
        v[e] = experts[e].zerosLike();
      }
    }

    /** Returns all gradients, 0 for experts without tokens. */
    float[] allGradients() {
      float[] all = new float[Math.toIntExact(value.size())];
      int size = all.length / MoeProblem.EXPERTS;
      for (int e = 0; e < MoeProblem.EXPERTS; e++) {
        if (!isEmpty(e)) {
          System.arraycopy(gradients[e].toFloatArray(), 0, all, e * size, size);
        }
      }
      return all;
    }

    void adam(int step) {
      float correction1 = (float) (1 - Math.pow(BETA1, step));
      float correction2 = (float) (1 - Math.pow(BETA2, step));
      for (int e = 0; e < experts.length; e++) {
        if (!isEmpty(e)) {
          m[e].muli(BETA1).addi(gradients[e].mul(1 - BETA1));
          v[e].muli(BETA2).addi(gradients[e].square().muli(1 - BETA2));
          NDArray divisor = v[e].div(correction2).sqrt().addi(EPSILON);
          experts[e].subi(m[e].div(divisor).muli(MoeProblem.RATE / correction1));
        }
      }
    }
  }

  private final NDManager manager = PyTorch.manager();
  private final MoeProblem problem;

  /** Pairs (token, place) by expert; expert e has [start[e], start[e + 1]). */
  private final int[] start = new int[MoeProblem.EXPERTS + 1];

  private final NDArray token;
  private final NDArray pairOf;
  private final NDArray gate;
  private final NDArray place;
  private final NDArray x;
  private final NDArray gradOut;
  private final Parameter W1;
  private final Parameter b1;
  private final Parameter W2;
  private final Parameter b2;
  private int steps;

  private NDManager pass;
  private NDArray sorted;
  private final NDArray[] z = new NDArray[MoeProblem.EXPERTS];
  private final NDArray[] a = new NDArray[MoeProblem.EXPERTS];
  private NDArray y;
  private NDArray out;
  private NDArray gradX;
  private NDArray gradGate;

  PyTorchMoe(MoeProblem problem) {
    this.problem = problem;
    int count = problem.experts.length;
    int[] order =
        IntStream.range(0, count)
            .boxed()
            .sorted((p, q) -> Integer.compare(problem.experts[p], problem.experts[q]))
            .mapToInt(Integer::intValue)
            .toArray();
    long[] tokens = new long[count];
    long[] places = new long[count];
    long[] pairs = new long[count];
    float[] gates = new float[count];
    for (int q = 0; q < count; q++) {
      tokens[q] = order[q] / MoeProblem.TOP;
      places[order[q]] = q;
      pairs[q] = order[q];
      gates[q] = problem.gates[order[q]];
      start[problem.experts[order[q]] + 1] = q + 1;
    }
    for (int e = 1; e <= MoeProblem.EXPERTS; e++) {
      start[e] = Math.max(start[e], start[e - 1]);
    }
    token = manager.create(tokens);
    place = manager.create(places);
    pairOf = manager.create(pairs);
    gate = manager.create(gates, new Shape(count, 1));
    Shape rows = new Shape(problem.tokens, MoeProblem.FEATURES);
    x = manager.create(problem.x, rows);
    gradOut = manager.create(problem.gradOut, rows);
    int sums = problem.sums();
    W1 = new Parameter(problem.W1, new Shape(MoeProblem.EXPERTS, MoeProblem.FEATURES, sums));
    b1 = new Parameter(problem.b1, new Shape(MoeProblem.EXPERTS, sums));
    W2 =
        new Parameter(
            problem.W2, new Shape(MoeProblem.EXPERTS, MoeProblem.HIDDEN, MoeProblem.FEATURES));
    b2 = new Parameter(problem.b2, new Shape(MoeProblem.EXPERTS, MoeProblem.FEATURES));
  }

  private NDArray rows(NDArray all, int expert) {
    return all.get(new NDIndex().addSliceDim(start[expert], start[expert + 1]));
  }

  private boolean isEmpty(int expert) {
    return start[expert] == start[expert + 1];
  }

  private static NDArray half(NDArray halves, int which) {
    long n = MoeProblem.HIDDEN;
    return halves.get(new NDIndex().addAllDim().addSliceDim(which * n, (which + 1) * n));
  }

  private NDArray activate(NDArray sums) {
    return switch (problem.activation) {
      case RELU -> Activation.relu(sums);
      case SILU -> Activation.swish(sums, 1);
      case SWIGLU -> Activation.swish(half(sums, 0), 1).muli(half(sums, 1));
      default -> throw new IllegalArgumentException(problem.activation.toString());
    };
  }

  /** Returns s (1 + z (1 - s)), in four operations. */
  private static NDArray siluSlope(NDArray at) {
    NDArray s = Activation.sigmoid(at);
    return at.mul(s.sub(1).negi()).addi(1).muli(s);
  }

  private NDArray gradient(NDArray sums, NDArray gradA) {
    return switch (problem.activation) {
      case RELU -> gradA.muli(sums.gt(0));
      case SILU -> gradA.muli(siluSlope(sums));
      case SWIGLU -> {
        NDArray first = half(sums, 0);
        NDArray gradFirst = siluSlope(first).muli(half(sums, 1)).muli(gradA);
        yield NDArrays.concat(new NDList(gradFirst, gradA.muli(Activation.swish(first, 1))), 1);
      }
      default -> throw new IllegalArgumentException(problem.activation.toString());
    };
  }

  /** Returns the rows of pairs, added up for each token. */
  private NDArray summed(NDList byExpert) {
    return NDArrays.concat(byExpert)
        .get(place)
        .reshape(problem.tokens, MoeProblem.TOP, MoeProblem.FEATURES)
        .sum(COLUMNS);
  }

  /** Keeps an array until its pass is closed. */
  private NDArray kept(NDArray array) {
    NDScope.unregister(array);
    array.attach(pass);
    return array;
  }

  @Override
  public void forward() {
    if (pass != null) {
      pass.close();
    }
    pass = manager.newSubManager();
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      sorted = kept(x.get(token));
      NDList products = new NDList();
      for (int e = 0; e < MoeProblem.EXPERTS; e++) {
        if (!isEmpty(e)) {
          z[e] = kept(rows(sorted, e).matMul(W1.experts[e]).addi(b1.experts[e]));
          a[e] = kept(activate(z[e]));
          products.add(a[e].matMul(W2.experts[e]).addi(b2.experts[e]));
        }
      }
      y = kept(NDArrays.concat(products));
      out = kept(summed(new NDList(y.mul(gate))));
    }
  }

  @Override
  public void backward() {
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      NDArray gradSorted = gradOut.get(token);
      gradGate = kept(gradSorted.mul(y).sum(COLUMNS));
      NDArray gradY = gradSorted.muli(gate);
      NDList gradients = new NDList();
      for (int e = 0; e < MoeProblem.EXPERTS; e++) {
        if (!isEmpty(e)) {
          NDArray rows = rows(gradY, e);
          W2.gradients[e] = kept(a[e].transpose().matMul(rows));
          b2.gradients[e] = kept(rows.sum(ROWS));
          NDArray gradZ = gradient(z[e], rows.matMul(W2.experts[e].transpose()));
          W1.gradients[e] = kept(rows(sorted, e).transpose().matMul(gradZ));
          b1.gradients[e] = kept(gradZ.sum(ROWS));
          gradients.add(gradZ.matMul(W1.experts[e].transpose()));
        }
      }
      gradX = kept(summed(gradients));
    }
  }

  @Override
  public void step() {
    forward();
    backward();
    steps++;
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      for (Parameter parameter : new Parameter[] {W1, b1, W2, b2}) {
        parameter.adam(steps);
      }
    }
  }

  @Override
  public Map<String, float[]> results() {
    Map<String, float[]> results = new LinkedHashMap<>();
    results.put("out", out.toFloatArray());
    results.put("gradX", gradX.toFloatArray());
    float[] gates = new float[problem.gates.length];
    float[] found = gradGate.toFloatArray();
    long[] pairs = pairOf.toLongArray();
    for (int q = 0; q < gates.length; q++) {
      gates[(int) pairs[q]] = found[q];
    }
    results.put("gates", gates);
    results.put("W1", W1.allGradients());
    results.put("b1", b1.allGradients());
    results.put("W2", W2.allGradients());
    results.put("b2", b2.allGradients());
    return results;
  }

  @Override
  public Map<String, float[]> parameters() {
    return Map.of(
        "W1", W1.value.toFloatArray(),
        "b1", b1.value.toFloatArray(),
        "W2", W2.value.toFloatArray(),
        "b2", b2.value.toFloatArray());
  }

  @Override
  public void close() {
    manager.close();
  }
}
