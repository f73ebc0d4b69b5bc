// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BAG_MEAN;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BAG_ROOT_MEAN;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BAG_SUM;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_BLAS_BUFFER_BYTES;
import static org.blocksparse.internal.binding.Blocksparse.BLOCKSPARSE_NO_MEMORY;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_activation_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_activation_gradient_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_dot_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_step_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_bag_sum_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_cross_entropy_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_block_probabilities_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_norm_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_sparse_chunk_f32;
import static org.blocksparse.internal.binding.Blocksparse.blocksparse_step_f32;

import java.util.function.ToLongFunction;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.binding.NativeMemory;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.sparse.TableRows;

/** The kernels of the native library that work on rows, with one instruction set. */
record NativeRowKernels(int isa) implements RowKernels {
  @Override
  public void probabilities(Probabilities of, int begin, int end) {
    try (NativeOperands to = NativeOperands.borrow()) {
      int link = of.link().code();
      int logarithm = of.logarithm() ? 1 : 0;
      long part = to.part(of.schedule(), begin, end, 0, of.n());
      long valid = address(of.valid());
      int blocks = writeBlocks(of.valid());
      long scale = address(of.scale());
      check(
          blocksparse_block_probabilities_f32(
              isa, link, logarithm, part, valid, blocks, scale, to.put(of.c())),
          "blocksparse_block_probabilities_f32");
    }
  }

  @Override
  public void crossEntropy(CrossEntropy of, int begin, int end) {
    try (NativeOperands to = NativeOperands.borrow()) {
      int link = of.targets().link().code();
      long part = to.part(of.schedule(), begin, end, 0, of.n());
      long valid = address(of.valid());
      int blocks = writeBlocks(of.valid());
      long targets = to.put(of.targets());
      long losses = address(of.losses());
      check(
          blocksparse_block_cross_entropy_f32(
              isa, link, part, valid, blocks, targets, losses, to.put(of.logits())),
          "blocksparse_block_cross_entropy_f32");
    }
  }

  @Override
  public void activation(RowSelection rows, ActivationInput input, Rows a) {
    try (NativeOperands to = NativeOperands.borrow()) {
      check(
          blocksparse_activation_f32(isa, to.put(rows), to.put(input), to.put(a)),
          "blocksparse_activation_f32");
    }
  }

  @Override
  public void activationGradient(RowSelection rows, ActivationGradient of) {
    try (NativeOperands to = NativeOperands.borrow()) {
      long part = to.put(rows);
      long input = to.put(of.input());
      long gradA = to.put(of.gradA());
      int adds = of.accumulate() ? 1 : 0;
      long gradZ = to.put(of.gradZ());
      long gradGate = address(of.gradGate());
      check(
          blocksparse_activation_gradient_f32(
              isa, part, input, of.alpha(), gradA, adds, gradZ, gradGate),
          "blocksparse_activation_gradient_f32");
    }
  }

  @Override
  public float norm(long count, Storage x) {
    return blocksparse_norm_f32(isa, count, x.address(0));
  }

  @Override
  public void step(
      Optimizer rule,
      Parameters w,
      long offset,
      long count,
      Storage g,
      long gOffset,
      float scale,
      long number) {
    try (NativeOperands to = NativeOperands.borrow()) {
      long part = to.part(w, offset, count);
      check(
          blocksparse_step_f32(isa, to.put(rule), scale, number, g.address(gOffset), part),
          "blocksparse_step_f32");
    }
  }

  @Override
  public void add(float alpha, long count, Storage g, Storage w) {
    try (NativeOperands to = NativeOperands.borrow()) {
      long part = to.part(new Parameters(w), 0, count);
      check(
          blocksparse_step_f32(isa, to.adding(alpha), 1, 1, g.address(0), part),
          "blocksparse_step_f32");
    }
  }

  @Override
  public void bagSum(BagSums sums, int begin, int end) {
    try (NativeOperands to = NativeOperands.borrow()) {
      int reduction = number(sums.reduction());
      long bags = to.put(sums.bags());
      long a = to.table(sums.a(), sums.n());
      check(
          blocksparse_bag_sum_f32(isa, reduction, bags, begin, end, a, to.put(sums.c())),
          "blocksparse_bag_sum_f32");
    }
  }

  @Override
  public void bagDot(BagDots dots, int begin, int end) {
    try (NativeOperands to = NativeOperands.borrow()) {
      int reduction = number(dots.reduction());
      long bags = to.put(dots.bags());
      long a = to.table(dots.a(), dots.n());
      long y = to.put(dots.y());
      check(
          blocksparse_bag_dot_f32(isa, reduction, bags, begin, end, a, y, address(dots.dots())),
          "blocksparse_bag_dot_f32");
    }
  }

  @Override
  public void bagStep(Optimizer rule, BagSteps steps, int begin, int end) {
    bagStep(to -> to.put(rule), steps, begin, end);
  }

  @Override
  public void bagAdd(float alpha, BagSteps sums, int begin, int end) {
    bagStep(to -> to.adding(alpha), sums, begin, end);
  }

  private void bagStep(ToLongFunction<NativeOperands> put, BagSteps steps, int begin, int end) {
    try (Scratch gradient = Scratch.borrow(steps.n());
        NativeOperands to = NativeOperands.borrow()) {
      long rule = put.applyAsLong(to);
      long bags = to.put(steps.bags());
      long a = to.table(new TableRows(steps.a()), steps.n());
      long targets = steps.targets().address();
      long numbers = steps.steps() == null ? 0 : steps.steps().address();
      long w = to.part(steps.w(), 0, steps.w().w().elements());
      long memory = gradient.storage().address(0);
      check(
          blocksparse_bag_step_f32(isa, rule, bags, begin, end, a, targets, numbers, w, memory),
          "blocksparse_bag_step_f32");
    }
  }

  @Override
  public void sparseChunk(
      Bags bags, int bag, SparseChunks weights, int chunk, int firstOutput, int n, Storage c) {
    try (NativeOperands to = NativeOperands.borrow()) {
      long x = to.put(bags);
      long w = to.put(weights);
      long biases = weights.biases().address(firstOutput);
      check(
          blocksparse_sparse_chunk_f32(x, bag, w, chunk, biases, n, c.address(0)),
          "blocksparse_sparse_chunk_f32");
    }
  }

  private static int number(Bags.Reduction reduction) {
    return switch (reduction) {
      case SUM -> BLOCKSPARSE_BAG_SUM;
      case MEAN -> BLOCKSPARSE_BAG_MEAN;
      case ROOT_MEAN -> BLOCKSPARSE_BAG_ROOT_MEAN;
    };
  }

  /** Returns the number of blocks; any number if there are no counts of valid elements. */
  private static int writeBlocks(Storage valid) {
    return valid == null ? Integer.MAX_VALUE : Math.toIntExact(valid.elements());
  }

  private static long address(Storage storage) {
    return storage == null ? 0 : storage.address(0);
  }

  static void check(int status, String function) {
    if (status == BLOCKSPARSE_NO_MEMORY) {
      throw new OutOfMemoryError(
          "cannot allocate "
              + BLOCKSPARSE_BLAS_BUFFER_BYTES
              + " bytes for a buffer of OpenBLAS, which -Dblocksparse.path=blas asks for");
    }
    if (status != 0) {
      throw new IllegalStateException(
          function
              + " refused its operands: "
              + NativeMemory.text(Blocksparse.blocksparse_status_name(status))
              + ". The checks above it should have; please report this as a bug of blocksparse.");
    }
  }
}
