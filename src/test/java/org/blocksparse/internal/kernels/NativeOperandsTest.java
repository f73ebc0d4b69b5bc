// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.kernels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.blocksparse.Activation;
import org.blocksparse.Backend;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.binding.Blocksparse;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_activation_input_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_bags_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_blocks_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_optimizer_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_parameters_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_part_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_rows_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_sparse_weights_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_sums_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_table_fields;
import org.blocksparse.internal.binding.Blocksparse.blocksparse_targets_fields;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.schedule.GemmSchedule;
import org.blocksparse.internal.schedule.OuterSchedule;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SparseChunks;
import org.blocksparse.internal.sparse.TableRows;
import org.blocksparse.internal.weights.Blocks;
import org.blocksparse.internal.weights.WeightType;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Java writes each field where the C compiler reads it, by its name in the header. */
final class NativeOperandsTest {
  private NativeOperands to;
  private final Storage[] storages = new Storage[6];

  @BeforeEach
  void operands() {
    assumeTrue(Backend.isNative());
    to = NativeOperands.borrow();
    to.put(Optimizer.sgd(1)); // the next struct begins at an odd place
    for (int i = 0; i < storages.length; i++) {
      storages[i] = Storage.allocate(64);
    }
  }

  @AfterEach
  void close() {
    if (to != null) {
      to.close();
      for (Storage storage : storages) {
        storage.close();
      }
    }
  }

  private static Pointer at(long pointer) {
    return new Pointer() {
      {
        address = pointer;
      }
    };
  }

  private void assertRows(int storage, int first, long pointer) {
    blocksparse_rows_fields rows = new blocksparse_rows_fields(at(pointer));
    assertEquals(storages[storage].address(first), rows.data());
    assertEquals(first + 1, rows.count());
    assertEquals(first + 2, rows.stride());
  }

  /** Returns rows that {@link #assertRows} accepts. */
  private Rows rows(int storage, int first) {
    return new Rows(storages[storage], first, first + 1, first + 2);
  }

  private void assertPart(long schedule, long length, long pointer) {
    blocksparse_part_fields part = new blocksparse_part_fields(at(pointer));
    assertEquals(schedule, part.schedule());
    assertEquals(length, part.schedule_length());
    assertEquals(2, part.begin());
    assertEquals(3, part.end());
    assertEquals(5, part.column_begin());
    assertEquals(7, part.column_end());
  }

  @Test
  void parts() {
    try (GemmSchedule gemm = GemmSchedule.dense(4);
        OuterSchedule outer = OuterSchedule.ofRows(gemm)) {
      long address = gemm.packed().address(0);
      assertPart(address, gemm.length(), to.part(gemm, 2, 3, 5, 7));
      assertPart(address, gemm.length(), to.put(new RowSelection(gemm, 2, 3, 5, 7)));
      assertPart(outer.packed().address(0), outer.length(), to.part(outer, 2, 3, 5, 7));
      assertPart(0, 0, to.put(new RowSelection(null, 2, 3, 5, 7)));
    }
  }

  @Test
  void rows() {
    assertRows(1, 5, to.put(rows(1, 5)));
    Rows none = null;
    blocksparse_rows_fields nowhere = new blocksparse_rows_fields(at(to.put(none)));
    assertEquals(0, nowhere.data());
  }

  @Test
  void sums() {
    blocksparse_sums_fields sums =
        new blocksparse_sums_fields(at(to.put(new Sums(rows(1, 5), rows(2, 7), false))));
    assertRows(1, 5, sums.rows());
    assertRows(2, 7, sums.bias());
    assertEquals(0, sums.accumulate());
    assertEquals(
        1, new blocksparse_sums_fields(at(to.put(Sums.of(rows(1, 5), true)))).accumulate());
  }

  @Test
  void blocks() {
    Blocks.Scales ofColumns = new Blocks.Scales(storages[2], 11, 13);
    Blocks all = new Blocks(storages[1], 2, 3, 4, 5, 6, 7, 8, true, WeightType.BFLOAT16, ofColumns);
    blocksparse_blocks_fields blocks = new blocksparse_blocks_fields(at(to.put(all)));
    assertEquals(storages[1].address(0), blocks.data());
    assertEquals(storages[2].address(0), blocks.scales());
    assertEquals(2, blocks.in_blocks());
    assertEquals(3, blocks.out_blocks());
    assertEquals(4, blocks.in_size());
    assertEquals(5, blocks.out_size());
    assertEquals(6, blocks.in_stride());
    assertEquals(7, blocks.out_stride());
    assertEquals(8, blocks.ld());
    assertEquals(1, blocks.transposed());
    assertEquals(Blocksparse.BLOCKSPARSE_BFLOAT16, blocks.type());
    assertEquals(11, blocks.scales_in_stride());
    assertEquals(13, blocks.scales_out_stride());
  }

  private Bags someBags() {
    return new Bags(
        7, new Slice(storages[1], 3), new Slice(storages[2], 5), new Slice(storages[3], 2), 11);
  }

  @Test
  void bags() {
    blocksparse_bags_fields bags = new blocksparse_bags_fields(at(to.put(someBags())));
    assertEquals(storages[1].address(3), bags.offsets());
    assertEquals(storages[2].address(5), bags.indices());
    assertEquals(storages[3].address(2), bags.values());
    assertEquals(7, bags.count());
    assertEquals(11, bags.entries());
  }

  @Test
  void targets() {
    Targets several = Targets.several(someBags(), storages[4]);
    blocksparse_targets_fields lists = new blocksparse_targets_fields(at(to.put(several)));
    assertEquals(storages[1].address(3), lists.start());
    assertEquals(storages[2].address(5), lists.index());
    assertEquals(11, lists.count());
    assertEquals(storages[4].address(0), lists.weights());
    assertEquals(0, lists.prior());
    assertEquals(0, lists.smoothing());
    Targets single = Targets.single(storages[1], 0.25f, storages[2], storages[3]);
    blocksparse_targets_fields targets = new blocksparse_targets_fields(at(to.put(single)));
    assertEquals(storages[1].address(0), targets.index());
    assertEquals(0.25f, targets.smoothing());
    assertEquals(storages[2].address(0), targets.prior());
    assertEquals(storages[3].address(0), targets.weights());
  }

  @Test
  void activations() {
    ActivationInput input = new ActivationInput(Activation.GELU, 17, rows(1, 5), storages[2]);
    blocksparse_activation_input_fields fields =
        new blocksparse_activation_input_fields(at(to.put(input)));
    assertRows(1, 5, fields.z());
    assertEquals(storages[2].address(0), fields.gate());
    assertEquals(Blocksparse.BLOCKSPARSE_GELU, fields.activation());
    assertEquals(17, fields.n());
  }

  @Test
  void tables() {
    TableRows rows = new TableRows(storages[1], 3, 5, 7, WeightType.INT8, storages[2]);
    blocksparse_table_fields table = new blocksparse_table_fields(at(to.table(rows, 11)));
    assertEquals(storages[1].address(0) + 3, table.data());
    assertEquals(5, table.count());
    assertEquals(7, table.stride());
    assertEquals(11, table.size());
    assertEquals(Blocksparse.BLOCKSPARSE_INT8, table.type());
    assertEquals(storages[2].address(0), table.scales());
  }

  @Test
  void optimizers() {
    Optimizer rule = Optimizer.adam(1, 0.25f, 0.5f, 6).withDecay(2).withMaxNorm(3);
    blocksparse_optimizer_fields optimizer = new blocksparse_optimizer_fields(at(to.put(rule)));
    assertEquals(Blocksparse.BLOCKSPARSE_ADAM, optimizer.rule());
    assertEquals(rule.rate(), optimizer.rate());
    assertEquals(rule.decay(), optimizer.decay());
    assertEquals(rule.maxNorm(), optimizer.max_norm());
    assertEquals(rule.beta1(), optimizer.beta1());
    assertEquals(rule.beta2(), optimizer.beta2());
    assertEquals(rule.epsilon(), optimizer.epsilon());
  }

  @Test
  void additions() {
    for (float alpha : new float[] {-2, 0, 3}) {
      blocksparse_optimizer_fields added = new blocksparse_optimizer_fields(at(to.adding(alpha)));
      assertEquals(Blocksparse.BLOCKSPARSE_SGD, added.rule());
      assertEquals(-alpha, added.rate());
      assertEquals(0, added.decay());
      assertEquals(Float.POSITIVE_INFINITY, added.max_norm());
    }
  }

  @Test
  void parameters() {
    Parameters all = new Parameters(storages[1], storages[2], storages[3]);
    blocksparse_parameters_fields fields =
        new blocksparse_parameters_fields(at(to.part(all, 5, 7)));
    assertEquals(storages[1].address(5), fields.w());
    assertEquals(storages[2].address(5), fields.moment1());
    assertEquals(storages[3].address(5), fields.moment2());
    assertEquals(7, fields.count());
  }

  @Test
  void sparseWeights() {
    SparseChunks weights =
        new SparseChunks(
            2,
            storages[0],
            storages[1],
            storages[2],
            3,
            storages[3],
            WeightType.FLOAT16,
            storages[4],
            5,
            storages[5]);
    blocksparse_sparse_weights_fields fields =
        new blocksparse_sparse_weights_fields(at(to.put(weights)));
    assertEquals(storages[0].address(0), fields.begins());
    assertEquals(storages[1].address(0), fields.chunks());
    assertEquals(storages[2].address(0), fields.starts());
    assertEquals(storages[3].address(0), fields.columns());
    assertEquals(storages[4].address(0), fields.w());
    assertEquals(2, fields.features());
    assertEquals(3, fields.rows());
    assertEquals(5, fields.entries());
    assertEquals(Blocksparse.BLOCKSPARSE_FLOAT16, fields.type());
  }
}
