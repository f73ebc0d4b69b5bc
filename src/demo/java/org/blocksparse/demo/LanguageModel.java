// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.ToDoubleFunction;
import java.util.random.RandomGenerator;
import org.blocksparse.FloatTensor;
import org.blocksparse.Optimizer;
import org.blocksparse.ranking.Filter;
import org.blocksparse.ranking.Ranking;
import org.blocksparse.softmax.ClassAssignment;
import org.blocksparse.softmax.HierarchicalSoftmax;
import org.blocksparse.softmax.Loss;

/**
 * Predicts the next word from a few words before it (Bengio et al., 2003): their embeddings, side
 * by side, go through a hidden layer to a softmax over the whole vocabulary. That last step is
 * nearly all of the work when the softmax is full, and the smaller part when it is hierarchical.
 */
final class LanguageModel implements Learner, AutoCloseable {
  /**
   * The hidden layer's rate as a multiple of that of the rest: plain descent on a mean over the
   * batch needs larger steps than Adagrad, which divides by the size of the gradients.
   */
  static final float DESCENT_RATE = 80;

  /** Keeps what is seen too seldom to be trusted from growing; worth 2% of perplexity. */
  static final float DECAY = 1e-5f;

  private static final float UNSEEN_COUNT = 0.1f;

  private final Settings settings;
  private final Embedding embedding;
  private final HiddenLayer hidden;
  private final HierarchicalSoftmax softmax;
  private final Optimizer optimizer;
  private final Map<Integer, Batch> batches = new HashMap<>(); // by rows

  LanguageModel(Settings settings, ClassAssignment classes) {
    this(settings, classes, new SplittableRandom(settings.seed));
  }

  private LanguageModel(Settings settings, ClassAssignment classes, RandomGenerator random) {
    this(
        settings,
        new Embedding(classes.outputs(), settings.embedding, random),
        new HiddenLayer(settings.context * settings.embedding, settings.features, random),
        HierarchicalSoftmax.builder(settings.features, classes.outputs())
            .classes(classes)
            .workers(settings.workers())
            .seed(settings.seed)
            .build());
  }

  /** Of parts that were trained before. */
  LanguageModel(
      Settings settings, Embedding embedding, HiddenLayer hidden, HierarchicalSoftmax softmax) {
    this.settings = settings;
    this.embedding = embedding;
    this.hidden = hidden;
    this.softmax = softmax;
    optimizer = Optimizer.adagrad(settings.rate).withDecay(DECAY);
  }

  Embedding embedding() {
    return embedding;
  }

  HiddenLayer hidden() {
    return hidden;
  }

  HierarchicalSoftmax softmax() {
    return softmax;
  }

  /**
   * Sets the biases so that a model that knows nothing else predicts each word as often as it
   * occurs, which spares the training from finding that out.
   */
  void startFromFrequencies(int[] text) {
    ClassAssignment classes = softmax.assignment();
    float[] ofClass = new float[classes.classCount()];
    float[] ofWord = new float[classes.outputs()];
    Arrays.fill(ofWord, UNSEEN_COUNT);
    for (int word : text) {
      ofWord[word]++;
    }
    for (int word = 0; word < ofWord.length; word++) {
      int c = classes.classOf(word);
      ofClass[c] += ofWord[word];
      softmax.b2().set((float) Math.log(ofWord[word]), c, classes.slotOf(word));
    }
    for (int c = 0; c < ofClass.length; c++) {
      softmax.b1().set((float) Math.log(ofClass[c]), c);
    }
  }

  @Override
  public Batch batch(int rows) {
    return batches.computeIfAbsent(rows, n -> new Batch(n, settings));
  }

  @Override
  public double train(Batch batch, double progress) {
    float rate = (float) (settings.rate * (1 - progress));
    forward(batch);
    batch.targets.copyFrom(batch.next);
    double loss =
        softmax.step(
            batch.features,
            batch.targets,
            Loss.mean(),
            optimizer.withRate(rate),
            batch.gradFeatures);
    hidden.backward(batch, DESCENT_RATE * rate);
    batch.gradInput.get(0, batch.inputValues, 0, batch.inputValues.length);
    embedding.descend(batch.before, batch.inputValues, rate);
    return loss;
  }

  /** The mean negative log probability of the right words. */
  private double loss(Batch batch, HierarchicalSoftmax last) {
    forward(batch);
    batch.targets.copyFrom(batch.next);
    return last.loss(batch.features, batch.targets);
  }

  private void forward(Batch batch) {
    embedding.lookUp(batch.before, batch.inputValues);
    batch.input.copyFrom(batch.inputValues);
    hidden.forward(batch);
  }

  @Override
  public double perplexity(int[] text) {
    return perplexity(text, softmax);
  }

  /** The same with another softmax in the place of this model's own. */
  double perplexity(int[] text, HierarchicalSoftmax last) {
    return perplexity(text, batch -> loss(batch, last));
  }

  /** The same by the mean losses of batches, wherever they are computed. */
  double perplexity(int[] text, ToDoubleFunction<Batch> loss) {
    double sum = 0;
    for (int start = 0; start < text.length; start += settings.batch) {
      Batch batch = batch(Math.min(settings.batch, text.length - start));
      for (int row = 0; row < batch.rows(); row++) {
        batch.set(row, text, start + row);
      }
      sum += batch.rows() * loss.applyAsDouble(batch);
    }
    return Math.exp(sum / text.length);
  }

  /** The k words that are most likely to come after {@code words}. */
  Ranking likeliest(int[] words, int k) {
    return softmax.topK(features(words), k);
  }

  /** A word to come after {@code words}, by chance. */
  int draw(int[] words, double temperature, RandomGenerator random) {
    return softmax.sample(features(words), temperature, random, Filter.without())[0];
  }

  /** The inputs of the softmax for the first words of a text, at most that many. */
  FloatTensor inputOfSoftmax(int[] text, int most) {
    Batch batch = batch(Math.min(most, text.length));
    for (int row = 0; row < batch.rows(); row++) {
      batch.set(row, text, row);
    }
    forward(batch);
    return batch.features;
  }

  private FloatTensor features(int[] words) {
    Batch batch = batch(1);
    int[] text = Arrays.copyOf(words, words.length + 1);
    batch.set(0, text, words.length);
    forward(batch);
    return batch.features;
  }

  @Override
  public void close() {
    batches.values().forEach(Batch::close);
    hidden.close();
    softmax.close();
  }

  @Override
  public String toString() {
    return settings.context
        + " previous words x "
        + settings.embedding
        + " -> "
        + settings.features
        + " hidden units -> "
        + softmax.assignment();
  }
}
