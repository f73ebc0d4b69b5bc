// SPDX-License-Identifier: Apache-2.0
package engine;

import com.github.tjake.jlama.model.functions.FeedForward;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.tensor.AbstractTensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntFunction;
import org.blocksparse.ElementType;
import org.blocksparse.FloatTensor;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.io.HuggingFaceModel;

/** The experts of a Mixtral layer in Jlama: reads and writes Jlama's tensors where they lie. */
public final class ExpertsFeedForward implements FeedForward, AutoCloseable {
  private final MixtureOfExperts experts;
  private final IntFunction<AbstractTensor> results;

  private ExpertsFeedForward(MixtureOfExperts experts, IntFunction<AbstractTensor> results) {
    this.experts = experts;
    this.results = results;
  }

  /**
   * Copies the experts of one layer, converted to a type, once.
   *
   * @param model may be closed afterwards
   * @param results makes the tensor (rows, size of the model) for a number of rows
   */
  public static ExpertsFeedForward load(
      HuggingFaceModel model, int layer, ElementType type, IntFunction<AbstractTensor> results) {
    try {
      return new ExpertsFeedForward(MixtureOfExperts.of(model, layer, type), results);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public AbstractTensor forward(
      AbstractTensor input, Optional<Consumer<List<AbstractTensor>>> reducer) {
    if (reducer.isPresent()) {
      throw new UnsupportedOperationException("a model that is split over machines");
    }
    AbstractTensor<?, ?> result = results.apply(rows(input));
    try (FloatTensor x = floats(input);
        FloatTensor out = floats(result)) {
      experts.apply(x, out);
    }
    return result;
  }

  private static FloatTensor floats(AbstractTensor<?, ?> tensor) {
    if (tensor.dType() != DType.F32) {
      throw new IllegalArgumentException("working types: expected F32 but was " + tensor.dType());
    }
    MemorySegment segment = tensor.getMemorySegment();
    return FloatTensor.wrapAddress(
        segment.address(), segment.byteSize(), segment, rows(tensor), columns(tensor));
  }

  private static int rows(AbstractTensor<?, ?> tensor) {
    return tensor.shape().first();
  }

  private static int columns(AbstractTensor<?, ?> tensor) {
    return tensor.shape().last();
  }

  @Override
  public void close() {
    experts.close();
  }
}
