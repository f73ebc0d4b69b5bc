// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.demo;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.core.Linear;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.GradientCollector;
import ai.djl.training.loss.Loss;
import org.blocksparse.FloatTensor;

/**
 * The demo's model with a full softmax, whose layers, gradients and steps are PyTorch's, through
 * DJL. Its steps are those of the demo, written with operations on arrays, since the Adagrad of DJL
 * does not work with PyTorch.
 *
 * <p>The embedding is the demo's own, in plain Java: it has no product that PyTorch could be faster
 * at, and of its gradient, which is zero but for the words of a batch, DJL has only a dense one, of
 * all words.
 */
final class PyTorchLearner implements Learner, AutoCloseable {
  private static final Loss CROSS_ENTROPY = Loss.softmaxCrossEntropyLoss();
  private static final float EPSILON = 1e-8f;

  private final Settings settings;
  private final LanguageModel start;
  private final NDManager manager;
  private final NDArray hiddenWeights;
  private final NDArray hiddenBias;
  private final NDArray weights;
  private final NDArray bias;
  private final NDArray squaresOfWeights;
  private final NDArray squaresOfBias;

  /**
   * A model with the weights of another one.
   *
   * @param start has a class for each word; its embedding and its batches belong to this model from
   *     now on
   */
  PyTorchLearner(Settings settings, LanguageModel start) {
    this.settings = settings;
    this.start = start;
    // All processors, no call home, no search for other builds of PyTorch.
    int processors = Runtime.getRuntime().availableProcessors();
    System.setProperty("ai.djl.pytorch.num_threads", Integer.toString(processors));
    System.setProperty("OPT_OUT_TRACKING", "true");
    System.setProperty("ai.djl.offline", "true");
    manager = NDManager.newBaseManager(Device.cpu(), "PyTorch");
    // Of this thread: nothing is recorded for gradients but by a collector.
    JniUtils.setGradMode(false);
    int features = settings.features;
    hiddenWeights = learned(array(start.hidden().weights(), features).transpose());
    hiddenBias = learned(array(start.hidden().bias(), features).flatten());
    int words = start.softmax().outputs();
    weights = learned(array(start.softmax().W1(), words).transpose());
    bias = learned(array(start.softmax().b1(), words).flatten());
    squaresOfWeights = weights.zerosLike();
    squaresOfBias = bias.zerosLike();
  }

  /** A copy, (all, columns). */
  private NDArray array(FloatTensor tensor, int columns) {
    return manager.create(tensor.toArray(), new Shape(tensor.shape().size() / columns, columns));
  }

  private static NDArray learned(NDArray array) {
    array.setRequiresGradient(true);
    return array;
  }

  @Override
  public Batch batch(int rows) {
    return start.batch(rows);
  }

  @Override
  public double train(Batch batch, double progress) {
    float rate = (float) (settings.rate * (1 - progress));
    try (NDScope scope = new NDScope()) { // frees all that a step makes
      scope.suppressNotUsedWarning();
      NDArray input = learned(input(batch));
      double before;
      try (GradientCollector collector = manager.getEngine().newGradientCollector()) {
        NDArray loss = loss(batch, input);
        collector.backward(loss);
        before = loss.getFloat();
      }
      descend(hiddenWeights, LanguageModel.DESCENT_RATE * rate);
      descend(hiddenBias, LanguageModel.DESCENT_RATE * rate);
      adagrad(weights, squaresOfWeights, LanguageModel.DECAY, rate);
      adagrad(bias, squaresOfBias, 0, rate);
      start.embedding().descend(batch.before, input.getGradient().toFloatArray(), rate);
      return before;
    }
  }

  /**
   * The embeddings of the words before, (rows, context * embedding), in the memory of the batch.
   */
  private NDArray input(Batch batch) {
    start.embedding().lookUp(batch.before, batch.inputValues);
    batch.input.copyFrom(batch.inputValues);
    Shape shape = new Shape(batch.rows(), (long) settings.context * settings.embedding);
    return manager.create(batch.input.asByteBuffer(), shape, DataType.FLOAT32);
  }

  /** The mean negative log probability of the right words. */
  private NDArray loss(Batch batch, NDArray input) {
    NDArray hidden = Activation.softSign(linear(input, hiddenWeights, hiddenBias));
    NDArray logits = linear(hidden, weights, bias);
    return CROSS_ENTROPY.evaluate(new NDList(manager.create(batch.next)), new NDList(logits));
  }

  private static NDArray linear(NDArray input, NDArray weights, NDArray bias) {
    return Linear.linear(input, weights, bias).singletonOrThrow();
  }

  private static void descend(NDArray parameter, float rate) {
    NDArray gradient = parameter.getGradient();
    parameter.subi(gradient.mul(rate));
    gradient.subi(gradient); // PyTorch would add the next one to it
  }

  private static void adagrad(NDArray parameter, NDArray squares, float decay, float rate) {
    NDArray gradient = parameter.getGradient();
    if (decay != 0) {
      gradient.addi(parameter.mul(decay));
    }
    squares.addi(gradient.square());
    parameter.subi(gradient.mul(rate).divi(squares.sqrt().addi(EPSILON)));
    gradient.subi(gradient);
  }

  @Override
  public double perplexity(int[] text) {
    return start.perplexity(
        text,
        batch -> {
          try (NDScope scope = new NDScope()) {
            scope.suppressNotUsedWarning();
            return loss(batch, input(batch)).getFloat();
          }
        });
  }

  @Override
  public void close() {
    manager.close();
  }
}
