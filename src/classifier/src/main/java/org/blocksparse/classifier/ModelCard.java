// SPDX-License-Identifier: Apache-2.0
package org.blocksparse.classifier;

import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * The model card: facts on the training of a model, for people. They are strings in the metadata of
 * the model, which {@link Classifier#info} returns.
 */
final class ModelCard {
  /** The beginning of their keys. */
  private static final String ABOUT = "classifier.about.";

  private static final String EPOCH = "epoch of this model";

  private final Map<String, String> metadata;

  /** The card in the metadata of a model. */
  ModelCard(Map<String, String> metadata) {
    this.metadata = metadata;
  }

  void put(String name, String value) {
    metadata.put(ABOUT + name, value);
  }

  private void put(String name, long value) {
    put(name, Long.toString(value));
  }

  /** All facts, in the order of their names. */
  Map<String, String> facts() {
    Map<String, String> facts = new TreeMap<>();
    metadata.forEach(
        (key, value) -> {
          if (key.startsWith(ABOUT)) {
            facts.put(key.substring(ABOUT.length()), value);
          }
        });
    return facts;
  }

  /** The facts that all trainings have; those of the caller are among them. */
  void putTraining(TrainingSet set, TrainingOptions options) {
    options.card().forEach(this::put);
    String version = ModelCard.class.getPackage().getImplementationVersion();
    if (version != null) { // null for classes outside of a jar
      put("version", version);
    }
    TrainingDefaults values = new TrainingDefaults(options);
    put("examples", set.size());
    if (set.examplesMerged() > 0) {
      put("examples merged into others", set.examplesMerged());
    }
    if (set.isText()) {
      put("word n-grams", options.textFeatures().wordNgrams());
      put("words", options.textFeatures().isPlain() ? "plain" : "unicode");
    }
    if (set.vocabulary().isShared()) {
      put("shared rows", set.vocabulary().rows());
    } else {
      int minCount = set.minCount();
      put("min count", Math.max(1, minCount));
      if (minCount == 0) {
        put("min count of words in a row", FeatureCounts.FEWEST_IN_A_ROW);
      }
      put("max features", options.maxFeatures());
      if (set.isText() && !options.hasMaxFeatures()) {
        put("max words in a row", set.mostInARow());
      }
    }
    put("features left out", (set.forgot() ? "up to " : "") + set.featuresLeftOut());
    put("seed", options.seed());
    if (!options.validation().isEmpty()) {
      put("validation examples", options.validation().size());
      put("validation metric", values.validationMetric().toString());
    }
  }

  /** The settings of an embedding head. */
  void putEmbedding(TrainingOptions options, int epochs, int batch) {
    TrainingDefaults values = new TrainingDefaults(options);
    put("epochs planned", epochs);
    put("rate", Double.toString(values.rate()));
    put("smoothing", Double.toString(values.smoothing()));
    put("batch", batch);
    if (!options.validation().isEmpty()) {
      put("patience", values.patience(epochs));
    }
  }

  /** The number of rows that began with a pretrained vector. */
  void putPretrained(int rows) {
    put("pretrained rows", rows);
  }

  /** The number of the epoch after which this was the model. */
  void putEpoch(int epoch) {
    put(EPOCH, epoch);
  }

  int epoch() {
    return Integer.parseInt(metadata.get(ABOUT + EPOCH));
  }

  void putScores(ValidationScores scores) {
    put("validation P@1", decimals(scores.precision()));
    put("validation nDCG@5", decimals(scores.ndcg()));
    put("validation micro F1", decimals(scores.f1()));
    put("threshold", Double.toString(scores.threshold()));
  }

  static String decimals(double score) {
    return String.format(Locale.ROOT, "%.4f", score);
  }
}
