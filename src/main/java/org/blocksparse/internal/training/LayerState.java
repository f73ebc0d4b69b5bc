// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.internal.training;

import java.util.Arrays;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.blocksparse.Optimizer;
import org.blocksparse.internal.kernels.Kernels;
import org.blocksparse.internal.kernels.RowKernels;
import org.blocksparse.internal.memory.Rows;
import org.blocksparse.internal.memory.Slice;
import org.blocksparse.internal.memory.Storage;
import org.blocksparse.internal.sparse.Bags;

/**
 * The optimizer state of the tensors of one layer, which are trained together. Memory is taken when
 * a rule is first used: none for gradient descent, that of the tensors for Adagrad, twice that for
 * Adam.
 *
 * <p>A step is begun, updates blocks, and is closed:
 *
 * <pre>{@code
 * try (LayerState.Step step = state.begin(rule, kernels)) {
 *   step.update(tensor, block, gradient);   // different blocks from any threads
 * }
 * }</pre>
 *
 * <p>Each tensor counts the steps of its own blocks, since the tensors of an {@code OptimizerState}
 * may have separate steps. In a softmax those of W2 and b2 of a class, and of W1 and b1, always
 * agree, and files have one of each pair.
 *
 * <p>{@link #begin} rejects all invalid arguments. The first update drops the state of another kind
 * of rule; a step that ends before it changes nothing.
 */
public final class LayerState implements AutoCloseable {
  private final String name;
  private final BlockedTensor[] tensors;
  private Optimizer.Kind kind = Optimizer.Kind.SGD;
  private Content content;
  private boolean closed;

  /**
   * Creates the state of tensors before their first step.
   *
   * @param name the name of the owner in messages
   * @param tensors the trained tensors; steps name them by their position here
   */
  public LayerState(String name, BlockedTensor... tensors) {
    this.name = name;
    this.tensors = tensors.clone();
    this.content = allocate(Optimizer.Kind.SGD);
  }

  /** The state of all tensors for one kind of rule. */
  private record Content(TensorState[] states, Storage[] memory) {
    void close() {
      Storage.closeAll(memory);
    }

    /** Keeps the memory alive until {@link #release}. */
    Content acquire() {
      for (Storage storage : memory) {
        if (!storage.acquire()) {
          throw new AssertionError("closed only after it was dropped");
        }
      }
      return this;
    }

    void release() {
      for (Storage storage : memory) {
        storage.release();
      }
    }
  }

  /** Returns zeroed state: all of it or, if memory is short, none. */
  private Content allocate(Optimizer.Kind newKind) {
    int moments = newKind.moments();
    long[] elements = new long[tensors.length * moments];
    Arrays.setAll(elements, i -> tensors[i / moments].storage().elements());
    Storage[] memory = Storage.allocateAll(elements);
    TensorState[] states = new TensorState[tensors.length];
    Arrays.setAll(
        states,
        t ->
            new TensorState(
                tensors[t], newKind, Arrays.copyOfRange(memory, t * moments, (t + 1) * moments)));
    return new Content(states, memory);
  }

  /**
   * Begins a step by a rule. Nothing has changed until its first update.
   *
   * @throws IllegalStateException if this state was closed
   * @throws OutOfMemoryError that names the bytes, if there is no memory for another kind of rule
   */
  public synchronized Step begin(Optimizer rule, Kernels kernels) {
    requireOpen();
    return rule.kind() == kind
        ? new Step(rule, kernels, content.acquire(), true)
        : new Step(rule, kernels, allocate(rule.kind()).acquire(), false);
  }

  /**
   * Requires that this was not closed.
   *
   * @throws IllegalStateException if it was
   */
  public synchronized void requireOpen() {
    if (closed) {
      throw closed();
    }
  }

  /** Returns the exception for a closed owner. */
  public IllegalStateException closed() {
    return new IllegalStateException(name + ": the " + name + " is closed");
  }

  /** Updates bands of blocks by their gradients. */
  public interface BandUpdate {
    /**
     * Updates one band.
     *
     * @param begin its first element in the block
     * @param gradient its gradient, in the first elements
     */
    void update(int block, long begin, long count, Storage gradient);
  }

  /** One step of training. It must be closed. */
  public final class Step implements AutoCloseable {
    private final Optimizer rule;
    private final Optimizer withoutDecay;
    private final RowKernels kernels;
    private final Content used;

    /** Whether {@link #used} is the content of this state. */
    private volatile boolean kept;

    private Step(Optimizer rule, Kernels kernels, Content used, boolean kept) {
      this.rule = rule;
      this.withoutDecay = rule.decay() == 0 ? rule : rule.withDecay(0);
      this.kernels = kernels.rows();
      this.used = used;
      this.kept = kept;
    }

    /** Returns the rule of this step. */
    public Optimizer rule() {
      return rule;
    }

    /** Returns whether gradients are clipped. */
    public boolean isClipping() {
      return rule.maxNorm() < Float.POSITIVE_INFINITY;
    }

    /**
     * Returns whether it is the gradient times a factor and nothing else, so that both can be one.
     */
    public boolean isPlainDescent() {
      return rule.kind() == Optimizer.Kind.SGD && rule.decay() == 0 && !isClipping();
    }

    private Optimizer ruleOf(int tensor) {
      return tensors[tensor].decays() ? rule : withoutDecay;
    }

    /**
     * Updates one block of a tensor by its gradient.
     *
     * @param tensor the position of the tensor
     * @param gradient the gradient of the block, in its first elements
     */
    public void update(int tensor, int block, Storage gradient) {
      keep();
      used.states[tensor].update(ruleOf(tensor), kernels, block, gradient);
    }

    /**
     * Updates blocks by gradients in bands. The rule must not clip: the length of a gradient is
     * that of all of its bands.
     *
     * @param tensor the position of the tensor
     * @param blocks which ones, none twice
     * @param gradients gives all bands of all of them to what updates them, from any threads
     */
    public void updateBands(int tensor, IntStream blocks, Consumer<BandUpdate> gradients) {
      TensorState state = used.states[tensor];
      gradients.accept(
          (block, begin, count, gradient) -> {
            keep();
            state.update(ruleOf(tensor), kernels, block, begin, count, 1, gradient);
          });
      keep(); // blocks without elements have no bands
      blocks.forEach(state::countStep);
    }

    /**
     * Updates blocks by the sums of bags, each the gradient of one block.
     *
     * @param gradients the summands, rows of the size of a block
     * @param targets for each bag its block; no block twice in all bags of a step
     * @param steps room for a number for each bag
     */
    public void update(
        int tensor, Bags bags, int begin, int end, Rows gradients, Slice targets, Slice steps) {
      keep();
      used.states[tensor].update(
          ruleOf(tensor), kernels, bags, begin, end, gradients, targets, steps);
    }

    /**
     * Drops the state of another kind of rule. {@link #update} does this, too; it is for callers
     * who update a tensor themselves, if this {@link #isPlainDescent}.
     */
    public void keep() {
      if (!kept) {
        keepFresh();
      }
    }

    private void keepFresh() {
      synchronized (LayerState.this) {
        if (!kept && !closed) {
          content.close();
          content = used;
          kind = rule.kind();
          kept = true;
        }
        // A state that was closed in the meantime is freed with this step.
      }
    }

    @Override
    public void close() {
      if (!kept) {
        used.close();
      }
      used.release();
    }
  }

  // ------------------------------------------------------------------------ for files and copies

  /** The state at one moment. Its memory stays until this is closed, which is required. */
  public static final class Kept implements AutoCloseable {
    private final Optimizer.Kind kind;
    private final Content content;

    private Kept(Optimizer.Kind kind, Content content) {
      this.kind = kind;
      this.content = content;
    }

    /** Returns the kind of the rule that it is for. */
    public Optimizer.Kind kind() {
      return kind;
    }

    /** Returns the state of one tensor, by its position. */
    public TensorState of(int tensor) {
      return content.states[tensor];
    }

    @Override
    public void close() {
      content.release();
    }
  }

  /**
   * Returns the current state.
   *
   * @throws IllegalStateException if this state was closed
   */
  public synchronized Kept hold() {
    requireOpen();
    Kept kept = new Kept(kind, content); // made before the memory that it must release is acquired
    content.acquire();
    return kept;
  }

  /** Returns the kind of the rule that the state is for. */
  public synchronized Optimizer.Kind kind() {
    return kind;
  }

  /** Returns the state of one tensor, by its position. */
  public synchronized TensorState of(int tensor) {
    return content.states[tensor];
  }

  /** Returns the memory of all moments. */
  public synchronized Stream<Storage> memory() {
    return Arrays.stream(content.memory);
  }

  /**
   * Starts again for a kind of rule, with zeros that the caller replaces.
   *
   * @throws OutOfMemoryError that names the bytes; the state is as it was then
   */
  public synchronized void reset(Optimizer.Kind newKind) {
    requireOpen();
    Content fresh = allocate(newKind);
    content.close();
    content = fresh;
    kind = newKind;
  }

  /** Takes over the state of tensors of equal sizes. */
  public void copyFrom(Kept from) {
    reset(from.kind());
    for (int tensor = 0; tensor < tensors.length; tensor++) {
      TensorState fresh = of(tensor);
      for (int moment = 0; moment < from.kind().moments(); moment++) {
        fresh.moment(moment).copyFrom(from.of(tensor).moment(moment));
      }
      fresh.copySteps(from.of(tensor));
    }
  }

  @Override
  public synchronized void close() {
    closed = true;
    content.close();
  }
}
