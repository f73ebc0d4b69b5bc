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

/** The products of {@link SparseBlockDot} that have something fused to them, checked and run. */
final class FusedDot {
  private static final String INPUT = "(batch, iWin, iSize)";
  private static final String INPUT_HALVES = "(batch, iWin, 2 iSize)";
  private static final String INPUT_ELEMENTS = "(batch, iWin)";
  private static final String OUTPUT = "(batch, oWin, oSize)";
  private static final String OUTPUT_HALF = "(batch, oWin, oSize / 2)";

  private FusedDot() {}

  static void apply(
      FloatTensor W, FloatTensor h, BlockPlan plan, Epilogue epilogue, FloatTensor out) {
    requireNonNull(plan, "plan").requireFits(W);
    long oSize = W.shape().dim(3);
    requireNonNull(epilogue, "epilogue").require(plan, oSize);
    long outSize = epilogue.outSize(oSize);
    plan.inputs().require("h", h, INPUT, W.shape().dim(2));
    plan.outputs().require("out", out, outSize == oSize ? OUTPUT : OUTPUT_HALF, outSize);
    FloatTensor z = epilogue.z();
    requireApart("out", out, W, h, epilogue);
    if (z != null) {
      Check.noOverlap("out", out, "z", z);
      requireApart("z", z, W, h, epilogue);
    }
    Lease lease = new Lease().of("W", W).of("h", h);
    epilogue.forEachInput(lease::of);
    try (lease) {
      lease.writing("z", z).writing("out", out);
      run(W, h, plan, epilogue, out, lease);
    }
  }

  private static void requireApart(
      String name, FloatTensor written, FloatTensor W, FloatTensor h, Epilogue epilogue) {
    Check.noOverlap(name, written, "W", W);
    Check.noOverlap(name, written, "h", h);
    epilogue.forEachInput((inName, in) -> Check.noOverlap(name, written, inName, in));
  }

  private static void run(
      FloatTensor W,
      FloatTensor h,
      BlockPlan plan,
      Epilogue epilogue,
      FloatTensor out,
      Lease lease) {
    long oSize = W.shape().dim(3);
    try (Scratch memory = epilogue.borrowSums(plan, oSize);
        Scratch ones = epilogue.borrowOnes(plan)) {
      Rows outRows = Operands.rows(out);
      Rows sums = epilogue.z() == null ? outRows : Operands.rows(epilogue.z());
      if (memory != null) {
        sums = new Rows(memory.storage(), plan.outputRows(), oSize);
      }
      BlockProduct product =
          new BlockProduct(
              plan.forward(lease),
              Operands.rows(h),
              Operands.blocks(W),
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
      if (event != null) {
        event.record(
            "forward",
            plan.batch(),
            product.schedule().pairs(),
            product.w().inSize(),
            product.w().outSize());
      }
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
      FloatTensor W,
      FloatTensor gradOut,
      BlockPlan plan,
      Activation activation,
      FloatTensor z,
      FloatTensor gate,
      float alpha,
      boolean accumulate,
      FloatTensor gradZ,
      FloatTensor gradGate) {
    requireNonNull(plan, "plan").requireFits(W);
    int iSize = (int) W.shape().dim(2);
    long zSize = requireNonNull(activation, "activation").isGated() ? 2L * iSize : iSize;
    String words = activation.isGated() ? INPUT_HALVES : INPUT;
    plan.outputs().require("gradOut", gradOut, OUTPUT, W.shape().dim(3));
    plan.inputs().require("z", z, words, zSize);
    plan.inputs().require("gradZ", gradZ, words, zSize);
    Check.finite("alpha", alpha);
    Check.noOverlap("gradZ", gradZ, "W", W);
    Check.noOverlap("gradZ", gradZ, "gradOut", gradOut);
    Check.noOverlap("gradZ", gradZ, "z", z);
    if (gate != null) {
      plan.inputs().requireElements("gate", gate, INPUT_ELEMENTS);
      plan.inputs().requireElements("gradGate", gradGate, INPUT_ELEMENTS);
      Check.noOverlap("gradZ", gradZ, "gate", gate);
      Check.noOverlap("gradGate", gradGate, "W", W);
      Check.noOverlap("gradGate", gradGate, "gradOut", gradOut);
      Check.noOverlap("gradGate", gradGate, "z", z);
      Check.noOverlap("gradGate", gradGate, "gate", gate);
      Check.noOverlap("gradGate", gradGate, "gradZ", gradZ);
    }
    try (Lease lease =
            new Lease()
                .of("W", W)
                .of("gradOut", gradOut)
                .of("z", z)
                .of("gate", gate)
                .writing("gradZ", gradZ)
                .writing("gradGate", gradGate);
        Scratch memory =
            zSize == iSize && !accumulate ? null : borrow(plan.inputRows(), iSize)) {
      Rows gradZRows = Operands.rows(gradZ);
      Rows gradH = memory == null ? gradZRows : new Rows(memory.storage(), plan.inputRows(), iSize);
      Blocks blocks = Operands.blocks(W);
      GemmSchedule backward = plan.backward(lease);
      ProductEvent event = Recorder.product();
      plan.workers()
          .engine()
          .gemmThenActivationGradient(
              new BlockProduct(
                  backward, Operands.rows(gradOut), blocks.transpose(), null, null, false, gradH),
              activation.input(iSize, Operands.rows(z), gate),
              alpha,
              accumulate,
              gradZRows,
              gradGate == null ? null : gradGate.storage());
      if (event != null) {
        event.record("gradH", plan.batch(), backward.pairs(), iSize, blocks.outSize());
      }
    }
  }

  private static Scratch borrow(long rows, long size) {
    return Scratch.borrow(Math.multiplyExact(rows, size));
  }
}
