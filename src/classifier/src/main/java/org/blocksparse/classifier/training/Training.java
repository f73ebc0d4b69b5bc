// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier.training;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CancellationException;
import java.util.stream.Stream;
import org.blocksparse.classifier.Classifier;
import org.blocksparse.classifier.TrainedClassifier;
import org.blocksparse.classifier.examples.Example;
import org.blocksparse.internal.tensors.Check;

/**
 * Trains classifiers.
 *
 * <pre>{@code
 * try (Classifier classifier = Training.train(examples, TrainingOptions.defaults())) {
 *   classifier.save(Path.of("model"));
 * }
 * }</pre>
 */
public final class Training {
  private Training() {}

  /** Trains on a list; see {@link #train(Stream, TrainingOptions)}. */
  public static Classifier train(List<Example> examples, TrainingOptions options) {
    return train(Check.noNulls("examples", examples).stream(), options);
  }

  /**
   * Trains a classifier.
   *
   * @param examples read to the end once, and kept in memory as numbers; examples without a label
   *     are ignored, except by a label tree
   * @throws IllegalArgumentException if no example has a label, or none has a feature that is kept;
   *     if some are texts and others have features, validation examples included; or if a label
   *     holds half of a pair of surrogates
   * @throws ArithmeticException if the loss becomes infinite, because the rate is too high, and
   *     validation kept no model before
   * @throws CancellationException if it was stopped before the first step
   */
  public static Classifier train(Stream<Example> examples, TrainingOptions options) {
    HeadTraining.requireHead(options);
    NoneTraining none = options.none() ? new NoneTraining(options.seed()) : null;
    Stream<Example> all = none == null ? examples : examples.sequential().peek(none::add);
    FeatureTrial.Choice choice = FeatureTrial.choose(all, options);
    TrainingSet set = TrainingSet.of(choice.examples(), choice.options());
    Map<String, String> card = new TreeMap<>(choice.gains());
    card.putAll(options.card()); // once, for any number of trainings
    TrainingOptions chosen = choice.options().withCard(() -> card);
    if (none == null) {
      return new HeadTraining(set, chosen).train();
    }
    none.requireEnough();
    TrainedClassifier model = new HeadTraining(set, chosen).train();
    try {
      none.fit(model, chosen);
      return model;
    } catch (Throwable e) {
      model.close();
      throw e;
    }
  }
}
