// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.training;

import java.util.function.Consumer;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Scratch;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;
import org.blocksparse.internal.sparse.SampleBags;
import org.blocksparse.internal.sparse.TableRows;

/**
 * Operations on a bias of input blocks: a table from which each sample adds the rows of its blocks
 * to all rows of its output. Operands are checked.
 *
 * @param samples the blocks and the rows of the output of each sample
 * @param bias a row for each input block: the bias, or a gradient of it
 */
public record InputBiasTable(Engine engine, SampleBags samples, Rows bias) {
  private BagTable table() {
    return table(bias);
  }

  private BagTable table(Rows rows) {
    return new BagTable(engine, new TableRows(rows), (int) bias.stride(), Bags.Reduction.SUM);
  }

  private int blocks() {
    return Math.toIntExact(bias.count());
  }

  /**
   * Replaces the rows whose blocks a sample selects by the gradient, or adds alpha times that.
   *
   * @param gate a factor for each block that a sample selects, or null
   */
  public void gradient(Storage gate, Rows gradOut, float alpha, boolean accumulate) {
    Bags inputs = samples.inputs(gate);
    withSums(gradOut, sums -> table().gradient(inputs, blocks(), sums, alpha, accumulate));
  }

  /** Sets the rows whose blocks a sample selects to 0. */
  public void clear() {
    table().clear(samples.inputs(null), blocks());
  }

  /**
   * Makes one step of the rows whose blocks a sample selects.
   *
   * @param gate a factor for each block that a sample selects, or null
   * @param tensor the position of the bias in the state
   */
  public void step(Storage gate, Rows gradOut, LayerState.Step step, int tensor) {
    Bags inputs = samples.inputs(gate);
    withSums(gradOut, sums -> table().step(inputs, blocks(), sums, step, tensor));
  }

  /** Computes the gradient with respect to the gate. */
  public void gradGate(Rows gradOut, Storage gradGate) {
    withSums(gradOut, sums -> table().dot(samples.inputs(null), sums, gradGate));
  }

  /** Adds alpha times the gradient with respect to the gate. */
  public void addGradGate(Rows gradOut, float alpha, Storage gradGate) {
    long elements = samples.inputs(null).entries();
    try (Scratch scratch = Scratch.borrow(elements)) {
      gradGate(gradOut, scratch.storage());
      engine.kernels().rows().add(alpha, elements, scratch.storage(), gradGate);
    }
  }

  /** Sums the rows of gradOut of each sample, since the bias was added to all of them. */
  private void withSums(Rows gradOut, Consumer<Rows> computation) {
    if (samples.oneOutputEach()) {
      computation.accept(gradOut);
      return;
    }
    Bags outputs = samples.outputs();
    try (Scratch scratch = Scratch.borrow(outputs.count() * bias.stride())) {
      Rows sums = new Rows(scratch.storage(), outputs.count(), bias.stride());
      table(gradOut).sum(outputs, sums);
      computation.accept(sums);
    }
  }
}
