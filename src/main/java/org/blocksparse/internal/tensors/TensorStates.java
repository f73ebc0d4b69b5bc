// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.tensors;

import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.Shape;
import org.blocksparse.internal.files.OptimizerStateFile;
import org.blocksparse.internal.files.Reading;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.training.BlockedTensor;
import org.blocksparse.internal.training.LayerState;
import org.blocksparse.products.OptimizerState;

/** The states of tensors, separate because each may have another optimizer. */
public final class TensorStates implements OptimizerState {
  private static final String WORDS =
      "(iBlocks, oBlocks, iSize, oSize) for weights or (blocks, size) for biases";

  /** The index of the only tensor of each {@link LayerState}, so that each has its own rule. */
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

  /** Returns the only implementation of optimizer state. */
  public static TensorStates from(OptimizerState state) {
    return (TensorStates) state;
  }

  private TensorStates(FloatTensor[] tensors) {
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

  public static TensorStates of(FloatTensor... tensors) {
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
    return new TensorStates(all);
  }

  public static TensorStates load(Path file, FloatTensor... tensors) throws IOException {
    TensorStates state = of(tensors);
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

  @Override
  public void save(Path file) throws IOException {
    OptimizerStateFile.save(entries(), requireNonNull(file, "file"));
  }

  private List<OptimizerStateFile.Entry> entries() {
    return entries(IntStream.range(0, tensors.length).mapToObj(Integer::toString).toList());
  }

  /** Copies this state to that of other tensors, of the same shapes in the same order. */
  public void copyTo(TensorStates other) {
    for (int t = 0; t < states.length; t++) {
      try (LayerState.Kept kept = states[t].hold()) {
        other.states[t].copyFrom(kept);
      }
    }
  }

  /** Returns the memory of the state; null for parts without memory. */
  public Stream<Storage> memory() {
    return Stream.of(states).flatMap(LayerState::memory);
  }

  /** Returns the entries of the tensors in files, by these names. */
  public List<OptimizerStateFile.Entry> entries(List<String> names) {
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

  /** A part of a step, which changes blocks of the tensor that it was begun for. */
  public interface Change {
    void make(LayerState.Step step, int tensor);
  }

  /**
   * Runs a step of a leased tensor. Arguments are checked before the tensor changes.
   *
   * @throws IllegalArgumentException if the tensor is none of these, or a transposed view
   * @throws IllegalStateException if this is closed
   */
  public void step(
      String name, FloatTensor tensor, Optimizer optimizer, Kernels kernels, Change change) {
    try (LayerState.Step step = states[position(name, tensor)].begin(optimizer, kernels)) {
      change.make(step, ONLY);
    }
  }

  /** Returns the position of a tensor among the tensors of this state. */
  private int position(String name, FloatTensor tensor) {
    Dense.from(tensor).requireContiguous(name);
    Integer position = positions.get(Key.of(tensor));
    if (position == null) {
      throw new IllegalArgumentException("state: was not made for " + name + ", " + tensor);
    }
    return position;
  }

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
