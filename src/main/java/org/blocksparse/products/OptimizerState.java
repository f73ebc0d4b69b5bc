// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.products;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FileFormatException;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.internal.files.OptimizerStateFile;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.UpdateRule;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.tensors.Check;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.training.BlockedTensor;
import org.blocksparse.internal.training.LayerState;

/**
 * The state of an {@link Optimizer} between steps, for weights and biases of block-sparse layers:
 * the moments of each element, and for Adam the number of steps of each block. {@link
 * org.blocksparse.softmax.HierarchicalSoftmax}, {@link org.blocksparse.bag.EmbeddingBag} and {@link
 * org.blocksparse.experts.MixtureOfExperts} have their own state.
 *
 * <table>
 *   <caption>Tensors that can be trained</caption>
 *   <tr><th>tensor</th><th>shape</th><th>a block is</th><th>decays</th></tr>
 *   <tr><td>weights</td><td>(iBlocks, oBlocks, iSize, oSize)</td><td>W[i, j]</td><td>yes</td></tr>
 *   <tr><td>biases</td><td>(blocks, size)</td><td>a row</td><td>no</td></tr>
 * </table>
 *
 * <p>One state may hold all tensors of a model. Each tensor may have its own optimizer: a step with
 * another kind of optimizer resets the state of the tensor, but a new rate, decay or clipping does
 * not. The first step of a tensor allocates its state: none for SGD, as much as the tensor for
 * Adagrad, and twice as much for Adam.
 *
 * <p>The caller still owns the tensors. Steps of different tensors may run at the same time; the
 * caller must not run two steps of one tensor at the same time.
 */
public final class OptimizerState implements AutoCloseable {
  private static final String WORDS =
      "(iBlocks, oBlocks, iSize, oSize) for weights or (blocks, size) for biases";

  /** The only tensor of each {@link LayerState}, so that each has a rule of its own. */
  private static final int ONLY = 0;

  /** The key of a tensor: views of it have the same memory. */
  private record Key(Object memory, Shape shape) {
    static Key of(FloatTensor tensor) {
      return new Key(Dense.from(tensor).storage().memory(), tensor.shape());
    }
  }

  private final FloatTensor[] tensors;
  private final LayerState[] states;
  private final Map<Key, Integer> positions = new HashMap<>();

  private OptimizerState(FloatTensor[] tensors) {
    this.tensors = tensors;
    this.states = new LayerState[tensors.length];
    for (int t = 0; t < tensors.length; t++) {
      boolean weights = tensors[t].shape().rank() == 4;
      states[t] =
          new LayerState(
              "state",
              new BlockedTensor(Dense.from(tensors[t]).storage(), blocks(tensors[t]), weights));
      positions.putIfAbsent(Key.of(tensors[t]), t);
    }
  }

  /**
   * The state of tensors before their first step.
   *
   * @param tensors weights and biases; pass the same tensors to steps
   * @throws NullPointerException if one is null
   * @throws IllegalArgumentException if one has neither of the shapes above, has more than
   *     2<sup>31</sup> - 1 blocks, is a transposed view, or shares memory with another
   * @throws IllegalStateException if one is closed
   */
  public static OptimizerState of(FloatTensor... tensors) {
    FloatTensor[] all = requireNonNull(tensors, "tensors").clone();
    Storage[] storages = new Storage[all.length];
    for (int t = 0; t < all.length; t++) {
      check("tensors[" + t + "]", all[t]);
      storages[t] = Dense.from(all[t]).storage();
    }
    int[] pair = Storage.overlapping(storages);
    if (pair != null) {
      throw new IllegalArgumentException(
          "tensors[" + pair[1] + "]: shares memory with tensors[" + pair[0] + "]");
    }
    return new OptimizerState(all);
  }

  /**
   * Loads a saved state, to continue training exactly.
   *
   * @param file a file that {@link #save} wrote
   * @param tensors as for {@link #of}, of the same shapes and in the same order as those whose
   *     state was saved; the file does not hold them, {@link org.blocksparse.io.TensorFile} does
   * @throws FileFormatException if the file is not such a file, is damaged, or has the state of
   *     other tensors
   * @throws IOException if it cannot be read
   */
  public static OptimizerState load(Path file, FloatTensor... tensors) throws IOException {
    OptimizerState state = of(tensors);
    try {
      requireNonNull(file, "file");
      Reading.of(
          file,
          () -> {
            OptimizerStateFile.load(file, state.entries());
            return null;
          });
      return state;
    } catch (Throwable e) {
      state.close();
      throw e;
    }
  }

  /**
   * Writes the state of all tensors to a safetensors file, without the tensors. No step may run
   * meanwhile. The write is atomic: even after a crash, the file is the old one or the new one.
   *
   * @throws IllegalArgumentException if there are more tensors than a file can have: 65,534 of SGD
   *     or Adagrad, 21,845 of Adam, or if its header would take more than 8 MB, as it does if most
   *     tensors have other rules than the first
   * @throws IllegalStateException if this is closed, or if a number is not finite
   * @throws IOException if the file cannot be written; an old one is unchanged
   */
  public void save(Path file) throws IOException {
    OptimizerStateFile.save(entries(), requireNonNull(file, "file"));
  }

  private List<OptimizerStateFile.Entry> entries() {
    return entries(IntStream.range(0, tensors.length).mapToObj(Integer::toString).toList());
  }

  /** Copies this state to that of other tensors, of the same shapes in the same order. */
  void copyTo(OptimizerState other) {
    for (int t = 0; t < states.length; t++) {
      try (LayerState.Kept kept = states[t].hold()) {
        other.states[t].copyFrom(kept);
      }
    }
  }

  /** The memory of the state; null for parts without memory. */
  Stream<Storage> memory() {
    return Stream.of(states).flatMap(LayerState::memory);
  }

  /** The entries of the tensors in files, by these names. */
  List<OptimizerStateFile.Entry> entries(List<String> names) {
    List<OptimizerStateFile.Entry> entries = new ArrayList<>(tensors.length);
    for (int t = 0; t < tensors.length; t++) {
      long[] dims = tensors[t].shape().toArray();
      entries.add(new OptimizerStateFile.Entry(names.get(t), states[t], dims, blocks(tensors[t])));
    }
    return entries;
  }

  private static void check(String name, FloatTensor tensor) {
    int rank = requireNonNull(tensor, name).shape().rank();
    if (rank != 4 && rank != 2) {
      throw new IllegalArgumentException(
          name + ": expected " + WORDS + " but was " + tensor.shape());
    }
    Check.rank(name, tensor, WORDS, rank);
    Dense.from(tensor).requireContiguous(name);
    if (rank == 4 && tensor.shape().dim(0) * tensor.shape().dim(1) > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          name + ": " + tensor.shape() + " has more than the 2^31 - 1 blocks that can be counted");
    }
    new OperandLease().of(name, tensor).close();
  }

  private static int blocks(FloatTensor tensor) {
    Shape shape = tensor.shape();
    return (int) (shape.rank() == 4 ? shape.dim(0) * shape.dim(1) : shape.dim(0));
  }

  /** A part of a step that changes blocks of the tensor it was begun for. */
  interface Change {
    void make(LayerState.Step step, int tensor);
  }

  /**
   * Runs a step of a leased tensor. Arguments are checked before the tensor changes.
   *
   * @throws IllegalArgumentException if the tensor is none of these, or a transposed view
   * @throws IllegalStateException if this is closed
   */
  void step(String name, FloatTensor tensor, Optimizer optimizer, Kernels kernels, Change change) {
    try (LayerState.Step step =
        states[position(name, tensor)].begin(UpdateRule.of(optimizer), kernels)) {
      change.make(step, ONLY);
    }
  }

  /** The position of a tensor among the tensors of this state. */
  private int position(String name, FloatTensor tensor) {
    Dense.from(tensor).requireContiguous(name);
    Integer position = positions.get(Key.of(tensor));
    if (position == null) {
      throw new IllegalArgumentException("state: was not made for " + name + ", " + tensor);
    }
    return position;
  }

  /** Frees the state as soon as no step uses it. Idempotent. The tensors stay open. */
  @Override
  public void close() {
    for (LayerState state : states) {
      state.close();
    }
  }

  @Override
  public String toString() {
    StringBuilder text = new StringBuilder("OptimizerState(");
    for (int t = 0; t < tensors.length; t++) {
      text.append(t == 0 ? "" : ", ")
          .append(tensors[t].shape())
          .append(' ')
          .append(states[t].kind());
    }
    return text.append(')').toString();
  }
}
