// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.experts.MixtureOfExperts;
import org.blocksparse.experts.TopKGate;
import org.blocksparse.softmax.Loss;

/** The demo's language model with a mixture of experts in the place of the hidden layer. */
final class ExpertsLearner implements Learner, AutoCloseable {
  private static final int EXPERTS = 16;
  private static final int EXPERTS_OF_A_WORD = 2;
  private static final float BALANCING = 0.01f;

  /** The rate of the experts as a multiple of that of the rest: with more, training diverges. */
  private static final float RATE_OF_EXPERTS = 0.1f;

  private final Settings settings;
  private final LanguageModel start;
  private final MixtureOfExperts experts;
  private final Optimizer optimizer;

  /**
   * A model with new experts, whose hidden size is that of their output.
   *
   * @param start its embedding, its softmax and its batches belong to this model from now on
   */
  ExpertsLearner(Settings settings, LanguageModel start) {
    this.settings = settings;
    this.start = start;
    TopKGate gate = TopKGate.of(EXPERTS, EXPERTS_OF_A_WORD).withBalancing(BALANCING);
    experts =
        MixtureOfExperts.builder(settings.context * settings.embedding, settings.features, gate)
            .outputs(settings.features)
            .workers(settings.workers())
            .seed(settings.seed)
            .build();
    optimizer = Optimizer.adagrad(settings.rate).withDecay(LanguageModel.DECAY);
  }

  MixtureOfExperts experts() {
    return experts;
  }

  @Override
  public Batch batch(int rows) {
    return start.batch(rows);
  }

  @Override
  public double train(Batch batch, double progress) {
    float rate = (float) (settings.rate * (1 - progress));
    FloatTensor input = input(batch);
    batch.targets.copyFrom(batch.next);
    try (var pass = experts.forward(input, batch.features)) {
      double loss =
          start
              .softmax()
              .step(
                  batch.features,
                  batch.targets,
                  Loss.mean(),
                  optimizer.withRate(rate),
                  batch.gradFeatures);
      FloatTensor gradInput = batch.gradInput.reshape(input.shape().toArray());
      pass.step(batch.gradFeatures, optimizer.withRate(RATE_OF_EXPERTS * rate), gradInput);
      batch.gradInput.get(0, batch.inputValues, 0, batch.inputValues.length);
      start.embedding().descend(batch.before, batch.inputValues, rate);
      return loss;
    }
  }

  /** The embeddings of the words before, (rows, context * embedding). */
  private FloatTensor input(Batch batch) {
    start.embedding().lookUp(batch.before, batch.inputValues);
    batch.input.copyFrom(batch.inputValues);
    return batch.input.reshape(batch.rows(), experts.inputs());
  }

  @Override
  public double perplexity(int[] text) {
    return perplexity(text, experts);
  }

  /** The same with other experts in the place of this model's own. */
  double perplexity(int[] text, MixtureOfExperts others) {
    return start.perplexity(
        text,
        batch -> {
          others.apply(input(batch), batch.features);
          batch.targets.copyFrom(batch.next);
          return start.softmax().loss(batch.features, batch.targets);
        });
  }

  @Override
  public void close() {
    experts.close();
    start.close();
  }
}
