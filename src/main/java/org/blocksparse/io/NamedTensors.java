// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.io;

import static java.util.Objects.requireNonNull;

import java.util.LinkedHashMap;
import java.util.Map;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.Tensor;
import org.blocksparse.Weights;
import org.blocksparse.Workers;
import org.blocksparse.internal.files.TensorSource;
import org.blocksparse.internal.files.WeightsFile;
import org.blocksparse.internal.kernels.Engine;
import org.blocksparse.internal.tensors.Dense;
import org.blocksparse.internal.tensors.OperandLease;
import org.blocksparse.internal.tensors.StoredBlocks;
import org.blocksparse.internal.weights.StoredWeights;
import org.blocksparse.internal.weights.WeightType;

/**
 * Named tensors and weights, for {@link TensorFile#save(java.nio.file.Path, NamedTensors)}:
 *
 * <pre>{@code
 * TensorFile.save(path, NamedTensors.of(Map.of("b1", b1, "b2", b2))
 *     .with("W1", W1, ElementType.INT8)
 *     .with("W2", W2, ElementType.INT8));
 * }</pre>
 *
 * <p>Immutable. It holds its tensors without a copy; the caller still owns and closes them. Saving
 * checks the tensors, and rejects those that cannot be saved.
 */
public final class NamedTensors {
  private static final NamedTensors NONE =
      new NamedTensors(Map.of(), SaveOptions.defaults().withMetadata(Map.of()));

  /** A part of a file, with a name. */
  interface Source {
    void addTo(WeightsFile file, String name, OperandLease lease);
  }

  private final Map<String, Source> sources;
  private final SaveOptions options;

  private NamedTensors(Map<String, Source> sources, SaveOptions options) {
    this.sources = sources;
    this.options = options;
  }

  /** Returns no tensors. */
  public static NamedTensors none() {
    return NONE;
  }

  /**
   * Returns these tensors, in the order of the map.
   *
   * @throws NullPointerException if the map, a name or a tensor is null
   */
  public static NamedTensors of(Map<String, ? extends Tensor> tensors) {
    Map<String, Source> sources = new LinkedHashMap<>();
    requireNonNull(tensors, "tensors")
        .forEach(
            (name, tensor) ->
                sources.put(
                    requireNonNull(name, "tensors"), source("tensors: \"" + name + "\"", tensor)));
    return new NamedTensors(sources, NONE.options);
  }

  private static Source source(String name, Tensor tensor) {
    requireNonNull(tensor, name);
    return (file, as, lease) -> {
      WeightsFile.requireName(as);
      Dense.from(tensor).requireContiguous(as);
      lease.of(as, tensor);
      long[] dims = tensor.shape().toArray();
      file.tensors()
          .add(
              tensor instanceof FloatTensor
                  ? TensorSource.floats(as, dims, Dense.from(tensor).storage())
                  : TensorSource.ints(as, dims, Dense.from(tensor).storage()));
    };
  }

  /** Adds a tensor, or replaces the entry of this name. */
  public NamedTensors with(String name, Tensor tensor) {
    return and(name, source("tensor", tensor));
  }

  /** Adds weights in their stored type, or replaces the entry of this name. */
  public NamedTensors with(String name, Weights weights) {
    requireNonNull(weights, "weights");
    return and(
        name,
        (file, as, lease) -> {
          WeightsFile.requireName(as);
          StoredWeights stored = StoredBlocks.from(weights).requireContiguous(as);
          lease.of(as, weights);
          file.add(as, weights.shape().toArray(), stored);
        });
  }

  /**
   * Adds W in another type, or replaces the entry of this name. The values are those of {@link
   * Weights#of(FloatTensor, ElementType)}. They are rounded during the write, so a mapped W needs
   * no memory.
   *
   * @param W (iBlocks, oBlocks, iSize, oSize), contiguous, all finite
   */
  public NamedTensors with(String name, FloatTensor W, ElementType type) {
    requireNonNull(W, "W");
    requireNonNull(type, "type");
    return and(
        name,
        (file, as, lease) -> {
          WeightsFile.requireName(as);
          Dense.from(StoredBlocks.requireBlocks(as, W, type)).requireContiguous(as);
          lease.of(as, W);
          long[] dims = W.shape().toArray();
          file.addRounded(
              as,
              dims,
              WeightType.of(type),
              Dense.from(W).storage(),
              Engine.from(Workers.common()));
        });
  }

  private NamedTensors and(String name, Source source) {
    Map<String, Source> more = new LinkedHashMap<>(sources);
    more.put(requireNonNull(name, "name"), source);
    return new NamedTensors(more, options);
  }

  /**
   * Sets the strings of the file, by key, instead of earlier ones.
   *
   * @throws IllegalArgumentException if {@link SaveOptions#withMetadata} rejects them
   */
  public NamedTensors withMetadata(Map<String, String> metadata) {
    return new NamedTensors(sources, options.withMetadata(metadata));
  }

  /** Returns options with the metadata. */
  SaveOptions options() {
    return options;
  }

  /** Adds all of them to a file; the lease holds them. */
  void addTo(WeightsFile file, OperandLease lease) {
    sources.forEach((name, source) -> source.addTo(file, name, lease));
  }

  @Override
  public String toString() {
    return "NamedTensors" + sources.keySet();
  }
}
