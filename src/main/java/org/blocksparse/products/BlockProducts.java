// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static java.util.Objects.requireNonNull;

import org.blocksparse.Activation;
import org.blocksparse.BlockMatrix;
import org.blocksparse.FloatTensor;
import org.blocksparse.GradientOptions;
import org.blocksparse.internal.events.ProductEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.kernels.ActivationGradient;
import org.blocksparse.internal.kernels.BlockProduct;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.kernels.Sums;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.DenseFloats;
import org.blocksparse.internal.tensors.KernelOperands;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.RowFormat;

/**
 * The products of {@link SparseBlockDot} and {@link SparseBlockGemv} that read W, checked and run.
 *
 * @param blocks W in the form for the kernels
 */
record BlockProducts(BlockMatrix W, Blocks blocks, BlockPlan plan) {
  private static final String INPUT = "(batch, iWin, iSize)";
  private static final String INPUT_HALVES = "(batch, iWin, 2 iSize)";
  private static final String INPUT_ELEMENTS = "(batch, iWin)";
  private static final String OUTPUT = "(batch, oWin, oSize)";
  private static final String OUTPUT_HALF = "(batch, oWin, oSize / 2)";

  /** Returns the products of weights that fit the plan. */
  static BlockProducts of(BlockMatrix W, BlockPlan plan) {
    requireNonNull(plan, "plan").requireFits(W);
    return new BlockProducts(W, KernelOperands.blocks(W), plan);
  }

  private int iSize() {
    return blocks.inSize();
  }

  private int oSize() {
    return blocks.outSize();
  }

  /** Returns the sum of a tensor, which is left as it is, and the products of h. */
  FloatTensor sum(FloatTensor o, FloatTensor h) {
    requireSum(o, h);
    return KernelOperands.filled(DenseFloats.from(o).copy("o"), sum -> addTo(sum, h));
  }

  private void requireSum(FloatTensor o, FloatTensor h) {
    requireRounding();
    plan.inputs().require("h", h, INPUT, iSize());
    plan.outputs().require("o", o, OUTPUT, oSize());
  }

  /** Requires that W has a type that is multiplied by inputs of the plan's bits. */
  private void requireRounding() {
    if (format() == null) {
      throw new IllegalArgumentException(
          "plan: expected other bits of inputs for "
              + W
              + " but was "
              + plan
              + "; BlockPlan lists those of each type of weights, and W.widened() takes any");
    }
  }

  /** Returns the format to which h is rounded; null if W has no products of the plan's bits. */
  private RowFormat format() {
    return RowFormat.ofBits(blocks.type(), blocks.transposed(), plan.inputBits());
  }

  /** Adds the products of h to a tensor. */
  void addTo(FloatTensor o, FloatTensor h) {
    requireSum(o, h);
    requireApart("o", o, "h", h);
    try (OperandLease lease = lease().of("h", h).writing("o", o)) {
      GemmSchedule forward = plan.forward(lease);
      ProductEvent event = Recorder.product();
      engine()
          .gemm(
              new BlockProduct(
                  forward,
                  KernelOperands.rows(h),
                  format(),
                  blocks,
                  Sums.of(KernelOperands.rows(o), true),
                  null));
      record(event, "forward", forward);
    }
  }

  private OperandLease lease() {
    return new OperandLease().ofBlocks("W", W);
  }

  private Engine engine() {
    return Engine.from(plan.workers());
  }

  private void record(ProductEvent event, String operation, GemmSchedule schedule) {
    if (event != null) {
      event.record(operation, plan.batch(), schedule.pairs(), iSize(), oSize());
    }
  }

  /**
   * Requires that a tensor that is written shares no memory with W and another input, which may be
   * null.
   */
  private void requireApart(String outName, FloatTensor out, String inName, FloatTensor in) {
    Check.noOverlap(outName, out, "W", blocks.storage());
    if (in != null) {
      Check.noOverlap(outName, out, inName, in);
    }
  }

  FloatTensor apply(FloatTensor h, Epilogue epilogue) {
    requireNonNull(epilogue, "epilogue").require(plan, oSize());
    return KernelOperands.filled(
        FloatTensor.zeros(plan.outputs().shape(epilogue.outSize(oSize()))),
        out -> apply(h, epilogue, out));
  }

  /** Writes the products of h, or adds them if the epilogue accumulates. */
  void apply(FloatTensor h, Epilogue epilogue, FloatTensor out) {
    requireNonNull(epilogue, "epilogue").require(plan, oSize());
    long outSize = epilogue.outSize(oSize());
    requireRounding();
    plan.inputs().require("h", h, INPUT, iSize());
    plan.outputs().require("out", out, outSize == oSize() ? OUTPUT : OUTPUT_HALF, outSize);
    FloatTensor z = epilogue.z();
    requireApart("out", out, h, epilogue);
    if (z != null) {
      Check.noOverlap("out", out, "z", z);
      requireApart("z", z, h, epilogue);
    }
    OperandLease lease = lease().of("h", h);
    epilogue.forEachInput(lease::of);
    try (lease) {
      lease.writing("z", z).writing("out", out);
      run(lease, h, epilogue, out);
    }
  }

  private void requireApart(String name, FloatTensor written, FloatTensor h, Epilogue epilogue) {
    requireApart(name, written, "h", h);
    epilogue.forEachInput((inName, in) -> Check.noOverlap(name, written, inName, in));
  }

  private void run(OperandLease lease, FloatTensor h, Epilogue epilogue, FloatTensor out) {
    try (Scratch memory = epilogue.borrowSums(plan, oSize());
        Scratch ones = epilogue.borrowOnes(plan)) {
      Rows outRows = KernelOperands.rows(out);
      Rows sums = epilogue.z() == null ? outRows : KernelOperands.rows(epilogue.z());
      if (memory != null) {
        sums = new Rows(memory.storage(), plan.outputRows(), oSize());
      }
      GemmSchedule forward = plan.forward(lease);
      Sums start = new Sums(sums, epilogue.bias(), epilogue.accumulates());
      BlockProduct biases = epilogue.inputBiases(plan, forward, ones, start);
      BlockProduct product =
          new BlockProduct(
              forward,
              KernelOperands.rows(h),
              format(),
              blocks,
              biases == null ? start : Sums.of(sums, true),
              biases);
      ProductEvent event = Recorder.product();
      if (epilogue.isIdentity()) {
        engine().gemm(product);
      } else {
        engine()
            .gemmThenActivation(product, epilogue.input(sums, epilogue.outSize(oSize())), outRows);
      }
      record(event, "forward", forward);
    }
  }

  FloatTensor gradH(FloatTensor gradOut) {
    return KernelOperands.filled(
        FloatTensor.zeros(plan.inputs().shape(iSize())),
        gradH -> gradH(gradOut, GradientOptions.overwrite(), gradH));
  }

  /** Computes the gradient with respect to h, or to the input of its activation. */
  void gradH(FloatTensor gradOut, GradientOptions options, FloatTensor gradient) {
    if (blocks.type().isPacked()) {
      throw new IllegalArgumentException(
          "W: expected weights that are not packed, for a gradient, but was "
              + W
              + "; take W.widened()");
    }
    plan.outputs().require("gradOut", gradOut, OUTPUT, oSize());
    if (requireNonNull(options, "options").activation() != null) {
      gradZ(gradOut, options, gradient);
    } else {
      Check.plain(options, "gradH without an activation");
      plainGradH(gradOut, options, gradient);
    }
  }

  private void plainGradH(FloatTensor gradOut, GradientOptions options, FloatTensor gradH) {
    plan.inputs().require("gradH", gradH, INPUT, iSize());
    requireApart("gradH", gradH, "gradOut", gradOut);
    try (OperandLease lease = lease().of("gradOut", gradOut).writing("gradH", gradH)) {
      GemmSchedule backward = plan.backward(lease);
      Rows from = KernelOperands.rows(gradOut);
      Rows to = KernelOperands.rows(gradH);
      ProductEvent event = Recorder.product();
      if (options.alpha() == 1) {
        engine().gemm(backward, from, blocks.transpose(), Sums.of(to, options.accumulates()));
      } else {
        // alpha times gradOut may be no float where alpha times the product is one.
        try (Scratch memory = borrow(to.count(), to.stride())) {
          Rows product = new Rows(memory.storage(), to.count(), to.stride());
          engine().gemm(backward, from, blocks.transpose(), Sums.of(product));
          engine().add(options.alpha(), product, to);
        }
      }
      record(event, "gradH", backward);
    }
  }

  private void gradZ(FloatTensor gradOut, GradientOptions options, FloatTensor gradZ) {
    Activation activation = options.activation();
    FloatTensor z = options.z();
    FloatTensor gate = options.gate();
    FloatTensor gradGate = options.gradGate();
    long zSize = activation.isGated() ? 2L * iSize() : iSize();
    String words = activation.isGated() ? INPUT_HALVES : INPUT;
    plan.inputs().require("z", z, words, zSize);
    plan.inputs().require("gradZ", gradZ, words, zSize);
    if (gate != null) {
      plan.inputs().requireElements("gate", gate, INPUT_ELEMENTS);
      plan.inputs().requireElements("gradGate", gradGate, INPUT_ELEMENTS);
    }
    requireApart("gradZ", gradZ, gradOut, options);
    if (gradGate != null) {
      requireApart("gradGate", gradGate, gradOut, options);
      Check.noOverlap("gradGate", gradGate, "gradZ", gradZ);
    }
    boolean needsMemory = activation.isGated() || options.accumulates();
    try (OperandLease lease =
            lease()
                .of("gradOut", gradOut)
                .of("z", z)
                .of("gate", gate)
                .writing("gradZ", gradZ)
                .writing("gradGate", gradGate);
        Scratch memory = needsMemory ? borrow(plan.inputRows(), iSize()) : null) {
      Rows gradZRows = KernelOperands.rows(gradZ);
      Rows product =
          needsMemory ? new Rows(memory.storage(), plan.inputRows(), iSize()) : gradZRows;
      GemmSchedule backward = plan.backward(lease);
      ProductEvent event = Recorder.product();
      engine()
          .gemmThenActivationGradient(
              new BlockProduct(
                  backward, KernelOperands.rows(gradOut), blocks.transpose(), Sums.of(product)),
              new ActivationGradient(
                  KernelOperands.input(activation, iSize(), KernelOperands.rows(z), gate),
                  options.alpha(),
                  product,
                  options.accumulates(),
                  gradZRows,
                  gradGate == null ? null : Dense.from(gradGate).storage()));
      record(event, "gradH", backward);
    }
  }

  /** Requires that a gradient that is written shares no memory with its inputs. */
  private void requireApart(
      String name, FloatTensor gradient, FloatTensor gradOut, GradientOptions options) {
    requireApart(name, gradient, "gradOut", gradOut);
    requireApart(name, gradient, "z", options.z());
    requireApart(name, gradient, "gate", options.gate());
  }

  private static Scratch borrow(long rows, long size) {
    return Scratch.borrow(Math.multiplyExact(rows, size));
  }
}
