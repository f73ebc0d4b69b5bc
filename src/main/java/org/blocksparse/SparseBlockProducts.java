// SPDX-License-Identifier: Apache-2.0
package org.blocksparse;

import static java.util.Objects.requireNonNull;

import org.blocksparse.internal.BlockProduct;
import org.blocksparse.internal.Blocks;
import org.blocksparse.internal.Engine;
import org.blocksparse.internal.Rows;
import org.blocksparse.internal.events.ProductEvent;
import org.blocksparse.internal.events.Recorder;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.schedule.GemmSchedule;

/**
 * The products of {@link SparseBlockDot} and {@link SparseBlockGemv} that read W, checked and run.
 */
final class SparseBlockProducts {
  private static final String BIAS = "(oBlocks, oSize)";
  private static final String INPUT = "(batch, iWin, iSize)";
  private static final String INPUT_HALVES = "(batch, iWin, 2 iSize)";
  private static final String INPUT_ELEMENTS = "(batch, iWin)";
  private static final String OUTPUT = "(batch, oWin, oSize)";
  private static final String OUTPUT_HALF = "(batch, oWin, oSize / 2)";

  private SparseBlockProducts() {}

  static FloatTensor apply(BlockWeights W, FloatTensor h, FloatTensor b) {
    return FloatTensor.zeros(W.plan().outputs().shape(W.oSize()))
        .filledBy(out -> apply(W, h, b, out));
  }

  static void apply(BlockWeights W, FloatTensor h, FloatTensor b, FloatTensor out) {
    BlockPlan plan = W.plan();
    W.requireForward();
    plan.inputs().require("h", h, INPUT, W.iSize());
    Check.shape("b", b, BIAS, plan.oBlocks(), W.oSize());
    plan.outputs().require("out", out, OUTPUT, W.oSize());
    Check.noOverlap("out", out, "h", h);
    Check.noOverlap("out", out, "b", b);
    W.requireApart("out", out);
    try (Lease lease = W.lease().of("h", h).of("b", b).writing("out", out)) {
      forward(lease, W, h, KernelOperands.rows(b), false, out);
    }
  }

  /** The sum of a tensor, which is left as it is, and the products of h. */
  static FloatTensor sum(FloatTensor o, BlockWeights W, FloatTensor h) {
    requireSum(o, W, h);
    return o.copy("o").filledBy(sum -> addTo(sum, W, h));
  }

  private static void requireSum(FloatTensor o, BlockWeights W, FloatTensor h) {
    W.requireForward();
    W.plan().inputs().require("h", h, INPUT, W.iSize());
    W.plan().outputs().require("o", o, OUTPUT, W.oSize());
  }

  /** Adds the products of h to a tensor. */
  static void addTo(FloatTensor o, BlockWeights W, FloatTensor h) {
    requireSum(o, W, h);
    W.requireApart("o", o);
    Check.noOverlap("o", o, "h", h);
    try (Lease lease = W.lease().of("h", h).writing("o", o)) {
      forward(lease, W, h, null, true, o);
    }
  }

  private static void forward(
      Lease lease, BlockWeights W, FloatTensor h, Rows bias, boolean accumulate, FloatTensor out) {
    Blocks blocks = W.blocks();
    GemmSchedule forward = W.plan().forward(lease);
    ProductEvent event = Recorder.product();
    W.plan()
        .workers()
        .engine()
        .gemm(
            new BlockProduct(
                forward,
                KernelOperands.rows(h),
                W.plan().roundsInputs(),
                blocks,
                bias,
                null,
                accumulate,
                KernelOperands.rows(out)));
    tell(event, "forward", W, forward);
  }

  private static void tell(
      ProductEvent event, String operation, BlockWeights W, GemmSchedule schedule) {
    if (event != null) {
      event.record(operation, W.plan().batch(), schedule.pairs(), W.iSize(), W.oSize());
    }
  }

  static FloatTensor apply(BlockWeights W, FloatTensor h, Epilogue epilogue) {
    requireNonNull(epilogue, "epilogue").require(W.plan(), W.oSize());
    return FloatTensor.zeros(W.plan().outputs().shape(epilogue.outSize(W.oSize())))
        .filledBy(out -> apply(W, h, epilogue, out));
  }

  static void apply(BlockWeights W, FloatTensor h, Epilogue epilogue, FloatTensor out) {
    BlockPlan plan = W.plan();
    long oSize = W.oSize();
    requireNonNull(epilogue, "epilogue").require(plan, oSize);
    long outSize = epilogue.outSize(oSize);
    W.requireForward();
    plan.inputs().require("h", h, INPUT, W.iSize());
    plan.outputs().require("out", out, outSize == oSize ? OUTPUT : OUTPUT_HALF, outSize);
    FloatTensor z = epilogue.z();
    requireApart("out", out, W, h, epilogue);
    if (z != null) {
      Check.noOverlap("out", out, "z", z);
      requireApart("z", z, W, h, epilogue);
    }
    Lease lease = W.lease().of("h", h);
    epilogue.forEachInput(lease::of);
    try (lease) {
      lease.writing("z", z).writing("out", out);
      run(lease, W, h, epilogue, out);
    }
  }

  private static void requireApart(
      String name, FloatTensor written, BlockWeights W, FloatTensor h, Epilogue epilogue) {
    W.requireApart(name, written);
    Check.noOverlap(name, written, "h", h);
    epilogue.forEachInput((inName, in) -> Check.noOverlap(name, written, inName, in));
  }

  private static void run(
      Lease lease, BlockWeights W, FloatTensor h, Epilogue epilogue, FloatTensor out) {
    BlockPlan plan = W.plan();
    long oSize = W.oSize();
    try (Scratch memory = epilogue.borrowSums(plan, oSize);
        Scratch ones = epilogue.borrowOnes(plan)) {
      Rows outRows = KernelOperands.rows(out);
      Rows sums = epilogue.z() == null ? outRows : KernelOperands.rows(epilogue.z());
      if (memory != null) {
        sums = new Rows(memory.storage(), plan.outputRows(), oSize);
      }
      BlockProduct product =
          new BlockProduct(
              plan.forward(lease),
              KernelOperands.rows(h),
              plan.roundsInputs(),
              W.blocks(),
              epilogue.bias(),
              epilogue.inputBias(plan, ones),
              false,
              sums);
      Engine engine = plan.workers().engine();
      ProductEvent event = Recorder.product();
      if (epilogue.isIdentity()) {
        engine.gemm(product);
      } else {
        engine.gemmThenActivation(product, epilogue.input(sums, epilogue.outSize(oSize)), outRows);
      }
      tell(event, "forward", W, product.schedule());
    }
  }

  static FloatTensor gradH(BlockWeights W, FloatTensor gradOut) {
    return FloatTensor.zeros(W.plan().inputs().shape(W.iSize()))
        .filledBy(gradH -> gradH(W, gradOut, 1, false, gradH));
  }

  /**
   * The gradient with respect to h, times a factor.
   *
   * @param alpha 1 unless gradH is added to
   * @param accumulate whether gradH is added to, or only written
   */
  static void gradH(
      BlockWeights W, FloatTensor gradOut, float alpha, boolean accumulate, FloatTensor gradH) {
    BlockPlan plan = W.plan();
    plan.outputs().require("gradOut", gradOut, OUTPUT, W.oSize());
    plan.inputs().require("gradH", gradH, INPUT, W.iSize());
    Check.finite("alpha", alpha);
    Check.noOverlap("gradH", gradH, "gradOut", gradOut);
    W.requireApart("gradH", gradH);
    try (Lease lease = W.lease().of("gradOut", gradOut).writing("gradH", gradH)) {
      Blocks transposed = W.blocks().transpose();
      GemmSchedule backward = plan.backward(lease);
      Engine engine = plan.workers().engine();
      Rows from = KernelOperands.rows(gradOut);
      Rows to = KernelOperands.rows(gradH);
      ProductEvent event = Recorder.product();
      if (alpha == 1) {
        engine.gemm(backward, from, transposed, null, accumulate, to);
      } else {
        // alpha times gradOut may be no float where alpha times the product is one.
        try (Scratch memory = borrow(to.count(), to.stride())) {
          Rows product = new Rows(memory.storage(), to.count(), to.stride());
          engine.gemm(backward, from, transposed, null, false, product);
          engine.add(alpha, product, to);
        }
      }
      tell(event, "gradH", W, backward);
    }
  }

  /**
   * The gradient with respect to z, h being gate * activation(z).
   *
   * @param gate or null
   * @param accumulate whether gradZ and gradGate are added to, or only written
   * @param gradGate null if gate is
   */
  static void gradZ(
      BlockWeights W,
      FloatTensor gradOut,
      Activation activation,
      FloatTensor z,
      FloatTensor gate,
      float alpha,
      boolean accumulate,
      FloatTensor gradZ,
      FloatTensor gradGate) {
    BlockPlan plan = W.plan();
    int iSize = W.iSize();
    long zSize = requireNonNull(activation, "activation").isGated() ? 2L * iSize : iSize;
    String words = activation.isGated() ? INPUT_HALVES : INPUT;
    plan.outputs().require("gradOut", gradOut, OUTPUT, W.oSize());
    plan.inputs().require("z", z, words, zSize);
    plan.inputs().require("gradZ", gradZ, words, zSize);
    Check.finite("alpha", alpha);
    if (gate != null) {
      plan.inputs().requireElements("gate", gate, INPUT_ELEMENTS);
      plan.inputs().requireElements("gradGate", gradGate, INPUT_ELEMENTS);
    }
    requireApart("gradZ", gradZ, W, gradOut, z, gate);
    if (gradGate != null) {
      requireApart("gradGate", gradGate, W, gradOut, z, gate);
      Check.noOverlap("gradGate", gradGate, "gradZ", gradZ);
    }
    try (Lease lease =
            W.lease()
                .of("gradOut", gradOut)
                .of("z", z)
                .of("gate", gate)
                .writing("gradZ", gradZ)
                .writing("gradGate", gradGate);
        Scratch memory = zSize == iSize && !accumulate ? null : borrow(plan.inputRows(), iSize)) {
      Rows gradZRows = KernelOperands.rows(gradZ);
      Rows gradH = memory == null ? gradZRows : new Rows(memory.storage(), plan.inputRows(), iSize);
      GemmSchedule backward = plan.backward(lease);
      ProductEvent event = Recorder.product();
      plan.workers()
          .engine()
          .gemmThenActivationGradient(
              new BlockProduct(
                  backward,
                  KernelOperands.rows(gradOut),
                  false,
                  W.blocks().transpose(),
                  null,
                  null,
                  false,
                  gradH),
              activation.input(iSize, KernelOperands.rows(z), gate),
              alpha,
              accumulate,
              gradZRows,
              gradGate == null ? null : gradGate.storage());
      tell(event, "gradH", W, backward);
    }
  }

  /** A gradient that is written shares no memory with what it is made of. */
  private static void requireApart(
      String name,
      FloatTensor gradient,
      BlockWeights W,
      FloatTensor gradOut,
      FloatTensor z,
      FloatTensor gate) {
    W.requireApart(name, gradient);
    Check.noOverlap(name, gradient, "gradOut", gradOut);
    Check.noOverlap(name, gradient, "z", z);
    if (gate != null) {
      Check.noOverlap(name, gradient, "gate", gate);
    }
  }

  private static Scratch borrow(long rows, long size) {
    return Scratch.borrow(Math.multiplyExact(rows, size));
  }
}
