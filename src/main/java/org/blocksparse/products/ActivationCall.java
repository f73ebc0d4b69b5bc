// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static java.util.Objects.requireNonNull;

import java.util.Arrays;
import org.blocksparse.Activation;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.Workers;
import org.blocksparse.internal.kernels.ActivationGradient;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;

/** The checked arguments of one call of {@link Activations}. */
final class ActivationCall {
  private final Activation activation;
  private final FloatTensor z;
  private final FloatTensor gate;

  /** The output or its gradient, (..., n), and its name. */
  private final FloatTensor a;

  private final String aName;
  private final long n;

  /**
   * Checks shapes.
   *
   * @param gate or null
   */
  ActivationCall(
      Activation activation, FloatTensor z, FloatTensor gate, FloatTensor a, String aName) {
    this.activation = requireNonNull(activation, "f");
    this.z = requireRows("z", z);
    this.gate = gate;
    this.a = requireRows(aName, a);
    this.aName = aName;
    this.n = last(a);
    long[] expected = a.shape().toArray();
    requireFewRows(aName, expected);
    if (activation.isGated()) {
      if (n > Integer.MAX_VALUE / 2) {
        throw new IllegalArgumentException(
            aName + ": the last dimension of " + a.shape() + " is larger than 2^30 - 1");
      }
      expected[expected.length - 1] = 2 * n;
    }
    Check.shape("z", z, activation.isGated() ? "(..., 2 n)" : "(..., n)", expected);
    requireGate("gate", gate);
  }

  private static FloatTensor requireRows(String name, FloatTensor tensor) {
    if (requireNonNull(tensor, name).shape().rank() < 1) {
      throw new IllegalArgumentException(
          name + ": expected at least one dimension but was " + tensor.shape());
    }
    if (last(tensor) > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          name + ": the last dimension of " + tensor.shape() + " is larger than 2^31 - 1");
    }
    Dense.from(tensor).requireContiguous(name);
    return tensor;
  }

  private static long last(FloatTensor tensor) {
    return tensor.shape().dim(tensor.shape().rank() - 1);
  }

  private static void requireFewRows(String name, long[] dims) {
    long rows = 1;
    for (int axis = 0; axis < dims.length - 1; axis++) {
      rows = Check.rows(name, rows * Check.rows(name, dims[axis]));
    }
  }

  private void requireGate(String name, FloatTensor tensor) {
    if (tensor != null) {
      long[] dims = a.shape().toArray();
      Check.shape(name, tensor, "(...)", Arrays.copyOf(dims, dims.length - 1));
      Dense.from(tensor).requireContiguous(name);
    }
  }

  void apply(Workers workers) {
    requireApart(aName, a, "gate", gate);
    requireSameOrApart(aName, a, "z", z);
    try (OperandLease lease = new OperandLease().of("z", z).of("gate", gate).writing(aName, a)) {
      Engine.from(workers)
          .activation(
              KernelOperands.input(activation, n, KernelOperands.rows(z), gate),
              KernelOperands.rows(a));
    }
  }

  /** Computes the gradient; the gate of the options is that of this call. */
  void gradient(GradientOptions options, FloatTensor gradZ, Workers workers) {
    FloatTensor gradGate = options.gradGate();
    Check.shape("gradZ", gradZ, "the shape of z", z.shape().toArray());
    Dense.from(gradZ).requireContiguous("gradZ");
    requireGate("gradGate", gradGate);
    Check.noOverlap("gradZ", gradZ, "z", z);
    requireApart("gradZ", gradZ, "gate", gate);
    if (options.accumulates()) {
      Check.noOverlap("gradZ", gradZ, aName, a);
    } else {
      requireSameOrApart("gradZ", gradZ, aName, a);
    }
    if (gradGate != null) {
      Check.noOverlap("gradGate", gradGate, "z", z);
      requireApart("gradGate", gradGate, "gate", gate);
      Check.noOverlap("gradGate", gradGate, aName, a);
      Check.noOverlap("gradGate", gradGate, "gradZ", gradZ);
    }
    try (OperandLease lease =
        new OperandLease()
            .of("z", z)
            .of("gate", gate)
            .of(aName, a)
            .writing("gradZ", gradZ)
            .writing("gradGate", gradGate)) {
      Engine.from(workers)
          .activationGradient(
              new ActivationGradient(
                  KernelOperands.input(activation, n, KernelOperands.rows(z), gate),
                  options.alpha(),
                  KernelOperands.rows(a),
                  options.accumulates(),
                  KernelOperands.rows(gradZ),
                  gradGate == null ? null : Dense.from(gradGate).storage()));
    }
  }

  /**
   * Requires that an output is the input itself or apart from it; the former only if each element
   * depends on one element.
   */
  private void requireSameOrApart(String outName, FloatTensor out, String inName, FloatTensor in) {
    if (activation.isGated() || !Dense.from(out).storage().isSameMemory(Dense.from(in).storage())) {
      Check.noOverlap(outName, out, inName, in);
    }
  }

  private static void requireApart(String outName, FloatTensor out, String inName, FloatTensor in) {
    if (in != null) {
      Check.noOverlap(outName, out, inName, in);
    }
  }
}
